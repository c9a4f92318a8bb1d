//! The two I/O threads and the kernel: reads, writes and waits around the engine.
//!
//! The lock around the engine is held for arithmetic only, never across a system call. Each thread
//! sleeps on its own waker, by which whoever changed the engine wakes it when the engine says so.

pub(crate) mod append;
pub(crate) mod error;
pub(crate) mod fan_out;
pub(crate) mod fd;
pub(crate) mod inherited;
pub(crate) mod memory;
pub(crate) mod overflow;
pub(crate) mod peek;
mod sink;
mod source;
pub(crate) mod splice;
mod waker;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::engine::drive::Access;
use crate::engine::fan_out::Role;
use crate::engine::limiter::SharedCap;
use crate::engine::{Engine, Rules};
use crate::units::Unit;
use error::PipeError;
use fan_out::{Branch, Branches};
use fd::{Port, Wanted};
use overflow::{OverflowFile, OverflowThread};
use waker::Waker;

/// What the threads have to say to whoever started them.
#[derive(Debug)]
pub(crate) enum Event {
    /// The source thread can read no more; what is held is still being delivered.
    SourceFailed(PipeError),
    /// Everything that was read has been written.
    Delivered,
    /// Writing failed.
    SinkFailed(PipeError),
    /// A tee or a tap has failed. Said once for each.
    OutputFailed(PipeError),
    /// Something that was shed could not be written down. Said once.
    OverflowFailed(PipeError),
    /// The process that reads our output has gone away: what is held can reach nobody.
    ConsumerLeft,
    /// The system has refused to write for that reason.
    ConsumerGone,
}

/// The engine, with its lock and the wakers of those who sleep until it has changed.
#[derive(Debug)]
pub(crate) struct Shared {
    engine: Mutex<Engine>,
    source: Waker,
    sink: Waker,
    overflow: Waker,
    /// Those of tees and taps, by their numbers.
    sides: Vec<(usize, Waker)>,
    quiet: (Mutex<u64>, Condvar),
}

impl Shared {
    fn new(
        rules: Rules,
        branches: &[Branch],
        caps: Vec<(Unit, Box<dyn SharedCap>)>,
    ) -> io::Result<Shared> {
        let now = Instant::now();
        let mut engine = Engine::new(rules, now);
        for (unit, cap) in caps {
            engine.share(unit, cap, now);
        }
        let mut sides = Vec::new();
        for branch in branches {
            let waker = match branch.role {
                Role::Tee => Waker::default(),
                Role::Tap(_) => Waker::beside_stream()?,
            };
            sides.push((engine.add_side(branch.role, branch.is_vacant()), waker));
        }
        Ok(Shared {
            sides,
            engine: Mutex::new(engine),
            source: Waker::default(),
            sink: Waker::beside_stream()?,
            overflow: Waker::default(),
            quiet: Default::default(),
        })
    }

    /// Tells the engine something, or asks it something, and wakes whom that concerns.
    pub(crate) fn tell<R>(&self, what: impl FnOnce(&mut Engine, Instant) -> R) -> R {
        let (said, wakes) = {
            // A thread that panics ends the process, so a poisoned lock is never met for long.
            let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
            // Behind the lock: nobody tells a time that somebody else has left behind.
            let now = Instant::now();
            (what(&mut engine, now), engine.take_wakes())
        };
        if let Some(version) = wakes.source {
            self.source.wake(version);
        }
        for (waker, version) in [&self.sink, &self.overflow].into_iter().zip(wakes.outputs) {
            if let Some(version) = version {
                waker.wake(version);
            }
        }
        for (i, version) in wakes.sides {
            self.side(i).wake(version);
        }
        if let Some(number) = wakes.quiet {
            let mut quiet = self.quiet.0.lock().unwrap_or_else(PoisonError::into_inner);
            *quiet = number.max(*quiet);
            self.quiet.1.notify_all();
        }
        said
    }

