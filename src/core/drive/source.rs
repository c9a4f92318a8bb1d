//! The source's driver: takes from the producer what the state machine permits, into the ring or
//! around it.

use std::io;
use std::time::Instant;

use super::{Access, Passage, SourceEdge, Turn};
use crate::core::frame::Framing;
use crate::core::ring::Intake;
use crate::core::steps::{Leave, ReadStep, Run};
use crate::core::watch::Side;

/// How it ends for one input.
#[derive(Debug)]
pub enum SourceEnd {
    /// The input has ended.
    Input,
    /// Nothing more is to be read, of other inputs neither.
    All,
    /// The system has no memory, and nothing is held whose delivery could make room.
    Memory(io::Error),
    /// The input failed.
    Read(io::Error),
    /// The output failed.
    Write(io::Error),
}

/// The next call.
#[derive(Debug)]
enum At {
    Ask,
    GetMemory(Option<Leave>),
    SayShort(io::Error),
    SayBlocked(Option<Leave>),
    Read(Option<Leave>),
    TellRead(io::Result<Option<usize>>, Run, Option<Run>),
    SayEmpty,
    AwaitInput,
    SayLingered(Leave),
    BeginPass(Leave),
    Pass(Leave),
    TellPassed(Passage, Run),
    SayRefused,
    LookAgain,
    SayFull,
    AwaitRoom(Instant),
    AwaitBell(Option<Instant>),
}

/// See the module's text.
#[derive(Debug)]
pub struct SourceDriver {
    /// What is read into.
    pub intake: Intake,
    at: At,
    /// The input was found readable since something last passed.
    waited: bool,
    /// The last pass moved nothing although it was.
    stuck: bool,
}

impl SourceDriver {
    /// At the start of a stream.
    #[must_use]
    pub fn new(framing: Option<Framing>) -> SourceDriver {
        SourceDriver {
            intake: Intake::new(framing),
            at: At::Ask,
            waited: false,
            stuck: false,
        }
    }

    /// Whether the next call is one to the state machine: what it is told was so a moment ago.
    #[must_use]
    pub fn is_about_to_tell(&self) -> bool {
        use At::*;
        match self.at {
            Ask | SayShort(_) | SayBlocked(_) | TellRead(..) | SayEmpty | SayLingered(_)
            | BeginPass(_) | TellPassed(..) | SayRefused | SayFull => true,
            GetMemory(_) | Read(_) | AwaitInput | Pass(_) | LookAgain | AwaitRoom(_)
            | AwaitBell(_) => false,
        }
    }

    /// Whether it holds leave to write that may be old.
    #[must_use]
    pub fn holds_leave(&self) -> bool {
        matches!(
            self.at,
            At::GetMemory(Some(_)) | At::SayBlocked(Some(_)) | At::Read(Some(_)) | At::Pass(_)
        )
    }

    /// Makes the next call.
    pub fn step(&mut self, core: &impl Access, edge: &mut impl SourceEdge) -> Turn<SourceEnd> {
        self.at = match std::mem::replace(&mut self.at, At::Ask) {
            At::Ask => match core.tell(|core, now| core.poll_read(now, &mut self.intake)) {
                ReadStep::Done => return Turn::Over(SourceEnd::All),
                step => self.follow(step, edge),
            },
            At::GetMemory(leave) => match edge.segment() {
                Ok(segment) => {
                    self.intake.give(segment);
                    with_memory(leave, edge)
                }
                Err(e) => At::SayShort(e),
            },
            At::SayShort(e) => {
                if !core.tell(|core, now| core.on_memory_short(now, &mut self.intake)) {
                    return Turn::Over(SourceEnd::Memory(e));
                }
                At::Ask
            }
            At::SayBlocked(leave) => {
                core.tell(|core, now| core.on_input_empty(now));
                At::Read(leave)
            }
            At::Read(leave) => self.read(leave, edge),
            At::TellRead(got, read, written) => {
                core.tell(|core, now| core.on_read(now, &mut self.intake, read, written));
                match got {
                    Ok(Some(0)) => return Turn::Over(SourceEnd::Input),
                    Ok(Some(_)) => At::Ask,
                    Ok(None) => At::SayEmpty,
                    Err(e) => return Turn::Over(SourceEnd::Read(e)),
                }
            }
            At::SayEmpty => {
                core.tell(|core, now| core.on_input_empty(now));
                self.waited = true;
                At::AwaitInput
            }
            At::AwaitInput => match edge.await_input() {
                Some(Ok(())) => At::Ask,
                Some(Err(e)) => return Turn::Over(SourceEnd::Read(e)),
                None => return self.wait_on(At::AwaitInput),
            },
            at => return self.step_aside(at, core, edge),
        };
        Turn::On
    }

