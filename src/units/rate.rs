//! A rate: an amount per time, kept exact: `1/5s` is one record in five seconds, not 0.2 a second.
//!
//! Never zero, never infinite. What was typed is kept as it was where that is exact (`600/min`
//! stays 600 in a minute), so that it can be echoed as understood.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use super::decimal::{Decimal, Fault};
use super::duration::Span;
use super::error::UnitError;
use super::size::Size;
use super::size::unit_bytes;

/// How a text that resembles no rate at all is called; `Limit` then shows more than rates.
pub(super) const NOT_A_RATE: &str = "not a rate";

const NOUN: &str = "a rate";
const EXAMPLES: &[&str] = &["10MB/s", "30Mbit/s", "100/s (records)"];
const TIMES: &[&str] = &["10MB/s", "600/min", "1/5s"];
const INSTEAD_OF_ZERO: &[&str] = &["--pause (to hold the flow)", "off (for no cap)"];

const SECOND: u64 = 1_000_000_000;

/// Times with a word of their own after the `/`, in nanoseconds.
const PRINTED: [(u64, &str); 5] = [
    (1_000_000, "ms"),
    (SECOND, "s"),
    (60 * SECOND, "min"),
    (3600 * SECOND, "h"),
    (86_400 * SECOND, "day"),
];

/// What a rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Unit {
    /// Bytes.
    Bytes,
    /// Records, as a framing option defines them.
    Records,
}

/// `amount` bytes or records in `per_nanos` nanoseconds: an exact ratio, not reduced.
/// Two ways of writing the same speed are not equal; [`Rate::cmp_speed`] compares speeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rate {
    amount: NonZeroU64,
    per: NonZeroU64,
    unit: Unit,
}

impl Rate {
    /// So much in so many nanoseconds.
    pub(crate) const fn new(amount: NonZeroU64, per_nanos: NonZeroU64, unit: Unit) -> Self {
        Self {
            amount,
            per: per_nanos,
            unit,
        }
    }

    /// Bytes or records in each [`per_nanos`](Self::per_nanos).
    pub(crate) const fn amount(&self) -> NonZeroU64 {
        self.amount
    }

    /// Nanoseconds in which the amount may pass.
    pub(crate) const fn per_nanos(&self) -> NonZeroU64 {
        self.per
    }

    /// What the amount counts.
    pub(crate) const fn unit(&self) -> Unit {
        self.unit
    }

    /// Bytes or records per second, for display; not exact.
    pub(crate) fn per_second(&self) -> f64 {
        self.amount.get() as f64 * SECOND as f64 / self.per.get() as f64
    }

    /// Which of two rates is the faster, exactly. Units are not looked at.
    pub(crate) fn cmp_speed(&self, other: &Self) -> Ordering {
        let cross = |a: &Self, b: &Self| u128::from(a.amount.get()) * u128::from(b.per.get());
        cross(self, other).cmp(&cross(other, self))
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    /// A figure alone is bytes, and one with nothing but a time records.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let amount = text.split_once('/').map(|(amount, _)| amount);
        let bare = match amount {
            Some(amount) if !amount.contains(char::is_alphabetic) => Unit::Records,
            _ => Unit::Bytes,
        };
        Rate::counting(text, bare)
    }
}

