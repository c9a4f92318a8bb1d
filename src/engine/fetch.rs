//! Reading back from the disk what an output is to get next.
//!
//! Invariant: what is read back for one of them stays in memory while it is next for it, whatever others ask for.

use std::ops::Range;
use std::time::Instant;

use super::action::{
    Action, Actor, CONSUMER, Fetch, FetchOutcome, For, OVERFLOW, Obligation, SIDES,
};
use super::plan::{Plan, earlier};
use super::record::Cursor;
use super::spill::MEMORY_AGAIN;
use super::state::Engine;

/// Bytes that an empty FIFO holds, as a rule.
const FIFO: u64 = 64 * 1024;
/// Bytes that were given to a consumer that may fall, and stay in memory, at most: a pipe's worth. Of a record that is
/// longer more may be given again.
const GIVEN_MOST: u64 = 4 << 20;
/// The same for each of several, where that is more: what a pipe of theirs holds, and what is written to it.
const PIPES_MOST: u64 = 512 << 10;

impl Engine {
    /// Bytes at the head that this output is owed and that can be written now.
    pub(super) fn claimable(&self, i: usize) -> u64 {
        let most = self.reachable(i);
        let head = self.outputs[i].queue.first();
        match head.filter(|_| self.log.on_disk() > 0) {
            Some(run) => most.min(self.log.here_to(run.start) - run.start),
            None => most,
        }
    }

    /// What is next for this output has to be read back first.
    pub(super) fn plan_fetch(
        &self,
        i: usize,
        until: Option<Instant>,
        now: Instant,
    ) -> Option<Plan> {
        if self.log.on_disk() == 0 {
            return None;
        }
        let output = &self.outputs[i];
        let head = output.queue.first()?.start;
        let rest = || Some(self.log.here_to(head)).filter(|to| *to < self.first_of_tap(i).end);
        let place = match self.log.away(head) {
            Some(_) => head,
            None => rest()?,
        };
        let is_loading = self.log.away(place)?;
        let again = output.fetch_again.filter(|at| now < *at);
        Some(if is_loading || again.is_some() {
            Plan::wait(For::Data, earlier(until, again))
        } else {
            Plan::Fetch(place)
        })
    }

    /// The first record that a tap is owed, where it begins with one of which all but the end is here and that its pipe
    /// takes at once, as a rule: it is read back to its end before it is begun, for nobody waits until a tap has the rest.
    fn first_of_tap(&self, i: usize) -> Range<u64> {
        let output = &self.outputs[i];
        let head = output.queue.first().cloned().unwrap_or(0..0);
        let begins = self.framing.is_some() && output.is_tap() && !output.cursor.is_inside();
        let most = head.end.min(head.start + FIFO);
        let end = begins.then(|| self.log.next_boundary(head.start, most));
        head.start..end.flatten().unwrap_or(head.start)
    }

    pub(super) fn begin_fetch(&mut self, actor: Actor, place: u64) -> Action {
        let head = |run: &Range<u64>| run.start..run.start + 1;
        let mut keep: Vec<_> = std::iter::once(place..place + 1).collect();
        for output in &self.outputs {
            keep.extend(output.queue.claim().map(head));
            keep.extend(output.queue.runs().take(2).map(head));
        }
        let firsts = (SIDES..self.outputs.len()).map(|i| self.first_of_tap(i));
        keep.extend(firsts.filter(|first| !first.is_empty()));
        // Where a record ends in what lies unread in the consumer's pipe may be asked.
        if self.given.bytes() <= GIVEN_MOST {
            keep.extend(self.given.runs().cloned());
        }
        if let (Some(jobs), Actor::Job(j)) = (&mut self.jobs, actor) {
            jobs.on_fetch(j, place);
        }
        keep.extend(self.jobs.iter().flat_map(|jobs| jobs.heads()));
        if let Some(workers) = &self.workers {
            keep.extend(workers.runs().map(head));
            let most = GIVEN_MOST.max(workers.list.len() as u64 * PIPES_MOST);
            if workers.given_bytes() <= most {
                keep.extend(workers.given().cloned());
            }
        }
        for end in self.log.evict(&keep) {
            self.join_behind(end);
        }
        Action::Fetch(Fetch {
            load: Box::new(self.log.begin_load(place)),
            obligation: Obligation::new(actor),
        })
    }

    pub(super) fn end_fetch(&mut self, fetch: Fetch, outcome: FetchOutcome, now: Instant) {
        let at = fetch.load.at;
        let found = fetch.load.found.length(fetch.load.length);
        let pinned = self.pins(&(at..at + found as u64));
        let lost = self.log.end_load(*fetch.load, pinned);
        let is_short = outcome == FetchOutcome::Short;
        let again = is_short.then(|| now + MEMORY_AGAIN);
        match fetch.obligation.meet() {
            Actor::Job(j) if self.workers.is_some() => {
                if let Some(lost) = lost {
                    self.lose_for_worker(j, &lost, now);
                }
                self.worker_mut(j).fetch_again = again;
            }
            Actor::Job(j) => {
                if let Some(lost) = lost {
                    self.lose_for_job(j, &lost, now);
                }
                self.on_fetched_for(j, again);
            }
            Actor::Output(i) => {
                if let Some(lost) = lost {
                    self.lose(i, &lost, now);
                }
                // One that looked has gone meanwhile, maybe.
                if let Some(output) = self.outputs.get_mut(i) {
                    output.fetch_again = again;
                }
            }
            Actor::Source => {}
        }
    }

    /// How often these places are pinned, each byte once for each pin.
    pub(super) fn pins(&self, range: &Range<u64>) -> usize {
        let overlap = |run: &Range<u64>| {
            run.end
                .min(range.end)
                .saturating_sub(run.start.max(range.start)) as usize
        };
        let owed = self
            .outputs
            .iter()
            .flat_map(|output| output.queue.claim().into_iter().chain(output.queue.runs()));
        owed.chain(self.pinned_runs()).map(overlap).sum()
    }

    /// These places, which are next for this output, cannot be read back.
    fn lose(&mut self, i: usize, lost: &Range<u64>, now: Instant) {
        while let Some(run) = self.outputs[i]
            .queue
            .first()
            .filter(|run| run.start < lost.end)
        {
            let n = run.end.min(lost.end) - run.start;
            let Some(run) = self.outputs[i].queue.pop_front(n) else {
                return;
            };
            if i >= SIDES {
                self.drop_for_side(i, &run);
                continue;
            }
            if i == OVERFLOW {
                // It was counted as shed when it was dropped.
                self.lose_for_file(&run);
                continue;
            }
            self.stats.shed.bytes += n;
            self.stats.shed.records += self.log.records(&run);
            self.on_shed(&run);
            self.log.unpin(&run);
        }
        // What comes behind a gap is taken to begin with a record, unless it is known better.
        let depth = self.log.depth_at(lost.end);
        self.outputs[i].cursor = Cursor::at(self.framing, depth);
        match i {
            CONSUMER => self.on_shrunk(now),
            OVERFLOW => {}
            _ => self.on_side_shrunk(i, now),
        }
    }
}
