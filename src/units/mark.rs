//! MARK: a place in the buffer, in bytes or as a percentage of its capacity. That `low < high` holds is for
//! `config` to check: it takes the buffer's size.

use std::fmt;
use std::str::FromStr;

use super::error::UnitError;
use super::percent::Percent;
use super::size::Size;

/// A place in the buffer. A bare number is bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// This many bytes held.
    Bytes(Size),
    /// This part of the capacity held.
    Percent(Percent),
}

impl Mark {
    /// The bytes held when occupancy is at the mark, for a buffer of `buffer` bytes. A mark in
    /// bytes is given as it is, even beyond the buffer.
    pub(crate) fn of(&self, buffer: u64) -> u64 {
        match self {
            Self::Bytes(size) => size.bytes(),
            Self::Percent(percent) => percent.of(buffer),
        }
    }
}

impl FromStr for Mark {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        if text.trim_end().ends_with('%') {
            return text.parse().map(Self::Percent);
        }
        text.parse()
            .map(Self::Bytes)
            .map_err(|reject: UnitError| reject.instead(&["75%", "48MiB", "4096 (bytes)"]))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(size) => size.fmt(f),
            Self::Percent(percent) => percent.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
