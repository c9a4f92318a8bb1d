//! What a run is told, checked: the command line resolved against itself and against the machine.
//! No type of the argument parser goes past this file.

pub mod dials;
mod display;

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::Arguments;
use crate::control::protocol::{Change, Flow, Typed};
use crate::control::schedule::Schedule;
use crate::core::frame::Framing;
use crate::core::gate::Marks;
use crate::core::pace::{Burst, Bursts, Cap};
use crate::core::shed::{Policy, Which};
use crate::core::watch::{Patience, Side};
use crate::core::{Limits, Rules};
use crate::pipe::fd::Wanted;
use crate::pipe::memory;
use crate::report::Plan;
use crate::report::theme::Theme;
use crate::units::{Amount, BufferSize, Limit, Mark, OrOff, Size, Span, Unit};
use dials::Dials;

/// The smallest buffer: a page.
const BUFFER_MIN: u64 = 4096;
/// The kernel pipes that serve best: larger ones are no faster and hide more data.
pub const PIPE_SIZE: usize = 256 * 1024;
/// How far below the high mark reading starts again, at most.
const LOW_GAP: usize = 1 << 20;

/// The kernel pipe size to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipeSize {
    /// At least [`PIPE_SIZE`].
    Auto,
    /// As it is.
    Keep,
    /// This many bytes.
    Bytes(usize),
}

impl PipeSize {
    /// The size to ask for, if any.
    #[must_use]
    pub fn wanted(self) -> Option<Wanted> {
        match self {
            PipeSize::Auto => Some(Wanted::AtLeast(PIPE_SIZE)),
            PipeSize::Bytes(n) => Some(Wanted::Just(n)),
            PipeSize::Keep => None,
        }
    }
}

/// Everything that data mode needs to know.
#[derive(Debug)]
pub struct Settings {
    /// Files to read one after the other; `-` is standard input, and none is too.
    pub files: Vec<PathBuf>,
    /// What the core is told.
    pub rules: Rules,
    /// Caps that change with the time of day.
    pub schedules: Vec<Schedule>,
    /// Where what is shed goes.
    pub shed_to: Option<PathBuf>,
    /// Whether the pipe to the consumer is kept as small as its speed allows, while freshness
    /// rules.
    pub fit_pipe: bool,
    /// Kernel pipe size on both sides.
    pub pipe_size: PipeSize,
    /// What is reported, and where.
    pub report: Plan,
    /// What can be changed later.
    pub dials: Dials,
    /// Whether anybody can change or ask anything.
    pub control: bool,
}

/// A combination of options that cannot be: one line, what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(String);

impl Settings {
    /// Resolves the arguments.
    ///
    /// # Errors
    /// When options contradict each other or this machine.
    pub fn resolve(args: Arguments) -> Result<Settings, Misuse> {
        let capacity = capacity(args.buffer)?;
        let framing = framing(&args)?;
        let both = timeout("--timeout", args.timeout)?;
        let patience = Patience {
            source: timeout("--source-timeout", args.source_timeout)?.or(both),
            sink: timeout("--sink-timeout", args.sink_timeout)?.or(both),
        };
        let dials = Dials {
            capacity,
            framing,
            rate: args.rate.clone(),
            input_rate: args.input_rate.clone(),
            burst: args.burst,
            high: args.high,
            low: args.low,
            prefill: args.prefill,
            shed: args.shed,
            patience: args.patience,
            max_age: args.max_age,
        };
        let tuning = dials.tune()?;
        let report = display::plan(&args, &display::World::look())?;
        // Who says `off` may mean to switch it on later.
        let may_shed = args.shed.is_some() || args.max_age.is_some();
        Ok(Settings {
            shed_to: shed_to(args.shed_to, may_shed)?,
            fit_pipe: args.pipe_size == PipeSize::Auto,
            files: args.files,
            schedules: tuning.schedules,
            rules: Rules {
                capacity,
                marks: tuning.marks,
                cut_through: !args.no_splice,
                framing,
                output: tuning.output,
                input: tuning.input,
                shed: tuning.shed,
                max_age: tuning.max_age,
                burst: tuning.burst,
                patience,
            },
            pipe_size: args.pipe_size,
            report,
            dials,
            control: !args.no_control,
        })
    }
}

