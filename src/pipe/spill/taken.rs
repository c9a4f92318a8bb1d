//! What was read from the input and is to be on the disk: put there, or kept for when it has room.
//!
//! Invariant: nothing that was taken from the input is dropped without a word: it is on the disk, kept, given back, or said
//! to be lost.

use std::io::{self, IoSliceMut};
use std::sync::atomic::Ordering;

use super::super::event::Event;
use super::super::kept::Put;
use super::{Disk, Store};
use crate::disk::error::DiskError;
use crate::engine::action::{FilledBy, NoRoom};
use crate::engine::drive as engine;

impl Disk {
    /// Puts the first of this on the disk, as a rule all of it: where it begins there, and how much that is. It is not forced
    /// there: [`Disk::changed`] sees to that.
    fn put(&self, bytes: &[u8]) -> Put {
        let put = match &self.store {
            Store::Spill(spill) => spill
                .append(bytes)
                .map(|put| put.map(|at| (at, bytes.len()))),
            Store::Spool(spool) => spool
                .append(bytes)
                .map(|put| put.map(|it| (it.start, (it.end - it.start) as usize))),
        };
        match put {
            Ok(Ok(put)) => return Ok(put),
            Ok(Err(full)) => _ = self.filled_by(full),
            Err(failure) => self.failed(failure),
        }
        // It had room when that was asked: whoever asks again is told what is in the way.
        let (by, floor) = (FilledBy::Unknown, self.floor());
        Err(NoRoom { by, floor })
    }

    /// Puts on the disk what has just been read. Of what it does not take although it had room `goes_back` says whether it
    /// is where it was. Else it is kept, to be read again, where it is to outlive the run; where it is not it stays in
    /// memory, which goes with the run as the disk does.
    ///
    /// # Errors
    /// When there is no memory to keep it in.
    pub(in crate::pipe) fn take_read(
        &self,
        bytes: &[u8],
        goes_back: impl FnOnce(usize) -> bool,
    ) -> io::Result<engine::Taken> {
        let put = self.put(bytes);
        let (at, n) = put.map_or((None, 0), |(at, n)| (Some(at), n));
        let rest = &bytes[n..];
        let stays = rest.is_empty() || goes_back(rest.len()) || self.keep(rest);
        // Only then is the disk waited for: whoever leaves it in order meanwhile finds all that there is.
        self.changed(put.is_ok());
        match put {
            Ok(_) if stays => Ok(Ok(Some((n, at)))),
            Ok(_) => Err(io::ErrorKind::OutOfMemory.into()),
            Err(why) if stays => Ok(Err(why)),
            Err(_) => Ok(Ok(Some((bytes.len(), None)))),
        }
    }

    pub(super) fn keep(&self, bytes: &[u8]) -> bool {
        self.spool().is_some() && self.kept.keep(bytes)
    }

    /// Whether something was read that is not on the disk yet, and is to be read again.
    pub(in crate::pipe) fn has_kept(&self) -> bool {
        self.kept.is_any()
    }

    /// The input has ended behind what is kept: that is said on the disk when all of it is there, and nothing behind it.
    /// Whether there is anything.
    pub(in crate::pipe) fn ends_with_kept(&self) -> bool {
        self.kept.ends()
    }

    /// Reads that again, the first of it, and puts it on the disk. `None`: there is nothing.
    pub(in crate::pipe) fn take_kept(&self, into: &mut [u8]) -> Option<engine::Taken> {
        let (taken, is_over) = self.kept.take(into, |bytes| self.put(bytes))?;
        if let (true, Ok(Some((n, Some(at))))) = (is_over, taken) {
            self.ended_at.store(at + n as u64, Ordering::Release);
        }
        // Who looks whether there is something does not wait for the disk.
        self.changed(taken.is_ok());
        Some(taken)
    }

    /// Something was put there, or not: whoever is told of it is told when it is on the disk, where that is wanted.
    fn changed(&self, has: bool) {
        if let Some(spool) = self.spool().filter(|_| has) {
            spool.changed();
        }
    }

    /// The same of what is not to be on the disk. 0: there is nothing.
    pub(in crate::pipe) fn read_kept(&self, into: &mut [IoSliceMut<'_>]) -> usize {
        self.kept.read(into)
    }

    /// Puts there what was read and had no room so far, for whoever comes next: whether it has some now. What has none is
    /// lost, and that is said.
    pub(super) fn put_kept(&self) -> bool {
        let put = self.kept.put_all(|bytes| {
            let room = self.room(bytes.len())?;
            self.put(&bytes[..room])
        });
        if let (Ok(true), Some(spool)) = (put, self.spool()) {
            self.ended_at.store(spool.end(), Ordering::Release);
        }
        if let Err(left) = put {
            let why =
                format!("there is no room for the last {left} bytes that were read: they are lost");
            let lost = DiskError::because("spool to", self.home(), why);
            let _ = self.events.send(Event::DiskFailed(lost.into()));
        }
        put.is_ok()
    }
}
