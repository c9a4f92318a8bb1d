//! Waiting for a [`Port`]: until something can be read or written, or the other end has gone away.

use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};

use super::calls::poll_until;
use super::fd::Port;

impl Port {
    /// Whether a read would return at once, with data or with the end.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub(crate) fn is_readable(&self) -> rustix::io::Result<bool> {
        self.wait(PollFlags::IN, Some(Instant::now()))
    }

    /// Whether a pipe has a free slot (or there is an error to be seen).
    ///
    /// # Errors
    /// As `poll(2)`.
    pub(crate) fn is_writable(&self) -> rustix::io::Result<bool> {
        self.wait(PollFlags::OUT, Some(Instant::now()))
    }

    /// Waits until something can be read (or the end be seen). False at the deadline.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub(crate) fn wait_readable(&self, until: Option<Instant>) -> rustix::io::Result<bool> {
        self.wait(PollFlags::IN, until)
    }

    /// Waits until something can be written (or an error be seen). False at the deadline.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub(crate) fn wait_writable(&self, until: Option<Instant>) -> rustix::io::Result<bool> {
        self.wait(PollFlags::OUT, until)
    }

    /// Waits until something can be written (or an error be seen), or something be read from
    /// `other`. False when it is not the first.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub(crate) fn wait_writable_or(
        &self,
        other: &impl AsFd,
        until: Option<Instant>,
    ) -> rustix::io::Result<bool> {
        self.wait_or(PollFlags::OUT, other, until)
    }

    /// Waits until the process at the other end has gone away, or something can be read from `other`. False when
    /// it is not the first.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub(crate) fn wait_hang_up_or(&self, other: &impl AsFd) -> rustix::io::Result<bool> {
        self.wait_or(PollFlags::empty(), other, None)
    }

    fn wait_or(
        &self,
        what: PollFlags,
        other: &impl AsFd,
        until: Option<Instant>,
    ) -> rustix::io::Result<bool> {
        let mut both = [PollFd::new(self, what), PollFd::new(other, PollFlags::IN)];
        poll_until(&mut both, until)?;
        Ok(!both[0].revents().is_empty())
    }

    /// Waits until the process at the other end has gone away.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub(crate) fn wait_hang_up(&self) -> rustix::io::Result<()> {
        self.wait(PollFlags::empty(), None).map(drop)
    }

    /// Waits until the process at the other end has gone away, or until then; whether it has.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub(crate) fn hangs_up_before(&self, until: Instant) -> rustix::io::Result<bool> {
        self.wait(PollFlags::empty(), Some(until))
    }

    /// Whether nobody is at the other end of this pipe any more.
    #[must_use]
    #[cfg(target_os = "linux")]
    pub(crate) fn has_no_reader(&self) -> bool {
        let gone = self.wait(PollFlags::empty(), Some(Instant::now()));
        gone.unwrap_or(true)
    }

    pub(super) fn wait(&self, what: PollFlags, until: Option<Instant>) -> rustix::io::Result<bool> {
        if what == PollFlags::IN && self.rest_of_packet() > 0 {
            return Ok(true);
        }
        poll_until(&mut [PollFd::new(self, what)], until)
    }
}
