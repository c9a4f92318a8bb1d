//! Whose turn it is: one cap, kept evenly by all who share it, in one word.
//!
//! The word is the theoretical arrival time of GCRA (ITU-T I.371, the virtual scheduling algorithm):
//! when the next units may pass. A member that wants to pass something moves it on by what a quantum
//! costs, and has thereby reserved its turn: it begins at what the word was before. So members stand in
//! a queue of which nobody holds more than the one place he has taken: each gets one quantum a round,
//! who wants nothing takes no place, and nobody is woken but for his own turn. A member that is stopped
//! or killed costs the others the one turn it had reserved, and nothing else; one that ends gives it back, if it was the
//! last in the queue.
//!
//! When the rules change, what is owed under the old ones stays owed: as many turns as were taken and have not begun, each
//! at what it costs by the new ones. Whoever sees the change first moves the word accordingly.
//!
//! Invariant: in every window `W` all together are given turns for at most `cap·W + burst + a step`,
//! and no member holds more than a step that it has been given and has not passed yet. What a member
//! passes beyond what it was given (the rest of a record, a batch) is a debt of its own, paid by the
//! turns that it takes next, and by time that nobody else wanted: it does not make the others wait.

use std::fmt;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use std::sync::atomic::Ordering::SeqCst;

use super::clock::{Clock, LAST, TICK, TICKS};
use super::cost::Scale;
use super::rules::Rules;
use super::table::{Current, Member, Words};
use crate::engine::bucket::STEP;
use crate::engine::limiter::{Burst, SharedCap};
use crate::units::Rate;

/// A turn further off than so many quanta was not reserved by anybody: the word is damaged.
const PLACES: u64 = 1 << 16;
/// Who waits looks again after this time: the rules may have changed.
const LOOK: Duration = Duration::from_millis(100);
/// How often a member that passes something makes sure that others can still find what it shares.
const CALL: Duration = Duration::from_secs(1);

/// A reserved place in the queue.
#[derive(Debug, Clone, Copy)]
struct Turn {
    begins: u64,
    units: u64,
}

/// Where the table of a member is found by others, and another one is where it is not any more.
pub(crate) trait Place<W: Words>: fmt::Debug + Send {
    /// Whether a member's table has gone, or does not know it any more.
    fn is_lost(&self, _member: &Member<W>) -> bool {
        false
    }
    /// The cap is to be divided by so many, since they cannot be met.
    fn among(&self) -> u64 {
        1
    }
    /// A membership in what the others find now, where that is something else.
    fn look(&mut self, member: &Member<W>) -> Option<Member<W>>;
}

/// One member's side of a cap that is shared on this host.
#[derive(Debug)]
pub(crate) struct HostCap<W: Words> {
    member: Member<W>,
    place: Box<dyn Place<W>>,
    /// When to make sure of the place again.
    call_at: Instant,
    /// It was lost when that was done last.
    was_lost: bool,
    /// What the cap is divided by.
    among: NonZeroU64,
    clock: Clock,
    current: Current,
    rules: Rules,
    scale: Scale,
    /// Units that may be passed; below zero after an overshoot.
    credit: i64,
    turn: Option<Turn>,
    /// When to look again at the latest: the rules may have changed, or time may have paid a debt.
    look_at: Instant,
    /// Less than a tick's worth that has been given and not been counted yet.
    rest: u128,
}

impl<W: Words> HostCap<W> {
    /// Shares a cap with all who share this table, and says what it is: the newest rules are for all.
    pub(crate) fn new(
        mut member: Member<W>,
        place: Box<dyn Place<W>>,
        rules: Rules,
        clock: Clock,
    ) -> HostCap<W> {
        let replaced = member.publish(rules);
        let mut cap = HostCap {
            member,
            place,
            call_at: clock.instant + CALL,
            was_lost: false,
            among: NonZeroU64::MIN,
            clock,
            current: Current::NONE,
            rules,
            scale: Scale::new(rules),
            credit: 0,
            turn: None,
            look_at: clock.instant,
            rest: 0,
        };
        let now = clock.ticks(clock.instant);
        if let Some((current, rules)) = replaced {
            cap.go_by(current, rules, now);
        }
        cap.follow(now);
        cap
    }

