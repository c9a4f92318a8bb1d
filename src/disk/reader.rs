//! Reading a spool back: every part is checked before it is handed out, and what is damaged is cut
//! out by its entry, counted, and set aside. The rest is delivered.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use super::damage::{Cause, Damage, set_aside};
use super::error::DiskError;
use super::file::read_at;
use super::format::{ENTRY_MOST, Entry, names};
use super::index::{Found, Index, cut_out};
use super::segments::Segment;
use super::spool::Spool;

/// A reader's place in the stream, and the files that it has open there.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    at: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    segment: Arc<Segment>,
    stream: Arc<File>,
    /// Missing, or not to be read: all of the segment is then a hole in it.
    index: Option<Index>,
}

impl Cursor {
    /// A reader whose next byte is at that offset.
    #[cfg(test)]
    pub(crate) fn new(at: u64) -> Cursor {
        Cursor { at, open: None }
    }

    /// Offset in the stream of its next byte.
    #[cfg(test)]
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Its next byte is at that offset.
    pub(crate) fn go_to(&mut self, at: u64) {
        self.at = at;
    }

    /// It has used that many of the bytes that it was given.
    #[cfg(test)]
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.at += bytes;
    }
}

/// What comes next for a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// That part of the buffer. The reader's place does not move by itself.
    Bytes {
        range: Range<usize>,
        /// Set where the bytes are delivered although something is wrong.
        damage: Option<Damage>,
    },
    /// Bytes are lost here. The reader's place is behind them. With records, what comes next may be
    /// the rest of one whose beginning is lost.
    Gap(Damage),
    /// Nobody is owed what lay here, and it has been given back, maybe while this was asked for.
    Gone,
    /// All has been read.
    End,
}

impl Spool {
    /// A reader has nothing open that was given back.
    pub(crate) fn let_go(&self, cursor: &mut Cursor) {
        let is_there = |open: &Open| {
            let holder = self.segments.at(open.segment.base());
            holder.is_some_and(|it| Arc::ptr_eq(&it, &open.segment))
        };
        cursor.open = cursor.open.take().filter(is_there);
    }

    /// Reads what comes next for `cursor` into `buffer`, which holds [`ENTRY_MOST`].
    pub(crate) fn read(&self, cursor: &mut Cursor, buffer: &mut [u8]) -> Result<Piece, DiskError> {
        let at = cursor.at;
        let end = self.end().at;
        let segment = self.segments.at_or_after(at);
        let here = segment.as_ref().filter(|segment| segment.base() <= at);
        let open = here.map(|segment| self.open_for(cursor, segment));
        // Only now: what was opened before is there to be read, whatever becomes of it.
        if at < self.given_back() {
            return Ok(Piece::Gone);
        }
        let Some(segment) = segment else {
            if at >= end {
                return Ok(Piece::End);
            }
            let name = self.directory.path().display().to_string();
            return Ok(self.missing(cursor, end, &name));
        };
        let name = || segment.path().display().to_string();
        let Some(open) = open else {
            return Ok(self.missing(cursor, segment.base(), &format!("before {}", name())));
        };
        let Some(mut open) = open? else {
            return Ok(self.missing(cursor, segment.end(), &name()));
        };
        let piece = self.read_from(&mut open, cursor, buffer);
        cursor.open = Some(open);
        piece
    }

    /// Keeps what is cut out at this offset as a file; its name, if that could be done.
    pub(crate) fn set_aside(&self, at: u64, bytes: &[u8]) -> Option<String> {
        set_aside(&self.directory, at, bytes)
    }

    fn missing(&self, cursor: &mut Cursor, to: u64, name: &str) -> Piece {
        let mut damage = Damage::new(Cause::Missing, name, cursor.at, to - cursor.at, 0);
        self.count_records(&mut damage);
        self.count_loss(&damage);
        cursor.at = to;
        Piece::Gap(damage)
    }

    /// The files at the cursor; `None` where the stream's is gone.
    fn open_for(
        &self,
        cursor: &mut Cursor,
        segment: &Arc<Segment>,
    ) -> Result<Option<Open>, DiskError> {
        if let Some(open) = cursor.open.take()
            && Arc::ptr_eq(&open.segment, segment)
        {
            return Ok(Some(open));
        }
        let (stream_name, index_name) = names(segment.base());
        let stream = match segment.file(|| self.directory.read_file(&stream_name)) {
            Ok(stream) => stream,
            Err(_) if !self.directory.has(&stream_name) => return Ok(None),
            Err(error) => return Err(error),
        };
        let index = self.directory.open_file(&index_name);
        let index = match index {
            Ok(file) => Some(file),
            Err(_) => self.directory.read_if_there(&index_name)?,
        };
        Ok(Some(Open {
            segment: Arc::clone(segment),
            stream,
            index: index.and_then(|file| Index::open(file).ok()),
        }))
    }

