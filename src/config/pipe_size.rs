//! `--pipe-size`: what to ask the kernel for.

use std::str::FromStr;

use crate::pipe::capacity::{PipeSizes, Wanted};
use crate::units::{Size, UnitError};

/// The pipe from the producer that serves best: a larger one is no faster, and its pages leave the caches.
const FROM_PRODUCER: usize = 256 * 1024;
/// The pipe to the consumer that serves best: it is as good as never found full by a piece that has come through the
/// other one, which takes up to a third off the processor's time, and never blocks it halfway.
const TO_CONSUMER: usize = 1024 * 1024;

/// The kernel pipe size to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PipeSize {
    /// What serves best, or more if it is so.
    Auto,
    /// As it is.
    Keep,
    /// This many bytes.
    Bytes(usize),
}

impl PipeSize {
    /// What to ask for, where so many bytes may lie before the consumer.
    #[must_use]
    pub(crate) fn sizes(self, ahead: usize) -> PipeSizes {
        // The kernel would round it up to such a size.
        let to_consumer = 1 << ahead.clamp(FROM_PRODUCER, TO_CONSUMER).ilog2();
        PipeSizes {
            from_producer: self.or_at_least(FROM_PRODUCER),
            to_consumer: self.or_at_least(to_consumer),
        }
    }

    fn or_at_least(self, serves_best: usize) -> Option<Wanted> {
        match self {
            PipeSize::Auto => Some(Wanted::AtLeast(serves_best)),
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
