//! The two I/O threads and the kernel: reads, writes and waits around the core.
//!
//! The lock around the core is held for arithmetic only, never across a system call. Each thread
//! sleeps on its own bell, which whoever changed the core rings when the core says so.

pub mod append;
mod bell;
pub mod cut_through;
pub mod error;
pub mod fd;
pub mod inherited;
pub mod lookout;
pub mod memory;
mod sink;
mod source;
pub mod spill;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::core::drive::Access;
use crate::core::{Rules, Weir};
use bell::Bell;
use error::Failure;
use fd::{Port, Wanted};
use spill::{Spill, Spiller};

/// What the threads have to say to whoever started them.
#[derive(Debug)]
pub enum Event {
    /// The source thread can read no more; what is held is still being delivered.
    SourceFailed(Failure),
    /// Everything that was read has been written.
    Delivered,
    /// Writing failed.
    SinkFailed(Failure),
    /// Something that was shed could not be written down. Said once.
    SpillFailed(Failure),
    /// The process that reads our output has gone away: what is held can reach nobody.
    ConsumerLeft,
    /// The system has refused to write for that reason.
    ConsumerGone,
}

/// The core, with its lock and the bells of those who sleep until it has changed.
#[derive(Debug)]
pub struct Shared {
    core: Mutex<Weir>,
    source_bell: Bell,
    sink_bell: Bell,
    spill_bell: Bell,
    halt_bell: Bell,
}

impl Shared {
    fn new(rules: Rules) -> io::Result<Shared> {
        Ok(Shared {
            core: Mutex::new(Weir::new(rules, Instant::now())),
            source_bell: Bell::default(),
            sink_bell: Bell::beside_stream()?,
            spill_bell: Bell::default(),
            halt_bell: Bell::default(),
        })
    }

    /// Tells the core something, or asks it something, and wakes whom that concerns.
    pub fn tell<R>(&self, what: impl FnOnce(&mut Weir, Instant) -> R) -> R {
        let now = Instant::now();
        let (said, wakes) = {
            // A thread that panics ends the process, so a poisoned lock is never met for long.
            let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
            (what(&mut core, now), core.take_wakes())
        };
        if wakes.source {
            self.source_bell.ring();
        }
        if wakes.sink {
            self.sink_bell.ring();
        }
        if wakes.spill {
            self.spill_bell.ring();
        }
        if wakes.halt {
            self.halt_bell.ring();
        }
        said
    }

    /// Nothing moves any more when this returns, so that what the books say is final. Who is
    /// stuck in a call to the system is not waited for longer than this.
    pub fn halt(&self, patience: Duration) {
        let until = Instant::now() + patience;
        if !self.tell(|core, now| core.halt(now)) {
            self.halt_bell.wait(Some(until));
        }
    }
}

impl Access for Arc<Shared> {
    fn tell<R>(&self, what: impl FnOnce(&mut Weir, Instant) -> R) -> R {
        Shared::tell(self, what)
    }
}

/// Where the bytes come from.
#[derive(Debug)]
pub enum Input {
    /// Standard input, looked at before the start.
    Ready(Port),
    /// A file, opened when its turn comes.
    File(PathBuf),
}

/// Starts the threads. What they have to say comes through the receiver.
///
/// # Errors
/// When the system refuses a thread.
pub fn start(
    rules: Rules,
    inputs: Vec<Input>,
    output: Port,
    (pipe_size, fit_pipe): (Option<Wanted>, bool),
    spill: Option<Spill>,
) -> io::Result<(Arc<Shared>, Receiver<Event>, Option<Spiller>)> {
    let shared = Arc::new(Shared::new(rules)?);
    let (events, listener) = unbounded();
    let beside = output.clone();
    if output.can_hang_up() {
        let (port, events) = (output.clone(), events.clone());
        thread::Builder::new()
            .name("watcher".into())
            .spawn(move || watch_consumer(&port, &events))?;
    }
    let spiller = spill
        .map(|spill| spill.start(&shared, events.clone()))
        .transpose()?;
    let sink = sink::Sink::new(shared.clone(), output, events.clone(), fit_pipe);
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
    Ok((shared, listener, spiller))
}

/// Says when the consumer has gone away, however silent the producer and whatever the other
/// threads are waiting for.
fn watch_consumer(output: &Port, events: &Sender<Event>) {
    if output.wait_hang_up().is_ok() {
        let _ = events.send(Event::ConsumerLeft);
    }
}
