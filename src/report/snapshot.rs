//! The status object: one schema for JSON lines, `--query` and the summary, and the source of every
//! other text.
//!
//! Invariants: exactly the keys of the contract in its order; what is unknown is null, never left
//! out; only `end` is, before the end, and `user`, where all weirs are one user's. Rates and the holdup speak of the interval since an earlier
//! status; in the summary that interval is the whole run.

use serde::{Deserialize, Serialize};

use super::figures::Scale;
use super::moving_average::MovingAverage;
use super::trail::Trail;
use crate::engine::restart::{self, CommandStatus};
use crate::engine::side::SideStatus;
use crate::engine::status::{self, BatchStatus, Count, LaneLoss, State, Status};
use crate::units::printable;

/// The schema's version.
const VERSION: u32 = 1;
/// The part of an interval that waiting for one thing must fill to be called a holdup.
const NOTABLE: f64 = 0.1;

/// What does not change while a weir runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Identity {
    /// The label the user gave.
    pub name: Option<String>,
    /// The process.
    pub pid: u32,
    /// The total that is expected.
    pub expected: Option<Expected>,
    /// What records are called.
    pub records: Records,
    /// The name under which its cap is shared.
    pub share: Option<String>,
}

impl Identity {
    /// What this weir says of itself, in a line.
    #[must_use]
    pub(crate) fn signed(&self, what: &dyn std::fmt::Display) -> String {
        match &self.name {
            Some(name) => format!("weir {name}: {what}"),
            None => format!("weir: {what}"),
        }
    }
}

/// What records are called, in the plural.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Records {
    /// Records.
    #[default]
    Records,
    /// Lines.
    Lines,
}

/// How much will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// This many bytes.
    Bytes(u64),
    /// This many records.
    Records(u64),
}

impl Expected {
    /// The number, whatever it counts.
    #[must_use]
    pub(crate) fn amount(self) -> u64 {
        let (Expected::Bytes(n) | Expected::Records(n)) = self;
        n
    }

    /// What has come of it.
    #[must_use]
    pub(crate) fn read(self, status: &Status) -> u64 {
        match self {
            Expected::Bytes(_) => status.read.bytes,
            Expected::Records(_) => status.read.records.unwrap_or(0),
        }
    }

    /// What has left the weir towards it: delivered or shed.
    #[must_use]
    pub(crate) fn done(self, status: &Status) -> u64 {
        let (out, shed) = (status.written, status.shed.total);
        match self {
            Expected::Bytes(_) => out.bytes + shed.bytes,
            Expected::Records(_) => out.records.unwrap_or(0) + shed.records.unwrap_or(0),
        }
    }
}

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

/// The program that weir runs as its consumer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Command {
    pub name: String,
    pub circuit: Circuit,
    /// Seconds until it is tried again, while the circuit is open.
    pub retry_in_s: Option<f64>,
    /// Failures in a row.
    pub failures: u32,
    pub restarts: u64,
    /// How many of it run now.
    #[serde(default)]
    pub running: usize,
    /// What it had left unread, or begun, when it ended.
    pub taken_back: Amount,
    /// What of that it had begun, and is given twice.
    pub repeated: Amount,
    /// What became of batches, where it is run once for each.
    #[serde(default)]
    pub batches: Option<Batches>,
}

/// What became of batches so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Batches {
    /// Those that are being dealt with.
    pub running: usize,
    pub acknowledged: u64,
    /// One that was tried three times was retried twice.
    pub retried: Batched,
    /// Those that were given up or rejected.
    pub shed: Batched,
}

/// Batches, and what was in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Batched {
    pub batches: u64,
    pub bytes: u64,
    pub records: Option<u64>,
}

impl Batches {
    fn of(it: &BatchStatus) -> Batches {
        let batched = |(batches, count): (u64, Count)| Batched {
            batches,
            bytes: count.bytes,
            records: count.records,
        };
        Batches {
            running: it.running,
            acknowledged: it.acknowledged,
            retried: batched(it.retried),
            shed: batched(it.shed),
        }
    }
}

/// Whether it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Circuit {
    /// It is, and has not failed since it last made progress.
    Closed,
    /// It has failed, and is waited for to be tried again.
    Open,
    /// It has failed, and is being tried.
    HalfOpen,
}

