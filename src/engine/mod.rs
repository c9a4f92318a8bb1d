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
pub(crate) mod age;
pub(crate) mod bypass;
pub(crate) mod directive;
pub(crate) mod drive;
pub(crate) mod fan_out;
pub(crate) mod gate;
pub(crate) mod inflight;
pub(crate) mod limiter;
pub(crate) mod log;
mod output;
mod overflow;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod rules;
pub(crate) mod shed;
mod sift;
mod source;
pub(crate) mod stall;
pub(crate) mod stats;
pub(crate) mod status;

use std::time::{Duration, Instant};

use action::{Action, Actor, Done, For, Reason, Sleep, Wait};
use age::Timeline;
use bypass::Bypass;
use directive::Directive;
use gate::Gate;
use limiter::{Bursts, Limiters, QUANTUM, SharedCap};
use log::Log;
use output::Output;
use overflow::Overflow;
use record::Framing;
pub(crate) use rules::{Limits, Rules};
use shed::Shedder;
use source::Source;
use stall::{StallDetector, Watch};
use stats::Stats;

use crate::units::Unit;

/// How long memory that a flood has left behind is kept for the next flood.
pub(crate) const TRIM_AFTER: Duration = Duration::from_secs(1);

/// The consumer.
const CONSUMER: usize = 0;
/// The file for what is shed, if there is one.
pub(crate) const OVERFLOW: usize = 1;
/// The first of the tees and taps.
const SIDES: usize = 2;

/// Whose sleep is over.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Wakes {
    /// The source's, with the new version of its decision.
    pub source: Option<u64>,
    /// The consumer's, and that of the file for what is shed.
    pub outputs: [Option<u64>; 2],
    /// Those of tees and taps, with their numbers.
    pub sides: Vec<(usize, u64)>,
    /// That of whoever waits until nothing moves any more: what was asked for up to this number has come.
    pub quiet: Option<u64>,
}

/// What an actor is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Read so many bytes at most.
    Read(ReadPlan),
    /// Pass around the log.
    Transfer,
    /// Write.
    Write,
    /// Give the consumer's pipe this size.
    Fit(usize),
    /// Give memory back.
    Trim,
    /// Drop what is too old, or the oldest, first; then plan again.
    Expire,
    /// See there.
    Shed,
    /// Sleep.
    Wait(Sleep),
    /// It is over.
    End(Reason),
}

/// A read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadPlan {
    most: usize,
    /// What was read may be written at once.
    pass: bool,
    /// What is read is too much.
    discard: bool,
}

impl Plan {
    fn wait(what: For, until: Option<Instant>) -> Plan {
        Plan::Wait(Sleep { what, until })
    }
}

/// An actor's decisions: which version is in force, and whether it sleeps on it.
#[derive(Debug, Default)]
pub(crate) struct Sleeper {
    version: u64,
    asleep: Option<Sleep>,
}

impl Sleeper {
    fn is_for(&self, what: For) -> bool {
        self.asleep.is_some_and(|sleep| sleep.what == what)
    }
}

/// How much later than it should a sleep may end: a cap that moves with the occupancy is not worth waking
/// somebody for every byte.
fn tolerance(sleep: Sleep) -> Duration {
    if sleep.what == For::Cap {
        QUANTUM
    } else {
        Duration::ZERO
    }
}

/// Whether who sleeps so need not be woken for this plan: it is the same, or to sleep longer.
fn is_kept(sleep: Sleep, plan: Plan) -> bool {
    let Plan::Wait(other) = plan else {
        return false;
    };
    let in_time = match (sleep.until, other.until) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(sleeps), Some(at)) => sleeps <= at + tolerance(sleep),
    };
    other.what == sleep.what && in_time
}

/// Bounded buffer, gates, pacers and books. See the module's text.
#[derive(Debug)]
pub(crate) struct Engine {
    log: Log,
    source: Source,
    outputs: Vec<Output>,
    overflow: Overflow,
    gate: Gate,
    /// Whether the bypass is wanted.
    may_bypass: bool,
    bypass: Bypass,
    stats: Stats,
    watchdog: StallDetector,
    input: Limiters,
    output: Limiters,
    burst: Bursts,
    capacity: usize,
    framing: Option<Framing>,
    shedder: Shedder,
    timeline: Timeline,
    /// Somebody holds the output.
    paused: bool,
    /// Nothing more will be read: end of input, or told to drain.
    ended: bool,
    /// No read is under way after the end: a last record without terminator has been counted.
    last_counted: bool,
    /// Nothing is to move any more.
    halted: bool,
    /// Somebody waits until nothing is on its way to the consumer: how often that was asked for, and whether
    /// it still is.
    quiet_asked: u64,
    quiet_wanted: bool,
    wakes: Wakes,
    trim_at: Option<Instant>,
    started: Instant,
}

