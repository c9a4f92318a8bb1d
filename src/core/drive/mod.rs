//! How the two sides go about it: one driver for each, the same under the threads, the simulator and
//! the tests.
//!
//! A driver is a small machine of its own, and a step of it is one call: to the state machine, or to
//! the edge (a read, a write, a wait). Whoever drives it may therefore stop between every pair of
//! calls and let others come first, as the system does with threads.

mod sink;
mod source;

use std::io::{self, IoSliceMut};
use std::time::Instant;

use super::Weir;
use super::ring::Segment;
use super::steps::{Leave, Run};
use super::watch::Side;

pub use sink::{SinkDriver, SinkEnd};
pub use source::{SourceDriver, SourceEnd};

/// The way to the state machine: behind a lock, or not.
pub trait Access {
    /// Tells it something, or asks it something; wakes whom that concerns.
    fn tell<R>(&self, what: impl FnOnce(&mut Weir, Instant) -> R) -> R;
}

/// What came of one attempt to pass bytes around the ring.
#[derive(Debug)]
pub enum Passage {
    /// These have passed.
    Passed(Run),
    /// The input is at its end.
    End,
    /// Nothing could be moved: the input is empty or the output is full.
    Stuck,
    /// Not to be had between these two.
    Refused,
    /// This side has failed. Nothing has passed.
    Failed(Side, io::Error),
}

/// The world as the source's driver sees it. A wait that is not over returns `None` where the
/// world is made up, and never where it is real.
pub trait SourceEdge {
    /// Whether the input is a pipe, which can be waited for before it is tried.
    fn waits_before_passing(&self) -> bool;
    /// Whether a read may block although it is not meant to.
    fn input_may_block(&self) -> bool;
    /// Whether a write may.
    fn output_may_block(&self) -> bool;
    /// More memory.
    ///
    /// # Errors
    /// When there is none.
    fn segment(&mut self) -> io::Result<Segment>;
    /// Reads what is there; `None`: nothing yet; 0: the end.
    ///
    /// # Errors
    /// When the input fails.
    fn read(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<Option<usize>>;
    /// Whether so short a piece is worth being written at once.
    fn is_short(&self, n: usize) -> bool;
    /// Writes what there is room for.
    fn write(&mut self, bytes: &[u8]) -> usize;
    /// Moves bytes from the input to the output.
    fn pass(&mut self, leave: Leave) -> Passage;
    /// Whether something is known to be there to be passed.
    fn is_ahead(&self) -> bool;
    /// What was known of the input holds no more.
    fn forget(&mut self);
    /// Whether a read would return at once.
    fn is_readable(&self) -> bool;
    /// Sleeps until the bell, or until then.
    fn await_bell(&mut self, until: Option<Instant>) -> Option<()>;
    /// Waits for something to read.
    ///
    /// # Errors
    /// When the input fails.
    fn await_input(&mut self) -> Option<io::Result<()>>;
    /// Waits for room in the output, or until then; says whether there is some.
    ///
    /// # Errors
    /// When the output fails.
    fn await_room(&mut self, until: Instant) -> Option<io::Result<bool>>;
}

/// The world as the sink's driver sees it.
pub trait SinkEdge {
    /// Whether a write may block although it is not meant to.
    fn may_block(&self) -> bool;
    /// Writes what there is room for; `None`: there is none.
    ///
    /// # Errors
    /// When the output fails.
    fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>>;
    /// Gives the pipe this size. `Some`: it holds too much for that; the instant to try again.
    fn fit(&mut self, pipe: usize) -> Option<Instant>;
    /// Sleeps until the bell, or until then.
    fn await_bell(&mut self, until: Option<Instant>) -> Option<()>;
    /// Waits for room, for the bell, or until then; says whether there is room.
    ///
    /// # Errors
    /// When the output fails.
    fn await_room(&mut self, until: Option<Instant>) -> Option<io::Result<bool>>;
}

/// What a step came to.
#[derive(Debug)]
pub enum Turn<E> {
    /// There is more to do.
    On,
    /// What is waited for is not there yet: the same step again, later.
    Waits,
    /// It is over, and this is why.
    Over(E),
}
