//! The sink thread: the world in which the consumer's driver writes and waits.

use std::io;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::error::PipeError;
use super::outlet::{Grip, Outlet};
use super::shared::{Event, Shared};
use crate::engine::action::{Actor, For, Wait, Write};
use crate::engine::drive::{Driver, Edge, End, Turn};

/// The thread's own things.
pub(super) struct Sink {
    shared: Arc<Shared>,
    output: Grip,
    events: Sender<Event>,
}

impl Sink {
    pub(super) fn new(shared: Arc<Shared>, output: &Outlet, events: Sender<Event>) -> Sink {
        Sink {
            shared,
            output: output.grip(),
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
            End::Write(e) => {
                let name = self.output.port().map_or("", |port| port.name());
                Event::SinkFailed(PipeError::new("write", name, e))
            }
            _ => Event::Delivered,
        });
    }
}

impl Edge for Sink {
    fn write(&mut self, write: &Write) -> io::Result<Option<usize>> {
        let output = self.output.port();
        let output = output.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(output.write_now(&write.slices().collect::<Vec<_>>())?)
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
        waker.wait(version, sleep.until);
        Some(Ok(false))
    }
}
