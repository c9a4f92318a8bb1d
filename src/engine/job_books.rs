//! How those fare who run programs with batches: what is told of them, and who of them takes too long.

use std::time::Instant;

use super::action::For;
use super::batch::{Counts, Stage};
use super::plan::earlier;
use super::restart::{Circuit, CommandStatus};
use super::stall::StallLook;
use super::state::Engine;
use super::stats::{Stopwatch, Total};
use super::status::BatchStatus;

impl Engine {
    /// Whether none of them is about to write from the last extent, which begins there, to a file.
    pub(super) fn jobs_can_spare(&self, last: u64) -> bool {
        let mut jobs = self.jobs.iter().flat_map(|jobs| &jobs.list);
        let mut hands = self
            .workers
            .iter()
            .flat_map(|it| it.runs().chain(it.given()));
        // Where the records of a worker end may be asked at any moment.
        hands.all(|run| run.end <= last)
            && jobs.all(|job| match &job.stage {
                Stage::Filling(batch) => batch.runs.last().is_none_or(|run| run.end <= last),
                _ => true,
            })
    }

    pub(super) fn job_count(&self) -> usize {
        let workers = self.workers.as_ref().map_or(0, |it| it.list.len());
        self.jobs.as_ref().map_or(workers, |jobs| jobs.list.len())
    }

    /// Whether a cap keeps one of them from starting a program.
    pub(super) fn is_job_capped(&self) -> bool {
        let mut jobs = self.jobs.iter().flat_map(|jobs| &jobs.list);
        let mut workers = self.workers.iter().flat_map(|it| &it.list);
        jobs.any(|job| job.sleeper.is_for(For::Cap))
            || workers.any(|it| it.sleeper.is_for(For::Cap))
    }

    /// Whether it is programs that keep what is held waiting.
    pub(super) fn awaits_jobs(&self) -> bool {
        self.used() > 0
            && self.jobs.as_ref().is_some_and(|jobs| {
                jobs.counts.running > 0 || jobs.breaker.circuit() != Circuit::Closed
            })
    }

    /// Whether all that is held waits for more to come.
    pub(super) fn is_batch_forming(&self) -> bool {
        self.jobs.is_some() && self.in_batches() == 0 && !self.awaits_jobs()
    }

    /// Somebody does not want to wait until what has failed is tried again.
    pub(crate) fn retry_batches(&mut self, now: Instant) {
        if let Some(jobs) = &mut self.jobs {
            jobs.breaker.retry(now);
            for job in &mut jobs.list {
                if let Stage::Ready(batch) = &mut job.stage {
                    batch.due = None;
                }
            }
        }
        self.retry_workers(now);
        self.update(now);
    }

    /// Programs that have been running for too long, and when to ask again.
    pub(crate) fn stalled_jobs(&mut self, now: Instant) -> (Vec<usize>, Option<Instant>) {
        let (mut stalled, mut due) = (Vec::new(), None);
        let jobs = self
            .jobs
            .iter_mut()
            .flat_map(|jobs| jobs.list.iter_mut().enumerate());
        for (j, job) in jobs {
            if !job.stage.is_running() {
                // Nobody is told when it begins to.
                due = earlier(due, job.watchdog.next_try(now));
                continue;
            }
            match job
                .watchdog
                .look(&mut Stopwatch::default(), &mut job.running, now)
            {
                StallLook::Quiet(again) => due = earlier(due, again),
                StallLook::Stalled(..) => {
                    stalled.push(j);
                    // It is told to end, and has as long again for it.
                    job.running.stop(now);
                    job.running.start(now);
                }
            }
        }
        (stalled, due)
    }

    /// How the programs fare, where the consumer is one that is run with batches.
    #[must_use]
    pub(crate) fn job_status(&self, now: Instant) -> Option<CommandStatus> {
        if self.workers.is_some() {
            return self.worker_status(now);
        }
        let jobs = self.jobs.as_ref()?;
        let circuit = jobs.breaker.circuit();
        Some(CommandStatus {
            circuit,
            retry_in: circuit.retry_in(now),
            failures: jobs.breaker.failures(),
            restarts: 0,
            running: jobs.counts.running,
            taken_back: Total::default().counting(self.framing.is_some()),
            repeated: Total::default().counting(self.framing.is_some()),
            batches: Some(self.batch_status(&jobs.counts)),
            waits_for: None,
        })
    }

    fn batch_status(&self, counts: &Counts) -> BatchStatus {
        let count = |total: Total| total.counting(self.framing.is_some());
        BatchStatus {
            acknowledged: counts.acknowledged,
            retried: (counts.retried.0, count(counts.retried.1)),
            shed: (counts.shed.0, count(counts.shed.1)),
            running: counts.running,
        }
    }
}

#[cfg(test)]
impl Engine {
    /// No place is in two batches, nor in a batch and in the queue.
    ///
    /// # Panics
    /// When one is.
    pub(crate) fn check_batches(&self) {
        let Some(jobs) = &self.jobs else { return };
        let batches = jobs.batches();
        let mut runs: Vec<_> = batches.clone().flat_map(|it| it.runs.clone()).collect();
        let held: u64 = runs.iter().map(|run| run.end - run.start).sum();
        assert_eq!(held, jobs.held, "bytes in batches");
        runs.extend(self.outputs[super::action::CONSUMER].queue.runs().cloned());
        runs.sort_by_key(|run| run.start);
        let apart = runs.windows(2).all(|two| two[0].end <= two[1].start);
        assert!(apart, "a place is held twice: {runs:?}");
        let numbers: std::collections::HashSet<_> = batches.clone().map(|it| it.number).collect();
        assert_eq!(numbers.len(), batches.count());
    }

    /// Whether programs may be started, and the tries that are under way: the batch of each, and how often it was tried.
    pub(crate) fn tries_under_way(&self) -> Option<(Circuit, Vec<(u64, u32)>)> {
        let jobs = self.jobs.as_ref()?;
        let running = jobs.list.iter().filter(|job| job.stage.is_running());
        let batches = running.filter_map(|job| job.stage.batch());
        let tries = batches.map(|it| (it.number, it.tries)).collect();
        Some((jobs.breaker.circuit(), tries))
    }
}
