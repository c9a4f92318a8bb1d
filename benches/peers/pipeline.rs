//! Starts a pipeline, watches over it, and accounts for each of its processes.
//!
//! Whatever happens, no process outlives its [`Pipeline`]: a watchdog kills them all when the time
//! limit is over, and so does dropping it. Standard input of the first is an empty pipe, standard
//! output of the last is read by the benchmark, standard error of each goes to a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use wait4::Wait4;

use crate::spec::{Skip, Spec};

/// How a process ended and what it used.
#[derive(Clone, Copy)]
pub(crate) struct Done {
    /// User and system time, of all its threads.
    pub cpu: Duration,
    /// Its exit status.
    pub status: ExitStatus,
}

struct Stage {
    child: Child,
    handle: Arc<OwnedFd>,
    stderr: File,
    done: Option<Done>,
}

/// A pipeline that runs.
pub(crate) struct Pipeline {
    stages: Vec<Stage>,
    output: BufReader<PipeReader>,
    started: Instant,
    expired: Arc<AtomicBool>,
    _watchdog: Sender<()>,
}

/// A pipeline that has ended.
pub(crate) struct Outcome {
    /// From the start of the first process to the end of the last.
    pub wall: Duration,
    /// What the last process printed.
    pub output: String,
    /// Each process, in order.
    pub done: Vec<Done>,
    /// Standard error of each.
    pub stderr: Vec<String>,
    /// Did the watchdog have to end it?
    pub expired: bool,
}

impl Pipeline {
    /// Starts `specs`, each reading what the one before writes.
    pub(crate) fn start(specs: &[Spec], limit: Duration) -> Result<Self, Skip> {
        let (mut input, _) = io::pipe()?;
        let started = Instant::now();
        let mut stages: Vec<Stage> = Vec::new();
        let expired = Arc::new(AtomicBool::new(false));
        for spec in specs {
            let (next, output) = io::pipe()?;
            match start_one(spec, input, output) {
                Ok(stage) => stages.push(stage),
                Err(error) => {
                    stages.iter_mut().for_each(Stage::end);
                    return Err(Skip::Failed(format!("{}: {error}", spec.program.display())));
                }
            }
            input = next;
        }
        let handles = stages
            .iter()
            .map(|stage| Arc::clone(&stage.handle))
            .collect();
        let watchdog = watch(handles, limit, Arc::clone(&expired));
        Ok(Self {
            stages,
            output: BufReader::new(input),
            started,
            expired,
            _watchdog: watchdog,
        })
    }

    /// The process at `place`, counted from 0.
    pub(crate) fn pid(&self, place: usize) -> u32 {
        self.stages[place].child.id()
    }

    /// Sends a signal to the process at `place`.
    pub(crate) fn signal(&self, place: usize, signal: Signal) -> Result<(), Skip> {
        let sent = pidfd_send_signal(&self.stages[place].handle, signal);
        sent.map_err(|error| Skip::Failed(format!("signal: {error}")))
    }

    /// Waits for the end of the process at `place`.
    pub(crate) fn wait(&mut self, place: usize) -> io::Result<Done> {
        self.stages[place].wait()
    }

    /// Time since the start of the first process.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits for one line from the last process.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line)
    }

    /// Waits for all to end by themselves.
    pub(crate) fn finish(self) -> Result<Outcome, Skip> {
        self.collect(false)
    }

    /// Waits for the last to end and ends the others then.
    pub(crate) fn cut(self) -> Result<Outcome, Skip> {
        self.collect(true)
    }

    fn collect(mut self, cut: bool) -> Result<Outcome, Skip> {
        let mut output = String::new();
        self.output.read_to_string(&mut output)?;
        if let Some(last) = self.stages.last_mut() {
            last.wait()?;
        }
        let wall = self.started.elapsed();
        if cut {
            self.stages.iter_mut().for_each(Stage::end);
        }
        let done = self
            .stages
            .iter_mut()
            .map(Stage::wait)
            .collect::<io::Result<_>>()?;
        let stderr = self
            .stages
            .iter_mut()
            .map(Stage::said)
            .collect::<io::Result<_>>()?;
        let expired = self.expired.load(Ordering::Relaxed);
        Ok(Outcome {
            wall,
            output,
            done,
            stderr,
            expired,
        })
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stages.iter_mut().for_each(Stage::end);
    }
}

