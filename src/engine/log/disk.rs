//! What of the log lies on a disk. The log knows offsets there, and nothing of files: whoever acts for the engine
//! puts bytes there and reads them back, outside the lock.
//!
//! Pieces that lie side by side, there and in the stream, are one extent of at most [`EXTENT_MOST`] bytes, so that a
//! producer of single bytes does not fill memory with extents of one byte, and one is read back at a time.
//!
//! Invariants: the extents on the disk lie there in their own order; what is before the floor is owed to nobody; an
//! extent that is not here is cut only at its ends, behind its first record or behind its last, or where somebody
//! writes from it, and then it is here.

mod load;

use std::ops::Range;
use std::sync::Arc;

use super::{Entry, Log};
use crate::engine::extent::Extent;
use crate::engine::record::{Cursor, Framing};
use crate::engine::scan::Scan;
use crate::engine::segment::{ReadBuffer, Segment};
use crate::engine::ticket::Stretch;

impl Log {
    /// Bytes of the extents on the disk.
    #[must_use]
    pub(crate) fn on_disk(&self) -> u64 {
        self.disk.bytes
    }

    /// The place behind the last byte that was put on the disk.
    #[must_use]
    pub(crate) fn disk_to(&self) -> u64 {
        self.disk.to
    }

    /// Bytes of the extents that are in memory alone.
    #[must_use]
    pub(crate) fn in_memory(&self) -> u64 {
        self.in_memory
    }

    /// Memory to read into what goes to the disk, whatever the system has left.
    pub(crate) fn give_reserve(&mut self, segment: Arc<Segment>) {
        self.disk.reserve = Some(segment);
    }

    /// Equips `buffer` for a read of at most `room` bytes that go to the disk; else as [`Log::lend`].
    pub(crate) fn lend_for_disk(&mut self, buffer: &mut ReadBuffer, room: usize) {
        self.lend(buffer, room, None);
        if buffer.fresh.is_none() {
            buffer.fresh = self.disk.reserve.take();
        }
    }

    /// Takes in what was read and put on the disk: what `entry` says, whose buffer begins there at `offset`. It may
    /// join the last extent as long as that has no more than `most` bytes. Returns the places of what was taken in.
    pub(crate) fn append_stored(
        &mut self,
        buffer: &mut ReadBuffer,
        entry: Entry,
        offset: u64,
        most: usize,
    ) -> Range<u64> {
        buffer.room = 0;
        let (n, begun) = (entry.range.len(), self.end);
        let offset = offset + entry.range.start as u64;
        if n > 0 {
            let first_end = self.first_end_in(buffer, &entry);
            self.disk.bytes += n as u64;
            // What lies between was not taken in: nobody is owed it.
            self.disk.is_freed |= offset > self.disk.end;
            self.disk.end = offset + n as u64;
            self.end += n as u64;
            self.disk.to = self.end;
            if !self.joins_last(&entry, (begun, offset), most) {
                self.push_stored(&entry, (begun, offset));
            }
            self.depth = entry.end_depth;
            self.records += entry.ends;
            let Some(last) = self.extents.back_mut() else {
                unreachable!("it was just made sure of")
            };
            // Where records end in it already, the first of them may not be known; this is not it.
            if last.ends == 0 {
                last.first_end = first_end.map(|first| last.length + first);
            }
            last.grow(n, entry.ends, entry.last_end);
        }
        begun..self.end
    }

