//! May it pass now: one cap, kept evenly.
//!
//! A token bucket with a ceiling so low that nothing worth the name of a burst is ever saved up.
//! Credit grows with time at the rate of the cap, up to `burst + one step`; what passes is taken
//! from it. When the cap is what holds the flow up, credit is let grow to a [`QUANTUM`] before it
//! is spent, so that high rates do not wake the machine for every byte; the rest of the step is
//! there to make good a late awakening.
//!
//! Invariant: in every window `W`, however time jumps and the cap changes, what passes is at most
//! `cap·W + burst + one step`, one step being [`STEP`]'s worth, or where that is less than a byte
//! or a record, one of these and [`LATE`]'s worth. Remainders and overshoot are carried exactly: credit is counted in units
//! times nanoseconds of the cap's period, so nothing is ever rounded while the cap stays the same.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use super::gate::Marks;
use crate::units::Rate;

/// What may pass at once, as time's worth of the cap.
pub(crate) const STEP: Duration = Duration::from_millis(5);
/// How much credit is collected, as time's worth of the cap, before it is spent on a flow that
/// the cap holds up.
pub(crate) const QUANTUM: Duration = Duration::from_millis(1);
/// How late a single byte or record may be, at rates so low that it is more than a step's worth,
/// for the next one to be in time again.
const LATE: Duration = Duration::from_millis(2);
/// No interval is counted as longer: keeps the arithmetic in range.
const FOR_EVER: u128 = 1 << 62;

/// What may pass at once after a pause, beyond a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Burst {
    /// This many bytes or records.
    Units(u64),
    /// What the cap lets pass in this time.
    Worth(Duration),
}

/// The bursts of the caps on bytes and on records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bursts {
    /// For caps on bytes.
    pub bytes: Burst,
    /// For caps on records.
    pub records: Burst,
}

impl Default for Bursts {
    /// Nothing beyond a step.
    fn default() -> Bursts {
        Bursts {
            bytes: Burst::Units(0),
            records: Burst::Units(0),
        }
    }
}

/// One cap on bytes or on records.
#[derive(Debug, Clone)]
pub(crate) struct TokenBucket {
    /// Units per period.
    amount: i128,
    /// The period in nanoseconds.
    period: i128,
    burst: Burst,
    /// Units times nanoseconds of the period; below zero after an overshoot.
    credit: i128,
    /// Up to when credit has been given.
    at: Instant,
    /// What was permitted last.
    granted: u64,
    /// The cap holds the flow up: everything permitted was used.
    dry: bool,
    /// What was permitted last was so by a cap that is no longer in force.
    stale: bool,
}

impl TokenBucket {
    /// A pacer that has earned nothing yet but what is due at once.
    #[must_use]
    pub(crate) fn new(rate: Rate, burst: Burst, now: Instant) -> TokenBucket {
        let mut pacer = TokenBucket {
            amount: i128::from(rate.amount().get()),
            period: i128::from(rate.per_nanos().get()),
            burst,
            credit: 0,
            at: now,
            granted: u64::MAX,
            dry: false,
            stale: true,
        };
        pacer.credit = pacer.quantum();
        pacer
    }

    /// Changes the cap at once, with no memory of the old one: credit earned under it is kept only
    /// as far as the new one would allow, and no more than one unit of debt is.
    pub(crate) fn set(&mut self, rate: Rate, burst: Burst, now: Instant) {
        if self.follow(rate, burst, now) {
            self.credit = self.credit.max(-self.period);
            self.stale = true;
        }
    }