    /// The waker of the tee or tap of this number.
    fn side(&self, i: usize) -> &Waker {
        let found = self.sides.iter().find(|(number, _)| *number == i);
        found.map_or(&self.overflow, |(_, waker)| waker)
    }

    /// Nothing moves any more when this returns, so that what the books say is final. Who is
    /// stuck in a call to the system is not waited for longer than this.
    pub(crate) fn halt(&self, patience: Duration) {
        self.until_quiet(patience, Engine::halt);
    }

    /// What a change forbids is not on its way any more when this returns. Who is stuck in a call to
    /// the system is not waited for longer than this.
    pub(crate) fn settle(&self, patience: Duration) {
        self.until_quiet(patience, |engine, _| engine.want_quiet());
    }

    fn until_quiet(
        &self,
        patience: Duration,
        what: impl FnOnce(&mut Engine, Instant) -> Option<u64>,
    ) {
        if let Some(number) = self.tell(what) {
            let (quiet, changed) = (&self.quiet.0, &self.quiet.1);
            let quiet = quiet.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = changed.wait_timeout_while(quiet, patience, |quiet| *quiet < number);
        }
    }
}

impl Access for Arc<Shared> {
    fn tell<R>(&self, what: impl FnOnce(&mut Engine, Instant) -> R) -> R {
        Shared::tell(self, what)
    }
}

/// Where the bytes come from.
#[derive(Debug)]
pub(crate) enum Input {
    /// Standard input, looked at before the start.
    Ready(Port),
    /// A file, opened when its turn comes.
    File(PathBuf),
}

/// What runs.
#[derive(Debug)]
pub(crate) struct Started {
    /// The engine.
    pub shared: Arc<Shared>,
    /// What its threads have to say.
    pub events: Receiver<Event>,
    /// Who writes down what is shed.
    pub overflow_thread: Option<OverflowThread>,
    /// The tees and taps.
    pub branches: Branches,
}

/// Starts the threads; `caps` on the output are shared with others. What they have to say comes through the receiver.
///
/// # Errors
/// When the system refuses a thread.
pub(crate) fn start(
    rules: Rules,
    caps: Vec<(Unit, Box<dyn SharedCap>)>,
    inputs: Vec<Input>,
    output: Port,
    pipe_size: Option<Wanted>,
    overflow: Option<OverflowFile>,
    branches: Vec<Branch>,
) -> io::Result<Started> {
    let shared = Arc::new(Shared::new(rules, &branches, caps)?);
    let (events, listener) = unbounded();
    let beside = output.clone();
    if output.can_hang_up() {
        let (port, events) = (output.clone(), events.clone());
        thread::Builder::new()
            .name("watcher".into())
            .spawn(move || watch_consumer(&port, &events))?;
    }
    let overflow_thread = overflow
        .map(|file| file.start(&shared, events.clone()))
        .transpose()?;
    let numbers = shared.sides.iter().map(|(i, _)| *i);
    let branches = numbers.zip(branches).collect();
    let branches = fan_out::start(branches, &shared, &events)?;
    let pipe = match pipe_size {
        Some(Wanted::AtLeast(size)) if output.is_pipe() => Some((size, !rules.is_fresh())),
        _ => None,
    };
    shared.tell(|engine, _| engine.on_output_begin(output.may_block(), pipe));
    let sink = sink::Sink::new(shared.clone(), output, events.clone());
    thread::Builder::new()
        .name("sink".into())
        .spawn(move || sink.run())?;
    let source = source::Source::new(
        shared.clone(),
        inputs,
        beside,
        events,
        rules.framing,
        pipe_size,
    );
    thread::Builder::new()
        .name("source".into())
        .spawn(move || source.run())?;
    Ok(Started {
        shared,
        events: listener,
        overflow_thread,
        branches,
    })
}

/// Says when the consumer has gone away, however silent the producer and whatever the other
/// threads are waiting for.
fn watch_consumer(output: &Port, events: &Sender<Event>) {
    if output.wait_hang_up().is_ok() {
        let _ = events.send(Event::ConsumerLeft);
    }
}
