//! Where records begin and end in the log: found by the ends that each extent knows, and by looking where it does not.

use std::ops::Range;

use super::Log;
use crate::engine::extent::Extent;
use crate::engine::record::{Cursor, Framing};

impl Log {
    /// Records that end at these places.
    #[must_use]
    pub(crate) fn records(&self, range: &Range<u64>) -> u64 {
        let i = self.index(range.start);
        let over = self
            .extents
            .range(i..)
            .take_while(|extent| extent.at < range.end);
        over.map(|extent| {
            let part = extent.overlap(range);
            if part.len() == extent.length || extent.ends == 0 {
                extent.ends
            } else if let Some(ended) = extent.count_stored(self.framing, &part) {
                ended
            } else {
                self.cursor(extent, part.start)
                    .pass(extent.bytes(part))
                    .ended
            }
        })
        .sum()
    }

    /// Records that end before this place, counted on from one for which that is known, as far as that is in the same extent.
    #[must_use]
    pub(crate) fn records_before(&self, at: u64, known: Option<(u64, u64)>) -> u64 {
        let Some(extent) = self.extents.get(self.index(at)) else {
            return self.records;
        };
        if at <= extent.at {
            return extent.before;
        }
        let known = known.filter(|(place, _)| (extent.at..=at).contains(place));
        let (from, before) = known.unwrap_or((extent.at, extent.before));
        before + self.records(&(from..at))
    }

    /// How far inside of a record this place is, which is in an extent that is here, or begins one.
    #[must_use]
    pub(crate) fn depth_of(&self, at: u64) -> u64 {
        match self.extents.get(self.index(at)) {
            None => self.depth,
            Some(extent) if at <= extent.at => extent.depth,
            Some(extent) => self.depth_behind(extent.at, extent.depth, at),
        }
    }

    /// The same of the second of these places, where it is known of the first.
    #[must_use]
    pub(crate) fn depth_behind(&self, from: u64, depth: u64, at: u64) -> u64 {
        match self.framing {
            None => 0,
            Some(Framing::Fixed(size)) => (depth + (at - from)) % size,
            Some(Framing::Terminator(_)) => {
                let end = self.last_boundary(from, at);
                end.map_or(depth + (at - from), |end| at - end)
            }
        }
    }

    /// Where in its record this place of an extent is: exact for records of a fixed size, which is all that
    /// counting needs.
    fn cursor(&self, extent: &Extent, at: usize) -> Cursor {
        Cursor::at(self.framing, extent.depth + at as u64)
    }

    /// Whether the byte before this place, which must be there, ends a record.
    #[must_use]
    pub(crate) fn is_boundary(&self, at: u64) -> bool {
        let extent = self.extents.get(self.index(at.saturating_sub(1)));
        match (self.framing, extent) {
            (None, _) => true,
            (_, Some(extent)) if at == extent.at => extent.depth == 0,
            (Some(Framing::Fixed(size)), Some(extent)) => {
                (extent.depth + (at - extent.at)).is_multiple_of(size.get())
            }
            (Some(Framing::Terminator(_)), Some(extent)) if !extent.is_here() => {
                extent.known_end((at - extent.at) as usize)
            }
            (Some(Framing::Terminator(end)), Some(extent)) => {
                let before = (at - extent.at) as usize - 1;
                // What comes behind something that was dropped begins with a record.
                let byte = extent.bytes(before..before + 1).first();
                byte.is_none_or(|byte| *byte == end)
            }
            (_, None) => true,
        }
    }

    /// The first end of a record behind `from`, at `to` at the latest.
    #[must_use]
    pub(crate) fn next_boundary(&self, from: u64, to: u64) -> Option<u64> {
        let i = self.index(from);
        for extent in self.extents.range(i..).take_while(|extent| extent.at < to) {
            let skip = from.saturating_sub(extent.at) as usize;
            if !extent.is_lent() && extent.ends > 0 && extent.last_end > skip {
                let Some(end) = self.first_end(extent, skip) else {
                    continue;
                };
                let at = extent.at + end as u64;
                return (at <= to).then_some(at);
            }
        }
        None
    }

    /// The length of an extent up to the first end behind `skip`: there is one, if all of it is there.
    fn first_end(&self, extent: &Extent, skip: usize) -> Option<usize> {
        Some(match self.framing {
            None => skip + 1,
            Some(Framing::Fixed(size)) => {
                let size = size.get();
                let into = (extent.depth + skip as u64) % size;
                skip + (size - into) as usize
            }
            Some(Framing::Terminator(_)) if !extent.is_here() => extent.first_known_end(skip),
            Some(Framing::Terminator(end)) => {
                let bytes = extent.bytes(skip..extent.length);
                skip + memchr::memchr(end, bytes)? + 1
            }
        })
    }

    /// The last end of a record behind `from`, at `to` at the latest.
    #[must_use]
    pub(crate) fn last_boundary(&self, from: u64, to: u64) -> Option<u64> {
        let behind = self.extents.partition_point(|extent| extent.at < to);
        let over = self.extents.range(self.index(from).min(behind)..behind);
        over.rev()
            .find_map(|extent| self.last_end(extent, from, to))
    }

    fn last_end(&self, extent: &Extent, from: u64, to: u64) -> Option<u64> {
        let part = extent.overlap(&(from..to));
        if extent.ends == 0 || extent.is_lent() {
            return None;
        }
        let end = if extent.last_end <= part.end {
            extent.last_end
        } else {
            match self.framing {
                None => part.end,
                Some(Framing::Fixed(size)) => {
                    let into = (extent.depth + part.end as u64) % size.get();
                    part.end.checked_sub(into as usize)?
                }
                Some(Framing::Terminator(_)) if !extent.is_here() => {
                    extent.last_known_end(&part)?
                }
                Some(Framing::Terminator(end)) => {
                    memchr::memrchr(end, extent.bytes(part.clone()))? + part.start + 1
                }
            }
        };
        (end > part.start).then_some(extent.at + end as u64)
    }
}