impl Command {
    /// What is told of the program of this name.
    #[must_use]
    pub(crate) fn of(name: &str, it: &CommandStatus) -> Command {
        let amount = |of: Count| Amount {
            bytes: of.bytes,
            records: of.records,
        };
        Command {
            name: name.to_owned(),
            circuit: match it.circuit {
                restart::Circuit::Closed => Circuit::Closed,
                restart::Circuit::Open(_) => Circuit::Open,
                restart::Circuit::HalfOpen => Circuit::HalfOpen,
            },
            retry_in_s: it.retry_in.map(|time| round(time.as_secs_f64(), 3)),
            failures: it.failures,
            restarts: it.restarts,
            running: it.running,
            taken_back: amount(it.taken_back),
            repeated: amount(it.repeated),
            batches: it.batches.as_ref().map(Batches::of),
        }
    }
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
        }
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

/// The whole of it. Field names and their order are the contract's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Snapshot {
    pub v: u32,
    pub name: Option<String>,
    pub pid: u32,
    pub event: Event,
    pub elapsed_s: f64,
    pub state: State,
    pub buffer: Buffer,
    #[serde(rename = "in")]
    pub input: Flow,
    pub out: Flow,
    pub shed: Shed,
    pub undelivered: Undelivered,
    pub cap: Cap,
    pub wait_s: Waits,
    pub holdup: Option<Holdup>,
    pub age_s: Ages,
    pub path: Path,
    pub size: Option<u64>,
    pub eta_s: Option<f64>,
    /// What holds the flow up, by name; set by whoever knows.
    #[serde(default)]
    pub culprit: Option<String>,
    /// The clock on the wall, RFC 3339; set by whoever has one.
    #[serde(default)]
    pub time: Option<String>,
    /// The outputs beside the consumer; set by whoever knows.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// The lanes that have lost most, most first; set by whoever knows.
    #[serde(default)]
    pub lanes: Vec<Lane>,
    /// How fast it was in the course of the run; known at the end.
    #[serde(default)]
    pub rates: Rates,
    /// Whether another buffer would have served better; known at the end, if there is evidence.
    #[serde(default)]
    pub advice: Option<Advice>,
    #[serde(default)]
    pub share: Option<Share>,
    /// The program that is the consumer; set by whoever knows.
    #[serde(default)]
    pub command: Option<Command>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Ending>,
    /// Whose it is; told only where the weirs of all users are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Waits as parts of the interval; not part of the schema.
    #[serde(skip)]
    pub shares: Waits,
    /// The tee that holds the flow up, by its number among the tees and taps; not part of the schema.
    #[serde(skip)]
    pub slow_tee: Option<usize>,
    /// The part of the expected size that is done, in percent; not part of the schema.
    #[serde(skip)]
    pub percent: Option<u64>,
    /// The same exactly: what is done, and of what; not part of the schema.
    #[serde(skip)]
    pub progress: Option<(u64, u64)>,
    /// The time of day at which it will be done; not part of the schema.
    #[serde(skip)]
    pub finish: Option<String>,
    /// Occupancy over the last minute; not part of the schema.
    #[serde(skip)]
    pub trail: Trail,
    /// The report in the user's own form, if he wants one; not part of the schema.
    #[serde(skip)]
    pub formatted: Option<String>,
    /// What records are called; not part of the schema.
    #[serde(skip)]
    pub records: Records,
}

impl Snapshot {
    /// A moment: `now`, and the interval since `before` (since the start if there is none).
    #[must_use]
    pub(crate) fn status(
        who: &Identity,
        before: Option<&Status>,
        now: &Status,
        pace: &MovingAverage,
    ) -> Snapshot {
        let mut it = Snapshot::bare(who, now);
        it.measure(before, now);
        it.eta_s = who.expected.and_then(|size| {
            // What is not read any more will never come.
            let all = match now.state {
                State::Draining => size.read(now),
                _ => size.amount(),
            };
            let left = all.checked_sub(size.done(now))?;
            pace.per_second().map(|rate| round(left as f64 / rate, 1))
        });
        it
    }

    /// A run: rates are averages and the holdup is that of the whole of it.
    #[must_use]
    pub(crate) fn summary(
        who: &Identity,
        now: &Status,
        end: Ending,
        undelivered: Count,
    ) -> Snapshot {
        let mut it = Snapshot::bare(who, now);
        it.measure(None, now);
        it.event = Event::Summary;
        it.end = Some(end);
        it.undelivered = Undelivered {
            bytes: Some(undelivered.bytes),
            records: undelivered.records,
        };
        it
    }

