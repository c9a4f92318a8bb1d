//! One run in data mode: starts the threads, listens to everybody, and decides how it ends.

mod one_file;
mod open;
mod questions;
mod timetable;

use std::io::{self, Write};
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, at, bounded, never, select, unbounded};
use jiff::Zoned;
use rustix::io::Errno;

use crate::config::Config;
use crate::config::live::LiveConfig;
use crate::control::server::Control;
use crate::control::signals::{self, Listener, SIGINT, SIGPIPE};
use crate::control::{client, directory};
use crate::engine::Rules;
use crate::engine::directive::Directive;
use crate::engine::stall::{Side, Watch};
use crate::engine::status::{Count, Status};
use crate::pipe::error::PipeError;
use crate::pipe::fan_out::{Branch, Branches};
use crate::pipe::fd::Port;
use crate::pipe::overflow::OverflowFile;
use crate::pipe::{self, Event, Shared, Started, inherited};
use crate::report::{Ending, Others, Reporter, figures};
use crate::share::{self, Membership};
use crate::units::Span;
use timetable::Schedules;

/// How soon after the consumer has left the input must end for that to be a success, if no write
/// is refused meanwhile.
const GRACE: Duration = Duration::from_millis(50);
/// How long a read or write that is under way may take before the books are closed without it.
const HALT: Duration = Duration::from_millis(20);

/// How long the end of a run waits for taps that are behind, at most.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Where the other weirs of this user are.
const OTHERS: Others = Others {
    directory: directory::for_new,
    ask: client::glance,
};

/// How a run ended.
#[derive(Debug)]
pub(crate) enum End {
    /// All input was delivered.
    Delivered,
    /// Somebody asked for no more to be read, and what was held was delivered.
    Drained,
    /// This signal ended it; SIGPIPE: the consumer went away.
    Signal(i32),
    /// A side stalled for too long.
    Stalled(Side, Duration, u64),
    /// The consumer went away, and whoever started weir ignores SIGPIPE.
    BrokenPipe(PipeError),
    /// A stream failed.
    Failed(PipeError),
    /// All was delivered to the consumer, but not all that was shed could be kept, or another output has failed, as
    /// was said.
    Unkept,
}

impl End {
    /// The consumer went away: as `cat` ends then, by the signal, or by saying so where that is
    /// ignored.
    fn consumer_gone(output: &Port) -> End {
        if inherited::was_ignored(SIGPIPE) {
            End::BrokenPipe(PipeError::new("write", output.name(), Errno::PIPE))
        } else {
            End::Signal(SIGPIPE)
        }
    }

    /// Its word in reports.
    fn ending(&self) -> Ending {
        match self {
            End::Delivered => Ending::Eof,
            End::Drained => Ending::Drained,
            End::Signal(SIGPIPE) | End::BrokenPipe(_) => Ending::ConsumerGone,
            End::Signal(_) => Ending::Signal,
            End::Stalled(..) => Ending::Timeout,
            End::Failed(_) | End::Unkept => Ending::Error,
        }
    }

    /// The line to print for it, if any.
    #[must_use]
    pub(crate) fn complaint(&self) -> Option<String> {
        match self {
            End::Delivered | End::Drained | End::Signal(_) | End::Unkept => None,
            End::Failed(failure) | End::BrokenPipe(failure) => Some(failure.to_string()),
            End::Stalled(side, time, undelivered) => {
                let what = match side {
                    Side::Source => "the source has sent nothing",
                    Side::Sink => "the sink has taken nothing",
                };
                // Whole milliseconds say enough of a wait.
                let time =
                    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
                let time =
                    Span::try_from(time).map_or_else(|_| format!("{time:?}"), |s| s.to_string());
                let left = match undelivered {
                    0 => "nothing".to_owned(),
                    bytes => figures::bytes(*bytes),
                };
                Some(format!("timeout: {what} for {time}; {left} undelivered"))
            }
        }
    }
}

