//! What all who share a cap go by.

#[cfg(any(target_os = "linux", target_os = "macos"))]
use std::num::NonZeroU64;

use crate::engine::limiter::Burst;
use crate::units::Rate;

/// What all members go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The total.
    pub(crate) rate: Rate,
    /// What all together may pass at once after a pause.
    pub(crate) burst: Burst,
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
impl Rules {
    /// An n-th of the cap.
    pub(super) fn nth(self, n: NonZeroU64) -> Rules {
        let (amount, per) = (self.rate.amount(), self.rate.per_nanos());
        Rules {
            rate: Rate::new(amount, per.saturating_mul(n), self.rate.unit()),
            burst: match self.burst {
                Burst::Units(units) => Burst::Units(units / n),
                // The same time of a smaller rate.
                Burst::Worth(time) => Burst::Worth(time),
            },
        }
    }
}

/// What a member does that cannot share, if so many did.
pub(super) fn until_then(members: u64) -> String {
    match members {
        0 | 1 => "going on alone".to_owned(),
        2 => "passing half of the cap until it is back".to_owned(),
        n => format!("passing 1/{n} of the cap until it is back"),
    }
}
