//! The sink thread: gives to the consumer what the core permits, out of the ring.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rustix::io::Errno;

use super::error::Failure;
use super::fd::Port;
use super::{Event, Shared};
use crate::core::ring::Hand;
use crate::core::{Leave, WriteStep};

/// How soon to try again when a pipe cannot be made smaller because it holds too much.
const AGAIN: Duration = Duration::from_millis(1);
/// The same for a consumer that does not move: what lies in its pipe keeps it busy for a while.
const AGAIN_MOST: Duration = Duration::from_millis(64);

/// The thread's own things.
pub struct Sink {
    shared: Arc<Shared>,
    output: Port,
    events: Sender<Event>,
    hand: Hand,
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
            hand: Hand::default(),
            fit_pipe,
            again: AGAIN,
        }
    }

    /// Writes until everything is delivered or nothing more can be.
    pub fn run(mut self) {
        let mut room = false;
        let end = loop {
            match self
                .shared
                .tell(|core, now| core.poll_write(now, &mut self.hand, std::mem::take(&mut room)))
            {
                WriteStep::Write(leave, until) => match self.write(leave, until) {
                    Ok(()) => {}
                    Err(Errno::PIPE) => break Event::ConsumerGone,
                    Err(e) => {
                        break Event::SinkFailed(Failure::new("write", self.output.name(), e));
                    }
                },
                WriteStep::AwaitRoom(until, pipe) => match self.await_room(until, pipe) {
                    Ok(has_room) => room = has_room,
                    Err(e) => {
                        break Event::SinkFailed(Failure::new("write", self.output.name(), e));
                    }
                },
                WriteStep::Wait(until) => self.shared.sink_bell.wait(until),
                WriteStep::Trim(memory) => drop(memory),
                WriteStep::Done => break Event::Delivered,
            }
        };
        let _ = self.events.send(end);
    }

    /// Waits for room on a pipe that hides no more data from shedding than it must. False when
    /// there is none, or the pipe is still larger than it should be.
    fn await_room(&mut self, until: Option<Instant>, pipe: usize) -> rustix::io::Result<bool> {
        self.shared.tell(|core, now| core.on_sink_full(now));
        if self.fit_pipe && !self.output.fit_pipe(pipe) {
            self.shared
                .sink_bell
                .wait(Some(Instant::now() + self.again));
            self.again = (self.again * 2).min(AGAIN_MOST);
            return Ok(false);
        }
        self.again = AGAIN;
        self.shared.sink_bell.wait_writable(&self.output, until)
    }

    fn write(&mut self, leave: Leave, until: Option<Instant>) -> rustix::io::Result<()> {
        if self.output.may_block() {
            self.shared.tell(|core, now| core.on_sink_full(now));
        }
        let bytes = leave.cut(self.hand.bytes());
        let wrote = self.output.write_now(bytes);
        let n = wrote.ok().flatten().unwrap_or(0);
        let run = leave.use_up(&bytes[..n]);
        self.shared
            .tell(|core, now| core.on_written(now, &mut self.hand, run));
        if wrote?.is_none() {
            self.shared.tell(|core, now| core.on_sink_full(now));
            self.shared.sink_bell.wait_writable(&self.output, until)?;
        }
        Ok(())
    }
}
