//! What a spool's appending thread works with, and what it leaves to be forced to the disk.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::format::{Entry, Framing, IndexHeader};
use super::index::IndexWriter;
use super::records::Records;
use super::schedule::Policy;
use super::segments::{Segment, Tail};
use super::state::Place;

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
    /// Segments that have not been forced to the disk, held open so that the error of a failed
    /// write is not missed; and whether their names have not been.
    pub(super) unsynced: Vec<Unsynced>,
    pub(super) names_changed: bool,
}

/// A segment that has not been forced to the disk since it was written to.
#[derive(Debug, Clone)]
pub(super) struct Unsynced {
    pub(super) segment: Arc<Segment>,
    pub(super) stream: Arc<File>,
    pub(super) index: Arc<File>,
    /// Forcing it to the disk has failed. Trying that again would succeed, and mean nothing.
    pub(super) failed: Arc<AtomicBool>,
}

impl Unsynced {
    pub(super) fn new(segment: Arc<Segment>, stream: Arc<File>, index: Arc<File>) -> Unsynced {
        Unsynced {
            segment,
            stream,
            index,
            failed: Arc::default(),
        }
    }
}

impl Writer {
    pub(super) fn new(header: IndexHeader, framing: Framing, end: Place, policy: Policy) -> Writer {
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

    /// Where the stream ends.
    pub(super) fn place(&self) -> Place {
        Place {
            at: self.end,
            record: self.records.next(),
            begun: self.records.begun(),
        }
    }
}
