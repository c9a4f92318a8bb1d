//! A file that holds a page of text, of which there is a newer one again and again: of `--metrics`, or a chart.
//!
//! Invariant: it is replaced whole, so that nobody ever reads half of one; what was there stays where a page cannot be
//! written.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file that always holds the latest page.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    file: PathBuf,
    beside: PathBuf,
}

impl AtomicFile {
    /// Looks whether the file can be kept.
    ///
    /// # Errors
    /// When nothing can be written beside it, or when it is something that must not be replaced.
    pub(crate) fn new(file: &Path, pid: u32) -> io::Result<AtomicFile> {
        // A link stays a link: what it points to is replaced.
        let file = match file.canonicalize() {
            Ok(target) => target,
            Err(e) if e.kind() == io::ErrorKind::NotFound => file.to_owned(),
            Err(e) => return Err(e),
        };
        if file.metadata().is_ok_and(|m| !m.is_file()) {
            return Err(io::Error::other("not a regular file"));
        }
        let mut name = file.file_name().unwrap_or_default().to_owned();
        // Not `.prom`, which the collector would read.
        name.push(format!(".{pid}.tmp"));
        let beside = file.with_file_name(name);
        let atomic_file = AtomicFile { file, beside };
        atomic_file.fresh()?;
        fs::remove_file(&atomic_file.beside)?;
        Ok(atomic_file)
    }

    /// Replaces what is there.
    ///
    /// # Errors
    /// When it cannot be written; what was there stays.
    pub(crate) fn keep(&self, text: &str) -> io::Result<()> {
        // Only closing may tell that the page has not arrived; the old one is better than half.
        let written = self.fresh().and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            Ok(nix::unistd::close(file)?)
        });
        let kept = written.and_then(|()| fs::rename(&self.beside, &self.file));
        if kept.is_err() {
            let _ = fs::remove_file(&self.beside);
        }
        kept
    }

    /// The file beside it, new and empty. What an earlier weir of this PID has left there is
    /// removed, never written to: others may write to the directory too, and a link of theirs
    /// would send the page to any file of this user's.
    fn fresh(&self) -> io::Result<fs::File> {
        match fs::remove_file(&self.beside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        fs::File::create_new(&self.beside)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("weir.prom");
        let atomic_file = AtomicFile::new(&file, 7).expect("a file");
        assert!(!file.exists(), "looking is not writing");
        atomic_file.keep("one\n").expect("kept");
        let first = fs::File::open(&file).expect("the file");
        atomic_file.keep("two\n").expect("kept");
        assert_eq!(fs::read_to_string(&file).expect("text"), "two\n");
        let old = io::read_to_string(first).expect("text");
        assert_eq!(old, "one\n", "who was reading goes on reading the old page");
        assert_eq!(folder.path().read_dir().expect("a folder").count(), 1);
    }

    #[test]
    fn what_lies_where_the_page_is_written_is_removed_and_never_written_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let text = |name: &str| fs::read_to_string(at(name)).expect("text");
        fs::write(at("precious"), "precious\n").expect("written");
        let plant = || symlink(at("precious"), at("weir.prom.7.tmp")).expect("a link");
        plant();
        let atomic_file = AtomicFile::new(&at("weir.prom"), 7).expect("a file");
        assert_eq!(text("precious"), "precious\n", "by looking");
        plant();
        atomic_file.keep("one\n").expect("kept");
        assert_eq!(text("precious"), "precious\n", "by keeping");
        assert_eq!(text("weir.prom"), "one\n");
        fs::write(at("weir.prom.7.tmp"), "of an earlier weir").expect("written");
        atomic_file.keep("two\n").expect("kept");
        assert_eq!(text("weir.prom"), "two\n");
        assert_eq!(folder.path().read_dir().expect("a folder").count(), 2);
    }

    #[test]
    fn what_must_not_be_replaced_is_turned_away() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(AtomicFile::new(folder.path(), 7).is_err());
        assert!(AtomicFile::new(Path::new("/dev/null"), 7).is_err());
        assert!(AtomicFile::new(&folder.path().join("none/weir.prom"), 7).is_err());
    }
}
