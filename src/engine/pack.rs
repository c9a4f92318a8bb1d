//! Moves what lies scattered in the log together, so that memory is what is owed, and not many times that.
//!
//! A read fills a segment of its own when the last one may not be filled up: somebody is about to write from
//! it. While all keep up such a segment is free again in a moment. Where one output is behind it stays, filled
//! with as little as a page, for as long as that output is owed it. So pieces that lie in many segments are copied
//! into one, behind the lock, by the source's thread, whose reads are what such segments come from.
//!
//! Pieces that fill the memory they lie in are left alone: at full speed those are all of them, and copying would cost
//! as much as reading them did.
//!
//! Invariants: of the extents that hold a piece of memory each, two neighbours out of the last [`LOOSE`] apart,
//! any two neighbouring pieces are together larger than what is packed into one, or are of some that fill all but
//! a [sixteenth](FILLED) of their memory; no byte is copied more than a few times; nobody who reads an old piece
//! notices.

use std::ops::Range;
use std::sync::Arc;

use super::extent::Extent;
use super::log::Log;
use super::pieces::Pieces;
use super::segment::Segment;

/// Segments that may be filled with little before their contents are moved together.
pub(super) const LOOSE: usize = 16;
/// Segments' worth that is packed into one piece: what is lost at its end is at most a segment.
pub(super) const PACKED: usize = 4;
/// Pieces that fill so many parts of so many of their memory are not worth moving.
pub(super) const FILLED: (usize, usize) = (15, 16);
/// The same where records leave the middle all the time: what was moved together is soon full of gaps again. At a half, one loud
/// key among a hundred costs a quarter more than without it, and from here down nothing.
pub(super) const FILLED_LANES: (usize, usize) = (3, 8);

/// An extent that is moved.
#[derive(Debug)]
pub(super) struct Moved {
    /// Its place in the log.
    at: u64,
    /// Where it lies, and which parts of that are moved.
    segment: Arc<Segment>,
    parts: Vec<Range<usize>>,
    /// Bytes of memory that it has taken.
    length: usize,
    /// Which pieces of it they are, where some are left behind.
    pieces: Option<Box<Pieces>>,
}

impl Moved {
    /// Bytes of memory that are left behind.
    pub(super) fn saves(&self) -> usize {
        self.length - self.parts.iter().map(Range::len).sum::<usize>()
    }
}

impl Extent {
    /// It is to be moved as it is.
    fn whole(&self) -> Option<Moved> {
        Some(Moved {
            at: self.at,
            segment: self.segment.clone()?,
            parts: std::iter::once(self.start..self.start + self.memory_length()).collect(),
            length: self.memory_length(),
            pieces: None,
        })
    }

    /// These parts of it are to be moved.
    pub(super) fn thinned(&self, kept: Vec<Range<usize>>) -> Option<Moved> {
        let pieces = Some(Box::new(Pieces::of(&kept)));
        Some(Moved {
            at: self.at,
            segment: self.segment.clone()?,
            parts: kept.into_iter().map(|part| self.memory(&part)).collect(),
            length: self.memory_length(),
            pieces,
        })
    }
}

/// Extents to be moved together.
#[derive(Debug)]
pub(crate) struct Pack {
    from: Vec<Moved>,
    into: Option<Arc<Segment>>,
    /// They lie there, too.
    is_copied: bool,
    /// Bytes of memory that they go to.
    pub size: usize,
    /// Free memory that is given up for that.
    given_up: Vec<Arc<Segment>>,
}

impl Pack {
    /// Whether memory must be [given](Pack::give) first.
    #[must_use]
    pub(crate) fn wants_memory(&self) -> bool {
        self.into.is_none()
    }

    /// Hands over memory that was mapped outside the lock.
    pub(crate) fn give(&mut self, memory: Arc<Segment>) {
        self.into = Some(memory);
    }

    /// Copies; to be done outside the lock.
    pub(crate) fn copy(&mut self) {
        self.given_up.clear();
        let Some(into) = self.into.as_mut().and_then(Arc::get_mut) else {
            return;
        };
        let mut end = 0;
        for moved in &self.from {
            for part in &moved.parts {
                into.copy(end, &moved.segment, part.clone());
                end += part.len();
            }
        }
        self.is_copied = true;
    }
}

