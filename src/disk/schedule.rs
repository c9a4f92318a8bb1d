//! When a spool is forced to the disk: the rule, pure, the sleep until it says so, and the wait of those who are to know that
//! it has been.
//!
//! Nothing is asked of the system while nothing has changed. Invariant: nobody who waits here waits for the disk when the run
//! is over, or nothing is forced any more.

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

/// Who forces to the disk what has just changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Whoever does so when it is due, or when the spool is closed: nobody waits for it.
    Time,
    /// The syncing thread, now. It has answered when it answers this number.
    Thread(u64),
    /// Nobody else: there is no such thread.
    Oneself,
}

/// What the syncing thread and those who wait for it tell each other.
#[derive(Debug)]
struct Waiting {
    schedule: Schedule,
    /// There is such a thread.
    is_served: bool,
    is_stopped: bool,
    /// How often it was asked to force something at once, and up to which time it has answered.
    asked: u64,
    answered: u64,
}

/// Tells the syncing thread what is due; sleeps with it in between, and with those who wait for it.
#[derive(Debug)]
pub(crate) struct Wakeup {
    policy: Policy,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    answered: Condvar,
    /// The run is over: what is left to be forced is when the spool is closed.
    ends: AtomicBool,
    /// Nothing is forced any more.
    in_hurry: AtomicBool,
}

impl Wakeup {
    pub(crate) fn new(policy: Policy) -> Wakeup {
        Wakeup {
            policy,
            waiting: Mutex::new(Waiting {
                schedule: Schedule::new(policy),
                is_served: false,
                is_stopped: false,
                asked: 0,
                answered: 0,
            }),
            changed: Condvar::new(),
            answered: Condvar::new(),
            ends: AtomicBool::new(false),
            in_hurry: AtomicBool::new(false),
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has changed. Who forces it to the disk.
    pub(crate) fn changed(&self) -> By {
        let mut waiting = self.waiting();
        if self.policy != Policy::Always || self.is_ending() {
            drop(waiting);
            self.note_due();
            return By::Time;
        }
        if !waiting.is_served {
            return By::Oneself;
        }
        waiting.asked += 1;
        let number = waiting.asked;
        drop(waiting);
        self.changed.notify_all();
        By::Thread(number)
    }

    /// Something is to be forced to the disk when it is time, whether it has just changed or that has failed.
    pub(crate) fn note_due(&self) {
        let is_first = self.waiting().schedule.changed(Instant::now);
        if is_first {
            self.changed.notify_all();
        }
    }

    /// Waits until the syncing thread has answered this, or the run is over: then it is forced when the spool is closed.
    pub(crate) fn await_answer(&self, number: u64) {
        let is_open = |waiting: &mut Waiting| {
            waiting.answered < number
                && waiting.is_served
                && !waiting.is_stopped
                && !self.is_ending()
        };
        drop(self.answered.wait_while(self.waiting(), is_open));
    }

    /// The syncing thread has done what it can about what had been asked up to this number.
    pub(crate) fn answer(&self, number: u64) {
        self.waiting().answered = number;
        self.answered.notify_all();
    }

    /// From now on there is a syncing thread.
    pub(crate) fn serve(&self) {
        self.waiting().is_served = true;
    }

    /// Nothing more will come.
    pub(crate) fn stop(&self) {
        let mut waiting = self.waiting();
        (waiting.is_served, waiting.is_stopped) = (false, true);
        drop(waiting);
        self.changed.notify_all();
        self.answered.notify_all();
    }

    /// The run is over, and what changes from now on is forced when the spool is closed: nobody waits for it any more.
    pub(crate) fn ends(&self) {
        let waiting = self.waiting();
        self.ends.store(true, Ordering::Release);
        drop(waiting);
        self.answered.notify_all();
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ends.load(Ordering::Acquire)
    }

    /// There is no more time: nothing is forced any more, and nothing waited for.
    pub(crate) fn hurry(&self) {
        let mut waiting = self.waiting();
        self.in_hurry.store(true, Ordering::Release);
        waiting.is_stopped = true;
        drop(waiting);
        self.changed.notify_all();
        self.answered.notify_all();
    }

    pub(crate) fn is_in_hurry(&self) -> bool {
        self.in_hurry.load(Ordering::Acquire)
    }

    /// Waits for so long; whether there is still time then.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let waiting = self.waiting();
        let has_time = |_: &mut Waiting| !self.is_in_hurry();
        let _ = self.changed.wait_timeout_while(waiting, time, has_time);
        !self.is_in_hurry()
    }

    /// Sleeps until a sync is due: what it covers has been asked for up to the number that it is to answer. `None` when there
    /// will be none.
    pub(crate) fn wait(&self) -> Option<u64> {
        let mut waiting = self.waiting();
        loop {
            if waiting.is_stopped {
                return None;
            }
            if waiting.asked > waiting.answered && !self.is_ending() {
                return Some(waiting.asked);
            }
            waiting = match waiting.schedule.due() {
                None => self
                    .changed
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let left = due.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        waiting.schedule.begun();
                        return Some(waiting.asked);
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
