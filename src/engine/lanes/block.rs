//! Records that came one after another, in one piece of memory: what there is to know of each takes eight bytes.
//!
//! Invariants: their places grow; a record that is too long for its entry is alone in its block.

use super::names::Lane;

/// Records in a block, at most; few in tests, so that there are several blocks.
pub(super) const BLOCK: usize = if cfg!(test) { 8 } else { 256 };
/// The bits that say which lane it is; the other one says whether it is kept.
const LANE: u16 = KEPT - 1;
const KEPT: u16 = 1 << 15;
/// The length of a record of which its block says more.
const LONG: u16 = u16::MAX;
/// Before the first record of a block that others are to come before, so much room is left.
const ROOM_BEFORE: u64 = 1 << 31;

/// A record that is held, or several of one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Where it lies; grows from each record to the next.
    pub(crate) at: u64,
    /// Its length in bytes, which is not zero.
    pub(crate) length: u64,
    /// The lane that it belongs to.
    pub(crate) lane: Lane,
    /// Whether it goes only when nothing else is left.
    pub(crate) kept: bool,
}

/// A record that is to come into a lane, before it is known where it lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noted {
    /// The largest number: it is longer, maybe.
    length: u32,
    about: u16,
}

impl Noted {
    #[inline]
    pub(crate) fn new(length: u64, lane: Lane, kept: bool) -> Noted {
        Noted {
            length: u32::try_from(length).unwrap_or(u32::MAX),
            about: lane.0 as u16 | if kept { KEPT } else { 0 },
        }
    }

    pub(crate) fn length(&self) -> u64 {
        u64::from(self.length)
    }

    #[inline]
    pub(crate) fn lane(&self) -> Lane {
        Lane(u32::from(self.about & LANE))
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.about & KEPT != 0
    }

    /// It is in this lane.
    pub(crate) fn put(&mut self, lane: Lane) {
        self.about = lane.0 as u16 | self.about & KEPT;
    }

    /// It lies there, and is so long.
    pub(super) fn record(self, at: u64, length: u64) -> Record {
        Record {
            at,
            length,
            lane: self.lane(),
            kept: self.is_kept(),
        }
    }

    /// It lies there; `None` where it is too long for an entry.
    #[inline]
    pub(super) fn short_record(self, at: u64) -> Option<Record> {
        let fits = self.length < u32::from(LONG);
        fits.then(|| self.record(at, u64::from(self.length)))
    }
}

/// A record that has not ended, and is in no lane yet. It goes as a whole, as the only one of a lane of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    /// Bytes that have come of it.
    pub(crate) length: u64,
    /// Whether it goes only when nothing else is left.
    pub(crate) kept: bool,
}

/// Which record of a lane goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The one that has been held longest.
    Oldest,
    /// The one that came last.
    Newest,
}

/// See the module's text.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// How far behind the place from which its block counts.
    at: u32,
    length: u16,
    about: u16,
}

impl Entry {
    #[inline]
    fn record(self, base: u64, long: u64) -> Record {
        Record {
            at: base + u64::from(self.at),
            length: match self.length {
                LONG => long,
                length => u64::from(length),
            },
            lane: Lane(u32::from(self.about & LANE)),
            kept: self.about & KEPT != 0,
        }
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Places are counted from here.
    base: u64,
    entries: Vec<Entry>,
    /// Those before this one have left.
    head: usize,
    /// The length of its only record, where that is too long for an entry.
    long: u64,
    /// Records that are not kept.
    free: usize,
    /// By whether they are kept: which lanes they may be of, by the last bits of their numbers.
    has: [u64; 2],
}

/// What an entry says about a record's lane, and whether it is kept.
#[inline]
fn about(record: Record) -> u16 {
    record.lane.0 as u16 | if record.kept { KEPT } else { 0 }
}

/// The bit of a lane.
#[inline]
pub(super) fn bit(lane: Lane) -> u64 {
    1 << (lane.0 % u64::BITS)
}

impl Block {
    /// A block for this record and those that follow.
    pub(super) fn of(first: Record) -> Block {
        let room = if first.length < u64::from(LONG) {
            BLOCK
        } else {
            1
        };
        let mut block = Block {
            base: first.at,
            entries: Vec::with_capacity(room),
            head: 0,
            long: 0,
            free: 0,
            has: [0; 2],
        };
        block.push(first);
        block
    }

    /// A block for this record and those that came before it.
    pub(super) fn up_to(last: Record) -> Block {
        let mut block = Block::of(last);
        if block.long == 0 {
            block.base = last.at.saturating_sub(ROOM_BEFORE);
            let mut entry = block.entries[0];
            entry.at = (last.at - block.base) as u32;
            block.entries.resize(BLOCK, entry);
            block.head = BLOCK - 1;
        }
        block
    }

    /// Entries for which it has memory.
    pub(super) fn room(&self) -> usize {
        if self.long > 0 { 1 } else { BLOCK }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.head
    }