impl Stage {
    fn wait(&mut self) -> io::Result<Done> {
        if let Some(done) = self.done {
            return Ok(done);
        }
        let used = self.child.wait4()?;
        let done = Done {
            cpu: used.rusage.utime + used.rusage.stime,
            status: used.status,
        };
        self.done = Some(done);
        Ok(done)
    }

    fn end(&mut self) {
        if self.done.is_none() {
            // Too late is as good as in time.
            let _ = pidfd_send_signal(&self.handle, Signal::KILL);
            let _ = self.wait();
        }
    }

    fn said(&mut self) -> io::Result<String> {
        let mut said = Vec::new();
        self.stderr.rewind()?;
        self.stderr.read_to_end(&mut said)?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

fn start_one(spec: &Spec, input: PipeReader, output: io::PipeWriter) -> io::Result<Stage> {
    let stderr = tempfile::tempfile()?;
    let mut child = Command::new(&spec.program)
        .args(&spec.args)
        .envs(spec.env.iter().cloned())
        .stdin(input)
        .stdout(output)
        .stderr(stderr.try_clone()?)
        .spawn()?;
    let opened = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
    match opened {
        Ok(handle) => Ok(Stage {
            child,
            handle: Arc::new(handle),
            stderr,
            done: None,
        }),
        Err(error) => {
            child.kill()?;
            child.wait()?;
            Err(error.into())
        }
    }
}

fn watch(handles: Vec<Arc<OwnedFd>>, limit: Duration, expired: Arc<AtomicBool>) -> Sender<()> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        if receiver.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            expired.store(true, Ordering::Relaxed);
            for handle in handles {
                let _ = pidfd_send_signal(&handle, Signal::KILL);
            }
        }
    });
    sender
}

impl Outcome {
    /// Judges the process at `place`: it must have ended well, and in time. `cut` allows it to have been ended
    /// by a signal, as happens when the consumer leaves first.
    pub(crate) fn check(&self, place: usize, is_weir: bool, cut: bool) -> Result<(), Skip> {
        let status = self.done[place].status;
        let said = self.stderr[place].lines().next().unwrap_or_default();
        match (status.code(), status.signal()) {
            (Some(2), _) if is_weir => Err(Skip::NotBuilt),
            _ if self.expired => Err(Skip::Failed("time limit".to_owned())),
            (Some(0), _) => Ok(()),
            // Peers end as they like when their consumer leaves.
            (Some(_), _) if cut && !is_weir => Ok(()),
            (Some(code), _) => Err(Skip::Failed(format!("exit status {code}: {said}"))),
            // Its consumer left (SIGPIPE), or we ended it (SIGKILL): any other signal is a crash.
            (None, Some(9 | 13)) if cut => Ok(()),
            (None, signal) => Err(Skip::Failed(format!("ended by signal {signal:?}: {said}"))),
        }
    }

    /// The figure that the process at `place` reported as `key=value` on standard error.
    pub(crate) fn reported(&self, place: usize, key: &str) -> Option<f64> {
        field(&self.stderr[place], key)
    }

    /// The same from the output of the last process.
    pub(crate) fn printed(&self, key: &str) -> Option<f64> {
        field(&self.output, key)
    }
}

fn field(text: &str, key: &str) -> Option<f64> {
    let value = |word: &str| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok();
    text.split_whitespace().find_map(value)
}

/// The most memory that a process has held, in 10^6 bytes. Unlike what is told of a child at its end, it does not
/// count what its parent held before.
pub(crate) fn high_water(pid: u32) -> Option<f64> {
    memory(pid, "VmHWM:")
}

/// The memory that is a process's own, in 10^6 bytes: without the pages of programs and libraries, which all who run
/// them share, and which the system may drop and read again.
pub(crate) fn own_memory(pid: u32) -> Option<f64> {
    memory(pid, "RssAnon:")
}

fn memory(pid: u32, field: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
