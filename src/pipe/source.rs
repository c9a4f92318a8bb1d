//! The source thread: the world in which the source's driver reads, passes on and waits.

use std::io::{self, IoSliceMut, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::Sender;
use rustix::fs::SeekFrom;

use super::capacity::Wanted;
use super::consumer_port::{ConsumerPort, Grip};
use super::error::PipeError;
use super::fd::Port;
use super::memory::BufferPool;
use super::peek::Peek;
use super::shared::{Event, Shared};
use super::spill::Disk;
use super::splice::{self, FanOut};
use crate::engine::action::{Actor, For, NoRoom, Pass, Path, Permit, Taker, Wait};
use crate::engine::drive::{Driver, End, Passage, Taken};
use crate::engine::record::Framing;
use crate::engine::segment::Segment;

/// Where the bytes come from.
#[derive(Debug)]
pub(crate) enum Input {
    /// Standard input, looked at before the start.
    Ready(Port),
    /// A file, opened when its turn comes.
    File(PathBuf),
}

impl Input {
    /// One with nothing but this byte: what comes before all the others.
    ///
    /// # Errors
    /// When no pipe can be made.
    pub(crate) fn of_byte(byte: u8) -> Result<Input, PipeError> {
        let failed = |error: io::Error| PipeError::new("make a pipe for", "the spool", error);
        let (pipe, mut into) = io::pipe().map_err(failed)?;
        into.write_all(&[byte]).map_err(failed)?;
        Port::of_pipe(pipe.into()).map(Input::Ready)
    }

    /// It once more, if it keeps packets apart: none of those that are opened later is a socket.
    pub(super) fn packets(&self) -> Option<Port> {
        match self {
            Input::Ready(port) => port.has_packets().then(|| port.clone()),
            Input::File(_) => None,
        }
    }
}

/// Bytes up to which what was read is written by this thread too, if it can be at once: waking the
/// sink thread would take longer. Larger pieces are worth two threads.
const INLINE: usize = 16 * 1024;

/// The thread's own things.
pub(super) struct Source {
    shared: Arc<Shared>,
    inputs: Vec<Input>,
    output: Grip,
    events: Sender<Event>,
    pool: BufferPool,
    /// For records on the bypass, and for what somebody is owed.
    peek: Option<Peek>,
    /// For what passes to several outputs.
    drain: Option<splice::Drain>,
    is_framed: bool,
    /// What to ask for on pipes that are opened here.
    pipe_size: Option<Wanted>,
}

/// What the driver sees while one input is carried.
struct Edge<'a> {
    shared: &'a Shared,
    input: Port,
    output: &'a mut Grip,
    pool: &'a mut BufferPool,
    /// For records, and for what somebody is owed that passes around the log.
    peek: &'a mut Option<Peek>,
    is_framed: bool,
    /// What is to be read has been duplicated.
    is_aside: bool,
    drain: Option<&'a splice::Drain>,
    /// The one of several outputs that had no room.
    full: Option<Port>,
}

impl Source {
    pub(super) fn new(
        shared: Arc<Shared>,
        inputs: Vec<Input>,
        output: &ConsumerPort,
        events: Sender<Event>,
        framing: Option<Framing>,
        pipe_size: Option<Wanted>,
    ) -> Source {
        Source {
            shared,
            inputs,
            output: output.grip(),
            events,
            pool: BufferPool::default(),
            peek: None,
            drain: None,
            is_framed: framing.is_some(),
            pipe_size,
        }
    }

    /// Carries one input after the other; the first failure is the end of all of them.
    pub(super) fn run(mut self) {
        let mut is_over = true;
        let inputs = std::mem::take(&mut self.inputs);
        let last = inputs.len().checked_sub(1);
        for (nth, input) in inputs.into_iter().enumerate() {
            let is_last = Some(nth) == last;
            is_over = self.carry(input, is_last).unwrap_or_else(|failure| {
                let _ = self.events.send(Event::SourceFailed(failure));
                false
            });
            if !is_over {
                break;
            }
        }
        self.shared.last_input.leave();
        let is_over = self
            .shared
            .update_and_wake(|engine, _| engine.is_input_over(is_over));
        if let Some(disk) = self.shared.disk.as_ref().filter(|_| is_over) {
            // Before the engine is told of it, and anybody else by that: nobody has seen an end that a kill undoes.
            disk.end_input(true);
        }
        self.shared
            .update_and_wake(|engine, now| engine.on_input_end(is_over, now));
    }

