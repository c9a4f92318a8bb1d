//! What a spool's appending thread works with, and what it leaves to be forced to the disk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use rustix::io::Errno;

use super::format::{Entry, Framing, IndexHeader};
use super::index::IndexWriter;
use super::records::Records;
use super::schedule::Policy;
use super::segments::{Held, Segment, Tail};
use super::state::Place;
use super::sys;

/// What the appending thread works with.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) header: IndexHeader,
    pub(super) tail: Option<(Tail, IndexWriter)>,
    /// What has been appended and is not entered yet.
    pub(super) pending: Option<Entry>,
    pub(super) records: Records,
    pub(super) end: u64,
    /// What lies before this offset a sync has covered, or is about to: no entry reaches from there to behind it, since one
    /// that does not match is cut out whole.
    pub(super) covered: u64,
    /// Bytes behind the end which were moved there from a pipe, and could not be read back yet.
    pub(super) unread: usize,
    /// The first byte that comes is the end of a record in which an earlier input has ended.
    pub(super) end_is_due: bool,
    pub(super) policy: Policy,
    /// Segments that have not been forced to the disk; and whether their names have not been.
    pub(super) unsynced: Vec<Unsynced>,
    pub(super) names_changed: bool,
    /// Where there are so many of them the oldest is forced there before another is begun, for each holds files open.
    pub(super) held_most: usize,
}

/// A segment that has not been forced to the disk since it was written to; until it is given back it holds its files open.
#[derive(Debug, Clone)]
pub(super) struct Unsynced {
    pub(super) segment: Arc<Segment>,
    /// Forcing it to the disk has failed. Trying that again would succeed, and mean nothing.
    pub(super) failed: Arc<AtomicBool>,
    /// One at a time forces it: of two who do the system tells one alone that it has failed.
    forcing: Arc<Mutex<()>>,
}

impl Unsynced {
    pub(super) fn new(segment: Arc<Segment>, files: Held) -> Unsynced {
        segment.hold(files);
        Unsynced {
            segment,
            failed: Arc::default(),
            forcing: Arc::default(),
        }
    }

    /// Forces it to the disk, if it is not given back.
    pub(super) fn force(&self) -> Result<(), Errno> {
        let _one = self.forcing.lock().unwrap_or_else(PoisonError::into_inner);
        self.force_alone()
    }

    /// The same where nobody else does just now. Says whether it is there.
    fn force_if_idle(&self) -> bool {
        match self.forcing.try_lock() {
            Err(TryLockError::WouldBlock) => false,
            _one => self.force_alone().is_ok(),
        }
    }

    fn force_alone(&self) -> Result<(), Errno> {
        if self.failed.load(Ordering::Acquire) {
            return Err(Errno::IO);
        }
        let Some(files) = self.segment.held() else {
            return Ok(());
        };
        let forced = sys::force(&files.stream).and_then(|()| sys::force(&files.index));
        self.failed.store(forced.is_err(), Ordering::Release);
        forced
    }
}

impl Writer {
    pub(super) fn new(
        header: IndexHeader,
        framing: Framing,
        end: Place,
        policy: Policy,
        held_most: usize,
    ) -> Writer {
        Writer {
            header,
            tail: None,
            pending: None,
            records: Records::new(framing, end.record, end.begun),
            end: end.at,
            covered: 0,
            unread: 0,
            end_is_due: false,
            policy,
            held_most,
            unsynced: Vec::new(),
            names_changed: false,
        }
    }

    pub(super) fn framing(&self) -> Framing {
        self.records.framing()
    }

    /// Whether what is not entered yet is to be, before anything comes behind it.
    pub(super) fn is_sealed(&self) -> bool {
        self.pending.is_some_and(|entry| entry.at < self.covered)
    }

    /// Of what has not been forced to the disk only that is kept which `stays`; the files of the rest are closed.
    pub(super) fn keep_unsynced(&mut self, stays: impl Fn(&Unsynced) -> bool) {
        self.unsynced.retain(|it| {
            let stays = stays(it);
            if !stays {
                it.segment.let_go();
            }
            stays
        });
    }

    /// Forces the oldest to the disk that can be, so that its files need not stay open. Says whether there was one. What
    /// fails is left to a sync, which writes it anew.
    pub(super) fn force_oldest(&mut self) -> bool {
        let forced = self.unsynced.iter().position(Unsynced::force_if_idle);
        if let Some(nth) = forced {
            self.unsynced.remove(nth).segment.let_go();
        }
        forced.is_some()
    }

    /// Where the stream ends.
    pub(super) fn place(&self) -> Place {
        Place {
            at: self.end,
            record: self.records.next(),
            begun: self.records.begun(),
        }
    }
}