    fn read_from(
        &self,
        open: &mut Open,
        cursor: &mut Cursor,
        buffer: &mut [u8],
    ) -> Result<Piece, DiskError> {
        let entered = open.segment.entered();
        if cursor.at >= entered {
            // Ours, and so new that it is not entered yet: the system has it as it was written.
            let to = open.segment.end();
            return self.read_plain(open, cursor, to, buffer, None);
        }
        match open.find(cursor.at, entered) {
            Found::Entry(row, entry) => self.read_entry(open, cursor, row, entry, None, buffer),
            Found::Hole {
                from,
                to,
                suspect: Some((row, suspect)),
                ..
            } => {
                // One entry has been changed. Its neighbours tell where its bytes are, and if its
                // checksum is right for them, they are what was written.
                let entry = Entry {
                    at: from,
                    len: u32::try_from(to - from).unwrap_or(u32::MAX),
                    damaged: false,
                    ..suspect
                };
                let damage = open.index_damage(cursor.at, to);
                self.read_entry(open, cursor, row, entry, Some(damage), buffer)
            }
            Found::Hole { to, .. }
                if to <= self.trusted.max(self.inherited_live(&open.segment)) =>
            {
                // The index of what is ours goes only with the whole directory, which is said by who forces that to the disk.
                let is_gone = open.index.is_none() && open.segment.base() >= self.opened_at.at;
                let most = to.min(cursor.at + ENTRY_MOST as u64);
                let damage = (!is_gone).then(|| open.index_damage(cursor.at, most));
                self.read_plain(open, cursor, to, buffer, damage)
            }
            Found::Hole { from, to, .. } => {
                Ok(self.cut(open, cursor, None, (from, to), Cause::Checksum, &[]))
            }
        }
    }

    /// What this process wrote is good in any case.
    fn inherited_live(&self, segment: &Segment) -> u64 {
        if segment.base() >= self.opened_at.at {
            segment.end()
        } else {
            0
        }
    }

    fn read_plain(
        &self,
        open: &Open,
        cursor: &mut Cursor,
        to: u64,
        buffer: &mut [u8],
        damage: Option<Damage>,
    ) -> Result<Piece, DiskError> {
        let len = (to - cursor.at).min(ENTRY_MOST as u64) as usize;
        let from = cursor.at - open.segment.base();
        match read_at(&open.stream, &mut buffer[..len], from) {
            Ok(0) => {
                let range = (cursor.at, to);
                Ok(self.cut(open, cursor, None, range, Cause::Missing, &[]))
            }
            Ok(got) => Ok(Piece::Bytes {
                range: 0..got,
                damage,
            }),
            Err(_) => {
                let range = (cursor.at, cursor.at + len as u64);
                Ok(self.cut(open, cursor, None, range, Cause::Unreadable, &[]))
            }
        }
    }

    fn read_entry(
        &self,
        open: &Open,
        cursor: &mut Cursor,
        row: u64,
        entry: Entry,
        damage: Option<Damage>,
        buffer: &mut [u8],
    ) -> Result<Piece, DiskError> {
        let range = (entry.at, entry.end());
        if entry.damaged {
            let mut gap = open.damage(Cause::Checksum, cursor.at, range.1);
            self.count_rest(&mut gap, &entry);
            gap.known = true;
            cursor.at = range.1;
            return Ok(Piece::Gap(gap));
        }
        // No entry is longer; one that says so is not what was written.
        let len = (entry.len as usize).min(ENTRY_MOST);
        let from = entry.at - open.segment.base();
        let got = read_at(&open.stream, &mut buffer[..len], from);
        let bytes = &buffer[..*got.as_ref().unwrap_or(&0)];
        if entry.matches(bytes) {
            // The offset is in the entry, and the entry is no longer than its type allows.
            let skip = (cursor.at - entry.at) as usize;
            return Ok(Piece::Bytes {
                range: skip..bytes.len(),
                damage,
            });
        }
        let cause = match got {
            Err(_) => Cause::Unreadable,
            Ok(got) if got < entry.len as usize => Cause::Missing,
            Ok(_) => Cause::Checksum,
        };
        Ok(self.cut(open, cursor, Some((row, entry)), range, cause, bytes))
    }

    /// Cuts out a part of the stream: `bytes` is what is left of it. The reader goes on behind it.
    fn cut(
        &self,
        open: &Open,
        cursor: &mut Cursor,
        entry: Option<(u64, Entry)>,
        (from, to): (u64, u64),
        cause: Cause,
        bytes: &[u8],
    ) -> Piece {
        let mut rest = Vec::new();
        if entry.is_none() && cause != Cause::Missing {
            // No more than a segment holds; read as far as it can be.
            rest.resize(usize::try_from(to - from).unwrap_or(0), 0);
            let got = read_at(&open.stream, &mut rest, from - open.segment.base());
            rest.truncate(got.unwrap_or(0));
        }
        let bytes = if entry.is_none() { &rest } else { bytes };
        let mut damage = open.damage(cause, cursor.at, to);
        damage.aside = set_aside(&self.directory, from, bytes);
        if let Some((row, entry)) = entry {
            self.count_rest(&mut damage, &entry);
            let (_, index_name) = names(open.segment.base());
            // What cannot be marked is found, and said, again another time.
            if let Ok(file) = self.directory.open_file(&index_name) {
                let _ = cut_out(&file, row, entry);
            }
        } else {
            self.count_records(&mut damage);
        }
        self.count_loss(&damage);
        cursor.at = to;
        Piece::Gap(damage)
    }
}

impl Open {
    /// What the index says of an offset, entries that are new included.
    fn find(&mut self, at: u64, entered: u64) -> Found {
        let base = self.segment.base();
        let hole = Found::Hole {
            from: base,
            to: entered,
            suspect: None,
        };
        let Some(index) = &mut self.index else {
            return hole;
        };
        match index.find(at, base, entered) {
            Ok(found @ Found::Entry(..)) => found,
            _ => index
                .refresh()
                .and_then(|()| index.find(at, base, entered))
                .unwrap_or(hole),
        }
    }

    fn damage(&self, cause: Cause, from: u64, to: u64) -> Damage {
        let name = self.segment.path().display().to_string();
        Damage::new(cause, &name, from, to - from, 0)
    }

    fn index_damage(&self, from: u64, to: u64) -> Damage {
        let name = self.segment.path().with_extension("index");
        Damage::new(
            Cause::Index,
            &name.display().to_string(),
            from,
            to - from,
            0,
        )
    }
}