    /// Carries one input to its end; says whether others may follow.
    fn carry(&mut self, input: Input, is_last: bool) -> Result<bool, PipeError> {
        let input = match input {
            Input::Ready(port) => port,
            Input::File(path) => {
                self.output.let_go();
                // A FIFO opens when somebody opens its other end.
                self.shared
                    .update_and_wake(|engine, now| engine.on_input_opening(now));
                let port = Port::open(&path)?;
                self.pipe_size.inspect(|size| port.ask_pipe_size(*size));
                port
            }
        };
        if is_last {
            self.shared.last_input.begin(input.clone());
        }
        let framed = self.is_framed;
        let output = self.output.port();
        let suits = |output: &Port| splice::suits(&input, output, framed);
        let of_output = |it: &mut Port| (suits(it), it.may_block(), it.is_pipe());
        let (suits, output_blocks, is_pipe) = output.map_or((false, false, false), of_output);
        let are_pipes = input.is_pipe() && is_pipe;
        let path = Path {
            direct: suits && (!framed || self.prepare_peek().is_ok()),
            fans_out: suits && are_pipes,
            waits_first: input.is_pipe(),
            input_blocks: input.may_block(),
            output_blocks,
        };
        self.prepare_drain();
        if let Some(peek) = &mut self.peek {
            peek.forget();
        }
        self.shared
            .update_and_wake(|engine, _| engine.on_input_begin(path));
        let mut edge = Edge {
            shared: &self.shared,
            input,
            output: &mut self.output,
            pool: &mut self.pool,
            peek: &mut self.peek,
            is_framed: self.is_framed,
            is_aside: false,
            drain: self.drain.as_ref(),
            full: None,
        };
        let end = Driver::new(Actor::Source).run(&self.shared, &mut edge);
        match end {
            End::Input => Ok(true),
            End::Over => Ok(false),
            End::Memory => {
                let e = io::Error::from(io::ErrorKind::OutOfMemory);
                Err(PipeError::new("allocate", "buffer", e))
            }
            End::Read(e) => Err(PipeError::new("read", edge.input.name(), e)),
            // The source reads nothing back.
            End::Write(e) | End::Disk(e) => {
                let name = edge.output.port().map_or("", |port| port.name());
                let failure = PipeError::new("write", name, e);
                let _ = self.events.send(Event::SinkFailed(failure));
                Ok(false)
            }
        }
    }

    /// What several outputs have had has somewhere to go, if there are any: without it is read.
    fn prepare_drain(&mut self) {
        if self.drain.is_none() && !self.shared.sides().is_empty() {
            self.drain = splice::Drain::open().ok();
        }
    }

    fn prepare_peek(&mut self) -> io::Result<()> {
        if self.peek.is_none() {
            self.peek = Some(Peek::new()?);
        }
        Ok(())
    }
}

/// What looks at bytes that pass, where they are records. Elsewhere what it has ahead is of no use.
fn seen(peek: &mut Option<Peek>, is_framed: bool) -> Option<&mut Peek> {
    let peek = peek.as_mut()?;
    if !is_framed {
        peek.forget();
    }
    is_framed.then_some(peek)
}

impl Edge<'_> {
    /// The disk has no room: those who need not have what they are owed do without.
    fn keep_less(&mut self, why: NoRoom) {
        let output = &mut self.output;
        let unread = || output.port().and_then(|port| port.unread());
        self.shared
            .update_and_wake(|engine, now| engine.keep_less(unread, why, now));
    }

    /// Reads, and puts that on the disk.
    fn read_to_disk(&mut self, into: &mut [u8]) -> io::Result<Taken> {
        let n = match self.input.read_now(&mut [IoSliceMut::new(into)])? {
            Some(n @ 1..) => n,
            other => return Ok(Ok(other.map(|n| (n, None)))),
        };
        match self.shared.disk.as_ref() {
            Some(disk) => disk.take_read(&into[..n], |rest| self.goes_back(rest)),
            None => Ok(Ok(Some((n, None)))),
        }
    }

    fn goes_back(&self, bytes: usize) -> bool {
        let to = SeekFrom::Current(i64::try_from(bytes).map_or(0, |n| -n));
        self.input.is_file() && rustix::fs::seek(self.input.as_fd(), to).is_ok()
    }

    /// Whether something has been read that is to be read again.
    fn has_kept(&self) -> bool {
        self.shared.disk.as_ref().is_some_and(Disk::has_kept)
    }

    /// Who reads takes what there is.
    fn forget(&mut self) {
        if let Some(peek) = self.peek.as_mut() {
            peek.forget();
        }
    }
}

