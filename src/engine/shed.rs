//! What the consumer's queue forgets: the oldest or the newest when the buffer is full, after a delay, and
//! what is too old.
//!
//! Invariant: the output is the input with whole records removed. What is claimed is never dropped;
//! the rest of a record of which a part has left is not either; and a record of which a part was dropped is
//! dropped to its end.

mod expiry;

use std::ops::Range;
use std::time::Instant;

use super::action::CONSUMER;
use super::output::Output;
use super::plan::Way;
use super::policy::Which;
use super::record::Cursor;
use super::state::Engine;

/// Bytes for which room is made at a time, at most.
const ROOM_MOST: usize = 256 * 1024;
/// The same where records are in lanes: a pass looks at most of what is held. Where 5,000 lanes hold as much, and the buffer is
/// of 4 MiB, that is seven records for each that goes; the less goes at a time, the more it is.
const LANES_ROOM_MOST: usize = 4 * 1024 * 1024;

impl Engine {
    /// Whether freshness rules: everything goes through the log, in small claims.
    #[inline]
    pub(super) fn is_fresh(&self) -> bool {
        let shedder = &self.shedder;
        shedder.policy.is_some() || shedder.max_age.is_some() || shedder.skipped.is_some()
    }

    /// Looks after each change whether the buffer is full. One that is only not full because some was shed is
    /// as good as full: it takes those who take to make the delay begin anew.
    pub(super) fn look_at_delay(&mut self, now: Instant) {
        let (low, high) = (self.gate.marks().low, self.gate.marks().high);
        if self.gate.is_closed() || self.has_no_place() || self.has_full_books() {
            if self.shedder.full_since.is_none() {
                self.shedder.full_since = Some(now);
                self.outputs.iter_mut().for_each(|output| output.taken = 0);
            }
        } else if self.shedder.full_since.is_some() {
            let is_relieved = |(i, output): (usize, &Output)| {
                let owed = self.owed_to(i) as usize;
                owed == 0 || owed <= low && output.taken >= (high - low) as u64
            };
            if self.holders().all(is_relieved) {
                self.shedder.full_since = None;
            }
        }
    }

    /// When blocking ends and shedding begins. The delay is for outputs that may still make room: one
    /// that has nothing to take, since a record larger than the buffer is not complete, never will.
    pub(super) fn shed_due(&self, now: Instant) -> Option<Instant> {
        let has_nothing = |i: usize| {
            self.outputs[i].queue.claim().is_none()
                && match i {
                    CONSUMER => self.deliverable() == 0 && self.in_batches() == 0,
                    i => self.side_deliverable(i) == 0,
                }
        };
        if self.shedder.policy.is_some() && self.fullest().all(has_nothing) {
            return Some(now);
        }
        self.shedder.due(now)
    }

    /// The outputs that shed when the buffer is full: those that are about as far behind as the furthest, with their books
    /// where these fill it.
    fn fullest(&self) -> impl Iterator<Item = usize> {
        let by_books = self.has_full_books();
        let weight = move |(i, output): (usize, &Output)| {
            let books = if by_books { output.books() } else { 0 };
            self.owed_to(i) + books
        };
        let most = self.holders().map(weight).max().unwrap_or(0);
        let floor = most.saturating_sub(self.room_to_make());
        let holders = self.holders().filter(move |it| weight(*it) > floor);
        holders.map(|(i, _)| i)
    }

    /// Bytes for which room is made at a time.
    pub(super) fn room_to_make(&self) -> u64 {
        let most = match self.has_lanes() {
            true => LANES_ROOM_MOST,
            false => ROOM_MOST,
        };
        (self.capacity / 8).clamp(1, most) as u64
    }

    /// What of these bytes of memory is not for books, where these help to fill the buffer: they go with their records.
    fn without_books(&self, bytes: u64) -> u64 {
        if !self.has_full_books() {
            return bytes;
        }
        let books = self.all_books();
        let held = self.occupancy() as u64;
        let share = u128::from(bytes) * u128::from(held) / u128::from((held + books).max(1));
        (share as u64).max(1)
    }

    /// Whether any of them has something to shed.
    pub(super) fn can_shed(&self) -> bool {
        self.fullest().any(|i| self.droppable(i) > 0)
    }

    /// Whether the record in progress can no longer be dropped as a whole by one of them. One that is not so far
    /// behind has room for the rest of it.
    pub(super) fn any_has_left(&self) -> bool {
        let (place, end) = (self.source.cursor, self.log.end());
        self.fullest().any(|i| self.has_left(i, place, end))
    }