/// Runs until the end.
///
/// # Errors
/// When an end of the pipeline cannot be used or a thread cannot be had: nothing was read then.
pub(crate) fn run(config: &Config) -> Result<End, PipeError> {
    // Before there is anything by which others can tell that weir runs, and signal it.
    let listener = signals::listen().map_err(system)?;
    let inputs = open::inputs(config);
    let clash = one_file::clash(config, &inputs);
    let clash = match clash {
        Some(clash) if clash.is_of_log => return Err(clash.failure),
        clash => clash.map_or(Ok(()), |clash| Err(clash.failure)),
    };
    let mut reporter = Reporter::new(&config.report, OTHERS, Instant::now())?;
    let timetables = config.live.timetables();
    let timetables = timetables.map(|(side, table)| (side, table.clone()));
    let mut schedules = Schedules::new(timetables, Instant::now());
    let rules = in_force(config.rules, schedules.poll(Instant::now(), Zoned::now));
    let (notices, noticed) = unbounded();
    let started = clash.and_then(|()| start(config, &inputs, rules, listener, notices));
    let started = started.inspect_err(|failure| reporter.give_up(failure))?;
    let (started, signals, output, membership) = started;
    let Started {
        shared,
        events,
        overflow_thread,
        branches,
    } = started;
    let mut run = Run {
        schedules,
        shared,
        events,
        signals,
        noticed,
        membership,
        reporter,
        output,
        unread: None,
        failure: None,
        overflow_failed: false,
        output_failed: false,
        branches,
        drained: false,
        signal: None,
        signal_grace: config.grace,
        deliver_until: None,
        grace: None,
        control: Control::new(config.control, Instant::now()),
        live: config.live.clone(),
    };
    let mut end = run.supervise();
    run.control.close();
    run.shared.halt(HALT);
    run.hear_last();
    let status = run.status();
    run.membership.leave();
    if let Some(overflow_thread) = overflow_thread {
        run.on_overflow_end(overflow_thread.finish(&run.signals, signals::is_end));
    }
    let is_short = run.overflow_failed || run.output_failed;
    if is_short && matches!(end, End::Delivered | End::Drained) {
        end = End::Unkept;
    }
    let complaint = end.complaint();
    let left = undelivered(&status);
    run.reporter
        .finish(&status, end.ending(), left, complaint.as_deref());
    Ok(end)
}

/// The rules with the caps that timetables have in force, before the first byte can pass.
fn in_force(mut rules: Rules, commands: impl IntoIterator<Item = Directive>) -> Rules {
    for command in commands {
        match command {
            Directive::RateOfBytes(cap) => rules.output.bytes = cap,
            Directive::RateOfRecords(cap) => rules.output.records = cap,
            Directive::InputRateOfBytes(cap) => rules.input.bytes = cap,
            Directive::InputRateOfRecords(cap) => rules.input.records = cap,
            _ => {}
        }
    }
    rules
}

/// The threads; the signals; the output once more; and with whom the caps are shared.
type Running = (Started, Receiver<i32>, Port, Membership);

/// Joins those with whom the caps on the output are shared.
fn share(
    config: &Config,
    notices: Sender<String>,
) -> Result<(Vec<share::Cap>, Membership), PipeError> {
    let Some(share) = &config.share else {
        return Ok(Default::default());
    };
    let directory = directory::for_new();
    let say = move |what: &str| drop(notices.send(what.to_owned()));
    let rates = config.live.output.rates();
    share::join(share, rates, config.live.burst, directory.as_deref(), say)
}

/// Opens everything and starts the threads.
fn start(
    config: &Config,
    inputs: &[PathBuf],
    rules: Rules,
    listener: Listener,
    notices: Sender<String>,
) -> Result<Running, PipeError> {
    let (inputs, output) = open::open(config, inputs)?;
    let overflow = config.shed_to.as_deref();
    let overflow = overflow.map(|path| OverflowFile::open(path, rules.framing));
    let overflow = overflow.transpose()?;
    let branches = config.outputs.iter();
    let branches = branches.map(|(path, role)| Branch::open(path, *role, config.append));
    let branches = branches.collect::<Result<Vec<_>, _>>()?;
    let (caps, membership) = share(config, notices)?;
    // All is open: what happens to a signal from here on is decided here.
    let signals = listener.heed();
    let size = config.pipe_size.wanted();
    let started = pipe::start(
        rules,
        caps,
        inputs,
        output.clone(),
        size,
        overflow,
        branches,
    );
    Ok((started.map_err(system)?, signals, output, membership))
}

/// The system refuses what weir needs for itself.
fn system(e: io::Error) -> PipeError {
    if e.raw_os_error() == Some(Errno::MFILE.raw_os_error()) {
        let why = "Too many open files: weir takes up to 8 beside those that it is told to open; \
                   try ulimit -n 32";
        return PipeError::because("start", "descriptors", why);
    }
    PipeError::new("start", "threads", e)
}

/// What was read and has neither been delivered nor shed.
fn undelivered(status: &Status) -> Count {
    let (read, written, shed) = (status.read, status.written, status.shed.total);
    let left = |read: u64, gone: u64| read.saturating_sub(gone);
    Count {
        bytes: left(read.bytes, written.bytes + shed.bytes),
        records: read
            .records
            .map(|n| left(n, written.records.unwrap_or(0) + shed.records.unwrap_or(0))),
    }
}

