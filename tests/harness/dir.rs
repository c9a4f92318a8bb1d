//! A directory for what programs write that weir runs, and the numbered lines that they get.

use std::fs;

use tempfile::TempDir;

/// The directory.
pub(crate) struct Dir(pub TempDir);

impl Dir {
    pub(crate) fn new() -> Dir {
        Dir(tempfile::tempdir().expect("a directory"))
    }

    /// The path of a file in it.
    pub(crate) fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("plain").to_owned()
    }

    /// What is in a file, as far as there is one.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    /// The lines of that.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        self.read(name).lines().map(str::to_owned).collect()
    }
}

/// Lines that are numbered from 1 on.
pub(crate) fn lines(n: usize) -> Vec<u8> {
    let lines: String = (1..=n).map(|i| format!("{i:08}\n")).collect();
    lines.into()
}
