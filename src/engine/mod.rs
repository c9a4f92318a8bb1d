//! The state machine between the source and the outputs. Pure: no clock, no input or output, no thread, no
//! lock; time comes in as an argument, so the same calls at the same instants give the same decisions.
//!
//! Whoever acts for it repeats: [`Engine::poll`], then as it is told, then [`Engine::done`]. What an actor is
//! to do is a function of the state and the time, [`Engine::plan`], which changes nothing. Who is told to
//! sleep is remembered with that decision and its version; after every change the decision is made anew, and
//! where it is another one the version moves, and [`Engine::take_wakes`] names the sleeper. So nobody
//! sleeps on an old decision, whatever changes when.
//!
//! Invariant: for every output, `read = written + dropped + owed`, and what it is owed stays within the marks
//! unless they are moved.

pub(crate) mod action;
mod actor;
mod admit;
pub(crate) mod age;
pub(crate) mod batch;
mod books;
mod breaker;
pub(crate) mod bucket;
pub(crate) mod bypass;
mod changes;
mod closing;
mod coalescing;
mod consumer;
pub(crate) mod directive;
pub(crate) mod disk;
pub(crate) mod drive;
mod edge;
pub(crate) mod event;
mod extent;
mod fair;
mod fall;
mod fan_out;
mod fan_pass;
mod feed;
mod fetch;
mod flow;
pub(crate) mod gate;
mod given;
mod half;
mod handed;
mod holdup;
pub(crate) mod inflight;
mod inherit;
mod job_books;
mod job_run;
mod jobs;
mod lane_books;
mod lane_drop;
mod lane_memory;
mod lanes;
pub(crate) mod limiter;
pub(crate) mod log;
mod look;
pub(crate) mod on_disk;
mod origin;
mod output;
mod overflow;
mod pack;
mod pass;
mod pieces;
mod plan;
pub(crate) mod policy;
mod portion;
mod progress;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod restart;
mod rules;
mod runs;
mod scale;
pub(crate) mod scaler;
pub(crate) mod scan;
pub(crate) mod segment;
mod shed;
pub(crate) mod side;
mod side_drop;
mod side_turn;
pub(crate) mod sorter;
mod source;
mod source_plan;
mod spill;
pub(crate) mod stall;
mod state;
pub(crate) mod stats;
pub(crate) mod status;
mod take_back;
pub(crate) mod task;
mod thin;
pub(crate) mod ticket;
mod unread;
mod wakes;
pub(crate) mod workers;
mod yielding;

use std::time::Instant;

use action::{Action, Actor, Done, SIDES, Wait, Write};
pub(crate) use action::{CONSUMER, OVERFLOW};
use flow::may_be_private;
use plan::Plan;
pub(crate) use rules::{Limits, Rules, StopAt};
pub(crate) use state::Engine;

impl Engine {
    /// Whether nothing is owed to those who are owed everything, and nothing more will come.
    #[must_use]
    pub(crate) fn is_finished(&self) -> bool {
        self.ended && self.occupancy() == 0 && !self.source.is_reading
    }

    /// Whether nothing is owed to the consumer, and nothing more will come.
    #[must_use]
    pub(crate) fn has_consumer_all(&self) -> bool {
        self.ended && self.used() == 0 && !self.source.is_reading
    }

    /// What this actor is to do now. Changes nothing.
    pub(crate) fn plan(&self, actor: Actor, now: Instant) -> Plan {
        match actor {
            Actor::Source => self.plan_source(now),
            Actor::Output(CONSUMER) => self.plan_consumer(now),
            Actor::Output(OVERFLOW) => self.plan_overflow(now),
            Actor::Output(i) => self.plan_side(i, now),
            Actor::Job(j) if self.workers.is_some() => self.plan_worker(j, now),
            Actor::Job(j) => self.plan_job(j, now),
        }
    }

    /// An actor asks what to do.
    pub(crate) fn poll(&mut self, actor: Actor, now: Instant) -> Action {
        let action = self.next(actor, now);
        // On the way to it something may have been dropped or taken.
        self.announce(Some(actor), now);
        action
    }

