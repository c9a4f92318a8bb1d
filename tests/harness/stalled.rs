//! A weir whose consumer takes nothing, and a place for what it sheds.

use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::path::PathBuf;

use rustix::io::ioctl_fionread;
use tempfile::TempDir;

use super::books::Books;
use super::{Beside, Ended, Running, beside, collect, eventually, start, weir};

/// A weir with a small buffer whose consumer takes nothing until it is told to.
pub(crate) struct Stalled {
    pub weir: Running,
    pub case: String,
    input: Option<PipeWriter>,
    output: PipeReader,
}

impl Stalled {
    /// `test | weir ARGS --summary json`, and nobody who reads.
    pub(crate) fn new(args: &[&str]) -> Stalled {
        let (stdin, input) = pipe().expect("make a pipe");
        let (output, stdout) = pipe().expect("make a pipe");
        Stalled {
            weir: start(weir(&full(args)), stdin, stdout),
            case: format!("{args:?}"),
            input: Some(input),
            output,
        }
    }

    /// Sends all of it while nobody reads, and waits until weir has read it.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: Vec<u8>) {
        self.input = self.sending(bytes).done();
        let input = self.input.as_ref();
        let input = input.unwrap_or_else(|| panic!("{}: weir left", self.case));
        eventually("all is read", || ioctl_fionread(input) == Ok(0));
    }

    /// Begins to send all of it; gives back the producer's end, if weir stays until then.
    pub(crate) fn sending(&mut self, bytes: Vec<u8>) -> Beside<Option<PipeWriter>> {
        let mut input = self.input.take().expect("not closed yet");
        beside(move || input.write_all(&bytes).ok().map(|()| input))
    }

    /// Sends this over and over until weir leaves.
    pub(crate) fn flooding(&mut self, bytes: Vec<u8>) -> Beside<()> {
        let mut input = self.input.take().expect("not closed yet");
        beside(move || while input.write_all(&bytes).is_ok() {})
    }

    /// The consumer's end, to read from.
    pub(crate) fn output(&mut self) -> &mut PipeReader {
        &mut self.output
    }

    /// Sends all of it to a consumer that takes it in such small pieces meanwhile, then the end.
    #[track_caller]
    pub(crate) fn pass(mut self, bytes: Vec<u8>, piece: usize) -> (Vec<u8>, Ended) {
        let sending = self.sending(bytes);
        let taking = beside(move || {
            let (mut all, mut bytes) = (Vec::new(), vec![0; piece]);
            while let n @ 1.. = self.output.read(&mut bytes).expect("read") {
                all.extend_from_slice(&bytes[..n]);
            }
            all
        });
        drop(sending.done());
        (taking.done(), self.weir.end())
    }

    /// The end of input, and what the consumer gets when it comes back.
    #[track_caller]
    pub(crate) fn finish(mut self) -> (Vec<u8>, Ended) {
        self.input = None;
        (collect(self.output).done(), self.weir.end())
    }

    /// What weir has written already when it ends without any more reading; the producer stays.
    #[track_caller]
    pub(crate) fn end(self) -> (Vec<u8>, Ended) {
        let ended = self.weir.end();
        (collect(self.output).done(), ended)
    }

    /// The consumer goes away; the producer stays.
    #[track_caller]
    pub(crate) fn leave(self) -> Ended {
        drop(self.output);
        self.weir.end()
    }
}

/// With a buffer of 64 KiB, unless another one is given, and a summary.
pub(crate) fn full<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let usual: &[&str] = match args.contains(&"-b") {
        true => &[],
        false => &["-b", "64KiB"],
    };
    [args, usual, &["--summary", "json"]].concat()
}

/// A place for `--shed-to`.
pub(crate) struct Overflow(TempDir);

impl Overflow {
    pub(crate) fn new() -> Overflow {
        Overflow(TempDir::new().expect("make a directory"))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("overflow.log")
    }

    pub(crate) fn name(&self) -> String {
        self.path().display().to_string()
    }

    pub(crate) fn read(&self) -> Vec<u8> {
        fs::read(self.path()).expect("read what was shed")
    }
}

/// The books of a run that succeeded and said nothing else.
#[track_caller]
pub(crate) fn success(ended: &Ended, case: &str) -> Books {
    assert!(ended.status.success(), "{case}: {ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{case}: {ended:?}");
    Books::of(ended)
}
