//! Who holds nothing up holds no disk either: where what outlives the run has no room, and what lies there first is owed
//! to taps alone, and to those who look, they lose it.
//!
//! The rest of a record of which a part has left is not lost; it stays in memory alone.

use std::ops::Range;
use std::time::Instant;

use super::action::SIDES;
use super::state::Engine;

impl Engine {
    /// Where the disk has no room nothing is kept there for taps alone, whoever fills it: when that is found, and when
    /// somebody else has come further.
    pub(super) fn lose_what_taps_hold_of_full(&mut self, now: Instant) {
        let is_full = self.spill.as_ref().is_some_and(|it| it.full.is_some());
        if self.outlives() && is_full {
            self.lose_what_taps_hold(now);
        }
    }

    /// There is no room.
    fn lose_what_taps_hold(&mut self, now: Instant) {
        let taps = SIDES..self.outputs.len();
        let taps: Vec<usize> = taps.filter(|i| self.outputs[*i].is_tap()).collect();
        if taps.is_empty() {
            return;
        }
        let end = self.log.end();
        let heads = self.holders();
        let heads = heads.map(|(_, output)| output.head().unwrap_or(end));
        // What is kept for somebody has the room, whoever else is behind it.
        let pinned = self.pinned_runs().map(|run| run.start);
        let Some(from) = heads.chain(pinned).min() else {
            return;
        };
        for i in &taps {
            self.lose_before(*i, from, now);
        }
        let theirs = taps.iter().map(|i| &self.outputs[*i].queue);
        let theirs = theirs.flat_map(|queue| queue.claims().chain(queue.runs()).cloned());
        let theirs: Vec<Range<u64>> = theirs.collect();
        for places in theirs.iter().filter(|places| places.start < from) {
            self.log.keep_in_memory(places, &theirs);
        }
    }

    /// This tap loses what lies before this place, as far as it can.
    fn lose_before(&mut self, i: usize, from: u64, now: Instant) {
        let runs = self.outputs[i].queue.runs();
        let held = runs.map(|run| run.end.min(from).saturating_sub(run.start));
        let held: u64 = held.sum();
        if held > 0 {
            if self.drop_oldest(i, held) < held {
                self.drop_unfinished_of_side(i);
            }
            self.on_side_shrunk(i, now);
        }
    }
}
