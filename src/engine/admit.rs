//! What of the bytes that have just been read is taken in: all, as a rule; where the record in progress is
//! being shed, or what comes is the newest and too much, the rest of it.

use std::ops::Range;
use std::time::Instant;

use super::action::{CONSUMER, Read, ReadState};
use super::log::Entry;
use super::scan::Scan;
use super::state::Engine;

/// A piece of the second slice of a buffer.
#[derive(Debug, Clone, Default)]
pub(super) struct Piece {
    pub range: Range<usize>,
    /// Records that end in it.
    pub ends: u64,
    /// How far into a record its first byte is, and the byte behind its last.
    pub depth: u64,
    /// See there.
    pub end_depth: u64,
}

/// What becomes of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The consumer gets it.
    Keep,
    /// It goes on with a record that is being shed.
    Skip,
    /// It begins with a record, and is too much.
    Discard,
}

impl Engine {
    /// Takes what was read into the log, but for what was passed on and what is shed. Returns the places of
    /// what the consumer is owed.
    pub(super) fn admit(&mut self, read: &mut Read, now: Instant) -> Range<u64> {
        let (scans, passed) = (&read.scans, &read.passed);
        if passed.bytes == scans[0].bytes + scans[1].bytes && !self.has_sides() {
            // Nothing of it is left for anybody.
            let (nothing, entry) = (scans[0], Entry::default());
            return self.log.append(&mut read.state.buffer, nothing, entry);
        }
        let (scans, passed) = (*scans, *passed);
        let scan = scans[1];
        let all = Piece {
            range: passed.bytes..scan.bytes,
            ends: scan.ends - passed.tally.ended,
            depth: if passed.bytes > 0 {
                passed.cursor.depth()
            } else {
                scans[0].cursor.depth()
            },
            end_depth: scan.cursor.depth(),
        };
        let is_skipping = self.shedder.skipped.is_some();
        let discard = read.discard && self.is_too_much(CONSUMER, all.range.len());
        if !is_skipping && !discard {
            let kept = self.enter(read, scans, &all);
            self.owe(&kept);
            self.fan_out(read, scans, &kept, now);
            return kept;
        }
        let [head, tail] = if is_skipping || read.cursor.is_inside() {
            split_record(all, scan)
        } else {
            [Piece::default(), all]
        };
        let fates = match (is_skipping, discard) {
            (true, false) => [Fate::Skip, Fate::Keep],
            // The consumer has begun to take the record in progress meanwhile.
            (false, _) if self.has_left(CONSUMER, read.cursor, self.log.end()) => {
                [Fate::Keep, Fate::Discard]
            }
            _ => [Fate::Skip, Fate::Discard],
        };
        if !is_skipping && fates[0] == Fate::Skip && !head.range.is_empty() {
            self.drop_begun(read.cursor.depth());
        }
        if fates[1] == Fate::Discard {
            self.stats.shed_oversized += self.oversized_in(read, &tail);
        }
        let pieces = [(head, fates[0]), (tail, fates[1])];
        self.deal(read, scans, pieces, now)
    }

    /// Deals with the pieces of a read of which some are shed: what the file for these wants is taken in, too.
    fn deal(
        &mut self,
        read: &mut Read,
        scans: [Scan; 2],
        pieces: [(Piece, Fate); 2],
        now: Instant,
    ) -> Range<u64> {
        let [(head, _), (tail, _)] = &pieces;
        let keeps_all = self.keeps_all();
        let entered = if keeps_all {
            let all = all_of(head, tail);
            self.enter(read, scans, &all)
        } else {
            let kept = pieces.iter().find(|(_, fate)| *fate == Fate::Keep);
            let kept = kept.map_or(Piece::default(), |(piece, _)| piece.clone());
            self.enter(read, scans, &kept)
        };
        // What is dropped on the way must not take along what is still to be owed to somebody.
        self.log.pin(&entered);
        self.fan_out(read, scans, &entered, now);
        let mut kept = entered.end..entered.end;
        let mut at = entered.start;
        for (piece, fate) in &pieces {
            let is_there = keeps_all || *fate == Fate::Keep;
            let places = at..at
                + if is_there {
                    piece.range.len() as u64
                } else {
                    0
                };
            at = places.end;
            match fate {
                Fate::Keep => {
                    self.owe(&places);
                    kept = places;
                }
                Fate::Skip => {
                    self.skip(piece, &places);
                    // It is the first one that ends in what was read.
                    if piece.ends > 0 && scans[0].ends == 0 {
                        self.count_skipped(read);
                    }
                }
                Fate::Discard => self.discard(piece, &places),
            }
        }
        self.log.unpin(&entered);
        kept
    }

    /// Whether what the consumer does not get goes into the log all the same.
    pub(super) fn keeps_all(&self) -> bool {
        self.overflow.is_wanted || self.has_sides()
    }