    /// Whether a record of which this place in the input, which has this place in the log, is in the middle can no
    /// longer be dropped as a whole.
    pub(super) fn has_left(&self, i: usize, place: Cursor, end: u64) -> bool {
        let output = &self.outputs[i];
        let is_skipping = match &output.side {
            Some(side) => side.is_skipping,
            None => self.shedder.skipped.is_some(),
        };
        let queue = &output.queue;
        let (last, depth) = (queue.last(), place.depth());
        let held = last.map_or(0, |run| run.end - run.start);
        let goes_on = last.is_none_or(|run| run.end == end);
        self.framing.is_some()
            && !is_skipping
            && depth > 0
            && (depth > held || !goes_on || depth > self.reachable(i))
    }

    /// The bytes at the head of the queue that go on with a record of which a part has left.
    pub(super) fn torn(&self, i: usize) -> u64 {
        let output = &self.outputs[i];
        let Some(run) = output.queue.first().filter(|_| output.is_torn()) else {
            return 0;
        };
        let end = self.log.next_boundary(run.start, run.end);
        end.unwrap_or(run.end) - run.start
    }

    /// Bytes that may be dropped from the queue.
    pub(super) fn droppable(&self, i: usize) -> u64 {
        self.reachable(i).saturating_sub(self.torn(i))
    }

    /// How room can be made by this rule, if it can.
    pub(super) fn way_to_shed(&self, which: Which) -> Option<Way> {
        if which == Which::Newest && !self.has_lanes() {
            // What comes needs memory, if only to be read.
            let may = self.is_starved() && self.droppable(CONSUMER) > 0;
            return may.then_some(Way::Newest);
        }
        self.can_shed().then_some(Way::Fullest)
    }

    /// The buffer is full and the delay is over: makes room.
    pub(super) fn shed(&mut self, way: Way, now: Instant) {
        if self.is_starved() && self.lose_overflow() {
            // There is memory again.
            return self.update(now);
        }
        match way {
            Way::Newest => self.drop_newest(now),
            Way::Fullest => self.shed_oldest(now),
        }
    }

    /// Drops the oldest records.
    fn shed_oldest(&mut self, now: Instant) {
        let need = self.without_books(self.room_to_make());
        let fullest: Vec<usize> = self.fullest().collect();
        for i in fullest {
            match i {
                CONSUMER => self.shed_oldest_of_consumer(need),
                i => self.shed_oldest_of_side(i, need, now),
            }
        }
        self.gate.on_shed(self.occupancy());
        self.on_place_shed();
        self.on_shrunk(now);
        self.update(now);
    }

    fn shed_oldest_of_consumer(&mut self, need: u64) {
        let torn = self.torn(CONSUMER);
        // Half of it will do: lanes are lowered together, and as a rule most of it is gone then.
        let mut n = self.shed_from_lanes(CONSUMER, need.div_ceil(2), need);
        for skip in [torn.max(self.passed_over()), torn] {
            while n < need
                && !self.has_lanes()
                && let Some(run) = self.whole_records(CONSUMER, skip, need - n)
            {
                n += run.end - run.start;
                self.pass_over_claim();
                self.forget(run);
            }
            if n > 0 {
                return;
            }
        }
        // One record fills the buffer and has not ended yet.
        self.pass_over_claim();
        self.drop_unfinished(torn);
    }

    /// What is claimed is older than what is dropped now.
    fn pass_over_claim(&mut self) {
        if let Some(claim) = self.outputs[CONSUMER].queue.claims().last()
            && self.overflow.is_wanted
        {
            let shedder = &mut self.shedder;
            shedder.passed_over = shedder.passed_over.max(claim.end);
        }
    }

    /// Bytes at the head of the queue, in whole records, that were claimed when later ones were dropped, and came back. The
    /// file that gets what is dropped gets it in order while these stay.
    fn passed_over(&self) -> u64 {
        let end = self.shedder.passed_over;
        let runs = self.outputs[CONSUMER].queue.runs();
        let before = runs.take_while(|run| run.start < end);
        let length = |run: &Range<u64>| {
            let whole = (end < run.end && self.framing.is_some())
                .then(|| self.log.next_boundary(end - 1, run.end).unwrap_or(run.end));
            whole.unwrap_or(run.end.min(end)) - run.start
        };
        before.map(length).sum()
    }

