//! What is known of the disk behind memory.

use std::time::Instant;

/// What is known of the disk.
#[derive(Debug)]
pub(crate) struct Spill {
    /// Bytes of memory.
    pub(super) memory: u64,
    /// All goes there, and stays there when this run ends.
    pub(super) outlives: bool,
    /// The system has let us have no more of it, and this is when to try again.
    pub(super) short: Option<Instant>,
    /// It has no room, and this is when to try again.
    pub(super) full: Option<Full>,
    /// The most that was held of each so far.
    pub(super) memory_peak: u64,
    pub(super) disk_peak: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Full {
    pub(super) again: Instant,
    /// It is others who fill it, not what is ours.
    pub(super) others: bool,
}

/// What an earlier run has left on the disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inherited {
    /// The offsets of its first byte there, and behind its last one.
    pub from: u64,
    /// See there.
    pub to: u64,
    /// Records that end in it.
    pub records: u64,
    /// How far inside of a record it begins, and ends.
    pub depths: [u64; 2],
}

impl Spill {
    pub(super) fn new(memory: usize, outlives: bool) -> Spill {
        Spill {
            memory: memory as u64,
            outlives,
            short: None,
            full: None,
            memory_peak: 0,
            disk_peak: 0,
        }
    }
}
