//! What does it cost that somebody looks, who then stands still, or is shown all there is time for?

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{GIB, Lab, MIB};
use crate::pipeline::{Outcome, Pipeline, high_water};
use crate::spec::{Contender, Skip};
use crate::table::Table;

const PLAIN: &str = "weir -q";
const TAP: &str = "weir -q --tap FIFO";
const LOOKED: &str = "weir -q, and weir --look";
const READ: &str = "weir -q, and weir --look that reads";
const LOOP: &str = "bare loop of tee, read and splice";
/// What a tap may be behind, unless it is told otherwise, and a looker always.
const BEHIND: u64 = 16 * MIB;
/// Until a weir can be looked into, and until somebody is sure to look.
const STARTED: Duration = Duration::from_millis(150);
const LOOKING: Duration = Duration::from_millis(350);

/// A tap that is not read and a looker that is stopped: at full speed, and at a fixed one.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    let Ok(folder) = tempfile::tempdir() else {
        return Vec::new();
    };
    let fifo = folder.path().join("fifo");
    if mkfifoat(CWD, &fifo, Mode::RWXU).is_err() {
        return Vec::new();
    }
    let mut contenders = [
        lab.weir("-q"),
        lab.weir(&format!("-q --tap {}", fifo.display())),
        lab.weir("-q"),
        lab.own(LOOP, &format!("__tee keep={BEHIND}")),
        lab.weir("-q"),
    ];
    for (contender, label) in contenders.iter_mut().zip([PLAIN, TAP, LOOKED, LOOP, READ]) {
        contender.label = label.to_owned();
    }
    vec![
        fast(lab, &contenders, &fifo),
        paced(lab, &contenders[..3], &fifo),
        super::lookers::table(lab),
    ]
}

/// As fast as it goes.
fn fast(lab: &Lab, contenders: &[Contender], fifo: &Path) -> Table {
    let bytes = lab.either(4 * GIB, GIB / 2);
    let size = bytes as f64 / GIB as f64;
    let columns = ["GiB/s", "peak memory, MB"];
    let title = "Looking: whoever looks stands still";
    let mut table = Table::measure(title, &columns, contenders, lab.options.runs(), |c| {
        let seen = Scene { lab, fifo, bytes }.run(c, "")?;
        Ok(vec![size / seen.seconds, seen.megabytes])
    })
    .how(format!(
        "{size} GiB, `gen | X | sink`, 128 KiB writes. Nobody reads the FIFO; the looker is stopped by a signal. The \
         loop keeps the newest 16 MiB in memory of its own. One looker goes on reading."
    ));
    let most = BEHIND as f64 / 1e6 + 1.0;
    for (who, label) in [("a tap", TAP), ("a looker", LOOKED)] {
        let over = table.ratio(label, LOOP, 0);
        table.at_least(format!("{who}: speed over the loop"), over, 0.95);
        let over = table.median(label, 1) - table.median(PLAIN, 1);
        let what = format!("{who}: MB more than without, of its 16 MiB and one MB");
        table.at_most(what, over, most);
    }
    table
}

/// At 1 GiB/s, and how long the producer waits.
fn paced(lab: &Lab, contenders: &[Contender], fifo: &Path) -> Table {
    let bytes = lab.either(4 * GIB, GIB / 2);
    let columns = ["GiB/s", "longest wait, ms", "99.9 % at most, ms"];
    let title = "Looking: whoever looks stands still, 1 GiB/s";
    let mut table = Table::measure(title, &columns, contenders, lab.options.runs(), |c| {
        let seen = Scene { lab, fifo, bytes }.run(c, &format!("rate={GIB} waits=1"))?;
        let waited = |key| seen.outcome.reported(0, key).unwrap_or(f64::NAN) / 1000.0;
        let speed = bytes as f64 / GIB as f64 / seen.seconds;
        Ok(vec![speed, waited("longest_us"), waited("most_us")])
    })
    .how(
        "The same with a producer that writes 1 GiB/s. Its waits: how long its pipe was full, of each write; medians \
         of the longest of each run are compared.",
    );
    for (who, label) in [("a tap", TAP), ("a looker", LOOKED)] {
        let over = table.ratio(label, PLAIN, 0);
        table.at_least(format!("{who}: speed over none"), over, 0.98);
        let over = table.median(label, 1) - table.median(PLAIN, 1);
        table.at_most(format!("{who}: longest wait, ms more"), over, 1.0);
    }
    table
}

