//! One run in data mode: opens the two ends, starts the threads, listens to everybody, and decides
//! how it ends.

mod questions;
mod timetable;

use std::io::{self, Write};
use std::mem;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, at, never, select};
use jiff::Zoned;
use rustix::fs::FileType;

use crate::config::Config;
use crate::config::live::LiveConfig;
use crate::control::server::Control;
use crate::control::signals::{self, SIGINT, SIGPIPE};
use crate::core::Rules;
use crate::core::command::Command;
use crate::core::status::{Count, Status};
use crate::core::watch::{Side, Watch};
use crate::pipe::error::Failure;
use crate::pipe::fd::Port;
use crate::pipe::spill::{Spill, Spiller};
use crate::pipe::{self, Event, Input, Shared};
use crate::report::{Ending, Reporter};
use crate::units::Span;
use timetable::Schedules;

/// How soon after the consumer has left the input must end for that to be a success, if no write
/// is refused meanwhile.
const GRACE: Duration = Duration::from_millis(50);
/// How long a read or write that is under way may take before the books are closed without it.
const HALT: Duration = Duration::from_millis(20);

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// All input was delivered.
    Delivered,
    /// This signal ended it; SIGPIPE: the consumer went away.
    Signal(i32),
    /// A side stalled for too long.
    Stalled(Side, Duration, u64),
    /// A stream failed.
    Failed(Failure),
    /// All was delivered, but not all that was shed could be kept, as was said.
    Unkept,
}

impl End {
    /// Its word in reports.
    fn ending(&self) -> Ending {
        match self {
            End::Delivered => Ending::Eof,
            End::Signal(SIGPIPE) => Ending::ConsumerGone,
            End::Signal(_) => Ending::Signal,
            End::Stalled(..) => Ending::Timeout,
            End::Failed(_) | End::Unkept => Ending::Error,
        }
    }

    /// The line to print for it, if any.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        match self {
            End::Delivered | End::Signal(_) | End::Unkept => None,
            End::Failed(failure) => Some(failure.to_string()),
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
                Some(format!(
                    "timeout: {what} for {time}; {undelivered} bytes undelivered"
                ))
            }
        }
    }
}

