//! Workers: several programs that take from one queue, each by a pipe of its own.
//!
//! A worker is given whole records when it has room for them, no more at a time than it takes in a moment; so a slow
//! one gets fewer, and one that is stuck holds up what lies in its pipe, and nobody else. What it was given stays
//! pinned until it is known to have been read, and goes back into the queue when its program ends before that.
//!
//! Invariants: no place is in two workers' hands, nor in one's and in the consumer's queue; `held` is the length of
//! what is in their hands and in no pipe yet, which is a part of one record, but while it is being written.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::action::WriteState;
use super::breaker::SharedBreaker;
use super::given::Given;
use super::inflight::InFlightWindow;
use super::output::{Pipe, Room};
use super::plan::Sleeper;
use super::queue::Queue;
use super::record::{Cursor, Framing};
use super::restart::RestartRules;
use super::scaler::{BusyTime, Scaler, Scaling};

use super::stats::Total;
use super::task::Fate;
use super::unread::Unread;

/// For how long those who have had all wait at the end for one that has read nothing.
const LINGER: Duration = Duration::from_secs(1);

/// How many programs run side by side, and what is done when one ends; checked by whoever makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkerRules {
    /// How many.
    pub count: Scaling,
    /// When one that has ended is run again.
    pub restart: Option<RestartRules>,
    /// What makes waits differ.
    pub chance: u64,
}

/// Whether its program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It does not, and is not before then.
    Down(Option<Instant>),
    /// It does, or has ended and was not emptied yet.
    Up,
    /// It does not until there is need of it, and never did.
    Spare,
    /// It was sent away, for others did what there was to do. It has not had enough: where none of them is left, it is
    /// run again.
    Sent,
    /// It is not run any more.
    Over,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Worker {
    pub sleeper: Sleeper,
    pub life: Life,
    /// Somebody acts for it.
    pub is_busy: bool,
    /// It was given the end of the input.
    pub is_fed: bool,
    /// It gets nothing any more, for there is little to do, and if it is not missed until then it is to end.
    pub leaves_at: Option<Instant>,
    /// Its pipe has nobody any more who reads.
    pub is_deaf: bool,
    /// And what was in it was taken back.
    pub is_empty: bool,
    /// It has ended, and whether well.
    pub exit: Option<bool>,
    /// What that means, until that is told.
    pub ended: Option<Fate>,
    /// What is its own and not in its pipe yet.
    pub queue: Queue,
    /// Where the rest of the record will be that it has begun, and whose rest it was not given yet. Several may have one:
    /// that which came last, and those that were taken back and are given in parts.
    pub torn_at: Option<u64>,
    /// What is in its pipe, or was.
    pub given: Given,
    /// Where in its record its pipe stands.
    pub cursor: Cursor,
    /// A place that it was given last, and how many records end before it, where somebody is to know.
    pub mark: Option<(u64, u64)>,
    pub write: Option<Box<WriteState>>,
    pub is_writing: bool,
    pub room: Room,
    pub pipe: Pipe,
    pub window: InFlightWindow,
    pub fetch_again: Option<Instant>,
    /// When its present run began, and how long it was waited for that.
    pub since: Instant,
    pub waited: Duration,
    /// It has read a whole record in this run.
    pub has_progressed: bool,
    /// Failures in a row.
    pub failures: u32,
    /// It is to be run whatever there is to do, for it never was.
    pub is_due: bool,
    pub busy: BusyTime,
    /// It has stalled, and nobody has said so yet.
    pub is_accused: bool,
    pub fate: Fate,
}

impl Worker {
    fn new(is_spare: bool, framing: Option<Framing>, now: Instant) -> Worker {
        Worker {
            sleeper: Sleeper::default(),
            life: match is_spare {
                true => Life::Spare,
                false => Life::Down(None),
            },
            is_busy: false,
            is_fed: false,
            leaves_at: None,
            is_deaf: false,
            is_empty: false,
            exit: None,
            ended: None,
            queue: Queue::default(),
            torn_at: None,
            given: Given::new(true, now),
            cursor: Cursor::new(framing),
            mark: None,
            write: None,
            is_writing: false,
            room: Room::Unknown,
            pipe: Pipe::default(),
            window: InFlightWindow::default(),
            fetch_again: None,
            since: now,
            waited: Duration::ZERO,
            has_progressed: false,
            failures: 0,
            is_due: !is_spare,
            busy: BusyTime::new(now),
            is_accused: false,
            fate: Fate::None,
        }
    }

    /// Another program begins.
    pub(super) fn begin(&mut self, framing: Option<Framing>, now: Instant) {
        self.life = Life::Up;
        (self.is_due, self.leaves_at) = (false, None);
        self.busy = BusyTime::new(now);
        (self.is_fed, self.is_deaf, self.is_empty) = (false, false, false);
        self.cursor = Cursor::new(framing);
        (self.room, self.window) = (Room::Unknown, InFlightWindow::default());
        // Some size that is none, so that it is given the one that fits.
        self.pipe = Pipe::default();
        self.pipe.usual = Some(0);
        (self.since, self.has_progressed) = (now, false);
        self.given.unread = Unread::new(now);
        (self.is_accused, self.fate) = (false, Fate::None);
    }

    /// Whether it may be given something.
    pub(super) fn is_open(&self) -> bool {
        self.life == Life::Up && self.exit.is_none() && !self.is_fed && !self.is_deaf
    }

    /// Whether it is one of those who are there to take something.
    pub(super) fn is_wanted(&self) -> bool {
        let is_there = match self.life {
            Life::Down(_) => true,
            // One that has closed its pipe takes nothing, however long it lives on.
            Life::Up => !self.is_deaf,
            Life::Spare | Life::Sent | Life::Over => false,
        };
        is_there && self.leaves_at.is_none()
    }

