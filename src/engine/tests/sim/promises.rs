//! What those outside were promised, kept beside the state machine: that nothing is given while it is paused, nothing
//! read once it has been told to drain, nothing moved once it has been halted; that the gate opens at the low mark, and
//! wherever room was made by shedding, and nowhere else; and that a prefill holds what is given.

use super::*;
use crate::engine::policy::Which;

/// What is in force, once that is acknowledged.
#[derive(Debug, Default)]
pub(super) struct Promises {
    is_paused: bool,
    is_drained: bool,
    is_halted: bool,
    /// A prefill holds what there is.
    is_filling: bool,
    /// A command was given, and is not acknowledged yet.
    is_changing: bool,
    /// The question whose answer says that nothing moves any more.
    halting: Option<u64>,
    /// The gate was closed when it was last looked at, and what had been dropped by then.
    gate: (bool, u64),
    /// What the consumer was owed then, what had been shed of that, and how much of this for its age.
    owed: (usize, u64, u64),
    /// The newest were to be shed then; and what is being read was decided on when they were, and no longer are.
    sheds_newest: bool,
    reads_by_newest: bool,
    /// When it was closed first.
    closed_at: Option<Instant>,
    /// Something was shed, or what is to be shed has changed.
    has_shed: bool,
}

impl Promises {
    /// Something goes to the consumer.
    pub(super) fn on_given(&self) {
        assert!(!self.is_halted, "given after it was halted");
        assert!(self.is_changing || !self.is_paused, "given while paused");
        assert!(
            self.is_changing || !self.is_filling,
            "given while a prefill holds it"
        );
    }

    /// Something is taken from the producer.
    pub(super) fn on_taken(&self) {
        assert!(!self.is_halted, "taken after it was halted");
        let may_take = self.is_changing || !self.is_drained;
        assert!(may_take, "taken after it was told to drain");
    }

    /// A tee gets something.
    pub(super) fn on_given_to_side(&self, role: Role) {
        let is_looker = matches!(role, Role::Looker(_));
        assert!(!self.is_halted || is_looker, "a tee gets more when halted");
    }

    pub(super) fn on_command(&mut self, command: Directive) {
        self.is_changing = true;
        let goes_on = [Directive::Resume, Directive::Drain].contains(&command);
        self.is_paused &= !goes_on;
        self.has_shed |= matches!(command, Directive::Shed(_));
    }

    pub(super) fn on_acknowledged(&mut self, command: Directive) {
        self.is_changing = false;
        self.is_halted |= self.halting.take().is_some();
        self.is_paused |= command == Directive::Pause;
        self.is_drained |= [Directive::Drain, Directive::Finish].contains(&command);
    }

    /// The consumer is gone for good, and a pause with it.
    pub(super) fn on_over(&mut self) {
        self.is_paused = false;
    }

    /// It was halted; something is on its way until this question is answered.
    pub(super) fn on_halt(&mut self, asked: Option<u64>) {
        match asked {
            None => self.is_halted = true,
            Some(_) => self.halting = asked,
        }
    }

    /// Nothing is on its way that was when this was asked.
    pub(super) fn on_quiet(&mut self, asked: u64) {
        let is_answered = self.halting.take_if(|it| *it <= asked);
        self.is_halted |= is_answered.is_some();
    }
}

