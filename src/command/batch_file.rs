//! The file that a batch lies in while a program deals with it: complete before the program starts, so that a weir
//! that dies leaves no half of one behind that could be taken for a whole.
//!
//! Invariants: it has no name, and goes when nobody has it open any more; each program gets it from its first byte
//! on, and none can change it. Only short ones take memory, and those that their disk has no room for: what fills it may be
//! ours, which goes when they have gone. Of a piece that does not fit all that was written is taken back, so that it can be
//! written again.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, SeekFrom};

use crate::disk::sys::is_full;
use crate::pipe::error::PipeError;

/// Longer ones lie on a disk: what is in the buffer already is not to take its memory twice.
const MEMORY_MOST: u64 = 1 << 20;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct BatchFile {
    file: File,
    is_in_memory: bool,
    /// It lies there since its disk was full.
    is_displaced: bool,
    bytes: u64,
}

/// Whether an error says that there is no room for now.
pub(crate) fn says_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    // Where it lies is named beside it.
    matches!(error.kind(), StorageFull | QuotaExceeded)
        || rustix::io::Errno::from_io_error(error).is_some_and(is_full)
}

impl BatchFile {
    /// An empty one, for so many bytes.
    ///
    /// # Errors
    /// When none can be made.
    pub(crate) fn new(bytes: u64) -> io::Result<BatchFile> {
        let short = if bytes <= MEMORY_MOST {
            in_memory()
        } else {
            None
        };
        let (file, is_in_memory, is_displaced) = match short.ok_or_else(on_disk) {
            Ok(file) => (file, true, false),
            Err(Ok(file)) => (file, false, false),
            Err(Err(error)) if says_full(&error) => (in_memory().ok_or(error)?, true, true),
            Err(Err(error)) => return Err(error),
        };
        Ok(BatchFile {
            file,
            is_in_memory,
            is_displaced,
            bytes: 0,
        })
    }

    /// Adds these, all or none.
    ///
    /// # Errors
    /// When they could not be.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.append_here(bytes) {
            Err(error) if says_full(&error) && self.go_on_in_memory()? => self.append_here(bytes),
            done => done,
        }
    }

    /// Whether its disk was full.
    pub(crate) fn is_displaced(&self) -> bool {
        self.is_displaced
    }

    fn append_here(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(bytes);
        if written.is_ok() {
            self.bytes += bytes.len() as u64;
        } else {
            rustix::fs::ftruncate(&self.file, self.bytes)?;
            rustix::fs::seek(&self.file, SeekFrom::Start(self.bytes))?;
        }
        written
    }

    /// What a full disk has no room for goes on in memory, with what there is of it; false: there is no such way.
    fn go_on_in_memory(&mut self) -> io::Result<bool> {
        let there_is = if self.is_in_memory { None } else { in_memory() };
        let Some(mut memory) = there_is else {
            return Ok(false);
        };
        if !self.copy_to(&mut memory)? {
            return Ok(false);
        }
        self.file = memory;
        (self.is_in_memory, self.is_displaced) = (true, true);
        Ok(true)
    }

    /// Whether all that there is has gone there. Where there is no room for it either, whatever that says, the rest comes
    /// behind what is here, once its disk has some.
    ///
    /// # Errors
    /// When it cannot be read: no program could read it, either.
    fn copy_to(&mut self, other: &mut File) -> io::Result<bool> {
        let mut piece = vec![0; 64 << 10];
        rustix::fs::seek(&self.file, SeekFrom::Start(0))?;
        let mut left = self.bytes;
        let mut is_taken = true;
        while is_taken && left > 0 {
            let n = self.file.read(&mut piece)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            is_taken = other.write_all(&piece[..n]).is_ok();
            left = left.saturating_sub(n as u64);
        }
        rustix::fs::seek(&self.file, SeekFrom::Start(self.bytes))?;
        Ok(is_taken)
    }

    /// It is complete. A way to read it, from its beginning on.
    ///
    /// # Errors
    /// When the system has none.
    pub(crate) fn reader(&self) -> io::Result<OwnedFd> {
        if self.is_in_memory {
            seal(&self.file);
        }
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        if let Ok(reader) = rustix::fs::open(path, flags, Mode::empty()) {
            return Ok(reader);
        }
        // The same place for all: none reads beside another one.
        rustix::fs::seek(&self.file, SeekFrom::Start(0))?;
        self.file.as_fd().try_clone_to_owned()
    }
}

#[cfg(target_os = "linux")]
fn in_memory() -> Option<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    memfd_create("weir batch", flags).ok().map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn in_memory() -> Option<File> {
    None
}

