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
                let first = extent.first_end;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::log::Entry;
    use crate::engine::segment::{ReadBuffer, Segment};

    const SIZE: usize = 64 << 10;

    /// Puts lines of two bytes on the disk, behind those that are there.
    fn store(log: &mut Log, lines: usize) {
        let mut buffer = ReadBuffer::default();
        log.lend_for_disk(&mut buffer, 2 * lines);
        buffer.give(Segment::map(SIZE).expect("memory"));
        let text = b"x\n".repeat(lines);
        buffer.slices()[1][..text.len()].copy_from_slice(&text);
        let entry = Entry {
            range: 0..text.len(),
            ends: lines as u64,
            last_end: text.len(),
            ..Entry::default()
        };
        let offset = log.end();
        let places = log.append_stored(&mut buffer, entry, offset, SIZE);
        log.pin(&places);
    }

    #[test]
    fn the_rest_of_what_was_read_back_in_part_does_not_take_a_later_end_for_its_first() {
        let mut log = Log::new(1 << 20, Some(Framing::Terminator(b'\n')));
        store(&mut log, 6);
        let mut load = log.begin_load(0);
        load.give(Segment::map(SIZE).expect("memory"));
        load.bytes()[..6].copy_from_slice(b"x\nx\nx\n");
        load.read(0..6);
        assert_eq!(log.end_load(load, 6), None);
        store(&mut log, 2);
        for (from, n, is) in [(0, 1, Nth::At(2)), (0, 3, Nth::At(6)), (0, 4, Nth::Away(6))] {
            assert_eq!(log.nth_end(&(from..16), n), is, "{n} from {from}");
        }
        assert_eq!(log.nth_end(&(6..16), 1), Nth::Away(6));
        assert_eq!(log.nth_end(&(6..16), 5), Nth::At(16));
        assert_eq!(log.nth_end(&(6..16), 6), Nth::Only(5));
    }
}
