//! What a weir says of itself at one instant: totals since the start, and what holds now. Rates and
//! the holdup are differences of two of these, which is the report's business.
//!
//! Invariant: `read = written + shed + buffer.used`, in bytes, and in records where they are
//! counted.

use std::time::{Duration, Instant};

use super::Engine;

use serde::{Deserialize, Serialize};

/// An amount of data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Bytes.
    pub bytes: u64,
    /// Records; `None` without a framing option.
    pub records: Option<u64>,
}

/// What went over the top.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shed {
    /// All that was shed, for whatever reason.
    pub total: Count,
    /// Records in `total` that were larger than the buffer.
    pub oversized: u64,
    /// Records in `total` that had waited for too long (bytes without a framing option).
    pub expired: u64,
}

/// The log, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Buffer {
    /// What fits.
    pub capacity: usize,
    /// What is held.
    pub used: usize,
    /// The most that was ever held.
    pub peak: usize,
    /// Occupancy at which reading starts again.
    pub low: usize,
    /// Occupancy at which reading stops.
    pub high: usize,
}

/// Time spent waiting since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// For the producer, while we were willing to read and had nothing to deliver.
    pub source: Duration,
    /// For the consumer, while there was data that nothing else held.
    pub sink: Duration,
    /// For a cap, while there was data.
    pub cap: Duration,
}

/// Caps in force on the output, per second; `None` is no cap.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Caps {
    /// Bytes per second.
    pub bytes: Option<f64>,
    /// Records per second.
    pub records: Option<f64>,
}

/// How long data has been waiting in the buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ages {
    /// The oldest byte held now.
    pub now: Duration,
    /// Median of what was delivered.
    pub p50: Duration,
    /// 99th percentile of what was delivered.
    pub p99: Duration,
    /// The oldest ever delivered.
    pub max: Duration,
}

/// With whom a cap is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// How many share it, this one included.
    pub members: u64,
    /// The others cannot be heard of: only a part of the cap passes.
    pub is_cut_off: bool,
}

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// A prefill holds the output.
    Filling,
    /// Data flows.
    Flowing,
    /// The buffer is at its high mark; the producer waits.
    Blocked,
    /// There is nothing to deliver.
    Starved,
    /// A cap holds the output.
    Capped,
    /// Data goes over the top.
    Shedding,
    /// Somebody has paused the output.
    Paused,
    /// No more is read; what is held is delivered.
    Draining,
    /// It is over.
    Done,
}

/// The whole of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Status {
    /// Time since the start.
    pub elapsed: Duration,
    /// What is going on.
    pub state: State,
    /// The log.
    pub buffer: Buffer,
    /// Taken from the producer.
    pub read: Count,
    /// Given to the consumer.
    pub written: Count,
    /// Bytes of `written` that bypassed the log.
    pub spliced: u64,
    /// What went over the top.
    pub shed: Shed,
    /// The caps in force.
    pub caps: Caps,
    /// With whom they are shared; told by whoever knows.
    pub share: Option<Share>,
    /// Time spent waiting.
    pub waits: Waits,
    /// Ages of the data; `None` until something has waited in the buffer.
    pub ages: Option<Ages>,
}

impl Engine {
    /// The books, and the ages of the data.
    #[must_use]
    pub(crate) fn status(&self, now: Instant) -> Status {
        Status {
            ages: self.timeline.ages(now),
            ..self.books(now)
        }
    }

    /// The books alone, which cost next to nothing.
    #[must_use]
    pub(crate) fn books(&self, now: Instant) -> Status {
        let marks = self.gate.marks();
        Status {
            elapsed: now.saturating_duration_since(self.started),
            state: self.state(now),
            buffer: Buffer {
                capacity: self.capacity,
                used: self.occupancy(),
                peak: self.stats.peak,
                low: marks.low,
                high: marks.high,
            },
            read: self.stats.read.counting(self.framing.is_some()),
            written: self.stats.written.counting(self.framing.is_some()),
            spliced: self.stats.spliced,
            shed: Shed {
                total: self.stats.shed.counting(self.framing.is_some()),
                oversized: self.stats.shed_oversized,
                expired: self.stats.shed_expired,
            },
            caps: Caps {
                bytes: self.output.bytes.per_second(),
                records: self.output.records.per_second(),
            },
            share: None,
            waits: Waits {
                source: self.stats.starved.total(now),
                sink: self.stats.sink.total(now),
                cap: self.stats.cap.total(now),
            },
            ages: None,
        }
    }

    fn state(&self, now: Instant) -> State {
        match () {
            () if self.is_finished() => State::Done,
            () if self.paused => State::Paused,
            () if self.ended => State::Draining,
            () if self.shedder.is_shedding(now) => State::Shedding,
            () if self.is_filling() => State::Filling,
            () if self.stats.cap.since().is_some() => State::Capped,
            () if self.gate.is_closed() || self.stats.sink.since().is_some() => State::Blocked,
            () if self.used() == 0 && self.stats.source.since().is_some() => State::Starved,
            () => State::Flowing,
        }
    }
}
