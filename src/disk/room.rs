//! How much of a disk is used, and that it is never more than was allowed.
//!
//! Room is taken of the bound and of the disk at once, before anything is written.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

use super::sys::{self, Call};

/// Space is taken and given back in pages.
pub(crate) const PAGE: u64 = 4096;

/// Most room that is taken at once. A stream that is short then takes little, and a full disk is nearly used up before
/// it counts as full.
pub(crate) const STEP_MOST: u64 = 4 << 20;

/// The least room that is asked of a disk that is nearly full.
const STEP_LEAST: u64 = 64 << 10;

/// What has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The segments have all that they may have: room comes when a reader goes on.
    Bound,
    /// The disk: room comes from elsewhere, unannounced.
    Disk,
}

/// How much of a disk may be used, and how much is.
#[derive(Debug)]
pub(crate) struct Room {
    bound: u64,
    used: AtomicU64,
}

impl Room {
    pub(crate) fn new(bound: u64) -> Room {
        let used = AtomicU64::new(0);
        Room { bound, used }
    }

    /// Bytes that are in use.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// Takes up to `want` bytes, in whole pages.
    pub(crate) fn take(&self, want: u64) -> u64 {
        let mut granted = 0;
        let _ = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                granted = want.min(self.bound.saturating_sub(used)) / PAGE * PAGE;
                Some(used + granted)
            });
        granted
    }

    /// Counts what is there already, within the bound or not.
    pub(crate) fn count(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        let less = |used: u64| used.checked_sub(bytes);
        let given = (self.used).fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        debug_assert!(given.is_ok(), "more is given back than was taken");
    }

    /// Whether what is in use is more than half of the disk that this is on.
    pub(crate) fn is_most_of_disk(&self, place: &Path) -> bool {
        sys::size_of_disk(place).is_some_and(|size| self.used() > size / 2)
    }

    /// This part of the bound, for one of so many segments.
    pub(crate) fn part(&self, of: u64) -> u64 {
        part_of(self.bound, of)
    }
}

/// This part of so many bytes, for one of so many segments.
pub(crate) fn part_of(bytes: u64, of: u64) -> u64 {
    (bytes / of / PAGE * PAGE).max(STEP_LEAST)
}

/// Whole pages that hold so many bytes.
pub(crate) fn pages(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE) * PAGE
}

/// Takes room for up to `want` bytes of a file from `from` on, less where the disk is nearly full.
pub(crate) fn reserve(
    file: &File,
    from: u64,
    want: u64,
    room: &Room,
) -> Result<Result<u64, Full>, Errno> {
    let mut granted = room.take(want);
    if granted == 0 {
        return Ok(Err(Full::Bound));
    }
    loop {
        match sys::meet(Call::Room).and_then(|()| sys::reserve(file, from, granted)) {
            Ok(()) => return Ok(Ok(granted)),
            Err(error) if sys::is_full(error) => {
                let less = pages(granted / 2);
                if granted <= STEP_LEAST.min(want) || less >= granted {
                    room.give_back(granted);
                    return Ok(Err(Full::Disk));
                }
                room.give_back(granted - less);
                granted = less;
            }
            Err(error) => {
                room.give_back(granted);
                return Err(error);
            }
        }
    }
}
