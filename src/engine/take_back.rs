//! A consumer that falls: what it has left of what it was given is taken back, and another one gets it.
//!
//! Invariant: nothing is given twice but the record that the consumer had begun to read, from its beginning.

use std::ops::Range;
use std::time::Instant;

use super::action::{CONSUMER, NoRoom};
use super::inflight::InFlightWindow;
use super::output::Room;
use super::record::Cursor;
use super::state::Engine;
use super::stats::Total;
use super::status::Count;
use super::unread::Unread;

/// More than any pipe holds that is not asked for by name.
const PIPE_MOST: u64 = 1 << 20;

impl Engine {
    /// Whether everything has to go through the log: what several are owed is held once, and what may have to be
    /// given again is kept.
    #[inline]
    pub(super) fn needs_log(&self) -> bool {
        let has_sides = self.has_sides() && !self.can_fan_out();
        let in_jobs = self.jobs.is_some() || self.workers.is_some();
        self.given.is_kept || in_jobs || has_sides || self.outlives()
    }

    /// Whether what is held may come to lie in many pieces of memory that hold little, which are worth moving together:
    /// not where one consumer alone takes all in order.
    pub(super) fn may_scatter(&self) -> bool {
        self.has_sides() || self.needs_log() || self.spill.is_some()
    }

    /// Nobody is owed these by the queue any more: they have been given.
    pub(super) fn on_given(&mut self, run: &Range<u64>, unread: Option<u64>, now: Instant) {
        if !self.given.is_kept {
            self.log.unpin(run);
            return;
        }
        self.given.push(run.clone());
        self.given.unread.on_given(run.end - run.start, now);
        if let Some(unread) = unread {
            self.on_unread(unread);
            self.given.unread.on_known(unread, now);
        }
        // A record that is longer than everything is not kept for its own sake.
        let most = self.capacity as u64 + PIPE_MOST;
        while self.given.bytes() > most
            && let Some(run) = self.given.pop(self.given.bytes() - most)
        {
            self.log.unpin(&run);
        }
    }

    /// Says how much of what was given lies unread.
    fn on_unread(&mut self, unread: u64) {
        loop {
            let read = self.given.bytes().saturating_sub(unread);
            let whole = match read {
                0 => 0,
                read => self.given.whole(read, &self.log),
            };
            let Some(run) = self.given.pop(whole).filter(|run| !run.is_empty()) else {
                return;
            };
            self.log.unpin(&run);
        }
    }

    /// So much of what was given lies unread as this tells, which is asked while nothing is on its way. Whether it has
    /// lain there for too long: then the watchdog says so when it is asked next.
    pub(crate) fn look_at_consumer(
        &mut self,
        unread: impl FnOnce() -> Option<u64>,
        now: Instant,
    ) -> bool {
        let is_gone = self.given.is_down && !self.given.is_deaf;
        if !self.given.is_kept || is_gone || self.outputs[CONSUMER].is_writing {
            return false;
        }
        let Some(unread) = unread() else { return false };
        let before = self.given.unread.looked_at();
        self.on_unread(unread);
        self.given.unread.on_known(unread, now);
        let time = self.watchdog.sink_timeout().filter(|_| unread > 0);
        let stalled = time.and_then(|time| self.given.unread.stalled(before, time, now));
        self.given.stalled = stalled.or(self.given.stalled.filter(|_| unread > 0));
        self.update(now);
        stalled.is_some()
    }

    /// The disk is full. What the consumer has read is not kept, of which so much is unread as this tells. Nor is the
    /// beginning of a record whose rest has no room, where nobody else is behind that who will make some.
    pub(crate) fn keep_less(
        &mut self,
        unread: impl FnOnce() -> Option<u64>,
        why: NoRoom,
        now: Instant,
    ) {
        let output = &self.outputs[CONSUMER];
        if !self.given.is_kept || output.is_writing || self.given.is_down {
            return;
        }
        let Some(unread) = unread() else { return };
        let has_all = output.queue.owed() == 0;
        self.on_unread(unread);
        let begun = self.given.runs().next().map(|run| run.start);
        let is_in_way = has_all
            && self.log.is_floor(why.floor)
            && begun.is_some_and(|begun| !self.lags(begun))
            && !why.by.may_yield();
        while unread == 0
            && is_in_way
            && let Some(run) = self.given.pop(self.given.bytes())
        {
            self.log.unpin(&run);
        }
        self.update(now);
    }