/// Prints a text of weir's own to standard output, with the same ends as a run.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn print(text: impl FnOnce() -> io::Result<()>) -> Result<End, PipeError> {
    // Rust's own handle takes a closed output for one that swallows everything.
    let output = Port::standard_output()?;
    match text().and_then(|()| io::stdout().flush()) {
        Ok(()) => output.close().map(|()| End::Delivered),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => match End::consumer_gone(&output) {
            End::BrokenPipe(failure) => Err(failure),
            end => Ok(end),
        },
        Err(e) => Err(PipeError::new("write", output.name(), e)),
    }
}

/// Everybody whom the main thread listens to, and what it has heard.
struct Run {
    shared: Arc<Shared>,
    events: Receiver<Event>,
    signals: Receiver<i32>,
    /// What those with whom a cap is shared have to say.
    noticed: Receiver<String>,
    membership: Membership,
    schedules: Schedules,
    reporter: Reporter,
    /// The output, to look how much of it lies unread.
    output: Port,
    unread: Option<u64>,
    /// The source thread could not read on: what is held is still delivered.
    failure: Option<PipeError>,
    /// It was said that something could not be written down.
    overflow_failed: bool,
    /// It was said that a tee or a tap has failed.
    output_failed: bool,
    branches: Branches,
    /// Somebody has asked for no more to be read.
    drained: bool,
    /// This signal ends the run when all is delivered.
    signal: Option<i32>,
    /// For how long what is held is delivered after such a signal, and until when that is.
    signal_grace: Duration,
    deliver_until: Option<Instant>,
    /// The consumer has left: until then the end of input makes that a success.
    grace: Option<Instant>,
    control: Control,
    /// What can be changed, as it is in force.
    live: LiveConfig,
}

impl Run {
    /// Listens until something ends the run.
    fn supervise(&mut self) -> End {
        loop {
            // What has happened already counts before what is only late.
            while let Ok(event) = self.events.try_recv() {
                if let Some(end) = self.on_event(Some(event)) {
                    return end;
                }
            }
            for command in self.schedules.poll(Instant::now(), Zoned::now) {
                self.shared.tell(|core, now| core.command(now, command));
            }
            let watch = match self.watch() {
                Watch::Quiet(due) => due,
                Watch::Stalled(side, time) => {
                    return End::Stalled(side, time, undelivered(&self.status()).bytes);
                }
            };
            if self.grace.is_some_and(|until| until <= Instant::now()) {
                return self.gone();
            }
            if let Some(signal) = self.signal
                && self
                    .deliver_until
                    .is_some_and(|until| until <= Instant::now())
            {
                return End::Signal(signal);
            }
            let due = [
                watch,
                self.schedules.due(),
                self.reporter.next_tick(),
                self.control.due(),
                self.grace,
                self.deliver_until,
            ];
            let alarm = due.into_iter().flatten().min().map_or_else(never, at);
            let decided = select! {
                recv(self.events) -> event => self.on_event(event.ok()),
                recv(self.signals) -> signal => self.on_signal(signal.unwrap_or(SIGINT)),
                recv(self.control.questions) -> question => {
                    question.into_iter().for_each(|question| self.on_question(question));
                    None
                }
                recv(self.noticed) -> what => {
                    match what {
                        Ok(what) => self.reporter.complain(&what),
                        // Nobody has anything to say any more.
                        Err(_) => self.noticed = never(),
                    }
                    None
                }
                recv(alarm) -> _ => {
                    self.control.poll(Instant::now());
                    self.report();
                    None
                }
            };
            if let Some(end) = decided {
                return end;
            }
        }
    }

    fn status(&mut self) -> Status {
        let told = self
            .shared
            .tell(|core, now| (core.status(now), core.side_status(now)));
        self.reporter.note_outputs(told.1);
        let mut status = told.0;
        status.share = self.membership.status(Instant::now());
        status
    }

    /// Asks the watchdog. A pipe says that it has room only when a whole page of it has been read;
    /// how much lies unread in it tells of a consumer that takes less.
    fn watch(&mut self) -> Watch {
        let watch = self.shared.tell(|core, now| core.watch(now));
        if watch != Watch::Quiet(None) {
            let unread = self.output.unread();
            if mem::replace(&mut self.unread, unread) != unread {
                self.shared.tell(|core, now| core.on_sink_moved(now));
                return self.shared.tell(|core, now| core.watch(now));
            }
        }
        watch
    }

    fn report(&mut self) {
        let now = Instant::now();
        if self.reporter.next_tick().is_some_and(|due| due <= now) {
            let status = self.status();
            self.reporter.tick(now, &status);
        }
    }

