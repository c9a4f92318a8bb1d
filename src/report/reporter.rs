//! Who tells the world how it goes.
//!
//! Invariant: whoever calls a [`Reporter`] never waits for a reader: what may block (standard
//! error, the log, the metrics file) is written by threads of their own, which are left behind if
//! they are stuck; only where the system refuses such threads are the last words written without
//! one. Statuses and the instants of ticks come from the caller; a clock is asked only for how long something may take: the
//! end, and the search for names in what somebody has asked for.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};

use super::advice::Trace;
use super::course::Course;
use super::culprit::Culprits;
use super::extremes::Extremes;
use super::finder::Ask;
use super::format::Format;
use super::history::History;
use super::moving_average::MovingAverage;
use super::plan::{Closing, Plan, Show};
use super::snapshot::{Command, Expected, Holdup, Identity, Lane, Output, OutputKind, Snapshot};
use super::stderr::{BarPlan, Directory, Stderr, Word};
use super::ticker::Ticker;
use super::timeout::Timeout;
use super::trail::Trail;
use super::writer::Writer;
use crate::engine::restart::CommandStatus;
use crate::engine::side::SideStatus;
use crate::engine::status::{LaneLoss, State, Status};
use crate::pipe::error::PipeError;
use crate::pipe::reopen::Reopener;
use crate::units::without_numbers;

use super::open::{open_log, open_page};
use super::{clock, figures, json, plain, prometheus, terminal};

/// Shorter intervals than this make figures that nobody can read off a bar.
const BAR_WINDOW: Duration = Duration::from_secs(1);
/// How long somebody who asks may wait for the culprit's name, where it is not known yet.
const NAMING: Duration = Duration::from_millis(20);
/// When a summary that no report comes before first looks for the culprit, and then how often.
const FIRST_LOOK: Duration = Duration::from_millis(100);
/// That is as often as a bar would be drawn, for advice has to see each burst, and less often in a long run.
const LOOK_EVERY: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// The ways to the other weirs of this user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Others {
    /// Where they share what is on a terminal.
    pub directory: Directory,
    /// How one of them is.
    pub ask: Ask,
}

/// Tells the world how it goes. Owned by the thread that asks the engine.
pub(crate) struct Reporter {
    who: Identity,
    show: Show,
    closing: Closing,
    /// It is to be said whoever has the terminal.
    closing_is_asked: bool,
    /// Standard error.
    stderr: Writer<Word>,
    log: Option<Writer<String>>,
    /// For that nobody is needed who reads it.
    log_is_file: bool,
    log_reopener: Option<Reopener>,
    metrics: Option<Writer<String>>,
    /// What the threads could not do.
    errors: Receiver<String>,
    live: Option<Ticker>,
    kept: Option<Ticker>,
    /// While nothing is shown but a summary, when to look who holds the flow up.
    looks: Option<Ticker>,
    culprits: Culprits,
    history: History,
    trail: Trail,
    pace: MovingAverage,
    extremes: Extremes,
    trace: Trace,
    format: Option<Format>,
    /// What tees and taps are called, and what they have come to.
    outputs: (Vec<(OutputKind, String)>, Vec<Output>),
    /// The lanes that have lost most.
    lanes: Vec<Lane>,
    /// Bytes in a spool that nobody will deliver any more.
    forgone: u64,
    /// The program that is the consumer, and how it fares.
    command: (Option<String>, Option<Command>),
    /// When it ends at the latest, as time of the run.
    until: Option<Duration>,
    /// The picture to draw, and the course of the run for it.
    chart: Option<(Writer<String>, Course)>,
}

