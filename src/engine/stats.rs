//! What happened: counters and stopwatches, kept so that the books balance.
//!
//! Invariant: `read = written + shed + buffered` after every call, where `read` and `written` count what
//! took either path.

use std::time::{Duration, Instant};

use super::scan::Run;
use super::status::Count;

/// Adds up the time during which something was the case.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Stopwatch {
    since: Option<Instant>,
    total: Duration,
}

impl Stopwatch {
    /// It is the case from `now` on, unless it was already.
    #[inline(never)]
    pub(crate) fn start(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// It is no longer the case. Returns how long it was, since the last start.
    #[inline(never)]
    pub(crate) fn stop(&mut self, now: Instant) -> Duration {
        let since = self.since.take();
        let lap = since.map_or(Duration::ZERO, |s| now.saturating_duration_since(s));
        self.total += lap;
        lap
    }

    /// It is the case from `now` on, or not. Returns how long it was, if it no longer is.
    #[inline]
    pub(crate) fn run(&mut self, is_so: bool, now: Instant) -> Duration {
        match is_so {
            // As a rule nothing has changed.
            _ if is_so == self.since.is_some() => Duration::ZERO,
            true => {
                self.start(now);
                Duration::ZERO
            }
            false => self.stop(now),
        }
    }

    /// Since when it has been the case without a break.
    #[must_use]
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Time in total, the running stretch included.
    #[must_use]
    pub(crate) fn total(&self, now: Instant) -> Duration {
        let running = self.since.map(|s| now.saturating_duration_since(s));
        self.total + running.unwrap_or_default()
    }
}

/// Bytes and records that have gone by.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Total {
    /// Bytes.
    pub bytes: u64,
    /// Records that were complete.
    pub records: u64,
}

impl Total {
    /// As the status tells it: without framing records are unknown, not none.
    #[must_use]
    pub(crate) fn counting(self, records: bool) -> Count {
        Count {
            bytes: self.bytes,
            records: records.then_some(self.records),
        }
    }

    /// This too.
    pub(super) fn add_all(&mut self, other: Total) {
        self.bytes += other.bytes;
        self.records += other.records;
    }

    pub(super) fn remove_all(&mut self, other: Total) {
        self.bytes -= other.bytes;
        self.records -= other.records;
    }

    fn add(&mut self, run: Run) {
        self.bytes += run.bytes as u64;
        self.records += run.tally.ended;
    }
}

/// The books of one run.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// Taken from the producer.
    pub read: Total,
    /// Given to the consumer.
    pub written: Total,
    /// Bytes of `written` that were passed on without being copied.
    pub spliced: u64,
    /// Shed, for whatever reason.
    pub shed: Total,
    /// Records shed because they were larger than the buffer.
    pub shed_oversized: u64,
    /// Records (bytes without framing) shed because they had waited too long.
    pub shed_expired: u64,
    /// Highest occupancy of the log so far, in bytes.
    pub peak: usize,
    /// Time we waited for the producer while we were willing to read.
    pub source: Stopwatch,
    /// The part of that in which there was nothing to deliver meanwhile: only then does the
    /// producer hold the flow up.
    pub starved: Stopwatch,
    /// Time we waited for the consumer while there was data for it.
    pub sink: Stopwatch,
    /// Time a cap held what could have gone.
    pub cap: Stopwatch,
    /// Time we waited for a tee that is further behind than the consumer, and which one that was last.
    pub tee: Stopwatch,
    /// Its number among the tees and taps.
    pub slow_tee: Option<usize>,
    /// Time in which the producer was held up, since there was no room.
    pub room: Stopwatch,
    /// The last record has no terminator: it is complete when all is written.
    last_is_open: bool,
}

impl Stats {
    /// This came in, and `used` bytes are held now.
    pub(crate) fn on_read(&mut self, read: Run, used: usize) {
        self.read.add(read);
        self.peak = self.peak.max(used);
    }

    /// This came in and went out to the consumer at once: [`Stats::on_read`] and [`Stats::on_written`], with nothing held.
    #[inline]
    pub(crate) fn on_gone(&mut self, run: Run, now: Instant) {
        self.read.add(run);
        self.on_written(now, run);
    }

    /// This is there from an earlier run.
    pub(crate) fn on_inherited(&mut self, owed: Total, used: usize) {
        self.read.add_all(owed);
        self.peak = self.peak.max(used);
    }

    /// The input has ended, maybe inside a record.
    /// `skipped`: its beginning was shed, and so was what came of it.
    pub(crate) fn on_last_record(&mut self, inside: bool, skipped: bool) {
        self.read.records += u64::from(inside);
        self.shed.records += u64::from(inside && skipped);
        self.last_is_open = inside && !skipped;
    }

    /// This went out to the consumer.
    #[inline]
    pub(crate) fn on_written(&mut self, now: Instant, written: Run) {
        if written.bytes > 0 {
            self.written.add(written);
            self.sink.run(false, now);
        }
    }

    /// A batch was acknowledged.
    pub(crate) fn on_acknowledged(&mut self, total: Total, now: Instant) {
        self.written.bytes += total.bytes;
        self.written.records += total.records;
        self.sink.stop(now);
    }

    /// A batch was given up.
    pub(crate) fn on_given_up(&mut self, total: Total) {
        self.shed.bytes += total.bytes;
        self.shed.records += total.records;
        if self.written.bytes + self.shed.bytes == self.read.bytes {
            self.shed.records += self.take_last();
        }
    }

    /// Counts the last record, if it has no end and has not been counted: with whoever has it.
    pub(crate) fn take_last(&mut self) -> u64 {
        u64::from(std::mem::take(&mut self.last_is_open))
    }

    /// This went out, and came back; `last_is_open`: the last record, which has no end, with it.
    pub(crate) fn on_taken_back(&mut self, back: Total, last_is_open: bool, used: usize) {
        self.peak = self.peak.max(used);
        self.written.bytes -= back.bytes;
        self.written.records -= back.records;
        if last_is_open && !std::mem::replace(&mut self.last_is_open, true) {
            self.written.records -= 1;
        }
    }

    /// The last of what was held has been shed, after the end of input.
    pub(crate) fn on_last_shed(&mut self) {
        self.shed.records += u64::from(self.last_is_open);
        self.last_is_open = false;
    }

    /// Counts the last record, if it has no end and has not been shed, when nothing is left to be written: whoever is
    /// the last to take or to drop something may have had nothing of it.
    pub(crate) fn close_last(&mut self) {
        if self.last_is_open && self.written.bytes + self.shed.bytes == self.read.bytes {
            self.last_is_open = false;
            self.written.records += 1;
        }
    }
}
