//! When a program that has ended is run again: waits that grow with each failure, and a circuit breaker.
//!
//! Time is an argument, and so is chance: the same calls give the same waits.
//!
//! Invariants: a wait is within its bounds; it is forgotten only by progress, which is to have read a whole record
//! and to have lived for longer than the wait that came before.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::status::{BatchStatus, Count};

/// Which ends are no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Those with another status than 0, or by a signal.
    OnFailure,
    /// All.
    Always,
}

/// What is to be done about ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RestartRules {
    /// Which ends are no end.
    pub when: When,
    /// The shortest and the longest wait.
    pub backoff: (Duration, Duration),
    /// After how many failures in a row it is not tried again.
    pub give_up: Option<NonZeroU32>,
}

/// Whether the program is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Circuit {
    /// It is, and has not failed since it last made progress.
    Closed,
    /// It has failed, and is not before then.
    Open(Instant),
    /// It has failed, and is being tried.
    HalfOpen,
}

impl Circuit {
    /// How long it still is before the next try.
    #[must_use]
    pub(crate) fn retry_in(self, now: Instant) -> Option<Duration> {
        match self {
            Circuit::Open(at) => Some(at.saturating_duration_since(now)),
            Circuit::Closed | Circuit::HalfOpen => None,
        }
    }
}

/// What comes of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is run again then.
    Again(Instant),
    /// It was the end.
    Over,
}

/// How the program fares that is the consumer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CommandStatus {
    /// Whether it is run.
    pub circuit: Circuit,
    /// How long until it is run again, where it is not.
    pub retry_in: Option<Duration>,
    /// Failures in a row.
    pub failures: u32,
    /// How often it was run again.
    pub restarts: u64,
    /// How many of it run.
    pub running: usize,
    /// What it had left unread, or begun, when it ended.
    pub taken_back: Count,
    /// What of that it had begun, and was given twice.
    pub repeated: Count,
    /// What became of batches, where it is run once for each.
    pub batches: Option<BatchStatus>,
    /// The process, started by an earlier run, whose end is waited for; told by whoever knows.
    pub waits_for: Option<i32>,
}

impl Default for CommandStatus {
    fn default() -> CommandStatus {
        CommandStatus {
            circuit: Circuit::Closed,
            retry_in: None,
            failures: 0,
            restarts: 0,
            running: 1,
            taken_back: Count::default(),
            repeated: Count::default(),
            batches: None,
            waits_for: None,
        }
    }
}

/// Waits that grow with each failure.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    bounds: (Duration, Duration),
    chance: u64,
}

impl Backoff {
    /// Between these two.
    pub(super) fn new(bounds: (Duration, Duration), chance: u64) -> Backoff {
        let chance = chance | 1;
        Backoff { bounds, chance }
    }

    /// The wait after so many failures: doubled each time, less up to a fifth by chance, so that many who have
    /// failed together do not come again together.
    pub(super) fn wait(&mut self, failures: u32) -> Duration {
        let (least, most) = self.bounds;
        let doublings = failures.saturating_sub(1);
        let doubled = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let whole = least.saturating_mul(doubled).min(most);
        // Marsaglia's xorshift64.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let fifth = whole / 5 * u32::try_from(self.chance % 1024).unwrap_or(0) / 1024;
        (whole - fifth).max(least)
    }
}

/// The state of one program.
#[derive(Debug, Clone)]
pub(crate) struct Breaker {
    rules: RestartRules,
    circuit: Circuit,
    /// Failures in a row.
    failures: u32,
    /// How long it was waited for the present try.
    waited: Duration,
    /// When the present try began.
    since: Instant,
    restarts: u64,
    backoff: Backoff,
}

impl Breaker {
    /// The program is run for the first time.
    #[must_use]
    pub(crate) fn new(rules: RestartRules, chance: u64, now: Instant) -> Breaker {
        Breaker {
            rules,
            circuit: Circuit::Closed,
            failures: 0,
            waited: Duration::ZERO,
            since: now,
            restarts: 0,
            backoff: Backoff::new(rules.backoff, chance),
        }
    }

    /// Whether it is run, and if not, when it is again.
    #[must_use]
    pub(crate) fn circuit(&self) -> Circuit {
        self.circuit
    }

    /// Failures in a row.
    #[must_use]
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether it has failed so often that it is not run again.
    #[must_use]
    pub(crate) fn has_given_up(&self) -> bool {
        let most = self.rules.give_up;
        most.is_some_and(|most| self.failures >= most.get())
    }

    /// How often it was run again.
    #[must_use]
    pub(crate) fn restarts(&self) -> u64 {
        self.restarts
    }