struct Scene<'a> {
    lab: &'a Lab,
    fifo: &'a Path,
    bytes: u64,
}

struct Seen {
    outcome: Outcome,
    /// From the first byte that is written to the last that arrives.
    seconds: f64,
    megabytes: f64,
}

impl Scene<'_> {
    fn run(&self, c: &Contender, words: &str) -> Result<Seen, Skip> {
        let (lab, bytes) = (self.lab, self.bytes);
        let is_looked_into = c.label == LOOKED || c.label == READ;
        let idle = match is_looked_into {
            true => STARTED + LOOKING + STARTED,
            false => STARTED,
        };
        let tap = match c.label == TAP {
            true => Some(unread(self.fifo)?),
            false => None,
        };
        let ms = idle.as_millis();
        let gen_words = format!("__tide block=131072 bytes={bytes} wait_ms={ms} hold=1 {words}");
        let consumer = lab.helper(&format!("__sink mark={bytes}"));
        let specs = c.between(lab.helper(&gen_words), consumer)?;
        let mut pipeline = Pipeline::start(&specs, lab.limit(bytes))?;
        let looker = match is_looked_into {
            true => Some(Looker::at(&lab.options.weir, pipeline.pid(1))?),
            false => None,
        };
        let stops = looker.as_ref().filter(|_| c.label == LOOKED);
        stops.map_or(Ok(()), |looker| looker.signal(Signal::STOP))?;
        let has_arrived = pipeline.line()? == "mark\n";
        let seconds = (pipeline.elapsed() - idle).as_secs_f64();
        let megabytes = high_water(pipeline.pid(1)).unwrap_or(f64::NAN);
        pipeline.signal(0, Signal::KILL)?;
        let outcome = pipeline.finish()?;
        outcome.check(1, c.is_weir, false)?;
        if !has_arrived {
            return Err(Skip::Failed("not all bytes arrived".to_owned()));
        }
        tap.map_or(Ok(()), was_tapped)?;
        let misses = looker.filter(|_| c.label == LOOKED);
        misses.map_or(Ok(()), Looker::has_missed)?;
        Ok(Seen {
            outcome,
            seconds,
            megabytes,
        })
    }
}

/// A reader of the FIFO that does not read.
fn unread(fifo: &Path) -> Result<File, Skip> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let file = rustix::fs::open(fifo, flags, Mode::empty()).map_err(std::io::Error::from)?;
    Ok(file.into())
}

/// What is not read must lie there.
fn was_tapped(mut fifo: File) -> Result<(), Skip> {
    match fifo.read(&mut [0; 4096]) {
        Ok(1..) => Ok(()),
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error.into()),
        _ => Err(Skip::Failed("nothing was tapped".to_owned())),
    }
}

/// `weir --look`, ended with its owner.
struct Looker(Child);

impl Looker {
    /// One that looks into this process.
    fn at(weir: &PathBuf, pid: u32) -> Result<Self, Skip> {
        sleep(STARTED);
        let mut command = Command::new(weir);
        command.args(["--look", &pid.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut looker = Self(command.stderr(Stdio::piped()).spawn()?);
        sleep(LOOKING);
        if looker.0.try_wait()?.is_some() {
            return Err(Skip::Failed(format!("no looker: {}", looker.said()?)));
        }
        Ok(looker)
    }

    fn signal(&self, signal: Signal) -> Result<(), Skip> {
        let sent = kill_process(Pid::from_child(&self.0), signal);
        Ok(sent.map_err(std::io::Error::from)?)
    }

    fn said(&mut self) -> Result<String, Skip> {
        let mut said = String::new();
        if let Some(stderr) = &mut self.0.stderr {
            stderr.read_to_string(&mut said)?;
        }
        Ok(said)
    }

    /// It must say that it was too slow: for what it lacks, or for a last word.
    fn has_missed(mut self) -> Result<(), Skip> {
        self.signal(Signal::CONT)?;
        let said = self.said()?;
        match said.contains("not shown") || said.contains("not be shown") {
            true => Ok(()),
            false => Err(Skip::Failed(format!("the looker missed nothing: {said}"))),
        }
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
