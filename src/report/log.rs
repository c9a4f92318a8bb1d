//! The file that `--log` names: lines are appended to it, and the first thing that goes wrong with
//! it is told, be it only at its end.

use std::fs::File;
use std::io;
use std::path::Path;

use crossbeam_channel::Sender;

use super::terminal;
use crate::pipe::append::open_to_append;
use crate::pipe::error::PipeError;
use crate::pipe::reopen::{Reopener, Successor};

/// What names it.
const OPTION: &str = "--log";

/// The open file. It is closed when this is dropped, and what closing tells is heard.
#[derive(Debug)]
pub(super) struct Log {
    file: Option<File>,
    /// What is to be written to instead.
    next: Successor<File>,
    name: String,
    /// Until something has gone wrong.
    errors: Option<Sender<String>>,
}

impl Log {
    /// Opens the file, and makes it if need be. What goes wrong later goes to `errors`.
    ///
    /// # Errors
    /// When that cannot be done.
    pub(super) fn open(path: &Path, errors: Sender<String>) -> Result<Log, PipeError> {
        Ok(Log {
            file: Some(open_to_append(path).map_err(|e| e.of(OPTION))?),
            next: Successor::none(),
            name: path.display().to_string(),
            errors: Some(errors),
        })
    }

    /// What opens it anew.
    pub(super) fn reopener(&self, path: &Path) -> Reopener {
        self.next.reopener(OPTION, path, open_to_append)
    }

    /// Appends a line, however long that takes. An empty one asks only whether the file was moved away.
    pub(super) fn write(&mut self, line: String) {
        if let Some((file, _asked)) = self.next.take() {
            self.close();
            self.file = Some(file);
        }
        if let Some(file) = self.file.as_ref().filter(|_| !line.is_empty()) {
            let written = terminal::write_all(file, (line + "\n").as_bytes());
            self.complain("write", written);
        }
    }

    fn complain(&mut self, what: &'static str, done: io::Result<()>) {
        if let Err(e) = done
            && let Some(errors) = self.errors.take()
        {
            let _ = errors.send(format!("weir: {}", PipeError::new(what, &self.name, e)));
        }
    }
}

impl Log {
    fn close(&mut self) {
        if let Some(file) = self.file.take() {
            let closed = nix::unistd::close(file).map_err(io::Error::from);
            self.complain("close", closed);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
        self.next.close();
    }
}
