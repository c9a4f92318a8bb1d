//! LIMIT: what `--rate` and `--input-rate` take: no cap, a rate, a range, or a timetable.
//!
//! The parts of one limit all count in the same unit. That records need a framing option, and
//! what a range means at which side, is for `config` and the engine.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::error::UnitError;
use super::rate::NOT_A_RATE;
pub(crate) use super::rate::{Rate, Unit};
use super::timetable::Timetable;

const EXAMPLES: &[&str] = &["10MB/s", "100/s (records)", "2MB/s..20MB/s", "off"];
const RANGES: &[&str] = &["2MB/s..20MB/s", "100/s..500/s (records)"];

const WITH_COMMA: &str = "neither a figure nor a time of day before the comma";

/// A cap on the flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Limit {
    /// No cap; a timetable whose entries are all `off` is this.
    Off,
    /// Always the same cap.
    Fixed(Rate),
    /// `A..B` as typed: the slower rate first, never slower backwards, both in one unit.
    /// The cap moves between them with the occupancy. At the output `empty` holds at the low
    /// mark and `full` at the high one; for `--input-rate` whoever applies it swaps the two.
    Range {
        /// The first figure.
        empty: Rate,
        /// The second figure: as fast, or faster.
        full: Rate,
    },
    /// A cap by the time of the week.
    Timetable(Timetable),
}

impl Limit {
    /// What it counts; `None` for `off`.
    pub(crate) fn unit(&self) -> Option<Unit> {
        match self {
            Self::Off => None,
            Self::Fixed(rate) => Some(rate.unit()),
            Self::Range { empty, .. } => Some(empty.unit()),
            Self::Timetable(timetable) => Some(timetable.unit()),
        }
    }
}

impl FromStr for Limit {
    type Err = UnitError;

    /// A figure alone is bytes, and one with a time records.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        Limit::counting(text, None)
    }
}

impl Limit {
    /// The limit that a text is where a figure without a unit of bytes or bits counts `bare`.
    pub(super) fn counting(text: &str, bare: Option<Unit>) -> Result<Self, UnitError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("off") {
            Ok(Self::Off)
        } else if has_decimal_comma(text) {
            Err(UnitError::new(WITH_COMMA, &["1.5MB/s", "08:00,1MB/s"]))
        } else if text.contains([':', ',']) {
            let table = Timetable::counting(text, bare)?;
            Ok(table.map_or(Self::Off, Self::Timetable))
        } else if let Some((empty, full)) = text.split_once("..") {
            parse_range(empty.trim(), full.trim(), bare)
        } else {
            parse_rate(text, bare).map(Self::Fixed).map_err(|reject| {
                let vague = reject.wrong() == NOT_A_RATE || text.is_empty();
                if vague {
                    reject.instead(EXAMPLES)
                } else {
                    reject
                }
            })
        }
    }
}

fn parse_rate(text: &str, bare: Option<Unit>) -> Result<Rate, UnitError> {
    bare.map_or_else(|| text.parse(), |bare| Rate::counting(text, bare))
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.pad("off"),
            Self::Fixed(rate) => rate.fmt(f),
            Self::Range { empty, full } => f.pad(&format!("{empty}..{full}")),
            Self::Timetable(timetable) => timetable.fmt(f),
        }
    }
}

/// The two ends of a range, each the text of a rate.
fn parse_range(empty: &str, full: &str, bare: Option<Unit>) -> Result<Limit, UnitError> {
    if empty.is_empty() || full.is_empty() || full.starts_with('.') {
        return Err(UnitError::new("not a range of rates", RANGES));
    }
    // `2..20MB/s` would be two bytes per second at its start, which nobody means.
    let lacks = |bare: &str, other: &str| {
        is_bare(bare) && !is_bare(other) || is_bare(amount(bare)) && says_bytes(amount(other))
    };
    let mut ends = [(empty, full), (full, empty)].into_iter();
    if let Some((bare, _)) = ends.find(|(bare, other)| lacks(bare, other)) {
        return Err(UnitError::new("without the unit of the other end", RANGES).about(bare));
    }
    let parse = |text: &str| {
        parse_rate(text, bare).map_err(|reject| match reject.wrong() {
            NOT_A_RATE => reject.instead(RANGES).about(text),
            _ => reject.about(text),
        })
    };
    let (empty, full): (Rate, Rate) = (parse(empty)?, parse(full)?);
    if empty.unit() != full.unit() {
        return Err(UnitError::new("a range from bytes to records", RANGES));
    }
    if empty.cmp_speed(&full) == Ordering::Greater {
        return Err(UnitError::new("a range with the faster rate first", RANGES));
    }
    Ok(Limit::Range { empty, full })
}

/// Whether a figure was typed as in `1,5MB/s`. The entries of a timetable have colons.
fn has_decimal_comma(text: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    let parts = text.split_once(',').filter(|_| !text.contains(':'));
    parts.is_some_and(|(whole, rest)| whole.ends_with(is_digit) && rest.starts_with(is_digit))
}

fn is_bare(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// Whether it is of bytes or bits, and not of what the framing says.
fn says_bytes(amount: &str) -> bool {
    amount.contains(['b', 'B'])
}

/// A rate without its time.
fn amount(rate: &str) -> &str {
    rate.split_once('/')
        .map_or(rate, |(amount, _)| amount)
        .trim()
}

#[cfg(test)]
pub(crate) mod tests;
