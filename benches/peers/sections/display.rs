//! What does it cost to be seen: one bar, ten on one terminal; and how soon does a hook run?

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use wait4::Wait4;

use crate::lab::Lab;
use crate::spec::{Contender, Skip};
use crate::table::{Figures, Table};

const OFF: &str = "weir --display off --summary off";
const BAR: &str = "weir --display bar --summary off -i 200ms";
const HOOK: &str = "weir --on full=";
/// How often each weir gets something to pass on.
const BEAT: Duration = Duration::from_millis(100);
const ROWS: u16 = 40;
const COLUMNS: u16 = 100;

/// CPU time and bytes of bars, and the time to a hook.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    let watched = Duration::from_secs(lab.either(20, 1));
    let runs = lab.either(lab.options.runs(), 1);
    let contenders = [OFF, BAR].map(|words| lab.weir(words.trim_start_matches("weir ")));
    let columns = ["CPU % each, one", "of ten", "KB/s each, one", "of ten"];
    let mut bars = Table::measure("Bars", &columns, &contenders, runs, |c| {
        let (one, ten) = (
            on_a_terminal(c, 1, watched)?,
            on_a_terminal(c, 10, watched)?,
        );
        Ok(vec![one.0, ten.0, one.1, ten.1])
    })
    .how("1,000 bytes each 100 ms; user and system time from start to end, of the release build.");
    let over = bars.median(BAR, 0) - bars.median(OFF, 0);
    bars.at_most("% of a CPU for a bar", over, 0.2);
    let ratio = |column: usize| bars.median(BAR, column + 1) / bars.median(BAR, column);
    let (cpu, bytes) = (ratio(0), ratio(2));
    bars.at_most("CPU of a bar among ten beside one alone", cpu, 1.2);
    bars.at_most("bytes of a bar among ten beside one alone", bytes, 1.2);
    let mut hooked = lab.weir("");
    hooked.label = HOOK.to_owned();
    let mut hook = Table::measure("Hook", &["ms"], &[hooked], runs, hooked_after)
        .how("From the first byte of 2 MiB into a buffer of 1 MiB whose consumer takes nothing.");
    hook.at_most("ms until a hook runs", hook.median(HOOK, 0), 100.0);
    vec![bars, hook, super::chart::table(lab)]
}

/// So many of them on one terminal for so long: each one's share of a CPU in percent, and KB a second.
fn on_a_terminal(contender: &Contender, n: u16, time: Duration) -> Result<(f64, f64), Skip> {
    let spec = contender.spec()?;
    let folder = tempfile::tempdir()?;
    let (master, slave) = terminal()?;
    let reader = thread::spawn(move || drain(master));
    let mut all: Vec<(Child, ChildStdin)> = Vec::new();
    for nth in 0..n {
        let mut command = Command::new(&spec.program);
        command.args(&spec.args).args(["-N", &format!("bar{nth}")]);
        command.env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
        command.env("XDG_RUNTIME_DIR", folder.path());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(slave.try_clone()?);
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        all.extend(input.map(|input| (child, input)));
    }
    drop(slave);
    let until = Instant::now() + time;
    while Instant::now() < until {
        for (_, input) in &mut all {
            input.write_all(&[b'x'; 1000])?;
        }
        sleep(BEAT);
    }
    let mut cpu = Duration::ZERO;
    for (mut child, input) in all {
        drop(input);
        let used = child.wait4()?;
        if !used.status.success() {
            return Err(Skip::Failed(format!("{}", used.status)));
        }
        cpu += used.rusage.utime + used.rusage.stime;
    }
    let bytes = reader.join().unwrap_or(0);
    let each = f64::from(n) * time.as_secs_f64();
    Ok((
        100.0 * cpu.as_secs_f64() / each,
        bytes as f64 / 1000.0 / each,
    ))
}

fn terminal() -> io::Result<(OwnedFd, File)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let size = Winsize {
        ws_row: ROWS,
        ws_col: COLUMNS,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let name = ptsname(&master, Vec::new())?;
    // It controls nobody: the benchmark has another one, or none.
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let name = OsStr::from_bytes(name.to_bytes());
    let slave = rustix::fs::open(name, flags, rustix::fs::Mode::empty())?;
    tcsetwinsize(&slave, size)?;
    Ok((master, slave.into()))
}

/// Counts what comes until nobody has the terminal any more.
fn drain(master: OwnedFd) -> usize {
    let (mut master, mut bytes, mut all) = (File::from(master), [0; 65536], 0);
    while let Ok(n @ 1..) = master.read(&mut bytes) {
        all += n;
    }
    all
}

fn hooked_after(contender: &Contender) -> Result<Figures, Skip> {
    let folder = tempfile::tempdir()?;
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU)
        .map_err(std::io::Error::from)?;
    let mut command = Command::new(&contender.spec()?.program);
    let hook = format!("full=echo >'{}'", fifo.display());
    command.args(["-q", "-b", "1MiB", "--on", &hook]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().ok_or(Skip::NotBuilt)?;
    let started = Instant::now();
    // It is blocked until the weir is ended.
    let feeder = thread::spawn(move || input.write_all(&vec![b'x'; 2 << 20]));
    let heard = File::open(&fifo).and_then(|mut fifo| fifo.read(&mut [0]));
    let time = started.elapsed();
    child.kill()?;
    child.wait()?;
    let _ = feeder.join();
    heard?;
    Ok(vec![time.as_secs_f64() * 1000.0])
}
