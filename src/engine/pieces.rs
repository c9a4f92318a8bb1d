//! What is left in memory of an extent of which most was dropped.
//!
//! Invariant: the pieces are in order and do not touch each other, and in memory they lie one behind the other; whatever
//! somebody is owed of the extent lies within one of them, as far as it goes without a gap.

use std::ops::Range;

/// See the module's text. Offsets are from the beginning of the extent, and from that of its memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces {
    /// Where each begins in the extent, and where in memory.
    begins: Vec<(u32, u32)>,
    /// Their length in all.
    bytes: usize,
}

impl Pieces {
    /// These pieces of an extent.
    pub(super) fn of(all: &[Range<usize>]) -> Pieces {
        let mut pieces = Pieces::default();
        pieces.begins.reserve_exact(all.len());
        for piece in all {
            // An extent is at most a segment long.
            pieces
                .begins
                .push((piece.start as u32, pieces.bytes as u32));
            pieces.bytes += piece.len();
        }
        pieces
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where in memory this place is, and how much of its piece begins there; nothing where it was dropped.
    fn find(&self, at: usize) -> Option<(usize, usize)> {
        let behind = self.begins.partition_point(|begin| begin.0 as usize <= at);
        let (from, memory) = self.begins[behind.checked_sub(1)?];
        let end = self
            .begins
            .get(behind)
            .map_or(self.bytes, |next| next.1 as usize);
        let place = memory as usize + (at - from as usize);
        (place < end).then(|| (place, end - place))
    }

    /// Where in memory these places are, or as many of the first of them as are there.
    pub(super) fn memory(&self, places: &Range<usize>) -> Range<usize> {
        match self.find(places.start) {
            Some((from, most)) => from..from + places.len().min(most),
            None => 0..0,
        }
    }

    /// What is behind this place is nobody's. Returns how many bytes of memory that was.
    pub(super) fn truncate(&mut self, to: usize) -> usize {
        let keep = self.begins.partition_point(|begin| (begin.0 as usize) < to);
        let before = self.bytes;
        if let Some((_, memory)) = self.begins.get(keep) {
            self.bytes = *memory as usize;
        }
        self.begins.truncate(keep);
        if let Some((from, memory)) = self.begins.last() {
            self.bytes = self.bytes.min(*memory as usize + to - *from as usize);
        } else {
            self.bytes = 0;
        }
        before - self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_where_they_were_put() {
        let all = [10..20, 30..31, 50..90];
        let mut pieces = Pieces::of(&all);
        assert_eq!(pieces.bytes(), 51);
        let mut memory = 0;
        for place in 0..100 {
            let there = all.iter().any(|piece| piece.contains(&place));
            let found = pieces.memory(&(place..place + 5));
            assert_eq!(found.is_empty(), !there, "{place}");
            if there {
                assert_eq!(found.start, memory, "{place}");
                memory += 1;
            }
        }
        assert_eq!(pieces.memory(&(12..15)), 2..5);
        assert_eq!(pieces.memory(&(50..200)), 11..51);
        assert_eq!(pieces.truncate(60), 30);
        assert_eq!(pieces.memory(&(50..200)), 11..21);
        assert_eq!(pieces.truncate(30), 11);
        assert_eq!((pieces.bytes(), pieces.memory(&(30..31))), (10, 0..0));
        assert_eq!(pieces.truncate(5), 10);
        assert_eq!(pieces.bytes(), 0);
    }
}
