//! Records in lanes, for an output that is owed them: when lanes are in force, and who enters them.
//!
//! Invariant: while the lanes of an output are in force they hold exactly the whole records that it is owed and that
//! nobody has claimed, up to a place behind which nothing has been looked at yet (`behind`), if there is one. What is there
//! when lanes come into force is looked at bit by bit: each takes the lock for a moment only.

use std::ops::Range;
use std::time::Instant;

use super::action::{CONSUMER, Read, ReadState};
use super::lane_books::{Books, Fairness};
use super::lanes::{EXACT, Gone, Lane, Lanes, Names};
use super::output::Output;
use super::record::Cursor;
use super::sorter::{LOOK_MOST, Sorter, Sorting};
use super::state::Engine;

/// Bytes that are looked at at a time where what is held was not in lanes; few in tests, so that much may come between.
const SLICE: u64 = if cfg!(test) { 4096 } else { 512 * 1024 };
/// Keys that have a lane of their own; few in tests, so that there are more.
const EXACT_KEYS: usize = if cfg!(test) { 12 } else { EXACT };

impl Engine {
    /// Records are in lanes, and some of them are to be kept. `seed` decides which keys share a lane where there are
    /// too many of them.
    pub(crate) fn sort_by(&mut self, sorter: Sorter, seed: u64, now: Instant) {
        if let Some(read) = &mut self.source.read {
            read.sorting = Some(Box::new(Sorting::remembering(sorter.clone())));
        }
        let names = Names::new(seed, EXACT_KEYS);
        self.fairness = Some(Box::new(Fairness {
            sorter,
            names,
            gone: Gone::default(),
        }));
        self.put_lanes_in_force();
        self.update(now);
    }

    /// The rules have changed: lanes are wanted, or no longer.
    pub(super) fn put_lanes_in_force(&mut self) {
        let sheds = self.shedder.policy.is_some() || self.shedder.max_age.is_some();
        let wants = sheds && self.fairness.is_some();
        if wants == self.has_lanes() {
            return;
        }
        self.has_plain_rules = false;
        for i in 0..self.outputs.len() {
            let side = self.outputs[i].side.as_ref();
            if i == CONSUMER || side.is_some_and(|side| side.role.is_named()) {
                self.outputs[i].lanes = wants.then(|| Box::new(Books::new()));
                self.sort_anew(i);
            }
        }
    }

    /// Whether the consumer's records are in lanes.
    #[inline]
    pub(super) fn has_lanes(&self) -> bool {
        self.outputs[CONSUMER].lanes.is_some()
    }

    /// All that is owed is to be put into the lanes, from what lies in the log: when the rules have changed, or records
    /// have come back.
    pub(super) fn sort_anew(&mut self, i: usize) {
        let queue = &self.outputs[i].queue;
        let first = queue.claim().or(queue.first()).map(|run| run.start);
        if let Some(books) = &mut self.outputs[i].lanes {
            books.lanes = Lanes::new();
            books.claimed.clear();
            books.behind = first;
            self.sort_more(i);
        }
    }

    /// Some more of what is owed comes into the lanes that are behind; so much that there is something to choose from.
    pub(super) fn catch_up(&mut self) {
        if self.fairness.is_none() {
            return;
        }
        for i in 0..self.outputs.len() {
            let mut before = None;
            while let Some(books) = &self.outputs[i].lanes
                && let Some(from) = books.behind.filter(|from| before < Some(*from))
                && (before.is_none() || books.lanes.records() == 0)
            {
                before = Some(from);
                self.sort_more(i);
            }
        }
    }

