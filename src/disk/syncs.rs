//! One sync at a time, and none for what another one has covered.
//!
//! Invariant: what somebody had changed when they asked is covered by the sync that they wait for, which begins after that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The syncs of a spool.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    /// How often one has been asked for.
    asked: AtomicU64,
    /// Of these, up to which one they have been answered. Whoever makes a sync holds it.
    answered: Mutex<u64>,
}

impl Syncs {
    /// Makes a sync when nobody else does, unless one has worked that began after this was asked for: then there is nothing
    /// left to be done or said. One that fails answers nobody but whoever made it.
    pub(super) fn one<T: Default, E>(&self, sync: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mine = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut answered = (self.answered.lock()).unwrap_or_else(PoisonError::into_inner);
        if *answered >= mine {
            return Ok(T::default());
        }
        let asked = self.asked.load(Ordering::Acquire);
        let outcome = sync();
        if outcome.is_ok() {
            *answered = asked;
        }
        outcome
    }

    /// Forces a part to the disk while nobody makes a sync: what two of them say of the same file is mixed up. Answers nobody.
    pub(super) fn beside<T>(&self, part: impl FnOnce() -> T) -> T {
        let _one = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        part()
    }
}

#[cfg(test)]
mod tests {
    use super::Syncs;
    use std::convert::Infallible;

    #[test]
    fn what_one_has_covered_is_not_done_again_and_what_fails_is() {
        let syncs = Syncs::default();
        let asks_meanwhile = || -> Result<u8, Infallible> {
            // Two more wait for this one, which had begun before they asked.
            syncs.asked.fetch_add(2, super::Ordering::AcqRel);
            Ok(1)
        };
        assert_eq!(syncs.one(asks_meanwhile), Ok(1));
        assert_eq!(*syncs.answered.lock().unwrap(), 1);
        assert_eq!(syncs.one(|| Err::<u8, _>("full")), Err("full"));
        assert_eq!(*syncs.answered.lock().unwrap(), 1);
        assert_eq!(syncs.one(|| Ok::<u8, ()>(2)), Ok(2));
        assert_eq!(*syncs.answered.lock().unwrap(), 5);
        *syncs.answered.lock().unwrap() = 6;
        let never = || -> Result<u8, Infallible> { unreachable!("the last one has covered this") };
        assert_eq!(syncs.one(never), Ok(0));
    }
}
