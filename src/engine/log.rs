//! The log: where the bytes are that somebody is still owed, in the order of their arrival.
//!
//! Bytes lie in extents, each in a segment of memory of its own. An extent is written once, by the source;
//! from then on it is read only, and shared by reference count with whoever writes it out, so that it
//! is held once however many outputs are owed it. A place in the log is the number of bytes that came into
//! it before. Queues say which places they are owed by [`Log::pin`] and [`Log::unpin`]; an extent that nobody
//! is owed any of gives its segment back at once, to be filled anew.
//!
//! Taking segments from the most recently used end of the free list keeps a lightly
//! used 1 GiB buffer inside the processor's cache and its untouched pages untouched; dropping the free list
//! gives the pages of a flood back to the system.
//!
//! Where there is a disk behind memory an extent may lie there instead, and comes back into memory while
//! somebody is about to write from it ([`disk`]); until then it knows where its first record ends and its last,
//! which is enough to drop whole records from it.
//!
//! Invariants: places never go back; every byte that is pinned is there; an extent knows where its records
//! end, so that a search looks at the bytes of one extent at most; segments in existence hold at most
//! four segments' worth more than was ever pinned at once, holes apart. When to read or to
//! write is the gate's business, not the log's.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::extent::Extent;
use super::on_disk::OnDisk;
use super::record::{Cursor, Framing};
use super::scan::Scan;
use super::segment::{Part, ReadBuffer, SEGMENT_MAX, SEGMENT_MIN, Segment};

mod boundaries;
mod disk;
mod join;
mod memory;
mod nth;

/// Reads of at most this many bytes are moved next to their predecessors, so that a producer of
/// single bytes does not fill the buffer with segments of one byte.
const COALESCE: usize = 4096;
/// Bytes of free segments that are kept for the next flood when the log has run empty.
const KEEP: usize = 1024 * 1024;
/// Free pieces of memory for what is packed that are kept when memory is wanted for reads.
const SPARE: usize = 1;
/// Segments' worth beside which a free piece of memory of another size is little.
const AMPLE: usize = 32;

/// What of the second slice of a buffer joins the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    /// Which of its bytes.
    pub range: Range<usize>,
    /// How far into a record the first of them is, and how far what comes behind the last of them.
    pub depth: u64,
    /// See there.
    pub end_depth: u64,
    /// Records that end in them.
    pub ends: u64,
    /// Their length up to the end of the last such record.
    pub last_end: usize,
}

/// The log itself. See the module's text.
#[derive(Debug)]
pub(crate) struct Log {
    framing: Option<Framing>,
    pub(super) segment: usize,
    pub(super) extents: VecDeque<Extent>,
    pub(super) free: Vec<Arc<Segment>>,
    /// Free pieces of memory of another size, for what is packed.
    pub(super) packs: Vec<Arc<Segment>>,
    /// Up to which place nothing can be packed any better.
    pub(super) packed_to: u64,
    /// Up to which place all was looked through for extents of which little is left.
    pub(super) thinned_to: u64,
    /// Bytes of the extents in memory that were given back since all was looked through for something to pack.
    pub(super) released: u64,
    /// Bytes of the extents that are in memory alone.
    pub(super) in_memory: u64,
    disk: OnDisk,
    /// The place of the next byte.
    end: u64,
    /// How far into a record that is.
    depth: u64,
    /// Records that end before it.
    records: u64,
}

impl Log {
    /// A log for a buffer of `capacity` bytes; nothing is mapped yet.
    #[must_use]
    pub(crate) fn new(capacity: usize, framing: Option<Framing>) -> Log {
        let quarter = (capacity / 4).max(1);
        Log {
            framing,
            segment: (1 << quarter.ilog2()).clamp(SEGMENT_MIN, SEGMENT_MAX),
            extents: VecDeque::new(),
            free: Vec::new(),
            packs: Vec::new(),
            packed_to: 0,
            thinned_to: 0,
            released: 0,
            in_memory: 0,
            disk: OnDisk::default(),
            end: 0,
            depth: 0,
            records: 0,
        }
    }

    /// Whether there are records, and not only bytes.
    #[must_use]
    pub(crate) fn has_records(&self) -> bool {
        self.framing.is_some()
    }

    /// How far into a record this place is, at which an extent begins; 0 where none does.
    #[must_use]
    pub(crate) fn depth_at(&self, at: u64) -> u64 {
        match self.extents.get(self.index(at)) {
            Some(extent) if extent.at == at => extent.depth,
            None if at == self.end => self.depth,
            _ => 0,
        }
    }

