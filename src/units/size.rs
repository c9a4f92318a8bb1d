//! SIZE: a number of bytes, in the grammar of the `bytesize` crate.
//!
//! The units are `bytesize`'s own; the arithmetic is exact here, and too much is an error, where
//! that crate rounds and saturates. A fraction of a byte is dropped, as there.

use std::fmt;
use std::str::FromStr;

use bytesize::{ByteSize, Unit};

use super::decimal::{Decimal, Fault};
use super::error::UnitError;
use super::percent::Percent;

const NOUN: &str = "a size";
const EXAMPLES: &[&str] = &["64MiB", "64MB", "4096 (bytes)"];

/// Units in the order in which `Display` prefers them among texts of the same length.
const PRINTED: [(&str, u64); 13] = [
    ("B", 1),
    ("KiB", bytesize::KIB),
    ("MiB", bytesize::MIB),
    ("GiB", bytesize::GIB),
    ("TiB", bytesize::TIB),
    ("PiB", bytesize::PIB),
    ("EiB", bytesize::EIB),
    ("kB", bytesize::KB),
    ("MB", bytesize::MB),
    ("GB", bytesize::GB),
    ("TB", bytesize::TB),
    ("PB", bytesize::PB),
    ("EB", bytesize::EB),
];

/// A number of bytes. Prints as the shortest exact text: `64MiB`, `1.5MB`, `1500B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Size(u64);

impl Size {
    /// This many bytes.
    pub(crate) const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub(crate) const fn bytes(self) -> u64 {
        self.0
    }

    /// For people to read: binary units, one decimal, rounded (`12.3MiB`); not exact.
    pub(crate) fn human(self) -> String {
        let mut text = ByteSize(self.0).display().iec().to_string();
        text.retain(|c| c != ' ');
        text
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) =
            Decimal::split(text).map_err(|fault| fault.reject(text, NOUN, EXAMPLES))?;
        if unit.is_empty() {
            return number
                .whole()
                .map(Self)
                .ok_or_else(|| UnitError::new("a fraction of a byte", &["1.5MiB", "1500"]));
        }
        let factor =
            unit_bytes(unit).ok_or_else(|| Fault::NotANumber.reject(text, NOUN, EXAMPLES))?;
        let (numerator, denominator) = number.times(factor);
        let bytes = u64::try_from(numerator / u128::from(denominator))
            .map_err(|_| Fault::TooLarge.reject(text, NOUN, EXAMPLES))?;
        if bytes == 0 && numerator > 0 {
            return Err(UnitError::new("less than one byte", &["1B", "0"]));
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shortest = PRINTED
            .iter()
            .filter_map(|&(unit, factor)| exact_in(self.0, factor).map(|n| n + unit))
            .min_by_key(String::len);
        f.pad(&shortest.unwrap_or_else(|| self.0.to_string()))
    }
}

/// How many bytes one `unit` is, as `bytesize` knows it; `None` if it does not.
pub(super) fn unit_bytes(unit: &str) -> Option<u64> {
    unit.parse::<Unit>().ok().map(|unit| unit * 1u64)
}

/// `bytes / factor` if that is at least 1 (or no unit at all) and exact to three decimals.
fn exact_in(bytes: u64, factor: u64) -> Option<String> {
    let thousandths = u128::from(bytes) * 1000;
    let factor = u128::from(factor);
    if (bytes == 0 && factor > 1) || thousandths < factor * 1000 && bytes > 0 {
        return None;
    }
    if thousandths % factor != 0 {
        return None;
    }
    let thousandths = thousandths / factor;
    let (whole, fraction) = (thousandths / 1000, thousandths % 1000);
    let text = format!("{whole}.{fraction:03}");
    Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

/// What `--buffer` takes: never nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BufferSize {
    /// This many bytes.
    Bytes(Size),
    /// This part of the physical memory.
    OfMemory(Percent),
}

impl BufferSize {
    /// The capacity where there are so many bytes of memory; at least one byte.
    pub(crate) fn resolve(self, memory_bytes: u64) -> Size {
        match self {
            Self::Bytes(size) => size,
            Self::OfMemory(percent) => Size(percent.of(memory_bytes).max(1)),
        }
    }
}

impl FromStr for BufferSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (buffer, nothing) = if text.trim_end().ends_with('%') {
            let percent: Percent = text.parse()?;
            (Self::OfMemory(percent), percent == Percent::ZERO)
        } else {
            let size: Size = text.parse()?;
            (Self::Bytes(size), size == Size(0))
        };
        if nothing {
            return Err(UnitError::new(
                "no buffer at all",
                &["64MiB", "10% (of memory)"],
            ));
        }
        Ok(buffer)
    }
}

impl fmt::Display for BufferSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(size) => size.fmt(f),
            Self::OfMemory(percent) => percent.fmt(f),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
