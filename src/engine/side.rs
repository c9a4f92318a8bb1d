//! What an output beside the consumer is, and its books.

use std::time::Duration;

use super::age::Timeline;
use super::stats::Total;
use super::status::Count;

/// What an output beside the consumer is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything.
    Tee,
    /// What it can take while it is behind by no more than so many bytes.
    Tap(u64),
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody is there to take anything: what passes meanwhile is dropped for it.
    Vacant,
    Open,
    /// It has all that it is to have, or has failed.
    Over {
        failed: bool,
    },
}

/// What an output has that the consumer has not, or has elsewhere.
#[derive(Debug)]
pub(crate) struct Side {
    pub(super) role: Role,
    pub(super) stage: Stage,
    /// The record in progress at the input is being dropped.
    pub is_skipping: bool,
    pub(super) written: Total,
    pub(super) dropped: Total,
    /// The last record has no end: it is complete when all is written.
    pub(super) last_is_open: bool,
    pub(super) timeline: Timeline,
}

/// The books of an output beside the consumer, at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SideStatus {
    /// Given to it.
    pub written: Count,
    /// Dropped for it alone.
    pub dropped: Count,
    /// Bytes that it is owed.
    pub owed: u64,
    /// How long the oldest of them have been waiting.
    pub lag: Duration,
    /// It has failed.
    pub failed: bool,
}

impl Side {
    pub(super) fn drop_all(&mut self, bytes: u64, records: u64) {
        self.dropped.bytes += bytes;
        self.dropped.records += records;
    }
}
