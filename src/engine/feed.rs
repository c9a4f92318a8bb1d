//! The turn of a worker: its program is run, and given whole records whenever it has room for them.
//!
//! Whoever acts for it is told what to do, one thing after the other. What several workers do at once is decided
//! here: who gets what, who is woken for what has come, and who waits until one of them has tried alone.

use std::time::Instant;

use super::action::{
    Action, Actor, CONSUMER, For, Obligation, Order, Outcome, PARTS_MOST, Permit, Reason, Write,
};
use super::limiter::Allowance;
use super::output::Room;
use super::plan::{Plan, earlier};
use super::portion::Portion;
use super::scan::Run;
use super::segment::SEGMENT_MAX;
use super::state::Engine;
use super::task::Task;
use super::workers::{Life, Worker, Workers};

impl Engine {
    /// Bytes in the hands of workers.
    #[inline]
    pub(super) fn held_by_workers(&self) -> u64 {
        self.workers.as_ref().map_or(0, |workers| workers.held)
    }

    pub(super) fn worker(&self, j: usize) -> &Worker {
        match &self.workers {
            Some(workers) => &workers.list[j],
            None => unreachable!("there are workers"),
        }
    }

    pub(super) fn worker_mut(&mut self, j: usize) -> &mut Worker {
        match &mut self.workers {
            Some(workers) => &mut workers.list[j],
            None => unreachable!("there are workers"),
        }
    }

    pub(super) fn plan_worker(&self, j: usize, now: Instant) -> Plan {
        let Some(workers) = self.workers.as_ref().filter(|_| !self.halted) else {
            return Plan::End(Reason::Over);
        };
        let it = &workers.list[j];
        match it.life {
            // Whoever acts for it is about something else.
            _ if it.is_busy || it.is_writing => Plan::wait(For::Release, None),
            Life::Over => Plan::End(Reason::Over),
            Life::Spare => self.plan_spare(workers, j),
            Life::Sent => self.plan_sent(workers, j, now),
            Life::Down(due) => self.plan_worker_start(workers, j, due, now),
            Life::Up if it.exit.is_some() || it.is_deaf && !it.is_empty => Plan::Order(Task::Empty),
            Life::Up if it.is_accused => Plan::Order(Task::Accuse),
            Life::Up => {
                let look = self.look_due(workers, j);
                if look.is_some_and(|at| at <= now) {
                    return Plan::Order(Task::Look);
                }
                if it.is_fed || it.is_deaf {
                    return Plan::wait(For::Release, look);
                }
                self.plan_feed(workers, j, now).or_sooner(look)
            }
        }
    }

    pub(super) fn plan_worker_start(
        &self,
        workers: &Workers,
        j: usize,
        due: Option<Instant>,
        now: Instant,
    ) -> Plan {
        let it = &workers.list[j];
        let has_nothing = self.is_last() && self.outputs[CONSUMER].queue.owed() == 0;
        if !it.is_due && (workers.is_over || has_nothing) {
            return Plan::End(Reason::Over);
        }
        if self.paused && it.failures > 0 {
            return Plan::wait(For::Release, None);
        }
        if due.is_some_and(|at| now < at) {
            return Plan::wait(For::Turn, due);
        }
        match workers.breaker.may_start(j, now) {
            Err(until) => Plan::wait(For::Turn, until),
            Ok(()) => Plan::Order(Task::Start(it.failures.saturating_add(1))),
        }
    }

