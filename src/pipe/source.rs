//! The source thread: takes from the producer what the core permits, into the ring or around it.

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::cut_through::{self, Passage};
use super::error::Failure;
use super::fd::{Port, Wanted};
use super::lookout::Lookout;
use super::memory::Supply;
use super::{Event, Input, Shared};
use crate::core::frame::Framing;
use crate::core::ring::Intake;
use crate::core::{Leave, ReadStep, Run};

/// Bytes up to which what was read is written by this thread too, if it can be at once: waking the
/// sink thread would take longer. Larger pieces are worth two threads.
const INLINE: usize = 16 * 1024;

/// What becomes of the input after one step.
#[derive(PartialEq, Eq)]
enum Next {
    More,
    /// This one has ended.
    End,
    /// Nothing more is to be read, of the others neither.
    Over,
}

/// The thread's own things.
pub struct Source {
    shared: Arc<Shared>,
    inputs: Vec<Input>,
    output: Port,
    events: Sender<Event>,
    intake: Intake,
    supply: Supply,
    /// For records on the bypass.
    lookout: Option<Lookout>,
    /// The input was found readable since something last passed.
    waited: bool,
    /// The last pass moved nothing although it was.
    stuck: bool,
    /// What to ask for on pipes that are opened here.
    pipe_size: Option<Wanted>,
}

impl Source {
    pub fn new(
        shared: Arc<Shared>,
        inputs: Vec<Input>,
        output: Port,
        events: Sender<Event>,
        framing: Option<Framing>,
        pipe_size: Option<Wanted>,
    ) -> Source {
        let size = shared.tell(|core, _| core.segment_size());
        Source {
            shared,
            inputs,
            output,
            events,
            intake: Intake::new(framing),
            supply: Supply::new(size),
            lookout: None,
            waited: false,
            stuck: false,
            pipe_size,
        }
    }

    /// Carries one input after the other; the first failure is the end of all of them.
    pub fn run(mut self) {
        for input in std::mem::take(&mut self.inputs) {
            match self.carry(input) {
                Ok(Next::Over) => break,
                Ok(_) => {}
                Err(failure) => {
                    let _ = self.events.send(Event::SourceFailed(failure));
                    break;
                }
            }
        }
        let inside = self.intake.cursor.is_inside();
        self.shared.tell(|core, now| core.on_input_end(now, inside));
    }

    fn carry(&mut self, input: Input) -> Result<Next, Failure> {
        let mut input = match input {
            Input::Ready(port) => port,
            Input::File(path) => {
                // A FIFO opens when somebody opens its other end.
                self.shared.tell(|core, now| core.on_input_empty(now));
                let port = Port::open(&path)?;
                self.pipe_size.inspect(|size| port.ask_pipe_size(*size));
                port
            }
        };
        let framed = self.intake.cursor.is_framed();
        let direct = cut_through::suits(&input, &self.output, framed)
            && (!framed || self.look_out().is_ok());
        self.shared.tell(|core, _| core.on_input_begin(direct));
        loop {
            let step = self
                .shared
                .tell(|core, now| core.poll_read(now, &mut self.intake));
            let next = match step {
                ReadStep::Read(leave) => self.read(&mut input, leave)?,
                // Waiting before trying costs one call where trying first would cost two: as a
                // rule the last pass has taken all there was. Then the core is asked again, for
                // things may have changed meanwhile.
                ReadStep::CutThrough(_) if input.is_pipe() && !self.has_input() => {
                    self.await_input(&input)?
                }
                ReadStep::CutThrough(leave) => self.pass(&input, leave)?,
                ReadStep::Wait(until) => {
                    self.shared.source_bell.wait(until);
                    Next::More
                }
                ReadStep::Done => Next::Over,
            };
            if next != Next::More {
                return Ok(next);
            }
        }
    }

    fn look_out(&mut self) -> std::io::Result<()> {
        match &mut self.lookout {
            Some(lookout) => lookout.forget(),
            none => *none = Some(Lookout::new()?),
        }
        Ok(())
    }

