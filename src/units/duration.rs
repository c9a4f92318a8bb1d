//! DURATION: a length of time, in the grammar of the `humantime` crate: `500ms`, `2s`, `1m 30s`,
//! but for what is more likely a slip: `30M` would be thirty months there, and `1 5s` 15 seconds.
//!
//! Never longer than `u64::MAX` nanoseconds (584 years), so that it can be added to any instant
//! that weir will see. Zero is a duration; who cannot use it says so himself.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use humantime::{DurationError as Error, format_duration, parse_duration};

use super::error::UnitError;
use super::printable::printable;

const EXAMPLES: &[&str] = &["5s", "500ms", "1m 30s"];
const LONG_EXAMPLES: &[&str] = &["5min", "12h", "30days"];

/// Seconds in a day.
const DAY: u64 = 86_400;

/// A length of time, zero included, in whole nanoseconds up to `u64::MAX` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Span(Duration);

impl Span {
    /// No time at all.
    pub(crate) const ZERO: Self = Self(Duration::ZERO);
    /// The longest there is: about 584 years.
    pub(crate) const MAX: Self = Self::from_nanos(u64::MAX);

    /// So many nanoseconds.
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }

    /// As a duration of the standard library.
    pub(crate) const fn duration(self) -> Duration {
        self.0
    }

    /// In nanoseconds.
    pub(crate) const fn nanos(self) -> u64 {
        // Not above `u64::MAX` by construction.
        self.0.as_nanos() as u64
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl TryFrom<Duration> for Span {
    type Error = UnitError;

    fn try_from(duration: Duration) -> Result<Self, UnitError> {
        if duration > Self::MAX.0 {
            return Err(too_long());
        }
        Ok(Self(duration))
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut total = Duration::ZERO;
        let mut rest = text.trim();
        loop {
            let (first, more) = rest.split_at(end_of_item(rest));
            check_item(first.trim())?;
            let item = parse_duration(first.trim()).map_err(|error| refuse(error, text))?;
            total = total.checked_add(item).ok_or_else(too_long)?;
            if more.is_empty() {
                return Self::try_from(total);
            }
            rest = more;
        }
    }
}

impl fmt::Display for Span {
    /// As `humantime` prints it, but never in units longer than a day.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.as_secs() / DAY;
        if days < 2 {
            return f.pad(&format_duration(self.0).to_string());
        }
        let rest = self.0 - Duration::from_secs(days * DAY);
        if rest.is_zero() {
            return f.pad(&format!("{days}days"));
        }
        f.pad(&format!("{days}days {}", format_duration(rest)))
    }
}

/// Turns away a number with its unit that `humantime` takes for something hardly ever meant.
fn check_item(item: &str) -> Result<(), UnitError> {
    let end = item.find(char::is_alphabetic).unwrap_or(item.len());
    let (number, unit) = (item[..end].trim_end(), item[end..].trim());
    if number.contains(char::is_whitespace) && !unit.is_empty() {
        let joined: String = number.split_whitespace().collect();
        let whole = printable(&format!("{joined}{unit}"));
        let wrong = format!("a figure with a space inside (write {whole})");
        return Err(UnitError::new(wrong, EXAMPLES));
    }
    match unit {
        "M" | "month" | "months" => {
            let wrong = format!("in months (minutes are {number}min, months are days)");
            Err(UnitError::new(wrong, LONG_EXAMPLES))
        }
        "y" | "yr" | "yrs" | "Y" | "year" | "years" => {
            Err(UnitError::new("in years (write days)", LONG_EXAMPLES))
        }
        _ => Ok(()),
    }
}

/// Where the first number-with-unit of `text` ends: before the first digit after a letter.
/// `humantime` gets one at a time because its own sum can panic
/// (`18446744073709551615s 1000ms`).
fn end_of_item(text: &str) -> usize {
    let mut unit_seen = false;
    for (index, c) in text.char_indices() {
        if c.is_ascii_digit() && unit_seen {
            return index;
        }
        unit_seen |= c.is_alphabetic();
    }
    text.len()
}

fn too_long() -> UnitError {
    UnitError::new("too long (more than 584 years)", EXAMPLES)
}

/// What to say of a text that `humantime` turned away.
fn refuse(error: Error, text: &str) -> UnitError {
    let text = text.trim();
    let bare = text.parse::<f64>().is_ok();
    match error {
        Error::Empty => UnitError::new("empty", EXAMPLES),
        _ if text.starts_with('-') => UnitError::new("below zero, so not a duration", EXAMPLES),
        _ if bare => UnitError::new("a number without a unit of time", EXAMPLES),
        Error::NumberOverflow => UnitError::new("too long, or finer than a nanosecond", EXAMPLES),
        _ => UnitError::new("not a duration", EXAMPLES),
    }
}

#[cfg(test)]
mod tests;