    /// It is run again.
    pub(crate) fn on_start(&mut self, now: Instant) {
        self.restarts += 1;
        self.since = now;
        self.circuit = match self.failures {
            0 => Circuit::Closed,
            _ => Circuit::HalfOpen,
        };
    }

    /// Somebody does not want to wait: it may be run again at once.
    pub(crate) fn retry(&mut self, now: Instant) {
        if let Circuit::Open(at) = &mut self.circuit {
            *at = now.min(*at);
        }
    }

    /// It runs; `progress`: it has read a whole record in this try.
    pub(crate) fn look(&mut self, progress: bool, now: Instant) {
        let lived = now.saturating_duration_since(self.since);
        if progress && lived > self.waited && !matches!(self.circuit, Circuit::Open(_)) {
            self.failures = 0;
            self.circuit = Circuit::Closed;
        }
    }

    /// It has ended; `progress` as above.
    pub(crate) fn on_end(&mut self, success: bool, progress: bool, now: Instant) -> Verdict {
        self.look(progress, now);
        if success && self.rules.when == When::OnFailure {
            return Verdict::Over;
        }
        if success && progress {
            self.circuit = Circuit::Open(now);
            self.waited = Duration::ZERO;
            return Verdict::Again(now);
        }
        self.failures = self.failures.saturating_add(1);
        if self.has_given_up() {
            return Verdict::Over;
        }
        self.waited = self.backoff.wait(self.failures);
        match now.checked_add(self.waited) {
            Some(at) => {
                self.circuit = Circuit::Open(at);
                Verdict::Again(at)
            }
            None => Verdict::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(60);

    fn breaker(when: When, give_up: u32, now: Instant) -> Breaker {
        let rules = RestartRules {
            when,
            backoff: (MIN, MAX),
            give_up: NonZeroU32::new(give_up),
        };
        Breaker::new(rules, 7, now)
    }

    fn wait(verdict: Verdict, now: Instant) -> Duration {
        match verdict {
            Verdict::Again(at) => at - now,
            Verdict::Over => panic!("over"),
        }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_vary_within_a_fifth() {
        let mut now = Instant::now();
        let mut it = breaker(When::OnFailure, 0, now);
        for n in 0..40 {
            let waited = wait(it.on_end(false, false, now), now);
            let whole = MIN.saturating_mul(1 << n.min(20)).min(MAX);
            assert!(
                waited <= whole && waited >= (whole * 4 / 5).max(MIN),
                "{n}: {waited:?}"
            );
            assert_eq!(it.circuit(), Circuit::Open(now + waited));
            now += waited;
            it.on_start(now);
            assert_eq!(it.circuit(), Circuit::HalfOpen);
        }
        assert_eq!((it.failures(), it.restarts()), (40, 40));
    }

    #[test]
    fn only_progress_and_time_together_reset_the_wait() {
        let second = Duration::from_secs(1);
        for (progress, lives, failures) in [
            (false, 100 * second, 3),
            (true, Duration::ZERO, 3),
            (true, 100 * second, 1),
        ] {
            let mut now = Instant::now();
            let mut it = breaker(When::OnFailure, 0, now);
            for _ in 0..2 {
                now += wait(it.on_end(false, false, now), now);
                it.on_start(now);
            }
            now += lives;
            wait(it.on_end(false, progress, now), now);
            assert_eq!(it.failures(), failures, "{progress} {lives:?}");
        }
    }

    #[test]
    fn it_closes_while_the_program_lives() {
        let mut now = Instant::now();
        let mut it = breaker(When::OnFailure, 0, now);
        now += wait(it.on_end(false, false, now), now);
        it.on_start(now);
        it.look(false, now + MAX);
        assert_eq!(it.circuit(), Circuit::HalfOpen);
        it.look(true, now + MIN * 2);
        assert_eq!((it.circuit(), it.failures()), (Circuit::Closed, 0));
    }

    #[test]
    fn which_ends_are_ends() {
        let now = Instant::now();
        let end = |when, give_up, success, progress| {
            breaker(when, give_up, now).on_end(success, progress, now)
        };
        assert_eq!(end(When::OnFailure, 0, true, true), Verdict::Over);
        assert_eq!(end(When::Always, 0, true, true), Verdict::Again(now));
        assert!(
            wait(end(When::Always, 0, true, false), now) >= MIN,
            "no hurry without progress"
        );
        assert_eq!(end(When::OnFailure, 1, false, true), Verdict::Over);
        assert!(wait(end(When::OnFailure, 2, false, true), now) >= MIN);
    }
}
