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

use std::time::{Duration, Instant};

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
    /// A bucket that has earned nothing yet but what is due at once.
    #[must_use]
    pub(crate) fn new(rate: Rate, burst: Burst, now: Instant) -> TokenBucket {
        let mut bucket = TokenBucket {
            amount: i128::from(rate.amount().get()),
            period: i128::from(rate.per_nanos().get()),
            burst,
            credit: 0,
            at: now,
            granted: u64::MAX,
            dry: false,
            stale: true,
        };
        bucket.credit = bucket.quantum();
        bucket
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

    /// `units` that have [passed](TokenBucket::on_passed) have not.
    pub(crate) fn give_back(&mut self, units: u64, now: Instant) {
        self.accrue(now);
        let back = i128::from(units).saturating_mul(self.period);
        self.credit = self.credit.saturating_add(back).min(self.ceiling());
    }

    /// Whether more has passed than has been earned by now.
    #[must_use]
    pub(crate) fn owes(&mut self, now: Instant) -> bool {
        self.accrue(now);
        self.credit < 0
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