    /// The one after the other: what came of what it was told to do last, and what to do next.
    pub(crate) fn turn(&mut self, done: Done, actor: Actor, now: Instant) -> Action {
        if matches!(done, Done::Wait(Actor::Output(CONSUMER), _))
            && self.is_plain()
            && !self.is_fresh()
        {
            return self.go_on_writing(done, now);
        }
        let was_flowing = may_be_private(&done) && self.flows_by();
        let differs = match was_flowing {
            true => self.take_flowing(done, now),
            false => {
                self.take(done, now);
                true
            }
        };
        // Between the two: whoever has always something to do is never quiet behind them.
        self.look_for_quiet();
        if was_flowing && self.flows_by() {
            return self.next_flowing(differs, now);
        }
        self.conclude(now);
        let action = self.next(actor, now);
        self.announce(Some(actor), now);
        action
    }

    fn next(&mut self, actor: Actor, now: Instant) -> Action {
        self.sleeper(actor).asleep = None;
        if actor == Actor::Source {
            self.look_at_bypass(now);
            self.look_at_disk(now);
        }
        self.tune(now);
        if let Actor::Job(_) = actor {
            self.scale(now);
        }
        loop {
            match self.plan(actor, now) {
                Plan::Expire => self.expire(now),
                Plan::Shed(way) => self.shed(way, now),
                Plan::Take(end) => {
                    if let Actor::Job(j) = actor {
                        match self.workers {
                            Some(_) => self.take_portion(j, end),
                            None => self.take_batch(j, end),
                        }
                    }
                }
                plan => return self.act(actor, plan, now),
            }
        }
    }

    fn act(&mut self, actor: Actor, plan: Plan, now: Instant) -> Action {
        match (plan, actor) {
            (Plan::Read(plan), _) => self.begin_read(plan, now),
            (Plan::Transfer, _) => self.begin_bypass(now),
            (Plan::Write, Actor::Output(OVERFLOW)) => self.begin_overflow(),
            (Plan::Write, Actor::Output(i @ SIDES..)) => self.begin_side(i),
            (Plan::Write, Actor::Job(j)) if self.workers.is_some() => self.begin_portion(j, now),
            (Plan::Write, Actor::Job(j)) => self.begin_filling(j),
            (Plan::Write, _) => self.begin_write(now),
            (Plan::Run, Actor::Job(j)) => self.begin_run(j, now),
            (Plan::Order(task), Actor::Job(j)) => self.begin_order(j, task),
            (Plan::Fetch(at), _) => self.begin_fetch(actor, at),
            (Plan::Fit(size), _) => Action::Fit(size),
            (Plan::Trim, _) => {
                self.trim_at = None;
                Action::Trim(self.log.trim())
            }
            (Plan::Wait(sleep), _) => {
                self.on_sleep(actor, sleep, now);
                let sleeper = self.sleeper(actor);
                sleeper.asleep = Some(sleep);
                let version = sleeper.version;
                Action::Wait(Wait { sleep, version })
            }
            (Plan::End(why), actor) => {
                self.on_worker_over(actor);
                Action::End(why)
            }
            (Plan::Expire | Plan::Shed(_) | Plan::Take(_) | Plan::Run | Plan::Order(_), _) => {
                unreachable!("done before")
            }
        }
    }

    /// What came of what an actor was told to do.
    pub(crate) fn done(&mut self, done: Done, now: Instant) {
        self.take(done, now);
        self.update(now);
    }

