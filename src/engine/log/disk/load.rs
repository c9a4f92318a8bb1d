//! What lies on the disk comes back into memory, for whoever is about to write from it.
//!
//! Invariant: at most one extent is read back at a time, into memory of its own, and outside the lock.

use std::ops::Range;

use super::super::Log;
use crate::engine::extent::Extent;
use crate::engine::on_disk::{EXTENT_MOST, Found, Load};
use crate::engine::record::{Cursor, Framing};

impl Log {
    /// Up to which place the bytes from this one on can be looked at without a gap, an extent's worth or more.
    #[must_use]
    pub(crate) fn here_to(&self, place: u64) -> u64 {
        if self.disk.bytes == 0 {
            return self.readable();
        }
        let mut to = place;
        for extent in self.extents.range(self.index(place)..) {
            if !extent.is_here() || extent.at > to || to >= place + EXTENT_MOST as u64 {
                break;
            }
            to = extent.end();
        }
        to
    }

    /// Whether the extent at this place is on the disk alone; and whether it is being read back.
    #[must_use]
    pub(crate) fn away(&self, place: u64) -> Option<bool> {
        let extent = self.extents.get(self.index(place))?;
        let is_away = extent.stored.is_some() && !extent.is_here() && extent.at <= place;
        is_away.then_some(extent.is_loading)
    }

    /// The extent at this place, which is away, is to be read back.
    pub(crate) fn begin_load(&mut self, place: u64) -> Load {
        let i = self.index(place);
        let segment = self.disk.free.pop();
        let framing = self.framing;
        let Some(extent) = self.extents.get_mut(i) else {
            unreachable!("nothing is there to be read back")
        };
        extent.is_loading = true;
        Load {
            offset: extent.stored.unwrap_or_default(),
            length: extent.length,
            segment,
            at: extent.at,
            cursor: Cursor::at(framing, extent.depth),
            found: Found::Nothing,
        }
    }

    /// It was read back, or not; of what was, so many bytes are pinned, once for each pin. Nobody may be owed it any
    /// more. Returns the places that are lost, if any are.
    pub(crate) fn end_load(&mut self, load: Load, pinned: usize) -> Option<Range<u64>> {
        let i = self.index(load.at);
        let is_it =
            |it: &&Extent| it.is_loading && it.at == load.at && it.stored == Some(load.offset);
        let Some(length) = self.extents.get(i).filter(is_it).map(|it| it.length) else {
            self.disk.recycle(load.segment);
            return None;
        };
        let found = load.found.length(length);
        if 0 < found && found < length {
            self.split(i, &load, found, pinned);
        }
        let extent = &mut self.extents[i];
        extent.is_loading = false;
        let lost = match load.found {
            Found::Bytes(range, scan) => {
                (extent.segment, extent.start) = (load.segment, range.start);
                (extent.ends, extent.first_end) = (scan.ends, scan.seen_first_end());
                extent.last_end = scan.last_end;
                self.disk.here.push(load.at);
                None
            }
            found => {
                self.disk.recycle(load.segment);
                let lost = matches!(found, Found::Gap(..));
                lost.then(|| load.at..self.extents[i].end())
            }
        };
        // Somebody has had the beginning of it, and nobody is owed what was read now.
        if self.extents[i].pinned == 0 {
            self.release(i);
        }
        lost
    }

    /// The first bytes of an extent become one of their own.
    pub(super) fn split(&mut self, i: usize, load: &Load, first: usize, pinned: usize) {
        let framing = self.framing;
        let extent = &mut self.extents[i];
        let (ends, first_end, last_end, behind) = match &load.found {
            Found::Bytes(_, scan) => (scan.ends, scan.seen_first_end(), scan.last_end, scan.cursor),
            // Where a record begins behind a gap is known only if all are of one size.
            Found::Gap(_, ends) => match framing {
                Some(Framing::Fixed(_)) => {
                    let depth = extent.depth + first as u64;
                    (*ends, Some(first), first, Cursor::at(framing, depth))
                }
                _ => (*ends, Some(first), first, Cursor::new(framing)),
            },
            Found::Nothing => return,
        };
        let ends = ends.min(extent.ends);
        let rest = Extent {
            segment: None,
            stored: extent.stored.map(|at| at + first as u64),
            is_loading: false,
            is_frozen: extent.is_frozen,
            at: extent.at + first as u64,
            start: 0,
            length: extent.length - first,
            depth: behind.depth(),
            before: extent.before + ends,
            ends: extent.ends - ends,
            last_end: extent.last_end.saturating_sub(first),
            // Somebody may begin behind it.
            first_end: match ends {
                0 => extent.first_end.map(|end| end.saturating_sub(first)),
                _ => None,
            },
            pinned: extent.pinned - pinned,
            pieces: None,
        };
        extent.length = first;
        (extent.ends, extent.first_end, extent.last_end) = (ends, first_end, last_end);
        extent.pinned = pinned;
        let is_owed = rest.pinned > 0;
        self.extents.insert(i + 1, rest);
        if !is_owed {
            // Others have had the end of it already.
            self.release(i + 1);
        }
    }
}
