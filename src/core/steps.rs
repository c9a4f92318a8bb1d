//! What the state machine is told at first, and what passes between it and the two threads: the
//! next step one way, what came of it the other.

use std::time::{Duration, Instant};

use super::frame::{Cursor, Framing, Tally};
use super::gate::Marks;
use super::pace::{Bursts, Cap, Grant};
use super::ring::Segment;
use super::shed::Policy;
use super::watch::Patience;

/// Caps on one side, for bytes and for records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// On bytes.
    pub bytes: Option<Cap>,
    /// On records.
    pub records: Option<Cap>,
}

/// What a run is told; checked by whoever makes one.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Capacity of the ring in bytes.
    pub capacity: usize,
    /// The watermarks.
    pub marks: Marks,
    /// Whether bytes may bypass the ring while it is empty, without being looked at.
    pub cut_through: bool,
    /// What makes a record, if anything does.
    pub framing: Option<Framing>,
    /// Caps on what leaves.
    pub output: Limits,
    /// Caps on what is taken.
    pub input: Limits,
    /// What may pass at once after a pause.
    pub burst: Bursts,
    /// What to drop when the buffer is full; `None`: block.
    pub shed: Option<Policy>,
    /// Drop what has waited longer than this.
    pub max_age: Option<Duration>,
    /// How long each side may stall.
    pub patience: Patience,
}

/// What the source thread does next.
#[derive(Debug)]
pub enum ReadStep {
    /// Read into the intake, without blocking if that can be; when there is leave, write of it at
    /// once what the output has room for; then say so by `on_read`.
    Read(Option<Leave>),
    /// Move bytes straight to the output as far as the leave goes, then say what came of it.
    CutThrough(Leave),
    /// Sleep until the bell, or until this instant.
    Wait(Option<Instant>),
    /// Nothing more is to be read.
    Done,
}

/// What the sink thread does next.
#[derive(Debug)]
pub enum WriteStep {
    /// Write from the hand as far as the leave goes, and say so by `on_written`. Where there is no
    /// room, wait for some, or until this instant; then ask again.
    Write(Leave, Option<Instant>),
    /// Wait until the output has room, or until this instant, on a pipe of this many bytes; then
    /// ask again and say whether it has.
    AwaitRoom(Option<Instant>, usize),
    /// Sleep until the bell, or until this instant.
    Wait(Option<Instant>),
    /// Drop these, outside the lock; then ask again.
    Trim(Vec<Segment>),
    /// Everything has been written that ever will be.
    Done,
}

/// Leave to write: how much, and where in its record the output stands.
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// What the caps grant.
    pub grant: Grant,
    /// Where the output stands.
    pub cursor: Cursor,
}

impl Leave {
    /// As much of `bytes` as may be written.
    #[must_use]
    pub fn cut<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let bytes = &bytes[..bytes.len().min(self.grant.bytes)];
        &bytes[..self.cursor.reach(bytes, self.grant.records)]
    }

    /// These were written.
    #[must_use]
    pub fn use_up(self, bytes: &[u8]) -> Run {
        Run::over(self.cursor, bytes)
    }
}

/// Bytes that went by: how many, the records in them, and where the stream stands now.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Bytes.
    pub bytes: usize,
    /// Records.
    pub tally: Tally,
    /// The place after them.
    pub cursor: Cursor,
}

impl Run {
    /// Nothing yet.
    #[must_use]
    pub fn at(cursor: Cursor) -> Run {
        Run {
            bytes: 0,
            tally: Tally::default(),
            cursor,
        }
    }

    /// The run of `bytes` from `cursor` on.
    #[must_use]
    pub fn over(cursor: Cursor, bytes: &[u8]) -> Run {
        let mut run = Run::at(cursor);
        run.add(bytes);
        run
    }

    /// Goes on over `bytes`.
    pub fn add(&mut self, bytes: &[u8]) {
        let more = self.cursor.pass(bytes);
        self.bytes += bytes.len();
        self.tally.begun += more.begun;
        self.tally.ended += more.ended;
    }
}
