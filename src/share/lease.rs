//! A member's lease of a cap that hosts share: a part of it, until it is asked for again.
//!
//! The store divides the cap; each member passes at the rate of its part, evenly, without asking
//! anybody. What it tells the store is how much it could use.
//!
//! Invariant: a lease is counted from before it was asked for, so that it ends here before the store
//! gives it to somebody else because it has ended. Without one no more than an n-th of the cap passes, n
//! being the most members that were ever seen; nothing where one has just come and was answered too late: many who come at
//! once would take each other for few.
//!
//! Of what the store takes away with an answer a member goes by the old part until that is there. So it says with each
//! question what it has, and the store counts the larger of this and of what it answers as given, until the next
//! question says which of the two it is, or the later of the two leases ends: what all members have is never more than
//! the cap. Who comes therefore has its part when each of the others has asked twice. Not counted are those that are
//! without a lease, and what a store that was emptied has not been told yet.

mod answer;
mod parts;

use std::time::{Duration, Instant};

use super::rules::Rules;
use crate::engine::limiter::{Burst, TokenBucket};
use crate::units::Rate;
pub(crate) use answer::{Answer, Reply};
pub(crate) use parts::ALL;
use parts::{part, share, standstill};

/// The least time between two questions to the store.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
/// The time between two questions of a member that does not want anything.
const IDLE: Duration = Duration::from_secs(1);
/// A lease is for so many intervals: some answers may come late.
const LEASE_INTERVALS: u32 = 5;
/// An answer that takes longer than this is one that has not come: a lease should not outlive its member by much.
const TRIP_MOST: Duration = Duration::from_secs(1);
/// Who waits looks again after this time: its part may have changed.
const LOOK: Duration = Duration::from_millis(20);
/// A member is given more than it has used, so that it can be seen to want more.
const MARGIN: f64 = 1.05;
/// Who waits for another cap gives back so manieth a part of what it has with each question.
const KEPT: u64 = 8;
/// Who has used so much of its part wants more.
const USED_UP: f64 = 0.97;

/// What a member tells the store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Question {
    /// The parts that it can use; `None`: as many as there are.
    pub(crate) wants: Option<u64>,
    /// The most members that it has seen.
    pub(crate) members: u64,
    /// The parts that it has until it is answered, and for how much longer it has them if it is not.
    pub(crate) has: u64,
    pub(crate) left: Duration,
    /// When it asks again.
    pub(crate) interval: Duration,
    /// Whether it wants nothing for now, and asks seldom.
    pub(crate) is_idle: bool,
    /// What it takes the cap to be.
    pub(crate) rules: Rules,
    /// Whether that is news.
    pub(crate) says: bool,
}

/// One member's side of a cap that hosts share.
#[derive(Debug)]
pub(crate) struct LeasedCap {
    rules: Rules,
    /// The rules are this member's, and have not been told yet.
    says: bool,
    parts: u64,
    until: Instant,
    /// None before the first answer.
    interval: Duration,
    /// How long the store's last answer was on its way: a lease has to last until the next one.
    trip: Duration,
    most_members: u64,
    members: u64,
    /// It was answered once, and so late that the lease was over: how many there are it does not know yet.
    is_new: bool,
    /// None before the first answer.
    bucket: Option<TokenBucket>,
    /// What the store said when this one came.
    begins: bool,
    /// What `bucket` goes by.
    pace: Option<(Rules, u64)>,
    /// Since the last question: what has passed, whether something had to wait, and the part at which it might pass, times
    /// the seconds for which it might, up to the last change of that.
    used: u64,
    waited: bool,
    /// Since then something waited that might have passed by this cap.
    keeps: bool,
    since: Instant,
    had: f64,
    paced: Instant,
    /// When to look again at the latest: the part may have changed.
    look_at: Instant,
}

impl LeasedCap {
    /// A cap that nothing is leased of yet.
    pub(crate) fn new(rules: Rules, now: Instant) -> LeasedCap {
        LeasedCap {
            rules,
            says: true,
            parts: 0,
            until: now,
            interval: Duration::ZERO,
            trip: Duration::ZERO,
            most_members: 1,
            members: 1,
            is_new: false,
            bucket: None,
            begins: false,
            pace: None,
            used: 0,
            waited: true,
            keeps: false,
            since: now,
            had: 0.0,
            paced: now,
            look_at: now,
        }
    }

