//! What was seen of a piece of the stream that went by: its bytes, its records, and the place behind it.

use super::record::{Cursor, Tally};

/// Bytes that went by: how many, the records in them, and where the stream stands now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Run {
    /// Bytes.
    pub bytes: usize,
    /// Records.
    pub tally: Tally,
    /// The place after them.
    pub cursor: Cursor,
}

impl Run {
    /// Nothing yet.
    #[must_use]
    pub(crate) fn at(cursor: Cursor) -> Run {
        Run {
            bytes: 0,
            tally: Tally::default(),
            cursor,
        }
    }

    /// The run of `bytes` from `cursor` on.
    #[must_use]
    pub(crate) fn over(cursor: Cursor, bytes: &[u8]) -> Run {
        let mut run = Run::at(cursor);
        run.add(bytes);
        run
    }

    /// Goes on over `bytes`.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let more = self.cursor.pass(bytes);
        self.bytes += bytes.len();
        self.tally.begun += more.begun;
        self.tally.ended += more.ended;
    }
}

/// Bytes that came in, and where records end in them: looked at outside the lock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Bytes.
    pub bytes: usize,
    /// Records that begin in them, and that end in them.
    pub begun: u64,
    /// See there.
    pub ends: u64,
    /// The lengths up to the end of the first such record, and of the last; 0 where there is none.
    pub first_end: usize,
    /// See there.
    pub last_end: usize,
    /// The place after them.
    pub cursor: Cursor,
}

impl Scan {
    /// Of `bytes` from `cursor` on.
    #[must_use]
    pub(crate) fn over(cursor: Cursor, bytes: &[u8]) -> Scan {
        let mut after = cursor;
        let (tally, first_end) = after.pass_seeing(bytes);
        let last_end = match tally.ended {
            0 => 0,
            _ => bytes.len() - usize::try_from(after.depth()).unwrap_or(0),
        };
        Scan {
            bytes: bytes.len(),
            begun: tally.begun,
            ends: tally.ended,
            first_end,
            last_end,
            cursor: after,
        }
    }

    /// The length up to the end of the first record, if one ends here.
    pub(crate) fn seen_first_end(&self) -> Option<usize> {
        (self.ends > 0).then_some(self.first_end)
    }

    /// Both, one behind the other.
    #[must_use]
    pub(crate) fn sum([first, second]: [Scan; 2]) -> Run {
        Run {
            bytes: first.bytes + second.bytes,
            tally: Tally {
                begun: first.begun + second.begun,
                ended: first.ends + second.ends,
            },
            cursor: second.cursor,
        }
    }
}
