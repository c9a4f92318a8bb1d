//! The outputs beside the consumer: a tee is owed everything, as the consumer is, and holds the flow up as it
//! does; a tap is shown what passes, and is never waited for.
//!
//! Each is one more queue over the same log, so that bytes are held once, and has books of its own. What one
//! of them has no room for is dropped for it alone: for a tap whenever it is behind by more than
//! its share, for a tee where the rule for a full buffer says so.
//!
//! Invariants: for each, `read = written + dropped + owed`; what a tap is owed stays within its share, but for the
//! rest of a record of which a part has left; what each gets is whole records of the input, in order, and begins
//! with one.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::action::{CONSUMER, For, Read, ReadState, SIDES};
use super::output::{Output, Room};
use super::record::Cursor;
use super::scan::{Run, Scan};
use super::side::{Role, Side, SideStatus, Stage};
use super::state::Engine;

impl Engine {
    /// One more output, before anything is read. One that nobody reads yet is `vacant`. Returns its number.
    pub(crate) fn add_side(&mut self, role: Role, vacant: bool) -> usize {
        let mut output = Output::new(self.framing);
        let stage = if vacant { Stage::Vacant } else { Stage::Open };
        output.side = Some(Side::new(role, stage));
        self.outputs.push(output);
        self.side_count += 1;
        self.outputs.len() - 1
    }

    /// Somebody has come to read this output: it goes on with the beginning of a record.
    pub(crate) fn on_side_open(&mut self, i: usize, now: Instant) {
        let inside = self.source.cursor.is_inside();
        let cursor = Cursor::new(self.framing);
        let output = &mut self.outputs[i];
        output.room = Room::Unknown;
        if let Some(side) = &mut output.side {
            if side.role != Role::Tee {
                // For a tee nothing was read before, but by an earlier run, and then it knows where it stands.
                (output.cursor, side.is_skipping) = (cursor, inside);
            }
            side.stage = Stage::Open;
            (side.is_pipe, side.is_late) = (false, true);
            side.visit += 1;
        }
        self.look_at_suspension();
        self.update(now);
    }

    /// Whoever read this tap has left: what it is owed is nobody's.
    pub(crate) fn on_side_left(&mut self, i: usize, now: Instant) {
        self.close_side(i, Stage::Vacant, now);
    }

    /// This output has had all, or has failed and will get nothing more.
    pub(crate) fn on_side_over(&mut self, i: usize, failed: bool, now: Instant) {
        self.close_side(i, Stage::Over { failed }, now);
    }

    fn close_side(&mut self, i: usize, stage: Stage, now: Instant) {
        if self.halted {
            // The books are closed.
            return;
        }
        while let Some(run) = self.outputs[i].queue.pop_front(u64::MAX) {
            self.drop_for_side(i, &run);
        }
        if let Some(side) = &mut self.outputs[i].side {
            side.stage = stage;
        }
        self.look_at_suspension();
        if let Some(books) = &mut self.outputs[i].lanes {
            books.clear();
        }
        self.on_side_shrunk(i, now);
        self.update(now);
    }

    /// Whether an output that is there has not had all that it is owed, of those that are waited for.
    #[must_use]
    pub(crate) fn is_side_pending(&self, is_waited_for: impl Fn(Role) -> bool) -> bool {
        let sides = self.sides().filter_map(|(_, output)| output.side.as_ref());
        let mut there = sides.filter(|side| matches!(side.stage, Stage::Open | Stage::Joining));
        there.any(|side| is_waited_for(side.role))
    }

    /// Bytes that all taps have taken so far.
    #[must_use]
    pub(crate) fn taken_by_taps(&self) -> u64 {
        let taps = self.sides().filter(|(_, output)| output.is_tap());
        taps.map(|(_, output)| output.taken).sum()
    }

