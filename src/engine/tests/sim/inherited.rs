//! What a run has been left by the one before it: who is owed what of it.

use crate::engine::OVERFLOW;
use crate::engine::disk::{Inherited, Owed};

/// Where what the consumer is owed begins, and how far that is inside of a record.
pub(super) fn first_of(left: &Inherited) -> (u64, u64) {
    let mut parts = left.parts.iter();
    let first = parts.find(|(_, owed)| !matches!(owed, Owed::Tee(_)));
    first.map_or((left.end, left.end_depth), |(it, _)| {
        (it.from, it.depths[0])
    })
}

/// The same for each tee and tap, of which there are so many.
pub(super) fn tees_of(left: &Inherited, count: usize) -> Vec<(u64, u64)> {
    let place = |k: usize| {
        let mut parts = left.parts.iter();
        let first = parts.find(|(_, owed)| *owed == Owed::Tee(k + OVERFLOW + 1));
        first.map_or((left.end, left.end_depth), |(it, _)| {
            (it.from, it.depths[0])
        })
    };
    (0..count).map(place).collect()
}

/// Before this place nobody is owed anything.
pub(super) fn lowest(left: &Inherited) -> u64 {
    let parts = left.parts.iter().map(|(it, _)| it.from);
    parts.min().unwrap_or(left.end)
}

/// Bytes that the consumer is owed.
pub(super) fn of_consumer(left: &Inherited) -> u64 {
    let is_its = |owed: &Owed| !matches!(owed, Owed::Tee(_) | Owed::Overflow);
    let its = left.parts.iter().filter(|(_, owed)| is_its(owed));
    its.map(|(it, _)| it.to - it.from).sum()
}

/// Bytes that the one is owed who is furthest behind.
pub(super) fn most_owed(left: &Inherited, sides: usize) -> usize {
    let tees = tees_of(left, sides).into_iter().map(|it| left.end - it.0);
    tees.chain([of_consumer(left)]).max().unwrap_or(0) as usize
}
