//! The source thread: the world in which the source's driver reads, passes on and waits.

use std::io::{self, IoSliceMut};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;

use super::cut_through;
use super::error::Failure;
use super::fd::{Port, Wanted};
use super::lookout::Lookout;
use super::memory::Supply;
use super::{Event, Input, Shared};
use crate::core::Leave;
use crate::core::drive::{Passage, SourceDriver, SourceEdge, SourceEnd, Turn};
use crate::core::frame::Framing;
use crate::core::ring::Segment;

/// Bytes up to which what was read is written by this thread too, if it can be at once: waking the
/// sink thread would take longer. Larger pieces are worth two threads.
const INLINE: usize = 16 * 1024;

/// The thread's own things.
pub struct Source {
    shared: Arc<Shared>,
    inputs: Vec<Input>,
    output: Port,
    events: Sender<Event>,
    driver: SourceDriver,
    supply: Supply,
    /// For records on the bypass.
    lookout: Option<Lookout>,
    is_framed: bool,
    /// What to ask for on pipes that are opened here.
    pipe_size: Option<Wanted>,
}

/// What the driver sees while one input is carried.
struct Edge<'a> {
    shared: &'a Shared,
    input: Port,
    output: &'a mut Port,
    supply: &'a mut Supply,
    lookout: Option<&'a mut Lookout>,
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
            driver: SourceDriver::new(framing),
            supply: Supply::new(size),
            lookout: None,
            is_framed: framing.is_some(),
            pipe_size,
        }
    }

    /// Carries one input after the other; the first failure is the end of all of them.
    pub fn run(mut self) {
        for input in std::mem::take(&mut self.inputs) {
            match self.carry(input) {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => {
                    let _ = self.events.send(Event::SourceFailed(failure));
                    break;
                }
            }
        }
        let inside = self.driver.intake.cursor.is_inside();
        self.shared.tell(|core, now| core.on_input_end(now, inside));
    }

    /// Carries one input to its end; says whether others may follow.
    fn carry(&mut self, input: Input) -> Result<bool, Failure> {
        let input = match input {
            Input::Ready(port) => port,
            Input::File(path) => {
                // A FIFO opens when somebody opens its other end.
                self.shared.tell(|core, now| core.on_input_empty(now));
                let port = Port::open(&path)?;
                self.pipe_size.inspect(|size| port.ask_pipe_size(*size));
                port
            }
        };
        let framed = self.is_framed;
        let direct = cut_through::suits(&input, &self.output, framed)
            && (!framed || self.look_out().is_ok());
        self.shared.tell(|core, _| core.on_input_begin(direct));
        let mut edge = Edge {
            shared: &self.shared,
            input,
            output: &mut self.output,
            supply: &mut self.supply,
            lookout: self.lookout.as_mut(),
        };
        let end = loop {
            if let Turn::Over(end) = self.driver.step(&self.shared, &mut edge) {
                break end;
            }
        };
        match end {
            SourceEnd::Input => Ok(true),
            SourceEnd::All => Ok(false),
            SourceEnd::Memory(e) => Err(Failure::new("allocate", "buffer", e)),
            SourceEnd::Read(e) => Err(Failure::new("read", edge.input.name(), e)),
            SourceEnd::Write(e) => {
                let failure = Failure::new("write", edge.output.name(), e);
                let _ = self.events.send(Event::SinkFailed(failure));
                Ok(false)
            }
        }
    }

    fn look_out(&mut self) -> io::Result<()> {
        match &mut self.lookout {
            Some(lookout) => lookout.forget(),
            none => *none = Some(Lookout::new()?),
        }
        Ok(())
    }
}

impl SourceEdge for Edge<'_> {
    fn waits_before_passing(&self) -> bool {
        self.input.is_pipe()
    }

    fn input_may_block(&self) -> bool {
        self.input.may_block()
    }

    fn output_may_block(&self) -> bool {
        self.output.may_block()
    }

    fn segment(&mut self) -> io::Result<Segment> {
        self.supply.segment()
    }

    fn read(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<Option<usize>> {
        Ok(self.input.read_now(into)?)
    }

    fn is_short(&self, n: usize) -> bool {
        n <= INLINE
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        self.output.write_now(bytes).ok().flatten().unwrap_or(0)
    }

    fn pass(&mut self, leave: Leave) -> Passage {
        cut_through::pass(&self.input, self.output, leave, self.lookout.as_deref_mut())
    }

    fn is_ahead(&self) -> bool {
        self.lookout.as_ref().is_some_and(|l| l.ahead() > 0)
    }

    fn forget(&mut self) {
        if let Some(lookout) = &mut self.lookout {
            lookout.forget();
        }
    }

    fn is_readable(&self) -> bool {
        self.input.is_readable().unwrap_or(true)
    }

    fn await_bell(&mut self, until: Option<Instant>) -> Option<()> {
        self.shared.source_bell.wait(until);
        Some(())
    }

    fn await_input(&mut self) -> Option<io::Result<()>> {
        Some(self.input.wait_readable(None).map(drop).map_err(Into::into))
    }

    fn await_room(&mut self, until: Instant) -> Option<io::Result<bool>> {
        Some(self.output.wait_writable(Some(until)).map_err(Into::into))
    }
}
