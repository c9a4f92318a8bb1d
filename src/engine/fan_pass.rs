//! Bytes that go around the log to several outputs at once: `tee(2)` to each, the input spliced away behind them.
//!
//! The consumer comes first, and gets what it has room for; each of the others gets as much of that as it has room
//! for. Where all have had the same nothing is copied. Where some have not, what the consumer has had is read, and
//! each is owed its rest: so what is held is held once, and only for those who are behind.
//!
//! Invariant: this is done only while nobody is owed anything, so order is kept for each of them.

use std::time::Instant;

use super::action::{Fan, SIDES};
use super::log::Entry;
use super::output::Output;
use super::scan::{Run, Scan};
use super::side::{Side, Stage};
use super::sift::Piece;
use super::state::Engine;

impl Engine {
    /// What is read for this tee or tap can go around the log to it, since it is a pipe.
    pub(crate) fn let_side_pass(&mut self, i: usize, now: Instant) {
        if let Some(side) = &mut self.outputs[i].side {
            side.is_pipe = true;
        }
        self.look_at_suspension();
        self.update(now);
    }

    /// Whether everything has to go through the log is asked anew.
    pub(super) fn look_at_suspension(&mut self) {
        self.bypass.suspend(self.needs_log());
    }

    /// Whether what passes around the log can pass to all that there are.
    pub(super) fn can_fan_out(&self) -> bool {
        let takes = |side: &Side| matches!(side.stage, Stage::Open | Stage::Joining);
        let mut sides = self.sides().filter_map(|(_, output)| output.side.as_ref());
        self.source.path.fans_out && sides.all(|side| side.is_pipe || !takes(side))
    }

    /// Whether none of them is behind, nor in the middle of a record that it does not get.
    pub(super) fn sides_are_even(&self) -> bool {
        let is_even = |output: &Output| {
            let side = output.side.as_ref();
            output.queue.owed() == 0 && side.is_none_or(|side| !side.is_skipping)
        };
        !self.has_sides() || self.sides().all(|(_, output)| is_even(output))
    }

    /// What several are to get at once, `most` bytes at most.
    pub(super) fn begin_fan(&mut self, most: usize) -> Option<Fan> {
        if !self.has_sides() {
            return None;
        }
        let mut read = self.source.read.take().unwrap_or_default();
        self.log.lend(&mut read.buffer, most, None);
        self.source.is_short = false;
        (read.cursor, read.stored, read.discard) = (self.source.cursor, None, false);
        let open = self.sides().filter(|(_, output)| output.is_open_side());
        let had = open.map(|(i, _)| (i, 0)).collect();
        self.outputs[SIDES..]
            .iter_mut()
            .filter_map(|output| output.side.as_mut())
            .for_each(|side| side.is_late = false);
        Some(Fan { read, had })
    }

    /// All that could be passed has been: this run, to the consumer and to all the others.
    pub(super) fn end_even(&mut self, fan: Fan, run: Run) {
        self.return_buffer(fan);
        for i in SIDES..self.outputs.len() {
            self.on_passed_side(i, run, true);
        }
    }

    /// Nothing has passed.
    pub(super) fn end_fan(&mut self, fan: Fan) {
        self.return_buffer(fan);
    }

    fn return_buffer(&mut self, mut fan: Fan) {
        let nothing = Scan::over(fan.read.cursor, &[]);
        self.log
            .append(&mut fan.read.buffer, nothing, Entry::default());
        self.source.read = Some(fan.read);
    }

    /// The consumer has had what was read, and somebody has not had all of it.
    pub(super) fn end_uneven(&mut self, mut fan: Fan, now: Instant) -> Run {
        let [first, scan] = fan.read.scans;
        let whole = Scan::sum([first, scan]);
        let least = fan.had.iter().map(|(_, n)| (*n).min(whole.bytes)).min();
        let least = least.unwrap_or(whole.bytes);
        let before = fan.run_of(least);
        let piece = Piece {
            range: least..whole.bytes,
            ends: scan.ends - before.tally.ended,
            depth: before.cursor.depth(),
            end_depth: scan.cursor.depth(),
        };
        let runs: Vec<_> = fan
            .had
            .iter()
            .map(|(i, n)| (*i, fan.run_of((*n).min(whole.bytes))))
            .collect();
        let places = self.enter(&mut fan.read, [first, scan], &piece);
        // What nobody is owed after all must not stay.
        self.log.pin(&places);
        for i in SIDES..self.outputs.len() {
            let had = runs.iter().find(|(other, _)| *other == i);
            let had = had.filter(|_| self.outputs[i].is_in_time());
            let Some((_, had)) = had else {
                self.on_passed_side(i, whole, false);
                continue;
            };
            self.on_passed_side(i, *had, true);
            let owed = places.start + (had.bytes - least) as u64..places.end;
            self.log.pin(&owed);
            let output = &mut self.outputs[i];
            output.queue.push(owed.clone());
            if let Some(side) = &mut output.side {
                side.timeline.push(&owed, now);
            }
            self.keep_within_share(i, now);
        }
        self.log.unpin(&places);
        self.source.read = Some(fan.read);
        whole
    }

    /// This has gone to this one; or, where it was not there or `has_had` is not so, has not.
    fn on_passed_side(&mut self, i: usize, run: Run, has_had: bool) {
        let output = &mut self.outputs[i];
        let has_had = has_had && output.is_in_time();
        let is_open = output.is_open_side();
        let Some(side) = &mut output.side else {
            return;
        };
        if has_had {
            output.cursor = run.cursor;
            output.taken += run.bytes as u64;
            side.written.bytes += run.bytes as u64;
            side.written.records += run.tally.ended;
        } else {
            side.drop_all(run.bytes as u64, run.tally.ended);
            side.is_skipping = is_open && run.cursor.is_inside();
        }
    }
}

impl Output {
    /// Whether it takes what passes, and did so when that set out.
    fn is_in_time(&self) -> bool {
        let side = self.side.as_ref();
        self.is_open_side() && side.is_some_and(|side| !side.is_late)
    }
}