impl Sim {
    /// What the call just made has changed at the gate, and whether it may have.
    pub(super) fn look_at_gate(&mut self) {
        self.look_for_shedding();
        let engine = self.core.engine.borrow();
        let gate = (engine.gate.is_closed(), dropped(&engine));
        let (used, marks) = (engine.occupancy(), engine.gate.marks());
        let before = std::mem::replace(&mut self.world.promises.gate, gate);
        // Room may have been made by dropping, and who takes whole records alone waits for the rest of one.
        let takes_whole = engine.jobs.is_some() || engine.workers.is_some();
        let awaits_rest = takes_whole && engine.in_batches() == 0 && engine.last_whole().is_none();
        let is_made = gate.1 != before.1 || awaits_rest;
        let opens = before.0 && !gate.0;
        assert!(
            !opens || is_made || used <= marks.low,
            "the gate opens at {used} of {marks:?}"
        );
        // Who is short of memory, or has no place, does without.
        let adversity = &self.world.adversity;
        let rules = &self.world.s.rules;
        let is_plain = rules.memory.is_none() && adversity.short.is_none();
        let is_alone = rules.workers.is_none() && rules.batch.is_none();
        if !is_plain || !is_alone || adversity.lanes.is_some() {
            return;
        }
        assert!(
            !gate.0 || used > marks.low,
            "the gate stays closed at {used} of {marks:?}"
        );
        let has_shed = engine.stats.shed.bytes > 0 && engine.stats.shed_expired == 0;
        let promises = &mut self.world.promises;
        let closed_at = gate.0.then_some(self.world.now);
        promises.closed_at = promises.closed_at.or(closed_at);
        if has_shed
            && !std::mem::replace(&mut promises.has_shed, true)
            && let Some(policy) = rules.shed.filter(|_| self.longest < marks.low)
        {
            let due = promises.closed_at.map(|at| at + policy.patience);
            assert!(due <= Some(self.world.now), "shed without delay");
        }
        let used = engine.used();
        let filling = &mut self.world.promises.is_filling;
        if used == 0 {
            *filling = marks.prefill > 0;
        }
        // To be dropped from it the buffer was full.
        let was_full = gate.0 || gate.1 != before.1;
        *filling &= used < marks.prefill && !was_full && !engine.ended;
    }

    /// Where the call just made has shed something to make room, reading goes on at once: to stay closed down to the low
    /// mark would be to shed down to it. What is too old, or is the rest of a record that was shed, makes no room.
    fn look_for_shedding(&mut self) {
        let engine = self.core.engine.borrow();
        let (shed, expired) = (engine.stats.shed.bytes, engine.stats.shed_expired);
        let over = &mut self.world.out.over;
        *over = (*over).max(engine.over_books());
        let owed = (engine.used(), shed, expired);
        let before = std::mem::replace(&mut self.world.promises.owed, owed);
        let policy = engine.shedder.policy;
        let is_oldest = engine.has_lanes() || policy.is_some_and(|it| it.which != Which::Newest);
        let has_shed = owed.0 < before.0 && shed > before.1 && expired == before.2;
        // What is being read when the newest are shed no longer was decided before: it takes the beginning of its record along.
        let is_newest = policy.is_some_and(|it| it.which == Which::Newest);
        let promises = &mut self.world.promises;
        let was_newest = std::mem::replace(&mut promises.sheds_newest, is_newest);
        promises.reads_by_newest |= was_newest && !is_newest && engine.is_reading();
        let is_by_newest = promises.reads_by_newest;
        promises.reads_by_newest &= shed == before.1 && engine.is_reading();
        let is_alone = engine.jobs.is_none() && !is_by_newest;
        let (used, high) = (engine.occupancy(), engine.gate.marks().high);
        assert!(
            !(is_oldest && is_alone && has_shed) || used >= high || !engine.gate.is_closed(),
            "shed down to {used} of {high}, and nothing is read"
        );
    }

    /// What is claimed for the consumer now was not too old when that was decided.
    pub(super) fn check_age(&self) {
        let engine = self.core.engine.borrow();
        let output = &engine.outputs[CONSUMER];
        let now = self.core.now.get();
        // Of records in lanes some may be kept, however old they are.
        let age = engine.shedder.max_age.filter(|_| !engine.has_lanes());
        let Some(age) = age else { return };
        for run in output.queue.claims() {
            let goes_on = output.cursor.is_inside() || !engine.log.is_boundary(run.start);
            let end = match engine.log.has_records() {
                true => engine.log.next_boundary(run.start, run.end),
                false => Some(run.start + 1),
            };
            let arrival = end.and_then(|end| engine.timeline.arrival(end - 1));
            let is_old = arrival.is_some_and(|at| at + age <= now);
            assert!(goes_on || !is_old, "it is too old to be given");
        }
    }
}

/// Bytes that were dropped so far, for whomever.
fn dropped(engine: &Engine) -> u64 {
    let sides = engine
        .sides()
        .filter_map(|(_, output)| output.side.as_ref());
    engine.stats.shed.bytes + sides.map(|side| side.dropped.bytes).sum::<u64>()
}