impl Log {
    /// What is to be moved together now, if that is worth it; given back by [`Log::end_pack`].
    /// `loose`: as many extents may be left alone, [`LOOSE`] but for tests. `filled`: so are those that fill so many parts of
    /// so many of their memory.
    pub(super) fn begin_pack(&mut self, loose: usize, filled: (usize, usize)) -> Option<Pack> {
        if self.extents.len() < loose {
            return None;
        }
        if self.released > self.in_memory() {
            // Of what was packed so little is left that it may be worth moving once more.
            (self.packed_to, self.released) = (0, 0);
        }
        // The last extent may still be filled up.
        let end = self.extents.len() - 1;
        let (mut first, mut bytes, mut pieces) = (self.index(self.packed_to), 0, 0);
        // Bytes of the memory that they lie in.
        let mut taken = 0;
        let mut previous: Option<&Extent> = None;
        for (i, extent) in self.extents.range(..end).enumerate().skip(first) {
            if !extent.is_in_memory() {
                // It has memory of its own, if any, and only while somebody writes from it.
                continue;
            }
            if bytes + extent.memory_length() > PACKED * self.segment {
                if pieces > 1 && bytes * filled.1 < taken * filled.0 {
                    self.packed_to = extent.at;
                    return Some(self.pack(first..i));
                }
                (first, bytes, pieces, taken) = (i, 0, 0, 0);
            }
            let shares = pieces > 0 && previous.is_some_and(|it| it.shares_with(extent));
            bytes += extent.memory_length();
            if !shares {
                pieces += 1;
                taken += extent.segment.as_ref().map_or(0, |memory| memory.len());
            }
            previous = Some(extent);
        }
        self.packed_to = self.extents.get(first).map_or(self.packed_to, |it| it.at);
        (pieces >= loose).then(|| self.pack(first..end))
    }

    fn pack(&mut self, which: Range<usize>) -> Pack {
        let memory = self.extents.range(which).filter(|it| it.is_in_memory());
        let from = memory.filter_map(Extent::whole).collect();
        self.pack_of(from)
    }

    pub(super) fn pack_of(&mut self, from: Vec<Moved>) -> Pack {
        let into = self.packs.pop();
        let mut given_up = Vec::new();
        if into.is_none() {
            // As much is dropped as is mapped for it: memory is what is owed, not that and what was owed before. The next
            // reads are made into what is packed now.
            self.give_up((PACKED * self.segment) as u64, &mut given_up);
        }
        Pack {
            from,
            into,
            is_copied: false,
            size: PACKED * self.segment,
            given_up,
        }
    }

    /// Where it has been copied the log looks there from now on.
    pub(super) fn end_pack(&mut self, pack: Pack) {
        let copied = pack.into.as_ref().filter(|_| pack.is_copied);
        let mut end = 0;
        for moved in pack.from {
            let i = self.index(moved.at);
            let bytes = moved.length - moved.saves();
            if let (Some(into), Some(extent)) = (copied, self.extents.get_mut(i))
                && extent.at == moved.at
                && extent.memory_length() == moved.length
            {
                self.in_memory -= moved.saves() as u64;
                self.released += moved.saves() as u64;
                extent.segment = Some(into.clone());
                extent.start = end;
                extent.pieces = moved.pieces.or(extent.pieces.take());
            }
            end += bytes;
            self.recycle(moved.segment);
        }
        pack.into.into_iter().for_each(|into| self.recycle(into));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::log::Entry;
    use crate::engine::record::Cursor;
    use crate::engine::scan::Scan;
    use crate::engine::segment::ReadBuffer;

    /// A log that is owed as many pieces as make it look for what to pack, each of so many bytes in 64 KiB.
    fn log_of(fill: usize) -> Log {
        let mut log = Log::new(256 << 10, None);
        assert_eq!(log.segment_size(), 64 << 10);
        for _ in 0..2 * LOOSE {
            let mut buffer = ReadBuffer::default();
            log.lend(&mut buffer, fill, None);
            buffer.give(Segment::map(64 << 10).expect("memory"));
            let entry = Entry {
                range: 0..fill,
                ..Entry::default()
            };
            let nothing = Scan::over(Cursor::new(None), &[]);
            let places = log.append(&mut buffer, nothing, entry);
            log.pin(&places);
        }
        log
    }

    #[test]
    fn what_fills_its_memory_is_not_copied_and_what_does_not_is() {
        for (fill, is_packed) in [(64, false), (61, false), (55, true), (5, true)] {
            let pack = log_of(fill << 10).begin_pack(LOOSE, FILLED);
            assert_eq!(pack.is_some(), is_packed, "{fill} KiB of 64");
        }
    }
}