    /// The units to show its amounts in: those of its figures that somebody may have typed.
    #[must_use]
    pub(crate) fn scale(&self) -> Scale {
        let cap = self.cap.bytes_per_s.and_then(Scale::of);
        cap.or_else(|| Scale::of(self.buffer.capacity as f64))
            .unwrap_or_default()
    }

    /// What so many records are called.
    #[must_use]
    pub(crate) fn records_word(&self) -> &'static str {
        match self.records {
            Records::Records => "records",
            Records::Lines => "lines",
        }
    }

    /// Everything that one status says by itself.
    fn bare(who: &Identity, now: &Status) -> Snapshot {
        let flow = |count: Count| Flow {
            bytes: count.bytes,
            records: count.records,
            rate: None,
            records_rate: None,
        };
        Snapshot {
            v: VERSION,
            name: who.name.clone(),
            pid: who.pid,
            event: Event::Status,
            elapsed_s: round(now.elapsed.as_secs_f64(), 3),
            state: now.state,
            buffer: now.buffer.into(),
            input: flow(now.read),
            out: flow(now.written),
            shed: now.shed.into(),
            undelivered: Undelivered::default(),
            cap: Cap {
                bytes_per_s: now.caps.bytes,
                records_per_s: now.caps.records,
            },
            wait_s: seconds(now),
            holdup: None,
            age_s: ages(now),
            path: Path {
                spliced: now.spliced,
                copied: now.written.bytes.saturating_sub(now.spliced),
            },
            size: who.expected.map(Expected::amount),
            eta_s: None,
            culprit: None,
            time: None,
            outputs: Vec::new(),
            lanes: Vec::new(),
            command: None,
            rates: Rates::default(),
            advice: None,
            share: who.share.clone().zip(now.share).map(|(name, share)| Share {
                name,
                members: share.members,
                cut_off: share.is_cut_off,
            }),
            end: None,
            user: None,
            shares: Waits::default(),
            slow_tee: None,
            percent: who.expected.map(|size| percent(size, now)),
            progress: who.expected.map(|size| (size.done(now), size.amount())),
            finish: None,
            trail: Trail::default(),
            formatted: None,
            records: who.records,
        }
    }

    /// Everything that takes two statuses to be known.
    fn measure(&mut self, before: Option<&Status>, now: &Status) {
        let start = before.map_or(0.0, |b| b.elapsed.as_secs_f64());
        let span = now.elapsed.as_secs_f64() - start;
        if span <= 0.0 {
            return;
        }
        let rate = |now: u64, before: u64| round(now.saturating_sub(before) as f64 / span, 3);
        let of = |flow: &mut Flow, before: Count| {
            flow.rate = Some(rate(flow.bytes, before.bytes));
            flow.records_rate = flow.records.map(|n| rate(n, before.records.unwrap_or(0)));
        };
        of(&mut self.input, before.map_or(Count::default(), |b| b.read));
        of(
            &mut self.out,
            before.map_or(Count::default(), |b| b.written),
        );
        let earlier = before.map_or(Waits::default(), seconds);
        let share = |now: f64, before: f64| ((now - before) / span).clamp(0.0, 1.0);
        self.shares = Waits {
            source: share(self.wait_s.source, earlier.source),
            sink: share(self.wait_s.sink, earlier.sink),
            cap: share(self.wait_s.cap, earlier.cap),
        };
        let (holdup, most) = self.shares.longest();
        self.holdup = (most >= NOTABLE).then_some(holdup);
        let earlier = before.map_or_else(Default::default, |b| b.waits);
        let tee = now.waits.tee.saturating_sub(earlier.tee);
        let is_tee = tee * 2 > now.waits.sink.saturating_sub(earlier.sink);
        self.slow_tee = now
            .slow_tee
            .filter(|_| is_tee && self.holdup == Some(Holdup::Sink));
    }
}

fn seconds(status: &Status) -> Waits {
    let waits = status.waits;
    Waits {
        source: round(waits.source.as_secs_f64(), 6),
        sink: round(waits.sink.as_secs_f64(), 6),
        cap: round(waits.cap.as_secs_f64(), 6),
    }
}

fn ages(status: &Status) -> Ages {
    status.ages.map_or(Ages::default(), |ages| {
        let known = |age: std::time::Duration| Some(round(age.as_secs_f64(), 6));
        Ages {
            now: known(ages.now),
            p50: known(ages.p50),
            p99: known(ages.p99),
            max: known(ages.max),
        }
    })
}

fn percent(size: Expected, now: &Status) -> u64 {
    super::figures::percent(size.done(now), size.amount())
}

/// To so many digits after the point: more would be noise.
fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests;