    /// Bytes in one segment.
    #[must_use]
    pub(crate) fn segment_size(&self) -> usize {
        self.segment
    }

    /// The place of the next byte.
    #[must_use]
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Where the last extent begins.
    #[must_use]
    pub(crate) fn last_extent(&self) -> u64 {
        self.extents.back().map_or(self.end, |extent| extent.at)
    }

    /// Where the extent begins that holds this place.
    #[must_use]
    pub(crate) fn extent_of(&self, place: u64) -> u64 {
        let extent = self.extents.get(self.index(place));
        extent.map_or(self.end, |extent| extent.at)
    }

    /// Equips `buffer` for a read of at most `room` bytes (and at most two segments); each call is followed
    /// by one of [`Log::append`]. `extend`: the last extent may be filled up with what comes from there on,
    /// and cannot be read meanwhile.
    pub(crate) fn lend(&mut self, buffer: &mut ReadBuffer, room: usize, extend: Option<Cursor>) {
        // Behind the beginning of a record whose rest was dropped nothing else may follow in one extent.
        if extend.is_some_and(|from| from.depth() == self.depth)
            && let Some(last) = self.extents.back_mut()
            && last.end() == self.end
            && last.stored.is_none()
            && last.is_ours()
            && last.spare() > 0
        {
            let filled = last.start + last.length;
            buffer.tail = last.segment.take().map(|segment| (segment, filled));
        }
        if buffer.fresh.is_none() {
            buffer.fresh = self.free.pop();
            if buffer.fresh.is_none() && extend.is_some() && self.is_ample() {
                // Nobody is about to write from the last extent: several reads fill what is larger. To give it back and map
                // as much anew would cost as much as the reads.
                buffer.fresh = self.packs.pop();
            }
            if buffer.fresh.is_none() && self.packs.len() > SPARE {
                // As much is about to be mapped.
                self.packs.pop();
            }
        }
        buffer.room = room.min(self.segment);
        buffer.size = self.segment;
    }

    /// Whether so much is held that a larger piece of memory, should it stay nearly empty, is nothing beside it.
    fn is_ample(&self) -> bool {
        self.in_memory >= (AMPLE * self.segment) as u64
    }

    /// Takes in what was read: all of the first slice of the buffer, and of the second what `entry` says.
    /// Returns the places of what was taken in.
    ///
    /// # Panics
    /// When more was read than was lent, or bytes are missing out of the middle.
    pub(crate) fn append(
        &mut self,
        buffer: &mut ReadBuffer,
        first: Scan,
        entry: Entry,
    ) -> Range<u64> {
        assert!(
            first.bytes + entry.range.end <= buffer.room,
            "more was read than was lent"
        );
        assert!(
            first.bytes == 0 || entry.range.start == 0,
            "bytes are missing"
        );
        buffer.room = 0;
        let begun = self.end;
        if let Some((segment, _)) = buffer.tail.take() {
            self.take_back(segment, first);
        }
        if !entry.range.is_empty() {
            self.append_fresh(buffer, entry);
        }
        begun..self.end
    }

    /// The last extent's segment comes back, filled up.
    fn take_back(&mut self, segment: Arc<Segment>, scan: Scan) {
        let Some(last) = self.extents.back_mut() else {
            unreachable!("the last extent stays while its segment is lent")
        };
        last.segment = Some(segment);
        last.grow(scan.bytes, scan.ends, scan.last_end);
        self.in_memory += scan.bytes as u64;
        self.end += scan.bytes as u64;
        self.records += scan.ends;
        if scan.bytes > 0 {
            self.depth = scan.cursor.depth();
        } else if last.pinned == 0 {
            // All that it held was dropped meanwhile.
            self.release(self.extents.len() - 1);
        }
    }

