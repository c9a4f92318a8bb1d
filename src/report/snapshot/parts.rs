//! The parts of the status object, in its order.

use serde::{Deserialize, Serialize};

use crate::engine::side::SideStatus;
use crate::engine::status::{self, Count, LaneLoss};
use crate::units::printable;

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    /// A moment of a run.
    Status,
    /// A run.
    Summary,
}

/// What keeps the flow from going faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Holdup {
    /// The producer.
    Source,
    /// The consumer.
    Sink,
    /// A cap.
    Cap,
}

impl Holdup {
    /// Its word.
    #[must_use]
    pub(crate) fn word(self) -> &'static str {
        match self {
            Holdup::Source => "source",
            Holdup::Sink => "sink",
            Holdup::Cap => "cap",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ending {
    /// All input was read and delivered, or shed as asked.
    Eof,
    /// It was told to read no more, and delivered what it held.
    Drained,
    /// The consumer went away.
    ConsumerGone,
    /// The program that weir ran as its consumer has failed.
    CommandFailed,
    /// A signal ended it.
    Signal,
    /// A side stalled for too long.
    Timeout,
    /// A stream failed.
    Error,
}

impl Ending {
    /// Its word in the status object.
    pub(crate) fn word(self) -> String {
        serde_json::to_value(self).map_or_else(
            |_| String::new(),
            |it| it.as_str().unwrap_or_default().to_owned(),
        )
    }
}

/// The log, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Buffer {
    pub capacity: u64,
    pub used: u64,
    pub peak: u64,
    pub low: u64,
    pub high: u64,
    /// Its parts, where there is a disk behind memory; the disk alone, where all lies there and outlives the run.
    #[serde(default)]
    pub memory: Option<Place>,
    #[serde(default)]
    pub disk: Option<Place>,
}

/// A part of the buffer, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Place {
    pub capacity: u64,
    pub used: u64,
    pub peak: u64,
}

impl Buffer {
    /// Whether what is not delivered stays there for another run.
    pub(crate) fn is_spool(&self) -> bool {
        self.disk.is_some() && self.memory.is_none()
    }
}

impl From<status::Buffer> for Buffer {
    fn from(it: status::Buffer) -> Buffer {
        let memory = it.places.filter(|places| places.memory > 0);
        let memory = memory.map(|places| Place {
            capacity: places.memory,
            used: (it.used as u64).saturating_sub(places.disk),
            peak: places.memory_peak,
        });
        let disk = it.places.map(|places| Place {
            capacity: (it.capacity as u64).saturating_sub(places.memory),
            used: places.disk.min(it.used as u64),
            peak: places.disk_peak,
        });
        Buffer {
            capacity: it.capacity as u64,
            used: it.used as u64,
            peak: it.peak as u64,
            low: it.low as u64,
            high: it.high as u64,
            memory,
            disk,
        }
    }
}

/// One direction of the flow.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flow {
    /// Bytes since the start.
    pub bytes: u64,
    /// Records since the start.
    pub records: Option<u64>,
    /// Bytes per second over the interval.
    pub rate: Option<f64>,
    /// Records per second over the interval; not part of the schema.
    #[serde(skip)]
    pub records_rate: Option<f64>,
}

/// Whether another buffer would have served better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "buffer", rename_all = "lowercase")]
pub(crate) enum Advice {
    /// A larger one of this size would have saved so much time, in seconds.
    #[allow(missing_docs)]
    Larger { size: u64, saved_s: f64 },
    /// One of this size would have done as well.
    #[allow(missing_docs)]
    Smaller { size: u64 },
    /// None: one side is slower than the other.
    #[serde(rename = "any")]
    NoSize,
}

/// The slowest and the fastest second of a run, and all of it, in bytes per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Span {
    pub min: Option<f64>,
    pub mean: Option<f64>,
    pub max: Option<f64>,
}

/// The rates of a run on either side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Rates {
    #[serde(rename = "in")]
    pub input: Span,
    pub out: Span,
}

/// What went over the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Shed {
    pub bytes: u64,
    pub records: Option<u64>,
    pub oversized: u64,
    pub expired: u64,
}

impl From<status::Shed> for Shed {
    fn from(it: status::Shed) -> Shed {
        Shed {
            bytes: it.total.bytes,
            records: it.total.records,
            oversized: it.oversized,
            expired: it.expired,
        }
    }
}