    fn on_event(&mut self, event: Option<Event>) -> Option<End> {
        match event {
            Some(Event::SourceFailed(failure)) => self.failure = Some(failure),
            Some(Event::OverflowFailed(failure)) => self.on_overflow_failed(&failure),
            Some(Event::OutputFailed(failure)) => {
                self.output_failed = true;
                self.reporter.complain(&failure.to_string());
            }
            Some(Event::SinkFailed(failure)) => return Some(End::Failed(failure)),
            // One that leaves after the last byte is no different from one that stays. Nor is one
            // that has all it wants when the producer is just about to end: tar is such a pair.
            Some(Event::ConsumerLeft) => self.grace = Some(Instant::now() + GRACE),
            Some(Event::ConsumerGone) => return Some(self.gone()),
            Some(Event::Delivered) | None => {
                return Some(self.delivered());
            }
        }
        None
    }

    fn on_overflow_failed(&mut self, failure: &PipeError) {
        if !mem::replace(&mut self.overflow_failed, true) {
            self.reporter.complain(&failure.to_string());
        }
    }

    /// The last of what was shed is written, or never will be. What there is to say of it may have
    /// come too late for the loop to hear.
    fn on_overflow_end(&mut self, finished: Result<(), PipeError>) {
        self.hear_last();
        if let Err(failure) = finished {
            self.on_overflow_failed(&failure);
        }
    }

    /// Hears of failures that came too late for the loop.
    fn hear_last(&mut self) {
        let events: Vec<Event> = self.events.try_iter().collect();
        for event in events {
            if matches!(event, Event::OverflowFailed(_) | Event::OutputFailed(_)) {
                self.on_event(Some(event));
            }
        }
    }

    /// Waits until tees have all that they are owed and are closed, and for a moment for taps. The signal that
    /// has ended that, if one has.
    fn finish_branches(&mut self) -> Option<End> {
        let moment = after(LAST_WAIT);
        let late = self.deliver_until.map_or_else(never, at);
        let mut taps = true;
        loop {
            if !self.shared.tell(|core, _| core.is_side_pending(taps)) {
                return None;
            }
            select! {
                recv(self.branches.over) -> _ => {}
                recv(moment) -> _ => taps = false,
                recv(late) -> _ => return self.signal.map(End::Signal),
                recv(self.signals) -> signal => match signal.unwrap_or(SIGINT) {
                    end if signals::is_end(end) => return Some(End::Signal(end)),
                    report => drop(self.on_signal(report)),
                }
            }
        }
    }

    /// There is nobody to deliver to; an earlier failure is the reason that counts.
    fn gone(&mut self) -> End {
        let failure = self.failure.take();
        failure.map_or_else(|| End::consumer_gone(&self.output), End::Failed)
    }

    /// Everything has been written. Whether it has arrived some outputs tell only at their end.
    fn delivered(&mut self) -> End {
        let cut = self.finish_branches();
        let closed = cut.or_else(|| self.close_output());
        let end = match self.signal {
            Some(signal) => End::Signal(signal),
            None if self.drained => End::Drained,
            None => End::Delivered,
        };
        match (self.failure.take(), closed) {
            (Some(failure), _) => End::Failed(failure),
            (None, Some(end)) => end,
            (None, None) => end,
        }
    }

    /// Closes the output, which may take as long as a disk does, or a server that does not answer:
    /// a signal ends weir meanwhile, too. The end that comes of it, if it is not to be as it was.
    fn close_output(&mut self) -> Option<End> {
        if !self.output.tells_at_close() {
            return None;
        }
        let (say, said) = bounded(1);
        let output = self.output.clone();
        let closing = move || say.send(output.close()).unwrap_or_default();
        let thread = thread::Builder::new().name("close".into()).spawn(closing);
        if thread.is_err() {
            return self.output.close().err().map(End::Failed);
        }
        let late = self.deliver_until.map_or_else(never, at);
        loop {
            select! {
                recv(late) -> _ => return self.signal.map(End::Signal),
                recv(said) -> closed => return closed.ok()?.err().map(End::Failed),
                recv(self.signals) -> signal => match signal.unwrap_or(SIGINT) {
                    end if signals::is_end(end) => return Some(End::Signal(end)),
                    report => drop(self.on_signal(report)),
                }
            }
        }
    }

    fn on_signal(&mut self, signal: i32) -> Option<End> {
        if !signals::is_end(signal) {
            let status = self.status();
            self.reporter.on_demand(&status);
            return None;
        }
        if signal == SIGINT || self.signal.is_some() {
            return Some(End::Signal(signal));
        }
        self.signal = Some(signal);
        // One that is beyond the end of time never comes.
        self.deliver_until = Instant::now().checked_add(self.signal_grace);
        self.shared
            .tell(|core, now| core.command(now, Directive::Drain));
        None
    }
}