    /// What lies in this range of the fresh segment joins the log.
    fn append_fresh(&mut self, buffer: &mut ReadBuffer, entry: Entry) {
        let Some(fresh) = buffer.fresh.take() else {
            unreachable!("bytes were read into a segment that was not there")
        };
        let (n, at) = (entry.range.len(), self.end);
        let goes_on = self.depth == entry.depth;
        self.end += n as u64;
        self.in_memory += n as u64;
        self.depth = entry.end_depth;
        let before = self.records;
        self.records += entry.ends;
        if let Some(tail) = self.extents.back_mut().filter(|_| n <= COALESCE && goes_on)
            && tail.end() == at
            && tail.stored.is_none()
            && tail.spare() >= n
            && let Some(segment) = tail.segment.as_mut().and_then(Arc::get_mut)
        {
            let to = tail.start + tail.length;
            segment.0[to..to + n].copy_from_slice(&fresh.0[entry.range]);
            tail.grow(n, entry.ends, entry.last_end);
            buffer.fresh = Some(fresh);
            return;
        }
        self.extents.push_back(Extent {
            segment: Some(fresh),
            stored: None,
            is_loading: false,
            is_frozen: false,
            at,
            start: entry.range.start,
            length: n,
            depth: entry.depth,
            before,
            ends: entry.ends,
            last_end: entry.last_end,
            first_end: None,
            pinned: 0,
            pieces: None,
        });
    }

    /// Takes the last bytes from `to` on back out, which nobody is owed.
    pub(crate) fn truncate(&mut self, to: u64) {
        while let Some(last) = self.extents.back_mut()
            && last.end() > to
        {
            let keep = to.saturating_sub(last.at) as usize;
            if keep == 0 {
                self.release(self.extents.len() - 1);
            } else {
                let less = match &mut last.pieces {
                    Some(pieces) => pieces.truncate(keep) as u64,
                    None => (last.length - keep) as u64,
                };
                last.length = keep;
                match last.stored {
                    Some(_) => self.disk.bytes -= less,
                    None => self.in_memory -= less,
                }
                break;
            }
        }
        self.end = self.end.min(to);
        // Only the beginning of a record is ever taken back.
        self.depth = 0;
    }

    /// These places are owed to one more.
    pub(crate) fn pin(&mut self, range: &Range<u64>) {
        for extent in self.over(range) {
            extent.pinned += extent.overlap(range).len();
        }
    }

    /// These places are owed to one less.
    pub(crate) fn unpin(&mut self, range: &Range<u64>) {
        self.unpin_all(std::slice::from_ref(range));
    }

    /// These places, which are in order, are owed to one less.
    pub(crate) fn unpin_all(&mut self, mut ranges: &[Range<u64>]) {
        let Some(first) = ranges.first() else { return };
        let mut i = self.index(first.start);
        while let Some(extent) = self.extents.get_mut(i)
            && !ranges.is_empty()
        {
            let (at, end) = (extent.at, extent.end());
            let mut bytes = 0;
            while let Some((range, rest)) = ranges.split_first()
                && range.start < end
            {
                bytes += range.end.min(end).saturating_sub(range.start.max(at));
                if range.end > end {
                    break;
                }
                ranges = rest;
            }
            extent.pinned -= bytes as usize;
            match extent.pinned == 0 && !extent.is_lent() {
                true => self.release(i),
                false => i += 1,
            }
        }
    }

    /// Nobody is owed any of this extent: its segment is free.
    fn release(&mut self, i: usize) {
        let Some(extent) = self.extents.remove(i) else {
            return;
        };
        if extent.stored.is_some() {
            return self.disk.on_released(extent);
        }
        self.in_memory -= extent.memory_length() as u64;
        self.released += extent.memory_length() as u64;
        if let Some(segment) = extent.segment {
            self.recycle(segment);
        }
    }

    /// The extent that holds this place, or the next one.
    pub(super) fn index(&self, at: u64) -> usize {
        match self.extents.front() {
            Some(first) if first.end() > at => 0,
            _ => self.extents.partition_point(|extent| extent.end() <= at),
        }
    }

    fn over(&mut self, range: &Range<u64>) -> impl Iterator<Item = &mut Extent> {
        let (i, end) = (self.index(range.start), range.end);
        self.extents
            .range_mut(i..)
            .take_while(move |extent| extent.at < end)
    }

    /// The bytes at these places, piece by piece; those that the source is filling up are left out, and
    /// whatever comes behind them.
    pub(crate) fn parts(&self, range: Range<u64>) -> impl Iterator<Item = Part> {
        let i = self.index(range.start);
        self.extents.range(i..).map_while(move |extent| {
            let part = extent.overlap(&range);
            let segment = extent.segment.clone().filter(|_| !part.is_empty())?;
            let range = extent.memory(&part);
            Some(Part { segment, range })
        })
    }

    /// Up to which place the bytes can be looked at: the source may be filling up the last extent.
    #[must_use]
    pub(crate) fn readable(&self) -> u64 {
        let lent = self.extents.back().filter(|extent| extent.is_lent());
        lent.map_or(self.end, |extent| extent.at)
    }
}

#[cfg(test)]
mod tests;
