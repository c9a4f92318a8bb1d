//! The sink thread: the world in which the consumer's driver writes and waits.

use std::io;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::error::PipeError;
use super::fd::Port;
use super::shared::{Event, Shared};
use crate::engine::action::{Actor, For, Wait, Write};
use crate::engine::drive::{Driver, Edge, End, Turn};

/// The thread's own things.
pub(super) struct Sink {
    shared: Arc<Shared>,
    output: Port,
    events: Sender<Event>,
}

impl Sink {
    pub(super) fn new(shared: Arc<Shared>, output: Port, events: Sender<Event>) -> Sink {
        Sink {
            shared,
            output,
            events,
        }
    }

    /// Writes until everything is delivered or nothing more can be.
    pub(super) fn run(mut self) {
        let mut driver = Driver::new(Actor::Output(0));
        let shared = self.shared.clone();
        let end = loop {
            if let Turn::Over(end) = driver.step(&shared, &mut self) {
                break end;
            }
        };
        let _ = self.events.send(match end {
            End::Write(e) if e.kind() == io::ErrorKind::BrokenPipe => Event::ConsumerGone,
            End::Write(e) => Event::SinkFailed(PipeError::new("write", self.output.name(), e)),
            _ => Event::Delivered,
        });
    }
}

impl Edge for Sink {
    fn write(&mut self, write: &Write) -> io::Result<Option<usize>> {
        Ok(self.output.write_now(&write.slices().collect::<Vec<_>>())?)
    }

    fn fit(&mut self, size: usize) -> bool {
        self.output.fit_pipe(size)
    }

    fn wait(&mut self, Wait { sleep, version }: Wait) -> Option<io::Result<bool>> {
        let waker = &self.shared.sink;
        if sleep.what == For::Room {
            let room = waker.wait_writable(version, &self.output, sleep.until);
            return Some(room.map_err(Into::into));
        }
        waker.wait(version, sleep.until);
        Some(Ok(false))
    }
}
