//! One output: what it is owed, how far it has come, and whether it has room.

use std::time::{Duration, Instant};

use super::action::{For, WriteState};
use super::inflight::InFlightWindow;
use super::lane_books::Books;
use super::plan::{Plan, Sleeper};
use super::queue::Queue;
use super::record::{Cursor, Framing};
use super::side::{Role, Side, Stage};

/// Whether the output has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// That shows when it is tried.
    Unknown,
    /// It has some.
    There,
    /// It has none; to be tried again at this time even if it does not say that it has.
    None(Option<Instant>),
}

/// One output.
#[derive(Debug)]
pub(crate) struct Output {
    pub sleeper: Sleeper,
    pub queue: Queue,
    /// The records in it, by lanes, where that matters.
    pub(super) lanes: Option<Box<Books>>,
    /// Where in its record the output stands.
    pub cursor: Cursor,
    /// Room for the parts of a write, for the next one.
    pub write: Option<Box<WriteState>>,
    /// What is claimed ends inside a record.
    pub claim_is_torn: bool,
    pub is_writing: bool,
    /// A write may block although it is not meant to.
    pub(super) blocks: bool,
    pub room: Room,
    /// Its pipe holds too much to be made smaller, and nothing is written before that is done.
    pub(super) is_cramped: bool,
    /// What fits into its pipe, as far as that is ours to choose.
    pub pipe: Pipe,
    pub window: InFlightWindow,
    /// Bytes that it has taken since the buffer was full.
    pub taken: u64,
    /// There was no memory to read back into: when to try again.
    pub fetch_again: Option<Instant>,
    /// What it is beside the consumer, if that.
    pub side: Option<Side>,
}

/// The pipe to the consumer.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    /// The size that it is to have when freshness does not rule; `None`: it is not ours to choose.
    pub(super) usual: Option<usize>,
    /// The size that it was given last.
    pub(super) size: Option<usize>,
    /// It held too much for another one: when to try again, and how long that took.
    pub(super) again: Option<(Instant, Duration)>,
}

impl Pipe {
    /// What is to be done that it has this size.
    pub(super) fn plan(&self, wanted: usize, now: Instant) -> Option<Plan> {
        if self.usual.is_none() || self.size == Some(wanted) {
            return None;
        }
        match self.again {
            Some((at, _)) if now < at => Some(Plan::wait(For::Fit, Some(at))),
            _ => Some(Plan::Fit(wanted)),
        }
    }
}

impl Output {
    pub(super) fn new(framing: Option<Framing>) -> Output {
        Output {
            sleeper: Sleeper::default(),
            queue: Queue::default(),
            lanes: None,
            cursor: Cursor::new(framing),
            write: None,
            claim_is_torn: false,
            is_writing: false,
            blocks: false,
            room: Room::Unknown,
            is_cramped: false,
            pipe: Pipe::default(),
            window: InFlightWindow::default(),
            taken: 0,
            fetch_again: None,
            side: None,
        }
    }

    /// Whether it makes us wait.
    pub(super) fn is_full(&self) -> bool {
        matches!(self.room, Room::None(_)) || self.is_writing && self.blocks || self.is_cramped
    }

    /// Whether it is writing something that is waited for, as what is shown to somebody is not.
    pub(super) fn is_writing_what_counts(&self) -> bool {
        let is_looker = |side: &Side| matches!(side.role, Role::Looker(_));
        self.is_writing && !self.side.as_ref().is_some_and(is_looker)
    }

    /// Its thread goes to sleep.
    pub(super) fn on_sleep(&mut self, what: For, now: Instant) {
        // A consumer that leaves what it has in its pipe keeps us waiting, whatever we wait for.
        self.is_cramped = what == For::Fit;
        match what {
            For::Room => self.on_full(now),
            For::Fit => {}
            _ => self.window.forget_wait(),
        }
    }

    /// It is being waited for.
    pub(super) fn on_full(&mut self, now: Instant) {
        self.window.on_wait(now);
        if !matches!(self.room, Room::None(_)) {
            self.room = Room::None(None);
        }
    }

    /// The first place that it is owed.
    pub(super) fn head(&self) -> Option<u64> {
        let head = self.queue.claim().or(self.queue.first());
        head.map(|run| run.start)
    }

    /// Whether what is next goes on with a record of which a part has left, or may have.
    pub(super) fn is_torn(&self) -> bool {
        match self.queue.claim() {
            Some(_) => self.claim_is_torn,
            None => self.cursor.is_inside(),
        }
    }
}

impl Output {
    pub(super) fn is_tap(&self) -> bool {
        let side = self.side.as_ref();
        side.is_some_and(|side| side.role.share().is_some())
    }

    /// Whether it is beside the consumer, and takes something.
    pub(super) fn is_open_side(&self) -> bool {
        let side = self.side.as_ref();
        side.is_some_and(|side| side.stage == Stage::Open)
    }
}
