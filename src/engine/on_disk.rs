//! The extents that lie on the disk, all together, and one of them that is being read back.

use std::ops::Range;
use std::sync::Arc;

use super::extent::Extent;
use super::record::Cursor;
use super::scan::Scan;
use super::segment::{Segment, writable};

/// Bytes in an extent on the disk, at most, and so in the memory into which it is read back.
pub(crate) const EXTENT_MOST: usize = 256 * 1024;

/// The extents on the disk, all together.
#[derive(Debug, Default)]
pub(crate) struct OnDisk {
    /// Bytes of them.
    pub(super) bytes: u64,
    /// Behind the last byte that was put there.
    pub(super) end: u64,
    /// The place behind the last byte that was put there.
    pub(super) to: u64,
    /// Some of them have been released since the floor was asked for.
    pub(super) is_freed: bool,
    /// The places of those that were read back.
    pub(super) here: Vec<u64>,
    /// Memory that was used for that.
    pub(super) free: Vec<Arc<Segment>>,
    /// Memory to read into what goes to the disk, when the system has no more.
    pub(super) reserve: Option<Arc<Segment>>,
}

impl OnDisk {
    /// Nobody is owed any of this extent.
    pub(super) fn on_released(&mut self, extent: Extent) {
        self.bytes -= extent.length as u64;
        self.is_freed = true;
        self.recycle(extent.segment);
    }

    pub(super) fn recycle(&mut self, segment: Option<Arc<Segment>>) {
        self.free
            .extend(segment.filter(|s| Arc::strong_count(s) == 1));
    }
}

/// An extent to be read back.
#[derive(Debug)]
pub(crate) struct Load {
    /// Where on the disk it begins.
    pub offset: u64,
    /// Its bytes, of which the first ones may be read alone.
    pub length: usize,
    /// What to read into, if there is memory at hand.
    pub(super) segment: Option<Arc<Segment>>,
    pub(super) at: u64,
    /// Where in its record it begins.
    pub(super) cursor: Cursor,
    /// What was read.
    pub(super) found: Found,
}

/// What was found where an extent is to be read back.
#[derive(Debug, Default, Clone)]
pub(crate) enum Found {
    /// Nothing yet.
    #[default]
    Nothing,
    /// Bytes: where in the memory they lie, and what was seen of them.
    Bytes(Range<usize>, Scan),
    /// So many bytes are lost, in which so many records end.
    Gap(usize, u64),
}

impl Found {
    /// Bytes that it accounts for, of so many.
    pub(super) fn length(&self, most: usize) -> usize {
        match self {
            Found::Nothing => 0,
            Found::Bytes(range, _) => range.len(),
            Found::Gap(bytes, _) => *bytes,
        }
        .min(most)
    }
}

impl Load {
    /// Whether memory must be [given](Load::give) first.
    pub(crate) fn wants_segment(&self) -> bool {
        self.segment.is_none()
    }

    /// Hands over memory for [`EXTENT_MOST`] bytes, mapped outside the lock.
    pub(crate) fn give(&mut self, segment: Arc<Segment>) {
        self.segment = Some(segment);
    }

    /// Where in its record it begins.
    pub(crate) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Where to read to.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        let segment = self.segment.as_mut();
        segment.map_or(&mut [], |s| writable(s, 0))
    }

    /// This part of the memory holds its first bytes.
    pub(crate) fn read(&mut self, range: Range<usize>) {
        let range = range.start..range.end.min(range.start + self.length);
        let cursor = self.cursor;
        let scan = Scan::over(cursor, &self.bytes()[range.clone()]);
        self.found = Found::Bytes(range, scan);
    }

    /// So many of its first bytes are lost, in which so many records end.
    pub(crate) fn lose(&mut self, bytes: u64, records: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.found = Found::Gap(bytes.min(self.length), records);
    }
}

/// What is known of the end of the nth record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nth {
    /// It is here.
    At(u64),
    /// There are only so many.
    Only(u64),
    /// It is in the extent at this place, which is on the disk.
    Away(u64),
}