impl Reporter {
    /// Looks whether the log and the metrics file can be written. `others` is asked
    /// only when there is something to show.
    ///
    /// # Errors
    /// When they cannot.
    pub(crate) fn new(plan: &Plan, others: Others, now: Instant) -> Result<Reporter, PipeError> {
        let (to_errors, errors) = unbounded();
        let who = Identity {
            name: plan.name.clone(),
            pid: std::process::id(),
            expected: plan.expected,
            records: plan.records,
            share: plan.share.clone(),
        };
        let bar = match plan.show {
            Show::Bar(theme) => Some(BarPlan {
                theme,
                directory: others.directory,
                is_output: plan.command.is_none() && terminal::is_standard_output()
                    || plan.beside.iter().any(|path| terminal::is_called(path)),
            }),
            _ => None,
        };
        let mut stderr = Stderr::new(bar);
        let log = plan.log.as_deref();
        let metrics = plan.metrics.as_deref();
        let live = (plan.show != Show::Off).then(|| Ticker::new(plan.interval, now));
        let only_closing = live.is_none() && (plan.closing != Closing::Off || plan.chart.is_some());
        let chart = plan.chart.as_deref();
        let chart = chart.map(|path| open_page("chart", "--chart", path, who.pid, &to_errors));
        let chart = chart.transpose()?;
        let log = log.map(|path| open_log(path, &to_errors)).transpose()?;
        let log_is_file = plan.log.as_ref().is_some_and(|path| path.is_file());
        let (log, log_reopener) = log.unzip();
        Ok(Reporter {
            log,
            log_is_file,
            log_reopener,
            kept: metrics.map(|_| Ticker::new(plan.metrics_interval, now)),
            metrics: metrics
                .map(|path| open_page("metrics", "--metrics", path, who.pid, &to_errors))
                .transpose()?,
            who,
            show: plan.show,
            closing: plan.closing,
            closing_is_asked: plan.closing_is_asked,
            stderr: Writer::new("stderr", move |word| stderr.say(word)),
            errors,
            live,
            looks: only_closing.then(|| Ticker::new(FIRST_LOOK, now)),
            culprits: Culprits::new(
                &plan.inputs,
                plan.outputs.iter().map(|(_, path)| path),
                plan.command.clone(),
                others.ask,
            ),
            history: History::new(match plan.show {
                Show::Bar(_) => BAR_WINDOW,
                _ => Duration::ZERO,
            }),
            trail: Trail::default(),
            pace: MovingAverage::default(),
            extremes: Extremes::default(),
            trace: Trace::default(),
            format: plan.format.clone(),
            outputs: (plan.outputs.clone(), Vec::new()),
            lanes: Vec::new(),
            forgone: 0,
            command: (plan.command.clone(), None),
            until: None,
            chart: chart.map(|writer| (writer, Course::default())),
        })
    }

    /// When to call [`tick`](Reporter::tick); never, if there is nothing to show.
    #[must_use]
    pub(crate) fn next_tick(&self) -> Option<Instant> {
        let beats = [&self.live, &self.kept, &self.looks];
        beats.into_iter().flatten().map(|ticker| ticker.next).min()
    }

    /// Changes the time between reports of every kind.
    pub(crate) fn set_interval(&mut self, every: Duration, now: Instant) {
        for ticker in [&mut self.live, &mut self.kept].into_iter().flatten() {
            *ticker = Ticker::new(every, now);
        }
    }

    /// What opens the log anew, if there is one.
    pub(crate) fn take_log_reopener(&mut self) -> Option<Reopener> {
        self.log_reopener.take()
    }

    /// Has the log look whether it is to go on with another file, also where nothing is to be written.
    pub(crate) fn wake_log(&mut self) {
        if let Some(log) = &mut self.log {
            // One that is too far behind for it looks before its next line.
            log.insist(String::new(), &mut Timeout::of(Duration::ZERO));
        }
    }

    /// The label that the user gave.
    #[must_use]
    pub(crate) fn name(&self) -> Option<&str> {
        self.who.name.as_deref()
    }

    /// Gives it another label.
    pub(crate) fn rename(&mut self, name: String) {
        self.who.name = Some(name);
    }

    /// Another total is expected now, or none that is known yet.
    pub(crate) fn expect(&mut self, total: Option<Expected>) {
        self.who.expected = total;
        self.pace = MovingAverage::default();
    }

    /// It ends at this time of the run, whatever is left then.
    pub(crate) fn expect_end(&mut self, until: Duration) {
        self.until = Some(until);
    }

    /// The status object for somebody who asks, with the interval `since` that status.
    pub(crate) fn snapshot_since(&mut self, since: Option<&Status>, status: &Status) -> Snapshot {
        self.follow(status);
        let snapshot = Snapshot::status(&self.who, since, status, &self.pace);
        self.complete(snapshot, Instant::now(), NAMING)
    }

    /// The status object before the flow has begun: nothing is kept of it for what is said later.
    pub(crate) fn glance(&mut self, status: &Status) -> Snapshot {
        let snapshot = Snapshot::status(&self.who, None, status, &self.pace);
        self.complete(snapshot, Instant::now(), NAMING)
    }

    /// How the program fares that is the consumer, for the next report.
    pub(crate) fn note_command(&mut self, status: Option<CommandStatus>) {
        let named = self.command.0.as_deref().zip(status);
        self.command.1 = named.map(|(name, status)| Command::of(name, &status));
    }

    /// What tees and taps have come to, for the next report.
    pub(crate) fn note_outputs(&mut self, status: Vec<SideStatus>) {
        let named = self.outputs.0.iter().zip(&status);
        self.outputs.1 = named.map(|(name, it)| Output::of(name, it)).collect();
    }

    /// Which lanes have lost most, for the next report.
    pub(crate) fn note_lanes(&mut self, losses: &[LaneLoss]) {
        self.lanes = losses.iter().map(Lane::of).collect();
    }

    /// So much of what is undelivered is lost, though it lies in a spool: said at once, and in the summary.
    pub(crate) fn note_forgone(&mut self, bytes: u64) {
        self.forgone = bytes;
        if bytes > 0 {
            let bytes = figures::bytes(bytes);
            self.complain(&format!(
                "--spool: {bytes} that the consumer was given and has not read are lost: that they are owed again could not \
                 be saved"
            ));
        }
    }

