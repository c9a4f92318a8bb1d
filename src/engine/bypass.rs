//! May bytes pass around the log: the zero-copy path, and how long it lingers.
//!
//! While the log is empty the source thread moves bytes straight from the input to the output.
//! When the output has no room it lingers for a while, because the two kernel pipes are buffer
//! enough for a consumer that only blinked; then the log takes over until it has run empty again.
//!
//! What counts is the time that the output has kept the producer waiting, less the time that the
//! producer has kept us waiting since, for only the difference could a buffer have made good; and
//! less the time it would have taken to copy what has passed meanwhile, for that is the price. So
//! a consumer a little slower than the producer gets the log at everyday rates, and at gigabytes
//! per second, where copying would be the slowest part, it does not. A fast flow earns some credit, so
//! that one long wait does not end it. A lingering that was in vain makes the next one short, so
//! that a consumer that stops again and again costs the producer little.
//!
//! The log can be in vain, too: when it stays full at a rate at which copying is the slowest part, and
//! the producer is never silent, it only costs. It is good for as long a silence as it takes to run
//! empty; when there has been none for several times as long, it is left to run empty on purpose.
//!
//! Invariant: the path is open only while nothing is held in the log, so order is kept. While the log
//! has room, the producer is kept waiting for no longer than [`LINGER`] and its credit, on that balance,
//! or twice the time that a log in vain should take to run empty.

use std::time::{Duration, Instant};

/// How long the producer may be held up before the log takes over, credit apart.
pub(crate) const LINGER: Duration = Duration::from_millis(4);
/// How long it may be right after a lingering in vain.
const LINGER_LEAST: Duration = Duration::from_micros(250);
/// The share of time, as a divisor, by which the lingering grows back.
const RECOVERY: u32 = 128;
/// Time that it costs to copy a KiB in and out of the log: a second per GiB, with the two threads'
/// awakenings on a busy machine.
const COPYING: Duration = Duration::from_micros(1);
/// When no more than this is left in the log it is worth waiting for the rest to go.
const REJOIN: usize = 128 * 1024;

/// How much credit there can be, in times of the lingering.
const CREDIT: u32 = 3;
/// How much of it there can be where no lingering was in vain lately.
const CREDIT_MOST: Duration = LINGER.saturating_mul(CREDIT);
/// The log was in vain when the producer was silent for a share of the time less than one in this
/// many,
const SILENCE: u32 = 64;
/// so many times what is held has gone out meanwhile,
const TURNS: usize = 8;
/// and that took this long at least,
const TRIAL: Duration = Duration::from_millis(50);
/// of which copying took no less than one in this many.
const BUSY: u32 = 2;

/// State of the zero-copy path.
#[derive(Debug)]
pub(crate) struct Bypass {
    usable: bool,
    /// Others are to see what passes.
    suspended: bool,
    open: bool,
    /// Time that the producer was held up and has not given back by being silent.
    held: Duration,
    /// Time that it may be held up beyond its lingering.
    credit: Duration,
    /// Since when it is held up now.
    since: Option<Instant>,
    /// When lingering was last in vain.
    failed_at: Option<Instant>,
    /// What the log has been good for.
    trial: Option<Trial>,
}

/// What happened while the log was in use, since it last was of use.
#[derive(Debug, Clone, Copy)]
struct Trial {
    since: Instant,
    /// How long the producer was silent.
    silent: Duration,
    /// What has gone out.
    written: usize,
    /// When to give up waiting for the log to run empty.
    until: Option<Instant>,
}

impl Trial {
    fn new(now: Instant) -> Trial {
        Trial {
            since: now,
            silent: Duration::ZERO,
            written: 0,
            until: None,
        }
    }

    /// Whether `used` bytes should rather not be held: until when at most to wait for them to go.
    fn is_in_vain(&mut self, used: usize, now: Instant) -> Option<Instant> {
        if self.until.is_some_and(|until| now < until) {
            return self.until;
        }
        let time = now.saturating_duration_since(self.since);
        if self.until.is_some() || self.silent * SILENCE > time {
            *self = Trial::new(now);
        } else if time >= TRIAL
            && self.written / TURNS >= used
            && copying(self.written) * BUSY >= time
        {
            // In twice the time that it should take.
            let share = used as f64 / self.written as f64;
            self.until = Some(now + LINGER + time.mul_f64(2.0 * share));
        }
        self.until
    }
}

/// What it costs to copy so many bytes.
fn copying(bytes: usize) -> Duration {
    COPYING * u32::try_from(bytes / 1024).unwrap_or(u32::MAX)
}

