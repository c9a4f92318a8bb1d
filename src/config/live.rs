//! The live options in force: as they were typed, and what they come to.
//!
//! Invariant: they have passed the checks, all of them together; a default that was never typed
//! follows what it derives from.

use std::path::PathBuf;
use std::time::Duration;

use super::caps::{Ruler, SideCaps, bursts};
use super::check;
use super::check_command;
use super::error::ConfigError;
use super::live_options::LiveOptions;
use crate::engine::gate::Marks;
use crate::engine::limiter::Bursts;
use crate::engine::policy::Policy;
use crate::engine::record::Framing;
use crate::engine::scaler::Scaling;
use crate::engine::stall::Side;
use crate::report::Expected;
use crate::units::Timetable;

/// The live options, checked.
#[derive(Debug, Clone)]
pub(crate) struct LiveConfig {
    /// As they were typed.
    pub(super) options: LiveOptions,
    /// Capacity of the buffer in bytes: what they are checked against, and stays as it is.
    pub(super) capacity: usize,
    /// What makes a record, likewise.
    pub(super) framing: Option<Framing>,
    /// What else they are checked against, likewise.
    pub(super) fixed: Fixed,
    /// The watermarks.
    pub marks: Marks,
    /// Caps on the output.
    pub output: SideCaps,
    /// Caps on the input.
    pub input: SideCaps,
    /// What may pass at once after a pause.
    pub burst: Bursts,
    /// What to drop when the buffer is full.
    pub shed: Option<Policy>,
    /// How long data may wait.
    pub max_age: Option<Duration>,
    /// How many COMMANDs at a time, where there may be several.
    pub jobs: Option<Scaling>,
    /// Time between reports, where it was typed.
    pub interval: Option<Duration>,
    /// The label.
    pub name: Option<String>,
    /// The total that was typed.
    pub expected: Option<Expected>,
    /// The directory whose size is the total.
    pub tree: Option<PathBuf>,
}

/// What they are checked against beside the buffer and the framing, and stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fixed {
    /// The caps on the output are shared.
    pub is_shared: bool,
    /// All is kept in a spool.
    pub is_spooled: bool,
    /// How many COMMANDs there are places for, where there may be several.
    pub places: Option<usize>,
}

impl LiveConfig {
    /// What is typed otherwise in the next one: an option each, with its values before and after.
    pub(crate) fn changes_to(&self, next: &LiveConfig) -> Vec<String> {
        self.options.changes_to(&next.options)
    }

    /// Checks them against each other, and against what cannot be changed.
    pub(super) fn check(
        options: LiveOptions,
        capacity: usize,
        framing: Option<Framing>,
        fixed: Fixed,
    ) -> Result<LiveConfig, ConfigError> {
        if fixed.is_shared {
            check::shared_rates(&options.rate)?;
        }
        if fixed.is_spooled {
            check::spooled(&options)?;
        }
        let shed = check::shed(options.shed, options.patience)?;
        check::records_fit(shed, framing, capacity)?;
        Ok(LiveConfig {
            capacity,
            framing,
            fixed,
            marks: check::marks(&options, capacity)?,
            output: SideCaps::of("--rate", Side::Sink, &options.rate, framing)?,
            input: SideCaps::of("--input-rate", Side::Source, &options.input_rate, framing)?,
            burst: burst(&options, framing.is_some(), capacity)?,
            shed,
            max_age: check::max_age(options.max_age)?,
            jobs: check_command::jobs(options.jobs, fixed.places)?,
            interval: check::interval(options.interval)?,
            name: check::name(options.name.as_ref())?,
            expected: {
                let size = options.size.as_ref();
                let size = size.map(|size| size.expected(framing.is_some()));
                size.transpose()?.flatten()
            },
            tree: options
                .size
                .as_ref()
                .and_then(|size| size.tree())
                .map(Into::into),
            options,
        })
    }

    /// Caps that follow the clock on the wall.
    pub(crate) fn timetables(&self) -> impl Iterator<Item = (Side, &Timetable)> {
        let sides = [(Side::Sink, &self.output), (Side::Source, &self.input)];
        sides.into_iter().flat_map(|(side, caps)| {
            let rulers = caps.each().into_iter();
            rulers.filter_map(move |(_, ruler)| match ruler {
                Ruler::Clock(table) => Some((side, table)),
                _ => None,
            })
        })
    }
}

/// What `--burst` comes to.
pub(super) fn burst(
    options: &LiveOptions,
    framed: bool,
    capacity: usize,
) -> Result<Bursts, ConfigError> {
    let limits = options.rate.iter().chain(&options.input_rate);
    let caps = limits.filter_map(|limit| limit.unit(framed)).collect();
    let burst = options.burst.map(|burst| bursts(burst, caps, capacity));
    burst.transpose().map(Option::unwrap_or_default)
}
