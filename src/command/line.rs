//! What to run, as it was typed.

use std::ffi::OsString;
use std::path::Path;

use crate::units::printable;

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// A path, or a name to be looked for in `PATH`.
    pub program: OsString,
    /// What it is told.
    pub arguments: Vec<OsString>,
}

impl CommandLine {
    /// The program's name for reports and messages, without its folder.
    #[must_use]
    pub(crate) fn name(&self) -> String {
        let path = Path::new(&self.program);
        let name = path.file_name().unwrap_or(path.as_os_str());
        printable(&name.to_string_lossy())
    }
}
