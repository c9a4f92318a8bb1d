//! The ways to a [`Port`]: standard streams, files that are named, pipes to programs.
//!
//! Invariant: what was closed or is open the wrong way when weir starts is an error before anything is read, and nothing
//! that is in a file goes when that is opened.

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FileType, OFlags, fcntl_getfl};
use rustix::io::Errno;

use super::super::error::PipeError;
use super::super::inherited;
use super::{Handle, Port};

impl Port {
    /// Standard input.
    ///
    /// # Errors
    /// When it was closed at start or is not open for reading.
    pub(crate) fn standard_input() -> Result<Port, PipeError> {
        let name = "standard input";
        Port::standard(
            rustix::stdio::stdin(),
            name,
            inherited::stdin_was_closed(),
            OFlags::WRONLY,
        )
    }

    /// Standard output.
    ///
    /// # Errors
    /// When it was closed at start or is not open for writing.
    pub(crate) fn standard_output() -> Result<Port, PipeError> {
        let name = "standard output";
        Port::standard(
            rustix::stdio::stdout(),
            name,
            inherited::stdout_was_closed(),
            OFlags::RDONLY,
        )
    }

    pub(super) fn standard(
        fd: BorrowedFd<'static>,
        name: &str,
        closed: bool,
        wrong: OFlags,
    ) -> Result<Port, PipeError> {
        let what = if wrong == OFlags::WRONLY {
            "read"
        } else {
            "write"
        };
        let fail = |e: Errno| PipeError::new(what, name, e);
        let flags = fcntl_getfl(fd).map_err(fail)?;
        if closed || flags & OFlags::RWMODE == wrong {
            return Err(fail(Errno::BADF));
        }
        Port::new(Handle::Standard(fd), name.into())
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// When it cannot be opened, or is a directory.
    pub(crate) fn open(path: &Path) -> Result<Port, PipeError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|e| PipeError::new("open", &name, e))?;
        let port = Port::new(Handle::Opened(Arc::new(file.into())), name)?;
        if port.kind == FileType::Directory {
            return Err(PipeError::new("open", &port.name, Errno::ISDIR));
        }
        Ok(port)
    }

    /// Opens a file for writing, and makes it if need be; what is in it is kept, to `append` to it or until it is
    /// [emptied](Port::empty). A FIFO waits for somebody who reads it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn create(path: &Path, append: bool) -> Result<Port, PipeError> {
        let name = path.display().to_string();
        let mut how = File::options();
        how.create(true);
        match append {
            true => how.append(true),
            false => how.write(true).truncate(false),
        };
        let file = how.open(path);
        let file = file.map_err(|e| PipeError::to_write_to(path, e))?;
        Port::new(Handle::Opened(Arc::new(file.into())), name)
    }

    /// Opens a FIFO for writing, if somebody reads it already. It waits for nobody.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn to_reader(path: &Path) -> Result<Option<Port>, PipeError> {
        let name = path.display().to_string();
        let mut how = File::options();
        how.write(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
        match how.open(path) {
            Ok(file) => Port::new(Handle::Opened(Arc::new(file.into())), name).map(Some),
            Err(e) if e.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Ok(None),
            Err(e) => Err(PipeError::new("open", &name, e)),
        }
    }

    /// Our end of a pipe to a program of this name.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub(crate) fn to_command(pipe: OwnedFd, program: &str) -> Result<Port, PipeError> {
        Port::new(Handle::Opened(Arc::new(pipe)), program.to_owned())
    }
}
