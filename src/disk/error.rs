//! What can go wrong on a disk, in one line: what was done, to which file, why it failed, and where
//! there is one, the way out.

use std::fmt::Display;
use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::sys;
use crate::units::printable;

/// A failed operation on a named file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {name}: {reason}")]
pub(crate) struct DiskError {
    /// What was done.
    pub what: &'static str,
    /// To which file.
    pub name: String,
    /// Why it failed.
    pub reason: String,
    /// Because the disk is full.
    pub is_full: bool,
    /// Because there was no more time for it: nothing has failed.
    pub is_out_of_time: bool,
}

impl DiskError {
    /// `what` was tried on `name`, and `error` came of it.
    pub(crate) fn new(what: &'static str, name: &Path, error: impl Into<io::Error>) -> DiskError {
        let error = error.into();
        let text = error.to_string();
        // The system's number for the error says nothing that its words do not.
        let reason = text.split(" (os error ").next().unwrap_or_default();
        DiskError {
            is_full: Errno::from_io_error(&error).is_some_and(sys::is_full),
            ..DiskError::because(what, name, reason)
        }
    }

    /// `what` was tried on `name`, and cannot be for this reason.
    pub(crate) fn because(what: &'static str, name: &Path, reason: impl Display) -> DiskError {
        DiskError {
            what,
            name: printable(&name.display().to_string()),
            reason: reason.to_string(),
            is_full: false,
            is_out_of_time: false,
        }
    }

    /// `what` was not tried on `name`, since whoever ends this run does not wait for it.
    pub(crate) fn out_of_time(what: &'static str, name: &Path) -> DiskError {
        DiskError {
            is_out_of_time: true,
            ..DiskError::because(what, name, "there is no more time for it")
        }
    }

    /// The same, with the way out.
    pub(crate) fn with_way_out(mut self, way: &str) -> DiskError {
        self.reason = format!("{}; {way}", self.reason);
        self
    }

    /// A file was written by a later weir.
    pub(crate) fn unknown_version(version: u32, name: &Path) -> DiskError {
        let reason =
            format!("it has format {version}, and this weir knows format 1; use a newer weir");
        DiskError::because("read", name, reason)
    }
}
