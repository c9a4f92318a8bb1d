//! AMOUNT: a quantity of data in whichever way it was given: bytes, a bare count, or a time's
//! worth of it. `--burst` takes all three, `--size` the first two.
//!
//! Whether a bare count means bytes or records depends on other options; `config` decides.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::decimal::{Decimal, Fault};
use super::duration::Span;
use super::error::UnitError;
use super::size::Size;
use super::size::unit_bytes;

const NOUN: &str = "an amount";
const EXAMPLES: &[&str] = &["1MiB", "100 (a count)", "100ms"];

/// How much data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amount {
    /// This many bytes: a number with a size unit.
    Bytes(Size),
    /// This many records where those are counted, else bytes: a number with no unit.
    Count(u64),
    /// The same: a number that says thousands or millions, but not of what (`3M`).
    Prefixed(Size),
    /// As much as a cap lets pass in this time: a number with a unit of time. `5m` and `5M` are
    /// not among them: they are sizes.
    Time(Duration),
}

impl FromStr for Amount {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refuse = |fault: Fault| fault.reject(text, NOUN, EXAMPLES);
        let (number, unit) = Decimal::split(text).map_err(refuse)?;
        if unit.is_empty() {
            let fraction = || UnitError::new("a fraction of a count", EXAMPLES);
            return number.whole().map(Self::Count).ok_or_else(fraction);
        }
        if unit_bytes(unit).is_some() {
            // `3Mi` is no more of anything than `3M`.
            let says_bytes = unit.ends_with(['b', 'B']);
            let size = text.parse();
            return size
                .map(if says_bytes {
                    Self::Bytes
                } else {
                    Self::Prefixed
                })
                .map_err(|reject: UnitError| reject.instead(EXAMPLES));
        }
        match text.parse::<Span>() {
            Ok(span) => Ok(Self::Time(span.duration())),
            Err(reject) if reject.wrong() == "not a duration" => Err(refuse(Fault::NotANumber)),
            Err(reject) => Err(reject.instead(EXAMPLES)),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(size) => size.fmt(f),
            Self::Prefixed(size) => {
                let text = size.to_string();
                let text = text.strip_suffix('B').unwrap_or(&text);
                match text.ends_with(|last: char| last.is_ascii_digit()) {
                    // Without a prefix it would come back as a count.
                    true => f.pad(&thousands(size.bytes())),
                    false => f.pad(text),
                }
            }
            Self::Count(count) => count.fmt(f),
            Self::Time(time) => {
                // Made of a span, and so no longer than one.
                let mut text = Span::try_from(*time).unwrap_or(Span::MAX).to_string();
                // `5m` alone would come back as megabytes.
                if text.ends_with('m') && !text.contains(' ') {
                    text.push_str("in");
                }
                f.pad(&text)
            }
        }
    }
}

/// So many of them, and no other unit.
fn thousands(n: u64) -> String {
    let text = format!("{}.{:03}", n / 1000, n % 1000);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}k")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::size::tests::any_size;

    #[test]
    fn amounts_are_told_apart_by_their_unit() {
        let bytes = |n| Amount::Bytes(Size::new(n));
        let prefixed = |n| Amount::Prefixed(Size::new(n));
        let millis = |n| Amount::Time(Duration::from_millis(n));
        for (text, amount) in [
            ("1MiB", bytes(1 << 20)),
            ("1.5KB", bytes(1500)),
            ("100B", bytes(100)),
            ("5m", prefixed(5_000_000)),
            ("5M", prefixed(5_000_000)),
            ("1.5k", prefixed(1500)),
            ("2Mi", prefixed(2 << 20)),
            ("5MB", bytes(5_000_000)),
            ("100", Amount::Count(100)),
            ("0", Amount::Count(0)),
            (" 7 ", Amount::Count(7)),
            ("18446744073709551615", Amount::Count(u64::MAX)),
            ("100ms", millis(100)),
            ("0s", millis(0)),
            ("1.5s", millis(1500)),
            ("5min", millis(300_000)),
            ("1m 30s", millis(90_000)),
        ] {
            assert_eq!(text.parse(), Ok(amount), "{text}");
        }
        assert_eq!(millis(300_000).to_string(), "5min");
        assert_eq!(millis(90_000).to_string(), "1m 30s");
        for (n, text) in [
            (5_000_000, "5M"),
            (2 << 20, "2Mi"),
            (0, "0k"),
            (500, "0.5k"),
            (10_001, "10.001k"),
            (u64::MAX, "18446744073709551.615k"),
        ] {
            assert_eq!(prefixed(n).to_string(), text);
            assert_eq!(text.parse(), Ok(prefixed(n)));
        }
    }

    #[test]
    fn nonsense_amounts_are_turned_away_with_right_ones() {
        for (text, said) in [
            ("", "empty: try 1MiB, 100 (a count) or 100ms"),
            ("lots", "not an amount: try"),
            ("5 potatoes", "not an amount: try"),
            ("-5", "below zero, so not an amount: try"),
            ("-5s", "below zero, so not an amount: try"),
            ("1.5", "a fraction of a count: try"),
            ("10MB/s", "not an amount: try"),
            ("10%", "not an amount: try"),
            ("16EiB", "too large: try 1MiB,"),
            ("18446744073709551616", "too large: try"),
            ("600years", "in years (write days): try 1MiB,"),
            (
                "5month",
                "in months (minutes are 5min, months are days): try 1MiB,",
            ),
            ("0.1ns", "too long, or finer than a nanosecond: try"),
        ] {
            let reject = text.parse::<Amount>().expect_err(text);
            assert!(reject.to_string().starts_with(said), "{text}: {reject}");
            for example in reject.examples() {
                assert!(example.parse::<Amount>().is_ok(), "{text}: {example}");
            }
        }
    }

    proptest! {
        #[test]
        fn amount_survives_print_and_parse(
            size in any_size(),
            count: u64,
            nanos: u64,
            minutes in 0..200u64,
        ) {
            for amount in [
                Amount::Bytes(size),
                Amount::Prefixed(size),
                Amount::Count(count),
                Amount::Time(Duration::from_nanos(nanos)),
                Amount::Time(Duration::from_secs(minutes * 60)),
            ] {
                prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            }
        }
    }
}
