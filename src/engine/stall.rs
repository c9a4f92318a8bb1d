//! Has one side stalled for too long: the watchdog.
//!
//! Invariant: a side is accused only while weir itself was ready to serve it, which the meter's
//! stopwatches say; a closed gate, an empty log or a held output accuse nobody.

use std::fmt;
use std::time::{Duration, Instant};

use super::stats::Stopwatch;

/// One end of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
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
pub(crate) struct Timeouts {
    /// Longest silence of the producer.
    pub source: Option<Duration>,
    /// Longest refusal of the consumer.
    pub sink: Option<Duration>,
}

/// How often a side is looked at while it makes us wait, before it is accused.
const LOOKS: u32 = 8;
/// A look that comes later than it should by more than this, and by more than there is between two
/// looks, tells that it was we who stood still: stopped, or on a machine that was.
const LATE: Duration = Duration::from_millis(500);

/// The watchdog's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StallLook {
    /// Nothing is to be done before this instant; ask again then. `None`: never.
    Quiet(Option<Instant>),
    /// This side has stalled for this long.
    Stalled(Side, Duration),
}

/// Looks at both sides' waits from time to time.
#[derive(Debug)]
pub(crate) struct StallDetector {
    timeouts: Timeouts,
    /// When to look again.
    due: Option<Instant>,
}

impl StallDetector {
    /// One that has not looked yet.
    #[must_use]
    pub(crate) fn new(timeouts: Timeouts) -> StallDetector {
        StallDetector {
            timeouts,
            due: None,
        }
    }

    /// How long the consumer may stall.
    #[must_use]
    pub(crate) fn sink_timeout(&self) -> Option<Duration> {
        self.timeouts.sink
    }

    /// When to try once more to give the consumer something: not every kind of stream tells that
    /// it has room as soon as there is some.
    #[must_use]
    pub(crate) fn next_try(&self, now: Instant) -> Option<Instant> {
        now.checked_add(self.timeouts.sink? / LOOKS)
    }

    /// Looks at both sides' waits. They begin anew when it was this process that stood still.
    pub(crate) fn look(
        &mut self,
        source: &mut Stopwatch,
        sink: &mut Stopwatch,
        now: Instant,
    ) -> StallLook {
        let due = self.due.take();
        for (side, limit, wait) in [
            (Side::Sink, self.timeouts.sink, sink),
            (Side::Source, self.timeouts.source, source),
        ] {
            let Some(limit) = limit else { continue };
            // The first look should have come as soon after the wait began.
            let begun = wait.since().and_then(|at| at.checked_add(limit / LOOKS));
            let late = due.or(begun).map(|due| now.saturating_duration_since(due));
            if wait.since().is_some() && late.is_some_and(|late| late > LATE.max(limit / LOOKS)) {
                wait.stop(now);
                wait.start(now);
            }
            let since = wait.since().unwrap_or(now);
            // A limit beyond the end of time is never reached.
            let Some(end) = since.checked_add(limit) else {
                continue;
            };
            if now >= end && wait.since().is_some() {
                return StallLook::Stalled(side, now - since);
            }
            let due = end.min(now + limit / LOOKS);
            self.due = Some(self.due.map_or(due, |other| other.min(due)));
        }
        StallLook::Quiet(self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_stood_still_before_the_first_look_accuses_nobody() {
        let (start, limit) = (Instant::now(), Duration::from_secs(4));
        let timeouts = Timeouts {
            source: Some(limit),
            sink: None,
        };
        let (mut source, mut sink) = (Stopwatch::default(), Stopwatch::default());
        let mut detector = StallDetector::new(timeouts);
        source.start(start);
        let late = start + Duration::from_secs(6);
        let watch = detector.look(&mut source, &mut sink, late);
        assert!(matches!(watch, StallLook::Quiet(Some(_))), "{watch:?}");
        // It has all of its time again, and no more.
        let mut now = late;
        while let StallLook::Quiet(Some(due)) = detector.look(&mut source, &mut sink, now) {
            now = due;
        }
        assert_eq!(now, late + limit);
    }
}
