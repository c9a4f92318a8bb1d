//! A typed number with its fraction, kept exact: `1.001KB` is 1001 bytes, which a float misses.
//!
//! What follows the number (a unit, a percent sign) is handed back to the caller.

use super::error::UnitError;

/// An exact decimal number: `digits / 10^scale`. No sign, no exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: u64,
    scale: u32,
}

/// Why there is no such number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// No digit, or more than one point.
    NotANumber,
    /// Above `u64::MAX`.
    TooLarge,
    /// More digits than can be kept.
    TooFine,
}

impl Fault {
    /// The answer to `text`, in which no number of the kind `noun` ("a size") was found.
    pub(super) fn reject(
        self,
        text: &str,
        noun: &str,
        examples: &'static [&'static str],
    ) -> UnitError {
        let text = text.trim();
        let wrong = match self {
            Self::NotANumber if text.is_empty() => "empty".to_owned(),
            Self::NotANumber if text.starts_with('-') && text[1..].starts_with(is_figure) => {
                format!("below zero, so not {noun}")
            }
            Self::NotANumber => format!("not {noun}"),
            Self::TooLarge => "too large".to_owned(),
            Self::TooFine => format!("more digits than {noun} can have"),
        };
        UnitError::new(wrong, examples)
    }
}

fn is_figure(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

/// Most decimal places kept: `10^18` is the largest power of ten that leaves room in an `i64`.
const MAX_SCALE: usize = 18;

impl Decimal {
    /// Splits the number off the front of `text`; the rest comes without white space around it.
    pub(super) fn split(text: &str) -> Result<(Self, &str), Fault> {
        let text = text.trim();
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, rest) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(Fault::NotANumber);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > MAX_SCALE {
            return Err(Fault::TooFine);
        }
        let overflow = if fraction.is_empty() {
            Fault::TooLarge
        } else {
            Fault::TooFine
        };
        let digits = whole
            .bytes()
            .chain(fraction.bytes())
            .try_fold(0u64, |sum, digit| {
                sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
            })
            .ok_or(overflow)?;
        let scale = fraction.len() as u32;
        Ok((Self { digits, scale }, rest.trim_start()))
    }

    /// The number itself if it has no fraction.
    pub(super) fn whole(self) -> Option<u64> {
        (self.scale == 0).then_some(self.digits)
    }

    /// This many times `factor`, as numerator and denominator, not reduced.
    pub(super) fn times(self, factor: u64) -> (u128, u64) {
        (
            u128::from(self.digits) * u128::from(factor),
            10u64.pow(self.scale),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_number_from_rest() {
        for (text, digits, scale, rest) in [
            ("0", 0, 0, ""),
            ("64MiB", 64, 0, "MiB"),
            (" 1.50 GB ", 15, 1, "GB"),
            (".5%", 5, 1, "%"),
            ("5.", 5, 0, ""),
            ("007", 7, 0, ""),
            ("1e3", 1, 0, "e3"),
            ("18446744073709551615B", u64::MAX, 0, "B"),
            ("0.000000000000000001", 1, 18, ""),
        ] {
            assert_eq!(
                Decimal::split(text),
                Ok((Decimal { digits, scale }, rest)),
                "{text}"
            );
        }
    }

    #[test]
    fn turns_away_what_is_no_number_or_too_much() {
        for (text, fault) in [
            ("", Fault::NotANumber),
            (".", Fault::NotANumber),
            ("-1", Fault::NotANumber),
            ("+1", Fault::NotANumber),
            ("1.2.3", Fault::NotANumber),
            ("..", Fault::NotANumber),
            ("x", Fault::NotANumber),
            ("٣", Fault::NotANumber),
            ("18446744073709551616", Fault::TooLarge),
            ("1844674407370955161.61", Fault::TooFine),
            ("0.0000000000000000001", Fault::TooFine),
        ] {
            assert_eq!(Decimal::split(text), Err(fault), "{text}");
        }
    }
}
