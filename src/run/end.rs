//! How a run ended: its word in reports, and the line that is said of it.

use std::time::Duration;

use rustix::io::Errno;

use crate::command::child::Exit;
use crate::config::Config;
use crate::control::signals::{SIGPIPE, SIGTERM};
use crate::engine::side::{Role, SideStatus};
use crate::engine::stall::Side;
use crate::engine::status::{Count, Status};
use crate::pipe::error::PipeError;
use crate::pipe::fd::Port;
use crate::pipe::inherited;
use crate::report::{Ending, figures};
use crate::units::{Span, printable};

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
    /// The program that was run as the consumer has ended, as reports say: this is its status.
    Command(Exit, Ending),
    /// COMMAND has ended as if all were well, so many times in a row, without having taken anything, and is not run again.
    TookNothing(u32, u64),
    /// Everything was dealt with, but so many batches, with so much in them, were given up or rejected.
    GivenUp {
        batches: u64,
        count: Count,
        /// Somebody had asked for no more to be read.
        is_drained: bool,
    },
    /// All that was there was delivered to the consumer, but not all that was shed could be kept, another output has
    /// failed, or a part of a spool was damaged, as was said.
    Unkept,
}

/// Why only tees are waited for.
#[derive(Debug)]
pub(super) enum Awaits {
    /// The program that is the consumer has ended, or cannot be run: this is how the run ends.
    Early(End),
    /// None of several programs has anything to do any more.
    Programs,
}

impl End {
    /// The consumer went away: as `cat` ends then, by the signal, or by saying so where that is
    /// ignored, or where it is a terminal, to which no write is one to a broken pipe.
    pub(super) fn consumer_gone(output: Option<&Port>) -> End {
        if let Some(terminal) = output.filter(|port| port.is_terminal()) {
            End::Failed(PipeError::new("write", terminal.name(), Errno::IO))
        } else if inherited::was_ignored(SIGPIPE) {
            let name = output.map_or("standard output", Port::name);
            End::BrokenPipe(PipeError::new("write", name, Errno::PIPE))
        } else {
            End::Signal(SIGPIPE)
        }
    }

    /// COMMAND, or the last of several, has ended before it had all, or otherwise than it should. `is_interrupted`: it was
    /// just sent a signal from the terminal, and this is what it has made of it.
    pub(super) fn of_command(exit: Exit, is_interrupted: bool) -> End {
        let ending = match exit.is_success() {
            _ if is_interrupted => Ending::Signal,
            true => Ending::ConsumerGone,
            false => Ending::CommandFailed,
        };
        End::Command(exit, ending)
    }

    /// COMMAND, or one of several, has ended so, that was sent this signal from the terminal, or by somebody in its place:
    /// the end, where that is for the signal. `is_held`: it would be run again, but for that.
    pub(super) fn by_interrupt(exit: Exit, signal: Option<i32>, is_held: bool) -> Option<End> {
        let signal = signal?;
        // A status that says that all is well would say so of what was not delivered, too.
        let is_by_it = exit == Exit::Signal(signal) || is_held && exit.is_success();
        is_by_it.then_some(End::Signal(signal))
    }

    /// Whether nothing was amiss, as far as the consumer goes.
    pub(super) fn is_good(&self) -> bool {
        match self {
            End::Delivered | End::Drained => true,
            End::Command(exit, _) => exit.is_success(),
            _ => false,
        }
    }

    /// Whether all input was delivered.
    pub(super) fn is_end_of_input(&self) -> bool {
        match self {
            End::Delivered | End::Command(..) | End::Unkept => true,
            End::GivenUp { is_drained, .. } => !is_drained,
            _ => false,
        }
    }

    /// The signal by which a program is ended then; `heard`: the one that it was sent before and has not heeded.
    pub(super) fn signal_for_command(&self, heard: Option<i32>) -> i32 {
        match self {
            End::Signal(signal) if *signal != SIGPIPE && heard != Some(*signal) => *signal,
            _ => SIGTERM,
        }
    }

    /// The same, but for what only now is known: what was left undelivered, and whether that is all that there was.
    #[must_use]
    pub(super) fn with_left(self, left: Count, is_all_out: bool) -> End {
        match self {
            End::Stalled(side, time, _) => End::Stalled(side, time, left.bytes),
            End::TookNothing(times, _) => End::TookNothing(times, left.bytes),
            // It was given the end of the input, but did not want all that came before.
            End::Command(exit, Ending::Eof) if !is_all_out => {
                End::Command(exit, Ending::ConsumerGone)
            }
            end => end,
        }
    }

