//! The lanes of one output, and what of them is claimed.
//!
//! Invariant: a record is in the lanes or claimed, and given back to them if it was not delivered.

use std::collections::VecDeque;

use super::lanes::{Gone, Lane, Lanes, Names, Record};
use super::sorter::Sorter;

/// What tells the lanes apart, and what they are called.
#[derive(Debug)]
pub(super) struct Fairness {
    pub(super) sorter: Sorter,
    pub(super) names: Names,
    /// Room for what is dropped together.
    pub(super) gone: Gone,
}

/// Records that are claimed, in order, and how many of each lane.
#[derive(Debug, Default)]
pub(super) struct Claimed {
    records: VecDeque<Record>,
    lanes: Vec<u32>,
}

impl Claimed {
    fn push(&mut self, record: Record) {
        let lane = record.lane.index();
        if lane >= self.lanes.len() {
            self.lanes.resize(lane + 1, 0);
        }
        self.lanes[lane] += 1;
        self.records.push_back(record);
    }

    /// The last one is not any more.
    fn pop(&mut self) -> Option<Record> {
        let record = self.records.pop_back()?;
        self.lanes[record.lane.index()] -= 1;
        Some(record)
    }

    /// None is.
    pub(super) fn clear(&mut self) {
        for record in self.records.drain(..) {
            self.lanes[record.lane.index()] -= 1;
        }
    }

    /// Whether one of this lane is.
    pub(super) fn has(&self, lane: Lane) -> bool {
        self.lanes.get(lane.index()).is_some_and(|n| *n > 0)
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = Record> {
        self.records.iter().copied()
    }
}

/// The lanes of one output.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) lanes: Lanes,
    /// Whole records in what is claimed.
    pub(super) claimed: Claimed,
    /// What is owed from this place on, where a record begins, is not in the lanes yet.
    pub(super) behind: Option<u64>,
}

impl Books {
    pub(super) fn new() -> Books {
        Books {
            lanes: Lanes::new(),
            claimed: Claimed::default(),
            behind: None,
        }
    }

    /// Whether it has nothing of this lane: what is claimed may be given back, and is of it still.
    pub(super) fn has_none_of(&self, lane: Lane) -> bool {
        !self.lanes.holds(lane) && !self.claimed.has(lane)
    }

    /// Nothing is owed any more but what is claimed.
    pub(super) fn clear(&mut self) {
        self.lanes = Lanes::new();
    }

    /// What is before this place has been claimed.
    pub(super) fn on_claimed(&mut self, end: u64) {
        while let Some(record) = self.lanes.first().filter(|record| record.at < end) {
            self.lanes.pop();
            self.claimed.push(record);
        }
    }

    /// Of what was claimed all before this place has been delivered, and the rest is owed as before; without one,
    /// all.
    pub(super) fn on_delivered(&mut self, done: Option<u64>) {
        while let Some(record) = self.claimed.pop() {
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
