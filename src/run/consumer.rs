//! The program that weir runs as its consumer, as the main thread knows it: how it is started, taken back from, and
//! put down.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, never, select};
use nix::sys::signal::SigSet;

use super::error::{StartError, system};
use crate::command::child::{Child, Exit};
use crate::command::line::CommandLine;
use crate::command::spawn;
use crate::command::unread::{open_reader, take_out};
use crate::config::Config;
use crate::control::signals::{self, Received, SIGTERM};
use crate::engine::restart::{Breaker, RestartRules};
use crate::pipe::Sinks;
use crate::pipe::capacity::Wanted;
use crate::pipe::consumer_port::ConsumerPort;
use crate::pipe::fd::Port;

/// How long a program that was told to end may take for it.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// How to start the program.
struct Launch {
    line: CommandLine,
    /// The signals that it finds blocked.
    mask: SigSet,
    /// What to ask for on its pipe.
    pipe_size: Option<Wanted>,
    /// What makes each run's number one of its own.
    stamp: String,
    /// Runs so far.
    runs: u64,
}

/// What there is where it is run again.
pub(super) struct Restarts {
    pub breaker: Breaker,
    /// Who writes to it, and how to have another one.
    pub threads: Option<(Sinks, JoinHandle<()>)>,
    /// When it is run again.
    pub due: Option<Instant>,
    /// What all before it had read, when it was started.
    pub before: u64,
    /// That was said of it.
    pub cannot_be_run: bool,
    /// When one that stalls is ended by force.
    pub kill_at: Option<Instant>,
}

/// The program, and what it was told.
pub(super) struct Consumer {
    launch: Launch,
    pub child: Child,
    pub exits: Receiver<Exit>,
    /// What it has not read is taken back from it.
    keeps_given: bool,
    /// A way to that: where there is no other, and at its end.
    reader: Option<OwnedFd>,
    /// Who writes to it, where it is run once and what it has not read is taken back.
    pub thread: Option<JoinHandle<()>>,
    /// It was given the end of the input.
    pub is_fed: bool,
    /// It has been waited for.
    pub has_ended: bool,
    /// It was told to end because it had taken nothing for so long.
    pub stalled_for: Option<Duration>,
    /// The last signal from the terminal, or from somebody in its place.
    pub interrupted: Option<i32>,
    /// When to read on after that.
    pub goes_on: Option<Instant>,
    pub restarts: Option<Restarts>,
}

/// Starts the program. What it reads is the port of the consumer.
///
/// # Errors
/// When it cannot be run.
pub(super) fn start(
    line: &CommandLine,
    config: &Config,
    mask: SigSet,
) -> Result<(ConsumerPort, Consumer), StartError> {
    signals::listen_for_ends_of_children().map_err(system)?;
    let now = Instant::now();
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut launch = Launch {
        line: line.clone(),
        mask,
        pipe_size: config
            .pipe_sizes()
            .to_consumer
            .filter(|_| !config.is_kept_small()),
        stamp: format!("{}-{:x}", std::process::id(), since.as_micros()),
        runs: 0,
    };
    let restarts = |rules: RestartRules| Restarts {
        breaker: Breaker::new(rules, since.as_nanos() as u64, now),
        threads: None,
        due: None,
        before: 0,
        cannot_be_run: false,
        kill_at: None,
    };
    let restarts = config.restart.map(restarts);
    let keeps_given = config.rules.keeps_given;
    let (port, child, exits, spare) = launch.run(1, 0, keeps_given)?;
    let consumer = Consumer {
        launch,
        exits,
        child,
        keeps_given,
        reader: spare,
        thread: None,
        is_fed: false,
        has_ended: false,
        stalled_for: None,
        interrupted: None,
        goes_on: None,
        restarts,
    };
    Ok((ConsumerPort::of_command(port), consumer))
}

/// Our end of its pipe, the program, how it ends, and the other end of the pipe where that is to be kept.
type Launched = (Port, Child, Receiver<Exit>, Option<OwnedFd>);

impl Launch {
    /// Runs it once more; `before` is the number of records that have been read by others.
    fn run(&mut self, trial: u32, before: u64, is_kept: bool) -> Result<Launched, StartError> {
        let (theirs, ours) = io::pipe().map_err(system)?;
        let port = Port::to_command(ours.into(), &self.line.name())?;
        if let Some(size) = self.pipe_size {
            port.ask_pipe_size(size);
        }
        self.runs += 1;
        let variables = [
            ("WEIR_BATCH", Some(format!("{}-{}", self.stamp, self.runs))),
            ("WEIR_TRY", Some(trial.to_string())),
            ("WEIR_FIRST", Some((before + 1).to_string())),
            ("WEIR_RECORDS", None),
            ("WEIR_BYTES", None),
        ];
        let child = spawn::spawn(&self.line, theirs.as_fd(), &self.mask, &variables)?;
        let exits = child.watch().inspect_err(|_| {
            child.signal(SIGTERM);
            let _ = child.wait();
        });
        // Kept where there is no other way to what lies in it, or nobody would see that all readers have gone.
        let spare = is_kept && open_reader(&port).is_none();
        let spare = spare.then(|| theirs.into());
        Ok((port, child, exits.map_err(system)?, spare))
    }
}

