//! What is too much for memory, in files without a name that are gone with the process.
//!
//! Order is the caller's: offsets count what has been appended, from 0 on, and what lies before the
//! offset that all readers have passed is given back in whole segments.
//!
//! Invariants: all files together take no more than the bound; there are never more than about [`FILES`] of them.

use std::ffi::OsString;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::error::DiskError;
use super::file::read_at;
use super::room::{Full, Room};
use super::segments::{Segment, Segments, Tail};
use super::sys;

/// Where files without a name are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpillHome {
    /// The directory.
    pub path: PathBuf,
    /// It lies in memory itself, so that little is gained.
    pub in_memory: bool,
}

impl SpillHome {
    /// `$TMPDIR`, given as `named`, else `/var/tmp`.
    pub(crate) fn find(named: Option<OsString>) -> Result<SpillHome, DiskError> {
        let path = named
            .filter(|path| !path.is_empty())
            .map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
        let directory = rustix::fs::open(
            &path,
            OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|error| DiskError::new("open for --spill", &path, error))
        .map_err(|error| error.with_way_out(ELSEWHERE))?;
        let in_memory = sys::in_memory(&directory);
        Ok(SpillHome { path, in_memory })
    }
}

/// What helps where no file can be made.
const ELSEWHERE: &str = "TMPDIR can name another directory, on a disk with room";

/// How many files there are when the bound is used up: each is given back whole, and takes a descriptor.
const FILES: u64 = 32;

/// A stream in files without a name.
#[derive(Debug)]
pub(crate) struct Spill {
    home: SpillHome,
    room: Room,
    segments: Segments,
    writer: Mutex<Writer>,
    /// Nobody reads what lies before this offset.
    floor: AtomicU64,
}

/// What is being written.
#[derive(Debug, Default)]
struct Writer {
    /// Bytes that have been appended.
    end: u64,
    tail: Option<Tail>,
}

impl Spill {
    /// At most `bound` bytes of disk. Fails at once where no file can be made.
    pub(crate) fn new(home: SpillHome, bound: u64) -> Result<Spill, DiskError> {
        let _ = open_file(&home.path)?;
        Ok(Spill {
            home,
            room: Room::new(bound),
            segments: Segments::default(),
            writer: Mutex::default(),
            floor: AtomicU64::new(0),
        })
    }

    /// Where its files are made.
    pub(crate) fn home(&self) -> &Path {
        &self.home.path
    }

    /// Bytes of disk in use.
    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.room.used()
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for bytes to come: for how many there is some, `most` at most.
    pub(crate) fn ready(&self, most: usize) -> Result<Result<usize, Full>, DiskError> {
        let ready = self.tail(&mut self.writer(), |_, ready| Ok(Ok(ready)));
        Ok(ready?.map(|ready| ready.min(most)))
    }

    /// Whether most of the disk is ours.
    pub(crate) fn has_most_of_disk(&self) -> bool {
        self.room.is_most_of_disk(&self.home.path)
    }

    /// Appends all of this. Returns the offset of its first byte. Where that fails some of it may be there.
    pub(crate) fn append(&self, bytes: &[u8]) -> Result<Result<u64, Full>, DiskError> {
        let mut writer = self.writer();
        let begun = writer.end;
        let mut rest = bytes;
        while !rest.is_empty() {
            let put = self.tail(&mut writer, |tail, ready| {
                let n = ready.min(rest.len());
                let written = tail.write(&rest[..n])?;
                Ok(written.map(|()| {
                    tail.publish(n);
                    n
                }))
            })?;
            match put {
                Ok(n) => {
                    writer.end += n as u64;
                    rest = &rest[n..];
                }
                Err(full) => return Ok(Err(full)),
            }
        }
        Ok(Ok(begun))
    }

    /// Does something with the segment that is being written and has room for so many bytes.
    fn tail<T>(
        &self,
        writer: &mut Writer,
        what: impl FnOnce(&mut Tail, usize) -> Result<Result<T, Full>, DiskError>,
    ) -> Result<Result<T, Full>, DiskError> {
        if let Some(tail) = writer.tail.take_if(|tail| tail.is_complete()) {
            // What cannot be given back now goes with the file.
            let _ = tail.finish(&self.room);
        }
        if writer.tail.is_none() {
            let file = match open_file(&self.home.path)? {
                Ok(file) => file,
                Err(full) => return Ok(Err(full)),
            };
            let file = Arc::new(file);
            let segment = Arc::new(Segment::unnamed(writer.end, Arc::clone(&file)));
            self.segments.insert(Arc::clone(&segment));
            writer.tail = Some(Tail::new(segment, file, self.room.part(FILES)));
        }
        let Some(tail) = writer.tail.as_mut() else {
            return Ok(Err(Full::Disk));
        };
        match tail.ready(&self.room)? {
            Ok(ready) => what(tail, ready),
            Err(full) => Ok(Err(full)),
        }
    }

    /// Reads what begins at that offset, all of it. Of what was given back meanwhile nothing is read.
    pub(crate) fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let mut done = 0;
        while done < buffer.len() {
            let from = at + done as u64;
            let Some(segment) = self.segments.holder(from) else {
                if from < self.floor.load(Ordering::Acquire) {
                    return Ok(());
                }
                return Err(self.not_read("it is not there"));
            };
            let n = usize::try_from(segment.end() - from).unwrap_or(usize::MAX);
            let to = buffer.len().min(done.saturating_add(n));
            match read_at(
                &*segment.file(|| Err(Errno::NOENT))?,
                &mut buffer[done..to],
                from - segment.base(),
            ) {
                Ok(n) if n == to - done => done = to,
                Ok(_) => return Err(self.not_read("it has been truncated")),
                Err(error) => {
                    return Err(DiskError::new("read back from", &self.home.path, error));
                }
            }
        }
        Ok(())
    }

    fn not_read(&self, why: &str) -> DiskError {
        DiskError::because("read back from", &self.home.path, why)
    }

    /// Nobody will read what lies before `at`: its segments are given back. Says whether there were any.
    pub(crate) fn release(&self, at: u64) -> bool {
        self.floor.fetch_max(at, Ordering::AcqRel);
        let mut writer = self.writer();
        // The last one goes too, when all of it has been read.
        if writer.end <= at {
            writer.tail = None;
        }
        // Nobody begins another one meanwhile.
        let taken = self.segments.take_before(at, writer.tail.is_some());
        drop(writer);
        let mut is_any = false;
        for segment in taken {
            let charged = segment.take_charge();
            // Its room is there again when the file is closed, and not before.
            drop(segment);
            self.room.give_back(charged);
            is_any = true;
        }
        is_any
    }
}

/// A file that nobody else can see.
fn open_file(home: &Path) -> Result<Result<File, Full>, DiskError> {
    match make_file(home) {
        Ok(file) => Ok(Ok(file)),
        Err(error) if sys::is_full(error) => Ok(Err(Full::Disk)),
        Err(error) => {
            let error = DiskError::new("make a file for --spill in", home, error);
            Err(error.with_way_out(ELSEWHERE))
        }
    }
}

fn make_file(home: &Path) -> Result<File, Errno> {
    if let Some(file) = sys::open_unnamed(home)? {
        return Ok(file);
    }
    let path = home.join(format!(".weir-{:016x}", RandomState::new().hash_one(0)));
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)?;
    rustix::fs::unlink(&path)?;
    Ok(file.into())
}
