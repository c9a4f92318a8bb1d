//! The lanes of one output, and what of them is claimed.
//!
//! Invariant: a record is in the lanes or claimed, and given back to them if it was not delivered.

use std::collections::VecDeque;

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
}

impl Books {
    pub(super) fn new() -> Books {
        Books {
            lanes: Lanes::new(),
            claimed: VecDeque::new(),
            behind: None,
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
    pub(super) fn on_delivered(&mut self, done: Option<u64>) {
        while let Some(record) = self.claimed.pop_back() {
            if done.is_some_and(|end| record.at < end) {
                break;
            }
            self.lanes.give_back(record);
        }
        self.claimed.clear();
    }

    /// When the next record that may expire is older than it may be, it was complete at this place.
    pub(super) fn next_to_expire(&self) -> Option<u64> {
        self.lanes.next_to_expire()
    }
}
