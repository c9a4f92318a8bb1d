//! The room, on real files.

mod boots;
mod damage;
mod failing;
pub(crate) mod faults;
mod giving_back;
mod held;
mod kills;
mod limits;
mod missing;
mod model;
mod opening;
mod over;
mod spill;
mod syncing;
mod unentered;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use super::damage::Damage;
use super::error::DiskError;
use super::format::{ENTRY_MOST, Framing};
use super::reader::{Cursor, Piece};
use super::ready::Opened;
use super::schedule::Policy;
use super::segments::Appended;
use super::spool::{Spool, SpoolOptions};
use super::state::Place;

pub(super) const BOOT: [u8; 16] = [7; 16];

/// Says that a test cannot be done here: on the terminal itself, as the tests of the binary do.
#[track_caller]
pub(super) fn skip(why: &str) {
    let all = std::env::var("WEIR_TESTS_SKIP").is_ok_and(|what| what == "nothing");
    assert!(!all, "not to be skipped: {why}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // What is printed by a macro is kept, and shown for a failure only.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// What came when does not matter to most tests.
pub(super) const NOW: u64 = 1_700_000_000_000_000_000;

/// Lines, in 1 MiB: segments of 64 KiB.
pub(super) fn small() -> SpoolOptions {
    SpoolOptions {
        bound: 1 << 20,
        framing: Framing::Lines,
        policy: Policy::Within(Duration::from_secs(3600)),
        boot: Some(BOOT),
        held_most: 32,
    }
}

pub(super) fn roomy() -> SpoolOptions {
    SpoolOptions {
        bound: 1 << 30,
        ..small()
    }
}

pub(super) fn open(path: &Path, options: &SpoolOptions) -> Opened {
    Spool::open(path, options).unwrap_or_else(|error| panic!("{error}"))
}

impl Spool {
    /// Appends as much of it as there is room for.
    pub(crate) fn append_some(&self, bytes: &[u8], arrival: u64) -> Result<Appended, DiskError> {
        let put = self.append(bytes, arrival)?;
        if put.is_ok() {
            self.changed();
        }
        Ok(put.map_or_else(Appended::Full, |put| {
            Appended::Bytes((put.end - put.start) as usize)
        }))
    }

    /// While this is done the disk does not answer whoever forces something there.
    pub(crate) fn while_disk_hangs(&self, what: impl FnOnce()) {
        let never_done = || {
            what();
            Err::<(), ()>(())
        };
        self.syncs.one(never_done).unwrap_err();
    }

    /// Forces all of it to the disk. What was found to be lost by that.
    fn sync_and_find(&self) -> Result<Vec<Damage>, DiskError> {
        self.sync()?;
        Ok(self.take_found())
    }
}

/// Appends all of it.
pub(super) fn append(spool: &Spool, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        match spool.append_some(rest, NOW).unwrap() {
            Appended::Bytes(n) => rest = &rest[n..],
            other => panic!("{other:?} with {} bytes to go", rest.len()),
        }
    }
}

/// A spool with this in it, of which nobody has had anything.
fn owed(path: &Path, text: &[u8]) -> Spool {
    let spool = open(path, &small()).spool;
    spool.set_place("stdout", Place::default()).unwrap();
    append(&spool, text);
    spool
}

/// What a reader met: bytes, and gaps in between.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// Where each run of bytes begins, and the bytes.
    pub parts: Vec<(u64, Vec<u8>)>,
    pub gaps: Vec<Damage>,
    pub unchecked: Vec<Damage>,
}

impl Story {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.parts
            .iter()
            .flat_map(|(_, bytes)| bytes)
            .copied()
            .collect()
    }

    pub(super) fn lost(&self) -> u64 {
        self.gaps.iter().map(|gap| gap.bytes).sum()
    }
}

/// Reads to the end, at most `most` bytes a time.
pub(super) fn read_all(spool: &Spool, cursor: &mut Cursor) -> Story {
    let mut story = Story::default();
    let mut buffer = vec![0; ENTRY_MOST];
    loop {
        let at = cursor.at();
        match spool.read(cursor, &mut buffer).unwrap() {
            Piece::Bytes { range, damage } => {
                story.unchecked.extend(damage);
                assert!(!range.is_empty(), "nothing at {at}");
                story.parts.push((at, buffer[range.clone()].to_vec()));
                cursor.advance(range.len() as u64);
            }
            Piece::Gap(gap) => {
                assert_eq!(gap.at, at);
                assert_eq!(cursor.at(), at + gap.bytes);
                assert!(gap.bytes > 0, "{gap}");
                story.gaps.push(gap);
            }
            Piece::Gone => panic!("{at} was given back"),
            Piece::End => return story,
        }
    }
}

pub(super) fn read_from(spool: &Spool, at: u64) -> Story {
    read_all(spool, &mut Cursor::new(at))
}

/// Numbered lines, so that each is different.
pub(super) fn lines(from: usize, count: usize) -> Vec<u8> {
    (from..from + count)
        .flat_map(|n| format!("{n:09} and what is said about it\n").into_bytes())
        .collect()
}

/// A spool with this in it, closed.
pub(super) fn filled_with(path: &Path, options: &SpoolOptions, text: Vec<u8>) -> Vec<u8> {
    let spool = open(path, options).spool;
    append(&spool, &text);
    spool.set_place("stdout", Place::default()).unwrap();
    spool.close(false, u64::MAX).unwrap();
    text
}

pub(super) fn flip(file: &Path, at: u64) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(file)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 4], at).unwrap();
}
