//! Where nothing is held, and nobody but the consumer has to do with what comes, it goes at once, by the source's thread
//! alone: the short ways of the source's turn. A message that somebody waits for goes them.
//!
//! Each is the long way without what has nothing to do then. Where the two can be compared, debug builds do.
//!
//! Invariant: nothing is held before a short way and after it, so that neither the gate nor anybody else has anything
//! to decide anew.

use std::time::Instant;

use super::action::{
    Action, Actor, CONSUMER, Done, Handed, OVERFLOW, Outcome, Read, ReadOutcome, Transfer,
};
use super::output::Room;
use super::plan::Plan;
use super::scan::Run;
use super::source::SHORT;
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

    /// What came of what the source was told to do, where nothing was held before.
    #[inline]
    pub(super) fn take_flowing(&mut self, done: Done, now: Instant) {
        match done {
            Done::Read(read, ReadOutcome::Moved) if read.has_gone() && self.shedder.leeway == 0 => {
                self.end_gone(read, now);
            }
            Done::Transfer(transfer, Outcome::Moved(run)) if transfer.fan.is_none() => {
                self.end_passed(transfer, run, now);
            }
            done => self.take(done, now),
        }
    }

    /// All that was read has been passed on: [`Engine::end_read`], without the log.
    fn end_gone(&mut self, read: Read, now: Instant) {
        let Handed {
            mut state,
            obligation,
        } = read;
        obligation.meet();
        state.buffer.close();
        let run = state.passed;
        self.source.read = Some(state);
        self.source.waits_first = self.source.path.waits_first && run.bytes <= SHORT;
        // It may have taken the room that there was.
        self.outputs[CONSUMER].room = Room::Unknown;
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
        self.source.cursor = run.cursor;
        self.bypass.on_piece(run.bytes, true);
        self.bypass.on_input(self.stats.source.run(false, now));
        self.stats.on_gone(run, now);
        let output = &mut self.outputs[CONSUMER];
        output.cursor = run.cursor;
        output.taken += run.bytes as u64;
        self.on_taken(run);
    }

    /// What the source is to do next: [`Engine::next`], and what that means for those who are waited for.
    pub(super) fn next_flowing(&mut self, now: Instant) -> Action {
        if self.is_fresh() || self.bypass.is_held_up() {
            let action = self.next(Actor::Source, now);
            self.watch_waits(now);
            return action;
        }
        self.source.sleeper.asleep = None;
        let action = match self.plan_source_alone(now) {
            Plan::Read(plan) => self.begin_read(plan, now),
            Plan::Transfer => self.begin_bypass(now),
            plan => self.act(Actor::Source, plan, now),
        };
        self.watch_flow(now);
        action
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
