//! The turn of a job: it takes a batch, fills its file, and has the program run with it ([`job_run`](super::job_run))
//! until that has dealt with it.
//!
//! Invariant: several jobs take batches from one queue as they can; what one has, no other has.

use std::ops::Range;
use std::time::Instant;

use super::action::{
    Action, Actor, CONSUMER, For, Obligation, Outcome, PARTS_MOST, Permit, Piece, Reason, Write,
    WriteState,
};
use super::batch::{Batch, Stage};
use super::limiter::Allowance;
use super::plan::{Plan, Sleeper, earlier};
use super::record::Cursor;
use super::segment::SEGMENT_MAX;
use super::state::Engine;
use super::stats::Total;
use super::ticket::{Stretch, Tries};

impl Engine {
    /// Bytes in batches, or in the hands of workers.
    #[inline]
    pub(super) fn in_batches(&self) -> u64 {
        self.jobs.as_ref().map_or(0, |jobs| jobs.held) + self.held_by_workers()
    }

    pub(super) fn plan_job(&self, j: usize, now: Instant) -> Plan {
        let Some(jobs) = self.jobs.as_ref().filter(|_| !self.halted) else {
            return Plan::End(Reason::Over);
        };
        match &jobs.list[j].stage {
            // Whoever acts for it is waiting for the program.
            Stage::Running(_) => Plan::wait(For::Release, None),
            _ if jobs.is_over => Plan::End(Reason::Over),
            Stage::Filling(batch) => {
                let place = batch.rest().start;
                match self.log.away(place) {
                    Some(_) => self.plan_fetch_for(j, place, now),
                    None => Plan::Write,
                }
            }
            Stage::Ready(batch) => match batch.due.filter(|due| now < *due) {
                _ if self.paused => Plan::wait(For::Release, None),
                Some(due) => Plan::wait(For::Turn, Some(due)),
                None => self.plan_start(j, now).unwrap_or(Plan::Run),
            },
            Stage::Idle => self.plan_idle(j, now),
        }
    }

    fn plan_idle(&self, j: usize, now: Instant) -> Plan {
        let has_left = self.jobs.as_ref().is_some_and(|it| !it.left.is_empty());
        if self.is_last() && self.outputs[CONSUMER].queue.owed() == 0 && !has_left {
            return Plan::End(Reason::Over);
        }
        let expiry = self.next_expiry();
        if expiry.is_some_and(|at| at <= now) {
            return Plan::Expire;
        }
        if self.paused || self.is_filling() {
            return Plan::wait(For::Release, expiry);
        }
        if let Some(Err(is_next)) = self.jobs.as_ref().map(|it| it.may_take(j)) {
            let more_at = self.more_jobs_at(now).filter(|_| is_next);
            return Plan::wait(For::Turn, earlier(more_at, expiry));
        }
        if has_left {
            // That is closed already.
            return self.plan_start(j, now).unwrap_or(Plan::Take(0));
        }
        self.plan_batch(j, expiry, now)
    }

    /// What keeps this job from starting a program now, if anything does.
    pub(super) fn plan_start(&self, j: usize, now: Instant) -> Option<Plan> {
        let jobs = self.jobs.as_ref()?;
        if self.paused {
            return Some(Plan::wait(For::Release, None));
        }
        if let Err(until) = jobs.breaker.may_start(j, now) {
            return Some(Plan::wait(For::Turn, until));
        }
        let cap = self.output.peek(false, now).err();
        cap.map(|at| Plan::wait(For::Cap, Some(at)))
    }

    /// Something has to be read back from the disk first.
    pub(super) fn plan_fetch_for(&self, j: usize, place: u64, now: Instant) -> Plan {
        let again = self.jobs.as_ref().and_then(|jobs| jobs.list[j].fetch_again);
        let again = again.filter(|at| now < *at);
        if self.log.away(place) == Some(true) || again.is_some() {
            return Plan::wait(For::Data, again);
        }
        Plan::Fetch(place)
    }

    /// What was to be read back for this job is lost: it is in its batch, or in what is still queued.
    pub(super) fn lose_for_job(&mut self, j: usize, lost: &Range<u64>, now: Instant) {
        let Some(jobs) = &mut self.jobs else { return };
        let (gone, is_queued) = match &mut jobs.list[j].stage {
            Stage::Filling(batch) => (batch.lose(lost), false),
            _ => {
                let queue = self.outputs[CONSUMER].queue.over(lost);
                let part = |run: &Range<u64>| run.start.max(lost.start)..run.end.min(lost.end);
                (queue.map(part).collect(), true)
            }
        };
        for part in &gone {
            let total = Total {
                bytes: part.end - part.start,
                records: self.log.records(part),
            };
            if is_queued {
                self.outputs[CONSUMER].queue.remove(part);
            } else if let Some(jobs) = &mut self.jobs {
                jobs.held -= total.bytes;
                if let Stage::Filling(batch) = &mut jobs.list[j].stage {
                    batch.total.records = batch.total.records.saturating_sub(total.records);
                }
            }
            self.stats.shed.add_all(total);
            self.on_shed(part);
            self.log.unpin(part);
        }
        if let Some(jobs) = &mut self.jobs
            && let Stage::Filling(batch) = &mut jobs.list[j].stage
            && batch.filled == batch.total.bytes
            && let Stage::Filling(batch) = std::mem::take(&mut jobs.list[j].stage)
        {
            jobs.list[j].stage = Stage::Ready(batch);
        }
        self.form_batch();
        self.on_shrunk(now);
    }

    /// Something was read back for this job, or not: then it is tried again later.
    pub(super) fn on_fetched_for(&mut self, j: usize, again: Option<Instant>) {
        if let Some(jobs) = &mut self.jobs {
            jobs.list[j].fetch_again = again;
        }
    }

