//! A part of a whole: exact to a ten-thousandth of a percent, and never above 100.

use std::fmt;
use std::str::FromStr;

use super::decimal::Decimal;
use super::error::UnitError;

const EXAMPLES: &[&str] = &["75%", "12.5%", "100%"];

/// Millionths in a whole.
pub(super) const WHOLE: u32 = 1_000_000;
/// The same in one percent.
const ONE_PERCENT: u32 = WHOLE / 100;

/// Decimal places of a percentage that a millionth can hold.
const PLACES: u64 = ONE_PERCENT as u64;

/// A part of a whole, from 0% to 100%, exact in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Percent(pub(super) u32);

impl Percent {
    /// Nothing.
    pub(crate) const ZERO: Self = Self(0);

    /// This part of `whole`, rounded down.
    pub(crate) fn of(self, whole: u64) -> u64 {
        // Never more than `whole`, so it fits.
        (u128::from(whole) * u128::from(self.0) / u128::from(WHOLE)) as u64
    }
}

impl FromStr for Percent {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let not = |wrong| UnitError::new(wrong, EXAMPLES);
        let (number, sign) =
            Decimal::split(text).map_err(|fault| fault.reject(text, "a percentage", EXAMPLES))?;
        if sign != "%" {
            return Err(not("not a percentage"));
        }
        let (numerator, denominator) = number.times(PLACES);
        if numerator > u128::from(WHOLE) * u128::from(denominator) {
            return Err(not("more than 100%"));
        }
        if numerator % u128::from(denominator) != 0 {
            return Err(not("finer than four decimals of a percent"));
        }
        // At most WHOLE by the check above.
        Ok(Self((numerator / u128::from(denominator)) as u32))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:04}", self.0 / ONE_PERCENT, self.0 % ONE_PERCENT);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        f.pad(&format!("{text}%"))
    }
}
