//! Segments: the files in which a stream lies, in order, as it is.
//!
//! A segment is appended to and otherwise never changed, and it is given back whole. Room for it is
//! taken before it is needed, so that a full disk is met there and not in the middle; all segments
//! together never take more than the bound. What has been appended is never unsaid: the length of a
//! file is the truth about it, also when the process is killed between two calls.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::io::Errno;

use super::error::DiskError;
use super::file::write_all;
use super::room::{Full, PAGE, Room, STEP_MOST, pages, reserve};
use super::sys;

/// What came of appending what lies in a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    /// That many.
    Bytes(usize),
    /// Nothing: the pipe is empty.
    Empty,
    /// Nothing: the pipe is at its end.
    End,
    /// Nothing: there is no room.
    Full(Full),
    /// Nothing: the system does not move bytes from there to here.
    Refused,
}

/// One file of the stream.
#[derive(Debug)]
pub(crate) struct Segment {
    base: u64,
    len: AtomicU64,
    /// Bytes of the bound that it has taken, its index included.
    charged: AtomicU64,
    /// Bytes at its beginning that count no more of what it has taken.
    excused: AtomicU64,
    /// Where what it holds is entered in its index up to; beyond is what is being written.
    entered: AtomicU64,
    file: Handle,
    held: Mutex<Option<Held>>,
}

/// The files of a segment that has not been forced to the disk since it was written to, held open so that the error of a
/// failed write is not missed.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) stream: Arc<File>,
    pub(crate) index: Arc<File>,
}

#[derive(Debug)]
enum Handle {
    /// A file without a name: closing it gives it back.
    Kept(Arc<File>),
    /// A file that is opened when it is read.
    Named(PathBuf, Mutex<Weak<File>>),
}

impl Segment {
    fn new(base: u64, len: u64, charged: u64, file: Handle) -> Segment {
        Segment {
            base,
            len: AtomicU64::new(len),
            charged: AtomicU64::new(charged),
            excused: AtomicU64::new(0),
            entered: AtomicU64::new(base + len),
            file,
            held: Mutex::default(),
        }
    }

    pub(crate) fn unnamed(base: u64, file: Arc<File>) -> Segment {
        Segment::new(base, 0, 0, Handle::Kept(file))
    }

