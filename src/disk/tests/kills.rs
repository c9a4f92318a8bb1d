//! Real processes, killed: at every kind of call that matters, and at any time.
//!
//! The process is this test's own executable, which takes what comes through one FIFO into a spool and
//! delivers it, whole lines, into another. The judge reads numbers: none may be missing, and a kill
//! may repeat what one write had.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::format::ENTRY_MOST;
use super::super::reader::{Cursor, Piece};
use super::super::schedule::Policy;
use super::super::segments::Appended;
use super::super::spool::SpoolOptions;
use super::super::state::Place;
use super::super::sync::Syncer;
use super::super::sys;
use super::{NOW, open, small};

const HOME: &str = "DISK_TEST_HOME";

/// Set for a process that gives nothing back before its end.
const KEEP: &str = "DISK_TEST_KEEP";
const COUNT: usize = 10_000;
/// Segments and pages hold whole ones, so that no read ends within one.
const LINE: usize = 16;

/// Most bytes of one write to the output.
const WRITE: usize = 20 * LINE * 100;

/// What is run to be killed; does nothing as a test.
#[test]
fn process() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else {
        return;
    };
    let options = SpoolOptions {
        policy: Policy::Within(Duration::from_millis(1)),
        boot: sys::boot_id(),
        ..small()
    };
    let spool = Arc::new(open(&home.join("q"), &options).spool);
    let syncer = Syncer::start(Arc::clone(&spool), |found, said| {
        eprintln!("{found:?} {said:?}")
    })
    .unwrap();
    let input = OpenOptions::new().read(true).open(home.join("in")).unwrap();
    let mut output = OpenOptions::new()
        .write(true)
        .open(home.join("out"))
        .unwrap();
    let place = spool.place("stdout").unwrap_or_default();
    let mut cursor = Cursor::new(place.at);
    let mut buffer = vec![0; 100_000];
    let mut back = vec![0; ENTRY_MOST];
    while cursor.at() < (COUNT * LINE) as u64 {
        match spool.append_pipe(input.as_fd(), &mut buffer, NOW).unwrap() {
            Appended::Empty if cursor.at() == spool.end().at => {
                // The test's end holds the pipe open: there is more to come.
                let mut wait = [rustix::event::PollFd::new(
                    &input,
                    rustix::event::PollFlags::IN,
                )];
                rustix::event::poll(&mut wait, None).unwrap();
            }
            Appended::End => panic!("the pipe has ended"),
            _ => {}
        }
        let piece = spool.read(&mut cursor, &mut back).unwrap();
        let Piece::Bytes {
            range,
            damage: None,
        } = piece
        else {
            assert_eq!(piece, Piece::End);
            continue;
        };
        let bytes = &back[range];
        let whole = bytes.len().min(WRITE) / LINE * LINE;
        assert!(whole > 0, "a line was divided");
        output.write_all(&bytes[..whole]).unwrap();
        cursor.advance(whole as u64);
        let at = cursor.at();
        spool
            .set_place(
                "stdout",
                Place {
                    at,
                    record: at / LINE as u64,
                    begun: 0,
                },
            )
            .unwrap();
        if std::env::var_os(KEEP).is_none() {
            spool.release(u64::MAX).unwrap();
        }
    }
    drop(syncer);
    spool.close(false, u64::MAX).unwrap();
}

/// A run from one FIFO to another, over as many processes as it takes.
struct Run {
    home: tempfile::TempDir,
    feeder: Option<std::thread::JoinHandle<()>>,
    output: File,
    /// Held so that what lies in the input is not lost with a process.
    _input: File,
    /// The number that comes next, and how many came again.
    next: usize,
    repeated: usize,
    kills: usize,
    part: Vec<u8>,
}

