//! The rules between the options about the program that is the consumer: each refusal is one line that says what is
//! wrong and what would be right.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::time::{Duration, UNIX_EPOCH};

use super::error::ConfigError;
use super::options::Options;
use super::values::Restart;
use crate::command::line::CommandLine;
use crate::engine::batch::BatchRules;
use crate::engine::policy::Which;
use crate::engine::record::Framing;
use crate::engine::restart::{RestartRules, When};
use crate::engine::scaler::Scaling;
use crate::engine::workers::WorkerRules;
use crate::units::{Amount, Backoff, JobCount};

/// How long to wait between failures where nobody says.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// The program to run, if there is one.
pub(super) fn command(words: &[OsString]) -> Result<Option<CommandLine>, ConfigError> {
    match words.split_first() {
        Some((program, _)) if program.is_empty() => Err(ConfigError(
            "--: the name of the program is empty; is a variable not set?".into(),
        )),
        Some((program, arguments)) => Ok(Some(CommandLine {
            program: program.clone(),
            arguments: arguments.to_vec(),
        })),
        None => Ok(None),
    }
}

/// What is to be done when the program has ended.
pub(super) fn restart(options: &Options) -> Result<Option<RestartRules>, ConfigError> {
    let when = match options.restart {
        Restart::Never => None,
        Restart::OnFailure => Some(When::OnFailure),
        Restart::Always => Some(When::Always),
    };
    let is_tried_again = when.is_some() || !options.batch.is_empty();
    if when.is_some() && options.command.is_empty() {
        return refuse("--restart: there is nothing to run again; add -- COMMAND");
    }
    if !is_tried_again && options.backoff.is_some() {
        return refuse(
            "--backoff: nothing is run again; add --restart on-failure, or --batch 1000",
        );
    }
    if !is_tried_again && options.give_up.is_some() {
        return refuse(
            "--give-up: nothing is run again; add --restart on-failure, or --batch 1000",
        );
    }
    Ok(when.map(|when| RestartRules {
        when,
        backoff: options.backoff.map_or(BACKOFF, Backoff::bounds),
        give_up: options.give_up,
    }))
}

/// When a batch is closed, where there are any.
pub(super) fn batch(
    options: &Options,
    framing: Option<Framing>,
) -> Result<Option<BatchRules>, ConfigError> {
    if options.batch.is_empty() {
        return match (options.reject.first(), options.live.jobs) {
            (Some(_), _) => {
                refuse("--reject: there are no batches to be rejected; add --batch 1000")
            }
            (None, Some(_)) if options.command.is_empty() => {
                refuse("--jobs: there is nothing to run; add -- COMMAND")
            }
            (None, _) => Ok(None),
        };
    }
    if options.command.is_empty() {
        return refuse("--batch: there is nothing to run with a batch; add -- COMMAND");
    }
    if options.restart != Restart::Never {
        let what = "--batch and --restart: COMMAND is run for each batch, and again with one that has failed, \
                    without being asked to; leave --restart out";
        return refuse(what);
    }
    let since = UNIX_EPOCH.elapsed().unwrap_or_default();
    let jobs = options.live.jobs.unwrap_or(JobCount::ONE);
    let mut rules = BatchRules {
        records: None,
        bytes: None,
        age: None,
        jobs: Scaling::between(jobs.least(), jobs.most()),
        backoff: options.backoff.map_or(BACKOFF, Backoff::bounds),
        give_up: options.give_up,
        chance: since.as_nanos() as u64,
    };
    for limit in options.batch.iter().flat_map(|it| &it.0) {
        let was_there = match limit {
            Amount::Count(_) if framing.is_none() => {
                return refuse(&format!(
                    "--batch {limit}: that is a number of records, and nothing makes a record; add --lines, or give a size, such as 1MiB"
                ));
            }
            Amount::Count(n) => {
                std::mem::replace(&mut rules.records, NonZeroU64::new(*n)).is_some()
            }
            Amount::Prefixed(n) if framing.is_some() => {
                std::mem::replace(&mut rules.records, NonZeroU64::new(n.bytes())).is_some()
            }
            Amount::Bytes(size) | Amount::Prefixed(size) => {
                std::mem::replace(&mut rules.bytes, NonZeroU64::new(size.bytes())).is_some()
            }
            Amount::Time(age) => rules.age.replace(*age).is_some(),
        };
        if was_there {
            return refuse(&format!(
                "--batch {limit}: there is another limit of that kind; leave one out"
            ));
        }
    }
    Ok(Some(rules))
}

/// How many COMMANDs at a time, where there are places for several, or for as many batches.
pub(super) fn jobs(
    jobs: Option<JobCount>,
    places: Option<usize>,
) -> Result<Option<Scaling>, ConfigError> {
    let jobs = jobs.unwrap_or(JobCount::ONE);
    match places {
        None if jobs == JobCount::ONE => Ok(None),
        None => refuse(&format!(
            "--jobs {jobs}: this weir runs one COMMAND, or none; start one with --jobs 1..4, or with --batch"
        )),
        Some(most) if jobs.most() > most => {
            let places = match most {
                1 => "there is a place for 1 COMMAND".to_owned(),
                n => format!("there are places for {n} COMMANDs"),
            };
            refuse(&format!(
                "--jobs {jobs}: {places}, as this weir was started; give at most that many"
            ))
        }
        Some(_) => Ok(Some(Scaling::between(jobs.least(), jobs.most()))),
    }
}

/// How many programs take from one queue, where there are several.
pub(super) fn workers(
    options: &Options,
    framing: Option<Framing>,
    restart: Option<RestartRules>,
) -> Result<Option<WorkerRules>, ConfigError> {
    let count = options.live.jobs.unwrap_or(JobCount::ONE);
    if count == JobCount::ONE || !options.batch.is_empty() {
        return Ok(None);
    }
    let is_fair = options
        .live
        .shed
        .is_some_and(|it| it.0 == Some(Which::Fair));
    let of_lanes = [
        (is_fair, "--shed fair"),
        (options.key.is_some(), "--key"),
        (options.keep.is_some(), "--keep"),
    ];
    if framing.is_none() {
        return refuse(&format!(
            "--jobs {count}: nothing makes a record, and each COMMAND gets whole ones; add --lines, --null or --record-size, or --batch 1MiB"
        ));
    }
    if let Some((_, option)) = of_lanes.iter().find(|(is_typed, _)| *is_typed) {
        return refuse(&format!(
            "--jobs {count} and {option}: there are no lanes for several COMMANDs; shed in a weir of its own before this one"
        ));
    }
    let since = UNIX_EPOCH.elapsed().unwrap_or_default();
    Ok(Some(WorkerRules {
        count: Scaling::between(count.least(), count.most()),
        restart,
        chance: since.as_nanos() as u64,
    }))
}

fn refuse<T>(what: &str) -> Result<T, ConfigError> {
    Err(ConfigError(what.into()))
}
