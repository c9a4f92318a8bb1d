//! Calls to the system that a signal may interrupt, or that have nothing to do yet.

use std::time::Instant;

use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;

/// Waits until one of these is ready. False at the deadline.
pub(super) fn poll_until(
    fds: &mut [PollFd<'_>],
    until: Option<Instant>,
) -> rustix::io::Result<bool> {
    loop {
        let left = until.map(|u| u.saturating_duration_since(Instant::now()));
        // A wait too long for the system to express is a wait without end.
        let left = left.and_then(|d| Timespec::try_from(d).ok());
        match poll(fds, left.as_ref()) {
            Err(Errno::INTR) => {}
            done => return done.map(|ready| ready > 0),
        }
    }
}

/// Repeats an interrupted call; `None` where it would block.
pub(crate) fn again(
    mut call: impl FnMut() -> rustix::io::Result<usize>,
) -> rustix::io::Result<Option<usize>> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(None),
            done => return done.map(Some),
        }
    }
}
