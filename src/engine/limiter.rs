//! The caps of one side: each fixed, moving with the occupancy, or shared with others; the tighter one rules.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU64;
use std::time::Instant;

pub(crate) use super::bucket::{Burst, Bursts, QUANTUM, TokenBucket};
use super::gate::Marks;
use crate::units::Rate;

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
    /// The same, and that much may be on its way from now on.
    ///
    /// # Errors
    /// As there.
    fn may_pass(&mut self, now: Instant) -> Result<u64, Instant>;
    /// What may pass by this cap is held up by another one: it is wanted all the same, and not to be given back.
    fn keep(&self);
    /// `units` have passed.
    fn on_passed(&mut self, units: u64, now: Instant);
    /// `units` that have passed have not.
    fn give_back(&mut self, units: u64, now: Instant);
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

/// A cap that may or may not be there, and its bucket.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    cap: Option<Cap>,
    bucket: Option<TokenBucket>,
    /// In the place of a bucket, where the cap is shared.
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
        self.bucket = None;
    }

    /// Follows the occupancy, and changes of the cap.
    pub(crate) fn tune(
        &mut self,
        (used, low, high): (usize, usize, usize),
        burst: Burst,
        now: Instant,
    ) {
        let Some(rate) = self.cap.map(|cap| cap.at(used, low, high)) else {
            self.bucket = None;
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
        match &mut self.bucket {
            Some(bucket) if self.changed => bucket.set(rate, burst, now),
            Some(bucket) => drop(bucket.follow(rate, burst, now)),
            None => self.bucket = Some(TokenBucket::new(rate, burst, now)),
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
            return shared.may_pass(now);
        }
        self.bucket
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
        self.bucket.as_ref().map_or(Ok(u64::MAX), |p| p.peek(now))
    }

    /// What may pass by this cap is held up by another one.
    fn keep(&self) {
        if let Some(shared) = self.shared.as_ref().filter(|_| self.cap.is_some()) {
            shared.keep();
        }
    }

    /// `units` have passed.
    pub(crate) fn on_passed(&mut self, units: u64, now: Instant) {
        if let Some(shared) = self.shared.as_mut().filter(|_| self.cap.is_some()) {
            shared.on_passed(units, now);
        } else if let Some(bucket) = &mut self.bucket {
            bucket.on_passed(units, now);
        }
    }

    /// `units` that have passed have not.
    fn give_back(&mut self, units: u64, now: Instant) {
        if let Some(shared) = self.shared.as_mut().filter(|_| self.cap.is_some()) {
            shared.give_back(units, now);
        } else if let Some(bucket) = &mut self.bucket {
            bucket.give_back(units, now);
        }
    }

    /// Whether there is no cap, and none to be forgotten.
    fn is_idle(&self) -> bool {
        self.cap.is_none() && self.bucket.is_none()
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
            .or(self.bucket.as_ref().map(TokenBucket::per_second))
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Bytes.
    pub bytes: usize,
    /// Records begun.
    pub records: u64,
}

impl Allowance {
    /// Whatever there is.
    pub(super) const ALL: Allowance = Allowance {
        bytes: usize::MAX,
        records: u64::MAX,
    };

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
    /// Whether there are no caps, so that nothing need be asked or told.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.bytes.is_idle() && self.records.is_idle()
    }

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
    #[inline]
    pub(crate) fn may_pass(&mut self, inside: bool, now: Instant) -> Result<Allowance, Instant> {
        match self.is_idle() {
            true => Ok(Allowance::ALL),
            false => self.may_pass_caps(inside, now),
        }
    }

    #[inline(never)]
    fn may_pass_caps(&mut self, inside: bool, now: Instant) -> Result<Allowance, Instant> {
        let (bytes, records) = (self.bytes.may_pass(now), self.records.may_pass(now));
        self.of_both(bytes, records, inside)
    }

    fn of_both(
        &self,
        bytes: Result<u64, Instant>,
        records: Result<u64, Instant>,
        inside: bool,
    ) -> Result<Allowance, Instant> {
        let both = Allowance::of_both(bytes, records, inside);
        if both.is_err() {
            let answers = [(&self.bytes, bytes), (&self.records, records)];
            let waiting = answers.iter().filter(|(_, answer)| answer.is_ok());
            waiting.for_each(|(cap, _)| cap.keep());
        }
        both
    }

    /// The same, with nothing changed by the question but what a shared cap is to be kept for.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub(crate) fn peek(&self, inside: bool, now: Instant) -> Result<Allowance, Instant> {
        match self.is_idle() {
            true => Ok(Allowance::ALL),
            false => self.peek_caps(inside, now),
        }
    }

    #[inline(never)]
    fn peek_caps(&self, inside: bool, now: Instant) -> Result<Allowance, Instant> {
        self.of_both(self.bytes.peek(now), self.records.peek(now), inside)
    }

    /// This has passed.
    #[inline]
    pub(crate) fn on_passed(&mut self, bytes: usize, records: u64, now: Instant) {
        if !self.is_idle() {
            self.on_passed_caps(bytes, records, now);
        }
    }

    /// This has not passed, though it was said to have.
    pub(crate) fn give_back(&mut self, bytes: usize, records: u64, now: Instant) {
        self.bytes.give_back(bytes as u64, now);
        self.records.give_back(records, now);
    }

    #[inline(never)]
    fn on_passed_caps(&mut self, bytes: usize, records: u64, now: Instant) {
        self.bytes.on_passed(bytes as u64, now);
        self.records.on_passed(records, now);
    }
}

#[cfg(test)]
mod tests;