    fn plan_feed(&self, workers: &Workers, j: usize, now: Instant) -> Plan {
        let it = &workers.list[j];
        let expiry = self.next_expiry();
        if expiry.is_some_and(|at| at <= now) {
            return Plan::Expire;
        }
        if let Some(rest) = it.queue.first() {
            if self.paused || self.given.is_over {
                return Plan::wait(For::Release, expiry);
            }
            return match self.log.away(rest.start) {
                Some(_) => self.plan_worker_fetch(it, rest.start, now),
                // The source is filling it up.
                None if self.log.readable() <= rest.start => Plan::wait(For::Data, None),
                None => self.plan_worker_write(it, Plan::Write, rest.end - rest.start, now),
            }
            .or_sooner(expiry);
        }
        if self.given.is_over {
            // It is being put down.
            return Plan::wait(For::Release, expiry);
        }
        let queue = &self.outputs[CONSUMER].queue;
        // What it has begun it goes on with, and with nothing else.
        let is_torn = it.torn_at.is_some();
        let leaves_now = it.leaves_at.is_some_and(|at| at <= now);
        let is_all = self.is_last() && queue.owed() == 0;
        // What another one leaves is for this one.
        let lingers = workers.lingers_until(j, now).filter(|_| is_all);
        if let Some(rest) = self.rest_of_torn(it) {
            // It is given that as soon as it is here.
            return match self.log.away(rest.start) {
                Some(_) => self.plan_worker_fetch(it, rest.start, now),
                // The source is filling it up.
                None => Plan::wait(For::Data, None),
            }
            .or_sooner(expiry);
        }
        if leaves_now && !is_torn || is_all && lingers.is_none() || self.is_last() && is_torn {
            return Plan::Order(Task::Close);
        }
        let expiry = earlier(expiry, lingers);
        if leaves_now {
            // With the rest of its record it has all.
            return Plan::wait(For::Data, expiry);
        }
        if it.leaves_at.is_some() {
            return self.plan_leaver(workers, j).or_sooner(expiry);
        }
        if self.paused || self.is_filling() {
            return Plan::wait(For::Release, expiry);
        }
        let portion = match is_torn {
            true => Portion::None,
            false => self.portion(it.window.bytes() as u64),
        };
        if !matches!(portion, Portion::None)
            && it.sleeper.is_for(For::Data)
            && workers.list.iter().any(Worker::is_coming)
        {
            // One is enough for what has come; where there is more, it wakes the next one.
            return Plan::wait(For::Data, expiry);
        }
        match portion {
            Portion::To(end) => {
                let first = queue.first().map_or(end, |run| run.start);
                self.plan_worker_write(it, Plan::Take(end), end - first, now)
            }
            Portion::Away(place) => self.plan_worker_fetch(it, place, now),
            Portion::None if self.trim_at.is_some_and(|at| now >= at) => Plan::Trim,
            Portion::None => Plan::wait(For::Data, self.trim_at),
        }
        .or_sooner(expiry)
    }

    fn plan_worker_fetch(&self, it: &Worker, place: u64, now: Instant) -> Plan {
        let again = it.fetch_again.filter(|at| now < *at);
        match self.log.away(place) == Some(true) || again.is_some() {
            true => Plan::wait(For::Data, again),
            false => Plan::Fetch(place),
        }
    }

    /// This plan for so many bytes, if a cap lets something pass and there is room in its pipe, which is as small as it may be.
    fn plan_worker_write(&self, it: &Worker, plan: Plan, next: u64, now: Instant) -> Plan {
        if let Err(at) = self.worker_allowance(it, now) {
            let what = if at.is_some() { For::Cap } else { For::Turn };
            return Plan::wait(what, at);
        }
        if !it.cursor.is_inside()
            && let Some(plan) = it.pipe.plan(it.window.pipe(next), now)
        {
            return plan;
        }
        match it.room {
            Room::There => plan,
            Room::None(Some(again)) if now >= again => plan,
            Room::None(again) => Plan::wait(For::Room, again),
            Room::Unknown => Plan::wait(For::Room, None),
        }
    }

    /// What a cap lets pass: to one after the other. `Err`: when to ask again, if time alone tells.
    fn worker_allowance(&self, it: &Worker, now: Instant) -> Result<Allowance, Option<Instant>> {
        let all = self.output.peek(it.cursor.is_inside(), now);
        let mut workers = self.workers.iter().flat_map(|workers| &workers.list);
        if !self.output.is_idle() && workers.any(|it| it.is_writing) {
            return Err(None);
        }
        all.map_err(Some)
    }