impl Rate {
    /// The rate that a text is where a figure without a unit of bytes or bits counts `bare`.
    pub(super) fn counting(text: &str, bare: Unit) -> Result<Self, UnitError> {
        let (amount, per) = match text.split_once('/') {
            Some((amount, per)) => (amount, Some(per)),
            None => (text, None),
        };
        let refuse = |fault: Fault| fault.reject(text, NOUN, EXAMPLES);
        let (number, unit) = Decimal::split(amount).map_err(refuse)?;
        if let Some(prefix) = bits_or_bytes(unit) {
            let wrong = format!("either bits or bytes ({prefix}B/s or {prefix}bit/s)");
            return Err(UnitError::new(wrong, EXAMPLES));
        }
        let scale = Scale::of(unit, bare).ok_or_else(|| refuse(Fault::NotANumber))?;
        let per = per.map_or(Ok(SECOND), parse_per)?;

        let (amount, parts) = number.times(scale.factor);
        if amount == 0 {
            return Err(UnitError::new("zero", INSTEAD_OF_ZERO));
        }
        let parts = u128::from(parts) * u128::from(scale.parts);
        let common = gcd(amount, parts);
        let amount = nonzero(amount / common)
            .ok_or_else(|| UnitError::new("too fast", &["10GB/s", "off (for no cap)"]))?;
        let per = nonzero(u128::from(per) * (parts / common))
            .ok_or_else(|| UnitError::new("too slow", &["1/h", "1B/day"]))?;
        Ok(Self::new(amount, per, scale.unit))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = match self.unit {
            Unit::Bytes => Size::new(self.amount.get()).to_string(),
            Unit::Records => self.amount.to_string(),
        };
        let word = PRINTED.iter().find(|(nanos, _)| *nanos == self.per.get());
        let per = match word {
            Some((_, word)) => (*word).to_owned(),
            // No space: a timetable is split at those.
            None => Span::from_nanos(self.per.get())
                .to_string()
                .replace(' ', ""),
        };
        f.pad(&format!("{amount}/{per}"))
    }
}

/// The prefix of a unit that one half of the world reads as bits and the other as bytes: `Mb`, `mb`, `b` and
/// `Mbps`. In a size a `b` is a byte, as everywhere else.
fn bits_or_bytes(unit: &str) -> Option<String> {
    let prefix = unit.strip_suffix("bps").or(unit.strip_suffix('b'))?;
    let is_prefix =
        prefix.is_empty() || !prefix.ends_with(['b', 'B']) && unit_bytes(prefix).is_some();
    let spelled = match prefix.as_bytes() {
        [] | [b'k'] => prefix.to_owned(),
        [first, rest @ ..] => {
            let first = char::from(first.to_ascii_uppercase());
            format!("{first}{}", String::from_utf8_lossy(rest))
        }
    };
    is_prefix.then_some(spelled)
}

/// What a typed 1 stands for: `factor / parts` of a unit.
struct Scale {
    factor: u64,
    parts: u64,
    unit: Unit,
}

impl Scale {
    /// The scale of a unit as typed; what says neither bytes nor bits counts `bare`.
    fn of(unit: &str, bare: Unit) -> Option<Self> {
        let bytes = |factor, parts| Self {
            factor,
            parts,
            unit: Unit::Bytes,
        };
        if unit.is_empty() {
            return Some(Self {
                factor: 1,
                parts: 1,
                unit: bare,
            });
        }
        let lower = unit.to_ascii_lowercase();
        let singular = lower.strip_suffix('s').unwrap_or(&lower);
        match singular.strip_suffix("bit") {
            Some("") => Some(bytes(1, 8)),
            Some(prefix) if prefix.ends_with('b') => None,
            Some(prefix) => Some(bytes(unit_bytes(prefix)?, 8)),
            None => Some(Self {
                factor: unit_bytes(unit)?,
                parts: 1,
                // A prefix alone.
                unit: if lower.contains('b') {
                    Unit::Bytes
                } else {
                    bare
                },
            }),
        }
    }
}

/// The nanoseconds that the text after the `/` stands for; a unit alone is one of it.
fn parse_per(text: &str) -> Result<u64, UnitError> {
    let typed = text.trim();
    if typed.is_empty() {
        return Err(UnitError::new("a rate without its time", TIMES));
    }
    let counted = typed.starts_with(|c: char| !c.is_alphabetic());
    let span = if counted {
        typed.parse()
    } else {
        format!("1{typed}").parse()
    };
    let span: Span = span.map_err(|reject: UnitError| reject.instead(TIMES).about(typed))?;
    if span == Span::ZERO {
        return Err(UnitError::new("no time at all", TIMES).about(typed));
    }
    Ok(span.nanos())
}

fn nonzero(value: u128) -> Option<NonZeroU64> {
    u64::try_from(value).ok().and_then(NonZeroU64::new)
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
pub(crate) mod tests;
