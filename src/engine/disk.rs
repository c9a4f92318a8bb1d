//! What is known of the disk behind memory.

use std::time::Instant;

use super::action::NoRoom;
use super::ticket::{Stretch, Tries};

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
    /// Since when nothing has come since others fill it.
    pub(super) held_by_others: Option<Instant>,
    /// Others were waited for for as long as they are, in vain: the rest of the record that has begun does not wait for them.
    pub(super) awaits_none: bool,
    /// The most that was held of each so far.
    pub(super) memory_peak: u64,
    pub(super) disk_peak: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Full {
    pub(super) again: Instant,
    pub(super) why: NoRoom,
}

/// What an earlier run has left on the disk: its places are its offsets there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inherited {
    /// What somebody is owed of it, in order for each of them. Several may be owed the same.
    pub parts: Vec<(Stretch, Owed)>,
    /// Behind its last byte; how far inside of a record that is.
    pub end: u64,
    /// See there.
    pub end_depth: u64,
    /// Batches so far, and what comes behind them: from which place on, behind so many records, and how far inside of
    /// one.
    pub last_batch: u64,
    /// See there.
    pub next: (u64, u64, u64),
}

/// Who is owed a part of what was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owed {
    /// The consumer.
    Consumer,
    /// It is a batch, of this number, which was tried so often.
    Batch(u64, Tries),
    /// The file for what is shed.
    Overflow,
    /// The tee of this number.
    Tee(usize),
}

impl Spill {
    pub(super) fn new(memory: usize, outlives: bool) -> Spill {
        Spill {
            memory: memory as u64,
            outlives,
            short: None,
            full: None,
            held_by_others: None,
            awaits_none: false,
            memory_peak: 0,
            disk_peak: 0,
        }
    }
}
