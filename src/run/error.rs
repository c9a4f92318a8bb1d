//! Why a run has not begun.

use std::io;

use rustix::io::Errno;

use crate::command::spawn::SpawnError;
use crate::pipe::error::PipeError;

/// The line to say, and the exit status where it is not the usual one.
#[derive(Debug)]
pub(crate) struct StartError {
    /// The line.
    pub failure: PipeError,
    /// The exit status.
    pub status: Option<u8>,
}

impl From<PipeError> for StartError {
    fn from(failure: PipeError) -> StartError {
        StartError {
            failure,
            status: None,
        }
    }
}

impl From<SpawnError> for StartError {
    fn from(error: SpawnError) -> StartError {
        StartError {
            failure: error.failure,
            status: Some(error.status),
        }
    }
}

/// The system refuses what weir needs for itself.
pub(super) fn system(e: io::Error) -> PipeError {
    if e.raw_os_error() == Some(Errno::MFILE.raw_os_error()) {
        let why = "Too many open files: weir takes up to 8 beside those that it is told to open, \
                   up to 16 with a disk, and up to 5 for \
                   each of --jobs; try ulimit -n 32, or more with --jobs";
        return PipeError::because("start", "descriptors", why);
    }
    PipeError::new("start", "threads", e)
}