/// What to drop when the buffer is full.
fn shed(which: Option<OrOff<Which>>, patience: Option<Span>) -> Result<Option<Policy>, Misuse> {
    if which.is_none() && patience.is_some() {
        let what = "--patience: nothing would be shed after it; add --shed oldest or newest";
        return Err(Misuse(what.into()));
    }
    Ok(which.and_then(|which| which.0).map(|which| Policy {
        which,
        patience: patience.map_or(Duration::ZERO, Into::into),
    }))
}

fn max_age(age: Option<OrOff<Span>>) -> Result<Option<Duration>, Misuse> {
    let age = age.and_then(|age| age.0);
    if age == Some(Span::ZERO) {
        return Err(Misuse("--max-age 0s would shed everything; try 5s".into()));
    }
    Ok(age.map(Into::into))
}

fn timeout(option: &str, limit: Option<Span>) -> Result<Option<Duration>, Misuse> {
    if limit == Some(Span::ZERO) {
        let what = format!("{option} 0s would end at once; try 30s, or leave it out");
        return Err(Misuse(what));
    }
    Ok(limit.map(Into::into))
}

fn shed_to(file: Option<PathBuf>, may_shed: bool) -> Result<Option<PathBuf>, Misuse> {
    if file.is_some() && !may_shed {
        let what =
            "--shed-to: nothing would be shed; add --shed oldest, --shed newest or --max-age 5s";
        return Err(Misuse(what.into()));
    }
    Ok(file)
}

/// How texts look on the terminal.
#[must_use]
pub fn theme() -> Theme {
    display::World::look().theme
}

/// What `--remote` is to tell a running weir.
///
/// # Errors
/// When that is nothing, or could be right for no weir.
pub fn change(args: &Arguments) -> Result<Change, Misuse> {
    display::interval(args.interval)?;
    let flow = [
        (args.pause, Flow::Pause),
        (args.resume, Flow::Resume),
        (args.drain, Flow::Drain),
    ];
    let change = Change {
        rate: args.rate.iter().cloned().map(Typed).collect(),
        input_rate: args.input_rate.iter().cloned().map(Typed).collect(),
        burst: args.burst.map(Typed),
        high: args.high.map(Typed),
        low: args.low.map(Typed),
        prefill: args.prefill.map(Typed),
        shed: args.shed.map(Typed),
        patience: args.patience.map(Typed),
        max_age: args.max_age.map(Typed),
        interval: args.interval.map(Typed),
        flow: flow
            .into_iter()
            .find_map(|(given, flow)| given.then_some(flow)),
    };
    if change == Change::default() {
        let what = "--remote: there is nothing to change; try --rate 10MB/s, --pause or --resume";
        return Err(Misuse(what.into()));
    }
    Ok(change)
}

fn framing(args: &Arguments) -> Result<Option<Framing>, Misuse> {
    let Some(size) = args.record_size else {
        let end = if args.lines { b'\n' } else { 0 };
        return Ok((args.lines || args.null).then_some(Framing::Terminator(end)));
    };
    match NonZeroU64::new(size.bytes()) {
        Some(size) => Ok(Some(Framing::Fixed(size))),
        None => Err(Misuse(
            "--record-size 0: a record has at least one byte; try --record-size 512".into(),
        )),
    }
}

/// The caps on one side, one for each unit at most.
fn limits(
    option: &str,
    side: Side,
    given: &[Limit],
    framing: Option<Framing>,
    schedules: &mut Vec<Schedule>,
) -> Result<Limits, Misuse> {
    let mut limits = Limits::default();
    let mut seen: Vec<Option<Unit>> = Vec::new();
    for limit in given {
        let unit = limit.unit();
        if unit == Some(Unit::Records) && framing.is_none() {
            return Err(Misuse(format!(
                "{option} {limit} counts records: say what a record is with -l, -0 or --record-size, or give bytes, such as 10MB/s"
            )));
        }
        if seen.contains(&unit) {
            return Err(Misuse(format!(
                "{option} {limit}: there is one already; one cap in bytes and one in records can be given, such as {option} 10MB/s {option} 100/s"
            )));
        }
        seen.push(unit);
        let cap = cap(limit, side);
        match unit {
            Some(Unit::Records) => limits.records = cap,
            Some(Unit::Bytes) => limits.bytes = cap,
            None => {}
        }
        if let Limit::Timetable(table) = limit {
            schedules.push(Schedule::new(side, table.clone()));
        }
    }
    Ok(limits)
}

