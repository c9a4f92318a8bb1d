//! What passes between the state machine and those who act for it: what to do one way, what came of it the
//! other.
//!
//! What is handed out is an obligation: a value that has to come back by [`Engine::done`](super::Engine::done),
//! whatever came of it. It cannot be copied, and to lose it is a bug that panics in tests.

use std::sync::Arc;
use std::time::Instant;

pub(crate) use super::actor::{Actor, CONSUMER, OVERFLOW};
pub(super) use super::actor::{Obligation, SIDES};
pub(crate) use super::handed::{
    Fan, Fetch, Handed, Order, Pass, Permit, Piece, Read, ReadState, RunOrder, Taker, Transfer,
    Write,
};
pub(super) use super::handed::{PARTS_MOST, TransferState, WriteState};
use super::scan::Run;
use super::segment::Segment;
use super::task::Answer;
use super::ticket::Finish;

/// What to do next.
#[derive(Debug)]
pub(crate) enum Action {
    /// Read, without blocking if that can be; where there is a permit to pass on, write of it at once what
    /// the output has room for.
    Read(Read),
    /// Move bytes straight from the input to the output.
    Transfer(Transfer),
    /// Write, without blocking if that can be.
    Write(Write),
    /// Read back from the disk what is to be written next.
    Fetch(Fetch),
    /// Give the pipe to the consumer this size.
    Fit(usize),
    /// Run the program with the batch whose file is complete, and wait for its end.
    Run(Box<RunOrder>),
    /// Do something with the program of a worker.
    Order(Order),
    /// Sleep.
    Wait(Wait),
    /// Drop this.
    Trim(Vec<Arc<Segment>>),
    /// Nothing more is to be done.
    End(Reason),
}

/// Why nothing more is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is over.
    Over,
    /// There is no memory to read into, and nothing is held whose delivery could make room.
    Memory,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Done {
    /// Of a read.
    Read(Read, ReadOutcome),
    /// Of a bypass.
    Transfer(Transfer, Outcome),
    /// Of a write.
    Write(Write, Outcome),
    /// Of a read from the disk.
    Fetch(Fetch, FetchOutcome),
    /// Of a program that was run.
    Run(Box<RunOrder>, Finish),
    /// Of something that was done with the program of a worker.
    Order(Order, Answer),
    /// The pipe has this size now, or holds too much for that at present.
    Fit(Actor, Option<usize>),
    /// A sleep is over; `ready`: what it was for beside the waker is there.
    Wait(Actor, bool),
}

/// What came of a read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReadOutcome {
    /// What the read says has been read, and passed on.
    Moved,
    /// Nothing is there yet.
    Empty,
    /// This input is at its end.
    Ended,
    /// There is no memory to read into.
    Short,
    /// The disk has no room for what would be read, and nothing was.
    NoRoom(NoRoom),
    /// It failed.
    Failed,
}

/// Why there is no room on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom {
    /// What is in the way.
    pub by: FilledBy,
    /// Before which offset nobody was owed anything, as far as was known when room was looked for.
    pub floor: u64,
}

impl NoRoom {
    /// There is no disk that is ours.
    pub(crate) const OTHERS: NoRoom = NoRoom {
        by: FilledBy::Others,
        floor: 0,
    };
}

/// What is in the way where there is no room on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FilledBy {
    /// Ours, which may not have more: there will be room when some of it has been read back.
    Bound,
    /// Ours, which has most of the disk: the same.
    Ours,
    /// What others have there. That there is room again nobody tells.
    Others,
    /// It fails, or has not taken what it had room for. The same.
    Unknown,
}

impl FilledBy {
    /// Whether it may have room again, whatever becomes of ours.
    pub(crate) fn may_yield(self) -> bool {
        matches!(self, FilledBy::Others | FilledBy::Unknown)
    }
}

/// What came of a read from the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FetchOutcome {
    /// All of it is here.
    Here,
    /// There is no memory to read into.
    Short,
    /// It failed.
    Failed,
}

/// What came of a write, or of a bypass.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// These have left.
    Moved(Run),
    /// The output has no room.
    Full,
    /// The input has nothing (or its end has come), or it failed, or the output did.
    Nothing,
    /// Some have had less than the consumer, or nothing: what that has had was read, and is there for them.
    Uneven,
    /// There is no memory to read into, should that have to be.
    Short,
    /// The system refuses to do this here, now and for ever.
    Refused,
}

/// What the input and the output are like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Path {
    /// The system can pass bytes from the one to the other.
    pub direct: bool,
    /// And to several pipes at once.
    pub fans_out: bool,
    /// The input can be waited for before it is tried.
    pub waits_first: bool,
    /// A read may block although it is not meant to, and so may a write.
    pub input_blocks: bool,
    /// See there.
    pub output_blocks: bool,
}

/// What a sleep is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// Something to read: not for the waker.
    Input,
    /// That more has come to be read at once.
    More,
    /// Room in the output; the source, which lingers for it for a moment only, not for the waker.
    Room,
    /// That the gate opens.
    Gate,
    /// That what is held has gone.
    Empty,
    /// That a cap's time has come.
    Cap,
    /// Something to write.
    Data,
    /// That others have what they are owed too: for the consumer there is nothing more.
    Others,
    /// That a program may be run again.
    Turn,
    /// That nothing holds the output any more.
    Release,
    /// That the pipe can be made smaller.
    Fit,
}

/// What somebody sleeps for, and until when at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sleep {
    /// What for.
    pub what: For,
    /// Until when.
    pub until: Option<Instant>,
}

/// A sleep to be slept: until the waker has left this version behind, the time has come, or what it is for is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// What for and until when.
    pub sleep: Sleep,
    /// The version of the decision to sleep.
    pub version: u64,
}