    /// The same, in extents of at most `part` bytes each.
    pub(crate) fn append_parts(
        &mut self,
        buffer: &mut ReadBuffer,
        mut entry: Entry,
        offset: u64,
        (most, part): (usize, usize),
    ) -> Range<u64> {
        let (begun, most) = (self.end, most.min(part));
        while entry.range.len() > part {
            let first = entry.range.start..entry.range.start + part;
            let cursor = Cursor::at(self.framing, entry.depth);
            let bytes = buffer.fresh.as_ref().map(|it| &it.0[first.clone()]);
            let scan = Scan::over(cursor, bytes.unwrap_or_default());
            let depth = scan.cursor.depth();
            let head = Entry {
                range: first,
                depth: entry.depth,
                end_depth: depth,
                ends: scan.ends,
                last_end: scan.last_end,
            };
            self.append_stored(buffer, head, offset, most);
            (entry.range.start, entry.depth) = (entry.range.start + part, depth);
            entry.ends -= scan.ends;
            let last_end = entry.last_end.saturating_sub(part);
            entry.last_end = if entry.ends > 0 { last_end } else { 0 };
        }
        self.append_stored(buffer, entry, offset, most);
        begun..self.end
    }

    /// What was lent for a read that goes to the disk is there for the next one.
    pub(crate) fn keep_reserve(&mut self, buffer: &mut ReadBuffer) {
        if self.disk.reserve.is_none() {
            self.disk.reserve = buffer.fresh.take();
        }
    }

    /// These places are dropped: where they end in the middle of an extent, nothing may be added to that, for only the
    /// ends that it has now are known.
    pub(crate) fn freeze(&mut self, range: &Range<u64>) {
        if self.disk.bytes > 0
            && let Some(last) = self.extents.back_mut()
            && last.at < range.end
        {
            last.is_frozen = true;
        }
    }

    /// The length up to the first end of a record in this entry.
    fn first_end_in(&self, buffer: &ReadBuffer, entry: &Entry) -> Option<usize> {
        match (self.framing, &buffer.fresh) {
            (Some(Framing::Terminator(end)), Some(fresh)) if entry.ends > 0 => {
                let found = memchr::memchr(end, &fresh.0[entry.range.clone()]);
                found.map(|at| at + 1)
            }
            _ => None,
        }
    }

    fn joins_last(&self, entry: &Entry, (at, offset): (u64, u64), most: usize) -> bool {
        self.extents.back().is_some_and(|last| {
            let ends_at = last.stored.map(|from| from + last.length as u64);
            ends_at == Some(offset)
                && last.end() == at
                && last.segment.is_none()
                && !last.is_loading
                && !last.is_frozen
                && self.depth == entry.depth
                && last.length.saturating_add(entry.range.len()) <= most
        })
    }

    fn push_stored(&mut self, entry: &Entry, (at, offset): (u64, u64)) {
        self.extents.push_back(Extent {
            segment: None,
            stored: Some(offset),
            is_loading: false,
            is_frozen: false,
            at,
            start: 0,
            length: 0,
            depth: entry.depth,
            before: self.records,
            ends: 0,
            last_end: 0,
            first_end: None,
            pinned: 0,
            pieces: None,
        });
    }

    /// What an earlier run has left on the disk ends here: its places are its offsets. So far inside of a record, and behind
    /// so many.
    pub(crate) fn inherit(
        &mut self,
        parts: impl Iterator<Item = Stretch>,
        end: u64,
        (depth, records): (u64, u64),
    ) {
        for part in parts {
            self.records = part.before;
            let length = (part.to - part.from) as usize;
            let [depth, end_depth] = part.depths;
            let entry = Entry {
                depth,
                ..Entry::default()
            };
            self.disk.bytes += length as u64;
            self.push_stored(&entry, (part.from, part.from));
            if let Some(last) = self.extents.back_mut() {
                let behind = usize::try_from(end_depth).unwrap_or(0).min(length);
                last.grow(length, part.records, length - behind);
                // Who is owed only what comes begins where it ends.
                last.is_frozen = true;
            }
        }
        (self.disk.end, self.disk.to) = (end, end);
        (self.end, self.depth, self.records) = (end, depth, records);
    }

    /// Where on the disk this place lies, and how many bytes there are in one piece with it.
    #[must_use]
    pub(crate) fn stored_at(&self, place: u64) -> Option<(u64, u64)> {
        let extent = self.extents.get(self.index(place))?;
        let into = place.checked_sub(extent.at)?;
        Some((extent.stored? + into, extent.end() - place))
    }

