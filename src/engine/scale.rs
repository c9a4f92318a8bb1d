//! What the number of programs follows, where it follows need: whether work waits that none of them can take, and how
//! busy they are.

use std::time::Instant;

use super::action::{Actor, CONSUMER, For, Reason};
use super::closing::Closing;
use super::plan::{Plan, earlier};
use super::restart::Circuit;
use super::scaler::Scaling;
use super::state::Engine;
use super::workers::{Life, Worker, Workers};

impl Engine {
    /// Whether the number follows need.
    pub(super) fn scales(&self) -> bool {
        let jobs = self.jobs.as_ref();
        let workers = self.workers.as_ref();
        jobs.is_some_and(|it| it.rules.jobs.is_range()) || workers.is_some_and(|it| it.may_change())
    }

    /// There are to be so many from now on. Those that are too many go on until they have dealt with what they hold.
    pub(super) fn set_jobs(&mut self, count: Scaling, now: Instant) {
        if let Some(jobs) = &mut self.jobs {
            jobs.rules.jobs = count.within(jobs.list.len());
            jobs.scaler.set_bounds(jobs.rules.jobs, now);
        }
        if let Some(workers) = &mut self.workers {
            let count = count.within(workers.list.len());
            workers.rules.count = count;
            workers.scaler.set_bounds(count, now);
            workers.missing = count.least.saturating_sub(workers.wanted());
        }
    }

    /// Sees to it that there are as many as are needed.
    pub(super) fn scale(&mut self, now: Instant) {
        if self.scales() {
            self.scale_workers(now);
            self.scale_jobs(now);
        }
    }

    fn scale_workers(&mut self, now: Instant) {
        let Some(workers) = &self.workers else { return };
        let is_pressed = self.does_work_wait(workers);
        let Some(workers) = &mut self.workers else {
            return;
        };
        workers.scaler.set(workers.wanted());
        workers.scaler.press(is_pressed, now);
        if workers.breaker.circuit() != Circuit::Closed {
            // Who runs has to make up for those that are not run, or for what has failed.
            let leavers = workers.list.iter_mut().filter(|it| it.may_stay());
            leavers.for_each(|it| it.leaves_at = None);
            return;
        }
        workers.keep_to_bounds(now);
        if let Some(j) = workers.next_to_come()
            && workers.scaler.grow(now)
        {
            workers.call(j);
        }
    }

    /// Whether something waits that none of those can take who are there for it; `None`: one of them is about to say.
    fn does_work_wait(&self, workers: &Workers) -> Option<bool> {
        let is_held = self.paused || self.halted || self.is_filling();
        let is_well = workers.breaker.circuit() == Circuit::Closed;
        if is_held || !is_well || self.outputs[CONSUMER].queue.owed() == 0 {
            return Some(false);
        }
        let mut waits = Some(true);
        for it in workers.list.iter().filter(|it| it.is_wanted()) {
            match it.sleeper.asleep {
                _ if !it.is_open() => return Some(false),
                _ if it.is_writing => {}
                Some(sleep) if matches!(sleep.what, For::Room | For::Fit) => {}
                Some(_) => return Some(false),
                None => waits = None,
            }
        }
        waits
    }

    fn scale_jobs(&mut self, now: Instant) {
        let Some(jobs) = &self.jobs else { return };
        let is_held = self.paused || self.halted || self.is_filling() || jobs.is_over;
        let is_well = jobs.breaker.circuit() == Circuit::Closed;
        let busy = jobs.busy();
        let does_wait = || !jobs.left.is_empty() || !matches!(self.closing(now), Closing::Later(_));
        let is_pressed = match () {
            () if is_held || !is_well || self.is_job_capped() || !does_wait() => Some(false),
            () => (busy >= jobs.scaler.count()).then_some(true),
        };
        let Some(jobs) = &mut self.jobs else { return };
        jobs.scaler.on_load(busy, now);
        jobs.scaler.press(is_pressed, now);
        jobs.scaler.grow(now);
        while jobs.scaler.is_one_too_many(now) {
            jobs.scaler.shrink(now);
        }
    }

    /// When there may be one more who runs programs with batches, or whether there is need of one has to be asked.
    pub(super) fn more_jobs_at(&self, now: Instant) -> Option<Instant> {
        let more_at = self.jobs.as_ref()?.scaler.more_at();
        more_at.or_else(|| match self.closing(now) {
            Closing::Later(at) => at,
            _ => None,
        })
    }

    /// What one does of which there is no need.
    pub(super) fn plan_spare(&self, workers: &Workers, j: usize) -> Plan {
        let has_nothing = self.is_last() && self.outputs[CONSUMER].queue.owed() == 0;
        let is_there = |it: &Worker| matches!(it.life, Life::Down(_) | Life::Up | Life::Sent);
        let any = workers.list.iter().any(is_there);
        if workers.is_over || has_nothing || !any {
            return Plan::End(Reason::Over);
        }
        self.plan_turn(workers, j)
    }

