//! What is too old leaves the consumer's queue, whether the buffer is full or not.
//!
//! Invariant: what expires is whole records that have waited too long, and nothing that is kept or claimed.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::super::action::CONSUMER;
use super::super::state::Engine;

impl Engine {
    /// Drops what has waited too long.
    pub(in crate::engine) fn expire(&mut self, now: Instant) {
        let Some(then) = self.shedder.max_age.and_then(|age| now.checked_sub(age)) else {
            return;
        };
        let old = self.timeline.older_than(then);
        let before = self.stats.shed;
        self.expire_from_lanes(CONSUMER, old);
        while let Some((run, first)) = self.next_to_expire().filter(|(_, first)| *first <= old) {
            let end = run.end.min(old);
            let end = match self.framing {
                None => end,
                Some(_) => self.log.last_boundary(run.start, end).unwrap_or(first),
            };
            self.forget(run.start..end);
        }
        let shed = self.stats.shed;
        self.stats.shed_expired += match self.framing {
            Some(_) => shed.records - before.records,
            None => shed.bytes - before.bytes,
        };
        self.on_shrunk(now);
        self.update(now);
    }

    /// When the next record will have waited too long, if nothing happens before.
    #[inline]
    pub(in crate::engine) fn next_expiry(&self) -> Option<Instant> {
        self.expiry_by(self.shedder.max_age?)
    }

    pub(super) fn expiry_by(&self, age: Duration) -> Option<Instant> {
        if let Some(lanes) = &self.outputs[CONSUMER].lanes {
            let end = lanes.next_to_expire()?;
            return self.timeline.arrival(end - 1)?.checked_add(age);
        }
        let (_, first) = self.next_to_expire()?;
        self.timeline.arrival(first - 1)?.checked_add(age)
    }

    /// The run in which the first record lies that may grow too old, and where that ends. None where its end is not known
    /// before it has been read back from the disk: when it is due, and what goes then, is decided here alone.
    pub(super) fn next_to_expire(&self) -> Option<(Range<u64>, u64)> {
        if self.has_lanes() {
            return None;
        }
        let run = self.run_behind(CONSUMER, self.torn(CONSUMER))?;
        // One that is the last has all that it will ever have.
        let last = || (self.is_last() && run.end == self.log.end()).then_some(run.end);
        let first = match self.framing {
            None => run.start + 1,
            Some(_) => self.log.next_boundary(run.start, run.end).or_else(last)?,
        };
        Some((run, first))
    }
}
