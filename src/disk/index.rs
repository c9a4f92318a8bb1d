//! The index of a segment: entries appended while it is written, and found again by offset.
//!
//! Nothing of it is kept in memory but one block, however long it is. An entry that has been
//! changed is not believed; what it covered is then a hole between its neighbours.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::file::{read_at, write_all};
use super::format::{ENTRY_MOST, Entry, IndexHeader, ROW, Read};
use super::room::{Full, PAGE, Room, pages, reserve};
use super::segments::Segment;
use super::sys;

/// Entries read at once: a page of them.
const BLOCK: u64 = 64;

/// The index of the segment that is being written.
#[derive(Debug)]
pub(crate) struct IndexWriter {
    file: Arc<File>,
    rows: u64,
    reserved: u64,
}

impl IndexWriter {
    /// Begins an index.
    pub(crate) fn begin(file: File, header: &IndexHeader) -> Result<IndexWriter, Errno> {
        write_all(&file, &header.encode(), 0)?;
        Ok(IndexWriter {
            file: Arc::new(file),
            rows: 1,
            reserved: 0,
        })
    }

    /// Goes on behind the given number of rows, the header included.
    pub(crate) fn resume(file: File, rows: u64) -> IndexWriter {
        IndexWriter {
            file: Arc::new(file),
            rows,
            reserved: rows * ROW as u64,
        }
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Rows, the header included.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.rows * ROW as u64
    }

    /// Makes sure that two more entries fit, before anything is taken that will need them.
    pub(crate) fn ready(
        &mut self,
        room: &Room,
        segment: &Segment,
    ) -> Result<Result<(), Full>, Errno> {
        if (self.rows + 2) * ROW as u64 <= self.reserved {
            return Ok(Ok(()));
        }
        Ok(reserve(&self.file, self.reserved, PAGE, room)?.map(|got| {
            self.reserved += got;
            segment.charge(got);
        }))
    }

    /// Gives back the room that was taken and not used.
    pub(crate) fn finish(self, room: &Room, segment: &Segment) {
        let len = self.len();
        let unused = self.reserved.saturating_sub(pages(len));
        if unused > 0 && sys::truncate(&self.file, len).is_ok() {
            segment.uncharge(unused);
            room.give_back(unused);
        }
    }

    /// Appends an entry.
    pub(crate) fn push(&mut self, entry: &Entry) -> Result<(), Errno> {
        write_all(&self.file, &entry.encode(), self.rows * ROW as u64)?;
        self.rows += 1;
        Ok(())
    }
}

/// What an index says of an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// The entry that holds it, and its row.
    Entry(u64, Entry),
    /// No entry that can be believed. The nearest ones leave this open; if that is the place of one
    /// entry, `suspect` is what it says.
    Hole {
        from: u64,
        to: u64,
        suspect: Option<(u64, Entry)>,
    },
}

/// An index being read.
#[derive(Debug)]
pub(crate) struct Index {
    file: Arc<File>,
    /// Rows that the file has, the header included.
    rows: u64,
    block: Vec<u8>,
    block_at: u64,
    /// The row after the last one that was found.
    next: u64,
}

impl Index {
    pub(crate) fn open(file: File) -> io::Result<Index> {
        let mut index = Index {
            file: Arc::new(file),
            rows: 0,
            block: Vec::new(),
            block_at: 0,
            next: 1,
        };
        index.refresh()?;
        Ok(index)
    }

    /// Sees entries that have been appended since.
    pub(crate) fn refresh(&mut self) -> io::Result<()> {
        self.rows = self.file.metadata()?.len() / ROW as u64;
        self.block.clear();
        Ok(())
    }

    /// Rows, the header included.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn header(&mut self) -> io::Result<Read<IndexHeader>> {
        Ok(match self.row(0)? {
            Some(row) => IndexHeader::decode(&row),
            None => Read::Damaged,
        })
    }

    fn row(&mut self, number: u64) -> io::Result<Option<[u8; ROW]>> {
        let have = self.block.len() as u64 / ROW as u64;
        if number < self.block_at || number >= self.block_at + have {
            if number >= self.rows {
                return Ok(None);
            }
            self.block_at = number / BLOCK * BLOCK;
            self.block.resize(BLOCK as usize * ROW, 0);
            let len = read_at(&self.file, &mut self.block, self.block_at * ROW as u64)?;
            self.block.truncate(len / ROW * ROW);
        }
        let at = (number - self.block_at) as usize * ROW;
        let bytes = self.block.get(at..at + ROW);
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()))
    }

    /// The entry in that row, if there is one that can be believed.
    pub(crate) fn entry(&mut self, number: u64) -> io::Result<Option<Entry>> {
        Ok(self.row(number)?.and_then(|row| Entry::decode(&row)))
    }

    /// The last entry that can be believed, and its row.
    pub(crate) fn last(&mut self) -> io::Result<Option<(u64, Entry)>> {
        for number in (1..self.rows).rev() {
            if let Some(entry) = self.entry(number)? {
                return Ok(Some((number, entry)));
            }
        }
        Ok(None)
    }

    /// What is said of an offset in a segment that reaches from `base` to `end`.
    pub(crate) fn find(&mut self, at: u64, base: u64, end: u64) -> io::Result<Found> {
        if let Some(entry) = self.entry(self.next)?
            && entry.holds(at)
        {
            self.next += 1;
            return Ok(Found::Entry(self.next - 1, entry));
        }
        let before = self.last_at_or_before(at)?;
        if let Some((row, entry)) = before
            && entry.holds(at)
        {
            self.next = row + 1;
            return Ok(Found::Entry(row, entry));
        }
        let first_row = before.map_or(1, |(row, _)| row + 1);
        let behind = self.first_believed(first_row)?;
        let from = before.map_or(base, |(_, entry)| entry.end());
        let to = behind.map_or(end, |(_, entry)| entry.at).max(from);
        let rows_open = behind.map_or(self.rows, |(row, _)| row) - first_row.min(self.rows);
        let suspect = match self.row(first_row)? {
            Some(row) if rows_open == 1 && to - from <= ENTRY_MOST as u64 => {
                Some((first_row, Entry::decode_unchecked(&row)))
            }
            _ => None,
        };
        Ok(Found::Hole { from, to, suspect })
    }

    /// The last entry that begins at or before `at`, among those that can be believed.
    fn last_at_or_before(&mut self, at: u64) -> io::Result<Option<(u64, Entry)>> {
        let (mut low, mut high) = (1, self.rows);
        let mut best = None;
        while low < high {
            let middle = u64::midpoint(low, high);
            match self.first_believed(middle)?.filter(|(row, _)| *row < high) {
                Some((row, entry)) if entry.at <= at => {
                    best = Some((row, entry));
                    low = row + 1;
                }
                _ => high = middle,
            }
        }
        Ok(best)
    }

    /// The first entry from that row on that can be believed.
    fn first_believed(&mut self, from: u64) -> io::Result<Option<(u64, Entry)>> {
        for row in from..self.rows {
            if let Some(entry) = self.entry(row)? {
                return Ok(Some((row, entry)));
            }
        }
        Ok(None)
    }
}

/// Writes over the entry in a row: its bytes are not to be delivered.
pub(crate) fn cut_out(file: &File, row: u64, entry: Entry) -> Result<(), Errno> {
    let entry = Entry {
        damaged: true,
        ..entry
    };
    write_all(file, &entry.encode(), row * ROW as u64)
}
