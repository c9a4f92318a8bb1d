//! Options to a config, a config to a run, a run to an exit status; nothing else.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use crate::config::command_line::generate;
use crate::config::options::Options;
use crate::config::{self, Config};
use crate::control::client::{self, ClientError};
use crate::control::directory::Whose;
use crate::control::look;
use crate::control::signals;
use crate::disk::query::query;
use crate::pipe::error::PipeError;
use crate::report::spool;
use crate::report::terminal::is_terminal;
use crate::run::{End, StartError, print, run};
use crate::top;
use crate::units::without_numbers;

const FAILURE: u8 = 1;
const USAGE: u8 = 2;
/// A failure of weir's own, where the status is a program's that it runs.
const FAILURE_BESIDE: u8 = 125;
const STALLED: u8 = 124;
/// Some batches were given up: as of `xargs`, of whose commands some have failed.
const GIVEN_UP: u8 = 123;

/// What the binary does.
pub fn main() -> ExitCode {
    let mut options = match Options::from_command_line() {
        Ok(options) => options,
        Err(error) if error.is_answer() => return conclude(print(|| error.print())),
        Err(error) => return complain(&error, USAGE),
    };
    if let Some(what) = options.generate {
        return conclude(print(|| generate(what, &mut io::stdout())));
    }
    let whose = match options.all_users {
        true => Whose::Everybody,
        false => Whose::Own,
    };
    if let Some(target) = options.remote.take() {
        return match config::asked(options) {
            Ok(asked) => report(client::remote(&target, whose, asked).map(say_on_terminal)),
            Err(error) => complain(&format_args!("{error} (see weir -h)"), USAGE),
        };
    }
    if let Some(Some(target)) = &options.query
        && target.contains('/')
    {
        let path = Path::new(target);
        return match query(path) {
            Ok(status) => conclude(print(|| {
                let text = spool::answer(path, &status, SystemTime::now());
                io::stdout().write_all(text.as_bytes())
            })),
            Err(error) => complain(&error, FAILURE),
        };
    }
    if let Some(target) = &options.query {
        let (text, error) = client::query(target.as_deref(), whose);
        return match (print(|| io::stdout().write_all(text.as_bytes())), error) {
            (Ok(End::Delivered), Some(error)) => report(Err(error)),
            (printed, _) => conclude(printed),
        };
    }
    if let Some(target) = &options.look {
        return match look::look(target) {
            Ok(mut look) => {
                let shown = print(|| look.pass_on(&mut io::stdout()));
                match (look.finish(), shown) {
                    (Err(error), Ok(End::Delivered)) => report(Err(error)),
                    (_, shown) => conclude(shown),
                }
            }
            Err(error) => report(Err(error)),
        };
    }
    if options.top {
        return match top::top(whose, config::theme()) {
            Ok(Some(signal)) => signals::die_by(signal),
            shown => report(shown.map(drop)),
        };
    }
    match Config::resolve(options) {
        Ok(config) => {
            let failure = config.command.as_ref().map_or(FAILURE, |_| FAILURE_BESIDE);
            let name = config.report.name.as_deref();
            conclude_of(name, run(&config), failure)
        }
        Err(error) => complain(&format_args!("{error} (see weir -h)"), USAGE),
    }
}

/// Says this, if anybody sees it at once.
fn say_on_terminal(lines: Vec<String>) {
    for line in lines.iter().filter(|_| is_terminal()) {
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// The exit status for it, and the line on standard error.
fn conclude(end: Result<End, PipeError>) -> ExitCode {
    conclude_of(None, end.map_err(Into::into), FAILURE)
}

/// The same for a weir of this name, and this status for what fails.
fn conclude_of(name: Option<&str>, end: Result<End, StartError>, failed: u8) -> ExitCode {
    let end = match end {
        Ok(end) => end,
        Err(error) => {
            let who = name.map_or("weir".to_owned(), |name| format!("weir {name}"));
            let why = without_numbers(&error.failure.to_string());
            let _ = writeln!(io::stderr(), "{who}: {why}");
            return error.status.unwrap_or(failed).into();
        }
    };
    match end {
        End::Delivered => ExitCode::SUCCESS,
        End::Drained => signals::die_by(signals::SIGTERM),
        End::Signal(signal) => signals::die_by(signal),
        End::Stalled(..) => STALLED.into(),
        End::GivenUp { .. } => GIVEN_UP.into(),
        End::Command(exit, _) => exit.status().into(),
        End::BrokenPipe(_) | End::Failed(_) | End::Unkept | End::TookNothing(..) => failed.into(),
    }
}

/// The exit status for what a client has done, and the line on standard error.
fn report(done: Result<(), ClientError>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ ClientError::Refused(_)) => complain(&error, USAGE),
        Err(error) => complain(&error, FAILURE),
    }
}

/// Says what went wrong in one line; a closed standard error is no reason to fall over.
fn complain(what: &dyn Display, status: u8) -> ExitCode {
    let what = without_numbers(&what.to_string());
    let _ = writeln!(io::stderr(), "weir: {what}");
    status.into()
}
