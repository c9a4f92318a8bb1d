//! The calls that are Linux's own, each with what other systems do instead.
//!
//! A call that a file system does not have is no error here: it answers as if it had done nothing.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;

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

#[cfg(target_os = "linux")]
mod linux {
    use super::{AsFd, Errno, File, Path, again};
    use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstatfs};

    /// Takes room for `len` bytes from `from` on, beyond the end of the file and without moving it.
    pub(crate) fn reserve(file: &File, from: u64, len: u64) -> Result<(), Errno> {
        match again(|| fallocate(file, FallocateFlags::KEEP_SIZE, from, len)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            answer => answer,
        }
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
    use super::{AsFd, Errno, File, Path};

    /// No room can be taken here without moving the end of the file.
    pub(crate) fn reserve(_: &File, _: u64, _: u64) -> Result<(), Errno> {
        Ok(())
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
pub(crate) use elsewhere::{in_memory, open_unnamed, reserve};
#[cfg(target_os = "linux")]
pub(crate) use linux::{in_memory, open_unnamed, reserve};
