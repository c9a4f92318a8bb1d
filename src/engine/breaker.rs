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

#[cfg(test)]
mod tests {
    use super::{Circuit, SharedBreaker};
    use std::time::{Duration, Instant};

    const SHORTEST: Duration = Duration::from_secs(1);

    fn breaker() -> SharedBreaker {
        SharedBreaker::new((SHORTEST, Duration::from_secs(1000)), 1)
    }

    /// So many fail, each when it is due. When the next one is.
    fn fail(breaker: &mut SharedBreaker, times: u32, mut now: Instant) -> Instant {
        for tries in 1..=times {
            assert_eq!(breaker.may_start(1, now), Ok(()));
            breaker.on_start(1);
            now = breaker.on_failure(1, tries, now).unwrap();
        }
        now
    }

    #[test]
    fn a_success_ends_the_failures_in_a_row_and_the_next_one_waits_as_the_first_did() {
        let mut breaker = breaker();
        let start = Instant::now();
        let due = fail(&mut breaker, 5, start);
        assert_eq!(breaker.failures(), 5);
        assert!(due - start > 4 * SHORTEST, "{:?}", due - start);
        breaker.on_start(1);
        breaker.on_success(1);
        assert_eq!(
            (breaker.failures(), breaker.circuit()),
            (0, Circuit::Closed)
        );
        let again = fail(&mut breaker, 1, due);
        assert_eq!(breaker.failures(), 1);
        // Waits are drawn around what is due.
        assert!(again - due <= 2 * SHORTEST, "{:?}", again - due);
    }

    #[test]
    fn after_a_failure_one_tries_and_what_others_do_who_ran_before_says_nothing() {
        let mut breaker = breaker();
        let start = Instant::now();
        let due = fail(&mut breaker, 1, start);
        assert!(matches!(breaker.may_start(2, start), Err(Some(at)) if at <= due));
        breaker.on_success(2);
        assert_eq!(breaker.failures(), 1);
        assert_eq!(breaker.may_start(2, due), Ok(()));
        breaker.on_start(2);
        assert_eq!(breaker.circuit(), Circuit::HalfOpen);
        assert_eq!(breaker.may_start(1, due), Err(None));
        assert!(breaker.on_failure(3, 1, due).is_some());
        assert_eq!(
            (breaker.failures(), breaker.circuit()),
            (1, Circuit::HalfOpen)
        );
        breaker.on_success(2);
        assert_eq!(breaker.may_start(1, due), Ok(()));
    }
}
