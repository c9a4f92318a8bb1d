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

    /// What is in all files but those that say something by being there, in the order of the lines.
    pub(crate) fn all(&self) -> String {
        let files = fs::read_dir(self.0.path()).expect("a directory");
        let files = files.map(|it| it.expect("a file").path());
        let is_said = |path: &std::path::PathBuf| {
            let end = path.extension().and_then(|it| it.to_str());
            end.is_none_or(|end| !["lock", "go", "runs"].contains(&end))
        };
        let texts = files.filter(is_said);
        let texts = texts.map(|path| fs::read_to_string(path).expect("a text"));
        let text: String = texts.collect();
        let mut all: Vec<&str> = text.split_inclusive('\n').collect();
        all.sort_unstable();
        all.concat()
    }

    /// That is so many lines, each of them once.
    #[track_caller]
    pub(crate) fn assert_all(&self, n: usize) {
        assert!(
            self.all().as_bytes() == lines(n),
            "something is missing, torn or twice"
        );
    }
}

/// Lines that are numbered from 1 on.
pub(crate) fn lines(n: usize) -> Vec<u8> {
    let lines: String = (1..=n).map(|i| format!("{i:08}\n")).collect();
    lines.into()
}