    /// What is next for it is to be written to its pipe.
    pub(super) fn begin_portion(&mut self, j: usize, now: Instant) -> Action {
        let inside = self.worker(j).cursor.is_inside();
        let _ = self.output.may_pass(inside, now);
        let allowance = self.worker_allowance(self.worker(j), now);
        let Ok(allowance) = allowance else {
            unreachable!("planned with a permit")
        };
        let rest = self.worker(j).queue.first().cloned().unwrap_or_default();
        let here = rest.end.min(self.log.here_to(rest.start)) - rest.start;
        let origin = self.origin_of(j, rest.start);
        let most = origin.map_or(u64::MAX, |(_, most)| most);
        let it = self.worker_mut(j);
        let n = here.min(most).clamp(1, SEGMENT_MAX as u64);
        let claim = it.queue.begin_claim(n);
        let more = it.queue.queued() > 0;
        it.is_writing = true;
        let mut state = it.write.take().unwrap_or_default();
        state.permit = Permit {
            allowance,
            cursor: it.cursor,
        };
        state.looks = true;
        state.origin = origin.map(|(origin, _)| origin);
        let has_more = more || self.outputs[CONSUMER].queue.queued() > 0;
        let given = (claim.end - claim.start) as usize;
        let parts = self.log.parts(claim).take(PARTS_MOST);
        state.parts.extend(parts);
        self.worker_mut(j).window.on_given(given, has_more, false);
        let obligation = Obligation::new(Actor::Job(j));
        Action::Write(Write { state, obligation })
    }

    pub(super) fn end_portion(
        &mut self,
        j: usize,
        outcome: Outcome,
        unread: Option<u64>,
        now: Instant,
    ) {
        let it = self.worker_mut(j);
        it.is_writing = false;
        let run = match outcome {
            Outcome::Moved(run) => run,
            _ => Run::at(it.cursor),
        };
        it.window.on_moved(run.bytes, unread, now);
        it.room = match outcome {
            Outcome::Full => Room::None(None),
            _ => Room::Unknown,
        };
        it.cursor = run.cursor;
        if let Some((place, before)) = &mut it.mark {
            *place += run.bytes as u64;
            *before += run.tally.ended;
        }
        let mut left = run.bytes as u64;
        while let Some(range) = self.worker_mut(j).queue.deliver(left) {
            left -= range.end - range.start;
            self.timeline.deliver(&range, now);
            self.worker_mut(j).given.push(range);
        }
        self.worker_mut(j).queue.give_back_claim();
        if let Some(workers) = &mut self.workers {
            workers.held -= run.bytes as u64;
        }
        self.give_back_rest(j);
        self.keep_no_more(j);
        if run.bytes > 0 {
            self.source.is_full = false;
            self.stats.on_written(now, run);
            self.output.on_passed(run.bytes, run.tally.begun, now);
            self.outputs[CONSUMER].taken += run.bytes as u64;
            let given = &mut self.worker_mut(j).given;
            given.unread.on_given(run.bytes as u64, now);
        }
        if let Some(unread) = unread {
            self.on_worker_read(j, unread, now);
            self.on_busy_known(j, unread > run.bytes as u64, now);
        }
        self.on_shrunk(now);
    }

    pub(super) fn begin_order(&mut self, j: usize, task: Task) -> Action {
        self.worker_mut(j).is_busy = true;
        if let (Task::Start(_), Some(workers)) = (task, &mut self.workers) {
            workers.breaker.on_start(j);
        }
        let obligation = Obligation::new(Actor::Job(j));
        Action::Order(Order { task, obligation })
    }

    pub(super) fn on_worker_sleep(&mut self, j: usize, what: For, now: Instant) {
        let it = self.worker_mut(j);
        match what {
            For::Room => {
                it.busy.on_wait(now);
                it.window.on_wait(now);
                if !matches!(it.room, Room::None(_)) {
                    it.room = Room::None(None);
                }
            }
            For::Fit => it.busy.on_wait(now),
            _ => it.window.forget_wait(),
        }
    }

    pub(super) fn on_worker_ready(&mut self, j: usize, ready: bool, now: Instant) {
        let it = self.worker_mut(j);
        it.busy.on_wait_over(now);
        if ready {
            it.window.on_room(now);
            it.room = Room::There;
        }
    }

    /// Whether workers keep what is held waiting: none of them has room.
    pub(super) fn awaits_workers(&self) -> bool {
        let is_full = |it: &Worker| {
            let is_cramped = it.sleeper.is_for(For::Fit);
            let has_no_room = matches!(it.room, Room::None(_)) && it.sleeper.is_for(For::Room);
            !it.is_open() || !it.is_wanted() || has_no_room || is_cramped
        };
        let workers = self.workers.as_ref().filter(|_| self.used() > 0);
        workers.is_some_and(|workers| workers.list.iter().all(is_full))
    }
}
