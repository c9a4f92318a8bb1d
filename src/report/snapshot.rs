//! The status object: one schema for JSON lines, `--query` and the summary, and the source of every
//! other text.
//!
//! Invariants: exactly the keys of the contract in its order; what is unknown is null, never left
//! out; only `end` is, before the end, and `user`, where all weirs are one user's. Rates and the
//! holdup speak of the interval since an earlier status; in the summary that interval is the whole
//! run.

mod command;
mod identity;
mod parts;

pub(crate) use command::*;
pub(crate) use identity::{Expected, Identity, Records};
use parts::round;
pub(crate) use parts::*;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::figures::{self, Scale};
use super::moving_average::MovingAverage;
use super::trail::Trail;
use crate::engine::status::{Count, State, Status};

/// The schema's version.
const VERSION: u32 = 1;
/// The part of an interval that waiting for one thing must fill to be called a holdup.
const NOTABLE: f64 = 0.1;

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
    #[serde(default)]
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
    /// What its size counts is records; not part of the schema.
    #[serde(skip)]
    pub is_size_in_records: bool,
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
            lost: Some(0),
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

    /// Bytes that were read and are still to be delivered or shed.
    #[must_use]
    pub(crate) fn held(&self) -> u64 {
        let gone = self.out.bytes.saturating_add(self.shed.bytes);
        self.input.bytes.saturating_sub(gone)
    }

    /// The same, or what the tee that is furthest behind is owed, where that is more.
    #[must_use]
    pub(crate) fn awaited(&self) -> u64 {
        let tees = self.outputs.iter().filter(|it| it.kind == OutputKind::Tee);
        let most = tees.map(|it| it.used).max();
        most.unwrap_or(0).max(self.held())
    }

    /// Nothing more is read: the end comes when what is held is out, or at this time of the run.
    pub(crate) fn drain(&mut self, until: Option<Duration>) {
        if self.state != State::Draining {
            return;
        }
        let rate = self.out.rate.filter(|rate| *rate > 0.0);
        let by_rate = rate.map(|rate| round(self.held() as f64 / rate, 1));
        let most = until.map(|until| round((until.as_secs_f64() - self.elapsed_s).max(0.0), 1));
        // How fast a tee is nobody knows.
        let is_known = self.awaited() == self.held();
        let eta = self.eta_s.or(by_rate).filter(|_| is_known);
        self.eta_s = match (eta, most) {
            (Some(eta), Some(most)) => Some(eta.min(most)),
            (eta, most) => eta.or(most),
        };
    }

    /// What so many records are called.
    #[must_use]
    pub(crate) fn records_word(&self) -> &'static str {
        match self.records {
            Records::Records => "records",
            Records::Lines => "lines",
        }
    }

    /// So much in words, in records first where there are any.
    #[must_use]
    pub(crate) fn amount(&self, bytes: u64, records: Option<u64>) -> String {
        let bytes = self.scale().bytes(bytes);
        match records {
            Some(1) => format!("1 {} ({bytes})", self.records_word().trim_end_matches('s')),
            Some(n) => format!("{} {} ({bytes})", figures::count(n), self.records_word()),
            None => bytes,
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
        let some = who.expected.filter(Expected::is_some);
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
            percent: some.map(|size| percent(size, now)),
            progress: some.map(|size| (size.done(now), size.amount())),
            is_size_in_records: matches!(who.expected, Some(Expected::Records(_))),
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

#[cfg(test)]
mod tests;
