//! The short ways of a turn, where nobody but the consumer has to do with what comes. Where nothing is held either it goes
//! at once, by the source's thread alone: so does a message that somebody waits for.
//!
//! Each is the long way without what has nothing to do then. Where the two can be compared, debug builds do; the simulator
//! sees whether anybody sleeps on a decision that is no longer the right one.
//!
//! Invariant: where it flows nothing is held before a turn and after it, so that neither the gate nor anybody else has
//! anything to decide anew.

use std::time::Instant;

use super::action::{
    Action, Actor, CONSUMER, Done, For, Handed, OVERFLOW, Obligation, Outcome, Pass, Permit, Read,
    ReadOutcome, Transfer,
};
use super::limiter::Allowance;
use super::output::Room;
use super::plan::Plan;
use super::scan::Run;
use super::state::Engine;

impl Engine {
    /// Whether what comes goes at once, with nothing held and nobody else who has to do with it.
    #[inline]
    pub(super) fn flows_by(&self) -> bool {
        let is_owed = |i: usize| self.outputs[i].queue.owed() > 0;
        self.is_plain() && !(self.ended || self.halted || is_owed(CONSUMER) || is_owed(OVERFLOW))
    }

    /// Whether nothing but the marks and the consumer has to do with what comes: no cap, no lanes, no programs, no disk, no
    /// other output, nobody who listens.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        debug_assert!(!self.has_plain_rules || self.find_plain_rules(), "not said");
        self.has_plain_rules && !self.has_sides()
    }

    /// Whether the rules are such. To ask this for every piece would take longer than what is to be done with it: whoever
    /// changes them takes it back, and it is found out anew with all other conclusions of that.
    pub(super) fn find_plain_rules(&self) -> bool {
        !(self.has_lanes() || self.given.is_kept)
            && self.jobs.is_none()
            && self.workers.is_none()
            && self.spill.is_none()
            && self.events.is_none()
            && self.input.is_idle()
            && self.output.is_idle()
    }

    /// What a change means for the gate, where nobody but the consumer has to do with it: the end of [`Engine::conclude`].
    pub(super) fn conclude_plain(&mut self, now: Instant) {
        let used = self.outputs[CONSUMER].queue.owed() as usize;
        debug_assert_eq!([used; 2], [self.used(), self.occupancy()]);
        debug_assert!(!self.has_no_place() && !self.has_full_books() && !self.awaits_rest());
        self.gate.on_occupancy(used, used, !self.ended);
        if self.gate.is_closed() || self.shedder.full_since.is_some() {
            self.look_at_delay(now);
        }
    }

    /// The consumer has been waited for, or something for it: what it is to do next. Nothing has changed that anybody else
    /// decides by, and to write does not either; only memory may be given back.
    pub(super) fn go_on_writing(&mut self, done: Done, now: Instant) -> Action {
        self.take(done, now);
        let actor = Actor::Output(CONSUMER);
        let action = self.next(actor, now);
        match action {
            Action::Write(_) | Action::Wait(_) => self.time_waits(now),
            _ => self.announce(Some(actor), now),
        }
        action
    }

    /// What came of what the source was told to do, where nothing was held before. Says whether somebody else may be waited
    /// for now than before.
    #[inline]
    pub(super) fn take_flowing(&mut self, done: Done, now: Instant) -> bool {
        match done {
            Done::Wait(..) if self.source.sleeper.is_for(For::Input) => {
                self.source.sleeper.asleep = None;
                self.source.on_input_there(now);
                return false;
            }
            Done::Read(read, ReadOutcome::Moved) if read.has_gone() && self.shedder.leeway == 0 => {
                self.end_gone(read, now);
            }
            Done::Transfer(transfer, Outcome::Moved(run)) if transfer.fan.is_none() => {
                self.end_passed(transfer, run, now);
            }
            done => self.take(done, now),
        }
        true
    }

    /// All that was read has been passed on: [`Engine::end_read`], without the log.
    fn end_gone(&mut self, read: Read, now: Instant) {
        let Handed {
            mut state,
            obligation,
        } = read;
        obligation.meet();
        let run = state.passed;
        self.source.waits_first = self.has_emptied(run.bytes, state.buffer.most());
        state.buffer.close();
        self.source.read = Some(state);
        // It may have taken the room that there was.
        self.outputs[CONSUMER].room = Room::Unknown;
        self.bypass.on_empty(now);
        self.on_gone(run, now);
    }

    /// All has passed: [`Engine::end_bypass`], without anybody else.
    fn end_passed(&mut self, transfer: Transfer, run: Run, now: Instant) {
        let Handed { state, obligation } = transfer;
        obligation.meet();
        self.source.transfer = Some(state);
        if let Some(read) = &mut self.source.read {
            read.sorts = false;
        }
        self.source.is_full = false;
        self.source.waits_first = self.source.path.waits_first;
        self.stats.spliced += run.bytes as u64;
        self.bypass.on_passed(run.bytes, now);
        self.on_gone(run, now);
    }

    /// These came, and have left for the consumer.
    #[inline]
    fn on_gone(&mut self, run: Run, now: Instant) {
        self.source.is_reading = false;
        self.source.is_passing = false;
        self.source.is_waiting = false;
        self.source.came_at = None;
        self.source.cursor = run.cursor;
        self.source.coalescing.on_piece(run.bytes, now);
        self.bypass.on_input(self.stats.source.run(false, now));
        self.stats.on_gone(run, now);
        let output = &mut self.outputs[CONSUMER];
        output.cursor = run.cursor;
        output.taken += run.bytes as u64;
        self.on_taken(run);
    }

    /// What the source is to do next: [`Engine::next`], and what that means for those who are waited for. `differs`: others may
    /// be than before.
    pub(super) fn next_flowing(&mut self, differs: bool, now: Instant) -> Action {
        if self.is_fresh() || self.bypass.is_held_up() {
            let action = self.next(Actor::Source, now);
            self.time_waits(now);
            return action;
        }
        self.source.sleeper.asleep = None;
        let (action, sleeps) = match self.plan_source_alone(now) {
            Plan::Read(plan) if plan.pass && self.fairness.is_none() => {
                (self.begin_read_flowing(plan.most), false)
            }
            Plan::Read(plan) => (self.begin_read(plan, now), false),
            Plan::Transfer => (self.begin_bypass(now), false),
            plan => (self.act(Actor::Source, plan, now), true),
        };
        // An output that may block is waited for as soon as something is on its way to it.
        if differs || sleeps || self.source.is_full {
            self.time_flow(now);
        }
        debug_assert!(self.is_watched(), "somebody else is waited for");
        action
    }

    /// [`Engine::begin_read`] for what is passed on at once, with nothing to be done on the way.
    fn begin_read_flowing(&mut self, most: usize) -> Action {
        debug_assert!(self.joining == 0 && !self.may_scatter() && !self.has_lanes());
        let mut state = self.source.read.take().unwrap_or_default();
        self.log.lend(&mut state.buffer, most, None);
        self.source.is_reading = true;
        self.source.is_passing = true;
        self.source.is_short = false;
        self.source.is_waiting |= self.source.path.input_blocks;
        let permit = Permit {
            allowance: Allowance::ALL,
            cursor: self.outputs[CONSUMER].cursor,
        };
        let is_fresh = false;
        state.pass = Some(Pass { permit, is_fresh });
        (state.cursor, state.discard) = (self.source.cursor, false);
        (state.to_disk, state.stored) = (false, None);
        debug_assert!(state.pack.is_none() && state.sorting.is_none());
        let obligation = Obligation::new(Actor::Source);
        Action::Read(Read { state, obligation })
    }
}

/// Whether this may concern nobody but the source, if nothing is held before and after it.
#[inline]
pub(super) fn may_be_private(done: &Done) -> bool {
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
