//! The sink's driver: gives to the consumer what the state machine permits, out of the ring.

use std::io;
use std::mem;
use std::time::Instant;

use super::{Access, SinkEdge, Turn};
use crate::core::ring::Hand;
use crate::core::steps::{Leave, Run, WriteStep};

/// How it ends.
#[derive(Debug)]
pub enum SinkEnd {
    /// Everything is delivered.
    Delivered,
    /// The output failed.
    Write(io::Error),
}

/// The next call.
#[derive(Debug)]
enum At {
    Ask,
    SayBlocked(Leave, Option<Instant>),
    Write(Leave, Option<Instant>),
    TellWritten(io::Result<Option<usize>>, Run, Option<Instant>),
    SayFull(Option<Instant>, Option<usize>),
    Fit(Option<Instant>, usize),
    AwaitRoom(Option<Instant>, bool),
    AwaitBell(Option<Instant>),
}

/// See the module's text.
#[derive(Debug)]
pub struct SinkDriver {
    hand: Hand,
    at: At,
    /// It has just waited for room, as it was told, and there is some.
    room: bool,
}

impl Default for SinkDriver {
    fn default() -> SinkDriver {
        SinkDriver {
            hand: Hand::default(),
            at: At::Ask,
            room: false,
        }
    }
}

impl SinkDriver {
    /// Whether the next call is one to the state machine: what it is told was so a moment ago.
    #[must_use]
    pub fn is_about_to_tell(&self) -> bool {
        use At::*;
        match self.at {
            Ask | SayBlocked(..) | TellWritten(..) | SayFull(..) => true,
            Write(..) | Fit(..) | AwaitRoom(..) | AwaitBell(_) => false,
        }
    }

    /// Whether it holds leave to write that may be old.
    #[must_use]
    pub fn holds_leave(&self) -> bool {
        matches!(self.at, At::SayBlocked(..) | At::Write(..))
    }

    /// Makes the next call.
    pub fn step(&mut self, core: &impl Access, edge: &mut impl SinkEdge) -> Turn<SinkEnd> {
        self.at = match mem::replace(&mut self.at, At::Ask) {
            At::Ask => {
                let room = mem::take(&mut self.room);
                match core.tell(|core, now| core.poll_write(now, &mut self.hand, room)) {
                    WriteStep::Write(leave, until) if edge.may_block() => {
                        At::SayBlocked(leave, until)
                    }
                    WriteStep::Write(leave, until) => At::Write(leave, until),
                    WriteStep::AwaitRoom(until, pipe) => At::SayFull(until, Some(pipe)),
                    WriteStep::Wait(until) => At::AwaitBell(until),
                    WriteStep::Trim(memory) => {
                        drop(memory);
                        At::Ask
                    }
                    WriteStep::Done => return Turn::Over(SinkEnd::Delivered),
                }
            }
            At::SayBlocked(leave, until) => {
                core.tell(|core, now| core.on_sink_full(now));
                At::Write(leave, until)
            }
            At::Write(leave, until) => {
                let bytes = leave.cut(self.hand.bytes());
                let wrote = edge.write(bytes);
                let n = wrote.as_ref().ok().copied().flatten().unwrap_or(0);
                At::TellWritten(wrote, leave.use_up(&bytes[..n]), until)
            }
            At::TellWritten(wrote, run, until) => {
                core.tell(|core, now| core.on_written(now, &mut self.hand, run));
                match wrote {
                    Ok(Some(_)) => At::Ask,
                    Ok(None) => At::SayFull(until, None),
                    Err(e) => return Turn::Over(SinkEnd::Write(e)),
                }
            }
            At::SayFull(until, pipe) => {
                core.tell(|core, now| core.on_sink_full(now));
                match pipe {
                    Some(pipe) => At::Fit(until, pipe),
                    None => At::AwaitRoom(until, false),
                }
            }
            // A pipe that is larger than it should be hides more data from shedding than it must.
            At::Fit(until, pipe) => match edge.fit(pipe) {
                Some(again) => At::AwaitBell(Some(again)),
                None => At::AwaitRoom(until, true),
            },
            At::AwaitRoom(until, asked) => match edge.await_room(until) {
                Some(Ok(room)) => {
                    self.room = room && asked;
                    At::Ask
                }
                Some(Err(e)) => return Turn::Over(SinkEnd::Write(e)),
                None => return self.wait_on(At::AwaitRoom(until, asked)),
            },
            At::AwaitBell(until) => match edge.await_bell(until) {
                Some(()) => At::Ask,
                None => return self.wait_on(At::AwaitBell(until)),
            },
        };
        Turn::On
    }

    fn wait_on(&mut self, at: At) -> Turn<SinkEnd> {
        self.at = at;
        Turn::Waits
    }
}
