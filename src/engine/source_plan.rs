//! What the source is to do, and how much it may read. Changes nothing.

use std::time::Instant;

use super::action::{CONSUMER, For, Reason};
use super::plan::{Plan, ReadPlan, earlier};
use super::policy::Which;
use super::state::Engine;

impl Engine {
    pub(super) fn plan_source(&self, now: Instant) -> Plan {
        if !self.flows_by() || self.is_fresh() {
            return self.plan_source_among(now);
        }
        self.plan_source_alone(now)
    }

    /// What [`Engine::plan_source_among`] comes to where nothing is held, and nobody else has to do with what comes.
    #[inline]
    pub(super) fn plan_source_alone(&self, now: Instant) -> Plan {
        let plan = self.find_plan_alone(now);
        debug_assert_eq!(plan, self.plan_source_among(now));
        plan
    }

    #[inline]
    fn find_plan_alone(&self, now: Instant) -> Plan {
        if self.source.has_all() {
            return Plan::End(Reason::Over);
        }
        if self.is_starved() {
            return Plan::End(Reason::Memory);
        }
        if self.input_held || self.input_looked_at {
            return Plan::wait(For::Gate, None);
        }
        let pass = !self.paused && !self.gate.is_filling();
        if pass && self.bypass.is_open(now) {
            return self.plan_bypass(now);
        }
        match self.gate.may_take(0).min(self.left()) {
            0 => Plan::wait(For::Gate, None),
            _ if self.source.waits_first => self.plan_wait(now),
            most => Plan::Read(ReadPlan {
                most,
                pass,
                discard: false,
                to_disk: false,
            }),
        }
    }

    /// What the source is to do, whoever else there is.
    fn plan_source_among(&self, now: Instant) -> Plan {
        if self.ended || self.halted || self.source.has_all() {
            return Plan::End(Reason::Over);
        }
        if self.is_starved() && self.holds_nothing() {
            return Plan::End(Reason::Memory);
        }
        if self.input_held || self.input_looked_at || self.awaited_tee().is_some() {
            return Plan::wait(For::Gate, None);
        }
        let permit = match self.input.peek(false, now) {
            Ok(permit) => self.bytes_for(permit).min(self.left()),
            Err(at) => return Plan::wait(For::Cap, Some(at)),
        };
        if self.is_fresh() {
            return self.plan_fresh_read(permit, now);
        }
        let used = self.used();
        let mut pass = false;
        if used == 0 && self.holders_are_even() && !self.paused && !self.is_filling() {
            let is_open = self.bypass.is_open(now);
            match self
                .output
                .peek(self.outputs[CONSUMER].cursor.is_inside(), now)
            {
                // Who is to get it at once with others may have to be owed it, in memory.
                Ok(_) if is_open && self.has_sides() && !self.may_fan_out() => {}
                Ok(_) if is_open => return self.plan_bypass(now),
                Ok(_) => pass = !self.needs_log() && !self.has_sides(),
                Err(at) if is_open => {
                    let until = earlier(Some(at), self.bypass.until());
                    return Plan::wait(For::Cap, until);
                }
                Err(_) => {}
            }
        } else if self.gate.marks().prefill == 0
            && let Some(until) = self.bypass.rejoins(self.occupancy(), now)
        {
            return Plan::wait(For::Empty, Some(until));
        }
        match self.room().min(permit) {
            0 => Plan::wait(For::Gate, self.place_again()),
            _ if self.source.waits_first => self.plan_wait(now),
            most => Plan::Read(ReadPlan {
                most,
                pass: pass && !self.goes_to_disk(),
                discard: false,
                to_disk: self.goes_to_disk(),
            }),
        }
    }

    /// How what comes next is waited for.
    #[inline]
    pub(super) fn plan_wait(&self, now: Instant) -> Plan {
        match self.source.coalescing.until(now) {
            None => Plan::wait(For::Input, None),
            until => Plan::wait(For::More, until),
        }
    }

    /// Whether there is no memory to read into until some is given back.
    pub(super) fn is_starved(&self) -> bool {
        self.source.is_short && !self.log.has_free()
    }

    /// Whether a prefill holds the output; it gives way where there is no memory to reach it.
    #[inline]
    pub(super) fn is_filling(&self) -> bool {
        self.gate.is_filling() && self.may_fill()
    }

    fn may_fill(&self) -> bool {
        !(self.is_starved() || self.has_no_place() || self.has_full_books())
    }

    /// Bytes that may be read into the log now.
    pub(super) fn room(&self) -> usize {
        let most = match self.has_full_books() {
            _ if self.is_starved() => 0,
            true => usize::try_from(self.shedder.leeway).unwrap_or(usize::MAX),
            false => usize::MAX,
        };
        most.min(self.gate.may_take(self.occupancy()))
            .min(self.place_room())
    }

    fn plan_fresh_read(&self, permit: usize, now: Instant) -> Plan {
        let room = self.room();
        let mut plan = ReadPlan {
            most: room.min(permit),
            pass: false,
            discard: false,
            to_disk: self.goes_to_disk(),
        };
        if room == 0 {
            let expiry = self.next_expiry();
            if expiry.is_some_and(|at| at <= now) {
                return Plan::Expire;
            }
            let expiry = earlier(expiry, self.place_again());
            // A delay that outlasts time itself is blocking.
            let due = self.shed_due(now);
            let Some(policy) = self
                .shedder
                .policy
                .filter(|_| due.is_some_and(|due| due <= now))
            else {
                return Plan::wait(For::Gate, earlier(due, expiry));
            };
            if let Some(way) = self.way_to_shed(policy.which) {
                return Plan::Shed(way);
            }
            match policy.which {
                Which::Newest
                    if !self.has_lanes()
                        && !self.is_starved()
                        && !self.lacks_memory()
                        && !self.any_has_left() =>
                {
                    plan.most = self.log.segment_size().min(permit);
                    if self.has_sides() {
                        // Those that are not full take it in all the same.
                        plan.most = plan.most.min(self.room_to_make() as usize);
                    }
                    plan.discard = true;
                    plan.to_disk &= self.keeps_all();
                }
                _ => return Plan::wait(For::Gate, expiry),
            }
        }
        if self.source.waits_first {
            return self.plan_wait(now);
        }
        plan.pass = !plan.discard && self.may_pass_fresh(now);
        Plan::Read(plan)
    }

    /// Whether a record may be written at once by whoever has read it, where freshness rules: the consumer has been
    /// given all there is, and its pipe holds as little as it should.
    fn may_pass_fresh(&self, now: Instant) -> bool {
        let output = &self.outputs[CONSUMER];
        let holds = self.used() > 0 || self.paused || self.is_filling();
        let concerns_others = self.has_sides() || self.has_lanes() || self.needs_log();
        !(holds || concerns_others || self.goes_to_disk())
            && self.framing.is_some()
            && self.shedder.skipped.is_none()
            && self.output.is_idle()
            && output.pipe.plan(output.window.pipe(0), now).is_none()
    }
}