    fn take(&mut self, done: Done, now: Instant) {
        match done {
            Done::Read(read, outcome) => self.end_read(read, outcome, now),
            Done::Transfer(transfer, outcome) => self.end_bypass(transfer, outcome, now),
            Done::Write(mut write, outcome) => {
                // A segment that nobody is owed is free only if nobody reads it any more.
                write.parts.clear();
                let Write { state, obligation } = write;
                let (actor, unread) = (obligation.meet(), state.unread);
                match actor {
                    Actor::Output(i) => self.outputs[i].write = Some(state),
                    Actor::Job(j) if self.workers.is_some() => {
                        self.worker_mut(j).write = Some(state);
                    }
                    _ => {}
                }
                match actor {
                    Actor::Output(CONSUMER) => self.end_write(outcome, unread, now),
                    Actor::Output(i @ SIDES..) => self.end_side(i, outcome, now),
                    Actor::Job(j) if self.workers.is_some() => {
                        self.end_portion(j, outcome, unread, now);
                    }
                    Actor::Job(j) => self.end_filling(j, outcome),
                    _ => self.end_overflow(outcome),
                }
            }
            Done::Fetch(fetch, outcome) => self.end_fetch(fetch, outcome, now),
            Done::Run(order, finish) => {
                if let Actor::Job(j) = order.obligation.meet() {
                    self.end_run(j, finish, now);
                }
            }
            Done::Order(order, answer) => {
                let task = order.task();
                if let Actor::Job(j) = order.obligation.meet() {
                    self.end_order(j, task, answer, now);
                }
            }
            Done::Fit(actor, size) => self.on_fit(actor, size, now),
            Done::Wait(Actor::Job(j), ready) if self.workers.is_some() => {
                self.on_worker_ready(j, ready, now);
            }
            Done::Wait(Actor::Source, ready) => self.on_source_ready(ready, now),
            Done::Wait(Actor::Output(CONSUMER), ready) => self.on_output_ready(ready, now),
            Done::Wait(Actor::Output(i @ SIDES..), ready) => self.on_side_ready(i, ready),
            Done::Wait(..) => {}
        }
        self.lose_what_taps_hold_of_full(now);
    }

    /// Lets the caps follow the occupancy.
    pub(super) fn tune(&mut self, now: Instant) {
        if self.has_plain_rules || self.input.is_idle() && self.output.is_idle() {
            return;
        }
        let (used, marks) = (self.occupancy(), self.gate.marks());
        self.input.tune(used, marks, self.burst, now);
        self.output.tune(used, marks, self.burst, now);
    }

    /// Draws the conclusions of a change: moves the gate, and wakes the sleepers whose decision it changes.
    pub(super) fn update(&mut self, now: Instant) {
        self.conclude(now);
        self.announce(None, now);
    }

    /// What a change means for the gate and the caps.
    fn conclude(&mut self, now: Instant) {
        self.count_last();
        if !self.log.is_bloated() {
            self.trim_at = None;
        }
        if self.is_plain() {
            return self.conclude_plain(now);
        }
        self.catch_up();
        self.go_on_with_torn();
        self.leave_half(now);
        let (used, all) = (self.used(), self.occupancy());
        let may_come = !self.ended && !self.has_no_place() && !self.has_full_books();
        self.gate.on_occupancy(used, all, may_come);
        if self.awaits_rest() {
            self.gate.reopen();
        }
        self.look_at_delay(now);
        self.form_batch();
        if self.input.moves() || self.output.moves() {
            self.tune(now);
        }
        if self.events.is_some() {
            self.look_for_events(now);
        }
    }

    /// A last record that has no end is complete once nothing more is read.
    fn count_last(&mut self) {
        // Told to drain, the source may never come to say that the input has ended.
        if self.ended && !self.source.is_reading && !std::mem::replace(&mut self.last_counted, true)
        {
            let inside = self.source.cursor.is_inside();
            let skipped = self.shedder.skipped;
            self.stats.on_last_record(inside, skipped.is_some());
            let is_oversized = skipped.is_some_and(|length| self.is_oversized(length));
            self.stats.shed_oversized += u64::from(inside && is_oversized);
            self.count_last_of_sides(inside);
            match skipped {
                None if inside => self.enter_last(CONSUMER),
                Some(_) if inside => self.count_last_skipped(),
                _ => {}
            }
        }
        self.stats.close_last();
    }
}

#[cfg(test)]
mod tests;