    /// The run that is `skip` bytes behind the head, as far as it can be looked at.
    pub(super) fn run_behind(&self, i: usize, mut skip: u64) -> Option<Range<u64>> {
        let readable = self.log.readable();
        for run in self.outputs[i].queue.runs() {
            let length = run.end - run.start;
            if skip < length {
                let (from, to) = (run.start + skip, run.end.min(readable));
                return (from < to).then_some(from..to);
            }
            skip -= length;
        }
        None
    }

    /// The shortest run of whole records behind the first `skip` bytes that has `need` bytes or more, or as
    /// many as there are.
    pub(super) fn whole_records(&self, i: usize, skip: u64, need: u64) -> Option<Range<u64>> {
        let run = self.run_behind(i, skip)?;
        let end = if self.framing.is_none() {
            run.end.min(run.start + need)
        } else {
            let up = self.log.next_boundary(run.start + need - 1, run.end);
            up.or_else(|| self.log.last_boundary(run.start, run.end))?
        };
        Some(run.start..end)
    }

    /// Drops a record behind the first `skip` bytes that has not ended yet, as far as it has come.
    fn drop_unfinished(&mut self, skip: u64) {
        if let Some(run) = self.run_behind(CONSUMER, skip) {
            self.drop_begun_run(run);
        }
    }

    /// The same of the places where it lies.
    pub(super) fn drop_begun_run(&mut self, run: Range<u64>) {
        let n = run.end - run.start;
        self.outputs[CONSUMER].queue.remove(&run);
        self.stats.shed.bytes += n;
        if self.is_last() {
            // It never will.
            self.overflow_whole(&run);
            self.on_shed(&run);
        } else {
            self.shedder.skipped = Some(n);
            self.overflow_part(&run);
        }
        self.log.unpin(&run);
    }

    /// Drops these whole records.
    fn forget(&mut self, run: Range<u64>) {
        let records = if self.framing.is_some() {
            self.log.records(&run)
        } else {
            0
        };
        self.outputs[CONSUMER].queue.remove(&run);
        self.forget_records(&[run], records);
    }

    /// Drops these places, which have come off the queue, are in order, and in which so many records end.
    pub(super) fn forget_records(&mut self, runs: &[Range<u64>], records: u64) {
        self.stats.shed.bytes += runs.iter().map(|run| run.end - run.start).sum::<u64>();
        self.stats.shed.records += records;
        for run in runs {
            self.log.freeze(run);
        }
        if self.overflow.is_wanted {
            runs.iter().for_each(|run| self.overflow_whole(run));
        }
        if let Some(last) = runs.last() {
            self.on_shed(last);
        }
        self.log.unpin_all(runs);
    }

    /// These were dropped, maybe with a last record that has no end.
    pub(super) fn on_shed(&mut self, run: &Range<u64>) {
        if self.is_last() && run.end == self.log.end() {
            self.stats.on_last_shed();
        }
    }

    /// For want of memory: drops the newest records, down to the beginning of the extent that the last of them
    /// ends in. Something is dropped if anything may be.
    fn drop_newest(&mut self, now: Instant) {
        let queue = &self.outputs[CONSUMER].queue;
        let Some(last) = queue.last().cloned() else {
            return;
        };
        let length = last.end - last.start;
        let behind = queue.queued() - length;
        let first = last.start + self.torn(CONSUMER).saturating_sub(behind).min(length);
        // The record that goes on with what is read next goes, too.
        let goes_on =
            self.framing.is_some() && self.shedder.skipped.is_none() && last.end == self.log.end();
        let begun = if goes_on {
            self.source.cursor.depth()
        } else {
            0
        };
        let whole = last.end - begun.min(length);
        let extent = self.log.extent_of(last.end - 1);
        let start = if self.log.is_boundary(extent) {
            extent
        } else {
            let before = self.log.last_boundary(last.start, extent);
            before.unwrap_or(last.start)
        };
        let start = start.max(first);
        if start < whole {
            self.forget(start..whole);
        }
        if begun > 0 {
            self.drop_unfinished(behind + (start.max(whole) - last.start));
        }
        self.on_shrunk(now);
        self.update(now);
    }

    /// Whether no buffer like this holds a record of this length.
    pub(super) fn is_oversized(&self, length: u64) -> bool {
        length > self.gate.marks().high as u64
    }
}
