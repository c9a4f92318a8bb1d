//! Who leaves the lanes of an output in the middle of its queue: to make room, and by age; and which lanes have lost most.
//!
//! Invariant: what goes out of the lanes goes out of the queue, too.

use std::ops::Range;

use super::action::{CONSUMER, ReadState};
use super::lanes::{Begun, End, Gone, Lanes};
use super::policy::Which;
use super::state::Engine;
use super::status::LaneLoss;

/// Lanes that are named, of those that have lost most.
const LOSSES: usize = 10;

impl Engine {
    /// The lanes that have lost most, most first; none where nothing tells lanes apart.
    #[must_use]
    pub(crate) fn lane_losses(&self) -> Vec<LaneLoss> {
        let fairness = self.fairness.as_ref();
        let fairness = fairness.filter(|it| it.sorter.key.is_some());
        fairness.map_or(Vec::new(), |it| it.names.losses(LOSSES))
    }

    /// Drops records from the lanes until `least` bytes are gone and about `need`, or all. Returns how many.
    pub(super) fn shed_from_lanes(&mut self, i: usize, least: u64, need: u64) -> u64 {
        let end = match self.shedder.policy.map(|policy| policy.which) {
            // A tap keeps what came last, whatever the others drop.
            Some(Which::Newest) if !self.outputs[i].is_tap() => End::Newest,
            _ => End::Oldest,
        };
        let run = self.unfinished(i);
        let before = run.as_ref().map(|run| Begun {
            length: run.end - run.start,
            kept: self.would_keep(run),
        });
        let mut begun = before;
        let books = self.outputs[i].books();
        let bytes = self.drop_from_lanes(i, |lanes, gone| {
            lanes.shed(end, least, need, &mut begun, gone)
        });
        if let Some(run) = run.filter(|_| begun != before) {
            match i {
                CONSUMER => self.drop_begun_run(run),
                i => self.drop_begun_run_of_side(i, &run),
            }
        }
        // Half of it, so that memory becomes less in any case.
        let freed = bytes + books.saturating_sub(self.outputs[i].books());
        self.shedder.leeway = self.shedder.leeway.max(freed / 2);
        bytes
    }

    /// A record that was shed while it came has ended, the first one in this read: now it is known what its lane has lost.
    pub(super) fn count_skipped(&mut self, read: &ReadState) {
        if read.sorts
            && let Some((it, sorting)) = self.fairness.as_mut().zip(read.sorting.as_ref())
            && let Some((lane, bytes)) = sorting.first(&it.names)
        {
            it.names.on_lost(lane, bytes, 1);
        }
    }

    /// The same of one that never will end.
    pub(super) fn count_last_skipped(&mut self) {
        if let Some(mut read) = self.source.read.take() {
            if let Some(sorting) = &mut read.sorting {
                sorting.sort_last();
            }
            self.name_lanes(&mut read);
            self.count_skipped(&read);
            self.source.read = Some(read);
        }
    }

    /// The record in progress, where it can be dropped as a whole. What the log says is so in the middle of a read, too.
    fn unfinished(&self, i: usize) -> Option<Range<u64>> {
        let end = self.log.end();
        let output = &self.outputs[i];
        let is_skipping = match &output.side {
            Some(side) => side.is_skipping,
            None => self.shedder.skipped.is_some(),
        };
        let can_be_seen = self.log.readable() == end && !self.last_counted;
        if output.lanes.is_none() || is_skipping || !can_be_seen {
            return None;
        }
        let run = output.queue.last().filter(|run| run.end == end)?;
        let whole = self.log.last_boundary(run.start, end);
        let own = self.log.is_boundary(run.start) && !output.is_torn();
        let start = whole.or_else(|| own.then_some(run.start))?;
        (start < end).then_some(start..end)
    }

    /// Whether a record of which so much has come would be kept, as far as can be told.
    fn would_keep(&self, run: &Range<u64>) -> bool {
        let keep = self
            .fairness
            .as_ref()
            .and_then(|it| it.sorter.keep.as_ref());
        keep.is_some_and(|keep| keep.is_match(&self.look_at(run)))
    }

    /// Drops the records that were complete before this place, but for those that are to be kept.
    pub(super) fn expire_from_lanes(&mut self, i: usize, old: u64) {
        self.drop_from_lanes(i, |lanes, gone| lanes.expire(old, gone));
    }

    /// Drops the records that come out of the lanes.
    fn drop_from_lanes<T: Default>(
        &mut self,
        i: usize,
        drop: impl FnOnce(&mut Lanes, &mut Gone) -> T,
    ) -> T {
        let Some(books) = &mut self.outputs[i].lanes else {
            return T::default();
        };
        let mut gone = self
            .fairness
            .as_mut()
            .map_or(Gone::default(), |it| std::mem::take(&mut it.gone));
        let result = drop(&mut books.lanes, &mut gone);
        if let Some(it) = self.fairness.as_mut().filter(|_| i == CONSUMER) {
            for (lane, bytes, records) in &gone.lost {
                it.names.on_lost(*lane, *bytes, *records);
            }
        }
        self.forget_gone(i, &gone);
        if let Some(it) = &mut self.fairness {
            gone.clear();
            it.gone = gone;
        }
        result
    }

    /// What has gone out of the lanes goes out of the queue, too.
    fn forget_gone(&mut self, i: usize, gone: &Gone) {
        let Some(last) = gone.runs.last() else { return };
        // A last record that has no end is counted by itself.
        let is_open =
            self.is_last() && last.end == self.log.end() && self.source.cursor.is_inside();
        let records = gone.records - u64::from(is_open);
        self.outputs[i].queue.remove_all(&gone.runs);
        match i {
            CONSUMER => self.forget_records(&gone.runs, records),
            i => self.drop_records_for_side(i, &gone.runs, records),
        }
    }
}
