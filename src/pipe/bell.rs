//! What a thread sleeps on until somebody rings or its time has come.
//!
//! It goes to sleep at once. A channel's receiver first yields the processor a few times, in the
//! hope that something comes; on a busy machine each of these costs a turn of the scheduler, and a
//! cap its evenness.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// One thread's bell: ringing it twice before it is heard is ringing it once.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// Wakes whoever sleeps, or keeps the next from falling asleep.
    pub fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Sleeps until it rings, or until the instant has come.
    pub fn wait(&self, until: Option<Instant>) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            rung = match until.map(|at| at.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => return,
                Some(left) => {
                    let slept = self.changed.wait_timeout(rung, left);
                    slept.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let slept = self.changed.wait(rung);
                    slept.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
        *rung = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn rung_twice_it_is_heard_once() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        bell.wait(None);
        let at = Instant::now() + Duration::from_millis(20);
        bell.wait(Some(at));
        assert!(Instant::now() >= at, "it had been heard");
    }

    #[test]
    fn it_wakes_whoever_sleeps() {
        let (mine, theirs) = (Bell::default(), Bell::default());
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    mine.wait(None);
                    theirs.ring();
                }
            });
            for _ in 0..10_000 {
                mine.ring();
                theirs.wait(Some(Instant::now() + Duration::from_secs(60)));
            }
        });
    }
}
