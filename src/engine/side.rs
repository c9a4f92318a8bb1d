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
    /// The same, for somebody who has come to look and will go again.
    Looker(u64),
    /// The newest so many bytes, which nobody takes: they are there for those who come to look.
    Recall(u64),
}

impl Role {
    /// How far it may be behind before its oldest are dropped; `None`: it is owed everything.
    #[must_use]
    pub(crate) fn share(self) -> Option<u64> {
        match self {
            Role::Tee => None,
            Role::Tap(share) | Role::Looker(share) | Role::Recall(share) => Some(share),
        }
    }

    /// Whether it was named by the user, and is reported.
    #[must_use]
    pub(crate) fn is_named(self) -> bool {
        matches!(self, Role::Tee | Role::Tap(_))
    }
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody is there to take anything: what passes meanwhile is dropped for a tap, and nothing is read for a tee.
    Vacant,
    /// It gets what is read next.
    Joining,
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
    /// Bytes can pass to it around the log.
    pub(super) is_pipe: bool,
    /// It has come since what is passing now has set out.
    pub(super) is_late: bool,
    /// How often somebody has come to it.
    pub(super) visit: u64,
    /// The record in progress at the input is being dropped.
    pub is_skipping: bool,
    /// It has come in the middle of that record, and has missed nothing so far.
    pub(super) is_new: bool,
    /// What had been read before it came.
    pub(super) since: Total,
    /// What an earlier run has left for it.
    pub(super) inherited: Total,
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
    /// What an earlier run has left for it.
    pub inherited: Count,
    /// Bytes that it is owed.
    pub owed: u64,
    /// How long the oldest of them have been waiting.
    pub lag: Duration,
    /// It has failed.
    pub failed: bool,
    /// Nobody is there to take anything.
    pub vacant: bool,
}

impl Side {
    pub(super) fn new(role: Role, stage: Stage) -> Side {
        Side {
            role,
            stage,
            is_pipe: false,
            is_late: false,
            visit: 0,
            is_skipping: false,
            is_new: stage == Stage::Joining,
            since: Total::default(),
            inherited: Total::default(),
            written: Total::default(),
            dropped: Total::default(),
            last_is_open: false,
            timeline: Timeline::default(),
        }
    }

    pub(super) fn drop_all(&mut self, bytes: u64, records: u64) {
        let total = match self.is_new {
            true => &mut self.since,
            false => &mut self.dropped,
        };
        total.bytes += bytes;
        total.records += records;
    }
}
