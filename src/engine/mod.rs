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
pub(crate) mod age;
pub(crate) mod batch;
mod books;
mod breaker;
pub(crate) mod bucket;
pub(crate) mod bypass;
mod closing;
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
pub(crate) mod gate;
mod given;
mod handed;
pub(crate) mod inflight;
mod inherit;
mod job_books;
mod jobs;
mod lane_books;
mod lanes;
pub(crate) mod limiter;
pub(crate) mod log;
mod look;
pub(crate) mod on_disk;
mod output;
mod overflow;
mod pack;
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
mod sift;
pub(crate) mod sorter;
mod source;
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
pub(crate) mod workers;
mod yielding;

use std::time::Instant;

use action::{Action, Actor, Done, For, Outcome, ReadOutcome, SIDES, Wait, Write};
pub(crate) use action::{CONSUMER, OVERFLOW};
use directive::Directive;
use event::{Event, Events, Place};
use limiter::SharedCap;
#[cfg(test)]
use plan::tolerance;
use plan::{Plan, Sleeper, is_kept, is_wakeable};
pub(crate) use rules::{Limits, Rules, StopAt};
use stall::{Side, Watch};
pub(crate) use state::{Engine, Wakes};

use crate::units::Unit;

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
        let was_empty = may_be_private(&done) && self.flows_by();
        self.take(done, now);
        // Between the two: whoever has always something to do is never quiet behind them.
        self.look_for_quiet();
        if was_empty && self.flows_by() {
            // Nothing is held, as before, so that neither the gate nor anybody else has anything to decide anew.
            let action = self.next(actor, now);
            self.watch_waits(now);
            return action;
        }
        self.conclude(now);
        let action = self.next(actor, now);
        self.announce(Some(actor), now);
        action
    }

    /// Whether what comes goes at once, with nothing held and nobody else who has to do with it.
    fn flows_by(&self) -> bool {
        self.holds_nothing()
            && !(self.ended || self.halted || self.has_sides() || self.has_lanes())
            && self.jobs.is_none()
            && self.workers.is_none()
            && self.spill.is_none()
            && self.events.is_none()
            && self.input.is_idle()
            && self.output.is_idle()
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
            Done::Wait(Actor::Source, ready) => self.on_source_ready(ready),
            Done::Wait(Actor::Output(CONSUMER), ready) => self.on_output_ready(ready, now),
            Done::Wait(Actor::Output(i @ SIDES..), ready) => self.on_side_ready(i, ready),
            Done::Wait(..) => {}
        }
    }

    /// A cap on the output is shared with others.
    pub(crate) fn share(&mut self, unit: Unit, with: Box<dyn SharedCap>, now: Instant) {
        match unit {
            Unit::Bytes => self.output.bytes.share(with),
            Unit::Records => self.output.records.share(with),
        }
        self.tune(now);
    }

    /// Changes how a running engine works; in force when this returns, but for what is on its way already.
    pub(crate) fn command(&mut self, now: Instant, command: Directive) {
        match command {
            Directive::RateOfBytes(cap) => self.output.bytes.set(cap),
            Directive::RateOfRecords(cap) => self.output.records.set(cap),
            Directive::InputRateOfBytes(cap) => self.input.bytes.set(cap),
            Directive::InputRateOfRecords(cap) => self.input.records.set(cap),
            Directive::Burst(burst) => {
                self.burst = burst;
            }
            Directive::Marks(marks) => self.gate.set(marks, self.used()),
            Directive::Shed(policy) => {
                self.shedder.policy = policy;
                self.put_lanes_in_force();
            }
            Directive::MaxAge(age) => {
                self.shedder.max_age = age;
                self.put_lanes_in_force();
            }
            Directive::Jobs(count) => self.set_jobs(count, now),
            Directive::Pause => self.paused = true,
            Directive::Resume => self.paused = false,
            Directive::HoldInput(held) => self.input_held = held,
            Directive::Finish => {
                self.ended = true;
                self.start_no_more();
                self.restart_no_more(now);
            }
            Directive::Drain => {
                // What nobody may deliver would keep it from ending.
                self.paused = false;
                self.ended = true;
            }
        }
        self.tune(now);
        self.update(now);
    }

    /// Nothing is read or written from now on, whatever is held. As [`Engine::want_quiet`]: some while a
    /// call to the system is under way whose bytes are still to be counted.
    pub(crate) fn halt(&mut self, now: Instant) -> Option<u64> {
        // The file for what is shed is not closed before that: of a read that is under way some may be shed.
        self.halted = true;
        self.update(now);
        self.want_quiet()
    }

    /// `None` where nothing is on its way to the consumer by a decision that is no longer in force; else
    /// the number with which [`Wakes::quiet`] says when. An answer to an earlier question is none to this
    /// one, for something may have set out between them.
    pub(crate) fn want_quiet(&mut self) -> Option<u64> {
        self.quiet_asked += 1;
        self.quiet_wanted = !self.is_quiet();
        self.quiet_wanted.then_some(self.quiet_asked)
    }

    fn is_quiet(&self) -> bool {
        // What is read meanwhile is told after a drain has begun, and is a part of what is drained.
        let is_last = self.ended && !self.source.path.input_blocks;
        let reads = (self.halted || is_last) && self.source.is_reading;
        let sides = self.halted && self.sides().any(|(_, side)| side.is_writing_what_counts());
        let mut workers = self.workers.iter().flat_map(|workers| &workers.list);
        let is_writing = self.outputs[CONSUMER].is_writing || workers.any(|it| it.is_writing);
        !(reads || sides || self.source.is_passing || is_writing)
    }

    /// Asks the watchdog.
    pub(crate) fn watch(&mut self, now: Instant) -> Watch {
        if self.given.is_down && !self.given.is_deaf {
            // Nobody is there to be accused.
            self.on_sink_moved(now);
        }
        if let Some(time) = self.given.stalled.take() {
            return Watch::Stalled(Side::Sink, time);
        }
        let (source, sink) = (&mut self.stats.source, &mut self.stats.sink);
        self.watchdog.look(source, sink, now)
    }

    /// Whether there is anybody to be woken.
    pub(crate) fn has_wakes(&self) -> bool {
        self.has_wakes || self.log.is_freed()
    }

    /// Whom to wake for what has changed since the last call.
    pub(crate) fn take_wakes(&mut self) -> Wakes {
        self.has_wakes = false;
        self.wakes.floor = self.log.take_floor();
        std::mem::take(&mut self.wakes)
    }

    /// No more input: what is held is still delivered.
    pub(crate) fn on_input_end(&mut self, now: Instant) {
        if !self.halted {
            self.ended = true;
            self.source.is_waiting = false;
            self.update(now);
        }
    }

    pub(super) fn sleeper(&mut self, actor: Actor) -> &mut Sleeper {
        match actor {
            Actor::Source => &mut self.source.sleeper,
            Actor::Output(i) => &mut self.outputs[i].sleeper,
            Actor::Job(j) if self.workers.is_some() => &mut self.worker_mut(j).sleeper,
            Actor::Job(j) => self.job_sleeper(j),
        }
    }

    /// Lets the caps follow the occupancy.
    pub(super) fn tune(&mut self, now: Instant) {
        if self.input.is_idle() && self.output.is_idle() {
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
        self.catch_up();
        self.go_on_with_torn();
        if !self.log.is_bloated() {
            self.trim_at = None;
        }
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

    /// Listens to these from now on.
    pub(crate) fn listen(&mut self, events: impl IntoIterator<Item = Event>) {
        self.events = Some(Box::new(Events::new(events)));
    }

    fn look_for_events(&mut self, now: Instant) {
        let place = Place {
            used: self.occupancy(),
            high: self.gate.marks().high,
            low: self.gate.marks().low,
            capacity: self.capacity,
            sheds: self.shedder.is_shedding(now),
        };
        if let Some(events) = &mut self.events
            && events.look(place, now)
        {
            self.wakes.events.append(&mut events.happened);
            self.has_wakes = true;
        }
    }

    /// What it means for those who sleep, but for the one who has just been told what to do.
    fn announce(&mut self, told: Option<Actor>, now: Instant) {
        self.scale(now);
        if told != Some(Actor::Source) {
            self.wake(Actor::Source, now);
        }
        for i in 0..self.outputs.len() {
            if told != Some(Actor::Output(i)) {
                self.wake(Actor::Output(i), now);
            }
        }
        // Whoever was given something last is woken last.
        let (count, first) = (
            self.job_count(),
            self.workers.as_ref().map_or(0, |it| it.next),
        );
        for j in (0..count).map(|n| (first + n) % count) {
            // What one was told may itself be what there is need of others for.
            if told != Some(Actor::Job(j)) || self.scales() {
                self.wake(Actor::Job(j), now);
            }
        }
        self.watch_waits(now);
        self.look_for_quiet();
    }

    #[inline]
    fn look_for_quiet(&mut self) {
        if self.quiet_wanted && self.is_quiet() {
            self.quiet_wanted = false;
            self.wakes.quiet = Some(self.quiet_asked);
            self.has_wakes = true;
        }
    }

    /// Wakes this actor if it sleeps on a decision that is no longer the right one.
    fn wake(&mut self, actor: Actor, now: Instant) {
        let Some(sleep) = self.sleeper(actor).asleep else {
            return;
        };
        if !is_wakeable(actor, sleep) || is_kept(sleep, self.plan(actor, now)) {
            return;
        }
        let sleeper = self.sleeper(actor);
        sleeper.asleep = None;
        sleeper.version += 1;
        let version = Some(sleeper.version);
        self.has_wakes = true;
        match actor {
            Actor::Source => self.wakes.source = version,
            Actor::Output(i @ SIDES..) => self.wakes.sides.extend(version.map(|v| (i, v))),
            Actor::Job(j) => self.wakes.jobs.extend(version.map(|v| (j, v))),
            Actor::Output(i) => self.wakes.outputs[i] = version,
        }
    }

    /// Every sleeper's decision is what it would be now.
    ///
    /// # Errors
    /// The sleeper's, and what it should be.
    #[cfg(test)]
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
    #[cfg(test)]
    pub(crate) fn check_memory(&self) {
        let owed: u64 = self.outputs.iter().map(|output| output.queue.owed()).sum();
        let pinned = self.log.pinned();
        let given = self.workers.as_ref().map_or(0, |it| it.given_bytes());
        assert_eq!(
            owed + self.overflow.unfinished_bytes()
                + self.given.bytes()
                + given
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

    /// Runs the stopwatches of those who hold the flow up, and stops the others.
    pub(super) fn watch_waits(&mut self, now: Instant) {
        let output = &self.outputs[CONSUMER];
        let capped = [&self.source.sleeper, &output.sleeper];
        let capped = capped.iter().any(|sleeper| sleeper.is_for(For::Cap)) || self.is_job_capped();
        let is_full = (output.is_full() || self.given.is_down) && !self.given.is_over;
        let full = is_full && output.queue.owed() > 0 || self.source.is_full;
        // What lies unread in the pipe of one from which it may be taken back is owed, too.
        let is_stuck = self.given.unread.is_stuck();
        let awaits = !self.given.is_over && (self.awaits_jobs() || self.awaits_workers());
        let full = full || is_stuck || awaits;
        let nothing = self.used() == 0 && !is_stuck || self.is_filling() || self.is_batch_forming();
        let source = self.source.is_waiting && !self.ended;
        let no_room = self.source.sleeper.is_for(For::Gate);
        self.stats.cap.run(capped, now);
        self.stats.room.run(no_room, now);
        // Where nothing is read before a tee is, whatever an earlier run has left for the consumer is not what holds.
        let awaited = self.awaited_tee().filter(|_| no_room);
        let awaited = awaited.map(|i| i - SIDES);
        let full = full && awaited.is_none();
        let tee = awaited.or_else(|| self.tee_that_holds().filter(|_| !full));
        self.stats.slow_tee = tee.or(self.stats.slow_tee);
        self.stats.tee.run(tee.is_some(), now);
        self.stats.sink.run(full && !self.paused, now);
        self.stats.source.run(source, now);
        self.stats.starved.run(source && nothing, now);
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
            if inside && skipped.is_none() {
                self.enter_last(CONSUMER);
            }
        }
        self.stats.close_last();
    }
}

/// Whether this may concern nobody but the source, if nothing is held before and after it.
fn may_be_private(done: &Done) -> bool {
    match done {
        Done::Wait(actor, _) => *actor == Actor::Source,
        Done::Transfer(_, outcome) => matches!(
            outcome,
            Outcome::Moved(_) | Outcome::Full | Outcome::Nothing
        ),
        Done::Read(_, outcome) => matches!(outcome, ReadOutcome::Moved | ReadOutcome::Empty),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