impl Engine {
    /// An empty one.
    #[must_use]
    pub(crate) fn new(rules: Rules, now: Instant) -> Engine {
        let mut engine = Engine {
            log: Log::new(rules.capacity, rules.framing),
            source: Source::new(rules.framing),
            outputs: vec![Output::new(rules.framing), Output::new(rules.framing)],
            overflow: Overflow::default(),
            gate: Gate::new(rules.marks),
            may_bypass: rules.may_bypass,
            bypass: Bypass::new(false),
            stats: Stats::default(),
            watchdog: StallDetector::new(rules.patience),
            input: Limiters::default(),
            output: Limiters::default(),
            burst: rules.burst,
            capacity: rules.capacity,
            framing: rules.framing,
            shedder: Shedder::default(),
            timeline: Timeline::default(),
            paused: false,
            ended: false,
            last_counted: false,
            halted: false,
            quiet_asked: 0,
            quiet_wanted: false,
            wakes: Wakes::default(),
            trim_at: None,
            started: now,
        };
        for command in [
            Directive::RateOfBytes(rules.output.bytes),
            Directive::RateOfRecords(rules.output.records),
            Directive::InputRateOfBytes(rules.input.bytes),
            Directive::InputRateOfRecords(rules.input.records),
            Directive::Shed(rules.shed),
            Directive::MaxAge(rules.max_age),
        ] {
            engine.command(now, command);
        }
        engine
    }

    /// Bytes in a segment of the log.
    #[must_use]
    pub(crate) fn segment_size(&self) -> usize {
        self.log.segment_size()
    }

    /// What the consumer is owed, in bytes.
    fn used(&self) -> usize {
        self.outputs[CONSUMER].queue.owed() as usize
    }

    /// Whether nothing is owed to those who are owed everything, and nothing more will come.
    #[must_use]
    pub(crate) fn is_finished(&self) -> bool {
        self.ended && self.occupancy() == 0 && !self.source.is_reading
    }

    /// What this actor is to do now. Changes nothing.
    pub(crate) fn plan(&self, actor: Actor, now: Instant) -> Plan {
        match actor {
            Actor::Source => self.plan_source(now),
            Actor::Output(CONSUMER) => self.plan_consumer(now),
            Actor::Output(OVERFLOW) => self.plan_overflow(),
            Actor::Output(i) => self.plan_side(i),
        }
    }

    /// An actor asks what to do.
    pub(crate) fn poll(&mut self, actor: Actor, now: Instant) -> Action {
        self.sleeper(actor).asleep = None;
        if actor == Actor::Source {
            self.look_at_bypass(now);
        }
        self.tune(now);
        let action = loop {
            match self.plan(actor, now) {
                Plan::Expire => self.expire(now),
                Plan::Shed => self.shed(now),
                plan => break self.act(actor, plan, now),
            }
        };
        self.watch_waits(now);
        action
    }

    fn act(&mut self, actor: Actor, plan: Plan, now: Instant) -> Action {
        match (plan, actor) {
            (Plan::Read(plan), _) => self.begin_read(plan, now),
            (Plan::Transfer, _) => self.begin_bypass(now),
            (Plan::Write, Actor::Output(OVERFLOW)) => self.begin_overflow(),
            (Plan::Write, Actor::Output(i @ SIDES..)) => self.begin_side(i),
            (Plan::Write, _) => self.begin_write(now),
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
            (Plan::End(why), _) => Action::End(why),
            (Plan::Expire | Plan::Shed, _) => unreachable!("done before"),
        }
    }

