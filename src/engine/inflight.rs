//! How much may be under way to the consumer, where freshness rules.
//!
//! What has been written to the consumer's pipe can no longer be shed, so it should be little: what
//! the consumer takes in a moment, by its own recent speed. On a pipe of one page, room means that
//! the pipe is empty; so a slow consumer gets one record at a time, each as fresh as can be, and a
//! fast one gets a wider and wider window until throughput is what it would be without shedding.
//!
//! Invariant: the window widens only while the consumer makes room at once for as much as it
//! allows, and narrows to what the consumer takes in [`MOMENT`] when it makes us wait.

use std::time::{Duration, Instant};

/// What a slow consumer is given at a time, as its own time.
const MOMENT: Duration = Duration::from_millis(2);
/// A consumer that makes room within this keeps up.
const AT_ONCE: Duration = Duration::from_millis(1);
/// The widest window, in bytes: the kernel pipe that serves throughput best.
const WIDEST: usize = 256 * 1024;
/// The smallest pipe that the system has.
const PAGE: usize = 4096;

/// The window, in bytes.
#[derive(Debug)]
pub(crate) struct InFlightWindow {
    bytes: usize,
    /// Since when we wait for room.
    asked: Option<Instant>,
    /// What was given last was all the window allowed, and there was more.
    filled: bool,
}

impl Default for InFlightWindow {
    fn default() -> InFlightWindow {
        InFlightWindow {
            bytes: 1,
            asked: None,
            filled: false,
        }
    }
}

impl InFlightWindow {
    /// Bytes that may be given at a time; one record may be longer.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The pipe that fits the window, in bytes.
    #[must_use]
    pub(crate) fn pipe(&self) -> usize {
        self.bytes.next_power_of_two().max(PAGE)
    }

    /// We begin to wait for room, unless we did already.
    pub(crate) fn on_wait(&mut self, now: Instant) {
        self.asked.get_or_insert(now);
    }

    /// We do not wait for room any more, though there was none.
    pub(crate) fn forget_wait(&mut self) {
        self.asked = None;
    }

    /// There is room.
    pub(crate) fn on_room(&mut self, now: Instant) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        let waited = now.saturating_duration_since(asked);
        if waited > 2 * MOMENT {
            let share = MOMENT.as_secs_f64() / waited.as_secs_f64();
            self.bytes = ((self.bytes as f64 * share) as usize).max(1);
        } else if waited < AT_ONCE && self.filled {
            self.bytes = (self.bytes * 2).min(WIDEST);
        }
    }

    /// `n` bytes are given; `more` says whether others wait behind them.
    pub(crate) fn on_given(&mut self, n: usize, more: bool) {
        self.filled = more && n * 2 >= self.bytes;
    }
}
