//! The last segments of a spool, put right: what the end of a weir left unentered.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustix::io::Errno;

use super::damage::{Cause, Damage};
use super::directory::Directory;
use super::error::DiskError;
use super::file::read_at;
use super::format::{ENTRY_MOST, Entry, Framing, IndexHeader, ROW, Read, checksum, names};
use super::index::{Index, IndexWriter};
use super::records::Records;
use super::state::Place;
use super::survey::Seen;
use super::sys;

/// Works on one segment after another.
pub(super) struct Mender<'a> {
    pub(super) directory: &'a Directory,
    pub(super) framing: Framing,
    pub(super) damages: &'a mut Vec<Damage>,
}

/// The files of a segment.
pub(super) struct Files {
    pub(super) base: u64,
    pub(super) stream: File,
    pub(super) stream_path: PathBuf,
    pub(super) index_file: File,
    pub(super) index: Index,
    pub(super) index_path: PathBuf,
}

impl Files {
    pub(super) fn failed(&self, error: impl Into<std::io::Error>) -> DiskError {
        DiskError::new("recover", &self.stream_path, error)
    }

    pub(super) fn index_failed(&self, error: impl Into<std::io::Error>) -> DiskError {
        DiskError::new("recover", &self.index_path, error)
    }
}

impl Mender<'_> {
    /// The count of records behind a segment that is whole.
    pub(super) fn records_behind(&self, seen: &Seen) -> Result<Option<Records>, DiskError> {
        let (stream, index) = names(seen.base);
        let (Some(stream), Some(index)) = (
            self.directory.read_if_there(&stream)?,
            self.directory.read_if_there(&index)?,
        ) else {
            return Ok(None);
        };
        let path = self.directory.path_of(&names(seen.base).1);
        let last = Index::open(index).and_then(|mut index| index.last());
        let last = last.map_err(|error| DiskError::new("recover", &path, error))?;
        Ok(last.map(|(_, entry)| self.behind(&stream, seen, &entry)))
    }

    /// The count of records at the beginning of a segment, where nothing is known but that of a place. What lies before
    /// that is read.
    pub(super) fn records_before(&self, seen: &Seen, place: Place) -> Result<Records, DiskError> {
        let name = names(seen.base).0;
        let failed = |error| DiskError::new("recover", &self.directory.path_of(&name), error);
        let start = Records::new(self.framing, place.record, 0);
        let Some(before) = place.at.checked_sub(seen.base) else {
            return Ok(start);
        };
        let mut records = match self.framing {
            Framing::Fixed(size) => {
                let size = size.max(1);
                Records::new(self.framing, 0, (place.begun + size - before % size) % size)
            }
            _ => Records::new(self.framing, 0, 0),
        };
        let begun = records.begun();
        let stream = self.directory.read_file(&name).map_err(failed)?;
        let mut buffer = vec![0; ENTRY_MOST];
        let mut at = 0;
        while at < before {
            let most = usize::try_from(before - at).map_or(ENTRY_MOST, |n| n.min(ENTRY_MOST));
            let got = match read_at(&stream, &mut buffer[..most], at) {
                // What cannot be read is lost, and with it how many records that is.
                Ok(0) | Err(_) => break,
                Ok(got) => got,
            };
            records.pass(&buffer[..got]);
            at += got as u64;
        }
        let number = place.record.saturating_sub(records.next());
        Ok(Records::new(self.framing, number, begun))
    }

    pub(super) fn behind(&self, stream: &File, seen: &Seen, entry: &Entry) -> Records {
        // Those that cannot be read count as a record's end: its number is lost.
        let bytes = || read_part(stream, entry.at - seen.base, u64::from(entry.len));
        Records::behind(self.framing, entry, bytes)
    }

    pub(super) fn open(&self, seen: &Seen) -> Result<Files, DiskError> {
        let (stream_name, index_name) = names(seen.base);
        let stream_path = self.directory.path_of(&stream_name);
        let index_path = self.directory.path_of(&index_name);
        let failed = |error| DiskError::new("recover", &stream_path, error);
        let index_failed = |error| DiskError::new("recover", &index_path, error);
        let stream = self.directory.open_file(&stream_name).map_err(failed)?;
        let index_file = self
            .directory
            .open_or_create(&index_name)
            .map_err(index_failed)?;
        let read = || Index::open(index_file.try_clone()?);
        let index = read().map_err(|error| DiskError::new("recover", &index_path, error))?;
        Ok(Files {
            base: seen.base,
            stream,
            index_file,
            index,
            stream_path,
            index_path,
        })
    }

    /// The head of the index, made anew where it is damaged.
    pub(super) fn head(&self, files: &mut Files, seen: &Seen) -> Result<(), DiskError> {
        let header = files.index.header();
        match header.map_err(|error| files.index_failed(error))? {
            Read::Good(_) => Ok(()),
            Read::Unknown(version) => Err(DiskError::unknown_version(version, &files.index_path)),
            Read::Damaged => {
                let header = IndexHeader {
                    opening: 0,
                    base: seen.base,
                    spool: 0,
                    boot: [0; 16],
                };
                let file = files.index_file.try_clone();
                file.map_err(|error| files.index_failed(error))
                    .and_then(|file| {
                        IndexWriter::begin(file, &header).map_err(|e| files.index_failed(e))
                    })?;
                let refreshed = files.index.refresh();
                refreshed.map_err(|error| files.index_failed(error))
            }
        }
    }

    /// The system has run on: all that the file has is good, and its rest is entered.
    /// `start`: what has been counted before it; `synced`: no entry reaches over that.
    pub(super) fn enter_rest(
        &mut self,
        seen: &mut Seen,
        start: Records,
        synced: u64,
    ) -> Result<Records, DiskError> {
        let mut files = self.open(seen)?;
        self.head(&mut files, seen)?;
        let last = files.index.last().map_err(|e| files.index_failed(e))?;
        let mut records = match &last {
            Some((_, entry)) => self.behind(&files.stream, seen, entry),
            None => start,
        };
        let row = last.map_or(1, |(row, _)| row + 1);
        let entered = last.map_or(seen.base, |(_, entry)| entry.end());
        let lost_rows = files.index.rows() > row || seen.index_len < ROW as u64;
        if lost_rows && seen.end() > entered {
            let name = files.index_path.display().to_string();
            let damage = Damage::new(Cause::Index, &name, entered, seen.end() - entered, 0);
            self.damages.push(damage);
        }
        let file = files.index_file.try_clone();
        let file = file.map_err(|error| files.index_failed(error))?;
        let mut writer = IndexWriter::resume(file, row);
        let known = synced.clamp(entered, seen.end().max(entered));
        for part in [(entered, known), (known, seen.end())] {
            self.enter_part(&files, &mut writer, part, &mut records)?;
        }
        seen.index_len = writer.len();
        // Only now is the room given back that was taken and not used: the disk may be full.
        let cut = sys::truncate(&files.index_file, seen.index_len)
            .and_then(|()| sys::truncate(&files.stream, seen.len));
        cut.map_err(|error| files.failed(error))?;
        seen.len = seen.len.max(entered - seen.base);
        Ok(records)
    }

    /// Enters what lies between these offsets. Says what its last entry is, if it has any.
    pub(super) fn enter_part(
        &self,
        files: &Files,
        writer: &mut IndexWriter,
        (from, to): (u64, u64),
        records: &mut Records,
    ) -> Result<Option<Entry>, DiskError> {
        let arrival = files.stream.metadata().map_or(0, |data| {
            let nanos = i128::from(data.mtime()) * 1_000_000_000 + i128::from(data.mtime_nsec());
            u64::try_from(nanos).unwrap_or(0)
        });
        let mut buffer = vec![0; ENTRY_MOST];
        let (mut at, mut last) = (from, None);
        while at < to {
            let most = usize::try_from(to - at).map_or(ENTRY_MOST, |n| n.min(ENTRY_MOST));
            let got = read_at(&files.stream, &mut buffer[..most], at - files.base);
            let got = got.map_err(|error| files.failed(error))?;
            if got == 0 {
                break;
            }
            let bytes = &buffer[..got];
            let entry = Entry {
                at,
                first_record: records.next(),
                arrival,
                begun: records.begun(),
                len: got as u32,
                records: records.pass(bytes),
                crc: checksum(0, bytes),
                damaged: false,
                at_record: Some(records.begun() == 0),
            };
            writer.push(&entry).map_err(|e| files.index_failed(e))?;
            at += got as u64;
            last = Some(entry);
        }
        Ok(last)
    }

    /// Whether a record goes on behind what is entered in this row.
    pub(super) fn is_open_behind(
        &self,
        files: &mut Files,
        seen: &Seen,
        row: u64,
    ) -> Result<bool, DiskError> {
        let entry = files.index.entry(row);
        let entry = entry.map_err(|error| files.index_failed(error))?;
        Ok(entry.is_some_and(|it| self.behind(&files.stream, seen, &it).begun() > 0))
    }
}

/// What can be read of a part of a file.
pub(super) fn read_part(file: &File, at: u64, len: u64) -> Vec<u8> {
    // No part is longer than a segment.
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let got: Result<usize, Errno> =
        read_at(file, &mut bytes, at).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO));
    bytes.truncate(got.unwrap_or(0));
    bytes
}