    /// Its word in reports.
    pub(super) fn ending(&self) -> Ending {
        match self {
            End::Delivered => Ending::Eof,
            End::Drained
            | End::GivenUp {
                is_drained: true, ..
            } => Ending::Drained,
            End::Signal(SIGPIPE) | End::BrokenPipe(_) => Ending::ConsumerGone,
            End::Signal(_) => Ending::Signal,
            End::Stalled(..) => Ending::Timeout,
            End::Failed(_) | End::Unkept => Ending::Error,
            End::GivenUp { .. } | End::TookNothing(..) => Ending::CommandFailed,
            End::Command(_, ending) => *ending,
        }
    }

    /// The line to print for it, if any; where a side has stalled, or COMMAND has ended, with what tees lack. `lost`: the
    /// rest stays in a spool, but for so much.
    pub(super) fn complaint(&self, behind: Option<&str>, lost: Option<u64>) -> Option<String> {
        match self {
            End::Command(exit, _) if !exit.is_success() => behind.map(str::to_owned),
            End::Delivered | End::Drained | End::Signal(_) | End::Unkept | End::Command(..) => None,
            End::Failed(failure) | End::BrokenPipe(failure) => Some(failure.to_string()),
            End::GivenUp { batches, count, .. } => Some(given_up(*batches, *count)),
            End::TookNothing(times, left) => {
                let behind = behind.map_or(String::new(), |behind| format!(", {behind}"));
                Some(format!(
                    "COMMAND has ended {times} times with status 0 and taken nothing; {}{behind}",
                    undelivered_text(*left, lost)
                ))
            }
            End::Stalled(side, time, undelivered) => {
                let what = match side {
                    Side::Source => "the source has sent nothing",
                    Side::Sink => "the sink has taken nothing",
                };
                let left = left_by_stall(*time, *undelivered, behind, lost);
                Some(format!("timeout: {what} for {left}"))
            }
        }
    }

    /// The line to print where COMMAND was ended so many times in a row for having taken nothing for so long.
    pub(super) fn of_stalled_command(
        times: u32,
        time: Duration,
        undelivered: u64,
        behind: Option<&str>,
        lost: Option<u64>,
    ) -> String {
        let left = left_by_stall(time, undelivered, behind, lost);
        format!(
            "timeout: COMMAND was given up after {times} failures, the last by taking nothing for {left}"
        )
    }
}

/// `300ms; 2.61MiB undelivered`.
fn left_by_stall(time: Duration, left: u64, behind: Option<&str>, lost: Option<u64>) -> String {
    // Whole milliseconds say enough of a wait.
    let time = Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let time = Span::try_from(time).map_or_else(|_| format!("{time:?}"), |s| s.to_string());
    let left = undelivered_text(left, lost);
    let behind = behind.map_or(String::new(), |behind| format!(", {behind}"));
    format!("{time}; {left}{behind}")
}

/// `2.61MiB undelivered`, and as summaries say it where that stays in a spool, but for what is lost.
fn undelivered_text(bytes: u64, lost: Option<u64>) -> String {
    let left = match bytes {
        0 => return "nothing undelivered".to_owned(),
        bytes => figures::bytes(bytes) + " undelivered",
    };
    match lost {
        None => left,
        Some(0) => left + ", which stays in the spool",
        Some(lost) => {
            let lost = figures::bytes(lost);
            format!("{left}, which stays in the spool, but for {lost} that are lost")
        }
    }
}

/// What tees have not had, where nothing keeps it for them: `2.61MiB undelivered to copy.tar`.
pub(super) fn tees_behind(config: &Config, sides: &[SideStatus]) -> Option<String> {
    let all = config.outputs.iter().zip(sides);
    let behind = all.filter(|((_, role), it)| *role == Role::Tee && !it.failed && it.owed > 0);
    let texts: Vec<String> = behind
        .filter(|_| config.spool.is_none())
        .map(|((path, _), it)| {
            let name = printable(&path.display().to_string());
            format!("{} undelivered to {name}", figures::bytes(it.owed))
        })
        .collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// What is said of batches that were given up or rejected.
fn given_up(batches: u64, count: Count) -> String {
    let bytes = figures::bytes(count.bytes);
    let what = match count.records {
        Some(1) => format!("1 record, {bytes}"),
        Some(n) => format!("{} records, {bytes}", figures::count(n)),
        None => bytes,
    };
    match batches {
        1 => format!("1 batch ({what}) was given up or rejected"),
        n => format!(
            "{} batches ({what}) were given up or rejected",
            figures::count(n)
        ),
    }
}

/// What was read and has neither been delivered nor shed.
pub(super) fn undelivered(status: &Status) -> Count {
    let (read, written, shed) = (status.read, status.written, status.shed.total);
    let left = |read: u64, gone: u64| read.saturating_sub(gone);
    Count {
        bytes: left(read.bytes, written.bytes + shed.bytes),
        records: read
            .records
            .map(|n| left(n, written.records.unwrap_or(0) + shed.records.unwrap_or(0))),
    }
}