    /// Until when others wait for what may come back from it, if anything may: not for one that has read nothing for so
    /// long, for it may itself be waiting until they have ended.
    pub(super) fn lingered_for_until(&self, now: Instant) -> Option<Instant> {
        let unread = &self.given.unread;
        // What it has left is being taken back, or its next piece is on its way.
        let is_moving =
            self.exit.is_some() && !self.is_empty || self.queue.owed() > 0 && unread.bytes() == 0;
        let has_read_all = self.is_fed && unread.bytes() == 0;
        let has_some = self.queue.owed() > 0 || self.given.bytes() > 0 && !has_read_all;
        let since = if is_moving { now } else { unread.since() };
        let until = since.checked_add(LINGER)?;
        let is_lingered_for = self.life == Life::Up && (is_moving || has_some) && now < until;
        is_lingered_for.then_some(until)
    }

    /// Whether it is about to leave, and has not been told yet.
    pub(super) fn may_stay(&self) -> bool {
        self.leaves_at.is_some() && self.is_open() && !self.is_busy
    }

    /// It is one too many: it goes when it has what it has begun, or is not run again until it is called.
    pub(super) fn send_away(&mut self, now: Instant) {
        if self.life == Life::Up {
            self.leaves_at = Some(now);
            return;
        }
        self.life = match self.is_due {
            true => Life::Spare,
            false => Life::Sent,
        };
        self.is_due = false;
    }

    /// Whether it was woken, and has not come yet to ask what there is to do.
    pub(super) fn is_coming(&self) -> bool {
        self.is_open()
            && self.is_wanted()
            && !self.is_busy
            && !self.is_writing
            && self.sleeper.asleep.is_none()
            && self.queue.owed() == 0
    }

    /// It runs without trouble for so long: whether that makes up for failures.
    pub(super) fn has_succeeded(&self, now: Instant) -> bool {
        self.has_progressed && now.saturating_duration_since(self.since) > self.waited
    }
}

/// All of them, and what they have in common.
#[derive(Debug)]
pub(super) struct Workers {
    pub rules: WorkerRules,
    pub list: Vec<Worker>,
    pub breaker: SharedBreaker,
    pub scaler: Scaler,
    /// So many are to come, since the number was changed.
    pub missing: usize,
    /// Bytes in their queues.
    pub held: u64,
    /// Nothing is run again any more.
    pub is_over: bool,
    /// One would be, but for that: one that has ended well, or waits for its turn.
    pub is_held: bool,
    /// How long what lies in a pipe may lie there.
    pub stall_timeout: Option<Duration>,
    pub restarts: u64,
    /// What was taken back, and what of that had been begun.
    pub taken_back: Total,
    pub repeated: Total,
    /// Whose turn it is to be woken first.
    pub next: usize,
}

impl Workers {
    pub(super) fn new(
        rules: WorkerRules,
        framing: Option<Framing>,
        stall_timeout: Option<Duration>,
        now: Instant,
    ) -> Workers {
        let backoff = rules.restart.map_or_else(Default::default, |it| it.backoff);
        let worker = |j| Worker::new(j >= rules.count.least, framing, now);
        Workers {
            rules,
            list: (0..rules.count.most).map(worker).collect(),
            breaker: SharedBreaker::new(backoff, rules.chance),
            scaler: Scaler::new(rules.count, now),
            missing: 0,
            held: 0,
            is_over: false,
            is_held: false,
            stall_timeout,
            restarts: 0,
            taken_back: Total::default(),
            repeated: Total::default(),
            next: 0,
        }
    }

    /// What this one has failed is made up for, if it has run long enough since, and has read something.
    pub(super) fn look_at_success(&mut self, j: usize, now: Instant) {
        let it = &mut self.list[j];
        if it.failures > 0 && it.has_succeeded(now) {
            (it.failures, it.waited) = (0, Duration::ZERO);
            self.breaker.on_success(j);
        }
    }

    /// Whether this one has closed its pipe and lives on, where another one would come in its place if it ended.
    pub(super) fn is_missed(&self, j: usize) -> bool {
        let it = &self.list[j];
        let is_run_again = self.rules.restart.is_some() && !self.is_over;
        it.life == Life::Up && it.is_deaf && it.is_empty && is_run_again
    }

    /// All but this one.
    pub(super) fn others(&self, j: usize) -> impl Iterator<Item = &Worker> {
        let (before, rest) = self.list.split_at(j);
        before.iter().chain(&rest[1..])
    }

    /// Until when this one waits for what may come back from the others, if anything may.
    pub(super) fn lingers_until(&self, j: usize, now: Instant) -> Option<Instant> {
        let until = |other: &Worker| other.lingered_for_until(now);
        self.others(j).filter_map(until).max()
    }

    /// All that is in their hands and in no pipe.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Range<u64>> {
        let queues = self.list.iter().map(|it| &it.queue);
        queues.flat_map(|queue| queue.claims().chain(queue.runs()))
    }

    /// All that was given to them and may lie unread.
    pub(super) fn given(&self) -> impl Iterator<Item = &Range<u64>> {
        self.list.iter().flat_map(|it| it.given.runs())
    }

    /// Bytes of that.
    pub(super) fn given_bytes(&self) -> u64 {
        self.list.iter().map(|it| it.given.bytes()).sum()
    }

    /// The first place that is in their hands.
    pub(super) fn first_place(&self) -> Option<u64> {
        self.runs().map(|run| run.start).min()
    }
}
