//! Those who run programs with batches, as the main thread knows them.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use nix::sys::signal::SigSet;

use super::error::{StartError, system};
use crate::command::batch_file;
use crate::command::child::{Child, Exit};
use crate::command::jobs::{Gets, JobPlan, Jobs};
use crate::command::line::CommandLine;
use crate::command::spawn;
use crate::config::Config;
use crate::control::signals;
use crate::engine::batch::BatchRules;
use crate::pipe::Shared;

/// Those who run programs, and what they were told.
pub(super) struct Batches {
    pub jobs: Jobs,
    /// Those that were told to end since they stalled, and when they are ended by force.
    pub stalled: Vec<(Child, Instant)>,
    /// A signal from the terminal, or from somebody in its place: nothing is started after it.
    pub interrupted: Option<i32>,
    /// Batches that were shed, as far as was told.
    pub shed: u64,
    /// What there is to know where there are no batches: they take from one queue.
    pub workers: Option<WorkersState>,
}

impl Batches {
    /// This one is told to end, and made to then. Whether it had not been told that yet.
    pub(super) fn tell_to_end(&mut self, child: Child, by: i32, then: Instant) -> bool {
        let is_new = !self.stalled.iter().any(|(other, _)| other.is(&child));
        if is_new {
            child.signal(by);
            self.stalled.push((child, then));
        }
        is_new
    }
}

/// What is known of programs that take from one queue.
#[derive(Debug, Default)]
pub(super) struct WorkersState {
    /// One that has ended is run again.
    pub is_run_again: bool,
    /// How the first ended that had read all, and failed all the same.
    pub failed: Option<Exit>,
    /// How one has ended last.
    pub last: Option<Exit>,
    /// One has failed so often that it was not run again.
    pub has_given_up: bool,
    /// It had just been sent a signal from the terminal.
    pub is_interrupted: bool,
    /// When to read on after a signal from the terminal.
    pub goes_on: Option<Instant>,
    /// One was told to end because it had taken nothing for so long, and none was run again since.
    pub stalled_for: Option<Duration>,
}

/// Looks whether the program is there, and a place for its batches.
///
/// # Errors
/// When one of them is not.
pub(super) fn look_for(line: &CommandLine, rules: Option<&BatchRules>) -> Result<(), StartError> {
    if let Some(rules) = rules {
        batch_file::look_for_place(rules.bytes.map(NonZeroU64::get))?;
    }
    signals::listen_for_ends_of_children().map_err(system)?;
    Ok(spawn::look_for(line)?)
}

/// Starts those who run it, if anybody is to.
///
/// # Errors
/// When the system refuses threads.
pub(super) fn start(
    config: &Config,
    rules: Option<BatchRules>,
    mask: SigSet,
    shared: &Arc<Shared>,
) -> Result<Option<Batches>, StartError> {
    let workers = config.rules.workers.map(|it| (Gets::Stream, it.count.most));
    let batches = rules.map(|it| (Gets::Batches, it.jobs.most));
    let Some(((gets, count), line)) = batches.or(workers).zip(config.command.as_ref()) else {
        return Ok(None);
    };
    let since = UNIX_EPOCH.elapsed().unwrap_or_default();
    let plan = JobPlan {
        line: line.clone(),
        mask,
        stamp: format!("{}-{:x}", std::process::id(), since.as_micros()),
        reject: config.reject.clone(),
        is_told_to_end: signals::is_told_to_end,
    };
    let jobs = Jobs::start(plan, gets, count, shared).map_err(system)?;
    Ok(Some(Batches {
        jobs,
        stalled: Vec::new(),
        interrupted: None,
        shed: 0,
        workers: (gets == Gets::Stream).then(|| WorkersState {
            is_run_again: config.restart.is_some(),
            ..WorkersState::default()
        }),
    }))
}
