//! Segments: the files in which a stream lies, in order, as it is.
//!
//! A segment is appended to and otherwise never changed, and it is given back whole. Room for it is taken before it is
//! needed, so that a full disk is met there and not in the middle; all segments together never take more than the
//! bound.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::error::DiskError;
use super::room::{Full, Room, STEP_MOST, pages, reserve};
use super::sys;

/// One file of the stream. It has no name: closing it gives its room back.
#[derive(Debug)]
pub(crate) struct Segment {
    base: u64,
    len: AtomicU64,
    /// Bytes of the bound that it has taken.
    charged: AtomicU64,
    file: File,
}

impl Segment {
    pub(crate) fn new(base: u64, file: File) -> Segment {
        Segment {
            base,
            len: AtomicU64::new(0),
            charged: AtomicU64::new(0),
            file,
        }
    }

    /// Offset in the stream of its first byte.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Its bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// Offset in the stream behind its last byte.
    pub(crate) fn end(&self) -> u64 {
        self.base + self.len()
    }

    /// Bytes of the bound that it takes.
    pub(crate) fn charged(&self) -> u64 {
        self.charged.load(Ordering::Acquire)
    }

    /// The file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// The segments of one stream, in order.
#[derive(Debug, Default)]
pub(crate) struct Segments(Mutex<BTreeMap<u64, Arc<Segment>>>);

impl Segments {
    fn map(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Segment>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one.
    pub(crate) fn insert(&self, segment: Arc<Segment>) {
        self.map().insert(segment.base, segment);
    }

    /// The segment that holds that byte.
    pub(crate) fn holder(&self, at: u64) -> Option<Arc<Segment>> {
        let map = self.map();
        let holds = map.range(..=at).next_back().map(|(_, s)| s);
        holds.filter(|segment| at < segment.end()).map(Arc::clone)
    }

    /// Takes out those that end at or before `at`, but for the one that is being written.
    pub(crate) fn take_before(&self, at: u64, writing: Option<u64>) -> Vec<Arc<Segment>> {
        let mut map = self.map();
        let mut taken = Vec::new();
        while let Some(first) = map.first_entry()
            && first.get().end() <= at
            && Some(*first.key()) != writing
        {
            taken.push(first.remove());
        }
        taken
    }
}

/// The segment that is being written.
#[derive(Debug)]
pub(crate) struct Tail {
    segment: Arc<Segment>,
    /// Bytes of the file that room has been taken for.
    reserved: u64,
    /// Most bytes that it may have.
    most: u64,
}

impl Tail {
    pub(crate) fn new(segment: Arc<Segment>, most: u64) -> Tail {
        Tail {
            segment,
            reserved: 0,
            most,
        }
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Whether it can take no more at all.
    pub(crate) fn is_complete(&self) -> bool {
        self.segment.len() >= self.most
    }

    /// Bytes that it has room for now; takes more room if there is none left.
    pub(crate) fn ready(&mut self, room: &Room) -> Result<Result<usize, Full>, DiskError> {
        let len = self.segment.len();
        if self.reserved <= len {
            let want = (self.most - self.reserved).min(STEP_MOST);
            match reserve(self.segment.file(), self.reserved, want, room) {
                Ok(Ok(got)) => {
                    self.reserved += got;
                    self.segment.charged.fetch_add(got, Ordering::AcqRel);
                }
                Ok(Err(full)) => return Ok(Err(full)),
                Err(error) => return Err(failed("take room for", error)),
            }
        }
        Ok(Ok(
            usize::try_from(self.reserved - len).unwrap_or(usize::MAX)
        ))
    }

    /// Appends from memory, at most what it is ready for. How many bytes it has taken.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<Result<usize, Full>, DiskError> {
        let to = self.segment.len();
        match sys::again(|| rustix::io::pwrite(self.segment.file(), bytes, to)) {
            Ok(n) => {
                self.segment.len.fetch_add(n as u64, Ordering::AcqRel);
                Ok(Ok(n))
            }
            Err(error) if sys::is_full(error) => Ok(Err(Full::Disk)),
            Err(error) => Err(failed("write", error)),
        }
    }

    /// Gives back the room that was taken and not used.
    pub(crate) fn finish(self, room: &Room) {
        let segment = &self.segment;
        let unused = self.reserved.saturating_sub(pages(segment.len()));
        let cut = || rustix::fs::ftruncate(segment.file(), segment.len());
        // What cannot be given back now goes with the file.
        if unused > 0 && sys::again(cut).is_ok() {
            segment.charged.fetch_sub(unused, Ordering::AcqRel);
            room.give_back(unused);
        }
    }
}

fn failed(what: &'static str, error: Errno) -> DiskError {
    DiskError::new(what, Path::new("unnamed file of --spill"), error)
}
