//! What a run is told at first; checked by whoever makes it.

use std::time::Duration;

use super::batch::BatchRules;
use super::gate::Marks;
use super::limiter::{Bursts, Cap};
use super::policy::Policy;
use super::record::Framing;
use super::stall::Timeouts;
use super::workers::WorkerRules;

/// Caps on one side, for bytes and for records.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// On bytes.
    pub bytes: Option<Cap>,
    /// On records.
    pub records: Option<Cap>,
}

/// How much a run reads at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopAt {
    /// Bytes.
    Bytes(u64),
    /// Records that end.
    Records(u64),
}

impl StopAt {
    /// Bytes that may be read whatever they are: a record is a byte at least.
    pub(super) fn bytes(self) -> usize {
        let (StopAt::Bytes(n) | StopAt::Records(n)) = self;
        usize::try_from(n).unwrap_or(usize::MAX)
    }

    /// What is left of it after so many bytes, in which so many records end.
    pub(super) fn less(self, bytes: usize, ends: u64) -> StopAt {
        match self {
            StopAt::Bytes(n) => StopAt::Bytes(n.saturating_sub(bytes as u64)),
            StopAt::Records(n) => StopAt::Records(n.saturating_sub(ends)),
        }
    }
}

/// What a run is told; checked by whoever makes one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Capacity of the buffer in bytes.
    pub capacity: usize,
    /// The part of it that is memory, where the rest is disk.
    pub memory: Option<usize>,
    /// Whether all goes to a disk, and stays there when this run ends; memory is then known, too.
    pub outlives: bool,
    /// The watermarks.
    pub marks: Marks,
    /// Whether bytes may bypass the log while nothing is held, without being looked at.
    pub may_bypass: bool,
    /// Whether what is given to the consumer may have to be given to another one.
    pub keeps_given: bool,
    /// When a batch is closed, where the consumer is a program that is run for each.
    pub batch: Option<BatchRules>,
    /// How many programs take from one queue, where these are the consumer.
    pub workers: Option<WorkerRules>,
    /// What makes a record, if anything does.
    pub framing: Option<Framing>,
    /// Caps on what leaves.
    pub output: Limits,
    /// Caps on what is taken.
    pub input: Limits,
    /// What may pass at once after a pause.
    pub burst: Bursts,
    /// What to drop when the buffer is full; `None`: block.
    pub shed: Option<Policy>,
    /// Drop what has waited longer than this.
    pub max_age: Option<Duration>,
    /// Where reading ends, if not at the end of the input.
    pub stop_at: Option<StopAt>,
    /// How long each side may stall.
    pub timeouts: Timeouts,
    /// How much of what has passed is kept for those who come to look, in bytes.
    pub recall: Option<u64>,
}

impl Rules {
    /// Whether freshness rules from the start.
    #[must_use]
    pub(crate) fn is_fresh(&self) -> bool {
        self.shed.is_some() || self.max_age.is_some()
    }

    /// How long the sides may stall as far as they are looked at together: each program that runs with a batch, or
    /// beside others, is looked at by itself.
    pub(super) fn common_timeouts(&self) -> Timeouts {
        let apart = self.batch.is_some() || self.workers.is_some();
        let sink = self.timeouts.sink.filter(|_| !apart);
        Timeouts {
            sink,
            ..self.timeouts
        }
    }
}
