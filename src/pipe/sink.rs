//! The sink thread: the world in which the consumer's driver writes and waits.

use std::io;
use std::mem;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::Sender;

use super::capacity::Wanted;
use super::consumer_port::{ConsumerPort, Grip};
use super::error::PipeError;
use super::shared::{Event, Shared};
use crate::engine::CONSUMER;
use crate::engine::action::{Actor, For, Wait, Write};
use crate::engine::drive::{Driver, Edge, End};
use crate::engine::on_disk::Load;
use crate::engine::scan::Run;

/// What it takes to start the thread, once for each consumer.
#[derive(Debug)]
pub(crate) struct Sinks {
    pub(super) shared: Arc<Shared>,
    pub(super) consumer_port: ConsumerPort,
    pub(super) events: Sender<Event>,
    pub(super) pipe_size: Option<Wanted>,
}

impl Sinks {
    /// Starts a thread for the consumer that there is; `is_sized`: its pipe has the usual size.
    ///
    /// # Errors
    /// When the system refuses one.
    pub(crate) fn start(&self, is_sized: bool) -> io::Result<JoinHandle<()>> {
        if let Some(output) = self.consumer_port.port() {
            let pipe = match self.pipe_size {
                Some(Wanted::AtLeast(size)) if output.is_pipe() => Some((size, is_sized)),
                _ => None,
            };
            let blocks = output.may_block();
            self.shared
                .update_and_wake(|engine, now| engine.on_output_begin(blocks, pipe, now));
        }
        let sink = Sink {
            shared: self.shared.clone(),
            output: self.consumer_port.grip(),
            events: self.events.clone(),
            has_told: false,
        };
        let thread = thread::Builder::new().name("sink".into());
        thread.spawn(move || sink.run())
    }
}

/// The thread's own things.
struct Sink {
    shared: Arc<Shared>,
    output: Grip,
    events: Sender<Event>,
    /// It was said that the consumer has all.
    has_told: bool,
}

impl Sink {
    /// Writes until everything is delivered or nothing more can be.
    fn run(mut self) {
        let shared = self.shared.clone();
        let end = Driver::new(Actor::Output(0)).run(&shared, &mut self);
        let _ = self.events.send(match end {
            End::Write(e) if e.kind() == io::ErrorKind::BrokenPipe => Event::ConsumerGone,
            End::Write(e) => {
                let name = self.output.port().map_or("", |port| port.name());
                Event::SinkFailed(PipeError::new("write", name, e))
            }
            End::Disk(e) => Event::SinkFailed(PipeError::disk(e)),
            // The consumer has ended, which others have said.
            _ if !self
                .shared
                .update_and_wake(|engine, _| engine.is_finished()) =>
            {
                return;
            }
            _ => Event::Delivered,
        });
    }
}

impl Edge for Sink {
    fn write(&mut self, write: &Write) -> io::Result<Option<usize>> {
        let output = self.output.port();
        let output = output.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(write.with_slices(|slices| output.write_now(slices))?)
    }

    fn unread(&mut self) -> Option<u64> {
        self.output.port()?.unread()
    }

    fn fetch(&mut self, load: &mut Load) -> io::Result<()> {
        self.shared.fetch(CONSUMER, load)
    }

    fn remember(&mut self, to: u64, run: Run) -> io::Result<()> {
        self.shared.remember(CONSUMER, to, run)
    }

    fn fit(&mut self, size: usize) -> bool {
        self.output.port().is_none_or(|port| port.fit_pipe(size))
    }

    fn wait(&mut self, Wait { sleep, version }: Wait) -> Option<io::Result<bool>> {
        let waker = &self.shared.sink;
        if sleep.what == For::Room
            && let Some(output) = self.output.port()
        {
            let room = waker.wait_writable(version, output, sleep.until);
            return Some(room.map_err(Into::into));
        }
        self.output.let_go();
        if sleep.what == For::Others && !mem::replace(&mut self.has_told, true) {
            self.output.give_up();
            let _ = self.events.send(Event::ConsumerHasAll);
        }
        waker.wait(version, sleep.until);
        Some(Ok(false))
    }
}
