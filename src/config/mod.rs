//! What a run is told: the command line read, checked against itself and against the machine, and
//! what a running weir makes of a change. No type of the argument parser goes past this room.

mod caps;
mod check;
mod check_command;
mod check_outputs;
pub(crate) mod command_line;
mod completions;
mod display;
mod error;
pub(crate) mod expected_size;
pub(crate) mod hook;
pub(crate) mod live;
pub(crate) mod live_options;
mod manual;
pub(crate) mod options;
pub(crate) mod patch;
pub(crate) mod pipe_size;
pub(crate) mod values;
mod version;
mod words_of_others;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use caps::{command as cap_command, guesses};
pub(crate) use error::ConfigError;
use expected_size::ExpectedSize;
use hook::Hook;
use live::{Fixed, LiveConfig};
use live_options::LiveOptions;
use options::Options;
use pipe_size::PipeSize;

use crate::command::line::CommandLine;
use crate::engine::Rules;
use crate::engine::restart::RestartRules;
use crate::engine::side::Role;
use crate::engine::sorter::Sorter;
use crate::engine::stall::Timeouts;
use crate::pipe::capacity::PipeSizes;
use crate::report::Plan;
use crate::report::theme::Theme;
use crate::units::{Share, Size, SyncTime};

/// A spool.
#[derive(Debug)]
pub(crate) struct Spool {
    /// Where it lies.
    pub directory: PathBuf,
    /// Bytes of disk that it may use.
    pub size: u64,
    /// How soon it is forced to the disk.
    pub sync: SyncTime,
}

/// Everything that data mode needs to know.
#[derive(Debug)]
pub(crate) struct Config {
    /// Files to read one after the other; `-` is standard input, and none is too.
    pub files: Vec<PathBuf>,
    /// The program to run as the consumer, where that is not standard output.
    pub command: Option<CommandLine>,
    /// What is to be done when that has ended, if anything.
    pub restart: Option<RestartRules>,
    /// Exit statuses that say that a batch can never succeed.
    pub reject: Vec<u8>,
    /// What the engine is told.
    pub rules: Rules,
    /// What can be changed later.
    pub live: LiveConfig,
    /// With whom the caps on the output are shared.
    pub share: Option<Share>,
    /// Bytes of disk to go on into when memory is full.
    pub spill: Option<u64>,
    /// Where all is kept, and outlives this run.
    pub spool: Option<Spool>,
    /// Where what is shed goes.
    pub shed_to: Option<PathBuf>,
    /// What tells the lanes of records apart, and which are to be kept.
    pub sorter: Option<Sorter>,
    /// Who gets the stream beside the consumer.
    pub outputs: Vec<(PathBuf, Role)>,
    /// Whether their files are added to.
    pub append: bool,
    /// Whether the pipe to the consumer is kept as small as its speed allows, while freshness
    /// rules.
    pub fit_pipe: bool,
    /// Kernel pipe size on both sides.
    pub pipe_size: PipeSize,
    /// What is reported, and where.
    pub report: Plan,
    /// What is run when something happens.
    pub hooks: Vec<Hook>,
    /// What is to be said at the start to whoever sits at the terminal, a line each.
    pub notes: Vec<String>,
    /// Whether anybody can change or ask anything.
    pub control: bool,
    /// For how long what is held is delivered after SIGTERM and SIGHUP.
    pub grace: Duration,
}

impl Config {
    /// Whether freshness rules from the start, and the pipe to the consumer is therefore the engine's business.
    #[must_use]
    pub(crate) fn is_kept_small(&self) -> bool {
        self.fit_pipe && self.rules.is_fresh()
    }

    /// What the kernel's pipes are asked to be. What a cap has let pass is not to lie there in heaps, nor what is lost
    /// with a consumer that falls, nor what grows old before a tee that is slow, nor more than the buffer may hold.
    #[must_use]
    pub(crate) fn pipe_sizes(&self) -> PipeSizes {
        let output = &self.rules.output;
        let is_capped = output.bytes.is_some() || output.records.is_some();
        let is_risky = is_capped || self.spool.is_some() || self.rules.is_fresh();
        self.pipe_size
            .sizes(if is_risky { 0 } else { self.rules.capacity })
    }

