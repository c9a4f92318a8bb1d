//! The extents that lie on the disk, all together, and one of them that is being read back.

use std::sync::Arc;

use super::extent::Extent;
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
    /// Its bytes.
    pub length: usize,
    /// What to read into, if there is memory at hand.
    pub(super) segment: Option<Arc<Segment>>,
    pub(super) at: u64,
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

    /// Where to read to.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        let n = self.length;
        let segment = self.segment.as_mut();
        segment.map_or(&mut [], |s| &mut writable(s, 0)[..n])
    }
}
