//! The journal of a spool's batches: which of them have been begun, how often each was tried, and what has been
//! acknowledged. Pure: bytes in, values out.
//!
//! It is a part of the [`state`](super::state), so that it changes together with the places, in one write that is
//! whole or is not there. It is written before a program is run with a batch, and when the program has ended. What lies
//! before `next` and in none of the batches has been acknowledged, in whatever order that happened: there are never
//! more batches than programs, and so it stays small. Where programs run side by side the first try of a batch may begin
//! before that of one that comes before it in the stream: that one is entered with the number 0, and no tries.
//!
//! | bytes | |
//! |---|---|
//! | 4 | 1: there is one; 0: there is none, and nothing follows |
//! | 8 | number of the last batch |
//! | 24 | the place behind all batches so far: offset, record, bytes of that record before it |
//! | 4 | batches that are begun; then for each: |
//! | 8 | its number |
//! | 4 | how many times the spool had been opened when it was begun; with its number, that is its name |
//! | 4 | tries so far |
//! | 4 | bit 0: its last record has no end; bit 1: given up, and on its way to the file for what is shed; bit 2: the byte behind it is that end, and nobody's; bits 8 to 31: tries that the end of weir cut short, so many of them at most |
//! | 8 | records that end in it |
//! | 24 | its place |
//! | 8 | offset behind its last byte |
//! | 8 | bytes before that of a record that goes on behind it |

use super::format::{u32_at, u64_at};
use super::place::Place;

/// Batches that are begun at a time, at most: they have to fit into the state.
pub(crate) const BATCHES_MOST: usize = 400;

/// Tries of a batch that were cut short are counted up to here.
const INTERRUPTED_MOST: u32 = (1 << 24) - 1;

/// A batch that has been begun, and not been acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub number: u64,
    /// The opening in which it was begun.
    pub opening: u32,
    pub tries: u32,
    /// Those of them that were cut short, for weir was told to end: they say nothing of the batch.
    pub interrupted: u32,
    /// Its last record has no end.
    pub is_open: bool,
    /// It was given up, and is on its way to the file for what is shed.
    pub is_shed: bool,
    /// Its last record got its end when it had been tried: one byte behind it, which is nobody's while it is a batch.
    pub is_ended: bool,
    pub records: u64,
    pub place: Place,
    /// Offset behind its last byte.
    pub end: u64,
    /// Bytes before that of a record that goes on behind it.
    pub begun: u64,
}

impl Entry {
    /// The place behind it.
    pub(crate) fn behind(&self) -> Place {
        Place {
            at: self.end,
            record: self.place.record + self.records,
            begun: self.begun,
        }
    }

    /// The same where it is no batch any more, but a part of the stream.
    pub(crate) fn whole(&self) -> Place {
        let behind = self.behind();
        match self.is_ended {
            true => Place {
                at: behind.at + 1,
                record: behind.record + 1,
                begun: 0,
            },
            false => behind,
        }
    }

    /// Whether this is what is known of a part of the stream that holds that batch.
    fn is_ahead_of(&self, batch: &Entry) -> bool {
        self.number == 0 && self.place.at <= batch.place.at && batch.end <= self.end
    }
}

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Journal {
    /// Number of the last batch.
    pub last: u64,
    /// The place behind all of them.
    pub next: Place,
    /// Those that are begun, in the order of the stream.
    pub open: Vec<Entry>,
}

impl Journal {
    /// Of a stream that has been delivered up to here.
    pub(crate) fn at(next: Place) -> Journal {
        Journal {
            next,
            ..Journal::default()
        }
    }

    /// These batches are closed, and one that comes behind them is to begin. What lies before [`next`](Self::next) was
    /// begun in the meantime, and may have ended.
    pub(crate) fn close(&mut self, untried: &[Entry]) {
        for entry in untried {
            if entry.place.at >= self.next.at {
                self.begin(*entry);
            }
        }
    }

