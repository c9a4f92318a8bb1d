//! What comes out of the lanes: the places that are to come off the queue, neighbours together, and what each lane has
//! lost.

use std::ops::Range;

use super::lanes::{Names, Record};

/// See the module's text.
pub(super) struct Dropped<'a> {
    names: Option<&'a mut Names>,
    /// The places, in order.
    pub(super) runs: Vec<Range<u64>>,
    /// How many records lie there.
    pub(super) records: u64,
}

impl Dropped<'_> {
    /// Nothing yet. `names`: who is to be told what a lane has lost.
    pub(super) fn new(names: Option<&mut Names>) -> Dropped<'_> {
        Dropped {
            names,
            runs: Vec::new(),
            records: 0,
        }
    }

    /// These go, neighbours of one lane, which came behind all others so far.
    pub(super) fn add(&mut self, all: Record, records: u64) {
        if let Some(names) = &mut self.names {
            names.on_lost(all.lane, all.length, records);
        }
        self.records += records;
        let (at, end) = (all.at, all.at + all.length);
        match self.runs.last_mut() {
            Some(run) if run.end == at => run.end = end,
            _ => self.runs.push(at..end),
        }
    }
}
