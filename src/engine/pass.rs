//! The source's turn around the log: when bytes may pass there, and what came of it.

use std::time::Instant;

use super::action::{Action, Actor, CONSUMER, For, Obligation, Outcome, Transfer};
use super::plan::Plan;
use super::rules::StopAt;
use super::state::Engine;

impl Engine {
    /// The time that the bypass lingers for room or for a cap begins and ends here.
    pub(super) fn look_at_bypass(&mut self, now: Instant) {
        let is_behind = self.used() > 0 || !self.holders_are_even();
        let is_held = is_behind || self.paused || self.is_filling();
        let inside = self.outputs[CONSUMER].cursor.is_inside();
        if self.is_fresh() {
            self.bypass.on_room(now);
        } else if !is_held {
            let may_hold = !self.output.is_idle() && self.bypass.is_open(now);
            if may_hold && self.output.peek(inside, now).is_err() {
                self.bypass.on_full(now);
            }
        } else if self.gate.marks().prefill == 0 {
            self.bypass.look(self.occupancy(), now);
        }
        self.bypass.age(now);
    }

    /// Whether what passes around the log to several may be kept for those of them who have no room.
    pub(super) fn may_fan_out(&self) -> bool {
        self.room() > 0 && !self.goes_to_disk()
    }

    pub(super) fn plan_bypass(&self, now: Instant) -> Plan {
        match self.bypass.until().filter(|_| self.source.is_full) {
            Some(until) => Plan::wait(For::Room, Some(until)),
            None if self.source.waits_first => self.plan_wait(now),
            None => Plan::Transfer,
        }
    }

    pub(super) fn begin_bypass(&mut self, now: Instant) -> Action {
        self.let_join(now);
        let permit_in = self
            .input
            .may_pass(false, now)
            .map_or(0, |permit| self.bytes_for(permit));
        let Some(mut permit) = self.permit(now) else {
            unreachable!("planned with a permit")
        };
        permit.allowance.bytes = permit.allowance.bytes.min(permit_in);
        match self.source.left {
            Some(StopAt::Bytes(_)) => {
                permit.allowance.bytes = permit.allowance.bytes.min(self.left())
            }
            // The record in progress was begun before.
            Some(StopAt::Records(ends)) => {
                let begins = ends - u64::from(permit.cursor.is_inside());
                permit.allowance.records = permit.allowance.records.min(begins);
            }
            None => {}
        }
        if self.source.path.output_blocks {
            // It is the system that lingers.
            self.bypass.on_full(now);
            self.source.is_full = true;
        }
        self.source.is_reading = true;
        self.source.is_passing = true;
        if self.has_sides() {
            permit.allowance.bytes = permit.allowance.bytes.min(self.room());
        }
        let fan = self.begin_fan(permit.allowance.bytes);
        if let Some(fan) = &fan {
            permit.allowance.bytes = permit.allowance.bytes.min(fan.read.buffer.most());
        }
        let mut state = self.source.transfer.take().unwrap_or_default();
        (state.permit, state.fan) = (permit, fan);
        let obligation = Obligation::new(Actor::Source);
        Action::Transfer(Transfer { state, obligation })
    }

    pub(super) fn end_bypass(&mut self, transfer: Transfer, outcome: Outcome, now: Instant) {
        let Transfer {
            mut state,
            obligation,
        } = transfer;
        obligation.meet();
        self.source.is_reading = false;
        self.source.is_passing = false;
        if self.source.path.output_blocks {
            self.source.is_full = false;
        }
        let mut fan = state.fan.take();
        self.source.transfer = Some(state);
        if let Some(pack) = fan.as_mut().and_then(|fan| fan.read.pack.take()) {
            self.log.end_pack(pack);
        }
        let moved = match (fan, outcome) {
            (Some(fan), Outcome::Uneven) => Some(self.end_uneven(fan, now)),
            (Some(fan), Outcome::Moved(run)) => {
                self.end_even(fan, run);
                Some(run)
            }
            (fan, _) => {
                fan.into_iter().for_each(|fan| self.end_fan(fan));
                match outcome {
                    Outcome::Moved(run) => Some(run),
                    _ => None,
                }
            }
        };
        if self.has_lanes() {
            // The rules have changed meanwhile.
            (0..self.outputs.len()).for_each(|i| self.sort_anew(i));
        }
        match (outcome, moved) {
            (_, Some(run)) => {
                self.source.cursor = run.cursor;
                if let Some(read) = &mut self.source.read {
                    // These have passed unseen: how a record begins that goes on with the next read is not known.
                    read.sorts = false;
                }
                self.source.is_full = false;
                self.source.is_waiting = false;
                self.source.waits_first = self.source.path.waits_first;
                self.stats.spliced += run.bytes as u64;
                self.bypass.on_passed(run.bytes, now);
                self.source.coalescing.on_piece(run.bytes, now);
                self.stats.on_read(run, self.occupancy());
                self.bypass.on_input(self.stats.source.run(false, now));
                self.input.on_passed(run.bytes, run.tally.ended, now);
                self.on_left(run, now);
                self.on_taken(run);
            }
            (Outcome::Full, _) => {
                self.source.is_full = true;
                self.source.is_waiting = false;
                self.bypass.on_full(now);
            }
            (Outcome::Refused, _) => {
                self.bypass.on_refused();
                self.source.is_full = false;
            }
            (Outcome::Short, _) => self.on_memory_short(now),
            (Outcome::Nothing | Outcome::Moved(_) | Outcome::Uneven, _) => {
                self.source.waits_first = self.source.path.waits_first;
                self.source.is_full = false;
            }
        }
    }
}
