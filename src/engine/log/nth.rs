//! Where the last of so many records ends.
//!
//! Invariant: bytes are looked at in one extent at most, the one in which that is; where that one lies on the disk alone
//! it has to be read back first, unless its own books tell.

use std::ops::Range;

use super::Log;
use crate::engine::extent::Extent;
use crate::engine::on_disk::Nth;
use crate::engine::record::Framing;

impl Log {
    /// Where the nth record that ends in this range does.
    #[must_use]
    pub(crate) fn nth_end(&self, range: &Range<u64>, n: u64) -> Nth {
        let mut ended = 0;
        let i = self.index(range.start);
        for extent in self.extents.range(i..) {
            if extent.at >= range.end {
                break;
            }
            let part = extent.overlap(range);
            let here = self.records(&(extent.at + part.start as u64..extent.at + part.end as u64));
            if ended + here >= n {
                return self.nth_in(extent, part, n - ended);
            }
            ended += here;
        }
        Nth::Only(ended)
    }

    /// The same in a part of an extent, in which so many end, or more.
    fn nth_in(&self, extent: &Extent, part: Range<usize>, n: u64) -> Nth {
        let at = match self.framing {
            None => part.end,
            Some(Framing::Fixed(size)) => {
                let into = (extent.depth + part.start as u64) % size;
                part.start + (n * size.get() - into) as usize
            }
            Some(Framing::Terminator(_)) if !extent.is_here() => {
                let first = Some(extent.first_end).filter(|first| *first > 0);
                let before = u64::from(first.is_some_and(|first| first <= part.start));
                match (before + n, first) {
                    (1, Some(first)) => first,
                    // Where the first one is not known, none is known to end before the part but at its own beginning.
                    (all, first) if all == extent.ends && (first.is_some() || part.start == 0) => {
                        extent.last_end
                    }
                    _ => return Nth::Away(extent.at),
                }
            }
            Some(Framing::Terminator(end)) => {
                let bytes = extent.bytes(part.clone());
                let nth = usize::try_from(n - 1).unwrap_or(usize::MAX);
                let found = memchr::memchr_iter(end, bytes).nth(nth);
                found.map_or(part.end, |at| part.start + at + 1)
            }
        };
        Nth::At(extent.at + at as u64)
    }
}
