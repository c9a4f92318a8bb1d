//! Arguments to settings, settings to a run, a run to an exit status; nothing else.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use pipeweir::cli::{self, Arguments};
use pipeweir::control::client::{self, Trouble};
use pipeweir::control::{signals, top};
use pipeweir::pipe::error::Failure;
use pipeweir::run::{End, print, run};
use pipeweir::settings::{self, Settings};

const FAILURE: u8 = 1;
const MISUSE: u8 = 2;
const STALLED: u8 = 124;

fn main() -> ExitCode {
    let args = match Arguments::from_command_line() {
        Ok(args) => args,
        Err(refusal) if refusal.is_answer() => return conclude(print(|| refusal.print())),
        Err(refusal) => return complain(&refusal, MISUSE),
    };
    if let Some(what) = args.generate {
        return conclude(print(|| cli::generate(what, &mut io::stdout())));
    }
    if let Some(target) = &args.remote {
        return match settings::change(&args) {
            Ok(change) => report(client::remote(target, change)),
            Err(misuse) => complain(&format_args!("{misuse} (see weir -h)"), MISUSE),
        };
    }
    if let Some(target) = &args.query {
        let (text, trouble) = client::query(target.as_deref());
        return match (print(|| io::stdout().write_all(text.as_bytes())), trouble) {
            (Ok(End::Delivered), Some(trouble)) => report(Err(trouble)),
            (printed, _) => conclude(printed),
        };
    }
    if args.top {
        return match top::top(settings::theme()) {
            Ok(Some(signal)) => signals::die_by(signal),
            shown => report(shown.map(drop)),
        };
    }
    let settings = match Settings::resolve(args) {
        Ok(settings) => settings,
        Err(misuse) => return complain(&format_args!("{misuse} (see weir -h)"), MISUSE),
    };
    conclude(run(&settings))
}

/// The exit status for it, and the line on standard error.
fn conclude(end: Result<End, Failure>) -> ExitCode {
    let end = match end {
        Ok(end) => end,
        Err(failure) => return complain(&failure, FAILURE),
    };
    match end {
        End::Delivered => ExitCode::SUCCESS,
        End::Signal(signal) => signals::die_by(signal),
        End::Stalled(..) => STALLED.into(),
        End::Failed(_) | End::Unkept => FAILURE.into(),
    }
}

/// The exit status for what a client has done, and the line on standard error.
fn report(done: Result<(), Trouble>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble @ Trouble::Refused(_)) => complain(&trouble, MISUSE),
        Err(trouble) => complain(&trouble, FAILURE),
    }
}

/// Says what went wrong in one line; a closed standard error is no reason to fall over.
fn complain(what: &dyn Display, status: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "weir: {what}");
    status.into()
}