impl Consumer {
    /// Starts another one; its pipe is the port of the consumer then.
    ///
    /// # Errors
    /// When it cannot be run.
    pub(super) fn start_again(
        &mut self,
        consumer_port: &ConsumerPort,
        before: u64,
    ) -> Result<(), StartError> {
        let restarts = self.restarts.as_ref();
        let trial = restarts.map_or(1, |it| it.breaker.failures().saturating_add(1));
        let (port, child, exits, spare) = self.launch.run(trial, before, true)?;
        consumer_port.replace(port);
        (self.child, self.exits, self.reader) = (child, exits, spare);
        (self.is_fed, self.has_ended) = (false, false);
        self.stalled_for = None;
        Ok(())
    }

    /// The program is to see the end of what it gets.
    pub(super) fn feed_end(&mut self, consumer_port: &ConsumerPort) {
        self.close(consumer_port);
        self.is_fed = true;
    }

    /// Nothing more is written to it; what it has not read can still be taken back.
    pub(super) fn close(&mut self, consumer_port: &ConsumerPort) {
        if self.keeps_given && self.reader.is_none() {
            self.reader = consumer_port.port().as_ref().and_then(open_reader);
        }
        consumer_port.close();
    }

    /// Who writes to it, who has been told to stop, to be waited for. And how to have another one, where it is run again.
    pub(super) fn take_threads(&mut self) -> (Option<Sinks>, Vec<JoinHandle<()>>) {
        let restarted = self.restarts.as_mut().and_then(|it| it.threads.take());
        let (sinks, thread) = restarted.unzip();
        let threads = thread.into_iter().chain(self.thread.take());
        (sinks, threads.collect())
    }

    /// Whether what it has not read is taken back from it.
    pub(super) fn keeps_given(&self) -> bool {
        self.keeps_given
    }

    /// How much lies unread in its pipe, where ours is closed already.
    pub(super) fn unread_bytes(&self) -> Option<u64> {
        rustix::io::ioctl_fionread(self.reader.as_ref()?).ok()
    }

    /// Takes out of its pipe what it has not read, and says how much that was. Nobody else gets any of it: children
    /// of its own may still be reading.
    pub(super) fn empty(&mut self, consumer_port: &ConsumerPort) -> u64 {
        let port = consumer_port.port();
        let reader = self.reader.take();
        let Some(reader) = reader.or_else(|| port.as_ref().and_then(open_reader)) else {
            return 0;
        };
        take_out(&reader)
    }

    /// Whether it runs.
    pub(super) fn runs(&self) -> bool {
        !self.has_ended && self.waits().is_none()
    }

    /// Whether none is running, and when one is again.
    pub(super) fn waits(&self) -> Option<Instant> {
        self.restarts.as_ref()?.due
    }

    /// Ends it, by this signal or, if it takes its time, by one that cannot be refused. A further signal that is heard, as
    /// `is_impatient` tells, makes it quick.
    pub(super) fn put_down(
        &mut self,
        by: i32,
        signals: &Receiver<Received>,
        mut is_impatient: impl FnMut(Received) -> bool,
    ) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        self.child.signal(by);
        let late = after(LAST_WAIT);
        let mut signals = signals.clone();
        loop {
            select! {
                recv(self.exits) -> _ => return,
                recv(late) -> _ => break,
                recv(signals) -> signal => match signal.map(&mut is_impatient) {
                    Ok(true) => break,
                    Ok(false) => {}
                    // Nobody is left who could send one: that is always ready.
                    Err(_) => signals = never(),
                },
            }
        }
        self.child.signal(signals::SIGKILL);
        let _ = self.exits.recv();
    }

    /// One that has stalled for so long is to end, so that another one can take its place. Whether it had not been told
    /// that yet.
    pub(super) fn end_stalled(&mut self, time: Duration) -> bool {
        match &mut self.restarts {
            Some(restarts) if restarts.kill_at.is_none() => {
                self.stalled_for = Some(time);
                self.child.signal(SIGTERM);
                restarts.kill_at = Instant::now().checked_add(LAST_WAIT);
                true
            }
            _ => false,
        }
    }

    /// When to look at it again, if ever.
    pub(super) fn due(&self) -> Option<Instant> {
        let kill_at = self.restarts.as_ref().and_then(|it| it.kill_at);
        self.goes_on.into_iter().chain(kill_at).min()
    }

    /// Ends it by force, if it is time.
    pub(super) fn look_whether_it_stalls(&mut self) {
        if let Some(restarts) = &mut self.restarts
            && restarts.kill_at.is_some_and(|at| at <= Instant::now())
        {
            restarts.kill_at = None;
            self.child.signal(signals::SIGKILL);
        }
    }
}