impl Bypass {
    /// A path that is open if it is `usable` at all.
    #[must_use]
    pub(crate) fn new(usable: bool) -> Bypass {
        Bypass {
            usable,
            suspended: false,
            open: true,
            held: Duration::ZERO,
            credit: Duration::ZERO,
            since: None,
            failed_at: None,
            trial: None,
        }
    }

    fn is_usable(&self) -> bool {
        self.usable && !self.suspended
    }

    /// Others are to see what passes, too, or no longer: until then nothing may bypass the log.
    pub(crate) fn suspend(&mut self, is_so: bool) {
        self.suspended = is_so;
    }

    /// Whether bytes may bypass the log now, given that nothing is held.
    #[must_use]
    #[inline]
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.is_usable() && self.open && self.until().is_none_or(|until| now < until)
    }

    /// The system refused: never again.
    pub(crate) fn on_refused(&mut self) {
        self.usable = false;
    }

    /// `n` bytes have passed around the log: there was room.
    pub(crate) fn on_passed(&mut self, n: usize, now: Instant) {
        self.on_room(now);
        if self.held.is_zero() && self.failed_at.is_none() && self.credit == CREDIT_MOST {
            // There is nothing to make good, and no more to be earned.
            return;
        }
        let saved = copying(n);
        let earned = self.credit + saved.saturating_sub(self.held);
        self.held = self.held.saturating_sub(saved);
        self.credit = earned.min(self.limit(now) * CREDIT);
    }

    /// Bytes came from the producer, after it had kept us waiting for `waited`.
    pub(crate) fn on_input(&mut self, waited: Duration) {
        self.held = self.held.saturating_sub(waited);
        if let Some(trial) = &mut self.trial {
            trial.silent += waited;
        }
    }

    /// `n` bytes went out of the log.
    pub(crate) fn on_written(&mut self, n: usize) {
        if let Some(trial) = &mut self.trial {
            trial.written += n;
        }
    }

    /// The producer is no longer held up.
    pub(crate) fn on_room(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.held += now.saturating_duration_since(since);
        }
    }

    /// The output has no room for what is waiting: the producer is held up.
    pub(crate) fn on_full(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Whether the producer is held up.
    #[inline]
    pub(crate) fn is_held_up(&self) -> bool {
        self.since.is_some()
    }

    /// While the producer is held up: until when to linger before the log takes over.
    #[inline]
    #[must_use]
    pub(crate) fn until(&self) -> Option<Instant> {
        self.since.map(|since| self.lingers_from(since))
    }

    #[inline(never)]
    fn lingers_from(&self, since: Instant) -> Instant {
        since + (self.limit(since) + self.credit).saturating_sub(self.held)
    }

    /// Lingering that has lasted too long is over: the log takes over.
    pub(crate) fn age(&mut self, now: Instant) {
        if self.until().is_some_and(|until| now >= until) {
            self.on_room(now);
            self.credit = Duration::ZERO;
            self.failed_at = Some(now);
            self.open = false;
            self.trial.get_or_insert(Trial::new(now));
        }
    }

    /// The source looks whether to add to the `used` bytes that are held, or to wait for them to go so that
    /// bytes can bypass the log again; the answer is [`Bypass::rejoins`]'s.
    pub(crate) fn look(&mut self, used: usize, now: Instant) {
        let is_vain = self.is_usable() && used > 0 && {
            let trial = self.trial.as_mut();
            trial.is_some_and(|trial| trial.is_in_vain(used, now).is_some())
        };
        if is_vain {
            return;
        }
        if self.is_usable() && used > 0 && used <= REJOIN {
            self.on_full(now);
        } else {
            self.on_room(now);
        }
    }

    /// Until when the source should wait for the `used` bytes that are held to go.
    #[must_use]
    pub(crate) fn rejoins(&self, used: usize, now: Instant) -> Option<Instant> {
        if !self.is_usable() || used == 0 {
            return None;
        }
        let vain = self.trial.as_ref().and_then(|trial| trial.until);
        let close = self.until().filter(|_| used <= REJOIN);
        vain.or(close).filter(|until| now < *until)
    }

    /// The log has run empty: the path opens again.
    pub(crate) fn on_empty(&mut self, now: Instant) {
        self.on_room(now);
        self.open = true;
        if self.trial.take().is_some_and(|trial| trial.until.is_some()) {
            // So it lingered too short a time, not too long a one.
            self.failed_at = None;
            self.held = Duration::ZERO;
        }
    }

    fn limit(&self, now: Instant) -> Duration {
        match self.failed_at {
            None => LINGER,
            Some(at) => {
                let grown = now.saturating_duration_since(at) / RECOVERY;
                (LINGER_LEAST + grown).min(LINGER)
            }
        }
    }
}
