//! When a report is due.

use std::time::{Duration, Instant};

/// Instants at a distance, of which two are never closer than half of it. Those that were missed
/// are not made up for.
#[derive(Debug)]
pub(super) struct Ticker {
    pub(super) every: Duration,
    pub(super) next: Instant,
}

impl Ticker {
    pub(super) fn new(every: Duration, now: Instant) -> Ticker {
        Ticker {
            every,
            next: now + every,
        }
    }

    /// Whether it is time; if so, when the next time is.
    pub(super) fn falls(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next += self.every;
            // A little late, and the ticker is kept. Much later, and the next report would tell of
            // hardly any time at all.
            if self.next < now + self.every / 2 {
                self.next = now + self.every;
            }
        }
        due
    }
}