impl crate::engine::drive::Edge for Edge<'_> {
    fn segment(&mut self, size: usize) -> io::Result<Arc<Segment>> {
        self.pool.segment(size)
    }

    fn read(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<Option<usize>> {
        self.forget();
        let again = self
            .shared
            .disk
            .as_ref()
            .map_or(0, |disk| disk.read_kept(into));
        match again {
            0 => Ok(self.input.read_now(into)?),
            n => Ok(Some(n)),
        }
    }

    fn disk_room(&mut self, most: usize, awaits_others: bool) -> Result<usize, NoRoom> {
        let Some(disk) = self.shared.disk.as_ref() else {
            return Err(NoRoom::OTHERS);
        };
        disk.await_others(awaits_others);
        disk.room(most).or_else(|why| {
            self.keep_less(why);
            disk.room(most)
        })
    }

    fn take(&mut self, into: &mut [u8]) -> io::Result<Taken> {
        self.forget();
        let disk = self.shared.disk.as_ref();
        let again = disk.and_then(|disk| disk.take_kept(into));
        let from_pipe = || {
            let disk = disk.filter(|_| self.input.is_pipe())?;
            disk.take_from(&self.input, into)
        };
        let taken = match again.or_else(from_pipe) {
            Some(taken) => taken,
            None => self.read_to_disk(into)?,
        };
        if let Err(why) = taken {
            self.keep_less(why);
        }
        Ok(taken)
    }

    fn pass_on(&mut self, bytes: &[u8], pass: Pass) -> usize {
        let output = self.output.port().filter(|output| !output.may_block());
        let Some(output) = output.filter(|_| bytes.len() <= INLINE) else {
            return 0;
        };
        let bytes = pass.within(bytes);
        // Without this, what lies in the last page of a pipe would get more behind it.
        if bytes.is_empty() || pass.is_fresh && !output.is_writable().unwrap_or(false) {
            return 0;
        }
        let wrote = output.write_now(&[bytes]);
        wrote.ok().flatten().unwrap_or(0)
    }

    fn bypass(&mut self, permit: Permit) -> Passage {
        let peek = seen(self.peek, self.is_framed);
        match self.output.port() {
            Some(output) => splice::pass(&self.input, output, permit, peek),
            None => Passage::Refused,
        }
    }

    fn fan_out(&mut self, permit: Permit, takers: &mut [Taker], is_owed: bool) -> Passage {
        let Some(output) = self.output.port() else {
            return Passage::Refused;
        };
        let others = self.shared.pipes();
        if is_owed && self.peek.is_none() {
            // Without it what has passed is read from the input, and the producer waits for that.
            *self.peek = Peek::new().ok();
        }
        let way = FanOut {
            input: &self.input,
            output,
            others: &others,
            drain: self.drain,
            is_owed,
        };
        let aside = self.peek.as_mut().filter(|_| is_owed);
        self.is_aside = aside.is_some();
        let (passage, full) = match aside {
            Some(peek) => splice::pass_aside(way, permit, peek, takers),
            None => splice::fan_out(way, permit, seen(self.peek, self.is_framed), takers),
        };
        self.full = full;
        passage
    }

    fn read_passed(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<Option<usize>> {
        match self.peek.as_mut().filter(|_| self.is_aside) {
            Some(peek) => Ok(Some(peek.take(into)?)),
            None => self.read(into),
        }
    }

    fn is_readable(&mut self) -> bool {
        self.has_kept() || self.input.is_readable().unwrap_or(true)
    }

    fn wait(&mut self, Wait { sleep, version }: Wait) -> Option<io::Result<bool>> {
        let full = self.full.take();
        if sleep.what == For::Room
            && let Some(output) = full.as_ref().or(self.output.port().as_deref())
        {
            return Some(output.wait_writable(sleep.until).map_err(Into::into));
        }
        self.output.let_go();
        let ready = match sleep.what {
            For::Input if self.has_kept() => Ok(true),
            For::Input => {
                let ahead = self.peek.as_ref().map_or(0, Peek::ahead);
                if ahead > 0 && !self.input.is_readable().unwrap_or(true) {
                    // It is gone: somebody else reads as well.
                    self.forget();
                }
                self.input.wait_readable(None)
            }
            _ => {
                self.shared.source.wait(version, sleep.until);
                Ok(false)
            }
        };
        Some(ready.map_err(Into::into))
    }
}
