//! Appending to a spool: segments begun and ended, what they hold entered in their indexes.
//!
//! Bytes are in the file before they are counted, and room for their entry is there before they are
//! taken. An entry that is not written yet is no loss: the length of the file tells of it.

use std::fs::File;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::error::DiskError;
use super::file::read_at;
use super::format::{ENTRY_MOST, Entry, IndexHeader, ROW, checksum, names};
use super::index::IndexWriter;
use super::room::{Full, part_of};
use super::schedule::Policy;
use super::segments::{Appended, Held, Segment, Tail};
use super::spool::Spool;
use super::sys;
use super::writer::{Unsynced, Writer};

/// Most bytes of a segment, and how many there are when the bound is used up: one is held by the last few bytes in it.
const SEGMENT_MOST: u64 = 64 << 20;
const FILES: u64 = 16;

/// What came within this time has one arrival: nanoseconds.
const ARRIVAL_GRAIN: u64 = 1_000_000_000;

impl Spool {
    /// Appends from memory what came at `arrival` (nanoseconds since 1970), as much of it as there is room for in one
    /// piece, and says where that lies in the stream. [`Spool::changed`] forces that to the disk.
    pub(crate) fn append(
        &self,
        bytes: &[u8],
        arrival: u64,
    ) -> Result<Result<Range<u64>, Full>, DiskError> {
        let mut writer = self.writer();
        let begun = writer.end;
        let bytes = match self.ready(&mut writer, arrival)? {
            Ok(most) => &bytes[..most.min(bytes.len())],
            Err(full) => return Ok(Err(full)),
        };
        let Some((tail, _)) = &mut writer.tail else {
            return Ok(Err(Full::Disk));
        };
        if let Err(full) = tail.write(bytes)? {
            return Ok(Err(full));
        }
        self.account(&mut writer, bytes, arrival);
        Ok(Ok(begun..writer.end))
    }

    /// Appends what lies in a pipe, without waiting for more. What was taken is at the beginning of
    /// `buffer`, too: as a read would have left it, but it is in the file before it is anywhere else. [`Spool::changed`]
    /// forces it to the disk.
    pub(crate) fn append_pipe(
        &self,
        pipe: BorrowedFd<'_>,
        buffer: &mut [u8],
        arrival: u64,
    ) -> Result<Appended, DiskError> {
        let mut writer = self.writer();
        if writer.unread == 0 {
            let most = match self.ready(&mut writer, arrival)? {
                Ok(most) => most.min(buffer.len()),
                Err(full) => return Ok(Appended::Full(full)),
            };
            let Some((tail, _)) = &mut writer.tail else {
                return Ok(Appended::Full(Full::Disk));
            };
            match tail.splice(pipe, most)? {
                // Whatever fails from here on, they are in no pipe any more.
                Appended::Bytes(n) => writer.unread = n,
                none => return Ok(none),
            }
        } else if writer.is_sealed() && self.enter(&mut writer)?.is_err() {
            return Ok(Appended::Full(Full::Disk));
        }
        let n = writer.unread.min(buffer.len());
        let bytes = &mut buffer[..n];
        if let Some((tail, _)) = &writer.tail {
            read_back(tail, bytes)?;
        }
        writer.unread -= n;
        self.account(&mut writer, bytes, arrival);
        Ok(Appended::Bytes(n))
    }

    /// Takes room for bytes to come: for how many there is some, `most` at most.
    pub(crate) fn room_for(
        &self,
        most: usize,
        arrival: u64,
    ) -> Result<Result<usize, Full>, DiskError> {
        let ready = self.ready(&mut self.writer(), arrival)?;
        Ok(ready.map(|ready| ready.min(most)))
    }

    /// Whether most of the disk is ours.
    pub(crate) fn has_most_of_disk(&self) -> bool {
        self.room.is_most_of_disk(self.directory.path())
    }

    /// Makes sure that bytes can be appended and entered, and says how many.
    fn ready(&self, writer: &mut Writer, arrival: u64) -> Result<Result<usize, Full>, DiskError> {
        if writer.unread > 0 {
            // Nothing is written over them.
            return Err(not_read_back(self.directory.path()));
        }
        let complete = writer.tail.as_ref().is_some_and(|(t, _)| t.is_complete());
        let is_sealed = writer.is_sealed();
        let closes = writer.pending.is_some_and(|pending| {
            is_sealed
                || complete
                || pending.len as usize >= ENTRY_MOST
                || pending.arrival.abs_diff(arrival) >= ARRIVAL_GRAIN
        });
        if closes && let Err(full) = self.enter(writer)? {
            return Ok(Err(full));
        }
        if complete {
            self.finish(writer)?;
        }
        if writer.tail.is_none()
            && let Err(full) = self.begin(writer)?
        {
            return Ok(Err(full));
        }
        let open = writer.pending.map_or(0, |pending| pending.len as usize);
        let Some((tail, index)) = &mut writer.tail else {
            return Ok(Err(Full::Disk));
        };
        let segment = Arc::clone(tail.segment());
        let ready = match index.ready(&self.room, &segment) {
            Ok(Ok(())) => tail.ready(&self.room)?,
            Ok(Err(full)) => Err(full),
            Err(error) => {
                return Err(self.failed("take room for the index of", segment.path(), error));
            }
        };
        if let Err(full) = ready
            && segment.len() > 0
        {
            // What is full must be given back once it is delivered, and only whole segments are.
            if self.enter(writer)?.is_ok() {
                self.finish(writer)?;
            }
            return Ok(Err(full));
        }
        Ok(ready.map(|n| n.min(ENTRY_MOST - open)))
    }