/// Nobody can change it any more.
#[cfg(target_os = "linux")]
fn seal(file: &File) {
    use rustix::fs::{SealFlags, fcntl_add_seals};
    let all = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    // One that is sealed already is.
    let _ = fcntl_add_seals(file, all);
}

#[cfg(not(target_os = "linux"))]
fn seal(_: &File) {}

/// Looks whether long ones can be made where somebody has said that they are to be.
///
/// # Errors
/// When they cannot.
pub(crate) fn look_for_place(most: Option<u64>) -> Result<(), PipeError> {
    if named_place().is_none() || most.is_some_and(|most| most <= MEMORY_MOST) {
        return Ok(());
    }
    let found = on_disk().map(drop);
    found.map_err(|error| PipeError::new("make a file for", "batches", error))
}

fn named_place() -> Option<PathBuf> {
    let named = std::env::var_os("TMPDIR").filter(|path| !path.is_empty());
    named.map(PathBuf::from)
}

/// Where long ones are: in `$TMPDIR`, else in `/var/tmp`.
pub(crate) fn place() -> PathBuf {
    named_place().unwrap_or_else(|| PathBuf::from("/var/tmp"))
}

fn on_disk() -> io::Result<File> {
    let place = place();
    #[cfg(target_os = "linux")]
    {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::open(&place, flags, Mode::RUSR) {
            return Ok(file.into());
        }
    }
    made_and_unlinked(&place)
}

fn made_and_unlinked(place: &std::path::Path) -> io::Result<File> {
    use std::hash::{BuildHasher, RandomState};
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    loop {
        // A name that nobody can have foreseen.
        let chance = RandomState::new().hash_one(std::process::id());
        let path = place.join(format!(".weir-batch-{chance:016x}"));
        match rustix::fs::open(&path, flags, Mode::RUSR) {
            Ok(file) => {
                rustix::fs::unlink(&path)?;
                return Ok(file.into());
            }
            Err(rustix::io::Errno::EXIST) => {}
            Err(e) => {
                let way = match e {
                    rustix::io::Errno::MFILE | rustix::io::Errno::NFILE => "",
                    _ => "; set TMPDIR to a directory with room",
                };
                let why = format!("{}: {}{way}", place.display(), PipeError::reason(e));
                return Err(io::Error::new(io::Error::from(e).kind(), why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_gets_all_and_none_can_change_it() {
        for bytes in [10u64, 3 << 20] {
            let mut file = BatchFile::new(bytes).expect("a file");
            assert_eq!(file.is_in_memory, cfg!(target_os = "linux") && bytes == 10);
            file.append(b"first ").expect("written");
            file.append(b"second").expect("written");
            for _ in 0..2 {
                let mut reader = File::from(file.reader().expect("a reader"));
                let mut all = String::new();
                reader.read_to_string(&mut all).expect("read");
                assert_eq!(all, "first second");
                assert!(reader.write_all(b"x").is_err());
                assert!(reader.metadata().expect("its kind").is_file());
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn one_that_has_no_room_on_its_disk_goes_on_in_memory_as_it_is() {
        let mut file = BatchFile::new(3 << 20).expect("a file");
        file.append(b"first ").expect("written");
        assert!(file.go_on_in_memory().expect("memory"));
        assert!(!file.go_on_in_memory().expect("it is there already"));
        file.append(b"second").expect("written");
        let mut all = String::new();
        let mut reader = File::from(file.reader().expect("a reader"));
        reader.read_to_string(&mut all).expect("read");
        assert_eq!(all, "first second");
        assert!(file.append(b"x").is_err(), "and none can change it");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn one_that_has_no_room_in_memory_either_stays_as_it_is() {
        let mut file = BatchFile::new(3 << 20).expect("a file");
        file.append(b"first ").expect("written");
        let mut takes_nothing = File::open("/proc/self/exe").expect("a file");
        assert!(!file.copy_to(&mut takes_nothing).expect("it is read"));
        file.append(b"second").expect("written");
        let mut all = String::new();
        let mut reader = File::from(file.reader().expect("a reader"));
        reader.read_to_string(&mut all).expect("read");
        assert_eq!(all, "first second");
    }

    #[test]
    fn where_there_are_no_files_without_names_one_is_made_and_unlinked() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut file = made_and_unlinked(dir.path()).expect("a file");
        file.write_all(b"x").expect("written");
        assert_eq!(dir.path().read_dir().expect("a directory").count(), 0);
        let error = made_and_unlinked(&dir.path().join("none")).expect_err("nowhere");
        assert!(error.to_string().contains("none: No such file"), "{error}");
    }
}