    /// An earlier run has left a batch, which was tried before.
    /// `counts_last`: its last record has no end, and nothing goes on with it.
    pub(super) fn inherit_batch(
        &mut self,
        (number, tries): (u64, Tries),
        stretch: Stretch,
        counts_last: bool,
    ) {
        let Some(jobs) = &mut self.jobs else { return };
        let places = stretch.from..stretch.to;
        let bytes = stretch.to - stretch.from;
        let records = stretch.records + u64::from(counts_last);
        jobs.held += bytes;
        jobs.left.push_back(Batch {
            number,
            runs: Vec::from([places]),
            total: Total { bytes, records },
            first: stretch.before + 1,
            tries: tries.all,
            interrupted: tries.interrupted,
            not_run: 0,
            filled: 0,
            counts_last,
            stretch,
            due: None,
        });
    }

    /// So many batches there have been, and what is in none yet begins there.
    pub(super) fn begin_batches_at(&mut self, last: u64, (at, records, depth): (u64, u64, u64)) {
        if let Some(jobs) = &mut self.jobs {
            (jobs.last, jobs.records, jobs.taken_to) = (last, records, (at, depth));
        }
    }

    /// Closes a batch, which is this job's from now on; one that an earlier run has left comes first.
    pub(super) fn take_batch(&mut self, j: usize, end: u64) {
        if let Some(jobs) = &mut self.jobs
            && let Some(batch) = jobs.left.pop_front()
        {
            jobs.breaker.on_start(j);
            jobs.list[j].stage = Stage::Filling(batch);
            return;
        }
        let mut runs = Vec::new();
        let mut total = Total::default();
        let queue = &mut self.outputs[CONSUMER].queue;
        while let Some(first) = queue.first().filter(|run| run.start < end) {
            let n = first.end.min(end) - first.start;
            runs.extend(queue.pop_front(n));
        }
        for run in &runs {
            total.bytes += run.end - run.start;
            total.records += self.log.records(run);
        }
        let is_torn = self.framing.is_some() && !self.log.is_boundary(end);
        self.outputs[CONSUMER].cursor = Cursor::at(self.framing, u64::from(is_torn));
        let last = runs.last().cloned().unwrap_or_default();
        let whole = self.log.last_boundary(last.start, last.end);
        // What comes next is another batch's.
        self.log.freeze(&last);
        let Some(jobs) = &mut self.jobs else { return };
        jobs.held += total.bytes;
        jobs.last += 1;
        let before = jobs.records;
        // A record that goes on in the next batch counts there; one that never ends is one all the same.
        let is_open = is_torn && self.last_counted;
        jobs.records += total.records + u64::from(is_open);
        let (from, depth) = jobs.taken_to;
        let end_depth = match whole {
            _ if !is_torn => 0,
            Some(whole) => last.end - whole,
            None => depth + (last.end - last.start),
        };
        jobs.taken_to = (end, end_depth);
        jobs.breaker.on_start(j);
        jobs.looked_at.clear();
        jobs.list[j].stage = Stage::Filling(Batch {
            number: jobs.last,
            runs,
            total,
            first: before + 1,
            tries: 0,
            interrupted: 0,
            not_run: 0,
            filled: 0,
            counts_last: false,
            stretch: Stretch {
                from,
                to: end,
                depths: [depth, end_depth],
                before,
                records: total.records,
                is_open,
            },
            due: None,
        });
        self.part_behind(end);
        self.form_batch();
    }

    /// What lies behind a batch has its own room: it may be what has begun of a record, whose rest comes when that of
    /// the batch has been given back.
    fn part_behind(&mut self, end: u64) {
        if let Some(begun) = self.log.begun_behind(end) {
            let pinned = self.pins(&begun);
            if pinned > 0 {
                self.log.part(&begun, pinned);
            }
        }
    }

    /// Its next piece is to be written to its file.
    pub(super) fn begin_filling(&mut self, j: usize) -> Action {
        let jobs = self.jobs.as_ref();
        let Some(Stage::Filling(batch)) = jobs.map(|jobs| &jobs.list[j].stage) else {
            unreachable!("planned with a batch")
        };
        let rest = batch.rest();
        let end = rest.end.min(self.log.here_to(rest.start));
        let end = end.min(rest.start + SEGMENT_MAX as u64 * 4);
        let piece = Piece {
            batch: batch.number,
            bytes: batch.total.bytes,
        };
        let state = Box::new(WriteState {
            parts: self.log.parts(rest.start..end).take(PARTS_MOST).collect(),
            permit: Permit {
                allowance: Allowance::ALL,
                cursor: Cursor::new(None),
            },
            piece: Some(piece),
            ..WriteState::default()
        });
        let obligation = Obligation::new(Actor::Job(j));
        Action::Write(Write { state, obligation })
    }

    pub(super) fn end_filling(&mut self, j: usize, outcome: Outcome) {
        let Some(jobs) = &mut self.jobs else { return };
        let stage = std::mem::take(&mut jobs.list[j].stage);
        let Stage::Filling(mut batch) = stage else {
            unreachable!("a batch was being filled")
        };
        if let Outcome::Moved(run) = outcome {
            batch.filled += run.bytes as u64;
        }
        jobs.list[j].stage = match batch.filled == batch.total.bytes {
            true => Stage::Ready(batch),
            false => Stage::Filling(batch),
        };
    }

    pub(super) fn job_sleeper(&mut self, j: usize) -> &mut Sleeper {
        match &mut self.jobs {
            Some(jobs) => &mut jobs.list[j].sleeper,
            None => unreachable!("there are jobs"),
        }
    }
}
