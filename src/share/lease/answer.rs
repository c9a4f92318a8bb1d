//! What the store answers, and whether it makes sense.

use std::time::Duration;

use super::parts::ALL;
use crate::engine::limiter::Burst;
use crate::share::rules::Rules;
use crate::units::{Rate, Unit};

/// More members than this no store has seen, and a longer pause none has asked for: what says so is no
/// answer to go by.
const MEMBERS_MOST: u64 = 1_000_000;
const INTERVAL_MOST: Duration = Duration::from_secs(300);

/// What the store says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Answer {
    /// Parts of the cap.
    pub(crate) parts: u64,
    /// When to ask again, at the earliest.
    pub(crate) interval: Duration,
    /// How many share it.
    pub(crate) members: u64,
    /// The cap; `None` where what the store holds makes no sense.
    pub(crate) rules: Option<Rules>,
    /// Nobody has passed anything for as long as a unit takes: one that has just come need not wait for its first.
    pub(crate) begins: bool,
}

/// What the store's script returns: parts, milliseconds, members; the cap's amount, nanoseconds and burst; how
/// often it was changed; and whether the first unit is free.
pub(crate) type Reply = (u64, u64, u64, String, String, String, u64, u64);

impl Answer {
    /// What a reply says; `None` where it makes no sense.
    pub(crate) fn from_reply(reply: &Reply, unit: Unit) -> Option<Answer> {
        let (parts, interval, members, amount, per, burst, _, begins) = reply;
        let answer = Answer {
            parts: *parts,
            interval: Duration::from_millis(*interval),
            members: *members,
            rules: rules_from_text(amount, per, burst, unit),
            begins: *begins == 1,
        };
        let possible = answer.parts <= ALL
            && (1..=MEMBERS_MOST).contains(&answer.members)
            && answer.interval <= INTERVAL_MOST;
        possible.then_some(answer)
    }
}

/// The rules as the store keeps them.
pub(super) fn rules_from_text(amount: &str, per: &str, burst: &str, unit: Unit) -> Option<Rules> {
    let rate = Rate::new(amount.parse().ok()?, per.parse().ok()?, unit);
    let burst = match burst.strip_suffix('n') {
        Some(nanos) => Burst::Worth(Duration::from_nanos(nanos.parse().ok()?)),
        None => Burst::Units(burst.parse().ok()?),
    };
    Some(Rules { rate, burst })
}
