//! The circuit breaker of those who run the same program side by side: after a failure all wait, and then one alone
//! tries.
//!
//! Invariant: while it is not closed, one program at most is started that was not running before.

use std::time::{Duration, Instant};

use super::restart::{Backoff, Circuit};

/// What is beyond the end of time is no sooner.
const FAR: Duration = Duration::from_secs(86_400 * 365);

/// Whether programs may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Closed,
    /// None before then, and then one.
    Open(Instant),
    /// The one of this number tries.
    HalfOpen(usize),
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct SharedBreaker {
    place: Place,
    backoff: Backoff,
    failures: u32,
}

impl SharedBreaker {
    pub(super) fn new(backoff: (Duration, Duration), chance: u64) -> SharedBreaker {
        SharedBreaker {
            place: Place::Closed,
            backoff: Backoff::new(backoff, chance),
            failures: 0,
        }
    }

    /// As reports tell it.
    pub(super) fn circuit(&self) -> Circuit {
        match self.place {
            Place::Closed => Circuit::Closed,
            Place::Open(at) => Circuit::Open(at),
            Place::HalfOpen(_) => Circuit::HalfOpen,
        }
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether this one may start a program. `Err`: until when to wait, if that is known.
    pub(super) fn may_start(&self, who: usize, now: Instant) -> Result<(), Option<Instant>> {
        match self.place {
            Place::Closed => Ok(()),
            Place::Open(at) if now < at => Err(Some(at)),
            Place::Open(_) => Ok(()),
            Place::HalfOpen(other) if other == who => Ok(()),
            Place::HalfOpen(_) => Err(None),
        }
    }

    /// This one is about to, as it may.
    pub(super) fn on_start(&mut self, who: usize) {
        if let Place::Open(_) = self.place {
            self.place = Place::HalfOpen(who);
        }
    }

    /// A program has done what it was to do. One that was started before another one has failed says nothing.
    pub(super) fn on_success(&mut self, who: usize) {
        if self.is_heard(who) {
            self.place = Place::Closed;
            self.failures = 0;
        }
    }

    /// It has not, for the `tries`th time with the same. Says when to try that again.
    pub(super) fn on_failure(&mut self, who: usize, tries: u32, now: Instant) -> Option<Instant> {
        let wait = self.backoff.wait(tries);
        let mut due = now.checked_add(wait);
        if self.is_heard(who) {
            self.failures = self.failures.saturating_add(1);
            // One that fails again and again waits by itself; the others wait for as long as all have failed.
            let common = if tries == self.failures {
                wait
            } else {
                self.backoff.wait(self.failures)
            };
            let at = now.checked_add(common);
            due = due.max(at).or(at);
            self.place = Place::Open(at.unwrap_or(now + FAR));
        }
        due
    }

    /// Somebody does not want to wait.
    pub(super) fn retry(&mut self, now: Instant) {
        if let Place::Open(at) = &mut self.place {
            *at = now.min(*at);
        }
    }

    fn is_heard(&self, who: usize) -> bool {
        match self.place {
            Place::Closed => true,
            Place::Open(_) => false,
            Place::HalfOpen(other) => other == who,
        }
    }
}