    /// A batch is begun, or tried again. Says what is known of it.
    pub(crate) fn begin(&mut self, entry: Entry) -> Entry {
        self.last = self.last.max(entry.number);
        if let Some(known) = self.open.iter_mut().find(|it| it.number == entry.number) {
            known.tries = entry.tries;
            return *known;
        }
        let next = entry.behind();
        let before = self.open.iter().position(|it| it.is_ahead_of(&entry));
        if let Some(ahead) = before {
            // What lies around it is another's, whose turn comes.
            let ahead = self.open.remove(ahead);
            self.reserve(ahead.place, entry.place);
            self.reserve(next, ahead.behind());
        } else {
            self.reserve(self.next, entry.place);
            self.next = next;
        }
        self.insert(entry);
        entry
    }

    /// This part of the stream is in batches that have not been tried.
    fn reserve(&mut self, from: Place, to: Place) {
        if from.at < to.at {
            self.insert(Entry {
                number: 0,
                opening: 0,
                tries: 0,
                interrupted: 0,
                is_open: false,
                is_shed: false,
                is_ended: false,
                records: to.record.saturating_sub(from.record),
                place: from,
                end: to.at,
                begun: to.begun,
            });
        }
    }

    fn insert(&mut self, entry: Entry) {
        let behind = self.open.partition_point(|it| it.place.at < entry.place.at);
        self.open.insert(behind, entry);
    }

    /// What was never tried becomes batches of their own, of this opening.
    pub(crate) fn adopt(&mut self, opening: u32) {
        for entry in self.open.iter_mut().filter(|it| it.number == 0) {
            self.last += 1;
            (entry.number, entry.opening) = (self.last, opening);
        }
    }

    /// The try of a batch that is under way is cut short by the end of weir, and comes again. Where weir dies itself that
    /// is not known, and its program may be the reason: such a try is as good as a failure.
    pub(crate) fn interrupt(&mut self, number: u64) {
        if let Some(known) = self.open.iter_mut().find(|it| it.number == number) {
            known.interrupted = (known.interrupted + 1).min(INTERRUPTED_MOST);
        }
    }

    /// No program was run with a batch, which has been tried so often: what was entered is no try.
    pub(crate) fn give_back(&mut self, number: u64, tries: u32) {
        if let Some(known) = self.open.iter_mut().find(|it| it.number == number) {
            known.tries = known.tries.min(tries);
        }
    }

    /// A batch is nobody's any more.
    pub(crate) fn remove(&mut self, number: u64) {
        self.open.retain(|it| it.number != number);
    }

    /// A batch is given up, and is on its way to the file for what is shed. Where there are too many of these, the
    /// first of them are not known any more.
    pub(crate) fn shed(&mut self, number: u64) {
        if let Some(known) = self.open.iter_mut().find(|it| it.number == number) {
            known.is_shed = true;
        }
        while self.open.len() >= BATCHES_MOST
            && let Some(first) = self.open.iter().position(|it| it.is_shed)
        {
            self.open.remove(first);
        }
    }

    /// The file for what is shed has what lies between these offsets; it gets each batch in order.
    pub(crate) fn on_shed_written(&mut self, from: u64, to: u64) {
        let has_ended = |it: &Entry| it.is_shed && from < it.end && it.end <= to;
        self.open.retain(|it| !has_ended(it));
    }

    /// What came before this place is not there any more.
    pub(crate) fn forget_before(&mut self, oldest: Place) {
        self.open.retain(|it| it.end > oldest.at);
        for entry in self.open.iter_mut().filter(|it| it.place.at < oldest.at) {
            entry.records = entry.behind().record.saturating_sub(oldest.record);
            entry.place = oldest;
        }
        if self.next.at < oldest.at {
            self.next = oldest;
        }
    }

    /// There is no such file: what was on its way there is tried again.
    pub(crate) fn shed_none(&mut self) {
        self.open.iter_mut().for_each(|it| it.is_shed = false);
    }

