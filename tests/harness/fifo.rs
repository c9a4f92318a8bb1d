//! A source that the test holds in its hands.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

pub(crate) struct Fifo {
    pub path: PathBuf,
    _folder: TempDir,
}

impl Fifo {
    pub(crate) fn new() -> Fifo {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("source");
        let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        Fifo {
            path,
            _folder: folder,
        }
    }

    /// Waits for somebody to read.
    pub(crate) fn open(&self) -> File {
        File::options()
            .write(true)
            .open(&self.path)
            .expect("a writer")
    }

    pub(crate) fn name(&self) -> &str {
        self.path.to_str().expect("a path")
    }
}
