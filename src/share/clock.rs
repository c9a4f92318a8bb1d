//! The clock that all processes of a host have in common, counted in ticks, of which a word holds 18 years beside something
//! else.

use std::time::{Duration, Instant};

/// The nanoseconds of a tick: with eight of them the word reaches for 18 years since the machine
/// started, beside the number of the rules that it was counted under.
pub(super) const TICK: u64 = 8;
/// The bits of the word that are ticks.
pub(super) const TICKS: u32 = 56;
pub(super) const LAST: u64 = (1 << TICKS) - 1;
/// The clock that all processes of a host have in common, as instants of this one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(super) instant: Instant,
    nanos: u64,
}

impl Clock {
    /// `nanos` is what the common clock shows at `instant`.
    pub(crate) fn new(instant: Instant, nanos: u64) -> Clock {
        Clock { instant, nanos }
    }

    pub(super) fn ticks(&self, now: Instant) -> u64 {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let since = nanos(now.saturating_duration_since(self.instant));
        let before = nanos(self.instant.saturating_duration_since(now));
        (self.nanos.saturating_add(since).saturating_sub(before) / TICK).min(LAST)
    }

    /// The first instant of a tick; where that is beyond all time, one that is far enough off.
    pub(super) fn instant_of(&self, ticks: u64) -> Instant {
        const FAR: Duration = Duration::from_secs(86_400 * 365);
        let nanos = ticks.saturating_mul(TICK);
        let after = Duration::from_nanos(nanos.saturating_sub(self.nanos));
        let before = Duration::from_nanos(self.nanos.saturating_sub(nanos));
        let at = self.instant.checked_add(after.min(FAR));
        at.and_then(|at| at.checked_sub(before))
            .unwrap_or(self.instant)
    }
}

/// A time, in ticks.
pub(super) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() / u128::from(TICK))
        .unwrap_or(LAST)
        .min(LAST)
}
