//! The memory of the log: segments that are free, and those that go back to the system.
//!
//! Invariant: what goes back to the system is nobody's, and is handed to the caller: nothing is unmapped under the lock.

use std::sync::Arc;

use super::super::segment::Segment;
use super::{KEEP, Log};

impl Log {
    /// A piece of memory that is free, unless somebody still reads it or an extent lies in it.
    pub(in crate::engine) fn recycle(&mut self, segment: Arc<Segment>) {
        if Arc::strong_count(&segment) > 1 {
            return;
        }
        match segment.len() == self.segment {
            true => self.free.push(segment),
            false => self.packs.push(segment),
        }
    }

    /// Whether a segment is free.
    #[must_use]
    pub(crate) fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Bytes of free memory that is kept for what comes.
    #[must_use]
    pub(crate) fn free_memory(&self) -> u64 {
        let packs: usize = self.packs.iter().map(|it| it.len()).sum();
        (self.free.len() * self.segment + packs) as u64
    }

    /// Takes about so many bytes of it off the free list, those that have lain there for longest first, for the caller to drop
    /// outside the lock.
    pub(crate) fn give_up(&mut self, bytes: u64, into: &mut Vec<Arc<Segment>>) {
        let n = (bytes / self.segment as u64).min(self.free.len() as u64);
        into.extend(self.free.drain(..n as usize));
    }

    /// Whether the free list holds more than is worth keeping.
    #[must_use]
    pub(crate) fn is_bloated(&self) -> bool {
        self.free.len() * self.segment > KEEP || !self.packs.is_empty()
    }

    /// Takes what is not worth keeping off the free list, for the caller to drop outside the lock.
    pub(crate) fn trim(&mut self) -> Vec<Arc<Segment>> {
        let keep = (KEEP / self.segment).min(self.free.len());
        let mut rest = self.free.split_off(keep);
        rest.append(&mut self.packs);
        rest
    }

    /// Bytes of memory in which something lies that is there alone, and how many bytes that is.
    #[cfg(test)]
    pub(crate) fn footprint(&self) -> (usize, usize) {
        let extents = self.extents.iter().filter(|extent| extent.stored.is_none());
        let mut pieces: Vec<_> = extents.filter_map(|e| e.segment.as_ref()).collect();
        pieces.sort_by_key(|segment| Arc::as_ptr(segment));
        pieces.dedup_by_key(|segment| Arc::as_ptr(segment));
        let memory = pieces.iter().map(|segment| segment.len()).sum();
        (memory, self.in_memory as usize)
    }

    /// Bytes that are pinned, once for each pin.
    #[cfg(test)]
    pub(crate) fn pinned(&self) -> u64 {
        self.extents.iter().map(|extent| extent.pinned as u64).sum()
    }

    /// Extents that there are.
    #[cfg(test)]
    pub(crate) fn extents(&self) -> usize {
        self.extents.len()
    }
}
