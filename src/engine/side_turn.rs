//! The turn of an output beside the consumer: what it is given, and what came of it.
//!
//! Invariant: it is given whole records where what is behind them may have to be dropped, or where a kill in between would
//! leave half a record behind.

use std::time::Instant;

use super::action::{Action, Actor, For, Obligation, Outcome, PARTS_MOST, Permit, Reason, Write};
use super::limiter::Allowance;
use super::output::Room;
use super::plan::Plan;
use super::scan::Run;
use super::segment::SEGMENT_MAX;
use super::side::Stage;
use super::state::Engine;

impl Engine {
    /// Whether it gets whole records, as far as there are any: what is behind them may have to be dropped, and a kill in
    /// between would leave half a record behind.
    pub(super) fn wants_whole(&self, i: usize) -> bool {
        let may_shed = self.shedder.policy.is_some();
        self.framing.is_some() && (self.outputs[i].is_tap() || may_shed || self.outlives())
    }

    /// Whether the rest of a record that has not ended may still come, and is worth waiting for.
    pub(super) fn may_end(&self, i: usize) -> bool {
        let has_room = !self.gate.is_closed() && !self.has_no_place();
        let may_come = !self.is_starved() && (self.shedder.policy.is_some() || has_room);
        !self.is_last() && (self.outputs[i].is_tap() || may_come)
    }

    /// Bytes at the head that may be given to it now.
    pub(super) fn side_deliverable(&self, i: usize) -> u64 {
        let output = &self.outputs[i];
        let Some(run) = output.queue.first() else {
            return 0;
        };
        let share = output.side.as_ref().and_then(|side| side.role.share());
        // What is claimed cannot be dropped.
        let most = match share {
            Some(share) => share / 4,
            None if self.is_fresh() => self.capacity as u64 / 8,
            None => u64::MAX,
        };
        let most = most.clamp(1, SEGMENT_MAX as u64);
        let end = run.end.min(self.log.readable());
        let piece = end.saturating_sub(run.start).min(most);
        if !self.wants_whole(i) || piece == 0 {
            return piece;
        }
        let next = || self.log.next_boundary(run.start, end);
        if output.cursor.is_inside() {
            return next().map_or(piece, |to| piece.min(to - run.start));
        }
        let whole = self.log.last_boundary(run.start, run.start + piece);
        match whole.or_else(next) {
            Some(to) => to - run.start,
            None if self.may_end(i) => 0,
            None => piece,
        }
    }

    pub(super) fn plan_side(&self, i: usize, now: Instant) -> Plan {
        let output = &self.outputs[i];
        let is_done = self.is_last() && output.queue.owed() == 0;
        let stage = output.side.as_ref().map(|side| side.stage);
        let is_there = matches!(stage, Some(Stage::Open | Stage::Joining));
        if self.halted || is_done || !is_there {
            return Plan::End(Reason::Over);
        }
        if let Some(plan) = self.plan_fetch(i, None, now) {
            return plan;
        }
        match (self.side_deliverable(i), output.room) {
            (0, _) => Plan::wait(For::Data, None),
            (_, Room::None(_)) => Plan::wait(For::Room, None),
            _ => Plan::Write,
        }
    }

    pub(super) fn begin_side(&mut self, i: usize) -> Action {
        let mut n = self.side_deliverable(i).min(self.claimable(i));
        let mut place = None;
        if !self.outputs[i].is_tap() {
            (n, place) = self.remembered(i, n);
        }
        let output = &mut self.outputs[i];
        let claim = output.queue.begin_claim(n);
        if let Some(lanes) = &mut output.lanes {
            lanes.on_claimed(claim.end);
        }
        output.is_writing = true;
        output.claim_is_torn = !self.log.is_boundary(claim.end);
        let allowance = Allowance::ALL;
        let cursor = output.cursor;
        let mut state = output.write.take().unwrap_or_default();
        let parts = self.log.parts(claim).take(PARTS_MOST);
        state.parts.extend(parts);
        (state.permit, state.place) = (Permit { allowance, cursor }, place);
        let obligation = Obligation::new(Actor::Output(i));
        Action::Write(Write { state, obligation })
    }

    pub(super) fn end_side(&mut self, i: usize, outcome: Outcome, now: Instant) {
        let output = &mut self.outputs[i];
        output.is_writing = false;
        output.room = match outcome {
            Outcome::Full => Room::None(None),
            _ => Room::Unknown,
        };
        let run = match outcome {
            Outcome::Moved(run) => run,
            _ => Run::at(output.cursor),
        };
        let done = output.queue.end_claim(run.bytes as u64);
        if let Some(lanes) = &mut output.lanes {
            lanes.on_delivered(Some(done.end).filter(|_| run.bytes > 0));
        }
        output.cursor = run.cursor;
        output.taken += run.bytes as u64;
        if let Some(side) = &mut output.side {
            side.written.bytes += run.bytes as u64;
            side.written.records += run.tally.ended;
            if output.queue.owed() == 0 && std::mem::take(&mut side.last_is_open) {
                side.written.records += 1;
            }
        }
        self.log.unpin(&done);
        self.on_side_shrunk(i, now);
        // The rest of a claim may be more than a tap may keep.
        self.keep_within_share(i, now);
    }

    /// It has been waited for; `ready`: it has room.
    pub(super) fn on_side_ready(&mut self, i: usize, ready: bool) {
        let output = &mut self.outputs[i];
        output.sleeper.asleep = None;
        if ready {
            output.room = Room::There;
        }
    }
}