    /// A segment that has a name; `file`, if it is open.
    pub(crate) fn named(base: u64, len: u64, path: PathBuf, file: Option<&Arc<File>>) -> Segment {
        let open = Mutex::new(file.map(Arc::downgrade).unwrap_or_default());
        Segment::new(base, len, pages(len), Handle::Named(path, open))
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

    /// Offset in the stream up to which its index is complete.
    pub(crate) fn entered(&self) -> u64 {
        self.entered.load(Ordering::Acquire)
    }

    pub(crate) fn set_entered(&self, at: u64) {
        self.entered.store(at, Ordering::Release);
    }

    fn held_open(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are its files, and stay open until it [lets them go](Segment::let_go).
    pub(crate) fn hold(&self, files: Held) {
        *self.held_open() = Some(files);
    }

    /// Its files, if they are held open.
    pub(crate) fn held(&self) -> Option<Held> {
        self.held_open().clone()
    }

    /// It was forced to the disk, or nobody needs it there: what is open has no name to be lost, and takes room.
    pub(crate) fn let_go(&self) {
        *self.held_open() = None;
    }

    /// Bytes of the bound that it takes.
    pub(crate) fn charged(&self) -> u64 {
        self.charged.load(Ordering::Acquire)
    }

    /// The same, which it takes no more from now on: what is given back twice is nothing the second time.
    pub(crate) fn take_charge(&self) -> u64 {
        self.charged.swap(0, Ordering::AcqRel)
    }

    pub(crate) fn charge(&self, bytes: u64) {
        self.charged.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(crate) fn uncharge(&self, bytes: u64) {
        self.charged.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// What of it lies before this offset counts no more: how many bytes less of the bound it takes from now on.
    pub(crate) fn excuse_before(&self, at: u64) -> u64 {
        let whole = (at.clamp(self.base, self.end()) - self.base) / PAGE * PAGE;
        let before = self.excused.fetch_max(whole, Ordering::AcqRel);
        let less = whole.saturating_sub(before);
        self.uncharge(less);
        less
    }

    /// The file, opened so if it is not.
    pub(crate) fn file(
        &self,
        by: impl FnOnce() -> Result<File, Errno>,
    ) -> Result<Arc<File>, DiskError> {
        match &self.file {
            Handle::Kept(file) => Ok(Arc::clone(file)),
            Handle::Named(path, open) => {
                let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(file) = open.upgrade() {
                    return Ok(file);
                }
                let file = by().map_err(|error| DiskError::new("open a segment", path, error))?;
                let file = Arc::new(file);
                *open = Arc::downgrade(&file);
                Ok(file)
            }
        }
    }

    /// Where it is, for what is said about it.
    pub(crate) fn path(&self) -> &Path {
        match &self.file {
            Handle::Kept(_) => Path::new("unnamed file of --spill"),
            Handle::Named(path, _) => path,
        }
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

    /// Whether this very one is among them.
    pub(crate) fn has(&self, segment: &Arc<Segment>) -> bool {
        let map = self.map();
        let known = map.get(&segment.base);
        known.is_some_and(|known| Arc::ptr_eq(known, segment))
    }

    /// Takes one out.
    pub(crate) fn remove(&self, base: u64) {
        self.map().remove(&base);
    }

    /// The segment that holds that byte, else the next one behind it.
    pub(crate) fn at_or_after(&self, at: u64) -> Option<Arc<Segment>> {
        let map = self.map();
        let holds = map.range(..=at).next_back().map(|(_, s)| s);
        let next = map.range(at.saturating_add(1)..).next().map(|(_, s)| s);
        holds
            .filter(|segment| at < segment.end())
            .or(next)
            .map(Arc::clone)
    }

    /// The segment that begins there.
    pub(crate) fn at(&self, base: u64) -> Option<Arc<Segment>> {
        self.map().get(&base).map(Arc::clone)
    }

    /// The segment that holds that byte.
    pub(crate) fn holder(&self, at: u64) -> Option<Arc<Segment>> {
        self.at_or_after(at).filter(|segment| segment.base() <= at)
    }

    /// Takes out those that end at or before `at`; not the last one where that `is_written`, or may be: one that has
    /// just been begun ends where it begins.
    pub(crate) fn take_before(&self, at: u64, is_written: bool) -> Vec<Arc<Segment>> {
        let mut map = self.map();
        let mut taken = Vec::new();
        while map.len() > usize::from(is_written)
            && let Some(first) = map.first_entry()
            && first.get().end() <= at
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
    file: Arc<File>,
    /// Bytes of the file that room has been taken for.
    reserved: u64,
    /// Most bytes that it may have.
    most: u64,
}

impl Tail {
    pub(crate) fn new(segment: Arc<Segment>, file: Arc<File>, most: u64) -> Tail {
        Tail {
            segment,
            file,
            reserved: 0,
            most,
        }
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
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
            match reserve(&self.file, self.reserved, want, room) {
                Ok(Ok(got)) => {
                    self.reserved += got;
                    self.segment.charge(got);
                }
                Ok(Err(full)) => return Ok(Err(full)),
                Err(error) => return Err(self.error("take room for", error)),
            }
        }
        Ok(Ok(
            usize::try_from(self.reserved - len).unwrap_or(usize::MAX)
        ))
    }

    /// Appends from memory what it is ready for, all of it or nothing: the length of the file tells of what is there.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<Result<(), Full>, DiskError> {
        let to = self.segment.len();
        let Err(error) = write_all(&self.file, bytes, to) else {
            return Ok(Ok(()));
        };
        self.end_here();
        if self.file.metadata().is_ok_and(|data| data.len() > to) {
            sys::truncate(&self.file, to)
                .map_err(|error| self.error("give back room of", error))?;
        }
        match sys::is_full(error) {
            true => Ok(Err(Full::Disk)),
            false => Err(self.error("write", error)),
        }
    }

    /// Appends what lies in a pipe, at most `most` bytes and what it is ready for.
    pub(crate) fn splice(
        &mut self,
        pipe: BorrowedFd<'_>,
        most: usize,
    ) -> Result<Appended, DiskError> {
        match sys::splice_in(pipe, &self.file, self.segment.len(), most) {
            Ok(0) => Ok(Appended::End),
            Ok(n) => Ok(Appended::Bytes(n)),
            Err(Errno::AGAIN) => Ok(Appended::Empty),
            Err(error) if sys::is_full(error) => {
                self.end_here();
                Ok(Appended::Full(Full::Disk))
            }
            Err(Errno::INVAL | Errno::NOSYS) => Ok(Appended::Refused),
            Err(error) => Err(self.error("splice into", error)),
        }
    }

    /// What it was thought to have room for it has none for: no more goes here, and the next one asks the disk again.
    fn end_here(&mut self) {
        self.most = self.segment.len();
    }

    /// What was appended can be read from now on.
    pub(crate) fn publish(&mut self, bytes: usize) {
        self.segment.len.fetch_add(bytes as u64, Ordering::AcqRel);
    }

    /// Gives back the room that was taken and not used.
    pub(crate) fn finish(self, room: &Room) -> Result<(), DiskError> {
        let unused = self.reserved.saturating_sub(pages(self.segment.len()));
        if unused > 0 {
            sys::truncate(&self.file, self.segment.len())
                .map_err(|error| self.error("give back room of", error))?;
            self.segment.uncharge(unused);
            room.give_back(unused);
        }
        Ok(())
    }

    fn error(&self, what: &'static str, error: Errno) -> DiskError {
        DiskError::new(what, self.segment.path(), error)
    }
}
