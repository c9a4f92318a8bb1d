//! The run of a program with a batch, and what becomes of the batch then.
//!
//! Invariants: whoever acts for the job is told to run the program, and that is an obligation as a write is one: what came
//! of it comes back. A batch that was tried leaves the books when it was acknowledged, rejected or tried too often, and not
//! before; where no program was run, that was no try.

use std::time::Instant;

use super::action::{Action, Actor, CONSUMER, Obligation, RunOrder};
use super::batch::{Batch, Stage};
use super::state::Engine;
use super::ticket::{Finish, Ticket, Untried};

impl Engine {
    /// The program is to be run.
    pub(super) fn begin_run(&mut self, j: usize, now: Instant) -> Action {
        let is_framed = self.framing.is_some();
        let _ = self.output.may_pass(false, now);
        let Some(jobs) = &mut self.jobs else {
            unreachable!("there are jobs")
        };
        let Stage::Ready(mut batch) = std::mem::take(&mut jobs.list[j].stage) else {
            unreachable!("planned with a batch that is complete")
        };
        batch.tries = batch.tries.saturating_add(1);
        batch.due = None;
        if batch.tries > 1 {
            jobs.counts.retried.0 += 1;
            jobs.counts.retried.1.add_all(batch.total);
        }
        let (bytes, records) = batch.handed_out();
        let failed = batch.failures();
        let ticket = Ticket {
            number: batch.number,
            trial: batch.tries,
            records: is_framed.then_some((records, batch.first)),
            bytes: bytes as u64,
            is_last_try: jobs.rules.give_up.is_some_and(|most| failed >= most.get()),
            stretch: batch.stretch,
        };
        jobs.breaker.on_start(j);
        jobs.counts.running += 1;
        jobs.list[j].running.start(now);
        jobs.list[j].stage = Stage::Running(batch);
        self.output.on_passed(bytes, records, now);
        Action::Run(Box::new(RunOrder {
            ticket,
            ahead: self.untried_before(ticket.number),
            obligation: Obligation::new(Actor::Job(j)),
        }))
    }

    /// Batches before this one that are closed, and of which nobody may know yet: the program of one that is tried for
    /// the first time need not have been run.
    fn untried_before(&self, number: u64) -> Vec<Untried> {
        let batches = self.jobs.iter().flat_map(|jobs| jobs.batches());
        let untried = batches.filter(|it| it.tries <= 1 && it.number < number);
        let untried = untried.map(|it| Untried {
            number: it.number,
            stretch: it.stretch,
        });
        let mut untried: Vec<_> = untried.collect();
        untried.sort_unstable_by_key(|it| it.stretch.from);
        untried
    }

    /// It has ended.
    pub(super) fn end_run(&mut self, j: usize, finish: Finish, now: Instant) {
        let halted = self.halted;
        let Some(jobs) = &mut self.jobs else { return };
        let Stage::Running(mut batch) = std::mem::take(&mut jobs.list[j].stage) else {
            unreachable!("a program was running")
        };
        jobs.counts.running -= 1;
        jobs.list[j].running.stop(now);
        if let Finish::NotRun { .. } = finish {
            if batch.tries > 1 {
                jobs.counts.retried.0 -= 1;
                jobs.counts.retried.1.remove_all(batch.total);
            }
            batch.take_try_back();
            // Nothing was handed out: what the cap was paid for that is for the next try.
            let (bytes, records) = batch.handed_out();
            self.output.give_back(bytes, records, now);
        }
        let is_acknowledged = match finish {
            // The books are closed, or are about to be.
            _ if halted => return jobs.stop_with(j, batch),
            Finish::Interrupted | Finish::NotRun { is_over: true } => {
                return jobs.stop_with(j, batch);
            }
            Finish::NotRun { is_over: false } => {
                batch.due = jobs.breaker.on_failure(j, batch.attempts(), now);
                jobs.list[j].stage = Stage::Ready(batch);
                return;
            }
            Finish::Failed => {
                batch.not_run = 0;
                let failed = batch.failures();
                batch.due = jobs.breaker.on_failure(j, failed, now);
                let most = jobs.rules.give_up;
                if most.is_none_or(|most| failed < most.get()) {
                    jobs.list[j].stage = Stage::Ready(batch);
                    return;
                }
                false
            }
            Finish::Acknowledged | Finish::Rejected => {
                jobs.breaker.on_success(j);
                finish == Finish::Acknowledged
            }
        };
        self.end_batch(&batch, is_acknowledged, now);
    }

    /// A batch is nobody's any more: it was acknowledged, or is shed.
    fn end_batch(&mut self, batch: &Batch, is_acknowledged: bool, now: Instant) {
        let mut total = batch.total;
        let has_last = batch
            .runs
            .last()
            .is_some_and(|run| run.end == self.log.end());
        if has_last && self.is_last() {
            total.records += self.stats.take_last();
        }
        let Some(jobs) = &mut self.jobs else { return };
        jobs.held -= total.bytes;
        let counts = &mut jobs.counts;
        if is_acknowledged {
            counts.acknowledged += 1;
        } else {
            counts.shed.0 += 1;
            counts.shed.1.add_all(total);
        }
        for run in &batch.runs {
            if is_acknowledged {
                self.timeline.deliver(run, now);
            } else {
                self.log.freeze(run);
                self.overflow_whole(run);
            }
            self.log.unpin(run);
        }
        if is_acknowledged {
            self.stats.on_acknowledged(total, now);
        } else {
            self.stats.on_given_up(total);
        }
        self.outputs[CONSUMER].taken += total.bytes;
        self.form_batch();
        self.on_shrunk(now);
    }

    /// No program is started any more.
    pub(super) fn start_no_more(&mut self) {
        if let Some(jobs) = &mut self.jobs {
            jobs.is_over = true;
        }
    }
}