    /// Puts the next of what is owed into the lanes.
    fn sort_more(&mut self, i: usize) {
        let output = &mut self.outputs[i];
        let Some(mut books) = output.lanes.take_if(|books| books.behind.is_some()) else {
            return;
        };
        let from = books.behind.take().unwrap_or(0);
        let queue = &self.outputs[i].queue;
        let head = queue.claim().or(queue.first()).map(|run| run.start);
        let inside = head.filter(|_| self.outputs[i].cursor.is_inside());
        let (runs, end) = self.owed_from(i, from);
        let readable = self.log.readable();
        for run in &runs {
            let to = run.end.min(readable);
            let most = to.min(run.start + SLICE);
            let upto = match most == to {
                true => to,
                false => {
                    let whole = self.log.last_boundary(run.start, most);
                    let whole = whole.or_else(|| self.log.next_boundary(run.start, to));
                    whole.unwrap_or(to)
                }
            };
            if run.start < upto {
                let is_torn = inside == Some(run.start) || !self.log.is_boundary(run.start);
                self.sort_run(&mut books, &(run.start..upto), is_torn);
            }
            books.behind = if upto < to {
                Some(upto)
            } else if to < run.end {
                // The source is filling up what cannot be looked at; there will be time when it has.
                let whole = self.log.last_boundary(run.start, to);
                Some(whole.unwrap_or(run.start))
            } else {
                Some(run.end).filter(|_| run.end != end)
            };
            if upto < run.end {
                break;
            }
        }
        self.enter_claimed(i, &mut books);
        self.outputs[i].lanes = Some(books);
    }

    /// What is owed from this place on, claimed or not, up to so much that it is enough for once; and where all that is
    /// owed ends.
    fn owed_from(&self, i: usize, from: u64) -> (Vec<Range<u64>>, u64) {
        let queue = &self.outputs[i].queue;
        let (mut runs, mut bytes): (Vec<Range<u64>>, u64) = (Vec::new(), 0);
        for run in queue.claims().chain(queue.over(&(from..u64::MAX))) {
            let run = run.start.max(from)..run.end;
            if run.is_empty() {
                continue;
            }
            match runs.last_mut() {
                // A record may begin in what is claimed and end behind it.
                Some(last) if last.end == run.start => last.end = run.end,
                _ if bytes >= SLICE => break,
                _ => runs.push(run.clone()),
            }
            bytes += run.end - run.start;
        }
        (runs, queue.tail().map_or(0, |tail| tail.end))
    }

    /// Puts the records of a run into the lanes; `is_torn`: it begins with the rest of one.
    fn sort_run(&mut self, books: &mut Books, run: &Range<u64>, is_torn: bool) {
        let Some(fairness) = &mut self.fairness else {
            return;
        };
        let first = match is_torn {
            true => self.log.next_boundary(run.start, run.end),
            false => Some(run.start),
        };
        let Some(mut at) = first.filter(|first| *first < run.end) else {
            return;
        };
        let names = &mut fairness.names;
        let outputs = &mut self.outputs;
        let mut sorting = Sorting::new(fairness.sorter.clone());
        let mut cursor = Cursor::new(self.framing);
        for part in self.log.parts(at..run.end) {
            sorting.sort(cursor, [part.bytes(), &[]]);
            cursor.pass(part.bytes());
            let length = sorting.length();
            at += length;
            sorting.name(names, |lane| vacate(lane, Some(books), outputs));
            sorting.enter(&mut books.lanes, (at, length), u64::MAX);
        }
        if self.last_counted && run.end == self.log.end() {
            // The last record has no end.
            sorting.sort_last();
            let length = sorting.length();
            sorting.name(names, |lane| vacate(lane, Some(books), outputs));
            sorting.enter(&mut books.lanes, (at + length, length), u64::MAX);
        }
    }

    /// What was just read is about to come into lanes: each of its records has the lane of its key from now on.
    pub(super) fn name_lanes(&mut self, read: &mut ReadState) {
        let outputs = &mut self.outputs;
        if let Some(sorting) = &mut read.sorting
            && let Some(fairness) = &mut self.fairness
            && outputs.iter().any(|it| it.lanes.is_some())
        {
            sorting.name(&mut fairness.names, |lane| vacate(lane, None, outputs));
        }
    }