    /// The calls of the way around the ring.
    fn step_aside(
        &mut self,
        at: At,
        core: &impl Access,
        edge: &mut impl SourceEdge,
    ) -> Turn<SourceEnd> {
        self.at = match at {
            At::SayLingered(leave) => match core.tell(|core, now| core.on_output_full(now)) {
                Some(_) => At::BeginPass(leave),
                None => At::Ask,
            },
            At::BeginPass(leave) => match core.tell(|core, _| core.begin_pass()) {
                true => At::Pass(leave),
                false => At::Ask,
            },
            At::Pass(leave) => {
                let passage = edge.pass(leave);
                let run = match passage {
                    Passage::Passed(run) => run,
                    _ => Run::at(leave.cursor),
                };
                At::TellPassed(passage, run)
            }
            At::TellPassed(passage, run) => {
                core.tell(|core, now| core.on_passed(now, &mut self.intake, run));
                match passage {
                    Passage::Passed(_) => {
                        (self.waited, self.stuck) = (false, false);
                        At::Ask
                    }
                    Passage::End => return Turn::Over(SourceEnd::Input),
                    Passage::Refused => At::SayRefused,
                    Passage::Failed(Side::Source, e) => return Turn::Over(SourceEnd::Read(e)),
                    Passage::Failed(Side::Sink, e) => return Turn::Over(SourceEnd::Write(e)),
                    Passage::Stuck if self.stuck => At::LookAgain,
                    Passage::Stuck => At::SayFull,
                }
            }
            At::SayRefused => {
                core.tell(|core, _| core.on_cut_refused());
                At::Ask
            }
            // There was room: somebody else may have taken what there was.
            At::LookAgain if edge.is_readable() => At::SayFull,
            At::LookAgain => {
                self.forget(edge);
                At::Ask
            }
            At::SayFull => match core.tell(|core, now| core.on_output_full(now)) {
                Some(until) => At::AwaitRoom(until),
                None => At::Ask,
            },
            At::AwaitRoom(until) => match edge.await_room(until) {
                Some(Ok(ready)) => {
                    self.stuck = ready;
                    At::Ask
                }
                Some(Err(e)) => return Turn::Over(SourceEnd::Write(e)),
                None => return self.wait_on(At::AwaitRoom(until)),
            },
            At::AwaitBell(until) => match edge.await_bell(until) {
                Some(()) => At::Ask,
                None => return self.wait_on(At::AwaitBell(until)),
            },
            at => at,
        };
        Turn::On
    }

    fn wait_on(&mut self, at: At) -> Turn<SourceEnd> {
        self.at = at;
        Turn::Waits
    }

    fn follow(&mut self, step: ReadStep, edge: &mut impl SourceEdge) -> At {
        match step {
            ReadStep::Read(leave) => {
                self.forget(edge);
                if self.intake.wants_segment() {
                    At::GetMemory(leave)
                } else {
                    with_memory(leave, edge)
                }
            }
            // Waiting before trying costs one call where trying first would cost two: as a
            // rule the last pass has taken all there was. Then the core is asked again, for
            // things may have changed meanwhile.
            ReadStep::CutThrough(_)
                if edge.waits_before_passing() && !self.waited && !edge.is_ahead() =>
            {
                At::SayEmpty
            }
            // Where writing may block it is the system that lingers, and this is what it cost so far.
            ReadStep::CutThrough(leave) if edge.output_may_block() => At::SayLingered(leave),
            ReadStep::CutThrough(leave) => At::BeginPass(leave),
            ReadStep::Wait(until) => At::AwaitBell(until),
            ReadStep::Done => At::Ask,
        }
    }

    /// Reads into the ring, and writes what may be written of it at once.
    fn read(&mut self, leave: Option<Leave>, edge: &mut impl SourceEdge) -> At {
        let got = edge.read(&mut self.intake.slices());
        let n = got.as_ref().ok().copied().flatten().unwrap_or(0);
        let [first, second] = self.intake.read(n);
        let mut read = Run::over(self.intake.cursor, first);
        read.add(second);
        let written = match leave {
            // With leave there is nothing held, and so no tail before the fresh segment. An
            // error is left for the sink to meet again and to tell.
            Some(leave) if n > 0 && edge.is_short(n) && !edge.output_may_block() => {
                let bytes = leave.cut(second);
                let n = edge.write(bytes);
                Some(leave.use_up(&bytes[..n]))
            }
            _ => None,
        };
        At::TellRead(got, read, written)
    }

    /// Who reads next takes what there is.
    fn forget(&mut self, edge: &mut impl SourceEdge) {
        (self.waited, self.stuck) = (false, false);
        edge.forget();
    }
}

fn with_memory(leave: Option<Leave>, edge: &impl SourceEdge) -> At {
    if edge.input_may_block() {
        At::SayBlocked(leave)
    } else {
        At::Read(leave)
    }
}