    /// Moves a cap that follows the occupancy: it goes on, debts included. Says whether it moved.
    pub(crate) fn follow(&mut self, rate: Rate, burst: Burst, now: Instant) -> bool {
        self.accrue(now);
        let (amount, period) = (
            i128::from(rate.amount().get()),
            i128::from(rate.per_nanos().get()),
        );
        if (amount, period, burst) == (self.amount, self.period, self.burst) {
            return false;
        }
        // Whole units and the fraction separately: their product could exceed the range.
        let (whole, part) = (
            self.credit.div_euclid(self.period),
            self.credit.rem_euclid(self.period),
        );
        let scaled = whole.saturating_mul(period);
        self.credit = scaled.saturating_add(part.saturating_mul(period) / self.period);
        (self.amount, self.period, self.burst) = (amount, period, burst);
        self.credit = self.credit.min(self.ceiling());
        self.dry = true;
        true
    }

    /// How many units may pass now, at least one; or when to ask again.
    ///
    /// # Errors
    /// The instant at which some may pass, unless things change before.
    pub(crate) fn may_pass(&mut self, now: Instant) -> Result<u64, Instant> {
        self.accrue(now);
        let quantum = self.quantum();
        if self.credit < self.period {
            self.dry = true;
        } else if self.credit >= quantum {
            self.dry = false;
        }
        if self.dry {
            return Err(self.when(quantum, now));
        }
        self.stale = false;
        self.granted = u64::try_from(self.credit / self.period).unwrap_or(u64::MAX);
        Ok(self.granted)
    }

    /// What [`may_pass`](TokenBucket::may_pass) would say, with nothing changed by the question.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn peek(&self, now: Instant) -> Result<u64, Instant> {
        let mut then = self.clone();
        then.may_pass(now)
    }

    /// `units` have passed by now.
    pub(crate) fn on_passed(&mut self, units: u64, now: Instant) {
        // Credit first: what was earned while the units were under way must not come on top of
        // the ceiling after they are paid for.
        self.accrue(now);
        self.credit = self
            .credit
            .saturating_sub(i128::from(units).saturating_mul(self.period));
        if self.stale {
            // It was under way when the cap changed, and paid for with what the change took away;
            // to charge it again would be to remember the old cap.
            self.credit = self.credit.max(-self.period);
        }
        self.dry |= units >= self.granted;
    }

    /// The cap in units per second.
    #[must_use]
    pub(crate) fn per_second(&self) -> f64 {
        self.amount as f64 * 1e9 / self.period as f64
    }

    fn accrue(&mut self, now: Instant) {
        let nanos = now
            .saturating_duration_since(self.at)
            .as_nanos()
            .min(FOR_EVER);
        self.at = self.at.max(now);
        let earned = self.amount.saturating_mul(nanos as i128);
        self.credit = self.credit.saturating_add(earned).min(self.ceiling());
    }

    /// The most credit there can be.
    fn ceiling(&self) -> i128 {
        let burst = match self.burst {
            Burst::Units(n) => i128::from(n).saturating_mul(self.period),
            Burst::Worth(time) => self.worth(time),
        };
        let late = self.worth(LATE).saturating_add(self.period);
        burst.saturating_add(self.worth(STEP).max(late))
    }

    /// What is collected before it is spent on a flow that the cap holds up.
    fn quantum(&self) -> i128 {
        self.worth(QUANTUM).max(self.period)
    }

    fn worth(&self, time: Duration) -> i128 {
        self.amount
            .saturating_mul(time.as_nanos().min(FOR_EVER) as i128)
    }

    /// When credit will have grown to `credit`.
    fn when(&self, credit: i128, now: Instant) -> Instant {
        let missing = (credit - self.credit).max(0);
        let nanos = u64::try_from((missing + self.amount - 1) / self.amount).unwrap_or(u64::MAX);
        let far = now + Duration::from_secs(86_400 * 365);
        now.checked_add(Duration::from_nanos(nanos)).unwrap_or(far)
    }
}

/// A cap that others outside share: who of them may pass when is decided there.
pub(crate) trait SharedCap: fmt::Debug + Send {
    /// Changes it for all.
    fn set(&mut self, rate: Rate, burst: Burst, now: Instant);
    /// Finds out what may pass, for [`peek`](SharedCap::peek) to say; nothing but this, and what has
    /// passed, changes what that says.
    fn prepare(&mut self, now: Instant);
    /// How many units may pass; or when to prepare and ask again.
    ///
    /// # Errors
    /// That instant.
    fn peek(&self, now: Instant) -> Result<u64, Instant>;
    /// `units` have passed.
    fn on_passed(&mut self, units: u64, now: Instant);
    /// The cap in force.
    fn rate(&self) -> Rate;
}