    /// Changes the cap, for all as soon as they ask.
    pub(crate) fn set(&mut self, rules: Rules) {
        self.says |= self.rules != rules;
        self.rules = rules;
    }

    /// The rules that were said last, as far as is known here.
    pub(crate) fn rules(&self) -> Rules {
        self.rules
    }

    /// How many share the cap.
    pub(crate) fn members(&self) -> u64 {
        self.members
    }

    /// The most members that were ever seen.
    pub(crate) fn most_members(&self) -> u64 {
        self.most_members
    }

    /// The parts of the cap at which it passes.
    #[cfg(test)]
    pub(super) fn pace(&self) -> Option<u64> {
        self.pace.map(|(_, parts)| parts)
    }

    /// Whether there is no lease.
    pub(crate) fn is_cut_off(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// Goes by the lease there is now.
    pub(crate) fn prepare(&mut self, now: Instant) {
        self.follow(now);
        if self.look_at <= now {
            self.look_at = now + LOOK;
        }
    }

    /// How many units may pass, by the lease that was last [gone by](Self::prepare); or when to prepare
    /// again. That something has to wait is remembered, to be told to the store.
    ///
    /// # Errors
    /// That instant.
    pub(crate) fn peek(&mut self, now: Instant) -> Result<u64, Instant> {
        let has_part = self.pace.is_some_and(|(_, parts)| parts > 0);
        let passed = match self.bucket.as_ref().filter(|_| has_part) {
            Some(bucket) => bucket.peek(now),
            None => Err(self.look_at),
        };
        self.waited |= passed.is_err();
        passed.map_err(|when| when.min(self.look_at))
    }

    /// What may pass by now may be on its way: it is paid for by this cap, however its part changes.
    pub(crate) fn let_pass(&mut self, now: Instant) {
        if let Some(bucket) = &mut self.bucket {
            let _ = bucket.may_pass(now);
        }
    }

    /// What may pass waits for another cap. Who gave its part back meanwhile would have to wait for it when the other
    /// one has its own, which would do the same.
    pub(crate) fn keep(&mut self) {
        self.keeps = true;
    }

    /// `units` have passed.
    pub(crate) fn on_passed(&mut self, units: u64, now: Instant) {
        self.used = self.used.saturating_add(units);
        if let Some(bucket) = &mut self.bucket {
            bucket.on_passed(units, now);
        }
    }

    /// `units` that have passed have not.
    pub(crate) fn give_back(&mut self, units: u64, now: Instant) {
        self.used = self.used.saturating_sub(units);
        if let Some(bucket) = &mut self.bucket {
            bucket.give_back(units, now);
        }
    }

    /// What to tell the store now.
    pub(crate) fn question(&mut self, now: Instant) -> Question {
        let time = now.saturating_duration_since(self.since).as_secs_f64();
        let all = self.rules.rate.per_second() * time;
        let share = self.used as f64 / all.max(f64::MIN_POSITIVE);
        self.note_pace(now);
        // A unit more or less is what one may be out by.
        let used_up = (self.used + 1) as f64 >= USED_UP * self.had * self.rules.rate.per_second();
        // What has passed at once is paid for, whether or not more comes meanwhile.
        let owes = self.bucket.as_mut().is_some_and(|it| it.owes(now));
        let wants = match self.waited && used_up || owes {
            true => None,
            false => {
                let parts = ((share * MARGIN).min(1.0) * ALL as f64) as u64;
                // What waits for another cap may come at once: it is given back by and by, and never all of it.
                let kept = if self.keeps {
                    (self.parts - self.parts / KEPT).max(1)
                } else {
                    0
                };
                Some(parts.max(kept))
            }
        };
        let is_idle = !self.waited && !self.keeps && !owes && self.used == 0;
        let least = if is_idle { IDLE } else { self.trip };
        let interval = self.interval.max(INTERVAL).max(least);
        if is_idle {
            // Given back with the question, since it asks so seldom: others need not wait for the next one.
            self.parts = 0;
        }
        let left = self.until.saturating_duration_since(now);
        let has = if left.is_zero() { 0 } else { self.parts };
        (self.used, self.since, self.had) = (0, now, 0.0);
        (self.waited, self.keeps) = (false, false);
        Question {
            wants,
            members: self.most_members,
            has,
            left,
            interval,
            is_idle,
            rules: self.rules,
            says: self.says,
        }
    }

    /// The store's answer, at `now`, to a question that was put at `asked`. It is gone by when that is
    /// [prepared](Self::prepare).
    pub(crate) fn on_answer(
        &mut self,
        question: &Question,
        answer: Answer,
        asked: Instant,
        now: Instant,
    ) {
        self.trip = now.saturating_duration_since(asked).min(TRIP_MOST);
        if question.rules == self.rules {
            self.says = false;
            self.rules = answer.rules.unwrap_or(self.rules);
        }
        let is_first = self.interval.is_zero();
        if is_first {
            self.begins = answer.begins;
        }
        self.parts = answer.parts;
        self.interval = answer.interval.max(INTERVAL);
        self.members = answer.members;
        self.most_members = self.most_members.max(self.members);
        self.until = asked + LEASE_INTERVALS * self.interval.max(question.interval);
        self.is_new = is_first && now >= self.until;
    }

    /// It went by the part that it goes by until now.
    fn note_pace(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.paced).as_secs_f64();
        let parts = self.pace.map_or(0, |(_, parts)| parts);
        self.had += parts as f64 / ALL as f64 * time;
        self.paced = now;
    }

