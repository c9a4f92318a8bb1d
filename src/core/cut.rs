//! May bytes pass around the ring: the zero-copy path, and how long it lingers.
//!
//! While the ring is empty the source thread moves bytes straight from the input to the output.
//! When the output has no room it lingers for a while, because the two kernel pipes are buffer
//! enough for a consumer that only blinked; then the ring takes over until it has run empty again.
//!
//! What counts is the time that the output has kept the producer waiting, less the time that the
//! producer has kept us waiting since, for only the difference could a buffer have made good; and
//! less the time it would have taken to copy what has passed meanwhile, for that is the price. So
//! a consumer a little slower than the producer gets the ring at everyday rates, and at gigabytes
//! per second, where copying would be the bottleneck, it does not. A lingering that was in vain
//! makes the next one short, so that a consumer that stops again and again costs the producer
//! little.
//!
//! Invariant: the path is open only while nothing is held in the ring, so order is kept; and the
//! producer is not kept waiting for longer than [`LINGER`], on that balance, while the ring has room
//! for its data.

use std::time::{Duration, Instant};

/// How long the producer may be held up before the ring takes over.
pub const LINGER: Duration = Duration::from_millis(4);
/// How long it may be right after a lingering in vain.
const LINGER_LEAST: Duration = Duration::from_micros(250);
/// The share of time, as a divisor, by which patience grows back.
const RECOVERY: u32 = 128;
/// Time that it costs to copy a KiB in and out of the ring: a second per GiB, with the two threads'
/// awakenings on a busy machine.
const COPYING: Duration = Duration::from_micros(1);
/// When no more than this is left in the ring it is worth waiting for the rest to go.
const REJOIN: usize = 128 * 1024;

/// State of the zero-copy path.
#[derive(Debug)]
pub struct Cut {
    usable: bool,
    open: bool,
    /// Time that the producer was held up and has not given back by being silent.
    held: Duration,
    /// Since when it is held up now.
    since: Option<Instant>,
    /// When lingering was last in vain.
    failed_at: Option<Instant>,
}

impl Cut {
    /// A path that is open if it is `usable` at all.
    #[must_use]
    pub fn new(usable: bool) -> Cut {
        Cut {
            usable,
            open: true,
            held: Duration::ZERO,
            since: None,
            failed_at: None,
        }
    }

    /// Whether bytes may bypass the ring now, given that the ring is empty.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.usable && self.open
    }

    /// The system refused: never again.
    pub fn on_refused(&mut self) {
        self.usable = false;
    }

    /// `n` bytes have passed around the ring: there was room.
    pub fn on_passed(&mut self, n: usize, now: Instant) {
        self.on_room(now);
        self.held = self
            .held
            .saturating_sub(COPYING * u32::try_from(n / 1024).unwrap_or(u32::MAX));
    }

    /// Bytes came from the producer, after it had kept us waiting for `waited`.
    pub fn on_input(&mut self, waited: Duration) {
        self.held = self.held.saturating_sub(waited);
    }

    /// The producer is no longer held up.
    pub fn on_room(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.held += now.saturating_duration_since(since);
        }
    }

    /// The output has no room for what is waiting: the instant until which to linger, or `None`
    /// when the ring takes over.
    pub fn on_output_full(&mut self, now: Instant) -> Option<Instant> {
        let since = *self.since.get_or_insert(now);
        let until = since + self.limit(since).saturating_sub(self.held);
        if now < until {
            return Some(until);
        }
        self.on_room(now);
        self.failed_at = Some(now);
        self.open = false;
        None
    }

    /// The ring holds `used` bytes: the instant until which the source should wait for them to
    /// go, rather than add to them, so that bytes can bypass the ring again.
    pub fn rejoin(&mut self, used: usize, now: Instant) -> Option<Instant> {
        if !self.usable || used == 0 || used > REJOIN {
            self.on_room(now);
            return None;
        }
        self.on_output_full(now)
    }

    /// The ring has run empty: the path opens again.
    pub fn on_ring_empty(&mut self, now: Instant) {
        self.on_room(now);
        self.open = true;
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