    /// Reads into the ring, and writes what may be written of it at once.
    fn read(&mut self, input: &mut Port, leave: Option<Leave>) -> Result<Next, Failure> {
        self.forget_input();
        if self.intake.wants_segment() {
            match self.supply.segment() {
                Ok(segment) => self.intake.give(segment),
                Err(e) => return self.do_without_memory(e),
            }
        }
        if input.may_block() {
            self.shared.tell(|core, now| core.on_input_empty(now));
        }
        let got = input.read_now(&mut self.intake.slices());
        let n = got.ok().flatten().unwrap_or(0);
        let [first, second] = self.intake.read(n);
        let mut read = Run::over(self.intake.cursor, first);
        read.add(second);
        let written = match leave {
            // With leave there is nothing held, and so no tail before the fresh segment. An
            // error is left for the sink thread to meet again and to tell.
            Some(leave) if n > 0 && n <= INLINE && !self.output.may_block() => {
                let bytes = leave.cut(second);
                let n = self.output.write_now(bytes).ok().flatten().unwrap_or(0);
                Some(leave.use_up(&bytes[..n]))
            }
            _ => None,
        };
        self.shared
            .tell(|core, now| core.on_read(now, &mut self.intake, read, written));
        match got {
            Ok(Some(0)) => Ok(Next::End),
            Ok(Some(_)) => Ok(Next::More),
            Ok(None) => self.await_input(input),
            Err(e) => Err(Failure::new("read", input.name(), e)),
        }
    }

    fn do_without_memory(&mut self, error: std::io::Error) -> Result<Next, Failure> {
        if self
            .shared
            .tell(|core, now| core.on_memory_short(now, &mut self.intake))
        {
            Ok(Next::More)
        } else {
            Err(Failure::new("allocate", "buffer", error))
        }
    }

    /// Passes bytes around the ring.
    fn pass(&mut self, input: &Port, leave: Leave) -> Result<Next, Failure> {
        // Where writing may block it is the system that lingers, and this is what it cost so far.
        if self.output.may_block() && self.shared.tell(|c, now| c.on_output_full(now)).is_none() {
            return Ok(Next::More);
        }
        if !self.shared.tell(|core, _| core.begin_pass()) {
            return Ok(Next::More);
        }
        let passage = cut_through::pass(input, &self.output, leave, self.lookout.as_mut());
        let run = match passage {
            Passage::Passed(run) => run,
            _ => Run::at(leave.cursor),
        };
        self.shared
            .tell(|core, now| core.on_passed(now, &mut self.intake, run));
        match passage {
            Passage::Passed(_) => (self.waited, self.stuck) = (false, false),
            Passage::End => return Ok(Next::End),
            Passage::Refused => self.shared.tell(|core, _| core.on_cut_refused()),
            // There was room: somebody else may have taken what there was.
            Passage::Stuck if self.stuck && !input.is_readable().unwrap_or(true) => {
                self.forget_input();
            }
            Passage::Stuck => {
                let linger = self.shared.tell(|core, now| core.on_output_full(now));
                if let Some(until) = linger {
                    let ready = self.output.wait_writable(Some(until));
                    self.stuck = ready.map_err(|e| Failure::new("write", self.output.name(), e))?;
                }
            }
        }
        Ok(Next::More)
    }

    /// Who reads next takes what there is.
    fn forget_input(&mut self) {
        (self.waited, self.stuck) = (false, false);
        if let Some(lookout) = &mut self.lookout {
            lookout.forget();
        }
    }

    /// Whether there is something to pass, as far as is known without asking.
    fn has_input(&self) -> bool {
        self.waited || self.lookout.as_ref().is_some_and(|l| l.ahead() > 0)
    }

    fn await_input(&mut self, input: &Port) -> Result<Next, Failure> {
        self.shared.tell(|core, now| core.on_input_empty(now));
        self.waited = true;
        match input.wait_readable(None) {
            Ok(_) => Ok(Next::More),
            Err(e) => Err(Failure::new("read", input.name(), e)),
        }
    }
}
