//! What has left the lanes in the middle of the order: the places that are to come off the queue, neighbours together, and
//! what each lane has lost.

use std::ops::Range;

use super::block::{End, Record};
use super::names::Lane;

/// What has left the lanes.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    /// The places, in order; neighbours together.
    pub(crate) runs: Vec<Range<u64>>,
    /// How many records lay there.
    pub(crate) records: u64,
    /// Bytes and records that each lane has lost; a lane may be there several times.
    pub(crate) lost: Vec<(Lane, u64, u64)>,
}

/// For so many runs, and as many lanes, memory is kept for the next time.
const KEPT: usize = 1 << 17;

impl Gone {
    /// It is empty, and has memory for as many as there were, if those were not very many.
    pub(crate) fn clear(&mut self) {
        self.records = 0;
        self.runs.clear();
        self.runs.shrink_to(KEPT);
        self.lost.clear();
        self.lost.shrink_to(KEPT);
    }

    /// This record goes, too, the next one when they are looked at from this end on.
    pub(super) fn add(&mut self, record: Record, from: End) {
        let (at, end) = (record.at, record.at + record.length);
        self.records += 1;
        match (self.runs.last_mut(), from) {
            (Some(run), End::Oldest) if run.end == at => run.end = end,
            (Some(run), End::Newest) if run.start == end => run.start = at,
            _ => self.runs.push(at..end),
        }
    }

    /// What was added in several passes is put in order.
    pub(super) fn sort(&mut self) {
        if self.runs.is_sorted_by(|run, next| run.end < next.start) {
            return;
        }
        self.runs.sort_unstable_by_key(|run| run.start);
        self.runs.dedup_by(|next, run| {
            let touches = run.end == next.start;
            if touches {
                run.end = next.end;
            }
            touches
        });
    }
}
