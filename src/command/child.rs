//! A program that runs, and how it ends.
//!
//! Invariant: it is signalled only while it has not been waited for: until then its number is its own.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, bounded};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::process::{self, WaitId, WaitIdOptions, WaitOptions};

use super::adopted;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, with this status.
    Status(u8),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// As a shell tells it.
    #[must_use]
    pub(crate) fn status(self) -> u8 {
        match self {
            Exit::Status(status) => status,
            Exit::Signal(n) => u8::try_from(128 + n).unwrap_or(u8::MAX),
        }
    }

    /// Whether a program that is sent a signal ends so: by that, or by saying that another one did.
    #[must_use]
    pub(crate) fn is_by_signal(self) -> bool {
        self.status() > 128
    }

    /// Whether it has done what it was to do.
    #[must_use]
    pub(crate) fn is_success(self) -> bool {
        self == Exit::Status(0)
    }
}

/// A program that was started.
#[derive(Debug, Clone)]
pub(crate) struct Child {
    pid: Pid,
    state: Arc<Mutex<State>>,
}

/// What has become of it.
#[derive(Debug, Default)]
struct State {
    was_waited_for: bool,
    was_signalled: bool,
}

impl Child {
    /// This process, which is ours.
    pub(crate) fn new(pid: Pid) -> Child {
        Child {
            pid,
            state: Arc::default(),
        }
    }

    /// Whether this is the same one.
    pub(crate) fn is(&self, other: &Child) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// Sends it a signal, if it is still there.
    pub(crate) fn signal(&self, signal: i32) {
        let mut state = self.lock();
        if !state.was_waited_for
            && let Ok(signal) = Signal::try_from(signal)
        {
            // One that runs under another user's name cannot be signalled.
            state.was_signalled |= kill(self.pid, signal).is_ok();
        }
    }

    /// Whether weir has sent it a signal.
    pub(crate) fn was_signalled(&self) -> bool {
        self.lock().was_signalled
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is sent what the terminal sends to weir: that is for weir's process group. One such as `timeout`
    /// makes a group of its own.
    pub(crate) fn hears_terminal(&self) -> bool {
        let pid = process::Pid::from_raw(self.pid.as_raw());
        process::getpgid(pid).map_or(true, |group| group == process::getpgrp())
    }

    /// Passes on a signal that weir has got, unless the terminal has sent it to both.
    pub(crate) fn pass_on(&self, signal: i32, is_from_terminal: bool) {
        if !(is_from_terminal && self.hears_terminal()) {
            self.signal(signal);
        }
    }

    /// Waits until it ends. To be called once.
    #[must_use]
    pub(crate) fn wait(&self) -> Exit {
        let pid = process::Pid::from_raw(self.pid.as_raw());
        let Some(pid) = pid else {
            unreachable!("every process has a number")
        };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(Errno::INTR) = process::waitid(WaitId::Pid(pid), look) {}
        let mut state = self.lock();
        state.was_waited_for = true;
        let number = self.pid.as_raw().unsigned_abs();
        let wait = || process::waitpid(Some(pid), WaitOptions::empty());
        match adopted::wait_for(number, wait) {
            Ok(Some((_, status))) => match (status.exit_status(), status.terminating_signal()) {
                (Some(status), _) => Exit::Status(u8::try_from(status).unwrap_or(u8::MAX)),
                (None, signal) => Exit::Signal(signal.unwrap_or(0)),
            },
            // Only what is waited for elsewhere could not be waited for here.
            _ => Exit::Status(u8::MAX),
        }
    }

    /// Waits beside everything else.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn watch(&self) -> io::Result<Receiver<Exit>> {
        let (say, said) = bounded(1);
        let child = self.clone();
        thread::Builder::new()
            .name("command".into())
            .spawn(move || say.send(child.wait()).unwrap_or_default())?;
        Ok(said)
    }
}
