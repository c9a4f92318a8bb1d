//! Those who look into a stream that runs: taps that come and go while it does, and what is kept for them.
//!
//! One that comes is shown what is read from then on, from the beginning of a record, behind what is kept of
//! what has passed. What is on its way around the log when one comes has passed before it came; from then on all that
//! passes is copied once, into the log, be it around it to the consumer or not.
//!
//! Invariant: `read since it came = written + missed + owed`.

use std::time::Instant;

use super::action::SIDES;
use super::output::Output;
use super::side::{Role, Side, Stage};
use super::state::Engine;
use super::stats::Total;
use super::status::Count;

impl Engine {
    /// Somebody comes to look, and may be behind by `share` bytes, or by all that is kept if that is more. Returns
    /// its number, which was another one's before, maybe.
    pub(crate) fn add_looker(&mut self, share: u64, now: Instant) -> usize {
        let kept = self.recall().map(|(share, _)| share);
        let role = Role::Looker(share.max(kept.unwrap_or(0)));
        let mut output = Output::new(self.framing);
        output.side = Some(Side::new(role, Stage::Joining));
        let vacant = self.sides().find(|(_, output)| output.side.is_none());
        let i = vacant.map_or(self.outputs.len(), |(i, _)| i);
        match self.outputs.get_mut(i) {
            Some(place) => *place = output,
            None => self.outputs.push(output),
        }
        self.side_count += 1;
        self.joining += 1;
        self.look_at_suspension();
        if kept.is_some() {
            // Since the start all that has passed was kept.
            self.let_join(now);
        }
        self.update(now);
        i
    }

    /// It has gone: what it is owed is nobody's. Says what it has missed.
    pub(crate) fn remove_looker(&mut self, i: usize, now: Instant) -> Count {
        let missed = self.missed(i);
        if self.halted {
            // The books are closed, but it is not waited for any more.
            if let Some(side) = &mut self.outputs[i].side {
                side.stage = Stage::Over { failed: false };
            }
            return missed;
        }
        while let Some(run) = self.outputs[i].queue.pop_front(u64::MAX) {
            self.log.unpin(&run);
        }
        let side = self.outputs[i].side.take();
        self.joining -= usize::from(side.is_some_and(|side| side.stage == Stage::Joining));
        self.outputs[i] = Output::new(self.framing);
        let is_there = |output: &Output| output.side.is_some();
        let last = self.outputs.iter().rposition(is_there);
        self.outputs.truncate(last.map_or(SIDES, |last| last + 1));
        self.side_count -= 1;
        self.look_at_suspension();
        if self.used() == 0 {
            self.plan_trim(now);
        }
        self.update(now);
        missed
    }

    /// What was dropped for it, since it was behind; and what it is still owed, where it gets no more.
    #[must_use]
    pub(crate) fn missed(&self, i: usize) -> Count {
        let is_framed = self.framing.is_some();
        let output = self.outputs.get(i);
        let Some((output, side)) = output.and_then(|it| Some((it, it.side.as_ref()?))) else {
            return Total::default().counting(is_framed);
        };
        let mut missed = side.dropped;
        if self.halted {
            let owed = output.queue.claims().chain(output.queue.runs());
            for run in owed {
                missed.bytes += run.end - run.start;
                missed.records += self.log.records(run);
            }
        }
        missed.counting(is_framed)
    }

    /// Whether this output has had all that there is, and nothing more will come.
    pub(crate) fn has_side_all(&self, i: usize) -> bool {
        self.is_last() && self.outputs[i].queue.owed() == 0
    }

    /// What is kept of what has passed: how much at most, and whose queue it is.
    fn recall(&self) -> Option<(u64, usize)> {
        self.sides()
            .find_map(|(i, output)| match output.side.as_ref()?.role {
                Role::Recall(share) => Some((share, i)),
                _ => None,
            })
    }

    /// Those who have come get what is read next, be it passed around the log or not.
    #[inline]
    pub(super) fn let_join(&mut self, now: Instant) {
        if self.joining > 0 {
            self.let_all_join(now);
        }
    }

    fn let_all_join(&mut self, now: Instant) {
        self.joining = 0;
        let (read, inside) = (self.stats.read, self.source.cursor.is_inside());
        let recall = self.recall().map(|(_, i)| i);
        for i in SIDES..self.outputs.len() {
            let side = self.outputs[i].side.as_mut();
            let Some(side) = side.filter(|side| side.stage == Stage::Joining) else {
                continue;
            };
            side.stage = Stage::Open;
            (side.since, side.is_skipping, side.is_new) = (read, inside, inside);
            if let Some(recall) = recall {
                self.give_recalled(recall, i, now);
            }
        }
    }

    /// Owes one who has just come what is kept; it goes on seamlessly with what is read next.
    fn give_recalled(&mut self, recall: usize, i: usize, now: Instant) {
        let runs: Vec<_> = self.outputs[recall].queue.runs().cloned().collect();
        let is_skipping = self.outputs[recall]
            .side
            .as_ref()
            .map(|side| side.is_skipping);
        let mut owed = Total::default();
        for run in &runs {
            self.log.pin(run);
            owed.bytes += run.end - run.start;
            owed.records += self.log.records(run);
        }
        let output = &mut self.outputs[i];
        runs.iter().for_each(|run| output.queue.push(run.clone()));
        if let Some(side) = &mut output.side {
            runs.iter().for_each(|run| side.timeline.push(run, now));
            side.since.bytes -= owed.bytes;
            side.since.records -= owed.records;
            side.is_skipping = is_skipping.unwrap_or(false);
            side.is_new = side.is_skipping;
        }
    }

    /// Bytes that this one has got.
    #[cfg(test)]
    pub(crate) fn written_to(&self, i: usize) -> u64 {
        let side = self.outputs[i].side.as_ref();
        side.map_or(0, |side| side.written.bytes)
    }

    /// The books of those who look balance.
    ///
    /// # Panics
    /// When they do not.
    #[cfg(test)]
    pub(crate) fn check_lookers(&self) {
        for (_, output) in self.sides() {
            if let Some(side) = &output.side
                && let Role::Looker(share) = side.role
                && side.stage == Stage::Open
            {
                let owed = output.queue.owed();
                assert!(owed <= 2 * share, "{owed} are owed to a looker");
                let seen = side.since.bytes + side.written.bytes + side.dropped.bytes + owed;
                assert_eq!(self.stats.read.bytes, seen, "the books of a looker");
            }
        }
    }
}
