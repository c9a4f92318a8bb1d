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

use super::action::{
    Action, Actor, CONSUMER, For, Obligation, Outcome, Permit, Read, ReadState, Reason, SIDES,
    Write,
};
use super::limiter::Allowance;
use super::output::{Output, PARTS_MOST, Room};
use super::plan::Plan;
use super::record::Cursor;
use super::scan::{Run, Scan};
use super::segment::SEGMENT_MAX;
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

    pub(super) fn has_sides(&self) -> bool {
        self.side_count > 0
    }

    pub(super) fn sides(&self) -> impl Iterator<Item = (usize, &Output)> {
        self.outputs.iter().enumerate().skip(SIDES)
    }

    /// A tee that is not read yet, if there is one: it is owed everything, so that nothing can be taken before.
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
    pub(super) fn occupancy(&self) -> usize {
        if !self.has_sides() {
            return self.used();
        }
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

    /// A tap that is too far behind loses its oldest: so many that what is left is within its share, with its books.
    pub(super) fn keep_within_share(&mut self, i: usize, now: Instant) {
        let output = &self.outputs[i];
        if let Some(share) = output.side.as_ref().and_then(|side| side.role.share()) {
            let excess = output.queue.owed().saturating_sub(share);
            if excess > 0 && self.drop_oldest(i, excess) < excess {
                self.drop_unfinished_of_side(i);
            }
            while self.outputs[i].outgrows(share)
                && self.drop_oldest(i, 1 + self.outputs[i].queue.queued() / 8) > 0
            {}
        }
        self.on_side_shrunk(i, now);
    }

    /// Drops the oldest whole records that are together so long, or as many as there are.
    pub(super) fn drop_oldest(&mut self, i: usize, need: u64) -> u64 {
        if self.outputs[i].lanes.is_some() {
            return self.shed_from_lanes(i, need, need);
        }
        let skip = self.torn(i);
        let mut n = 0;
        while n < need
            && let Some(run) = self.whole_records(i, skip, need - n)
        {
            n += run.end - run.start;
            self.outputs[i].queue.remove(&run);
            self.drop_for_side(i, &run);
        }
        n
    }

    /// Drops the record that has not ended yet, as far as it has come.
    pub(super) fn drop_unfinished_of_side(&mut self, i: usize) {
        let skip = self.torn(i);
        if let Some(run) = self.run_behind(i, skip) {
            self.drop_begun_run_of_side(i, &run);
        }
    }

    /// The same of the places where it lies.
    pub(super) fn drop_begun_run_of_side(&mut self, i: usize, run: &Range<u64>) {
        self.outputs[i].queue.remove(run);
        self.drop_for_side(i, run);
        if let Some(side) = &mut self.outputs[i].side {
            side.is_skipping = true;
        }
    }

    /// The buffer is full: the same for a tee.
    pub(super) fn shed_oldest_of_side(&mut self, i: usize, need: u64, now: Instant) {
        if self.drop_oldest(i, need) == 0 {
            self.drop_unfinished_of_side(i);
        }
        self.on_side_shrunk(i, now);
    }

    /// Memory is short: taps go without. Says whether there was anything.
    pub(super) fn lose_taps(&mut self, now: Instant) -> bool {
        let mut lost = false;
        for i in SIDES..self.outputs.len() {
            if self.outputs[i].is_tap() {
                let queued = self.outputs[i].queue.queued();
                self.drop_oldest(i, queued);
                self.drop_unfinished_of_side(i);
                lost |= self.outputs[i].queue.queued() < queued;
                self.on_side_shrunk(i, now);
            }
        }
        lost
    }

    /// These have come off the queue and are nobody's.
    pub(super) fn drop_for_side(&mut self, i: usize, run: &Range<u64>) {
        self.drop_records_for_side(i, std::slice::from_ref(run), self.log.records(run));
    }

    /// The same for places in order, where it is known how many records end in them.
    pub(super) fn drop_records_for_side(&mut self, i: usize, runs: &[Range<u64>], records: u64) {
        let is_last = runs.last().is_some_and(|run| run.end == self.log.end());
        if let Some(side) = &mut self.outputs[i].side {
            let bytes = runs.iter().map(|run| run.end - run.start).sum();
            side.drop_all(bytes, records);
            if is_last && std::mem::take(&mut side.last_is_open) {
                side.dropped.records += 1;
            }
        }
        runs.iter().for_each(|run| self.log.cut(run));
        self.log.unpin_all(runs);
        if let Some(last) = runs.last() {
            self.join_behind(last.end);
        }
    }

    /// Less is owed to it than before, maybe.
    pub(super) fn on_side_shrunk(&mut self, i: usize, now: Instant) {
        let end = self.log.end();
        let output = &mut self.outputs[i];
        let head = output.queue.claim().or(output.queue.first());
        let head = head.map_or(end, |run| run.start);
        if let Some(side) = &mut output.side {
            side.timeline.forget_before(head);
        }
        if self.used() == 0 {
            if !self.outputs[i].is_tap() {
                self.on_empty(now);
            }
            self.plan_trim(now);
        }
    }

    /// Whether it gets whole records, as far as there are any: what is behind them may have to be dropped, and a kill in
    /// between would leave half a record behind.
    fn wants_whole(&self, i: usize) -> bool {
        let may_shed = self.shedder.policy.is_some();
        self.framing.is_some() && (self.outputs[i].is_tap() || may_shed || self.outlives())
    }

    /// Whether the rest of a record that has not ended may still come, and is worth waiting for.
    fn may_end(&self, i: usize) -> bool {
        let has_room = !self.gate.is_closed() && !self.has_no_place();
        let may_come = !self.is_starved() && (self.shedder.policy.is_some() || has_room);
        !self.is_last() && (self.outputs[i].is_tap() || may_come)
    }

    /// Bytes at the head that may be given to it now.
    pub(super) fn side_deliverable(&self, i: usize) -> u64 {
        let output = &self.outputs[i];
        let Some(run) = output.queue.first() else {
            return 0;
        };
        let share = output.side.as_ref().and_then(|side| side.role.share());
        // What is claimed cannot be dropped.
        let most = match share {
            Some(share) => share / 4,
            None if self.is_fresh() => self.capacity as u64 / 8,
            None => u64::MAX,
        };
        let most = most.clamp(1, SEGMENT_MAX as u64);
        let end = run.end.min(self.log.readable());
        let piece = end.saturating_sub(run.start).min(most);
        if !self.wants_whole(i) || piece == 0 {
            return piece;
        }
        let next = || self.log.next_boundary(run.start, end);
        if output.cursor.is_inside() {
            return next().map_or(piece, |to| piece.min(to - run.start));
        }
        let whole = self.log.last_boundary(run.start, run.start + piece);
        match whole.or_else(next) {
            Some(to) => to - run.start,
            None if self.may_end(i) => 0,
            None => piece,
        }
    }

    pub(super) fn plan_side(&self, i: usize, now: Instant) -> Plan {
        let output = &self.outputs[i];
        let is_done = self.is_last() && output.queue.owed() == 0;
        let stage = output.side.as_ref().map(|side| side.stage);
        let is_there = matches!(stage, Some(Stage::Open | Stage::Joining));
        if self.halted || is_done || !is_there {
            return Plan::End(Reason::Over);
        }
        if let Some(plan) = self.plan_fetch(i, None, now) {
            return plan;
        }
        match (self.side_deliverable(i), output.room) {
            (0, _) => Plan::wait(For::Data, None),
            (_, Room::None(_)) => Plan::wait(For::Room, None),
            _ => Plan::Write,
        }
    }

    pub(super) fn begin_side(&mut self, i: usize) -> Action {
        let mut n = self.side_deliverable(i).min(self.claimable(i));
        let mut place = None;
        if !self.outputs[i].is_tap() {
            (n, place) = self.remembered(i, n);
        }
        let output = &mut self.outputs[i];
        let claim = output.queue.begin_claim(n);
        if let Some(lanes) = &mut output.lanes {
            lanes.on_claimed(claim.end);
        }
        output.is_writing = true;
        output.claim_is_torn = !self.log.is_boundary(claim.end);
        let grant = Allowance::ALL;
        let cursor = output.cursor;
        let mut state = output.write.take().unwrap_or_default();
        let parts = self.log.parts(claim).take(PARTS_MOST);
        state.parts.extend(parts);
        (state.permit, state.place) = (Permit { grant, cursor }, place);
        let obligation = Obligation::new(Actor::Output(i));
        Action::Write(Write { state, obligation })
    }

    pub(super) fn end_side(&mut self, i: usize, outcome: Outcome, now: Instant) {
        let output = &mut self.outputs[i];
        output.is_writing = false;
        output.room = match outcome {
            Outcome::Full => Room::None(None),
            _ => Room::Unknown,
        };
        let run = match outcome {
            Outcome::Moved(run) => run,
            _ => Run::at(output.cursor),
        };
        let done = output.queue.end_claim(run.bytes as u64);
        if let Some(lanes) = &mut output.lanes {
            lanes.on_delivered(Some(done.end).filter(|_| run.bytes > 0));
        }
        output.cursor = run.cursor;
        output.taken += run.bytes as u64;
        if let Some(side) = &mut output.side {
            side.written.bytes += run.bytes as u64;
            side.written.records += run.tally.ended;
            if output.queue.owed() == 0 && std::mem::take(&mut side.last_is_open) {
                side.written.records += 1;
            }
        }
        self.log.unpin(&done);
        self.on_side_shrunk(i, now);
        // The rest of a claim may be more than a tap may keep.
        self.keep_within_share(i, now);
    }

    /// It has been waited for; `ready`: it has room.
    pub(super) fn on_side_ready(&mut self, i: usize, ready: bool) {
        let output = &mut self.outputs[i];
        output.sleeper.asleep = None;
        if ready {
            output.room = Room::There;
        }
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
