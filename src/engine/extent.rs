//! A stretch of the log that lies in one segment.
//!
//! Invariant: it knows how many records end in it, where the last of them does, and how far into a record it
//! begins; so where a record ends is found by looking at the bytes of one extent at most. One that is on the disk alone
//! knows where the first of them does, too, and is cut only there, behind its last record, or at its ends.

use std::ops::Range;
use std::sync::Arc;

use super::pieces::Pieces;
use super::record::Framing;
use super::segment::Segment;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Extent {
    /// `None` while the source fills it up, or while it is on the disk alone.
    pub(super) segment: Option<Arc<Segment>>,
    /// Where on the disk its first byte lies, if it does.
    pub(super) stored: Option<u64>,
    /// It is being read back.
    pub(super) is_loading: bool,
    /// Something of it was dropped, or was read back, of one that is on the disk: it grows no more.
    pub(super) is_frozen: bool,
    /// The place of its first byte.
    pub(super) at: u64,
    /// Where in the segment that is.
    pub(super) start: usize,
    pub(super) length: usize,
    /// How far into a record its first byte is.
    pub(super) depth: u64,
    /// Records that end before it.
    pub(super) before: u64,
    /// Records that end in it, and the length up to the end of the last of them.
    pub(super) ends: u64,
    pub(super) last_end: usize,
    /// The length up to the end of the first of them, of one that is on the disk; `None` where there is none, or nobody
    /// has seen it.
    pub(super) first_end: Option<usize>,
    /// Bytes in it that are pinned, once for each pin.
    pub(super) pinned: usize,
    /// What of it is in memory, where that is not all.
    pub(super) pieces: Option<Box<Pieces>>,
}

impl Extent {
    pub(super) fn end(&self) -> u64 {
        self.at + self.length as u64
    }

    /// The bytes of a part of it, or as many of the first of them as are there.
    pub(super) fn bytes(&self, part: Range<usize>) -> &[u8] {
        let segment = self.segment.as_ref();
        segment.map_or(&[], |s| &s.0[self.memory(&part)])
    }

    /// Where in its segment that is.
    pub(super) fn memory(&self, part: &Range<usize>) -> Range<usize> {
        let place = match &self.pieces {
            Some(pieces) => pieces.memory(part),
            None => part.clone(),
        };
        place.start + self.start..place.end + self.start
    }

    /// Bytes of memory that it takes.
    pub(super) fn memory_length(&self) -> usize {
        let pieces = self.pieces.as_ref();
        pieces.map_or(self.length, |pieces| pieces.bytes())
    }

    /// The part of it that lies in `range`, from its own start on.
    pub(super) fn overlap(&self, range: &Range<u64>) -> Range<usize> {
        let from = range.start.clamp(self.at, self.end()) - self.at;
        let to = range.end.clamp(self.at, self.end()) - self.at;
        from as usize..(to as usize).max(from as usize)
    }

    pub(super) fn spare(&self) -> usize {
        let segment = self.segment.as_ref().filter(|_| self.pieces.is_none());
        segment.map_or(0, |s| s.len() - self.start - self.length)
    }

    /// Whether its bytes can be looked at.
    pub(super) fn is_here(&self) -> bool {
        self.segment.is_some()
    }

    /// Whether it lies in the same piece of memory as another one.
    pub(super) fn shares_with(&self, other: &Extent) -> bool {
        let both = self.segment.as_ref().zip(other.segment.as_ref());
        both.is_some_and(|(a, b)| Arc::ptr_eq(a, b))
    }

    /// Whether its bytes are in memory alone, and can be looked at.
    pub(super) fn is_in_memory(&self) -> bool {
        self.segment.is_some() && self.stored.is_none()
    }

    /// Whether the source is filling it up.
    pub(super) fn is_lent(&self) -> bool {
        self.segment.is_none() && self.stored.is_none()
    }

    /// Whether a record is known to end here.
    pub(super) fn known_end(&self, at: usize) -> bool {
        self.ends > 0 && (self.first_end == Some(at) || at == self.last_end)
    }

    /// The first end behind `skip` that is known; there is one.
    pub(super) fn first_known_end(&self, skip: usize) -> usize {
        let first = self.first_end.filter(|first| *first > skip);
        first.unwrap_or(self.last_end)
    }

    /// The last known end in this part, of one whose last end is behind it.
    pub(super) fn last_known_end(&self, part: &Range<usize>) -> Option<usize> {
        self.first_end.filter(|first| *first <= part.end)
    }

    /// Records that end in a part of it, if it is on the disk alone.
    pub(super) fn count_stored(
        &self,
        framing: Option<Framing>,
        part: &Range<usize>,
    ) -> Option<u64> {
        if self.is_here() || self.stored.is_none() {
            return None;
        }
        let ended_before = |at: usize| match framing {
            Some(Framing::Fixed(size)) => (self.depth + at as u64) / size,
            _ => self.ended_before(at),
        };
        Some(ended_before(part.end) - ended_before(part.start))
    }

    fn ended_before(&self, at: usize) -> u64 {
        debug_assert!(
            self.ends <= 2 || at == 0 || self.first_end >= Some(at) || at >= self.last_end,
            "cut in the middle, at {at} of {self:?}"
        );
        match () {
            () if at >= self.last_end => self.ends,
            () if self.first_end.is_some_and(|first| first <= at) => 1,
            () => 0,
        }
    }

    /// Whether its segment may be written to.
    pub(super) fn is_ours(&self) -> bool {
        self.segment
            .as_ref()
            .is_some_and(|s| Arc::strong_count(s) == 1)
    }

    /// How far into a record its end is.
    pub(super) fn end_depth(&self, framing: Option<Framing>) -> u64 {
        let length = self.length as u64;
        match framing {
            Some(Framing::Fixed(size)) => (self.depth + length) % size,
            Some(Framing::Terminator(_)) if self.ends > 0 => length - self.last_end as u64,
            Some(Framing::Terminator(_)) => self.depth + length,
            None => self.depth,
        }
    }

    /// It has grown by `n` bytes, in which `ends` records end, the last of them after `last`.
    pub(super) fn grow(&mut self, n: usize, ends: u64, last: usize) {
        if ends > 0 {
            self.last_end = self.length + last;
            self.ends += ends;
        }
        self.length += n;
    }
}
