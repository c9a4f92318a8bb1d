//! What holds after every call, whatever was called.

use std::ops::Range;
use std::time::Instant;

use crate::engine::action::Actor;
use crate::engine::lanes::Lane;
use crate::engine::plan::{is_kept, is_wakeable, tolerance};
use crate::engine::record::Framing;
use crate::engine::state::Engine;

impl Engine {
    /// Every sleeper's decision is what it would be now.
    ///
    /// # Errors
    /// The sleeper's, and what it should be.
    pub(crate) fn check_sleepers(&self, now: Instant) -> Result<(), String> {
        let outputs = self.outputs.iter().enumerate();
        let outputs = outputs.map(|(i, output)| (Actor::Output(i), &output.sleeper));
        let jobs = self
            .jobs
            .iter()
            .flat_map(|jobs| jobs.list.iter().enumerate());
        let jobs = jobs.map(|(j, job)| (Actor::Job(j), &job.sleeper));
        let workers = self
            .workers
            .iter()
            .flat_map(|it| it.list.iter().enumerate());
        let jobs = jobs.chain(workers.map(|(j, it)| (Actor::Job(j), &it.sleeper)));
        let source = [(Actor::Source, &self.source.sleeper)];
        for (actor, sleeper) in outputs.chain(jobs).chain(source) {
            let Some(sleep) = sleeper.asleep.filter(|sleep| is_wakeable(actor, *sleep)) else {
                continue;
            };
            let plan = self.plan(actor, now);
            let is_due = sleep
                .until
                .is_some_and(|until| until <= now + tolerance(sleep));
            if !is_due && !is_kept(sleep, plan) {
                return Err(format!(
                    "{actor:?} sleeps on {sleep:?}, and should {plan:?}"
                ));
            }
        }
        Ok(())
    }

    /// What is pinned in the log is what is owed, and takes no more than twice its memory, but for what has not
    /// been moved together yet.
    ///
    /// # Panics
    /// When it is not.
    pub(crate) fn check_memory(&self) {
        let owed: u64 = self.outputs.iter().map(|output| output.queue.owed()).sum();
        let pinned = self.log.pinned();
        let given = self.workers.as_ref().map_or(0, |it| it.given_bytes());
        assert_eq!(
            owed + self.overflow.unfinished_bytes()
                + self.given.bytes()
                + given
                + self.half_left()
                + self.in_batches(),
            pinned,
            "pinned bytes"
        );
        let (memory, bytes) = self.log.footprint();
        // Of a spool the rest of a record of which a tap has had a part lies in what was read back.
        let has_rests = self.outlives() && self.sides().any(|(_, side)| side.is_tap());
        let is_dense = memory <= 2 * bytes + 32 * self.log.segment_size();
        assert!(
            is_dense || !self.may_scatter() || has_rests,
            "{bytes} bytes lie in {memory}"
        );
        let most = 4 * pinned.max(self.capacity as u64) as usize + 32 * self.log.segment_size();
        assert!(
            !self.has_lanes() || bytes <= most,
            "{bytes} bytes are held for {pinned}"
        );
    }

    /// The lanes of each output hold what they should.
    ///
    /// # Panics
    /// When they do not.
    pub(crate) fn check_lanes(&self, thoroughly: bool) {
        for output in &self.outputs {
            let Some(books) = &output.lanes else {
                continue;
            };
            let held = books.lanes.bytes();
            let queued = output.queue.queued();
            assert!(held <= queued, "{held} of {queued} bytes are in lanes");
            if !thoroughly {
                continue;
            }
            books.lanes.check();
            let mut whole = Vec::new();
            let is_torn = output.is_torn();
            for (k, run) in output.queue.runs().enumerate() {
                let mut at = run.start;
                if k == 0 && is_torn || !self.log.is_boundary(at) {
                    at = self.log.next_boundary(at, run.end).unwrap_or(run.end);
                }
                while let Some(end) = self.log.next_boundary(at, run.end) {
                    whole.push((at, end - at));
                    at = end;
                }
                if at < run.end && self.last_counted && run.end == self.log.end() {
                    whole.push((at, run.end - at));
                }
            }
            let held: Vec<_> = books.lanes.all().map(|it| (it.at, it.length)).collect();
            whole.retain(|(at, _)| books.behind.is_none_or(|behind| *at < behind));
            if self.log.readable() == self.log.end() {
                assert_eq!(held, whole, "records in lanes");
                let claimed = books.claimed.all();
                claimed.chain(books.lanes.all()).for_each(|it| {
                    self.check_lane(&(it.at..it.at + it.length), it.lane);
                });
            }
        }
    }

    /// The record there may be in this lane.
    fn check_lane(&self, run: &Range<u64>, lane: Lane) {
        let Some(fairness) = &self.fairness else {
            return;
        };
        let mut record = self.look_at(run);
        if let Some(Framing::Terminator(end)) = self.framing {
            record.pop_if(|last| *last == end);
        }
        let key = fairness.sorter.key.as_ref();
        let key = key.and_then(|key| key.within(&record, 0..record.len()));
        assert!(
            fairness.names.fits(lane, key),
            "{key:?} of {:?} at {run:?} is in another one's {lane:?}",
            record.escape_ascii().to_string()
        );
    }
}
