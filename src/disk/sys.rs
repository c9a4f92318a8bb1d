//! The calls that are Linux's own, each with what other systems do instead.
//!
//! A call that a file system does not have is no error here: it answers as if it had done nothing.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::StatVfs;
use rustix::io::Errno;

/// What a call to the system does to a spool: tests have some of a kind fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Reads bytes, or opens a file to read it.
    Read,
    /// Writes bytes, or sets a length.
    Write,
    /// Takes room.
    Room,
    /// Makes, changes or takes away a name, or opens a file to write to it.
    Name,
    /// Forces something to the disk.
    Force,
}

/// What a test has a call come to before it is made.
#[cfg(test)]
pub(crate) use super::tests::faults::{self, meet};

/// What a test has a call come to before it is made: nothing else than it comes to.
#[cfg(not(test))]
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn meet(_: Call) -> Result<(), Errno> {
    Ok(())
}

/// Whether `error` says that there is no space, be it the disk's or the user's share of it.
pub(crate) fn is_full(error: Errno) -> bool {
    error == Errno::NOSPC || error == Errno::DQUOT
}

/// Calls again for as long as a signal comes between.
pub(crate) fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}

/// Which start of the system this is: equal on two occasions only if nothing that was written has
/// been lost between them. `None` where the system does not tell.
pub(crate) fn boot_id() -> Option<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16)
        .ok()
        .map(u128::to_le_bytes)
}

/// Forces what a file holds to the disk, and what it takes to find it again.
pub(crate) fn force(file: &File) -> Result<(), Errno> {
    meet(Call::Force)?;
    file.sync_data()
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Sets the length of a file.
pub(crate) fn truncate(file: &File, length: u64) -> Result<(), Errno> {
    meet(Call::Write)?;
    again(|| rustix::fs::ftruncate(file, length))
}

/// Bytes that others than the system's owner may still take of the disk that a file is on, where it tells.
pub(crate) fn available(file: &File) -> Option<u64> {
    let disk = tells(rustix::fs::fstatvfs(file).ok()?)?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Bytes of the disk that this is on, where it tells.
pub(crate) fn size_of_disk(place: &Path) -> Option<u64> {
    let disk = tells(rustix::fs::statvfs(place).ok()?)?;
    Some(disk.f_blocks.saturating_mul(disk.f_frsize))
}

/// What is known of a disk, if anything is: some file systems say of themselves that they have no size, and take what
/// comes.
fn tells(disk: StatVfs) -> Option<StatVfs> {
    (disk.f_blocks > 0).then_some(disk)
}

/// Where room cannot be taken: whether there is some for this many bytes just now, and for what it takes to find them,
/// which is the file system's and ours.
fn look_for(file: &File, len: u64) -> Result<(), Errno> {
    const TO_FIND_THEM: u64 = 256 << 10;
    let has_room = available(file).is_none_or(|free| free >= len.saturating_add(TO_FIND_THEM));
    has_room.then_some(()).ok_or(Errno::NOSPC)
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{AsFd, BorrowedFd, Errno, File, Path, again};
    use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstatfs};
    use rustix::pipe::{SpliceFlags, splice};

    /// Takes room for `len` bytes from `from` on, beyond the end of the file and without moving it, where the file system
    /// can do that.
    pub(crate) fn reserve(file: &File, from: u64, len: u64) -> Result<(), Errno> {
        match again(|| fallocate(file, FallocateFlags::KEEP_SIZE, from, len)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => super::look_for(file, len),
            answer => answer,
        }
    }

    /// Moves at most `most` bytes from `pipe` into `file` at `to`, without waiting for the pipe.
    pub(crate) fn splice_in(
        pipe: BorrowedFd<'_>,
        file: &File,
        to: u64,
        most: usize,
    ) -> Result<usize, Errno> {
        super::meet(super::Call::Write)?;
        let mut to = to;
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        again(|| splice(pipe, None, file, Some(&mut to), most, flags))
    }

    /// A file in `directory` that has no name; `None` where the file system has no such thing.
    pub(crate) fn open_unnamed(directory: &Path) -> Result<Option<File>, Errno> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => Ok(Some(fd.into())),
            // ISDIR and NOENT: a system that does not know the flag, and sees the directory alone.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether what is written to this file system lies in memory.
    pub(crate) fn in_memory(file: impl AsFd) -> bool {
        const TMPFS: u32 = 0x0102_1994;
        const RAMFS: u32 = 0x8584_58f6;
        // The type's width differs between machines; the numbers do not.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        fstatfs(file).is_ok_and(|fs| matches!(fs.f_type as u32, TMPFS | RAMFS))
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{AsFd, BorrowedFd, Errno, File, Path};

    /// No room can be taken here without moving the end of the file.
    pub(crate) fn reserve(file: &File, _: u64, len: u64) -> Result<(), Errno> {
        super::look_for(file, len)
    }

    /// There is no splice here: whoever asks reads and writes instead.
    pub(crate) fn splice_in(_: BorrowedFd<'_>, _: &File, _: u64, _: usize) -> Result<usize, Errno> {
        Err(Errno::NOSYS)
    }

    /// Files without a name are made and unlinked here.
    pub(crate) fn open_unnamed(_: &Path) -> Result<Option<File>, Errno> {
        Ok(None)
    }

    /// Not known here.
    pub(crate) fn in_memory(_: impl AsFd) -> bool {
        false
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{in_memory, open_unnamed, reserve, splice_in};
#[cfg(target_os = "linux")]
pub(crate) use linux::{in_memory, open_unnamed, reserve, splice_in};
