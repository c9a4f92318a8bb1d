//! Extents of which most was dropped: what is left of them is moved together, so that a few records that are still
//! owed do not keep the memory of all that came with them.
//!
//! Where memory is not short that is done when half of it is gaps; where it is, when a quarter as much as is owed is.
//!
//! An extent is thinned as a whole, by the source's thread on its next read, behind the lock. It keeps its place
//! in the log and what it knows of its records; only where its bytes lie is then said piece by piece.
//!
//! Invariants: what is owed stays where it can be found; an extent that an output has begun to take, or may have to
//! be given again, is left alone, so that no piece begins in the middle of a record but at the beginning of
//! an extent.

use std::ops::Range;

use super::action::OVERFLOW;
use super::extent::Extent;
use super::log::Log;
use super::pack::{Moved, PACKED, Pack};
use super::state::Engine;

/// Extents that are looked at in one go.
const LOOKS: usize = 4096;
/// Segments' worth of memory for which it is worth doing.
const WORTH: usize = 2;

/// Which places are owed to whom.
struct Owed<'a> {
    engine: &'a Engine,
    /// Those that stand in no queue which is in order.
    others: Vec<Range<u64>>,
    /// Extents that hold one of these are left alone.
    heads: Vec<u64>,
}

impl Engine {
    /// What is to be moved together now of extents of which most was dropped, if that is worth it.
    pub(super) fn begin_thin(&mut self) -> Option<Pack> {
        let is_short = self.over_books() > 0;
        let gaps = match is_short {
            true => self.gaps(),
            false => self.log.gaps(2 * self.owed_in_all()),
        };
        if gaps == 0 {
            return None;
        }
        let pack = self.log.plan_thin(&Owed::of(self), is_short);
        pack.and_then(|(moved, upto)| self.log.begin_thin(moved, upto))
    }

    /// Bytes of memory that are got back when extents are thinned, or more.
    pub(super) fn gaps(&self) -> u64 {
        let owed = self.owed_in_all();
        self.log.gaps(owed + owed / 4)
    }

    /// Bytes that are owed, once for each to whom they are.
    fn owed_in_all(&self) -> u64 {
        let owed: u64 = self.outputs.iter().map(|output| output.queue.owed()).sum();
        owed + self.overflow.unfinished_bytes() + self.given.bytes()
    }
}

impl<'a> Owed<'a> {
    fn of(engine: &'a Engine) -> Owed<'a> {
        let mut others: Vec<_> = engine.outputs[OVERFLOW].queue.runs().cloned().collect();
        others.extend(engine.overflow.unfinished.clone());
        others.extend(engine.given.runs().cloned());
        let mut heads: Vec<_> = engine.given.runs().take(1).map(|run| run.start).collect();
        for output in &engine.outputs {
            others.extend(output.queue.claims().cloned());
            let head = output.queue.claim().or(output.queue.first());
            heads.extend(head.map(|run| run.start));
        }
        others.sort_by_key(|run| run.start);
        Owed {
            engine,
            others,
            heads,
        }
    }

    /// Whether somebody has begun to take this extent, or may have to be given it again.
    fn is_head(&self, extent: &Extent) -> bool {
        let places = extent.at..extent.end();
        self.heads.iter().any(|head| places.contains(head))
    }

    /// The parts of an extent that are owed, from its own beginning on, in order and without touching each other; `None`
    /// where it is not known who is owed what of it.
    fn parts_of(&self, extent: &Extent) -> Option<Vec<Range<usize>>> {
        let places = extent.at..extent.end();
        let mut kept = Kept::default();
        for (i, output) in self.engine.outputs.iter().enumerate() {
            if i != OVERFLOW {
                let owed = output.queue.over(&places);
                owed.for_each(|run| kept.add(extent.overlap(run)));
            }
        }
        // They do not overlap, so that their ends are in order, too.
        let first = self.others.partition_point(|run| run.end <= places.start);
        let others = self.others[first..].iter();
        let others = others.take_while(|run| run.start < places.end);
        others.for_each(|run| kept.add(extent.overlap(run)));
        // Else somebody else is owed something of it.
        (kept.bytes == extent.pinned).then(|| kept.in_order())
    }
}

/// Parts of an extent that are owed.
#[derive(Default)]
struct Kept {
    parts: Vec<Range<usize>>,
    /// Bytes in them, once for each to whom they are.
    bytes: usize,
    /// One does not lie behind the one before it: several are owed them.
    is_mixed: bool,
}

impl Kept {
    #[inline]
    fn add(&mut self, part: Range<usize>) {
        self.bytes += part.len();
        self.is_mixed |= self.parts.last().is_some_and(|last| part.start <= last.end);
        if !part.is_empty() {
            self.parts.push(part);
        }
    }

    fn in_order(mut self) -> Vec<Range<usize>> {
        if self.is_mixed {
            self.parts.sort_by_key(|part| part.start);
            self.parts.dedup_by(|next, part| {
                let touches = next.start <= part.end;
                if touches {
                    part.end = part.end.max(next.end);
                }
                touches
            });
        }
        self.parts
    }
}

impl Log {
    /// Bytes of memory beyond these, and what it is not worth to go after.
    fn gaps(&self, most: u64) -> u64 {
        let most = most + (2 * WORTH * self.segment) as u64;
        self.in_memory().saturating_sub(most)
    }

    /// What is to be moved, and up to which place nothing else is for now: in order, so that what lies in one piece of memory
    /// goes together and does not keep it.
    /// `is_short`: of extents, too, of which an eighth is gaps.
    fn plan_thin(&self, owed: &Owed, is_short: bool) -> Option<(Vec<Moved>, u64)> {
        // The last extent may still be filled up.
        let last = self.extents.len().checked_sub(1)?;
        let first = self.index(self.thinned_to).min(last);
        let all = self.extents.range(first..last.min(first + LOOKS));
        let (loose, upto) = self.loose(owed, is_short, all);
        let moved = loose.into_iter();
        let moved = moved.filter_map(|extent| extent.thinned(owed.parts_of(extent)?));
        Some((moved.collect(), upto))
    }

    /// The first of these extents that are to be moved together, if that is worth it; and up to where they were looked at.
    fn loose<'a>(
        &self,
        owed: &Owed,
        is_short: bool,
        extents: impl Iterator<Item = &'a Extent>,
    ) -> (Vec<&'a Extent>, u64) {
        let (mut loose, mut bytes, mut saved, mut upto) = (Vec::new(), 0, 0, 0);
        for extent in extents {
            let length = extent.memory_length();
            let most = if is_short { length / 8 * 7 } else { length / 2 };
            if extent.is_in_memory() && extent.pinned < most && !owed.is_head(extent) {
                bytes += extent.pinned;
                if bytes > PACKED * self.segment {
                    upto = extent.at;
                    break;
                }
                saved += length - extent.pinned;
                loose.push(extent);
            }
            upto = extent.end();
        }
        if saved < WORTH * self.segment {
            loose.clear();
        }
        (loose, upto)
    }

    fn begin_thin(&mut self, moved: Vec<Moved>, upto: u64) -> Option<Pack> {
        let is_all = self.extents.back().is_none_or(|last| upto >= last.at);
        self.thinned_to = if is_all { 0 } else { upto };
        let saved: usize = moved.iter().map(Moved::saves).sum();
        (saved >= WORTH * self.segment).then(|| self.pack_of(moved))
    }
}