/// Runs until the end.
///
/// # Errors
/// When an end of the pipeline cannot be used or a thread cannot be had: nothing was read then.
pub fn run(config: &Config) -> Result<End, Failure> {
    let mut reporter = Reporter::new(&config.report, Instant::now())?;
    let timetables = config.live.timetables();
    let timetables = timetables.map(|(side, table)| (side, table.clone()));
    let mut schedules = Schedules::new(timetables, Instant::now());
    let rules = in_force(config.rules, schedules.poll(Instant::now(), Zoned::now));
    let started = start(config, rules).inspect_err(|failure| reporter.give_up(failure))?;
    let ((shared, events, spiller), signals, beside) = started;
    let mut run = Run {
        schedules,
        shared,
        events,
        signals,
        reporter,
        output: beside,
        unread: None,
        failure: None,
        spill_failed: false,
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
    let status = run.status();
    if let Some(spiller) = spiller {
        let is_end = |signal| !signals::REPORT.contains(&signal);
        run.on_spill_end(spiller.finish(&run.signals, is_end));
    }
    if run.spill_failed && matches!(end, End::Delivered) {
        end = End::Unkept;
    }
    let complaint = end.complaint();
    let left = undelivered(&status);
    run.reporter
        .finish(&status, end.ending(), left, complaint.as_deref());
    Ok(end)
}

/// The rules with the caps that timetables have in force, before the first byte can pass.
fn in_force(mut rules: Rules, commands: impl IntoIterator<Item = Command>) -> Rules {
    for command in commands {
        match command {
            Command::RateOfBytes(cap) => rules.output.bytes = cap,
            Command::RateOfRecords(cap) => rules.output.records = cap,
            Command::InputRateOfBytes(cap) => rules.input.bytes = cap,
            Command::InputRateOfRecords(cap) => rules.input.records = cap,
            _ => {}
        }
    }
    rules
}

/// The core, what its threads have to say, where they spill; the signals; and the
/// output once more.
type Running = (
    (Arc<Shared>, Receiver<Event>, Option<Spiller>),
    Receiver<i32>,
    Port,
);

/// Opens everything and starts the threads.
fn start(config: &Config, rules: Rules) -> Result<Running, Failure> {
    let (inputs, output) = open(config)?;
    let system = |e: io::Error| Failure::new("start", "threads", e);
    // A FIFO opens when it has a reader; until then signals do what they always do.
    let spill = config.shed_to.as_deref().map(Spill::open).transpose()?;
    let signals = signals::listen().map_err(system)?;
    let beside = output.duplicate().map_err(system)?;
    let sizes = (config.pipe_size.wanted(), config.fit_pipe);
    let started = pipe::start(rules, inputs, output, sizes, spill);
    Ok((started.map_err(system)?, signals, beside))
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
pub fn print(text: impl FnOnce() -> io::Result<()>) -> Result<End, Failure> {
    // Rust's own handle takes a closed output for one that swallows everything.
    let output = Port::standard_output()?;
    match text().and_then(|()| io::stdout().flush()) {
        Ok(()) => Ok(End::Delivered),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(End::Signal(SIGPIPE)),
        Err(e) => Err(Failure::new("write", output.name(), e)),
    }
}

/// Everybody whom the main thread listens to, and what it has heard.
struct Run {
    shared: Arc<Shared>,
    events: Receiver<Event>,
    signals: Receiver<i32>,
    schedules: Schedules,
    reporter: Reporter,
    /// The output, to look how much of it lies unread.
    output: Port,
    unread: Option<u64>,
    /// The source thread could not read on: what is held is still delivered.
    failure: Option<Failure>,
    /// It was said that something could not be written down.
    spill_failed: bool,
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

    fn status(&self) -> Status {
        self.shared.tell(|core, now| core.status(now))
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
            Some(Event::SpillFailed(failure)) => self.on_spill_failed(&failure),
            Some(Event::SinkFailed(failure)) => return Some(End::Failed(failure)),
            // One that leaves after the last byte is no different from one that stays. Nor is one
            // that has all it wants when the producer is just about to end: tar is such a pair.
            Some(Event::ConsumerLeft) => self.grace = Some(Instant::now() + GRACE),
            Some(Event::ConsumerGone) => return Some(self.gone()),
            Some(Event::Delivered) | None => {
                let end = self.signal.map_or(End::Delivered, End::Signal);
                return Some(self.failure.take().map_or(end, End::Failed));
            }
        }
        None
    }

    fn on_spill_failed(&mut self, failure: &Failure) {
        if !mem::replace(&mut self.spill_failed, true) {
            self.reporter.complain(&failure.to_string());
        }
    }

    /// The last of what was shed is written, or never will be. What there is to say of it may have
    /// come too late for the loop to hear.
    fn on_spill_end(&mut self, finished: Result<(), Failure>) {
        let events: Vec<Event> = self.events.try_iter().collect();
        for event in events {
            if let Event::SpillFailed(failure) = event {
                self.on_spill_failed(&failure);
            }
        }
        if let Err(failure) = finished {
            self.on_spill_failed(&failure);
        }
    }

    /// There is nobody to deliver to; an earlier failure is the reason that counts.
    fn gone(&mut self) -> End {
        let failure = self.failure.take();
        failure.map_or(End::Signal(SIGPIPE), End::Failed)
    }

    fn on_signal(&mut self, signal: i32) -> Option<End> {
        if signals::REPORT.contains(&signal) {
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
            .tell(|core, now| core.command(now, Command::Drain));
        None
    }
}

/// Opens both ends and checks that they go together.
fn open(config: &Config) -> Result<(Vec<Input>, Port), Failure> {
    let output = Port::standard_output()?;
    let standard = [PathBuf::from("-")];
    let files = match config.files.as_slice() {
        [] => &standard,
        files => files,
    };
    refuse_missing(files)?;
    let inputs = files
        .iter()
        .map(|file| input(file, &output))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(shed_to) = &config.shed_to {
        refuse_as_overflow(shed_to, files)?;
    }
    let standard_input = inputs.iter().filter_map(|input| match input {
        Input::Ready(port) => Some(port),
        Input::File(_) => None,
    });
    // Where freshness rules the pipe to the consumer is the sink thread's business.
    let rules = &config.rules;
    let is_fresh = config.fit_pipe && (rules.shed.is_some() || rules.max_age.is_some());
    let output_too = (!is_fresh).then_some(&output);
    if let Some(size) = config.pipe_size.wanted() {
        standard_input
            .chain(output_too)
            .for_each(|port| port.ask_pipe_size(size));
    }
    Ok((inputs, output))
}

/// Names every file that cannot be found, not only the first.
fn refuse_missing(files: &[PathBuf]) -> Result<(), Failure> {
    let missing = files.iter().filter(|file| *file != Path::new("-"));
    let mut missing = missing.filter_map(|file| {
        let error = file.metadata().err()?;
        Some(Failure::new("open", &file.display().to_string(), error))
    });
    match missing.next() {
        Some(first) => Err(first.and(missing.collect())),
        None => Ok(()),
    }
}

/// Looks at an input before the first byte is read, so that a misspelt name costs nothing.
fn input(file: &Path, output: &Port) -> Result<Input, Failure> {
    let same = |port: &Port| {
        let why = "input file is output file; write to another file and rename it";
        Failure::because("read", port.name(), why)
    };
    if file == Path::new("-") {
        let port = Port::standard_input()?;
        return if port.is_same_file(output) {
            Err(same(&port))
        } else {
            Ok(Input::Ready(port))
        };
    }
    let name = file.display().to_string();
    let kind = file
        .metadata()
        .map_err(|e| Failure::new("open", &name, e))?
        .file_type();
    // Opening a FIFO waits for its writer, and opening another device may do anything.
    if kind.is_file() || kind.is_dir() || kind.is_block_device() {
        let port = Port::open(file)?;
        if port.is_same_file(output) {
            return Err(same(&port));
        }
    }
    Ok(Input::File(file.to_owned()))
}

/// What is shed must not come back as input: that would never end.
fn refuse_as_overflow(shed_to: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    // By name, since opening it would make it. What is not there yet is no input.
    let Ok(overflow) = rustix::fs::stat(shed_to) else {
        return Ok(());
    };
    // Terminals and devices such as /dev/null do not give back what they took.
    let kind = FileType::from_raw_mode(overflow.st_mode);
    let keeps = matches!(kind, FileType::RegularFile | FileType::BlockDevice);
    let is_overflow = |file: &PathBuf| {
        let stat = match file.as_path() {
            file if file == Path::new("-") => rustix::fs::fstat(rustix::stdio::stdin()),
            file => rustix::fs::stat(file),
        };
        stat.is_ok_and(|s| (s.st_dev, s.st_ino) == (overflow.st_dev, overflow.st_ino))
    };
    if keeps && inputs.iter().any(is_overflow) {
        let why = "--shed-to names an input file; what is shed would be read again";
        return Err(Failure::because(
            "open",
            &shed_to.display().to_string(),
            why,
        ));
    }
    Ok(())
}
