//! What a thread sleeps on until somebody rings or its time has come, and, if it likes, until a
//! stream is ready.
//!
//! It goes to sleep at once. A channel's receiver first yields the processor a few times, in the
//! hope that something comes; on a busy machine each of these costs a turn of the scheduler, and a
//! cap its evenness.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::fd::Port;

/// One thread's bell: ringing it twice before it is heard is ringing it once.
#[derive(Debug, Default)]
pub struct Bell {
    state: Mutex<State>,
    changed: Condvar,
    /// For a sleeper that waits for a stream as well.
    pipe: Option<(PipeReader, PipeWriter)>,
}

#[derive(Debug, Default)]
struct State {
    rung: bool,
    /// The sleeper waits for a stream as well.
    beside_stream: bool,
}

impl Bell {
    /// A bell that is heard beside a stream, too.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn beside_stream() -> io::Result<Bell> {
        Ok(Bell {
            pipe: Some(io::pipe()?),
            ..Bell::default()
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever sleeps, or keeps the next from falling asleep.
    pub fn ring(&self) {
        let mut state = self.state();
        let was_rung = std::mem::replace(&mut state.rung, true);
        if let Some((_, writer)) = &self.pipe
            && state.beside_stream
            && !was_rung
        {
            // There is one byte at most in the pipe, so that this never waits.
            let _ = { writer }.write_all(b"!");
        }
        self.changed.notify_one();
    }

    /// Sleeps until it rings, or until the instant has come.
    pub fn wait(&self, until: Option<Instant>) {
        let mut state = self.state();
        while !state.rung {
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
        state.rung = false;
    }

    /// The same, or until there is room in `output`: says whether there is.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub fn wait_writable(&self, output: &Port, until: Option<Instant>) -> rustix::io::Result<bool> {
        let Some((reader, _)) = &self.pipe else {
            return output.wait_writable(until);
        };
        {
            let mut state = self.state();
            if std::mem::take(&mut state.rung) {
                return Ok(false);
            }
            state.beside_stream = true;
        }
        let ready = output.wait_writable_or(reader, until);
        let mut state = self.state();
        state.beside_stream = false;
        if std::mem::take(&mut state.rung) {
            let _ = { reader }.read(&mut [0]);
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
