//! Values that one option takes and no other: words to choose from, and figures with bounds of their own.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::{OsStringValueParser, StringValueParser, TypedValueParser};

use crate::units::{Amount, UnitError};

/// What `--stop-at` takes.
pub(super) fn stop_at(text: &str) -> Result<Amount, UnitError> {
    let amount = text.parse::<Amount>();
    amount.map_err(|error| error.instead(&["4GiB", "1000 (records, or bytes)"]))
}

/// What `--batch` takes: one limit, or several. They are told apart here, so that a message names all that was typed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BatchLimits(pub(super) Vec<Amount>);

/// Reads them.
pub(super) fn batch_limits(text: &str) -> Result<BatchLimits, UnitError> {
    let limits = text.split(',').map(|part| match part.trim() {
        "" if text.trim().is_empty() => Err(UnitError::new("no limit at all", BATCH_EXAMPLES)),
        "" => Err(UnitError::new(
            "a comma without a limit beside it",
            BATCH_EXAMPLES,
        )),
        part if part == text => batch_limit(part),
        part => batch_limit(part).map_err(|error| error.about(part)),
    });
    limits.collect::<Result<_, _>>().map(BatchLimits)
}

const BATCH_EXAMPLES: &[&str] = &["1000 (records)", "1MiB", "5s"];

fn batch_limit(text: &str) -> Result<Amount, UnitError> {
    let amount = text.parse::<Amount>();
    match amount.map_err(|error| error.instead(BATCH_EXAMPLES))? {
        Amount::Count(0) => Err(UnitError::new("no record at all", BATCH_EXAMPLES)),
        Amount::Bytes(size) if size.bytes() == 0 => {
            Err(UnitError::new("no byte at all", BATCH_EXAMPLES))
        }
        Amount::Prefixed(size) if size.bytes() == 0 => {
            Err(UnitError::new("nothing at all", BATCH_EXAMPLES))
        }
        amount => Ok(amount),
    }
}

/// What `--reject` takes.
pub(super) fn rejection(text: &str) -> Result<u8, UnitError> {
    const EXAMPLES: &[&str] = &["22", "65,22"];
    match text.trim().parse() {
        Ok(0) => Err(UnitError::new("the status of success", EXAMPLES)),
        Ok(status) => Ok(status),
        Err(_) => Err(UnitError::new(
            "not an exit status, from 1 to 255",
            EXAMPLES,
        )),
    }
}

/// What `--give-up` takes.
pub(super) fn failures(text: &str) -> Result<NonZeroU32, UnitError> {
    let not = |_| UnitError::new("not a number of failures, from 1 on", &["3"]);
    text.parse().map_err(not)
}

/// What `--restart` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Restart {
    /// It is the end
    Never,
    /// When its status is not 0, or a signal has ended it
    OnFailure,
    /// Whatever its status is
    Always,
}

/// How `--display` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Display {
    /// As suits where it goes
    Auto,
    /// A line that changes
    Bar,
    /// A line of words each time
    Plain,
    /// A JSON object each time
    Json,
    /// Nothing
    Off,
}

/// How `--summary` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Summary {
    /// As suits where it goes
    Auto,
    /// A line or two for a person
    Text,
    /// A JSON object
    Json,
    /// Nothing
    Off,
}

/// A name of a file: not an empty one, as a shell makes of a variable that is not set.
pub(super) fn file() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|name| match name.is_empty() {
        true => Err("an empty name; is a variable not set?"),
        false => Ok(PathBuf::from(name)),
    })
}

/// The name or the number of a running weir: not an empty one either.
pub(super) fn target() -> impl TypedValueParser<Value = String> {
    StringValueParser::new().try_map(|name| match name.is_empty() {
        true => Err("an empty name; is a variable not set?"),
        false => Ok(name),
    })
}

/// What `--generate` can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Generate {
    /// The man page, in roff
    Man,
    /// Completions for bash
    Bash,
    /// Completions for zsh
    Zsh,
    /// Completions for fish
    Fish,
}