/// A cap that stays, or one that moves with the occupancy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cap {
    /// Always this.
    Fixed(Rate),
    /// Linear between the first at the low mark and the second at the high mark.
    Range(Rate, Rate),
}

impl Cap {
    /// The rate for an occupancy of `used`. Where it moves it never leaves the two ends, and is as
    /// fine as 64 bits allow, however slow they are: the period is the longest at which the amount
    /// of the faster end fits.
    fn at(self, used: usize, low: usize, high: usize) -> Rate {
        const MOST: u128 = 1 << 62;
        let (empty, full) = match self {
            Cap::Fixed(rate) => return rate,
            Cap::Range(empty, full) => (empty, full),
        };
        if used <= low {
            return empty;
        } else if used >= high {
            return full;
        }
        let (slow, fast) = match empty.cmp_speed(&full) {
            Ordering::Greater => (full, empty),
            _ => (empty, full),
        };
        let wide = |n: NonZeroU64| u128::from(n.get());
        let period = (MOST * wide(fast.per_nanos()) / wide(fast.amount())).clamp(1, MOST);
        let amount = |rate: Rate| wide(rate.amount()) * period / wide(rate.per_nanos());
        let (done, left) = ((used - low) as u128, (high - used) as u128);
        let mean = (amount(empty) * left + amount(full) * done) / (done + left);
        let whole = |n: u128| NonZeroU64::new(n as u64).unwrap_or(NonZeroU64::MIN);
        let rate = Rate::new(whole(mean), whole(period), empty.unit());
        // What was rounded may be just outside, and is far off where an amount is a handful.
        if rate.cmp_speed(&slow) == Ordering::Less {
            slow
        } else if rate.cmp_speed(&fast) == Ordering::Greater {
            fast
        } else {
            rate
        }
    }
}

/// A cap that may or may not be there, and its pacer.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    cap: Option<Cap>,
    pacer: Option<TokenBucket>,
    /// In the place of a pacer, where the cap is shared.
    shared: Option<Box<dyn SharedCap>>,
    /// The burst that was last told to those who share the cap.
    told: Option<Burst>,
    /// The cap was changed by somebody since it was last tuned.
    changed: bool,
}

impl Limiter {
    /// No cap, or this one from `now` on.
    pub(crate) fn set(&mut self, cap: Option<Cap>) {
        self.cap = cap;
        self.changed = true;
    }

    /// From now on the cap is shared.
    pub(crate) fn share(&mut self, with: Box<dyn SharedCap>) {
        self.shared = Some(with);
        self.pacer = None;
    }

    /// Follows the occupancy, and changes of the cap.
    pub(crate) fn tune(
        &mut self,
        (used, low, high): (usize, usize, usize),
        burst: Burst,
        now: Instant,
    ) {
        let Some(rate) = self.cap.map(|cap| cap.at(used, low, high)) else {
            self.pacer = None;
            return;
        };
        if let Some(shared) = &mut self.shared {
            if self.changed || self.told != Some(burst) {
                // Who changes the burst leaves the rate as it is, whoever has said it.
                let rate = if self.changed { rate } else { shared.rate() };
                shared.set(rate, burst, now);
                self.told = Some(burst);
            }
            self.changed = false;
            shared.prepare(now);
            return;
        }
        match &mut self.pacer {
            Some(pacer) if self.changed => pacer.set(rate, burst, now),
            Some(pacer) => drop(pacer.follow(rate, burst, now)),
            None => self.pacer = Some(TokenBucket::new(rate, burst, now)),
        }
        self.changed = false;
    }

