//! The sink thread: the world in which the sink's driver writes and waits.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::error::Failure;
use super::fd::Port;
use super::{Event, Shared};
use crate::core::drive::{SinkDriver, SinkEdge, SinkEnd, Turn};

/// How soon to try again when a pipe cannot be made smaller because it holds too much.
const AGAIN: Duration = Duration::from_millis(1);
/// The same for a consumer that does not move: what lies in its pipe keeps it busy for a while.
const AGAIN_MOST: Duration = Duration::from_millis(64);

/// The thread's own things.
pub struct Sink {
    shared: Arc<Shared>,
    output: Port,
    events: Sender<Event>,
    /// Whether the pipe's size is ours to choose as we go.
    fit_pipe: bool,
    again: Duration,
}

impl Sink {
    pub fn new(shared: Arc<Shared>, output: Port, events: Sender<Event>, fit_pipe: bool) -> Sink {
        Sink {
            shared,
            output,
            events,
            fit_pipe,
            again: AGAIN,
        }
    }

    /// Writes until everything is delivered or nothing more can be.
    pub fn run(mut self) {
        let mut driver = SinkDriver::default();
        let shared = self.shared.clone();
        let end = loop {
            if let Turn::Over(end) = driver.step(&shared, &mut self) {
                break end;
            }
        };
        let _ = self.events.send(match end {
            SinkEnd::Delivered => Event::Delivered,
            SinkEnd::Write(e) if e.kind() == io::ErrorKind::BrokenPipe => Event::ConsumerGone,
            SinkEnd::Write(e) => Event::SinkFailed(Failure::new("write", self.output.name(), e)),
        });
    }
}

impl SinkEdge for Sink {
    fn may_block(&self) -> bool {
        self.output.may_block()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        Ok(self.output.write_now(bytes)?)
    }

    fn fit(&mut self, pipe: usize) -> Option<Instant> {
        if self.fit_pipe && !self.output.fit_pipe(pipe) {
            let again = Instant::now() + self.again;
            self.again = (self.again * 2).min(AGAIN_MOST);
            return Some(again);
        }
        self.again = AGAIN;
        None
    }

    fn await_bell(&mut self, until: Option<Instant>) -> Option<()> {
        self.shared.sink_bell.wait(until);
        Some(())
    }

    fn await_room(&mut self, until: Option<Instant>) -> Option<io::Result<bool>> {
        let room = self.shared.sink_bell.wait_writable(&self.output, until);
        Some(room.map_err(Into::into))
    }
}
