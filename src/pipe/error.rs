//! What can go wrong between descriptors, in one line: what was done, to which stream, and why it
//! failed.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::io::Errno;

use crate::disk::error::DiskError;
use crate::units::printable;

/// A failed operation on a named file or stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}: {name}: {reason}{}",
    option.map(|it| format!(" {it}")).unwrap_or_default(),
    others.iter().map(|f| format!("\nweir: {f}")).collect::<String>()
)]
pub(crate) struct PipeError {
    what: &'static str,
    /// Which option named it.
    option: Option<&'static str>,
    name: String,
    reason: String,
    others: Vec<PipeError>,
}

impl PipeError {
    /// `what` was tried on `name`, and `error` came of it.
    #[must_use]
    pub(crate) fn new(what: &'static str, name: &str, error: impl Into<io::Error>) -> PipeError {
        PipeError::because(what, name, &PipeError::reason(error))
    }

    /// This file could not be opened to be written to.
    #[must_use]
    pub(crate) fn to_write_to(path: &Path, error: io::Error) -> PipeError {
        let name = path.display().to_string();
        let is_socket = |data: Metadata| data.file_type().is_socket();
        if path.metadata().is_ok_and(is_socket) {
            let is_ours = ["/dev/", "/proc/"].iter().any(|at| name.starts_with(at));
            let way = match is_ours {
                // What is open already can be written to, and not opened.
                true => ">(cat >&2)".to_owned(),
                false => format!(">(socat - UNIX-CONNECT:{name})"),
            };
            let why = format!("it is a socket, which cannot be opened: give {way} in its place");
            return PipeError::because("open", &name, &why);
        }
        PipeError::new("open", &name, error)
    }

    /// The system's words for an error.
    #[must_use]
    pub(crate) fn reason(error: impl Into<io::Error>) -> String {
        let error = error.into();
        let text = error.to_string();
        // Its number for the error says nothing that its words do not.
        let reason = text.split(" (os error ").next().unwrap_or_default();
        match error.raw_os_error() {
            Some(n) if n == Errno::MFILE.raw_os_error() => {
                format!("{reason}; try a larger ulimit -n")
            }
            _ => reason.to_owned(),
        }
    }

    /// `what` was tried on `name`, and cannot be for this reason.
    #[must_use]
    pub(crate) fn because(what: &'static str, name: &str, reason: &str) -> PipeError {
        PipeError {
            what,
            option: None,
            name: printable(name),
            reason: reason.to_owned(),
            others: Vec::new(),
        }
    }

    /// What was put on the disk cannot be read back: `error` tells where and why.
    #[must_use]
    pub(crate) fn disk(error: io::Error) -> PipeError {
        match error.downcast::<DiskError>() {
            Ok(error) => error.into(),
            Err(error) => PipeError::new("read back", "disk", error),
        }
    }

    /// The same, of a file that this option named.
    #[must_use]
    pub(crate) fn of(mut self, option: &'static str) -> PipeError {
        self.option = Some(option);
        self
    }

    /// This, and these after it: each is a line of its own.
    #[must_use]
    pub(crate) fn and(mut self, others: Vec<PipeError>) -> PipeError {
        self.others.extend(others);
        self
    }
}

impl From<DiskError> for PipeError {
    fn from(error: DiskError) -> PipeError {
        PipeError::because(error.what, &error.name, &error.reason)
    }
}