    /// Reports what it is time for.
    pub(crate) fn tick(&mut self, now: Instant, status: &Status) {
        let live = self.live.as_mut().is_some_and(|ticker| ticker.falls(now));
        let every = self
            .live
            .as_ref()
            .map_or(Duration::ZERO, |ticker| ticker.every);
        let kept = self.kept.as_mut().is_some_and(|ticker| ticker.falls(now));
        let looks = self.looks.as_mut().is_some_and(|ticker| ticker.falls(now));
        if !live && !kept && !looks {
            return;
        }
        self.follow(status);
        let snapshot = self.snapshot(status);
        let snapshot = self.complete(snapshot, now, Duration::ZERO);
        if looks {
            let [least, most] = LOOK_EVERY;
            let every = self.trace.least().clamp(least, most);
            self.looks = Some(Ticker::new(every, now));
        }
        if kept {
            self.keep(&snapshot);
        }
        if live {
            self.history.add(*status);
            match self.show {
                Show::Bar(_) => self
                    .stderr
                    .offer_fresh(Word::Frame(Box::new(snapshot), every)),
                Show::Plain => self.report(self.line(&snapshot)),
                Show::Json => self.report(json::line(&snapshot)),
                Show::Off => {}
            }
        }
        for error in self.errors.try_iter() {
            self.stderr.tell(Word::Line(error));
        }
    }

    /// Somebody has asked: one plain line, whatever else is shown, of the time since the last report, or the last such line.
    pub(crate) fn on_demand(&mut self, status: &Status) {
        self.follow(status);
        let snapshot = self.snapshot(status);
        let snapshot = self.complete(snapshot, Instant::now(), NAMING);
        self.report(plain::line(&snapshot));
        self.draw_chart(&snapshot, status, false, &mut Timeout::of(Duration::ZERO));
        if self.live.is_none() {
            self.history.add(*status);
        }
    }

    /// Something went wrong that does not end the run.
    pub(crate) fn complain(&mut self, what: &str) {
        let line = self.who.signed(&without_numbers(what));
        if let Some(log) = &mut self.log {
            log.tell(clock::stamped(&line));
        }
        self.stderr.tell(Word::Line(line));
    }

    /// A line of words, weir's own or the user's.
    fn line(&self, s: &Snapshot) -> String {
        match &self.format {
            Some(format) => format.line(s),
            None => plain::line(s),
        }
    }

    fn follow(&mut self, status: &Status) {
        self.extremes.on(status);
        self.trace.on(status);
        if let Some((_, course)) = &mut self.chart {
            course.on(status);
        }
        let buffer = &status.buffer;
        self.trail
            .on(status.elapsed, buffer.used as u64, buffer.capacity as u64);
        if let Some(expected) = self.who.expected {
            self.pace.on(status.elapsed, expected.done(status));
        }
    }

    fn snapshot(&mut self, status: &Status) -> Snapshot {
        let before = self.history.before(status.elapsed);
        Snapshot::status(&self.who, before, status, &self.pace)
    }

    /// Adds what no status tells: the culprit's name and the time of day.
    fn complete(&mut self, mut it: Snapshot, now: Instant, wait: Duration) -> Snapshot {
        let tee = it
            .slow_tee
            .and_then(|i| Some((i, &self.outputs.0.get(i)?.1)));
        let command = self.command.1.as_ref();
        let process = command.and_then(|it| it.waits_for);
        it.culprit = match (tee, process) {
            (Some((i, path)), _) => {
                let reader = self.culprits.reader(i, now, wait);
                Some(reader.unwrap_or_else(|| path.clone()))
            }
            // The program itself does not run before that one has ended.
            (None, Some(pid)) if it.holdup == Some(Holdup::Sink) => Some(format!("process {pid}")),
            // It is full, or fails: nobody at the ends of this one answers for that.
            (None, _) if it.holdup.is_none() && it.state == State::DiskFull => {
                Some("the disk".to_owned())
            }
            (None, _) => self.culprits.name(it.holdup, now, wait),
        };
        it.outputs = self.outputs.1.clone();
        for (i, output) in it.outputs.iter_mut().enumerate() {
            output.reader = self.culprits.known_reader(i);
        }
        it.drain(self.until);
        it.time = Some(clock::now());
        it.finish = it.eta_s.and_then(clock::after);
        it.trail = self.trail.clone();
        it.lanes = self.lanes.clone();
        it.command = self.command.1.clone();
        it.formatted = self.format.as_ref().map(|format| format.line(&it));
        it
    }

    fn keep(&mut self, snapshot: &Snapshot) {
        if let Some(metrics) = &mut self.metrics {
            metrics.offer_fresh(prometheus::text(snapshot));
        }
    }

    fn report(&mut self, line: String) {
        match &mut self.log {
            Some(log) => log.offer(line),
            None => self.stderr.offer(Word::Line(line)),
        }
    }
}

mod finish;
#[cfg(test)]
mod tests;
