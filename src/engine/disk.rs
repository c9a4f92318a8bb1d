//! What is known of the disk behind memory.

use std::time::Instant;

/// What is known of the disk.
#[derive(Debug)]
pub(crate) struct Spill {
    /// Bytes of memory.
    pub(super) memory: u64,
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

impl Spill {
    pub(super) fn new(memory: usize) -> Spill {
        Spill {
            memory: memory as u64,
            short: None,
            full: None,
            memory_peak: 0,
            disk_peak: 0,
        }
    }
}