    /// The books of each, in the order in which they were added.
    #[must_use]
    pub(crate) fn side_status(&self, now: Instant) -> Vec<SideStatus> {
        let is_framed = self.framing.is_some();
        let all = self.outputs[SIDES..].iter();
        let all = all.filter_map(|output| Some((output, output.side.as_ref()?)));
        let all = all.filter(|(_, side)| side.role.is_named());
        all.map(|(output, side)| SideStatus {
            written: side.written.counting(is_framed),
            dropped: side.dropped.counting(is_framed),
            inherited: side.inherited.counting(is_framed),
            owed: output.queue.owed(),
            lag: side
                .timeline
                .ages(now)
                .map_or(Duration::ZERO, |ages| ages.now),
            failed: side.stage == Stage::Over { failed: true },
            vacant: side.stage == Stage::Vacant,
        })
        .collect()
    }

    /// Bytes that taps may hold beside everybody else.
    pub(super) fn tap_shares(&self) -> u64 {
        let roles = self.sides().filter_map(|(_, output)| output.side.as_ref());
        roles.filter_map(|side| side.role.share()).sum()
    }

    /// Whether one of them is in the middle of a record that is dropped for it.
    pub(super) fn is_side_skipping(&self) -> bool {
        let mut sides = self.sides().filter_map(|(_, output)| output.side.as_ref());
        sides.any(|side| side.is_skipping)
    }

    #[inline]
    pub(super) fn has_sides(&self) -> bool {
        self.side_count > 0
    }

    pub(super) fn sides(&self) -> impl Iterator<Item = (usize, &Output)> {
        self.outputs.iter().enumerate().skip(SIDES)
    }

    /// A tee that is not read yet, if there is one: it is owed everything, so that nothing can be taken before.
    #[inline]
    pub(super) fn awaited_tee(&self) -> Option<usize> {
        if !self.has_sides() {
            return None;
        }
        let is_awaited = |side: &Side| side.role == Role::Tee && side.stage == Stage::Vacant;
        let mut sides = self.sides();
        sides
            .find(|(_, output)| output.side.as_ref().is_some_and(is_awaited))
            .map(|(i, _)| i)
    }

    /// Those who hold the flow up: the consumer and the tees.
    pub(super) fn holders(&self) -> impl Iterator<Item = (usize, &Output)> {
        let tees = self
            .sides()
            .filter(|(_, it)| it.is_open_side() && !it.is_tap());
        [(CONSUMER, &self.outputs[CONSUMER])]
            .into_iter()
            .chain(tees)
    }

    /// What the one that is furthest behind is owed, in bytes, taps apart.
    #[inline]
    pub(super) fn occupancy(&self) -> usize {
        match self.has_sides() {
            false => self.used(),
            true => self.used_by_furthest(),
        }
    }

    fn used_by_furthest(&self) -> usize {
        let owed = self.holders().map(|(i, _)| self.owed_to(i));
        owed.max().unwrap_or(0) as usize
    }

    /// What this one is owed, in bytes, what is in batches included.
    pub(super) fn owed_to(&self, i: usize) -> u64 {
        let batches = if i == CONSUMER { self.in_batches() } else { 0 };
        self.outputs[i].queue.owed() + batches
    }

    /// The tee that keeps the source from reading, or the run from its end, where it is not the consumer that does: its
    /// number among the tees and taps.
    pub(super) fn tee_that_holds(&self) -> Option<usize> {
        if !self.has_sides() {
            return None;
        }
        let is_held = self.source.sleeper.is_for(For::Gate);
        if let Some(i) = self.awaited_tee().filter(|_| is_held) {
            return Some(i - SIDES);
        }
        let (i, owed) = self
            .holders()
            .filter(|(i, _)| *i != CONSUMER || !self.given.is_over)
            .map(|(i, _)| (i, self.owed_to(i)))
            .max_by_key(|(i, owed)| (*owed, *i == CONSUMER))?;
        let is_last = self.ended && (self.used() == 0 || self.given.is_over);
        (i != CONSUMER && owed > 0 && (is_held || is_last)).then(|| i - SIDES)
    }

