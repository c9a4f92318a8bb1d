//! What a turn costs: the rules of a cap, in ticks and whole units.

use std::num::NonZeroU64;
use std::time::Duration;

use super::clock::{LAST, TICK, ticks};
use super::rules::Rules;
use crate::engine::bucket::STEP;
use crate::engine::limiter::{Burst, QUANTUM};

/// How late all together may be, where a unit is more than a step's worth, without losing anything.
pub(super) const LATE: Duration = Duration::from_millis(2);
/// The rules, as the arithmetic needs them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    amount: NonZeroU64,
    per: NonZeroU64,
    /// Units of a turn.
    pub(super) quantum: u64,
    /// The most units that a member is given before it passes them.
    pub(super) step: u64,
    /// Ticks that may have gone by unused and still be made up for.
    pub(super) lag: u64,
}

impl Scale {
    pub(super) fn new(rules: Rules) -> Scale {
        let mut scale = Scale {
            amount: rules.rate.amount(),
            per: rules.rate.per_nanos(),
            quantum: 1,
            step: 1,
            lag: 0,
        };
        scale.quantum = scale.units_in(ticks(QUANTUM)).max(1);
        scale.step = scale.units_in(ticks(STEP)).max(scale.quantum);
        let burst = match rules.burst {
            Burst::Units(n) => scale.cost(n, &mut 0),
            Burst::Worth(time) => ticks(time),
        };
        let late = ticks(LATE).max(ticks(STEP - QUANTUM).saturating_sub(scale.cost(1, &mut 0)));
        scale.lag = burst.saturating_add(late).min(LAST);
        scale
    }

    /// The ticks that `units` take; what is less than one is carried over in `rest`.
    pub(super) fn cost(&self, units: u64, rest: &mut u128) -> u64 {
        let per_tick = u128::from(self.amount.get()) * u128::from(TICK);
        let nanos = u128::from(units)
            .saturating_mul(u128::from(self.per.get()))
            .saturating_add(*rest);
        *rest = nanos % per_tick;
        u64::try_from(nanos / per_tick).unwrap_or(LAST).min(LAST)
    }

    /// The ticks of a turn.
    pub(super) fn turn(&self) -> u64 {
        self.cost(self.quantum, &mut 0).max(1)
    }

    /// What was so many turns of the `old` scale away from now is as many of this one away; time that was not used only as
    /// far as it could be made up for.
    pub(super) fn moved(&self, old: &Scale, ticks: u64, now: u64) -> u64 {
        let moved = |ticks: u64| {
            let moved = u128::from(ticks) * u128::from(self.turn()) / u128::from(old.turn());
            u64::try_from(moved).unwrap_or(LAST).min(LAST)
        };
        match ticks.checked_sub(now) {
            Some(ahead) => now.saturating_add(moved(ahead)).min(LAST),
            None => now.saturating_sub(moved((now - ticks).min(old.lag))),
        }
    }

    pub(super) fn units_in(&self, ticks: u64) -> u64 {
        let nanos = u128::from(ticks) * u128::from(TICK);
        let units =
            nanos.saturating_mul(u128::from(self.amount.get())) / u128::from(self.per.get());
        u64::try_from(units).unwrap_or(u64::MAX)
    }
}