    /// The record in which the stream ended at this offset is over, and what comes next begins at `behind`. A batch that
    /// was tried comes again as it was; one that nobody has had gets that record whole.
    pub(super) fn end_record(&mut self, at: u64, behind: Place) {
        for entry in self.open.iter_mut().filter(|it| it.end == at) {
            match entry.tries {
                0 => {
                    entry.records = behind.record.saturating_sub(entry.place.record);
                    (entry.end, entry.begun, entry.is_open) = (behind.at, 0, false);
                }
                _ => entry.is_ended = behind.at > at,
            }
        }
        if self.next.at == at {
            self.next = behind;
        }
    }

    /// All before this place has been delivered as a stream. Says what is next.
    pub(crate) fn pass(&mut self, place: Place) -> Place {
        self.open.retain(|it| it.whole().at > place.at);
        let next = self.low();
        if place.at > next.at { place } else { next }
    }

    /// Before this place all has been acknowledged.
    pub(crate) fn low(&self) -> Place {
        self.open.first().map_or(self.next, |first| first.place)
    }

    pub(super) fn encode(journal: Option<&Journal>, into: &mut Vec<u8>) {
        into.extend_from_slice(&u32::from(journal.is_some()).to_le_bytes());
        let Some(journal) = journal else { return };
        into.extend_from_slice(&journal.last.to_le_bytes());
        encode_place(journal.next, into);
        // No more than a state has room for.
        into.extend_from_slice(&(journal.open.len() as u32).to_le_bytes());
        for entry in &journal.open {
            into.extend_from_slice(&entry.number.to_le_bytes());
            into.extend_from_slice(&entry.opening.to_le_bytes());
            into.extend_from_slice(&entry.tries.to_le_bytes());
            let flags = u32::from(entry.is_open)
                | u32::from(entry.is_shed) << 1
                | u32::from(entry.is_ended) << 2
                | entry.interrupted.min(INTERRUPTED_MOST) << 8;
            into.extend_from_slice(&flags.to_le_bytes());
            into.extend_from_slice(&entry.records.to_le_bytes());
            encode_place(entry.place, into);
            into.extend_from_slice(&entry.end.to_le_bytes());
            into.extend_from_slice(&entry.begun.to_le_bytes());
        }
    }

    /// The journal in these bytes, if there is one; `None` where they are none of ours.
    pub(super) fn decode(bytes: &[u8]) -> Option<Option<Journal>> {
        let (head, rest) = bytes.split_at_checked(4)?;
        match u32_at(head, 0) {
            0 => return Some(None),
            1 => {}
            _ => return None,
        }
        let (head, mut rest) = rest.split_at_checked(36)?;
        let mut open = Vec::new();
        for _ in 0..u32_at(head, 32) {
            let (entry, behind) = rest.split_at_checked(68)?;
            let flags = u32_at(entry, 16);
            open.push(Entry {
                number: u64_at(entry, 0),
                opening: u32_at(entry, 8),
                tries: u32_at(entry, 12),
                interrupted: flags >> 8,
                is_open: flags & 1 != 0,
                is_shed: flags & 2 != 0,
                is_ended: flags & 4 != 0,
                records: u64_at(entry, 20),
                place: decode_place(entry, 28),
                end: u64_at(entry, 52),
                begun: u64_at(entry, 60),
            });
            rest = behind;
        }
        let is_whole = open.iter().all(|it| it.place.at <= it.end);
        is_whole.then_some(Some(Journal {
            last: u64_at(head, 0),
            next: decode_place(head, 8),
            open,
        }))
    }
}

fn encode_place(place: Place, into: &mut Vec<u8>) {
    for number in [place.at, place.record, place.begun] {
        into.extend_from_slice(&number.to_le_bytes());
    }
}

fn decode_place(bytes: &[u8], at: usize) -> Place {
    Place {
        at: u64_at(bytes, at),
        record: u64_at(bytes, at + 8),
        begun: u64_at(bytes, at + 16),
    }
}

#[cfg(test)]
mod tests;