    /// Reserves the next turn. `None`: a debt has been paid by all the time that there was, and nobody
    /// else wants the time that comes.
    fn take(&mut self, now: u64) -> Option<Turn> {
        let debt = self.credit.min(0).unsigned_abs();
        loop {
            let word = self.member.turn().load(SeqCst);
            // After the word: where rules are newer than it, nobody can have changed it since.
            self.follow(now);
            let next = self.begins(word, now);
            let begins = if debt > 0 {
                next
            } else {
                next.max(now.saturating_sub(self.scale.lag))
            };
            let earned = self.scale.units_in(now.saturating_sub(begins));
            let units = if debt > 0 && begins <= now {
                earned.min(debt + self.scale.quantum)
            } else {
                earned.clamp(self.scale.quantum, self.scale.step)
            };
            if units == 0 {
                return None;
            }
            let mut rest = self.rest;
            let ends = begins.saturating_add(self.scale.cost(units, &mut rest));
            let changed = pack(self.current, ends.min(LAST));
            let turn = self.member.turn();
            if turn.compare_exchange(word, changed, SeqCst, SeqCst).is_ok() {
                self.rest = rest;
                self.member.note_reserved(Some((word, changed)));
                return Some(Turn { begins, units });
            }
        }
    }

    /// When the next turn begins, as the word has it: now, where that is further off than anybody can have reserved.
    /// Where it was counted under rules that are not known here (whoever changed them was killed just then), one turn
    /// at most is owed.
    fn begins(&self, word: u64, now: u64) -> u64 {
        let ticks = word & LAST;
        let turn = self.scale.turn();
        let ahead = ticks.saturating_sub(now);
        if (word >> TICKS) as u8 != self.current.tag() {
            now.saturating_add(ahead.min(turn)).min(LAST)
        } else if ahead <= turn.saturating_mul(PLACES) {
            ticks
        } else {
            now
        }
    }

    /// How long it takes for a debt to be paid, if nobody else wants anything.
    fn until_paid(&self) -> Duration {
        let debt = self.credit.min(0).unsigned_abs();
        let ticks = self.scale.cost(debt + self.scale.quantum, &mut 0);
        Duration::from_nanos(ticks.saturating_mul(TICK))
    }

    /// Goes where the others are, if that is somewhere else by now. What they go by there is for us
    /// too; if there is nothing yet, what we went by is for them.
    fn call(&mut self, now: Instant) {
        let is_lost = self.place.is_lost(&self.member);
        if now < self.call_at && (self.was_lost || !is_lost) {
            return;
        }
        (self.call_at, self.was_lost) = (now + CALL, is_lost);
        let met = self.place.look(&self.member);
        let among = NonZeroU64::new(self.place.among()).unwrap_or(NonZeroU64::MIN);
        if among != self.among {
            self.among = among;
            self.go_by(self.current, self.rules, self.clock.ticks(now));
        }
        let Some(member) = met else {
            return;
        };
        (self.member, self.was_lost) = (member, false);
        if self.member.rules().1.is_none() {
            self.member.publish(self.rules);
        }
        self.current = Current::NONE;
    }

    /// Goes by the rules in force.
    fn follow(&mut self, now: u64) {
        if self.member.current() == self.current {
            return;
        }
        let (mut current, mut rules) = self.member.rules();
        if rules.is_none() {
            // Damaged: what was in force last is so again.
            self.publish(self.rules, now);
            (current, rules) = self.member.rules();
        }
        if current != self.current {
            self.go_by(current, rules.unwrap_or(self.rules), now);
        }
    }

