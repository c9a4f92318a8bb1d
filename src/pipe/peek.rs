//! A look at what lies in a pipe, which stays there: `tee(2)` into a pipe of our own.
//!
//! Bytes that are only to be counted are copied once, into memory that stays in the processor's
//! cache, and may be on their way to the consumer before that. So may those that somebody else is owed: while they are
//! read from here the producer has its room back.
//!
//! Invariant: what it has ahead is what lies at the head of the input.

use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::fd::OwnedFd;

use crate::engine::action::Permit;
use crate::engine::record::Cursor;
use crate::engine::scan::Run;

/// Bytes looked at at once. They should stay in the cache until they have been counted.
const VIEW: usize = 64 * 1024;
/// Bytes duplicated at once.
#[cfg(target_os = "linux")]
const AHEAD: usize = 256 * 1024;

/// Lets another pipe have, too, what lies in one: at most so many bytes. How many it took; `None`: nothing is there yet, or
/// it has no room. 0: the end, which the system alone does not tell: it says 0 as well where somebody else has just read
/// what was there.
///
/// # Errors
/// As `tee(2)`.
#[cfg(target_os = "linux")]
pub(super) fn duplicate(
    from: &impl std::os::fd::AsFd,
    to: &impl std::os::fd::AsFd,
    most: usize,
) -> rustix::io::Result<Option<usize>> {
    use rustix::pipe::{SpliceFlags, tee};
    let done = super::calls::again(|| tee(from, to, most, SpliceFlags::NONBLOCK))?;
    if done != Some(0) {
        return Ok(done);
    }
    let is_over = super::last_input::is_pipe_over(from)?;
    Ok(is_over.then_some(0))
}

/// The pipe of our own, and what was read from it.
#[derive(Debug)]
pub(crate) struct Peek {
    from: OwnedFd,
    #[cfg(target_os = "linux")]
    to: OwnedFd,
    view: Box<[u8]>,
    /// What was read from the pipe and has not gone by.
    in_view: Range<usize>,
    /// Bytes that lie in the pipe.
    beyond: usize,
}

impl Peek {
    /// One that has seen nothing yet.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    #[cfg(target_os = "linux")]
    pub(crate) fn new() -> io::Result<Peek> {
        let (from, to) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        // A smaller one will do.
        let _ = rustix::pipe::fcntl_setpipe_size(&to, AHEAD);
        Ok(Peek {
            from,
            to,
            view: vec![0; VIEW].into(),
            in_view: 0..0,
            beyond: 0,
        })
    }

    /// There is no such thing here.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new() -> io::Result<Peek> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Bytes at the head of the input that have been duplicated.
    #[must_use]
    pub(crate) fn ahead(&self) -> usize {
        self.in_view.len() + self.beyond
    }

    /// Duplicates what lies in the input, unless something is ahead still. How much is ahead then;
    /// `None`: nothing is there yet. 0: the end.
    ///
    /// # Errors
    /// As `tee(2)`.
    #[cfg(target_os = "linux")]
    pub(crate) fn look(&mut self, input: &super::fd::Port) -> rustix::io::Result<Option<usize>> {
        if self.ahead() == 0 {
            match duplicate(input, &self.to, AHEAD)? {
                Some(n) => self.beyond = n,
                None => return Ok(None),
            }
        }
        Ok(Some(self.ahead()))
    }

    /// How much of what is ahead has leave to go.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "splice(2) is Linux's")
    )]
    pub(crate) fn reach(&mut self, permit: Permit) -> usize {
        match permit.allowance.records {
            // No need to look before.
            u64::MAX => permit.allowance.bytes.min(self.ahead()),
            _ => permit.within(self.front()).len(),
        }
    }

    /// The first `n` bytes ahead go by.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "splice(2) is Linux's")
    )]
    pub(crate) fn go_by(&mut self, cursor: Cursor, n: usize) -> Run {
        let mut run = Run::at(cursor);
        while run.bytes < n {
            let front = self.front();
            let bytes = &front[..front.len().min(n - run.bytes)];
            run.add(bytes);
            self.in_view.start += bytes.len();
        }
        run
    }

    /// Lets another pipe have, too, what the first `n` bytes ahead are; how many of them it takes, which may be none.
    #[cfg(target_os = "linux")]
    pub(crate) fn copy_to(&self, to: &super::fd::Port, n: usize) -> usize {
        if !self.in_view.is_empty() {
            return 0;
        }
        duplicate(&self.from, to, n).ok().flatten().unwrap_or(0)
    }

    /// The first bytes ahead go by, and are wanted: as many as fit here, or are there.
    ///
    /// # Errors
    /// As `readv(2)`.
    pub(crate) fn take(&mut self, into: &mut [IoSliceMut<'_>]) -> rustix::io::Result<usize> {
        let most = into.iter().map(|slice| slice.len()).sum::<usize>();
        if self.in_view.is_empty() && self.beyond >= most {
            // What was duplicated is there at once.
            let n = super::calls::again(|| rustix::io::readv(&self.from, into))?.unwrap_or(0);
            self.beyond -= n;
            return Ok(n);
        }
        let mut done = 0;
        for slice in into {
            let mut rest = &mut slice[..];
            while !rest.is_empty() && self.ahead() > 0 {
                let front = self.front();
                let n = front.len().min(rest.len());
                rest[..n].copy_from_slice(&front[..n]);
                self.in_view.start += n;
                (rest, done) = (&mut rest[n..], done + n);
            }
        }
        Ok(done)
    }

    /// What was ahead will go another way.
    pub(crate) fn forget(&mut self) {
        while self.ahead() > 0 {
            self.in_view = 0..0;
            self.front();
        }
    }

    /// The next bytes ahead: all that are in view, and more only if there are none.
    fn front(&mut self) -> &[u8] {
        if self.in_view.is_empty() && self.beyond > 0 {
            let most = self.beyond.min(VIEW);
            let read = super::calls::again(|| rustix::io::read(&self.from, &mut self.view[..most]));
            let Ok(Some(n @ 1..)) = read else {
                unreachable!("what was duplicated is not there")
            };
            self.in_view = 0..n;
            self.beyond -= n;
        }
        &self.view[self.in_view.clone()]
    }
}
