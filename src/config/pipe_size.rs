//! `--pipe-size`: what to ask the kernel for.

use std::str::FromStr;

use crate::pipe::capacity::Wanted;
use crate::units::{Size, UnitError};

/// The kernel pipes that serve best: larger ones are no faster and hide more data.
pub(crate) const PIPE_SIZE: usize = 256 * 1024;

/// The kernel pipe size to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PipeSize {
    /// At least [`PIPE_SIZE`].
    Auto,
    /// As it is.
    Keep,
    /// This many bytes.
    Bytes(usize),
}

impl PipeSize {
    /// The size to ask for, if any.
    #[must_use]
    pub(crate) fn wanted(self) -> Option<Wanted> {
        match self {
            PipeSize::Auto => Some(Wanted::AtLeast(PIPE_SIZE)),
            PipeSize::Bytes(n) => Some(Wanted::Just(n)),
            PipeSize::Keep => None,
        }
    }
}

impl FromStr for PipeSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<PipeSize, UnitError> {
        match text {
            "auto" => Ok(PipeSize::Auto),
            "keep" => Ok(PipeSize::Keep),
            _ => {
                let examples = &["256KiB", "auto", "keep"];
                let size: Size = text.parse().map_err(|e: UnitError| e.instead(examples))?;
                match i32::try_from(size.bytes()) {
                    Ok(n) if n > 0 => Ok(PipeSize::Bytes(n.unsigned_abs() as usize)),
                    _ => Err(UnitError::new("not a size that a pipe can have", examples)),
                }
            }
        }
    }
}
