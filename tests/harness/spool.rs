//! A directory for a spool, what is done with it, and what is sent through it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{Ended, WEIR, assert_same, collect, eventually, feed, output, start, weir};

/// How much a run that was killed may have repeated, in lines of five digits: a write is a segment's worth at most, and may
/// begin and end inside of a line.
const WRITE_MOST: usize = 256 * 1024 / 6 + 2;

/// The directory.
pub(crate) struct Place(pub TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        Place(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.0.path().join("q")
    }

    pub(crate) fn name(&self) -> String {
        self.spool().display().to_string()
    }

    /// `weir` on this spool.
    pub(crate) fn weir(&self, args: &[&str]) -> Command {
        weir(&[&["--spool", &self.name(), "-q"], args].concat())
    }

    /// Passes this through it, and sees that it comes out as it was. How that ended.
    pub(crate) fn pass(&self, args: &[&str], bytes: &[u8]) -> Ended {
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let (output, stdout) = std::io::pipe().expect("a pipe");
        let running = start(self.weir(args), stdin, stdout);
        let feeding = feed(input, bytes.to_vec());
        assert_same(&collect(output).done(), bytes, &format!("{args:?}"));
        feeding.done().expect("all is taken");
        running.end()
    }

    /// Delivers what lies there; what it says on standard error. It ends well, unless it says that something is lost.
    pub(crate) fn deliver(&self, args: &[&str]) -> (Vec<u8>, String) {
        let (output, stdout) = std::io::pipe().expect("a pipe");
        let running = start(self.weir(args), Stdio::null(), stdout);
        let got = collect(output).done();
        let ended = running.end();
        // What is lost, repeated or cannot be checked is said by the status, too.
        let is_damaged = [" lost: ", " is damaged: "].map(|it| ended.stderr.contains(it));
        let status = i32::from(is_damaged.contains(&true));
        assert_eq!(ended.status.code(), Some(status), "{ended:?}");
        (got, ended.stderr)
    }

    /// Takes in all of this for a consumer that takes nothing, and is ended by this signal.
    pub(crate) fn leave(&self, bytes: &[u8], args: &[&str], by: Signal) {
        let (stdin, input) = std::io::pipe().expect("a pipe");
        // It stays full, and what is in it is never read.
        let (_output, stdout) = std::io::pipe().expect("a pipe");
        let running = start(self.weir(args), stdin, stdout);
        feed(input, bytes.to_vec()).done().expect("all is taken");
        self.await_bytes(bytes.len());
        running.signal(by);
        running.end();
    }

    pub(crate) fn await_bytes(&self, n: usize) {
        eventually("all of it lies in the spool", || self.taken_in() >= n);
    }

    /// Bytes that it holds.
    pub(crate) fn taken_in(&self) -> usize {
        let files = self.files("stream");
        let bytes = files.iter().filter_map(|it| fs::metadata(it).ok());
        bytes.map(|it| it.len() as usize).sum()
    }

    /// Its files of this kind, in order.
    pub(crate) fn files(&self, kind: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.spool()).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
        files.retain(|it| it.extension().is_some_and(|it| it == kind));
        files.sort();
        files
    }

    /// What `weir --query` says of it.
    pub(crate) fn query(&self) -> Value {
        let name = format!("{}/", self.name());
        let output = output(Command::new(WEIR).args(["--query", &name]));
        let output = output.expect("it ran");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("an object")
    }

    /// Nothing lies there any more, nor is any batch in its journal.
    #[track_caller]
    pub(crate) fn assert_empty(&self) {
        let left = self.query();
        assert_eq!(
            (&left["bytes"], &left["batches"]),
            (&0.into(), &0.into()),
            "{left}"
        );
    }
}

/// Numbered lines.
pub(crate) fn lines(from: usize, to: usize) -> Vec<u8> {
    (from..to)
        .flat_map(|n| format!("{n}\n").into_bytes())
        .collect()
}

/// What comes after a kill are lines that go on at this number, or a write before it. It is the next one then.
#[track_caller]
pub(crate) fn go_on(next: &mut usize, got: &str, what: &str) {
    let mut numbers = got
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'));
    let Some(first) = numbers.next() else { return };
    let first: usize = first.parse().expect("a number");
    assert!(
        first <= *next && *next - first < WRITE_MOST,
        "{what}: {first} after {next}"
    );
    *next = first + 1;
    for number in numbers {
        assert_eq!(number.parse(), Ok(*next), "{what}: in order");
        *next += 1;
    }
}

/// What several runs have appended to a file, each of which was killed, maybe: numbered lines in order, of which each
/// run may have repeated a write of the one before it, and may find the beginning of one that was killed. How many
/// there are.
#[track_caller]
pub(crate) fn go_on_in_file(text: &str) -> usize {
    let mut next = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let number: usize = line.parse().expect("a number");
        let (whole, behind) = (next.to_string(), (number + 1).to_string());
        let is_part = line.len() < whole.len() && whole.starts_with(line);
        if number == next {
            next += 1;
        } else if is_part && lines.peek().is_none_or(|line| *line != behind) {
            // The rest of it was not written any more, and it comes again.
        } else {
            assert!(number < next, "{line} after {next}");
            assert!(next - number < WRITE_MOST, "{line} after {next}");
            next = number + 1;
        }
    }
    next
}