    /// Those that were read back leave memory again, but for those that hold some of these places, and those that
    /// somebody writes from. Returns where those end that have left.
    pub(crate) fn evict(&mut self, keep: &[Range<u64>]) -> Vec<u64> {
        let mut left = Vec::new();
        let mut here = std::mem::take(&mut self.disk.here);
        here.retain(|at| {
            let i = self.index(*at);
            let extent = self.extents.get_mut(i).filter(|it| it.at == *at);
            let Some(extent) = extent else {
                return false;
            };
            let is_kept = keep
                .iter()
                .any(|it| it.start < extent.end() && extent.at < it.end);
            if is_kept || !extent.is_ours() {
                return true;
            }
            let segment = extent.segment.take();
            // Somebody has had it up to its end, which is the only place in it but its ends that is known then.
            extent.is_frozen = true;
            left.push(extent.end());
            self.disk.recycle(segment);
            false
        });
        self.disk.here = here;
        left
    }

    /// What lies in these places stays in memory alone, where it is here and nobody is owed any of its extents but at
    /// `these` places: then nothing is kept on the disk for it.
    pub(crate) fn keep_in_memory(&mut self, places: &Range<u64>, these: &[Range<u64>]) {
        let mut kept = Vec::new();
        for extent in self.over(places) {
            let pins = these.iter().map(|run| extent.overlap(run).len());
            let is_theirs = extent.pinned == pins.sum::<usize>();
            if extent.stored.is_some() && extent.segment.is_some() && is_theirs {
                extent.stored = None;
                kept.push((
                    extent.at,
                    extent.length as u64,
                    extent.memory_length() as u64,
                ));
            }
        }
        for (at, length, memory) in kept {
            self.disk.bytes -= length;
            self.disk.is_freed = true;
            self.disk.here.retain(|here| *here != at);
            self.in_memory += memory;
        }
    }

    /// Whether some of what is on the disk is owed to nobody any more.
    #[must_use]
    pub(crate) fn is_freed(&self) -> bool {
        self.disk.is_freed
    }

    /// Before which offset on the disk nobody is owed anything, if that has changed since this was asked.
    pub(crate) fn take_floor(&mut self) -> Option<u64> {
        if !std::mem::take(&mut self.disk.is_freed) {
            return None;
        }
        Some(self.floor())
    }

    /// Before which offset on the disk nobody is owed anything.
    #[must_use]
    pub(crate) fn floor(&self) -> u64 {
        let mut stored = self.extents.iter().filter_map(|extent| extent.stored);
        stored.next().unwrap_or(self.disk.end)
    }

    /// Whether nobody is owed less than whoever has this floor knows.
    #[must_use]
    pub(crate) fn is_floor(&self, floor: u64) -> bool {
        self.floor() <= floor
    }

    /// Bytes in memory alone that somebody is owed.
    #[cfg(test)]
    pub(crate) fn owed_in_memory(&self) -> u64 {
        let memory = self.extents.iter().filter(|it| it.stored.is_none());
        memory.map(|it| it.pinned.min(it.length) as u64).sum()
    }

    /// What is on the disk can be counted, and lies in order.
    #[cfg(test)]
    pub(crate) fn check_disk(&self) {
        let stored = self.extents.iter().filter(|it| it.stored.is_some());
        let bytes: u64 = stored.clone().map(|it| it.length as u64).sum();
        assert_eq!(bytes, self.disk.bytes, "bytes on the disk");
        assert!(
            stored.is_sorted_by_key(|it| it.stored),
            "the order on the disk"
        );
        let memory = self.extents.iter().filter(|it| it.stored.is_none());
        let bytes: u64 = memory.map(|it| it.memory_length() as u64).sum();
        assert_eq!(bytes, self.in_memory, "bytes in memory");
    }
}