    /// The consumer has closed its standard input, and lives on: nothing is given to it any more.
    pub(crate) fn on_consumer_deaf(&mut self, now: Instant) {
        self.given.is_deaf = true;
        self.stop_giving(now);
    }

    /// The consumer is gone, and another one may come: nothing is given meanwhile.
    pub(crate) fn on_consumer_down(&mut self, now: Instant) {
        self.given.is_deaf = false;
        self.stop_giving(now);
    }

    /// The consumer is gone for good: tees still get what was read.
    pub(crate) fn on_consumer_over(&mut self, now: Instant) {
        self.given.is_over = true;
        self.ended = true;
        // Nobody is held by it any more.
        self.paused = false;
        self.on_consumer_down(now);
    }

    fn stop_giving(&mut self, now: Instant) {
        self.given.is_down = true;
        let output = &mut self.outputs[CONSUMER];
        (output.room, output.is_cramped) = (Room::Unknown, false);
        self.update(now);
    }

    /// Takes back what the consumer that is gone has left of what it was given, `unread` bytes and the record
    /// that it had begun. Where that lies on the disk, if it does, and how many records end in it.
    ///
    /// # Panics
    /// When something is on its way to it.
    pub(crate) fn take_back(&mut self, unread: u64, now: Instant) -> Option<(u64, u64)> {
        assert!(!self.outputs[CONSUMER].is_writing, "a write is under way");
        self.on_unread(unread);
        let left = self.given.bytes();
        let mut records = 0;
        let reaches_end = self.given.end() == Some(self.log.end());
        while let Some(run) = self.given.pop_back() {
            records += self.log.records(&run);
            self.outputs[CONSUMER].queue.give_back(run);
        }
        (self.given.unread, self.given.stalled) = (Unread::new(now), None);
        self.given.begun += left.saturating_sub(unread);
        self.given.taken_back.bytes += left;
        self.given.taken_back.records += records;
        let is_open =
            reaches_end && self.source.cursor.is_inside() && self.shedder.skipped.is_none();
        self.stats.on_taken_back(
            Total {
                bytes: left,
                records,
            },
            self.last_counted && is_open,
            self.used(),
        );
        self.begin_anew();
        self.sort_anew(CONSUMER);
        let head = self.outputs[CONSUMER].queue.first().filter(|_| left > 0);
        let at = head.and_then(|head| self.log.stored_at(head.start));
        self.update(now);
        at.map(|(at, _)| (at, records))
    }

    /// The place of the consumer's that comes next is the head of the queue.
    fn begin_anew(&mut self) {
        let output = &mut self.outputs[CONSUMER];
        let head = output.queue.first().map(|run| run.start);
        let is_torn = head.is_some_and(|head| !self.log.is_boundary(head));
        output.cursor = Cursor::at(self.framing, u64::from(is_torn));
        output.window = InFlightWindow::beside(self.capacity);
        output.room = Room::Unknown;
    }

    /// Whether nothing is to move any more.
    #[cfg(test)]
    pub(crate) fn is_halted(&self) -> bool {
        self.halted
    }

    /// Whether somebody holds the output.
    #[must_use]
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// What was taken back, and what of that had been begun.
    #[must_use]
    pub(crate) fn taken_back(&self) -> [Count; 2] {
        let is_framed = self.framing.is_some();
        [self.given.taken_back, self.given.repeated].map(|it| it.counting(is_framed))
    }

    /// Bytes that the consumer has been given and, by whole records, has read.
    #[must_use]
    pub(crate) fn dealt_with(&self) -> u64 {
        self.stats.written.bytes - self.given.bytes()
    }
}
