//! Why a run has not begun.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

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
        let more = match getrlimit(Resource::Nofile).current {
            Some(limit) => format!("more than ulimit -n {limit}"),
            None => "to close some".to_owned(),
        };
        let why = format!("Too many open files; try {more}");
        return PipeError::because("start", "descriptors", &why);
    }
    PipeError::new("start", "threads", e)
}
