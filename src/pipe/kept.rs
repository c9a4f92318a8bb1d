//! What was read and the disk has not taken, although it had room: it is read again before anything else is.
//!
//! Invariant: no more is read from the input while there is some, so that what is in no file is one read at most.

use std::io::{IoSliceMut, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::action::NoRoom;
use crate::engine::drive::Taken;

/// Where something was put, and how many bytes of it.
pub(super) type Put = Result<(u64, usize), NoRoom>;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Rest>);

#[derive(Debug, Default)]
struct Rest {
    bytes: Vec<u8>,
    /// So many of them have been read again.
    taken: usize,
    /// The input has ended behind them.
    is_last: bool,
}

impl Rest {
    fn bytes(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// The first so many bytes have been read again. Whether they were the last of the input.
    fn pass(&mut self, bytes: usize) -> bool {
        self.taken += bytes;
        let is_over = self.is_last && self.bytes().is_empty();
        if self.bytes().is_empty() {
            *self = Rest::default();
        }
        is_over
    }
}

impl Kept {
    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is anything.
    pub(super) fn is_any(&self) -> bool {
        !self.rest().bytes().is_empty()
    }

    /// The input has ended behind it, if there is anything: whoever takes the last of it is told so. Says whether there is.
    pub(super) fn ends(&self) -> bool {
        let mut rest = self.rest();
        rest.is_last = !rest.bytes().is_empty();
        rest.is_last
    }

    /// Keeps this, which was read behind all that has been put. False: there is no memory for it.
    pub(super) fn keep(&self, bytes: &[u8]) -> bool {
        let mut rest = self.rest();
        debug_assert!(rest.bytes().is_empty(), "something else was read before");
        *rest = Rest::default();
        let has_memory = rest.bytes.try_reserve_exact(bytes.len()).is_ok();
        if has_memory {
            rest.bytes.extend_from_slice(bytes);
        }
        has_memory
    }

    /// Reads it again, the first of it, and puts it there; whether that was the last of the input. `None`: there is nothing.
    pub(super) fn take(
        &self,
        into: &mut [u8],
        put: impl FnOnce(&[u8]) -> Put,
    ) -> Option<(Taken, bool)> {
        let mut rest = self.rest();
        let n = rest.bytes().len().min(into.len());
        if n == 0 {
            return None;
        }
        let put = put(&rest.bytes()[..n]);
        let is_over = put.is_ok_and(|(_, n)| {
            into[..n].copy_from_slice(&rest.bytes()[..n]);
            rest.pass(n)
        });
        Some((put.map(|(at, n)| Some((n, Some(at)))), is_over))
    }

    /// Reads it again, the first of it, which is not to be put anywhere. 0: there is nothing.
    pub(super) fn read(&self, into: &mut [IoSliceMut<'_>]) -> usize {
        let mut rest = self.rest();
        // Bytes in memory can always be read.
        let n = rest.bytes().read_vectored(into).unwrap_or(0);
        rest.pass(n);
        n
    }

    /// Puts all of it there. Whether there was anything, and the input has ended behind it.
    ///
    /// # Errors
    /// Where not all of it can be: how many bytes are left.
    pub(super) fn put_all(&self, mut put: impl FnMut(&[u8]) -> Put) -> Result<bool, usize> {
        let mut rest = self.rest();
        let mut is_over = false;
        while !rest.bytes().is_empty() {
            let (_, n) = put(rest.bytes()).map_err(|_| rest.bytes().len())?;
            is_over = rest.pass(n);
        }
        Ok(is_over)
    }
}