    /// Resolves the options.
    ///
    /// # Errors
    /// When they contradict each other or this machine.
    pub(crate) fn resolve(options: Options) -> Result<Config, ConfigError> {
        let memory = check::capacity(options.buffer)?;
        let capacity = match check::spool(&options)? {
            Some(size) => size,
            None => check::with_spill(memory, options.spill)?,
        };
        let framing = check::framing(&options)?;
        let both = check::timeout("--timeout", options.timeout)?;
        let timeouts = Timeouts {
            source: check::timeout("--source-timeout", options.source_timeout)?.or(both),
            sink: check::timeout("--sink-timeout", options.sink_timeout)?.or(both),
        };
        // Who says `off` may mean to switch it on later.
        let may_shed = options.live.shed.is_some() || options.live.max_age.is_some();
        check::share(options.share.as_ref(), &options.live)?;
        let is_shared = options.share.is_some();
        let restart = check_command::restart(&options)?;
        let batch = check_command::batch(&options, framing)?;
        let workers = check_command::workers(&options, framing, restart)?;
        let may_shed =
            may_shed || batch.is_some_and(|it| it.give_up.is_some()) || !options.reject.is_empty();
        let outlives = options.spool.is_some();
        let runs_one = !options.command.is_empty() && batch.is_none();
        let has_disk = outlives || options.spill.is_some();
        let mut typed = options.live.clone();
        // Looked at once, now.
        typed.size = typed.size.map(ExpectedSize::looked_at).transpose()?;
        let jobs = batch.map(|it| it.jobs).or(workers.map(|it| it.count));
        let fixed = Fixed {
            is_shared,
            is_spooled: outlives,
            places: jobs.map(|it| it.most),
        };
        let live = LiveConfig::check(typed, capacity, framing, fixed)?;
        let world = display::World::look();
        let report = display::plan(&options, &live, &world)?;
        let is_told = world.terminal && !options.quiet;
        let notes = is_told.then(|| guesses(&options.live, framing.is_some()));
        let stop_at = display::stop_at(&options)?;
        Ok(Config {
            outputs: check_outputs::outputs(&options)?,
            sorter: check::sorter(&options, framing)?,
            command: check_command::command(&options.command)?,
            restart,
            reject: options.reject,
            append: options.append,
            spill: options
                .spill
                .filter(|_| options.spool.is_none())
                .map(Size::bytes),
            spool: options.spool.map(|directory| Spool {
                directory,
                size: capacity as u64,
                sync: options.sync.unwrap_or_default(),
            }),
            shed_to: check_outputs::shed_to(options.shed_to, may_shed, batch.is_some())?,
            fit_pipe: options.pipe_size == PipeSize::Auto,
            hooks: options.on,
            notes: notes.unwrap_or_default(),
            files: options.files,
            share: options.share,
            rules: Rules {
                capacity,
                memory: has_disk.then_some(memory),
                outlives,
                marks: live.marks,
                may_bypass: !options.no_splice,
                keeps_given: workers.is_none() && (restart.is_some() || outlives && runs_one),
                batch,
                workers,
                framing,
                output: live.output.limits(),
                input: live.input.limits(),
                shed: live.shed,
                max_age: live.max_age,
                stop_at,
                burst: live.burst,
                timeouts,
                recall: check_outputs::recall(options.recall)?,
            },
            live,
            pipe_size: options.pipe_size,
            report,
            control: !options.no_control,
            grace: options.grace.duration(),
        })
    }
}

/// How texts look on the terminal.
#[must_use]
pub(crate) fn theme() -> Theme {
    display::World::look().theme
}

/// What `--remote` is to ask of a running weir.
///
/// # Errors
/// When that is nothing, or could be right for no weir.
pub(crate) fn asked(options: Options) -> Result<LiveOptions, ConfigError> {
    check::interval(options.live.interval)?;
    if options.live == LiveOptions::default() {
        let what = "--remote: there is nothing to change; try --rate 10MB/s, --pause or --resume";
        return Err(ConfigError(what.into()));
    }
    let size = options.live.size.map(ExpectedSize::looked_at);
    Ok(LiveOptions {
        size: size.transpose()?,
        ..options.live
    })
}

#[cfg(test)]
pub(crate) mod tests;
