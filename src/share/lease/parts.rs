//! A part of a cap: its rate and its burst.

use std::num::NonZeroU64;

use crate::engine::limiter::Burst;
use crate::units::{Rate, Unit};

/// All parts of a cap.
pub(crate) const ALL: u64 = 1 << 40;

/// The rate of no part: what has been earned is kept, and nothing is earned. One unit in a hundred years.
pub(super) fn standstill(unit: Unit) -> Rate {
    const PER: NonZeroU64 = NonZeroU64::new(1 << 62).expect("not zero");
    Rate::new(NonZeroU64::MIN, PER, unit)
}

/// So many parts of a rate, as exactly as 64 bits allow; `None`: nothing.
pub(super) fn part(rate: Rate, parts: u64) -> Option<Rate> {
    let (amount, per) = (
        u128::from(rate.amount().get()),
        u128::from(rate.per_nanos().get()),
    );
    if parts == 0 {
        return None;
    }
    // amount·parts in per·ALL, with both made small enough for their words.
    let (mut amount, mut per) = (amount * u128::from(parts), per * u128::from(ALL));
    let excess = (128 - (amount | per).leading_zeros()).saturating_sub(64);
    amount >>= excess;
    per >>= excess;
    let word = |n: u128| u64::try_from(n).ok().and_then(NonZeroU64::new);
    // What is so slow that nothing is left of it passes nothing.
    Some(Rate::new(word(amount)?, word(per.max(1))?, rate.unit()))
}

/// This share of a burst.
pub(super) fn share(burst: Burst, parts: u64) -> Burst {
    match burst {
        // The same time of a smaller rate.
        Burst::Worth(time) => Burst::Worth(time),
        Burst::Units(n) => {
            Burst::Units((u128::from(n) * u128::from(parts) / u128::from(ALL)) as u64)
        }
    }
}
