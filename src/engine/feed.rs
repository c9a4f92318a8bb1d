//! The turn of a worker: its program is run, and given whole records whenever it has room for them.
//!
//! Whoever acts for it is told what to do, one thing after the other. What several workers do at once is decided
//! here: who gets what, who is woken for what has come, and who waits until one of them has tried alone.

use std::time::Instant;

use super::action::{
    Action, Actor, CONSUMER, For, Obligation, Order, Outcome, Permit, Reason, Write,
};
use super::limiter::Allowance;
use super::output::{PARTS_MOST, Room};
use super::plan::Plan;
use super::record::Cursor;
use super::scan::Run;
use super::segment::SEGMENT_MAX;
use super::state::Engine;
use super::task::Task;
use super::workers::{Life, Worker, Workers};

/// What a worker may be given next.
enum Portion {
    /// What lies before this place.
    To(u64),
    /// The extent at this place has to be read back from the disk first.
    Away(u64),
    /// Nothing yet.
    None,
}

impl Engine {
    /// Bytes in the hands of workers.
    pub(super) fn in_hands(&self) -> u64 {
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

    fn plan_worker_start(
        &self,
        workers: &Workers,
        j: usize,
        due: Option<Instant>,
        now: Instant,
    ) -> Plan {
        let it = &workers.list[j];
        let has_nothing = self.is_last() && self.outputs[CONSUMER].queue.owed() == 0;
        if it.runs > 0 && (workers.is_over || has_nothing) {
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
            if self.paused {
                return Plan::wait(For::Release, expiry);
            }
            return match self.log.away(rest.start) {
                Some(_) => self.plan_worker_fetch(it, rest.start, now),
                // The source is filling it up.
                None if self.log.readable() <= rest.start => Plan::wait(For::Data, None),
                None => self.plan_worker_write(it, Plan::Write, now),
            }
            .or_sooner(expiry);
        }
        let queue = &self.outputs[CONSUMER].queue;
        // What it has begun it goes on with, and with nothing else.
        let is_torn = workers.torn.is_some_and(|(other, _)| other == j);
        if self.is_last() && (queue.owed() == 0 || is_torn) {
            return Plan::Order(Task::Close);
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
            Portion::To(end) => self.plan_worker_write(it, Plan::Take(end), now),
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

    /// This plan, if a cap lets something pass and there is room in its pipe, which is as small as it may be.
    fn plan_worker_write(&self, it: &Worker, plan: Plan, now: Instant) -> Plan {
        if let Err(at) = self.worker_grant(it, now) {
            let what = if at.is_some() { For::Cap } else { For::Turn };
            return Plan::wait(what, at);
        }
        if !it.cursor.is_inside()
            && let Some(plan) = it.pipe.plan(it.window.pipe(), now)
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
    fn worker_grant(&self, it: &Worker, now: Instant) -> Result<Allowance, Option<Instant>> {
        let all = self.output.peek(it.cursor.is_inside(), now);
        let mut workers = self.workers.iter().flat_map(|workers| &workers.list);
        if !self.output.is_idle() && workers.any(|it| it.is_writing) {
            return Err(None);
        }
        all.map_err(Some)
    }

    /// Whole records at the head of the queue, about so many bytes of them.
    fn portion(&self, window: u64) -> Portion {
        let Some(run) = self.outputs[CONSUMER].queue.first() else {
            return Portion::None;
        };
        if self.log.away(run.start).is_some() {
            return Portion::Away(run.start);
        }
        let end = run
            .end
            .min(self.log.readable())
            .min(self.log.here_to(run.start));
        if end <= run.start {
            return Portion::None;
        }
        let window = window.min(self.capacity as u64 / 4).max(1);
        let limit = end.min(run.start + window);
        let whole = self.log.last_boundary(run.start, limit);
        if let Some(to) = whole.or_else(|| self.log.next_boundary(run.start, end)) {
            return Portion::To(to);
        }
        // The rest of it cannot come, or is on the disk.
        let is_full = self.gate.is_closed() || self.has_no_place() || self.has_full_books();
        let is_blocked = is_full && self.shedder.policy.is_none() || self.is_starved();
        let is_torn = self.outputs[CONSUMER].cursor.is_inside();
        match is_torn || is_blocked || self.is_last() || end < run.end {
            true => Portion::To(end),
            false => Portion::None,
        }
    }

    /// What lies before this place is this worker's from now on.
    pub(super) fn take_portion(&mut self, j: usize, end: u64) {
        let output = &mut self.outputs[CONSUMER];
        let head = output.queue.first().map_or(end, |run| run.start);
        let Some(run) = output.queue.pop_front(end - head) else {
            return;
        };
        let cursor = output.cursor;
        let is_torn = !self.log.is_boundary(run.end);
        if let Some(workers) = &mut self.workers {
            workers.held += run.end - run.start;
            workers.next = (j + 1) % workers.list.len();
            workers.torn = match is_torn {
                true => Some((j, run.end)),
                false => workers.torn,
            };
            workers.list[j].cursor = cursor;
            workers.list[j].queue.push(run);
        }
        self.look_at_head();
    }

    /// Whether what is next in the queue goes on with a record whose beginning is nobody's any more.
    pub(super) fn look_at_head(&mut self) {
        let head = self.outputs[CONSUMER].queue.first().map(|run| run.start);
        let is_torn = head.is_some_and(|head| !self.log.is_boundary(head));
        self.outputs[CONSUMER].cursor = Cursor::at(self.framing, u64::from(is_torn));
    }

    /// What has come of a record that a worker has begun is that worker's.
    pub(super) fn go_on_with_torn(&mut self) {
        while let Some((j, at)) = self.workers.as_ref().and_then(|it| it.torn) {
            let queue = &mut self.outputs[CONSUMER].queue;
            let first = queue.over(&(at..at + 1)).next().cloned();
            let Some(run) = first.filter(|run| run.start == at) else {
                return;
            };
            let end = self.log.next_boundary(run.start, run.end);
            let run = run.start..end.unwrap_or(run.end);
            queue.remove(&run);
            if let Some(workers) = &mut self.workers {
                workers.held += run.end - run.start;
                workers.torn = end.is_none().then_some((j, run.end));
                workers.list[j].queue.push(run);
            }
            self.look_at_head();
        }
    }

    /// What is next for it is to be written to its pipe.
    pub(super) fn begin_portion(&mut self, j: usize, now: Instant) -> Action {
        let inside = self.worker(j).cursor.is_inside();
        let _ = self.output.may_pass(inside, now);
        let grant = self.worker_grant(self.worker(j), now);
        let Ok(grant) = grant else {
            unreachable!("planned with a permit")
        };
        let here = self.worker(j).queue.first().map_or(0, |run| {
            run.end.min(self.log.here_to(run.start)) - run.start
        });
        let it = self.worker_mut(j);
        let claim = it.queue.begin_claim(here.clamp(1, SEGMENT_MAX as u64));
        let more = it.queue.queued() > 0;
        it.is_writing = true;
        let mut parts = std::mem::take(&mut it.parts);
        let permit = Permit {
            grant,
            cursor: it.cursor,
        };
        let has_more = more || self.outputs[CONSUMER].queue.queued() > 0;
        let given = (claim.end - claim.start) as usize;
        parts.extend(self.log.parts(claim).take(PARTS_MOST));
        self.worker_mut(j).window.on_given(given, has_more);
        Action::Write(Write {
            parts,
            permit,
            unread: None,
            place: None,
            piece: None,
            obligation: Obligation::new(Actor::Job(j)),
        })
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
        it.room = match outcome {
            Outcome::Full => Room::None(None),
            _ => Room::Unknown,
        };
        it.cursor = run.cursor;
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
        self.hand_back(j);
        self.keep_no_more(j);
        if run.bytes > 0 {
            self.source.is_full = false;
            self.stats.on_written(now, run);
            self.output.on_passed(run.bytes, run.tally.begun, now);
            self.outputs[CONSUMER].taken += run.bytes as u64;
            let it = self.worker_mut(j);
            if it.looked.0 == 0 {
                it.looked.1 = now;
            }
            it.looked.0 += run.bytes as u64;
        }
        if let Some(unread) = unread {
            self.on_worker_read(j, unread, now);
        }
        self.on_shrunk(now);
    }

    /// What it has, and has not begun, is anybody's again.
    fn hand_back(&mut self, j: usize) {
        let it = self.worker(j);
        let Some(rest) = it.queue.first().cloned() else {
            return;
        };
        let keep = match it.cursor.is_inside() {
            true => self.log.next_boundary(rest.start, rest.end),
            false => Some(rest.start),
        };
        let back = keep.unwrap_or(rest.end)..rest.end;
        if back.is_empty() {
            return;
        }
        if let Some(workers) = &mut self.workers {
            workers.held -= back.end - back.start;
            workers.list[j].queue.remove(&back);
            workers.torn = workers.torn.filter(|torn| *torn != (j, back.end));
        }
        self.outputs[CONSUMER].queue.insert(back);
        self.look_at_head();
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
                it.window.on_wait(now);
                if !matches!(it.room, Room::None(_)) {
                    it.room = Room::None(None);
                }
            }
            _ => it.window.forget_wait(),
        }
    }

    pub(super) fn on_worker_ready(&mut self, j: usize, ready: bool, now: Instant) {
        let it = self.worker_mut(j);
        if ready {
            it.window.on_room(now);
            it.room = Room::There;
        }
    }

    /// Whether workers keep what is held waiting: none of them has room.
    pub(super) fn awaits_workers(&self) -> bool {
        let is_full = |it: &Worker| {
            !it.is_open() || matches!(it.room, Room::None(_)) && it.sleeper.is_for(For::Room)
        };
        let workers = self.workers.as_ref().filter(|_| self.used() > 0);
        workers.is_some_and(|workers| workers.list.iter().all(is_full))
    }
}
