//! What a weir says of itself at one instant: totals since the start, and what holds now. Rates and
//! the holdup are differences of two of these, which is the report's business.
//!
//! Invariant: `read = written + shed + buffer.used`, in bytes, and in records where they are
//! counted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An amount of data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Bytes.
    pub bytes: u64,
    /// Records; `None` without a framing option.
    pub records: Option<u64>,
}

/// What became of batches that a program is run with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BatchStatus {
    /// How many it has acknowledged.
    pub acknowledged: u64,
    /// How often one was tried again, and how much was in these.
    pub retried: (u64, Count),
    /// How many were given up or rejected, and how much was in them.
    pub shed: (u64, Count),
    /// How many are being dealt with.
    pub running: usize,
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

/// What a lane has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaneLoss {
    /// Its key; `None` for records without one.
    pub key: Option<Box<[u8]>>,
    /// The lane is that of other keys too: this was the first of them.
    pub shared: bool,
    /// Bytes that it has lost.
    pub bytes: u64,
    /// How many records that were.
    pub records: u64,
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
    /// What is in memory and what is on the disk, where there is one.
    pub places: Option<Places>,
}

/// Bytes in memory, and on the disk behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// What fits into memory; 0 where all lies on the disk, and stays there when the run ends.
    pub memory: u64,
    /// The most that the buffer ever held in memory; what waits for the file of what is shed is apart, and so are taps.
    pub memory_peak: u64,
    /// What is on the disk.
    pub disk: u64,
    /// The most that ever was.
    pub disk_peak: u64,
}

/// Time spent waiting since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// For the producer, while we were willing to read and had nothing to deliver.
    pub source: Duration,
    /// For the consumer or a tee, while there was data that nothing else held.
    pub sink: Duration,
    /// The part of that in which it was a tee.
    pub tee: Duration,
    /// For a cap, while there was data.
    pub cap: Duration,
    /// For room in the buffer: the producer was held up.
    pub room: Duration,
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
    /// A tee is not read yet; nothing is taken before.
    Waiting,
    /// Data flows.
    Flowing,
    /// The buffer is at its high mark; the producer waits.
    Blocked,
    /// Others fill the disk behind memory, which is full; the producer waits.
    #[serde(rename = "disk-full")]
    DiskFull,
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
    /// The tee that was last waited for, by its number among the tees and taps.
    pub slow_tee: Option<usize>,
    /// Ages of the data; `None` until something has waited in the buffer.
    pub ages: Option<Ages>,
}