    /// An answer takes so long, as far as is known before there was one: a lease has to last as long.
    pub(crate) fn on_trip(&mut self, trip: Duration) {
        self.trip = trip.min(TRIP_MOST);
    }

    /// No answer has come.
    pub(crate) fn on_failure(&mut self) {
        self.is_new = false;
    }

    /// The same, by `now`, to a question that was put at `asked`.
    pub(crate) fn on_silence(&mut self, asked: Instant, now: Instant) {
        let waited = now.saturating_duration_since(asked);
        self.trip = self.trip.max(waited).min(TRIP_MOST);
    }

    /// How long an answer is waited for: as long as a lease lasts.
    pub(crate) fn timeout(&self) -> Duration {
        LEASE_INTERVALS * self.trip.max(INTERVAL)
    }

    /// Passes at what is leased, or at what is left without a lease.
    fn follow(&mut self, now: Instant) {
        let parts = match self.is_cut_off(now) {
            false => self.parts,
            true if self.is_new => 0,
            true => ALL / self.most_members,
        };
        let is_new = self.pace.map(|(rules, _)| rules) != Some(self.rules);
        if self.pace == Some((self.rules, parts)) {
            return;
        }
        self.note_pace(now);
        self.pace = Some((self.rules, parts));
        let rate =
            part(self.rules.rate, parts).unwrap_or_else(|| standstill(self.rules.rate.unit()));
        let burst = share(self.rules.burst, parts);
        match &mut self.bucket {
            Some(bucket) if is_new => bucket.set(rate, burst, now),
            Some(bucket) => drop(bucket.follow(rate, burst, now)),
            None => self.bucket = Some(first(rate, burst, self.begins, now)),
        }
    }
}

/// The bucket of one that has just come: what it may pass it has to earn, unless nobody else can have done so.
fn first(rate: Rate, burst: Burst, begins: bool, now: Instant) -> TokenBucket {
    let mut bucket = TokenBucket::new(rate, burst, now);
    if !begins && let Ok(units) = bucket.may_pass(now) {
        bucket.on_passed(units, now);
    }
    bucket
}

/// A burst as the store keeps it: units, or nanoseconds with an `n` behind them.
pub(super) fn burst_to_text(burst: Burst) -> String {
    match burst {
        Burst::Units(n) => n.to_string(),
        Burst::Worth(time) => format!("{}n", time.as_nanos()),
    }
}

#[cfg(test)]
mod flow;
#[cfg(test)]
mod scale;
#[cfg(test)]
mod sums;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod twin;