    /// How many units may pass now; or when to ask again.
    ///
    /// # Errors
    /// The instant at which some may pass.
    pub(crate) fn may_pass(&mut self, now: Instant) -> Result<u64, Instant> {
        if let Some(shared) = self.shared.as_mut().filter(|_| self.cap.is_some()) {
            // What the decision was made by is still so: it is prepared where caps are tuned.
            return shared.peek(now);
        }
        self.pacer
            .as_mut()
            .map_or(Ok(u64::MAX), |p| p.may_pass(now))
    }

    /// The same, with nothing changed by the question.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn peek(&self, now: Instant) -> Result<u64, Instant> {
        if let Some(shared) = self.shared.as_ref().filter(|_| self.cap.is_some()) {
            return shared.peek(now);
        }
        self.pacer.as_ref().map_or(Ok(u64::MAX), |p| p.peek(now))
    }

    /// `units` have passed.
    pub(crate) fn on_passed(&mut self, units: u64, now: Instant) {
        if let Some(shared) = self.shared.as_mut().filter(|_| self.cap.is_some()) {
            shared.on_passed(units, now);
        } else if let Some(pacer) = &mut self.pacer {
            pacer.on_passed(units, now);
        }
    }

    /// Whether the cap follows the occupancy.
    fn moves(&self) -> bool {
        matches!(self.cap, Some(Cap::Range(..)))
    }

    /// The cap in force, per second.
    #[must_use]
    pub(crate) fn per_second(&self) -> Option<f64> {
        let shared = self.shared.as_ref().filter(|_| self.cap.is_some());
        shared
            .map(|shared| shared.rate().per_second())
            .or(self.pacer.as_ref().map(TokenBucket::per_second))
    }
}

/// The caps on one side of the log: the tighter one rules.
#[derive(Debug, Default)]
pub(crate) struct Limiters {
    /// On bytes.
    pub bytes: Limiter,
    /// On records.
    pub records: Limiter,
}

/// Bytes, and beginnings of records, that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Bytes.
    pub bytes: usize,
    /// Records begun.
    pub records: u64,
}

impl Allowance {
    fn of_both(
        bytes: Result<u64, Instant>,
        records: Result<u64, Instant>,
        inside: bool,
    ) -> Result<Allowance, Instant> {
        let records = match records {
            Err(_) if inside => Ok(0),
            other => other,
        };
        match (bytes, records) {
            (Ok(bytes), Ok(records)) => Ok(Allowance {
                bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
                records,
            }),
            (Err(a), Err(b)) => Err(a.max(b)),
            (Err(at), _) | (_, Err(at)) => Err(at),
        }
    }
}

impl Limiters {
    /// Follows the occupancy `used`, between the marks, and changes of the caps.
    pub(crate) fn tune(&mut self, used: usize, marks: Marks, burst: Bursts, now: Instant) {
        let place = (used, marks.low, marks.high);
        self.bytes.tune(place, burst.bytes, now);
        self.records.tune(place, burst.records, now);
    }

    /// Whether one of them follows the occupancy.
    pub(super) fn moves(&self) -> bool {
        self.bytes.moves() || self.records.moves()
    }

    /// What may pass now; `inside` a record its rest is free of the cap on records.
    ///
    /// # Errors
    /// The instant at which something may.
    pub(crate) fn may_pass(&mut self, inside: bool, now: Instant) -> Result<Allowance, Instant> {
        let (bytes, records) = (self.bytes.may_pass(now), self.records.may_pass(now));
        Allowance::of_both(bytes, records, inside)
    }

    /// The same, with nothing changed by the question.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn peek(&self, inside: bool, now: Instant) -> Result<Allowance, Instant> {
        Allowance::of_both(self.bytes.peek(now), self.records.peek(now), inside)
    }

    /// This has passed.
    pub(crate) fn on_passed(&mut self, bytes: usize, records: u64, now: Instant) {
        self.bytes.on_passed(bytes as u64, now);
        self.records.on_passed(records, now);
    }
}

#[cfg(test)]
mod tests;