/// What the core makes of a limit; a timetable is told to it as time goes by.
fn cap(limit: &Limit, side: Side) -> Option<Cap> {
    match (limit, side) {
        (Limit::Off | Limit::Timetable(_), _) => None,
        (Limit::Fixed(rate), _) => Some(Cap::Fixed(*rate)),
        (Limit::Range { empty, full }, Side::Sink) => Some(Cap::Range(*empty, *full)),
        // The fuller the buffer, the slower the input.
        (Limit::Range { empty, full }, Side::Source) => Some(Cap::Range(*full, *empty)),
    }
}

fn bursts(amount: Amount, caps: Vec<Unit>, capacity: usize) -> Result<Bursts, Misuse> {
    let misuse = |what: &str| Err(Misuse(format!("--burst {amount}: {what}")));
    if caps.is_empty() {
        return misuse("there is no cap that it could exceed; add one, such as --rate 10MB/s");
    }
    let mut bursts = Bursts::default();
    match amount {
        Amount::Time(time) => {
            (bursts.bytes, bursts.records) = (Burst::Worth(time), Burst::Worth(time));
        }
        Amount::Count(n) if caps.contains(&Unit::Records) => bursts.records = Burst::Units(n),
        Amount::Bytes(_) if !caps.contains(&Unit::Bytes) => {
            return misuse("the cap is in records; give a count, such as --burst 10");
        }
        Amount::Count(n) => bursts.bytes = Burst::Units(n),
        Amount::Bytes(size) => bursts.bytes = Burst::Units(size.bytes()),
    }
    match bursts.bytes {
        Burst::Units(n) if n > capacity as u64 => {
            let all = Size::new(capacity as u64);
            misuse(&format!(
                "more than the buffer of {all} can hold; try a larger --buffer"
            ))
        }
        _ => Ok(bursts),
    }
}

fn capacity(buffer: BufferSize) -> Result<usize, Misuse> {
    let physical = memory::physical();
    let size = match (buffer, physical) {
        (BufferSize::Bytes(size), _) => size,
        (_, Some(physical)) => buffer.resolve(physical),
        (_, None) => {
            return Err(Misuse(format!(
                "--buffer {buffer}: this system does not tell how much memory it has; give a size, such as 64MiB"
            )));
        }
    };
    if size.bytes() < BUFFER_MIN {
        return Err(Misuse(format!(
            "--buffer {buffer} is too small: the smallest is 4KiB"
        )));
    }
    if physical.is_some_and(|all| size.bytes() > all) {
        let all = Size::new(physical.unwrap_or_default()).human();
        return Err(Misuse(format!(
            "--buffer {buffer} is more than the memory of this machine ({all}); try 50%"
        )));
    }
    usize::try_from(size.bytes()).map_err(|_| {
        Misuse(format!(
            "--buffer {buffer} is more than this system can address"
        ))
    })
}

fn marks(args: &Dials, capacity: usize) -> Result<Marks, Misuse> {
    let of = |mark: &Mark| usize::try_from(mark.of(capacity as u64)).unwrap_or(usize::MAX);
    let high = args.high.as_ref().map_or(capacity, of);
    let low = args
        .low
        .as_ref()
        .map_or(high.saturating_sub((high / 8).clamp(1, LOW_GAP)), of);
    let prefill = args.prefill.as_ref().map_or(0, of);
    let name = |mark: &Option<Mark>, bytes: usize| match mark {
        Some(mark) => mark.to_string(),
        None => format!("{} (the default)", Size::new(bytes as u64)),
    };
    let (h, l, p) = (
        name(&args.high, high),
        name(&args.low, low),
        name(&args.prefill, prefill),
    );
    if high == 0 || high > capacity {
        let all = Size::new(capacity as u64);
        return Err(Misuse(format!(
            "--high {h} must be above 0 and within the buffer of {all}; try 100% or a larger --buffer"
        )));
    }
    if low >= high {
        return Err(Misuse(format!(
            "--low {l} must be below --high {h}; try --low 50% --high 90%"
        )));
    }
    if prefill > high {
        return Err(Misuse(format!(
            "--prefill {p} must not be above --high {h}; try --prefill 50%"
        )));
    }
    Ok(Marks { high, low, prefill })
}

#[cfg(test)]
pub mod tests;