    /// How many more records it takes from this place on, none of which is too long for an entry.
    pub(super) fn spare(&self, at: u64) -> usize {
        let reaches = at - self.base <= u64::from(u32::MAX) - BLOCK as u64 * u64::from(LONG);
        match self.long == 0 && reaches {
            true => BLOCK.saturating_sub(self.entries.len()),
            false => 0,
        }
    }

    /// Adds a record behind all others that it has room for.
    #[inline]
    pub(super) fn push(&mut self, record: Record) {
        let entry = self.note(record);
        self.entries.push(entry);
    }

    /// Adds a record before all others, if there is room.
    pub(super) fn push_front(&mut self, record: Record) -> bool {
        let fits = self.head > 0
            && self.long == 0
            && record.length < u64::from(LONG)
            && record.at >= self.base;
        if fits {
            self.head -= 1;
            self.entries[self.head] = self.note(record);
        }
        fits
    }

    #[inline]
    fn note(&mut self, record: Record) -> Entry {
        let Record {
            at, length, lane, ..
        } = record;
        self.free += usize::from(!record.kept);
        self.has[usize::from(record.kept)] |= bit(lane);
        if length >= u64::from(LONG) {
            self.long = length;
        }
        Entry {
            at: (at - self.base) as u32,
            length: length.min(u64::from(LONG)) as u16,
            about: about(record),
        }
    }

    /// Its records, in order.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        let held = &self.entries[self.head..];
        held.iter().map(|entry| entry.record(self.base, self.long))
    }

    /// Where its last record lies, or if nothing is left, where that lay.
    pub(super) fn last_at(&self) -> u64 {
        let last = self.entries.last();
        last.map_or(self.base, |entry| self.base + u64::from(entry.at))
    }

    /// Whether it holds records that are not kept.
    pub(super) fn is_free(&self) -> bool {
        self.free > 0
    }

    /// Whether it may hold such records of these lanes.
    pub(super) fn may_have(&self, lanes: u64, kept: bool) -> bool {
        self.has[usize::from(kept)] & lanes != 0
    }

    /// Takes out the first record.
    pub(super) fn pop(&mut self) -> Option<Record> {
        let first = self.records().next()?;
        self.head += 1;
        self.free -= usize::from(!first.kept);
        Some(first)
    }

    /// Takes the first records of the next block out of it and in behind its own, as many as there is room for.
    pub(super) fn fill_from(&mut self, next: &mut Block) {
        let reaches = next.last_at() - self.base <= u64::from(u32::MAX);
        if self.long > 0 || next.long > 0 || !reaches {
            return;
        }
        let n = next.len().min(BLOCK.saturating_sub(self.entries.len()));
        let moved = &next.entries[next.head..next.head + n];
        let free = match next.free {
            0 => 0,
            all if all == next.len() => n,
            _ => moved.iter().filter(|it| it.about & KEPT == 0).count(),
        };
        // A place may be before the one from which its block counts no longer, but not what it is away from another.
        let further = (next.base.wrapping_sub(self.base)) as u32;
        self.entries.extend(moved.iter().map(|entry| Entry {
            at: entry.at.wrapping_add(further),
            ..*entry
        }));
        self.free += free;
        next.free -= free;
        // Some of it may have stayed behind.
        self.has[0] |= next.has[0];
        self.has[1] |= next.has[1];
        next.head += n;
        if next.len() == 0 {
            let last = next.last_at();
            (next.base, next.head, next.entries) = (last, 0, Vec::new());
        }
    }

    /// Nothing is left of it; what comes behind it lies behind this place.
    pub(super) fn stands_at(&mut self, at: u64) {
        debug_assert_eq!(self.len(), 0, "something is left");
        self.base = at;
    }

    /// There is no room before its first record any more, but behind its last one.
    pub(super) fn close_front(&mut self) {
        self.entries.drain(..self.head);
        self.head = 0;
        let first = self.entries.first().map_or(0, |entry| entry.at);
        self.entries.iter_mut().for_each(|entry| entry.at -= first);
        self.base += u64::from(first);
    }

    /// Takes out those records that do not stay, looking at them from one end on.
    #[inline]
    pub(super) fn retain(&mut self, end: End, mut stays: impl FnMut(Record) -> bool) {
        let last = self.last_at();
        let mut entries = std::mem::take(&mut self.entries);
        let (base, long) = (self.base, self.long);
        let (mut has, mut free) = ([0; 2], 0);
        // One loop for both ends: what is to be done with a record stands in it, and is not called. Turned round twice, what
        // stays lies at the end.
        let held = &mut entries[self.head..];
        if end == End::Newest {
            held.reverse();
        }
        let mut left = 0;
        for i in 0..held.len() {
            let entry = held[i];
            let record = entry.record(base, long);
            if stays(record) {
                has[usize::from(record.kept)] |= bit(record.lane);
                free += usize::from(!record.kept);
                held[left] = entry;
                left += 1;
            }
        }
        match end {
            End::Oldest => entries.truncate(self.head + left),
            End::Newest => {
                held.reverse();
                self.head = entries.len() - left;
            }
        }
        (self.has, self.free) = (has, free);
        if self.head == entries.len() {
            (self.base, self.head) = (last, 0);
        } else {
            self.entries = entries;
        }
    }
}
