//! Which lane each record belongs to, and whether it is to be kept: found out where it is read, outside the lock.
//!
//! A record may come in many pieces. The beginning of one that has not ended yet is kept aside, for a pattern has to
//! see it in one piece; of a very long one only so much is looked at.
//!
//! Invariant: for every record that ends in what was read there is one entry, in order.

use std::ops::Range;

use super::record::{Cursor, Framing};
use crate::units::{Key, Pattern};

/// Bytes of a record that are looked at.
const LOOK_MOST: usize = 64 * 1024;

/// What tells the lanes apart, and what is to be kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sorter {
    /// What tells the lane of a record; without it all are in one.
    pub key: Option<Key>,
    /// Records that match this go only when nothing else is left.
    pub keep: Option<Pattern>,
}

/// What was found out about a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sorted {
    /// Its length, as far as it has come by without a gap.
    pub length: u64,
    /// Where among the keys its own is.
    pub(super) key: Option<Range<usize>>,
    /// It is to be kept.
    pub kept: bool,
}

/// The records that end in a piece of the stream.
#[derive(Debug, Default)]
pub(crate) struct Sorting {
    sorter: Sorter,
    records: Vec<Sorted>,
    keys: Vec<u8>,
    /// The beginning of the record in progress.
    begun: Vec<u8>,
    /// How much of it has come by.
    depth: u64,
}

impl Sorting {
    /// Nothing has been looked at yet.
    pub(crate) fn new(sorter: Sorter) -> Sorting {
        Sorting {
            sorter,
            ..Sorting::default()
        }
    }

    /// Something may have passed unseen.
    pub(crate) fn forget(&mut self) {
        self.begun.clear();
        self.depth = u64::MAX;
    }

    /// Looks at what was read, which begins at this place of the stream.
    pub(crate) fn sort(&mut self, at: Cursor, pieces: [&[u8]; 2]) {
        self.records.clear();
        self.keys.clear();
        if self.depth != at.depth() {
            // The beginning of this record has passed by another way, or has not been looked at.
            self.begun.clear();
            self.depth = at.depth();
        }
        let Some(framing) = at.framing() else { return };
        for piece in pieces {
            self.sort_piece(framing, piece);
        }
    }

    fn sort_piece(&mut self, framing: Framing, bytes: &[u8]) {
        let mut from = 0;
        match framing {
            Framing::Terminator(end) => {
                for at in memchr::memchr_iter(end, bytes) {
                    self.end_record(&bytes[from..=at], 1);
                    from = at + 1;
                }
            }
            Framing::Fixed(size) => {
                while let Ok(left) = usize::try_from(size.get() - self.depth)
                    && let Some(piece) = bytes[from..].get(..left)
                {
                    self.end_record(piece, 0);
                    from += left;
                }
            }
        }
        self.go_on(&bytes[from..]);
    }

    /// With this piece a record ends; so many bytes of it are its terminator.
    fn end_record(&mut self, piece: &[u8], terminator: usize) {
        if self.depth == 0 {
            return self.add(&piece[..piece.len() - terminator], piece.len() as u64);
        }
        self.go_on(piece);
        let mut begun = std::mem::take(&mut self.begun);
        let is_whole = begun.len() as u64 == self.depth;
        let content = begun.len() - if is_whole { terminator } else { 0 };
        self.add(&begun[..content], self.depth);
        begun.clear();
        self.begun = begun;
        self.depth = 0;
    }

    /// This goes on with the record in progress.
    fn go_on(&mut self, piece: &[u8]) {
        self.depth += piece.len() as u64;
        let most = LOOK_MOST - self.begun.len();
        self.begun
            .extend_from_slice(&piece[..piece.len().min(most)]);
    }

    fn add(&mut self, record: &[u8], length: u64) {
        let record = &record[..record.len().min(LOOK_MOST)];
        let key = self.sorter.key.as_ref().and_then(|key| key.of(record));
        let key = key.map(|key| {
            let last = self.records.last().and_then(|last| last.key.clone());
            match last {
                Some(last) if self.keys[last.clone()] == *key => last,
                _ => {
                    let from = self.keys.len();
                    self.keys.extend_from_slice(key);
                    from..self.keys.len()
                }
            }
        });
        let kept = self
            .sorter
            .keep
            .as_ref()
            .is_some_and(|it| it.is_match(record));
        self.records.push(Sorted { length, key, kept });
    }

    /// What was read last ends in the middle of a record that never will end: it is one.
    pub(crate) fn sort_last(&mut self) -> Option<(Option<&[u8]>, bool, u64)> {
        let length = std::mem::take(&mut self.depth);
        let begun = std::mem::take(&mut self.begun);
        if length == 0 {
            return None;
        }
        self.records.clear();
        self.keys.clear();
        self.add(&begun, length);
        let record = self.records.first()?;
        Some((self.key_of(record), record.kept, length))
    }

    /// The records that end in what was read last.
    pub(crate) fn records(&self) -> &[Sorted] {
        &self.records
    }

    /// The key of one of them.
    pub(crate) fn key_of(&self, record: &Sorted) -> Option<&[u8]> {
        record.key.clone().map(|key| &self.keys[key])
    }
}