    /// Whether so many bytes more, when the buffer is full, are too much for this output. Where there is no other
    /// it is the one for which the buffer is full.
    pub(super) fn is_too_much(&self, i: usize, n: usize) -> bool {
        let owed = self.owed_to(i) as usize;
        !self.has_sides() || self.has_no_place() || owed + n > self.gate.marks().high
    }

    /// The consumer is owed these places, too.
    fn owe(&mut self, places: &Range<u64>) {
        self.log.pin(places);
        self.outputs[CONSUMER].queue.push(places.clone());
    }

    /// Takes a piece into the log.
    pub(super) fn enter(
        &mut self,
        read: &mut ReadState,
        scans: [Scan; 2],
        piece: &Piece,
    ) -> Range<u64> {
        let last_end = if piece.ends == 0 {
            0
        } else {
            piece.range.len() - usize::try_from(piece.end_depth).unwrap_or(0)
        };
        let entry = Entry {
            range: piece.range.clone(),
            depth: piece.depth,
            end_depth: piece.end_depth,
            ends: piece.ends,
            last_end,
        };
        match read.stored {
            Some(offset) => {
                let (most, shared) = (self.extent_most(read), self.shared_extent_most());
                let buffer = &mut read.buffer;
                match shared {
                    Some(part) => self.log.append_parts(buffer, entry, offset, (most, part)),
                    None => self.log.append_stored(buffer, entry, offset, most),
                }
            }
            None => self.log.append(&mut read.buffer, scans[0], entry),
        }
    }

    /// The record in progress goes on being shed, by this piece.
    fn skip(&mut self, piece: &Piece, places: &Range<u64>) {
        if piece.range.is_empty() {
            return;
        }
        let n = piece.range.len() as u64;
        let length = self.shedder.skipped.unwrap_or(0) + n;
        self.stats.shed.bytes += n;
        self.stats.shed.records += piece.ends;
        self.shedder.skipped = (piece.ends == 0).then_some(length);
        if piece.ends > 0 && self.is_oversized(length) {
            self.stats.shed_oversized += 1;
        }
        self.overflow_part(places);
        if piece.ends > 0 {
            self.overflow_finish();
        }
    }

    /// This piece, which begins with a record, is the newest and too much.
    fn discard(&mut self, piece: &Piece, places: &Range<u64>) {
        if piece.range.is_empty() {
            return;
        }
        self.stats.shed.bytes += piece.range.len() as u64;
        self.stats.shed.records += piece.ends;
        self.shedder.skipped = (piece.end_depth > 0).then_some(piece.end_depth);
        // What ends in it, and what begins in it and goes on.
        let whole = places.end - piece.end_depth.min(places.end - places.start);
        self.overflow_whole(&(places.start..whole));
        self.overflow_part(&(whole..places.end));
    }

    /// Drops the beginning of a record whose rest is about to be dropped.
    fn drop_begun(&mut self, depth: u64) {
        self.shedder.skipped = Some(depth);
        if let Some(run) = self.outputs[CONSUMER].queue.pop_back(depth) {
            self.stats.shed.bytes += run.end - run.start;
            self.overflow_part(&run);
            self.log.unpin(&run);
            if !self.keeps_all() {
                self.log.truncate(run.start);
                self.timeline.truncate(run.start);
            }
        }
    }

    /// Records that end in a piece and are too long for the buffer.
    fn oversized_in(&self, read: &Read, piece: &Piece) -> u64 {
        // As a rule nothing here can be so long, and nothing is searched.
        if !self.is_oversized(piece.range.len() as u64) {
            return 0;
        }
        let [_, bytes] = read.buffer.read(piece.range.end);
        let mut bytes = &bytes[piece.range.clone()];
        let mut n = 0;
        let start = super::record::Cursor::new(self.framing);
        loop {
            let end = start.reach(bytes, 1);
            let mut cursor = start;
            if end == 0 || cursor.pass(&bytes[..end]).ended == 0 {
                return n;
            }
            n += u64::from(self.is_oversized(end as u64));
            bytes = &bytes[end..];
        }
    }
}

/// Both, one behind the other.
fn all_of(head: &Piece, tail: &Piece) -> Piece {
    Piece {
        range: head.range.start..tail.range.end,
        ends: head.ends + tail.ends,
        depth: if head.range.is_empty() {
            tail.depth
        } else {
            head.depth
        },
        end_depth: tail.end_depth,
    }
}

/// What ends with the first record end in a piece, and what is behind it. Without framing nothing is.
fn split_record(all: Piece, scan: Scan) -> [Piece; 2] {
    let (at, ends) = if scan.ends > 0 {
        (scan.first_end, 1)
    } else {
        (all.range.end, 0)
    };
    let head = Piece {
        range: 0..at,
        ends,
        depth: all.depth,
        end_depth: if ends > 0 { 0 } else { all.end_depth },
    };
    let tail = Piece {
        range: at..all.range.end,
        ends: all.ends - ends,
        depth: 0,
        end_depth: all.end_depth,
    };
    [head, tail]
}
