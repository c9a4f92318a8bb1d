//! What an output beside the consumer loses: a tap that is behind by more than its share, a tee where the rule for a full
//! buffer says so.
//!
//! Invariant: what is dropped for one is dropped for it alone, in whole records, in its own books.

use std::ops::Range;
use std::time::Instant;

use super::action::SIDES;
use super::state::Engine;

impl Engine {
    /// A tap that is too far behind loses its oldest: so many that what is left is within its share, with its books.
    pub(super) fn keep_within_share(&mut self, i: usize, now: Instant) {
        let output = &self.outputs[i];
        if let Some(share) = output.side.as_ref().and_then(|side| side.role.share()) {
            let excess = output.queue.owed().saturating_sub(share);
            if excess > 0 && self.drop_oldest(i, excess) < excess {
                self.drop_unfinished_of_side(i);
            }
            while self.outputs[i].outgrows(share)
                && self.drop_oldest(i, 1 + self.outputs[i].queue.queued() / 8) > 0
            {}
        }
        self.on_side_shrunk(i, now);
    }

    /// Drops the oldest whole records that are together so long, or as many as there are.
    pub(super) fn drop_oldest(&mut self, i: usize, need: u64) -> u64 {
        if self.outputs[i].lanes.is_some() {
            return self.shed_from_lanes(i, need, need);
        }
        let skip = self.torn(i);
        let mut n = 0;
        while n < need
            && let Some(run) = self.whole_records(i, skip, need - n)
        {
            n += run.end - run.start;
            self.outputs[i].queue.remove(&run);
            self.drop_for_side(i, &run);
        }
        n
    }

    /// Drops the record that has not ended yet, as far as it has come.
    pub(super) fn drop_unfinished_of_side(&mut self, i: usize) {
        let skip = self.torn(i);
        if let Some(run) = self.run_behind(i, skip) {
            self.drop_begun_run_of_side(i, &run);
        }
    }

    /// The same of the places where it lies.
    pub(super) fn drop_begun_run_of_side(&mut self, i: usize, run: &Range<u64>) {
        self.outputs[i].queue.remove(run);
        self.drop_for_side(i, run);
        if let Some(side) = &mut self.outputs[i].side {
            side.is_skipping = true;
        }
    }

    /// The buffer is full: the same for a tee.
    pub(super) fn shed_oldest_of_side(&mut self, i: usize, need: u64, now: Instant) {
        if self.drop_oldest(i, need) == 0 {
            self.drop_unfinished_of_side(i);
        }
        self.on_side_shrunk(i, now);
    }

    /// Memory is short: taps go without. Says whether there was anything.
    pub(super) fn lose_taps(&mut self, now: Instant) -> bool {
        let mut lost = false;
        for i in SIDES..self.outputs.len() {
            if self.outputs[i].is_tap() {
                let queued = self.outputs[i].queue.queued();
                self.drop_oldest(i, queued);
                self.drop_unfinished_of_side(i);
                lost |= self.outputs[i].queue.queued() < queued;
                self.on_side_shrunk(i, now);
            }
        }
        lost
    }

    /// These have come off the queue and are nobody's.
    pub(super) fn drop_for_side(&mut self, i: usize, run: &Range<u64>) {
        self.drop_records_for_side(i, std::slice::from_ref(run), self.log.records(run));
    }

    /// The same for places in order, where it is known how many records end in them.
    pub(super) fn drop_records_for_side(&mut self, i: usize, runs: &[Range<u64>], records: u64) {
        let is_last = runs.last().is_some_and(|run| run.end == self.log.end());
        if let Some(side) = &mut self.outputs[i].side {
            let bytes = runs.iter().map(|run| run.end - run.start).sum();
            side.drop_all(bytes, records);
            if is_last && std::mem::take(&mut side.last_is_open) {
                side.dropped.records += 1;
            }
        }
        runs.iter().for_each(|run| self.log.freeze(run));
        self.log.unpin_all(runs);
        if let Some(last) = runs.last() {
            self.join_behind(last.end);
        }
    }

    /// Less is owed to it than before, maybe.
    pub(super) fn on_side_shrunk(&mut self, i: usize, now: Instant) {
        let end = self.log.end();
        let output = &mut self.outputs[i];
        let head = output.queue.claim().or(output.queue.first());
        let head = head.map_or(end, |run| run.start);
        if let Some(side) = &mut output.side {
            side.timeline.forget_before(head);
        }
        if self.used() == 0 {
            if !self.outputs[i].is_tap() {
                self.on_empty(now);
            }
            self.plan_trim(now);
        }
    }
}