    /// Puts rules in force for all, from those that were so until then.
    fn publish(&mut self, rules: Rules, now: u64) {
        if let Some((current, old)) = self.member.publish(rules)
            && current != self.current
        {
            self.go_by(current, old, now);
        }
    }

    /// Goes by these rules. Turns that were taken are still to come, the one of this member and those that the word knows
    /// of; what was given is kept as far as the new rules would give it, and no more than one unit of debt is.
    fn go_by(&mut self, current: Current, rules: Rules, now: u64) {
        let (scale, old) = (Scale::new(rules.nth(self.among)), self.scale);
        if current != self.current && current.is_soon_after(self.current) {
            let tag = self.current.tag();
            let moved = |word: u64| {
                let is_old = (word >> TICKS) as u8 == tag;
                is_old.then(|| pack(current, scale.moved(&old, word & LAST, now)))
            };
            // Where somebody else was quicker there is nothing left to do.
            let _ = self.member.turn().fetch_update(SeqCst, SeqCst, moved);
        }
        if let Some(turn) = self.turn.take_if(|turn| turn.begins <= now) {
            self.credit = self.credit.saturating_add(signed(turn.units));
        }
        if let Some(turn) = &mut self.turn {
            turn.begins = scale.moved(&old, turn.begins, now);
            turn.units = scale.quantum;
        }
        self.credit = self.credit.clamp(-1, signed(scale.step));
        (self.current, self.rules, self.scale, self.rest) = (current, rules, scale, 0);
    }
}

impl<W: Words + fmt::Debug + Send> SharedCap for HostCap<W> {
    fn set(&mut self, rate: Rate, burst: Burst, now: Instant) {
        let now = self.clock.ticks(now);
        self.publish(Rules { rate, burst }, now);
        self.follow(now);
    }

    /// Reserves the next turn, if what was given has passed.
    fn prepare(&mut self, now: Instant) {
        let ticks = self.clock.ticks(now);
        self.call(now);
        self.follow(ticks);
        if self.look_at <= now {
            self.look_at = now + LOOK;
        }
        loop {
            if let Some(turn) = self.turn.take_if(|turn| turn.begins <= ticks) {
                self.credit = self.credit.saturating_add(signed(turn.units));
            }
            if self.credit > 0 || self.turn.is_some() {
                return;
            }
            self.turn = self.take(ticks);
            if self.turn.is_none() {
                self.look_at = now + self.until_paid().min(STEP);
                return;
            }
        }
    }

    fn peek(&self, now: Instant) -> Result<u64, Instant> {
        let ticks = self.clock.ticks(now);
        let (turn, later) = match self.turn {
            Some(turn) if turn.begins <= ticks => (signed(turn.units), None),
            Some(turn) => (0, Some(self.clock.instant_of(turn.begins))),
            None => (0, None),
        };
        match self.credit.saturating_add(turn) {
            credit if credit > 0 => Ok(credit.unsigned_abs()),
            _ => Err(later.map_or(self.look_at, |at| at.min(self.look_at))),
        }
    }

    fn may_pass(&mut self, now: Instant) -> Result<u64, Instant> {
        self.peek(now)
    }

    /// A turn that has come is not given back in any case.
    fn keep(&self) {}

    fn on_passed(&mut self, units: u64, now: Instant) {
        self.credit = self.credit.saturating_sub(signed(units));
        if units > 0 {
            self.member.note_reserved(None);
        }
        self.prepare(now);
    }

    fn give_back(&mut self, units: u64, now: Instant) {
        self.credit = self.credit.saturating_add(signed(units));
        self.prepare(now);
    }

    fn rate(&self) -> Rate {
        // Asked by those who report, even while nothing flows.
        self.member.rules().1.unwrap_or(self.rules).rate
    }
}

fn pack(current: Current, ticks: u64) -> u64 {
    u64::from(current.tag()) << TICKS | ticks
}

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