    /// This output is owed these places, too, the last ones that were just read. `begun`: what of the record in
    /// progress had been read before is owed to it as well.
    pub(super) fn enter_lanes(&mut self, i: usize, read: &Read, kept: &Range<u64>, begun: bool) {
        let Some(mut books) = self.outputs[i].lanes.take() else {
            return;
        };
        let total: u64 = read.scans.iter().map(|scan| scan.bytes as u64).sum();
        let depth = read.cursor.depth();
        let owed = kept.end - kept.start;
        let begun = begun && owed == total;
        // What has begun unseen may be owed from its beginning on again: it was taken back, or the rules have changed.
        let is_blind = read.sorting.as_ref().is_some_and(|it| it.was_blind());
        let is_named = self.fairness.as_ref().zip(read.sorting.as_ref());
        let is_named = is_named.is_some_and(|(it, sorting)| sorting.is_named(&it.names));
        let is_unsorted = !read.sorts || read.discard || begun && is_blind || !is_named;
        if is_unsorted && books.behind.is_none() && owed > 0 {
            let before = if begun { depth } else { 0 };
            books.behind = Some(kept.start - before);
        }
        if books.behind.is_some() {
            self.outputs[i].lanes = Some(books);
            return self.sort_more(i);
        }
        if let Some(sorting) = &read.sorting {
            // The beginning of the first record may have passed around the log, before whose first place there is none.
            let most = if begun { u64::MAX } else { owed };
            let places = (kept.end, depth + total);
            sorting.enter(&mut books.lanes, places, most);
        }
        self.enter_claimed(i, &mut books);
        self.outputs[i].lanes = Some(books);
    }

    /// What is looked at of the record in progress, where all that has come of it is owed to somebody.
    pub(super) fn begun(&self) -> Option<Vec<u8>> {
        let (depth, end) = (self.source.cursor.depth(), self.log.end());
        let is_owed = |i: usize| self.outputs[i].lanes.is_some() && self.owed_up_to(i, end, depth);
        if depth == 0 || !(0..self.outputs.len()).any(is_owed) {
            return None;
        }
        let bytes = self.look_at(&(end - depth..end));
        (bytes.len() as u64 == depth.min(LOOK_MOST as u64)).then_some(bytes)
    }

    /// What is looked at of a record that lies there.
    pub(super) fn look_at(&self, run: &Range<u64>) -> Vec<u8> {
        let seen = run.start..run.end.min(run.start + LOOK_MOST as u64);
        let parts: Vec<_> = self.log.parts(seen).collect();
        let parts: Vec<_> = parts.iter().map(|part| part.bytes()).collect();
        parts.concat()
    }

    /// Whether this output is owed so many bytes up to a place, without a gap.
    pub(super) fn owed_up_to(&self, i: usize, end: u64, depth: u64) -> bool {
        let tail = self.outputs[i].queue.tail();
        tail.is_some_and(|run| run.end == end && run.end - run.start >= depth)
    }

    /// A record of which the beginning is claimed has come into the lanes, maybe: it is claimed, too.
    fn enter_claimed(&self, i: usize, books: &mut Books) {
        if let Some(claim) = self.outputs[i].queue.claims().last() {
            books.on_claimed(claim.end);
        }
    }

    /// No more will come: the last record that has no end is complete.
    pub(super) fn enter_last(&mut self, i: usize) {
        let depth = self.source.cursor.depth();
        let end = self.log.end();
        if depth == 0 || !self.owed_up_to(i, end, depth) {
            return;
        }
        let run = end - depth..end;
        let lanes = &mut self.outputs[i].lanes;
        if let Some(mut books) = lanes.take_if(|books| books.behind.is_none()) {
            self.sort_run(&mut books, &run, false);
            self.enter_claimed(i, &mut books);
            self.outputs[i].lanes = Some(books);
        }
    }
}

/// Whether nobody has anything of this lane, neither these outputs nor who has taken his books out: then it may be another
/// key's.
fn vacate(lane: Lane, own: Option<&mut Books>, outputs: &mut [Output]) -> bool {
    let is_empty = |it: &Output| it.lanes.as_ref().is_none_or(|it| it.has_none_of(lane));
    let owns_none = own.as_ref().is_none_or(|books| books.has_none_of(lane));
    let is_vacant = owns_none && outputs.iter().all(is_empty);
    if is_vacant {
        let others = outputs.iter_mut().filter_map(|it| it.lanes.as_deref_mut());
        let all = others.chain(own);
        all.for_each(|books| books.lanes.vacate(lane));
    }
    is_vacant
}