    /// What one does that was sent away: it may have been left alone with what there is to do.
    pub(super) fn plan_sent(&self, workers: &Workers, j: usize, now: Instant) -> Plan {
        if workers.is_over {
            return Plan::End(Reason::Over);
        }
        if self.is_last() && self.outputs[CONSUMER].queue.owed() == 0 {
            let lingers = workers.lingers_until(j, now);
            return lingers.map_or(Plan::End(Reason::Over), |at| {
                Plan::wait(For::Turn, Some(at))
            });
        }
        let is_first = workers.place(Life::Sent) == Some(j);
        if is_first && !workers.list.iter().any(Worker::is_wanted) {
            return self.plan_worker_start(workers, j, None, now);
        }
        self.plan_turn(workers, j)
    }

    /// Waits until there is to be one more, where that is this one.
    fn plan_turn(&self, workers: &Workers, j: usize) -> Plan {
        let is_next = workers.leaver().is_none() && workers.spare() == Some(j);
        Plan::wait(For::Turn, workers.scaler.more_at().filter(|_| is_next))
    }

    /// Nobody acts any more for this one, whose program is not run any more.
    pub(super) fn on_worker_over(&mut self, actor: Actor) {
        if let (Some(workers), Actor::Job(j)) = (&mut self.workers, actor)
            && workers.list[j].life != Life::Up
        {
            workers.list[j].life = Life::Over;
        }
    }

    /// One who is about to leave waits for that, or until it is missed.
    pub(super) fn plan_leaver(&self, workers: &Workers, j: usize) -> Plan {
        let is_next = workers.leaver() == Some(j);
        let more_at = workers.scaler.more_at().filter(|_| is_next);
        Plan::wait(For::Turn, earlier(more_at, workers.list[j].leaves_at))
    }

    /// This worker has been looked at; `lay`: something of what lay in its pipe before still does. It goes if there are
    /// more than are needed, and it has nothing to do.
    pub(super) fn on_busy_known(&mut self, j: usize, lay: bool, now: Instant) {
        let Some(workers) = self.workers.as_mut().filter(|it| it.rules.count.is_range()) else {
            return;
        };
        let it = &mut workers.list[j];
        let is_torn = it.torn_at.is_some();
        let time = it.busy.look(lay, now);
        if !it.is_wanted() {
            return;
        }
        workers.scaler.add_busy(time);
        let is_idle =
            it.is_open() && it.given.unread.bytes() == 0 && it.queue.owed() == 0 && !is_torn;
        let is_well = workers.breaker.circuit() == Circuit::Closed;
        if is_idle && is_well && workers.scaler.is_one_too_many(now) {
            // It may have read all and be about that for long: then it is missed soon.
            it.leaves_at = workers.scaler.leaves_at(now);
            workers.scaler.shrink(now);
        }
    }
}

impl Workers {
    /// Whether anything may have to be done about the number.
    fn may_change(&self) -> bool {
        let count = self.rules.count;
        count.is_range() || count.most < self.list.len() || self.missing > 0
    }

    /// How many are there to take something.
    fn wanted(&self) -> usize {
        self.list.iter().filter(|it| it.is_wanted()).count()
    }

    /// The number was changed: who is too many is sent away, and who is missing is called.
    fn keep_to_bounds(&mut self, now: Instant) {
        while self.wanted() > self.rules.count.most {
            let Some(j) = self.list.iter().rposition(Worker::is_wanted) else {
                return;
            };
            self.list[j].send_away(now);
        }
        while self.missing > 0 && self.wanted() < self.rules.count.most {
            // Somebody may still be leaving.
            let Some(j) = self.next_to_come() else { break };
            self.call(j);
            self.missing -= 1;
        }
        self.scaler.set(self.wanted());
    }

    /// Who is there, and about to leave, or could be run: whom there would be one more with.
    fn next_to_come(&self) -> Option<usize> {
        let spare = self.spare().filter(|_| !self.is_over);
        self.leaver().or(spare)
    }

    /// There is need of this one.
    fn call(&mut self, j: usize) {
        let it = &mut self.list[j];
        it.leaves_at = None;
        if it.life != Life::Up {
            it.life = Life::Down(None);
        }
    }

    /// How many programs run.
    pub(super) fn running(&self) -> usize {
        let runs = |it: &&Worker| it.life == Life::Up && it.exit.is_none();
        self.list.iter().filter(runs).count()
    }

    /// One that is about to leave, and has not been told yet.
    fn leaver(&self) -> Option<usize> {
        self.list.iter().position(Worker::may_stay)
    }

    /// The next that is run when there is need.
    fn spare(&self) -> Option<usize> {
        let sent = self.place(Life::Sent);
        sent.or_else(|| self.place(Life::Spare))
    }

    /// The first of whom this is so.
    fn place(&self, life: Life) -> Option<usize> {
        self.list.iter().position(|it| it.life == life)
    }
}