/// What was read and will not be delivered; known at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Undelivered {
    pub bytes: Option<u64>,
    pub records: Option<u64>,
    /// Bytes among those that lie in a spool, which no other run will deliver either.
    #[serde(default)]
    pub lost: Option<u64>,
}

/// The caps in force.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Cap {
    pub bytes_per_s: Option<f64>,
    pub records_per_s: Option<f64>,
}

/// With whom the caps are shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Share {
    pub name: String,
    pub members: u64,
    pub cut_off: bool,
}

/// Time spent waiting for each, in seconds (in [`Snapshot::shares`]: as parts of the interval).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Waits {
    pub source: f64,
    pub sink: f64,
    pub cap: f64,
}

impl Waits {
    /// The longest wait, and who it was for.
    #[must_use]
    pub(crate) fn longest(&self) -> (Holdup, f64) {
        let waits = [
            (Holdup::Sink, self.sink),
            (Holdup::Cap, self.cap),
            (Holdup::Source, self.source),
        ];
        waits.into_iter().fold(
            waits[0],
            |most, wait| if wait.1 > most.1 { wait } else { most },
        )
    }
}

/// Ages of the data in the buffer, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Ages {
    pub now: Option<f64>,
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
}

/// Bytes by the way they took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Path {
    pub spliced: u64,
    pub copied: u64,
}

/// What an output beside the consumer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OutputKind {
    /// It holds the flow up.
    Tee,
    /// It does not.
    Tap,
}

impl OutputKind {
    /// Its word.
    #[must_use]
    pub(crate) fn word(self) -> &'static str {
        match self {
            OutputKind::Tee => "tee",
            OutputKind::Tap => "tap",
        }
    }
}

/// Bytes, and records where there are any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Amount {
    pub bytes: u64,
    pub records: Option<u64>,
}

impl From<Count> for Amount {
    fn from(it: Count) -> Amount {
        Amount {
            bytes: it.bytes,
            records: it.records,
        }
    }
}

/// An output beside the consumer: what it has got, what was dropped for it alone, what it is owed, and
/// for how many seconds the oldest of that has been waiting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Output {
    pub path: String,
    pub kind: OutputKind,
    pub used: u64,
    pub written: Amount,
    pub shed: Amount,
    pub lag: f64,
    pub failed: bool,
    /// What an earlier run has left for it in the spool.
    #[serde(default)]
    pub inherited: Amount,
    /// It is a FIFO that nobody reads.
    #[serde(default)]
    pub vacant: bool,
    /// Who reads it, where it is a pipe without a name of its own (`>(gzip)`) and has held the flow up.
    #[serde(default)]
    pub reader: Option<String>,
}

impl Output {
    /// The output of this kind and name.
    #[must_use]
    pub(crate) fn of((kind, path): &(OutputKind, String), it: &SideStatus) -> Output {
        Output {
            path: path.clone(),
            kind: *kind,
            used: it.owed,
            written: it.written.into(),
            shed: it.dropped.into(),
            lag: round(it.lag.as_secs_f64(), 6),
            failed: it.failed,
            inherited: it.inherited.into(),
            vacant: it.vacant,
            reader: None,
        }
    }

    /// What a person would call it.
    #[must_use]
    pub(crate) fn called(&self) -> &str {
        self.reader.as_deref().unwrap_or(&self.path)
    }
}

/// A lane that has lost records: its key as far as it is fit to be shown, `null` for records without one; and
/// whether other keys share it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Lane {
    pub key: Option<String>,
    pub shared: bool,
    pub shed: Amount,
}

impl Lane {
    /// The lane that has lost this.
    #[must_use]
    pub(crate) fn of(it: &LaneLoss) -> Lane {
        let key = it.key.as_ref().map(|key| {
            let text = String::from_utf8_lossy(key);
            let mut shown = printable(&text.chars().take(KEY_SHOWN).collect::<String>());
            if text.chars().nth(KEY_SHOWN).is_some() {
                shown.push('\u{2026}');
            }
            shown
        });
        Lane {
            key,
            shared: it.shared,
            shed: Amount {
                bytes: it.bytes,
                records: Some(it.records),
            },
        }
    }
}

/// Characters of a key that are shown.
const KEY_SHOWN: usize = 60;

/// To so many digits after the point: more would be noise.
pub(super) fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}
