//! Has one side stalled for too long: the watchdog.
//!
//! Invariant: a side is accused only while weir itself was ready to serve it, which the meter's
//! stopwatches say; a closed gate, an empty ring or a held output accuse nobody.

use std::fmt;
use std::time::{Duration, Instant};

use super::meter::Stopwatch;

/// One end of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The producer.
    Source,
    /// The consumer.
    Sink,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Source => "source",
            Side::Sink => "sink",
        })
    }
}

/// How long each side may stall; `None` is for ever.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    /// Longest silence of the producer.
    pub source: Option<Duration>,
    /// Longest refusal of the consumer.
    pub sink: Option<Duration>,
}

/// How often the consumer's pipe is looked at while it makes us wait, before it is accused.
const LOOKS: u32 = 8;

/// The watchdog's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Nothing is to be done before this instant; ask again then. `None`: never.
    Quiet(Option<Instant>),
    /// This side has stalled for this long.
    Stalled(Side, Duration),
}

impl Patience {
    /// Looks at both sides' waits.
    #[must_use]
    pub fn look(&self, source: Stopwatch, sink: Stopwatch, now: Instant) -> Watch {
        let mut next: Option<Instant> = None;
        for (side, limit, wait) in [
            (Side::Sink, self.sink, sink),
            (Side::Source, self.source, source),
        ] {
            let Some(limit) = limit else { continue };
            let since = wait.since().unwrap_or(now);
            // A limit beyond the end of time is never reached.
            let Some(due) = since.checked_add(limit) else {
                continue;
            };
            if now >= due && wait.since().is_some() {
                return Watch::Stalled(side, now - since);
            }
            // Meanwhile somebody may want to look whether the consumer has moved all the same.
            let looks = side == Side::Sink && wait.since().is_some();
            let due = if looks {
                due.min(now + limit / LOOKS)
            } else {
                due
            };
            next = Some(next.map_or(due, |n| n.min(due)));
        }
        Watch::Quiet(next)
    }
}
