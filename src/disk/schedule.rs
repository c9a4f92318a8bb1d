//! When a spool is forced to the disk: the rule, pure, and the sleep until it says so.
//!
//! Nothing is asked of the system while nothing has changed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How soon what has changed is forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Within that time.
    Within(Duration),
    /// Before anybody is told that it has been taken.
    Always,
    /// When the system likes.
    Off,
}

/// When the next sync is due. Pure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    policy: Policy,
    /// When the oldest change came that no sync has begun to cover.
    since: Option<Instant>,
}

impl Schedule {
    pub(crate) fn new(policy: Policy) -> Schedule {
        Schedule {
            policy,
            since: None,
        }
    }

    /// Something has changed; whether that gives a sync a time that had none.
    pub(crate) fn changed(&mut self, now: impl FnOnce() -> Instant) -> bool {
        if self.since.is_some() || !matches!(self.policy, Policy::Within(_)) {
            return false;
        }
        self.since = Some(now());
        true
    }

    /// When the next sync has to begin, if ever.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.policy {
            Policy::Within(period) => self.since.and_then(|since| since.checked_add(period)),
            Policy::Always | Policy::Off => None,
        }
    }

    /// A sync begins: it covers what has changed until now.
    pub(crate) fn begun(&mut self) {
        self.since = None;
    }
}

/// Tells the syncing thread what is due; sleeps with it in between.
#[derive(Debug)]
pub(crate) struct Wakeup {
    policy: Policy,
    waiting: Mutex<(Schedule, bool)>,
    changed: Condvar,
    /// The run is over: what is left to be forced is when the spool is closed.
    ends: AtomicBool,
    /// Nothing is forced any more.
    in_hurry: AtomicBool,
}

impl Wakeup {
    pub(crate) fn new(policy: Policy) -> Wakeup {
        Wakeup {
            policy,
            waiting: Mutex::new((Schedule::new(policy), false)),
            changed: Condvar::new(),
            ends: AtomicBool::new(false),
            in_hurry: AtomicBool::new(false),
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    fn waiting(&self) -> MutexGuard<'_, (Schedule, bool)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has changed.
    pub(crate) fn changed(&self) {
        if self.waiting().0.changed(Instant::now) {
            self.changed.notify_all();
        }
    }

    /// Nothing more will come.
    pub(crate) fn stop(&self) {
        self.waiting().1 = true;
        self.changed.notify_all();
    }

    /// The run is over, and what changes from now on is forced when the spool is closed.
    pub(crate) fn ends(&self) {
        self.ends.store(true, Ordering::Release);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ends.load(Ordering::Acquire)
    }

    /// There is no more time: nothing is forced any more, and nothing waited for.
    pub(crate) fn hurry(&self) {
        let mut waiting = self.waiting();
        self.in_hurry.store(true, Ordering::Release);
        waiting.1 = true;
        drop(waiting);
        self.changed.notify_all();
    }

    pub(crate) fn is_in_hurry(&self) -> bool {
        self.in_hurry.load(Ordering::Acquire)
    }

    /// Waits for so long; whether there is still time then.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let waiting = self.waiting();
        let has_time = |_: &mut (Schedule, bool)| !self.is_in_hurry();
        let _ = self.changed.wait_timeout_while(waiting, time, has_time);
        !self.is_in_hurry()
    }

    /// Sleeps until a sync is due; `false` when there will be none.
    pub(crate) fn wait(&self) -> bool {
        let mut waiting = self.waiting();
        loop {
            if waiting.1 {
                return false;
            }
            waiting = match waiting.0.due() {
                None => self
                    .changed
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let left = due.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        waiting.0.begun();
                        return true;
                    }
                    self.changed
                        .wait_timeout(waiting, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            }
        }
    }
}