    /// Begins a segment. Its index is there first, so that no segment is ever without one.
    fn begin(&self, writer: &mut Writer) -> Result<Result<(), Full>, DiskError> {
        if writer.unsynced.len() >= writer.held_most {
            self.forget_taken(writer);
        }
        while writer.unsynced.len() >= writer.held_most && writer.force_oldest() {}
        let (stream_name, index_name) = names(writer.end);
        let header = IndexHeader {
            base: writer.end,
            ..writer.header
        };
        let make = || {
            let index = IndexWriter::begin(self.make_anew(&index_name, ROW)?, &header)?;
            Ok((index, self.make_anew(&stream_name, 0)?))
        };
        let mut made = make();
        // Others have what was free.
        while matches!(made, Err(Errno::MFILE | Errno::NFILE)) && writer.force_oldest() {
            made = make();
        }
        let path = self.directory.path_of(&stream_name);
        let (index, stream) = match made {
            Ok(made) => made,
            Err(error) => {
                // Where this fails, too, it is done when it is tried again.
                let _ = self.directory.remove(&index_name);
                if sys::is_full(error) {
                    return Ok(Err(Full::Disk));
                }
                return Err(self.failed("make", &path, error));
            }
        };
        let stream = Arc::new(stream);
        let segment = Arc::new(Segment::named(writer.end, 0, path, Some(&stream)));
        self.segments.insert(Arc::clone(&segment));
        writer.names_changed = true;
        if writer.policy != Policy::Off {
            let files = Held {
                stream: Arc::clone(&stream),
                index: Arc::clone(index.file()),
            };
            writer
                .unsynced
                .push(Unsynced::new(Arc::clone(&segment), files));
        }
        // Room is given back by whole segments, also where it is not the bound that is short of it: what is used of the disk
        // is to become free again.
        let of_disk = sys::available(&stream).map_or(SEGMENT_MOST, |free| {
            part_of(free.saturating_add(self.room.used()), FILES)
        });
        let most = self.longest().min(of_disk);
        let tail = Tail::new(segment, stream, most);
        writer.tail = Some((tail, index));
        Ok(Ok(()))
    }

    /// Bytes of a segment of this run, at most.
    pub(super) fn longest(&self) -> u64 {
        self.room.part(FILES).min(SEGMENT_MOST)
    }

    /// Makes a file for a segment that is about to begin. One that is there, of so many bytes at most, is of a segment of
    /// which nothing came, and could not be taken away at that time.
    fn make_anew(&self, name: &str, most: usize) -> Result<File, Errno> {
        let is_empty = |size: i64| usize::try_from(size).is_ok_and(|size| size <= most);
        match self.directory.create(name) {
            Err(Errno::EXIST) if is_empty(self.directory.stat(name)?.st_size) => {
                self.directory.remove(name)?;
                self.directory.create(name)
            }
            made => made,
        }
    }

    /// Enters what has been appended in the index.
    pub(super) fn enter(&self, writer: &mut Writer) -> Result<Result<(), Full>, DiskError> {
        let (Some(entry), Some((tail, index))) = (writer.pending, &mut writer.tail) else {
            return Ok(Ok(()));
        };
        match index.push(&entry) {
            Ok(()) => {
                writer.pending = None;
                tail.segment().set_entered(entry.end());
                Ok(Ok(()))
            }
            Err(error) if sys::is_full(error) => Ok(Err(Full::Disk)),
            Err(error) => {
                let path = tail.segment().path().to_owned();
                Err(self.failed("write to the index of", &path, error))
            }
        }
    }

    /// Ends a segment: the next byte begins another.
    pub(super) fn finish(&self, writer: &mut Writer) -> Result<(), DiskError> {
        if writer.unread > 0 {
            return Err(not_read_back(self.directory.path()));
        }
        match writer.tail.take() {
            Some((tail, index)) => {
                let segment = Arc::clone(tail.segment());
                index.finish(&self.room, &segment);
                let given_back = tail.finish(&self.room);
                if segment.len() > 0 {
                    return given_back;
                }
                // The next one begins at the same offset, and would have the same name.
                writer.keep_unsynced(|u| !Arc::ptr_eq(&u.segment, &segment));
                self.segments.remove(segment.base());
                let removed = self.remove_files(&segment);
                // Where its files could not be taken away now, that is done before the next one begins.
                self.room.give_back(segment.take_charge());
                removed
            }
            None => Ok(()),
        }
    }

    fn account(&self, writer: &mut Writer, bytes: &[u8], arrival: u64) {
        let fresh = Entry {
            at: writer.end,
            first_record: writer.records.next(),
            arrival,
            begun: writer.records.begun(),
            ..Entry::default()
        };
        let entry = writer.pending.get_or_insert(fresh);
        entry.crc = checksum(entry.crc, bytes);
        entry.records += writer.records.pass(bytes);
        entry.at_record = Some(writer.records.begun() == 0);
        // An entry never has more than ENTRY_MOST bytes.
        entry.len += bytes.len() as u32;
        writer.end += bytes.len() as u64;
        if let Some((tail, _)) = &mut writer.tail {
            tail.publish(bytes.len());
        }
        self.set_end(writer.place());
        if std::mem::take(&mut writer.end_is_due) {
            // That was it. It is saved with the next place.
            self.state().state.ended = None;
        }
    }
}

/// Reads what was moved to the end of a segment, and is not counted yet.
fn read_back(tail: &Tail, bytes: &mut [u8]) -> Result<(), DiskError> {
    let name = tail.segment().path();
    let back = read_at(tail.file(), bytes, tail.segment().len())
        .map_err(|error| DiskError::new("read back from", name, error))?;
    match back < bytes.len() {
        true => Err(not_read_back(name)),
        false => Ok(()),
    }
}

fn not_read_back(name: &Path) -> DiskError {
    let reason = "less came back than was written; look at the disk";
    DiskError::because("read back from", name, reason)
}
