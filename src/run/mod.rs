//! One run in data mode, from the options to its end.

mod end;
mod one_file;
mod open;
mod questions;
mod supervise;
mod timetable;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use jiff::Zoned;
use rustix::io::Errno;

use crate::config::Config;
use crate::control::server::Control;
use crate::control::signals::{self, Listener};
use crate::control::{client, directory};
use crate::engine::Rules;
use crate::engine::directive::Directive;
use crate::pipe::error::PipeError;
use crate::pipe::fan_out::Branch;
use crate::pipe::fd::Port;
use crate::pipe::overflow::OverflowFile;
use crate::pipe::{self, Started};
use crate::report::{Others, Reporter};
use crate::share::{self, Membership};
pub(crate) use end::End;
use end::undelivered;
use supervise::Run;
use timetable::Schedules;

/// How long a read or write that is under way may take before the books are closed without it.
const HALT: Duration = Duration::from_millis(20);

/// Where the other weirs of this user are.
const OTHERS: Others = Others {
    directory: directory::for_new,
    ask: client::glance,
};

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
