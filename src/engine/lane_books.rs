//! The lanes of one output, and what of them is claimed.
//!
//! Invariant: a record is in the lanes or claimed, and given back to them if it was not delivered.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::lanes::{Lanes, Names, Record};
use super::sorter::Sorter;

/// What tells the lanes apart, and what they are called.
#[derive(Debug)]
pub(super) struct Fairness {
    pub(super) sorter: Sorter,
    pub(super) names: Names,
}

/// The lanes of one output.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) lanes: Lanes,
    /// Whole records in what is claimed.
    pub(super) claimed: VecDeque<Record>,
    /// What is owed from this place on, where a record begins, is not in the lanes yet.
    pub(super) behind: Option<u64>,
    /// When something was last delivered, and how long that takes from one time to the next, on average.
    delivered: Instant,
    gap: Duration,
}

/// How long an output may take nothing before it counts as stalled, if it is not usually slower.
const STALL: Duration = Duration::from_secs(1);
/// The longest gap that counts.
const GAP_MOST: Duration = Duration::from_secs(3600);
/// The same in gaps between what it takes.
const STALL_GAPS: u32 = 4;

impl Books {
    pub(super) fn new(now: Instant) -> Books {
        Books {
            lanes: Lanes::new(),
            claimed: VecDeque::new(),
            behind: None,
            delivered: now,
            gap: Duration::ZERO,
        }
    }

    /// Nothing is owed any more but what is claimed.
    pub(super) fn clear(&mut self) {
        self.lanes = Lanes::new();
    }

    /// What is before this place has been claimed.
    pub(super) fn on_claimed(&mut self, end: u64) {
        while let Some(record) = self.lanes.first().filter(|record| record.at < end) {
            self.lanes.pop();
            self.claimed.push_back(record);
        }
    }

    /// Of what was claimed all before this place has been delivered, and the rest is owed as before; without one,
    /// all.
    pub(super) fn on_delivered(&mut self, done: Option<u64>, now: Instant) {
        while let Some(record) = self.claimed.pop_back() {
            if done.is_some_and(|end| record.at < end) {
                break;
            }
            self.lanes.give_back(record);
        }
        self.claimed.clear();
        if done.is_some() {
            let gap = now.saturating_duration_since(self.delivered);
            self.gap = (7 * self.gap.min(GAP_MOST) + gap.min(GAP_MOST)) / 8;
            self.delivered = now;
        }
    }

    /// Whether the output has taken nothing for so long that it may never go on.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.delivered);
        since > STALL.max(STALL_GAPS * self.gap)
    }

    /// When the next record that may expire is older than it may be, it was complete at this place.
    pub(super) fn next_to_expire(&self) -> Option<u64> {
        let record = self.lanes.first_to_expire()?;
        Some(record.at + record.length)
    }
}