impl Run {
    fn new() -> Run {
        let home = tempfile::tempdir().unwrap();
        for name in ["in", "out"] {
            let made = Command::new("mkfifo")
                .arg(home.path().join(name))
                .status()
                .unwrap();
            assert!(made.success());
        }
        let both = |name: &str| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(home.path().join(name))
                .unwrap()
        };
        let (input, output) = (both("in"), both("out"));
        rustix::io::ioctl_fionbio(&output, true).unwrap();
        let mut feed = input.try_clone().unwrap();
        let feeder = std::thread::spawn(move || {
            for n in 0..COUNT {
                // In one call, so that no reader sees half of one.
                let line = format!("{n:0width$}\n", width = LINE - 1);
                feed.write_all(line.as_bytes()).unwrap();
            }
        });
        Run {
            home,
            feeder: Some(feeder),
            output,
            _input: input,
            next: 0,
            repeated: 0,
            kills: 0,
            part: Vec::new(),
        }
    }

    fn start(&self, strace: Option<(&str, &str)>) -> Child {
        let this = std::env::current_exe().unwrap();
        let mut command = match strace {
            None => Command::new(&this),
            Some((calls, what)) => {
                let mut command = Command::new("strace");
                let trace = self.home.path().join("trace");
                command.args(["-f", "-qq", "-e", &format!("trace={calls}"), "-o"]);
                command.arg(trace);
                command.args(["-e", &format!("inject={what}")]);
                if what.contains(":error=") {
                    command.env(KEEP, "1");
                }
                command.arg(&this);
                command
            }
        };
        let name = format!("{}::process", module_path!().split_once("::").unwrap().1);
        command
            .args(["--exact", &name, "--test-threads=1", "--nocapture"])
            .env(HOME, self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(self.home.path().join("said")).unwrap())
            .spawn()
            .unwrap()
    }

    /// Reads what came, and judges it.
    fn judge(&mut self) {
        let mut buffer = vec![0; 100_000];
        while let Ok(n) = self.output.read(&mut buffer) {
            self.part.extend_from_slice(&buffer[..n]);
            let whole = self.part.len() / LINE * LINE;
            for line in self.part[..whole].chunks(LINE) {
                let number: usize = std::str::from_utf8(line).unwrap().trim().parse().unwrap();
                assert!(number <= self.next, "{} to {number} are missing", self.next);
                self.repeated += usize::from(number < self.next);
                self.next = self.next.max(number + 1);
            }
            self.part.drain(..whole);
        }
    }

    /// Waits for the process; whether it was killed.
    fn wait(&mut self, mut child: Child) -> bool {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            self.judge();
            if let Some(status) = child.try_wait().unwrap() {
                self.judge();
                self.kills += usize::from(!status.success());
                return !status.success();
            }
            assert!(
                Instant::now() < deadline,
                "it hangs at {} of {COUNT}",
                self.next
            );
            let mut wait = [rustix::event::PollFd::new(
                &self.output,
                rustix::event::PollFlags::IN,
            )];
            let tick = rustix::time::Timespec {
                tv_sec: 0,
                tv_nsec: 5_000_000,
            };
            let _ = rustix::event::poll(&mut wait, Some(&tick));
        }
    }

    /// Lets it run to its end, and gives the verdict.
    fn finish(mut self) {
        let child = self.start(None);
        let failed = self.wait(child);
        let said = std::fs::read_to_string(self.home.path().join("said")).unwrap();
        assert!(!failed, "a process that nobody killed has failed: {said}");
        self.feeder.take().unwrap().join().unwrap();
        assert_eq!(self.next, COUNT);
        assert!(self.part.is_empty());
        let most = self.kills * WRITE / LINE;
        assert!(self.repeated <= most, "{} lines came again", self.repeated);
    }
}

/// Every place for `DISK_TEST_KILLS=all`, else the first ones and some of the rest.
fn goes_on(when: usize) -> usize {
    if std::env::var("DISK_TEST_KILLS").is_ok_and(|kills| kills == "all") {
        when + 1
    } else {
        when + 1 + when / 2
    }
}

fn has_strace() -> bool {
    let version = Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .status();
    let has = version.is_ok_and(|status| status.success());
    if !has {
        super::skip("there is no strace here");
    }
    has
}

fn killed_at(call: &str) {
    if !has_strace() {
        return;
    }
    let mut when = 1;
    loop {
        let mut run = Run::new();
        let child = run.start(Some((call, &format!("{call}:signal=KILL:when={when}"))));
        let killed = run.wait(child);
        println!(
            "{call} {when}: {}",
            if killed { "killed" } else { "not reached" }
        );
        if !killed {
            assert!(when > 1, "{call} is never called");
            return run.finish();
        }
        run.finish();
        when = goes_on(when);
    }
}

macro_rules! killed {
    ($($name:ident $call:literal)*) => {$(
        #[test]
        fn $name() {
            killed_at($call);
        }
    )*};
}

killed! {
    no_number_is_missing_after_a_kill_at_a_splice "splice"
    no_number_is_missing_after_a_kill_at_a_write_to_the_output "write"
    no_number_is_missing_after_a_kill_at_a_write_to_the_spool "pwrite64"
    no_number_is_missing_after_a_kill_at_an_allocation "fallocate"
    no_number_is_missing_after_a_kill_at_a_sync "fdatasync"
    no_number_is_missing_after_a_kill_at_an_unlink "unlinkat"
    no_number_is_missing_after_a_kill_at_a_truncation "ftruncate"
    no_number_is_missing_after_a_kill_at_an_open "openat"
}

#[test]
fn no_number_is_missing_after_kills_at_any_time() {
    let mut run = Run::new();
    let mut seed = 12_345u64;
    for _ in 0..40 {
        let mut child = run.start(None);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let until = run.next + (seed >> 33) as usize % 600;
        let deadline = Instant::now() + Duration::from_secs(60);
        while run.next <= until && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline);
            run.judge();
        }
        let _ = child.kill();
        run.wait(child);
    }
    run.finish();
}

#[test]
fn what_a_sync_failed_to_force_to_the_disk_is_written_anew_and_nothing_is_missing() {
    if !has_strace() {
        return;
    }
    let mut anew = 0;
    for when in 1..7 {
        let mut run = Run::new();
        let what = format!("fdatasync:error=EIO:when={when}");
        let child = run.start(Some(("fdatasync,renameat", &what)));
        let failed = run.wait(child);
        let trace = std::fs::read_to_string(run.home.path().join("trace")).unwrap();
        let renamed = trace.matches(".stream.new\"").count();
        println!("fdatasync {when} fails: {renamed} segments written anew, failed: {failed}");
        anew += renamed;
        run.finish();
    }
    assert!(anew > 0);
}