    /// Whether nobody is owed anything.
    #[inline]
    pub(super) fn holds_nothing(&self) -> bool {
        self.in_batches() == 0 && self.outputs.iter().all(|output| output.queue.owed() == 0)
    }

    /// Whether all of them have enough to do without the last extent, which nobody can read while it is filled
    /// up, or nothing at all.
    pub(super) fn sides_can_spare(&self, last: u64) -> bool {
        let mut runs = self.sides().filter_map(|(_, output)| output.queue.last());
        runs.all(|run| run.start < last)
    }

    /// Owes these places, which were just read, to each of them that has room for them.
    pub(super) fn fan_out(
        &mut self,
        read: &Read,
        scans: [Scan; 2],
        places: &Range<u64>,
        now: Instant,
    ) {
        if !self.has_sides() {
            return;
        }
        let run = Scan::sum(scans);
        // While some of them take and others drop, all of it has to be there.
        self.log.pin(places);
        for i in SIDES..self.outputs.len() {
            let has_lanes = self.outputs[i].lanes.is_some();
            let begun = has_lanes && self.owed_up_to(i, places.start, read.cursor.depth());
            if let Some(kept) = self.side_part(i, read, run, places) {
                self.owe_side(i, kept.clone(), now);
                if has_lanes {
                    self.enter_lanes(i, read, &kept, begun);
                }
                self.keep_within_share(i, now);
            }
        }
        self.log.unpin(places);
    }

    /// These places are owed to this output, too.
    pub(super) fn owe_side(&mut self, i: usize, owed: Range<u64>, now: Instant) {
        self.log.pin(&owed);
        let output = &mut self.outputs[i];
        if let Some(side) = &mut output.side {
            side.timeline.push(&owed, now);
        }
        output.queue.push(owed);
    }

    /// What of these places this output is to get, if anything; the rest is dropped for it.
    pub(super) fn side_part(
        &mut self,
        i: usize,
        read: &ReadState,
        run: Run,
        places: &Range<u64>,
    ) -> Option<Range<u64>> {
        let n = places.end - places.start;
        let is_full = !self.outputs[i].is_tap() && read.discard && self.is_too_much(i, n as usize);
        let discards = is_full && !self.has_left(i, read.cursor, places.start);
        let end = self.log.next_boundary(places.start, places.end);
        let output = &mut self.outputs[i];
        let is_open = output.is_open_side();
        let side = output.side.as_mut()?;
        if !is_open {
            side.drop_all(n, run.tally.ended);
            return None;
        }
        if discards {
            side.drop_all(n, run.tally.ended);
            let was_skipping = std::mem::replace(&mut side.is_skipping, run.cursor.is_inside());
            let begun = if was_skipping { 0 } else { read.cursor.depth() };
            if let Some(run) = output.queue.pop_back(begun).filter(|run| !run.is_empty()) {
                side.dropped.bytes += run.end - run.start;
                side.timeline.truncate(run.start);
                self.log.unpin(&run);
            }
            return None;
        }
        if !side.is_skipping {
            side.is_new = false;
            return Some(places.clone());
        }
        let Some(end) = end else {
            side.drop_all(n, 0);
            return None;
        };
        side.drop_all(end - places.start, 1);
        (side.is_skipping, side.is_new) = (false, false);
        Some(end..places.end)
    }

    /// Nothing more is read; `inside`: the last record has no end.
    pub(super) fn count_last_of_sides(&mut self, inside: bool) {
        for i in SIDES..self.outputs.len() {
            let side = self.outputs[i].side.as_ref();
            if inside && side.is_some_and(|side| !side.is_skipping && side.stage == Stage::Open) {
                self.enter_last(i);
            }
        }
        for output in self.outputs[SIDES..].iter_mut().filter(|_| inside) {
            let is_open = output.is_open_side();
            let Some(side) = &mut output.side else {
                continue;
            };
            if side.is_skipping || !is_open {
                side.drop_all(0, 1);
            } else if output.queue.owed() == 0 {
                side.written.records += 1;
            } else {
                side.last_is_open = true;
            }
        }
    }
}
