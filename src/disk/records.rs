//! Counts the records of a stream as it goes by. Pure.

use super::format::{Entry, Framing};

/// How far the stream has come, in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Records {
    framing: Framing,
    /// Number of the record that the next byte belongs to.
    next: u64,
    /// Bytes of that record which have come, as far as that is known; more than none where any have.
    begun: u64,
}

impl Records {
    /// Goes on in this record, of which so many bytes have come.
    pub(crate) fn new(framing: Framing, next: u64, begun: u64) -> Records {
        Records {
            framing,
            next,
            begun,
        }
    }

    /// Goes on behind an entry, of which `bytes` are the last ones that can be read: all of them where they may be needed.
    /// Where there are none, and it does not say so itself, a record ends with it.
    pub(crate) fn behind(
        framing: Framing,
        entry: &Entry,
        bytes: impl FnOnce() -> Vec<u8>,
    ) -> Records {
        let all = entry.begun + u64::from(entry.len);
        let begun = match framing {
            Framing::Bytes => 0,
            // What was cut off there is gone.
            _ if entry.damaged && entry.at_record == Some(true) => 0,
            Framing::Fixed(size) => all % size.max(1),
            Framing::Lines | Framing::Zero if entry.at_record == Some(true) => 0,
            Framing::Lines | Framing::Zero if entry.at_record.is_some() && entry.records == 0 => {
                all
            }
            Framing::Lines => behind_last(b'\n', &bytes(), entry),
            Framing::Zero => behind_last(0, &bytes(), entry),
        };
        Records {
            framing,
            next: entry.first_record + u64::from(entry.records),
            begun,
        }
    }

    /// What makes a record.
    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// Bytes of that record which have come already.
    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    /// What comes next begins a record.
    pub(crate) fn anew(self) -> Records {
        Records { begun: 0, ..self }
    }

    /// Number of the record that the next byte belongs to.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Records that end in `bytes`, which come next.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> u32 {
        let ended = match self.framing {
            Framing::Bytes => return 0,
            Framing::Lines => self.pass_terminated(b'\n', bytes),
            Framing::Zero => self.pass_terminated(0, bytes),
            Framing::Fixed(size) => {
                let size = size.max(1);
                let all = self.begun + bytes.len() as u64;
                self.begun = all % size;
                all / size
            }
        };
        self.next += ended;
        // No entry has more bytes than this type can count.
        u32::try_from(ended).unwrap_or(u32::MAX)
    }

    fn pass_terminated(&mut self, terminator: u8, bytes: &[u8]) -> u64 {
        let all = self.begun + bytes.len() as u64;
        let last = memchr::memrchr(terminator, bytes);
        self.begun = last.map_or(all, |at| (bytes.len() - at - 1) as u64);
        memchr::memchr_iter(terminator, bytes).count() as u64
    }
}

/// Bytes behind the last of the terminators in the last bytes of an entry.
fn behind_last(terminator: u8, bytes: &[u8], entry: &Entry) -> u64 {
    let found = match memchr::memrchr(terminator, bytes) {
        Some(at) => (bytes.len() - at - 1) as u64,
        None if entry.records == 0 && !bytes.is_empty() => entry.begun + u64::from(entry.len),
        // That much is known of them.
        None => bytes.len() as u64,
    };
    // What it says itself is not hurt with its bytes.
    found.max(u64::from(entry.at_record == Some(false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_says_that_a_record_goes_on_is_believed_whatever_its_bytes_say() {
        let entry = Entry {
            len: 3,
            records: 1,
            at_record: Some(false),
            ..Entry::default()
        };
        for (bytes, begun) in [(&b"a\nb"[..], 1), (b"a\n\n", 1), (b"", 1)] {
            let behind = Records::behind(Framing::Lines, &entry, || bytes.to_vec());
            assert_eq!(behind.begun(), begun, "{bytes:?}");
        }
    }
}
