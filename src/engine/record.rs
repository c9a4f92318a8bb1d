//! Where records begin and end, and how many have gone by.
//!
//! A record is a run of bytes up to and including its terminator, or a fixed number of bytes. A
//! last record without terminator counts when the stream is known to have ended. Bytes are looked
//! at once on their way into the log and once on their way out, or once where they bypass it, by
//! vectorised search.
//!
//! Invariant: a [`Cursor`] counts the same, however the stream is cut into pieces.

use std::num::NonZeroU64;

/// What makes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Ends with this byte.
    Terminator(u8),
    /// Is this many bytes long.
    Fixed(NonZeroU64),
}

/// A place in a stream of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    framing: Option<Framing>,
    /// Bytes of the record in progress that have gone by.
    into: u64,
}

/// What a run of bytes amounts to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Records that begin in it.
    pub begun: u64,
    /// Records that end in it.
    pub ended: u64,
}

impl Cursor {
    /// The start of a stream; without framing it counts nothing.
    #[must_use]
    pub(crate) fn new(framing: Option<Framing>) -> Cursor {
        Cursor { framing, into: 0 }
    }

    /// So far into a record.
    #[must_use]
    pub(crate) fn at(framing: Option<Framing>, depth: u64) -> Cursor {
        let into = match framing {
            Some(Framing::Fixed(size)) => depth % size,
            _ => depth,
        };
        Cursor { framing, into }
    }

    /// What makes a record.
    #[must_use]
    pub(crate) fn framing(&self) -> Option<Framing> {
        self.framing
    }

    /// Whether part of a record has gone by and the rest has not.
    #[must_use]
    pub(crate) fn is_inside(&self) -> bool {
        self.into > 0
    }

    /// Bytes of the record in progress that have gone by.
    #[must_use]
    pub(crate) fn depth(&self) -> u64 {
        self.into
    }

    /// Goes over `bytes` and counts.
    #[inline]
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Tally {
        self.pass_seeing(bytes).0
    }

    /// The same; also says the length up to the end of the first record, 0 where none ends.
    #[inline]
    pub(crate) fn pass_seeing(&mut self, bytes: &[u8]) -> (Tally, usize) {
        match self.framing.filter(|_| !bytes.is_empty()) {
            None => (Tally::default(), 0),
            Some(framing) => self.pass_records(framing, bytes),
        }
    }

    fn pass_records(&mut self, framing: Framing, bytes: &[u8]) -> (Tally, usize) {
        let inside = u64::from(self.is_inside());
        let (ended, first_end) = match framing {
            Framing::Terminator(end) => match memchr::memchr(end, bytes) {
                None => {
                    self.into += bytes.len() as u64;
                    (0, 0)
                }
                // A message, as a rule, that somebody waits for: it is looked at once.
                Some(at) if at + 1 == bytes.len() => {
                    self.into = 0;
                    (1, bytes.len())
                }
                Some(at) => {
                    let rest = &bytes[at + 1..];
                    let others = memchr::memchr_iter(end, rest).count() as u64;
                    let last = memchr::memrchr(end, rest);
                    self.into = (rest.len() - last.map_or(0, |at| at + 1)) as u64;
                    (1 + others, at + 1)
                }
            },
            Framing::Fixed(size) => {
                let first_end = size.get() - self.into;
                let total = self.into + bytes.len() as u64;
                self.into = total % size;
                let ended = total / size;
                (ended, if ended > 0 { first_end as usize } else { 0 })
            }
        };
        let begun = ended + u64::from(self.is_inside()) - inside;
        (Tally { begun, ended }, first_end)
    }

    /// The length of the longest run at the start of `bytes` that finishes the record in progress
    /// and begins at most `more` others.
    #[must_use]
    pub(crate) fn reach(&self, bytes: &[u8], more: u64) -> usize {
        let ends = more.saturating_add(u64::from(self.is_inside()));
        match self.framing {
            None => bytes.len(),
            _ if ends == 0 => 0,
            // Each record is a byte at least: no need to look.
            _ if ends >= bytes.len() as u64 => bytes.len(),
            Some(Framing::Terminator(end)) => {
                let nth = usize::try_from(ends - 1).unwrap_or(usize::MAX);
                memchr::memchr_iter(end, bytes)
                    .nth(nth)
                    .map_or(bytes.len(), |at| at + 1)
            }
            Some(Framing::Fixed(size)) => {
                let reach = ends.saturating_mul(size.get()).saturating_sub(self.into);
                usize::try_from(reach)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len())
            }
        }
    }
}
