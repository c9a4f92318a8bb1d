//! A directory held open, and the files in it by their names: what is done here reaches the same
//! directory even when it has been renamed meanwhile.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::error::DiskError;
use super::sys::{Call, meet};

/// A directory held open.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens it, and makes it if it is not there, for its owner alone.
    pub(crate) fn make(path: &Path) -> Result<Directory, DiskError> {
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {
                // So that a power cut does not take the whole directory.
                let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
                if let Ok(parent) = File::open(parent.unwrap_or(Path::new("."))) {
                    let _ = parent.sync_all();
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(DiskError::new("make the spool", path, error)),
        }
        Directory::open(path)
    }

    /// Opens what is there.
    pub(crate) fn open(path: &Path) -> Result<Directory, DiskError> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| DiskError::new("open the spool", path, error))?;
        Ok(Directory {
            fd,
            path: path.to_owned(),
        })
    }

    /// Where a file of that name is, for what is said about it.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the directory is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a file that must not be there yet, for its owner alone.
    pub(crate) fn create(&self, name: &str) -> Result<File, Errno> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        self.at(name, flags)
    }

    /// Opens a file to read it and to write to it, and makes it if it is not there.
    pub(crate) fn open_or_create(&self, name: &str) -> Result<File, Errno> {
        self.at(name, OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC)
    }

    /// Opens a file to read it and to write to it.
    pub(crate) fn open_file(&self, name: &str) -> Result<File, Errno> {
        self.at(name, OFlags::RDWR | OFlags::CLOEXEC)
    }

    /// Opens a file to read it only.
    pub(crate) fn read_file(&self, name: &str) -> Result<File, Errno> {
        self.at(name, OFlags::RDONLY | OFlags::CLOEXEC)
    }

    /// The same, of one that may be gone. Too few descriptors, say, are no reason to think so.
    pub(crate) fn read_if_there(&self, name: &str) -> Result<Option<File>, DiskError> {
        match self.read_file(name) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT | Errno::IO) => Ok(None),
            Err(error) => Err(DiskError::new("open", &self.path_of(name), error)),
        }
    }

    fn at(&self, name: &str, flags: OFlags) -> Result<File, Errno> {
        let is_read = !flags.intersects(OFlags::RDWR | OFlags::CREATE);
        meet(if is_read { Call::Read } else { Call::Name })?;
        rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR).map(File::from)
    }

    /// Takes a name away. One that is not there is no error.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Errno> {
        meet(Call::Name)?;
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            answer => answer,
        }
    }

    /// Gives a file another name, in place of what had that name.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), Errno> {
        meet(Call::Name)?;
        rustix::fs::renameat(&self.fd, from, &self.fd, to)
    }

    /// What the system knows of a file.
    pub(crate) fn stat(&self, name: &str) -> Result<Stat, Errno> {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Whether there is a file of that name, as far as the system says.
    pub(crate) fn has(&self, name: &str) -> bool {
        !matches!(self.stat(name), Err(Errno::NOENT))
    }

    /// Forces names that were made, changed or taken away to the disk.
    pub(crate) fn sync(&self) -> Result<(), Errno> {
        meet(Call::Force)?;
        rustix::fs::fsync(&self.fd)
    }

    /// The names of all files, in no order.
    pub(crate) fn names(&self) -> Result<Vec<String>, Errno> {
        // A description of its own: the position in a directory belongs to the description.
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, ".", flags, Mode::empty())?;
        let mut found = Vec::new();
        for entry in rustix::fs::Dir::new(fd)? {
            let entry = entry?;
            let name: &CStr = entry.file_name();
            if let Ok(name) = name.to_str()
                && name != "."
                && name != ".."
            {
                found.push(name.to_owned());
            }
        }
        Ok(found)
    }
}
