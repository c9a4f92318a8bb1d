//! The end of a run as it is told: last report, summary, complaint, metrics and picture.
//!
//! Invariant: nobody who does not read holds up the end for longer than [`LAST_WORDS`], and no disk for longer than
//! [`LAST_PAGES`], in time in which weir runs.

use std::time::{Duration, Instant};

use super::{NAMING, Reporter};
use crate::engine::status::{Count, Status};
use crate::report::plan::{Closing, Show};
use crate::report::screen::LastWords;
use crate::report::snapshot::{Ending, Snapshot};
use crate::report::stderr::Word;
use crate::report::timeout::Timeout;
use crate::report::{chart, clock, json, prometheus, summary};

/// How long the end may be held up by somebody who does not read what weir has to say.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// And how long by a disk that has much to do. Files need nobody who reads them: what takes time is the disk alone, and the
/// last of them is what they are kept for.
const LAST_PAGES: Duration = Duration::from_secs(10);

/// How long the end may still be held up, by whom.
struct EndDelays {
    /// Whoever reads standard error.
    words: Timeout,
    /// And the log, where that is no file.
    log: Option<Timeout>,
    /// The disk.
    pages: Timeout,
}

impl EndDelays {
    /// So long for each of those who read words.
    fn new(log_is_file: bool, words: Duration) -> EndDelays {
        EndDelays {
            words: Timeout::of(words),
            log: (!log_is_file).then(|| Timeout::of(words)),
            pages: Timeout::of(LAST_PAGES),
        }
    }

    fn with_log(&mut self) -> &mut Timeout {
        self.log.as_mut().unwrap_or(&mut self.pages)
    }
}

impl Reporter {
    /// The last report, and the complaint to end with, if any. Waits for both to be out, but not
    /// for long.
    pub(crate) fn finish(
        &mut self,
        status: &Status,
        end: Ending,
        undelivered: Count,
        complaint: Option<&str>,
    ) {
        let now = Instant::now();
        // What goes wrong with the log is still to be said, so who reads that gets half of the time.
        let share = if self.log.is_some() { 2 } else { 1 };
        let mut delays = EndDelays::new(self.log_is_file, LAST_WORDS / share);
        self.last_report(status);
        let mut snapshot = Snapshot::summary(&self.who, status, end, undelivered);
        snapshot.outputs = self.outputs.1.clone();
        snapshot.undelivered.lost = Some(self.forgone);
        snapshot.lanes = self.lanes.clone();
        snapshot.command = self.command.1.clone();
        snapshot.rates = self.extremes.of(status);
        snapshot.advice = self.trace.advice(status);
        // The names of others and of time zones take time, which nobody is to wait for in vain.
        let is_told =
            self.closing != Closing::Off || self.metrics.is_some() || self.chart.is_some();
        if is_told {
            snapshot = self.complete(snapshot, now, NAMING);
        }
        let complaint = complaint.map(|what| self.who.signed(&what));
        let summary = match self.closing {
            Closing::Text => Some(summary::text(&snapshot)),
            Closing::Json => Some(json::line(&snapshot)),
            Closing::Off => None,
        };
        let last = LastWords {
            summary,
            complaint: complaint.clone(),
        };
        let says_nothing = last == LastWords::default();
        match (&mut self.log, self.show) {
            (Some(log), _) => {
                // An object has its time in it.
                let summary = last.summary.map(|text| match self.closing {
                    Closing::Json => text,
                    _ => clock::stamped(&text),
                });
                let complaint = last.complaint.map(|line| clock::stamped(&line));
                let lines = summary.into_iter().chain(complaint);
                lines.for_each(|line| log.insist(line, delays.with_log()));
            }
            (None, _) if !says_nothing => {
                let lost = status.shed.total.bytes + undelivered.bytes > 0;
                let is_urgent = self.closing_is_asked || complaint.is_some() || lost;
                let word = Word::Finish {
                    words: last,
                    is_urgent,
                    is_by_signal: end == Ending::Signal,
                };
                self.stderr.insist(word, &mut delays.words);
            }
            (None, Show::Bar(_)) => self.stderr.insist(Word::Clear, &mut delays.words),
            (None, _) => {}
        }
        if let Some(metrics) = &mut self.metrics {
            metrics.insist(prometheus::text(&snapshot), &mut delays.pages);
        }
        self.draw_chart(&snapshot, status, true, &mut delays.pages);
        if let Some(log) = &mut self.log {
            log.close(delays.with_log());
        }
        let chart = self.chart.as_mut().map(|(writer, _)| writer);
        for page in [self.metrics.as_mut(), chart].into_iter().flatten() {
            page.close(&mut delays.pages);
        }
        let complaint = complaint.filter(|_| self.log.is_some());
        for line in self.errors.try_iter().chain(complaint) {
            self.stderr.insist(Word::Line(line), &mut delays.words);
        }
        self.stderr.close(&mut delays.words);
    }

    /// It did not even begin, for this reason, which the log is told; standard error is the
    /// caller's.
    pub(crate) fn give_up(&mut self, why: &dyn std::fmt::Display) {
        let mut delays = EndDelays::new(self.log_is_file, LAST_WORDS);
        if let Some(log) = &mut self.log {
            let line = clock::stamped(&self.who.signed(&why));
            log.insist(line, delays.with_log());
            log.close(delays.with_log());
        }
    }

    /// The picture of the run as far as it has come.
    pub(super) fn draw_chart(
        &mut self,
        s: &Snapshot,
        status: &Status,
        is_end: bool,
        timeout: &mut Timeout,
    ) {
        let Some((writer, course)) = &mut self.chart else {
            return;
        };
        if is_end {
            course.add(status);
        }
        if let Ok(picture) = chart::svg(s, course.points()) {
            writer.insist(picture, timeout);
        }
    }

    /// The live report once more, of how it stood at the end: lines that stop short of it would
    /// leave a reader to wonder.
    fn last_report(&mut self, status: &Status) {
        if !matches!(self.show, Show::Plain | Show::Json) {
            return;
        }
        self.follow(status);
        let snapshot = self.snapshot(status);
        let snapshot = self.complete(snapshot, Instant::now(), Duration::ZERO);
        self.report(match self.show {
            Show::Json => json::line(&snapshot),
            _ => self.line(&snapshot),
        });
    }
}
