//! For how long what a consumer was given has lain unread in its pipe: of one alone from which it is taken back, and of
//! each of several.
//!
//! Invariant: nobody is accused who has read anything meanwhile, nor for time in which it was we who stood still.

use std::time::{Duration, Instant};

/// How often it is looked at in the time that what lies in its pipe may lie there.
const LOOKS: u32 = 8;
/// A look that comes later than it should by more than this, and by more than there is between two, tells that it was
/// we who stood still.
const LATE: Duration = Duration::from_millis(500);
/// One that has read nothing for so long keeps others waiting; a shorter rest is no news.
const REST: Duration = Duration::from_millis(100);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Unread {
    bytes: u64,
    /// Since when they have not become less.
    since: Instant,
    looked_at: Instant,
    /// When that was last known, it had read nothing for long.
    is_stuck: bool,
}

impl Unread {
    /// A pipe that is empty.
    pub(super) fn new(now: Instant) -> Unread {
        Unread {
            bytes: 0,
            since: now,
            looked_at: now,
            is_stuck: false,
        }
    }

    /// Bytes, when it was last known.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Since when they have not become less.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// When it was last known.
    pub(super) fn looked_at(&self) -> Instant {
        self.looked_at
    }

    /// Whether it keeps others waiting, as far as is known.
    pub(super) fn is_stuck(&self) -> bool {
        self.is_stuck
    }

    /// So much more was put there.
    pub(super) fn on_given(&mut self, bytes: u64, now: Instant) {
        if self.bytes == 0 {
            self.since = now;
        }
        self.bytes += bytes;
    }

    /// So much lies there now.
    pub(super) fn on_known(&mut self, bytes: u64, now: Instant) {
        if bytes < self.bytes {
            self.since = now;
        }
        (self.bytes, self.looked_at) = (bytes, now);
        self.is_stuck = bytes > 0 && now.saturating_duration_since(self.since) >= REST;
    }

    /// It has as long again.
    pub(super) fn begin_anew(&mut self, now: Instant) {
        self.since = now;
    }

    /// When to look again whether it has stalled for so long.
    pub(super) fn due(&self, time: Duration) -> Option<Instant> {
        let end = self.since.checked_add(time)?;
        Some(end.min(self.looked_at.checked_add(time / LOOKS)?))
    }

    /// It was looked at, and before that then: for how long it has stalled, if that is so long. It has as long again
    /// then, to end where it is made to.
    pub(super) fn stalled(
        &mut self,
        before: Instant,
        time: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let step = time / LOOKS;
        let late = now.saturating_duration_since(before).saturating_sub(step);
        let stood_still = late > LATE.max(step);
        let lain = now.saturating_duration_since(self.since);
        if stood_still || lain >= time {
            self.since = now;
        }
        (lain >= time && !stood_still).then_some(lain)
    }
}