    /// What came of what an actor was told to do.
    pub(crate) fn done(&mut self, done: Done, now: Instant) {
        match done {
            Done::Read(read, outcome) => self.end_read(read, outcome, now),
            Done::Transfer(transfer, outcome) => self.end_bypass(transfer, outcome, now),
            Done::Write(write, outcome) => {
                // A segment that nobody is owed is free only if nobody reads it any more.
                drop(write.parts);
                match write.obligation.meet() {
                    Actor::Output(CONSUMER) => self.end_write(outcome, now),
                    Actor::Output(i @ SIDES..) => self.end_side(i, outcome, now),
                    _ => self.end_overflow(outcome),
                }
            }
            Done::Fit(size) => self.on_fit(size, now),
            Done::Wait(Actor::Source, ready) => self.on_source_ready(ready),
            Done::Wait(Actor::Output(CONSUMER), ready) => self.on_output_ready(ready, now),
            Done::Wait(Actor::Output(i @ SIDES..), ready) => self.on_side_ready(i, ready),
            Done::Wait(..) => {}
        }
        self.update(now);
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
            Directive::Shed(policy) => self.shedder.policy = policy,
            Directive::MaxAge(age) => self.shedder.max_age = age,
            Directive::Pause => self.paused = true,
            Directive::Resume => self.paused = false,
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
        self.halted = true;
        self.overflow.is_closing = true;
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
        let reads = self.halted && self.source.is_reading;
        let sides = self.halted && self.sides().any(|(_, side)| side.is_writing);
        !(reads || sides || self.source.is_passing || self.outputs[CONSUMER].is_writing)
    }

    /// Asks the watchdog.
    pub(crate) fn watch(&mut self, now: Instant) -> Watch {
        let (source, sink) = (&mut self.stats.source, &mut self.stats.sink);
        self.watchdog.look(source, sink, now)
    }

    /// Whom to wake for what has changed since the last call.
    pub(crate) fn take_wakes(&mut self) -> Wakes {
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

    fn sleeper(&mut self, actor: Actor) -> &mut Sleeper {
        match actor {
            Actor::Source => &mut self.source.sleeper,
            Actor::Output(i) => &mut self.outputs[i].sleeper,
        }
    }

    /// Lets the caps follow the occupancy.
    fn tune(&mut self, now: Instant) {
        let (used, marks) = (self.occupancy(), self.gate.marks());
        self.input.tune(used, marks, self.burst, now);
        self.output.tune(used, marks, self.burst, now);
    }

    /// Draws the conclusions of a change: moves the gate, and wakes the sleepers whose decision it changes.
    fn update(&mut self, now: Instant) {
        self.count_last();
        if !self.log.is_bloated() {
            self.trim_at = None;
        }
        let (used, all) = (self.used(), self.occupancy());
        self.gate.on_occupancy(used, all, !self.ended);
        self.look_at_delay(now);
        if self.input.moves() || self.output.moves() {
            self.tune(now);
        }
        self.wake(Actor::Source, now);
        for i in 0..self.outputs.len() {
            self.wake(Actor::Output(i), now);
        }
        self.watch_waits(now);
        if self.quiet_wanted && self.is_quiet() {
            self.quiet_wanted = false;
            self.wakes.quiet = Some(self.quiet_asked);
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
        match actor {
            Actor::Source => self.wakes.source = version,
            Actor::Output(i @ SIDES..) => self.wakes.sides.extend(version.map(|v| (i, v))),
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
        for (actor, sleeper) in outputs.chain([(Actor::Source, &self.source.sleeper)]) {
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

    /// What is pinned in the log is what is owed.
    ///
    /// # Panics
    /// When it is not.
    #[cfg(test)]
    pub(crate) fn check_memory(&self) {
        let owed: u64 = self.outputs.iter().map(|output| output.queue.owed()).sum();
        let pinned = self.log.pinned();
        assert_eq!(
            owed + self.overflow.unfinished_bytes(),
            pinned,
            "pinned bytes"
        );
    }

    /// Runs the stopwatches of those who hold the flow up, and stops the others.
    fn watch_waits(&mut self, now: Instant) {
        let output = &self.outputs[CONSUMER];
        let capped = [&self.source.sleeper, &output.sleeper];
        let capped = capped.iter().any(|sleeper| sleeper.is_for(For::Cap));
        let full = output.is_full() && output.queue.owed() > 0 || self.source.is_full;
        let nothing = self.used() == 0 || self.is_filling();
        let source = self.source.is_waiting && !self.ended;
        self.stats.cap.run(capped, now);
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
        }
    }
}

/// Whether a sleep can be ended by the waker. Who waits for input does so whatever else is to be done, a tee or a
/// tap for room, too, and who lingers does so for a moment.
fn is_wakeable(actor: Actor, sleep: Sleep) -> bool {
    !matches!(
        (actor, sleep.what),
        (Actor::Source, For::Input | For::Room) | (Actor::Output(SIDES..), For::Room)
    )
}

/// The earlier one of those that there are.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}

#[cfg(test)]
mod tests;
