//! The file that `--log` names: lines are appended to it, and the first thing that goes wrong with
//! it is told, be it only at its end.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use crossbeam_channel::Sender;

use super::terminal;
use crate::pipe::error::PipeError;

/// The open file. It is closed when this is dropped, and what closing tells is heard.
#[derive(Debug)]
pub(super) struct Log {
    file: Option<File>,
    name: String,
    /// Until something has gone wrong.
    trouble: Option<Sender<String>>,
}

impl Log {
    /// Opens the file, and makes it if need be. What goes wrong later goes to `trouble`.
    ///
    /// # Errors
    /// When that cannot be done.
    pub(super) fn open(path: &Path, trouble: Sender<String>) -> Result<Log, PipeError> {
        let name = path.display().to_string();
        let open = OpenOptions::new().append(true).create(true).open(path);
        let file = open.map_err(|e| PipeError::new("open", &name, e))?;
        Ok(Log {
            file: Some(file),
            name,
            trouble: Some(trouble),
        })
    }

    /// Appends a line, however long that takes.
    pub(super) fn write(&mut self, line: String) {
        if let Some(file) = &self.file {
            let written = terminal::write_all(file, (line + "\n").as_bytes());
            self.complain("write", written);
        }
    }

    fn complain(&mut self, what: &'static str, done: io::Result<()>) {
        if let Err(e) = done
            && let Some(trouble) = self.trouble.take()
        {
            let _ = trouble.send(format!("weir: {}", PipeError::new(what, &self.name, e)));
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            let closed = nix::unistd::close(file).map_err(io::Error::from);
            self.complain("close", closed);
        }
    }
}
