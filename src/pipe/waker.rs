//! What a thread sleeps on until the decision to sleep is no longer in force or its time has come, and,
//! if it likes, until a stream is ready: an eventcount.
//!
//! A sleeper says on which version of its decision it sleeps. Who moves the version wakes it, also when that
//! comes before it has fallen asleep: so no wake-up is lost, whatever comes between deciding and sleeping.
//!
//! It goes to sleep at once. A channel's receiver first yields the processor a few times, in the
//! hope that something comes; on a busy machine each of these costs a turn of the scheduler, and a
//! cap its evenness.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::fd::Port;
use super::notifier::Notifier;

/// One thread's waker.
#[derive(Debug, Default)]
pub(super) struct Waker {
    state: Mutex<State>,
    changed: Condvar,
    /// For a sleeper that waits for a stream as well.
    notifier: Option<Notifier>,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    /// The sleeper waits for a stream as well, and has not been called yet.
    beside_stream: bool,
}

impl Waker {
    /// A waker that is heard beside a stream, too.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub(super) fn beside_stream() -> io::Result<Waker> {
        Ok(Waker {
            notifier: Some(Notifier::new()?),
            ..Waker::default()
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the version, and wakes whoever sleeps on an older one.
    pub(super) fn wake(&self, version: u64) {
        let mut state = self.state();
        state.version = state.version.max(version);
        if let Some(notifier) = &self.notifier
            && std::mem::take(&mut state.beside_stream)
        {
            notifier.notify();
        }
        // Whoever is woken takes the lock first of all: to find it held would put it to sleep again.
        drop(state);
        self.changed.notify_one();
    }

    /// Sleeps until the version has moved on from this one, or until the instant has come.
    pub(super) fn wait(&self, version: u64, until: Option<Instant>) {
        let mut state = self.state();
        while state.version == version {
            state = match until.map(|at| at.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => return,
                Some(left) => {
                    let slept = self.changed.wait_timeout(state, left);
                    slept.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let slept = self.changed.wait(state);
                    slept.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// The same, or until there is room in `output`: says whether there is.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub(super) fn wait_writable(
        &self,
        version: u64,
        output: &Port,
        until: Option<Instant>,
    ) -> rustix::io::Result<bool> {
        let Some(notifier) = &self.notifier else {
            return output.wait_writable(until);
        };
        self.beside(version, || output.wait_writable_or(notifier, until))
    }

    /// The same, or until whoever reads `output` has gone away: says whether that is so.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub(super) fn wait_hang_up(&self, version: u64, output: &Port) -> rustix::io::Result<bool> {
        let Some(notifier) = &self.notifier else {
            self.wait(version, None);
            return Ok(false);
        };
        self.beside(version, || output.wait_hang_up_or(notifier))
    }

    /// Sleeps by this call, which ends when that is notified.
    fn beside(
        &self,
        version: u64,
        sleep: impl FnOnce() -> rustix::io::Result<bool>,
    ) -> rustix::io::Result<bool> {
        {
            let mut state = self.state();
            if state.version != version {
                return Ok(false);
            }
            state.beside_stream = true;
        }
        let ready = sleep();
        if !std::mem::take(&mut self.state().beside_stream)
            && let Some(notifier) = &self.notifier
        {
            notifier.clear();
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn a_version_that_has_moved_on_before_the_sleep_ends_it() {
        let waker = Waker::default();
        waker.wake(1);
        waker.wait(0, None);
        let at = Instant::now() + Duration::from_millis(20);
        waker.wait(1, Some(at));
        assert!(Instant::now() >= at, "that was the version");
    }

    #[test]
    fn beside_a_stream_too_and_what_it_was_called_by_is_gone_after() {
        let waker = Waker::beside_stream().expect("a pipe");
        let (_reader, writer) = io::pipe().expect("a pipe");
        let mut output = Port::of(writer.into());
        while output.write_now(&[&[0; 4096]]).expect("a pipe").is_some() {}
        thread::scope(|scope| {
            for version in 0..100 {
                scope.spawn({
                    let waker = &waker;
                    move || waker.wake(version + 1)
                });
                let far = Instant::now() + Duration::from_secs(60);
                let room = waker.wait_writable(version, &output, Some(far));
                assert_eq!(room, Ok(false));
            }
        });
        let at = Instant::now() + Duration::from_millis(20);
        assert_eq!(waker.wait_writable(100, &output, Some(at)), Ok(false));
        assert!(Instant::now() >= at, "nobody had called");
    }

    #[test]
    fn it_wakes_whoever_sleeps() {
        let (mine, theirs) = (Waker::default(), Waker::default());
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..10_000 {
                    mine.wait(n, None);
                    theirs.wake(n + 1);
                }
            });
            for n in 0..10_000 {
                mine.wake(n + 1);
                theirs.wait(n, Some(Instant::now() + Duration::from_secs(60)));
            }
        });
    }
}
