//! What a failed sync covered is written anew, to other files.
//!
//! After a failed fdatasync the system counts the pages that it could not write as written, and may
//! drop them. So what is still readable is read back, checked against its entry, and written to a
//! file that has never failed; what does not match any more is lost, and is said to be.
//!
//! Invariants: one at a time does so, since it is part of a [sync](Spool::sync). Files that a segment has got anew are those
//! of a segment that there still is: what was given back meanwhile stays so.

use std::fs::File;
use std::sync::{Arc, PoisonError};

use rustix::io::Errno;

use super::damage::{Cause, Damage, set_aside};
use super::error::DiskError;
use super::file::{read_at, write_all};
use super::format::{ENTRY_MOST, Entry, IndexHeader, Read, names};
use super::index::{Index, IndexWriter};
use super::room::pages;
use super::segments::{Held, Segment};
use super::spool::Spool;
use super::sys;
use super::writer::Unsynced;

impl Spool {
    /// Writes a segment anew, after `failed`. Readers of the old file go on with it. What is lost of it is
    /// [told](Spool::take_found), whatever comes after this.
    pub(super) fn rescue(&self, unsynced: &Unsynced, failed: Errno) -> Result<(), DiskError> {
        let old = &unsynced.segment;
        let error = |error: Errno| {
            let reason = format!(
                "{}, and writing it anew failed: {}; look at the disk, and make room on it",
                text(failed),
                text(error)
            );
            DiskError::because("sync", old.path(), reason)
        };
        self.end_if_open(old)?;
        let (stream_name, index_name) = names(old.base());
        let files = old.held().filter(|_| self.directory.has(&stream_name));
        let Some(files) = files else {
            // It was given back meanwhile: nobody needs it any more.
            self.forget(old);
            return Ok(());
        };
        let (stream_new, index_new) = (format!("{stream_name}.new"), format!("{index_name}.new"));
        let _ = self.directory.remove(&stream_new);
        let _ = self.directory.remove(&index_new);
        let mut found = Vec::new();
        let made = self.copy(old, &files, &stream_new, &index_new, &mut found);
        // Whatever fails from here on: that they have other names is to be on the disk before anything is said to be. This
        // is a part of a sync, and no other one forgets it meanwhile.
        self.writer().names_changed = true;
        let replaced = made.and_then(|made| {
            // From here on nobody gives it back.
            let _one = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.segments.has(old) {
                return Ok(false);
            }
            self.directory.rename(&index_new, &index_name)?;
            self.directory.rename(&stream_new, &stream_name)?;
            let path = old.path().to_owned();
            let segment = Segment::named(old.base(), old.len(), path, Some(&Arc::new(made)));
            segment.charge(old.take_charge().saturating_sub(pages(old.len())));
            self.segments.insert(Arc::new(segment));
            Ok(true)
        });
        if !matches!(replaced, Ok(true)) {
            let _ = self.directory.remove(&stream_new);
            let _ = self.directory.remove(&index_new);
        }
        let is_there = replaced.map_err(error)?;
        self.forget(old);
        if is_there {
            self.note_found(found);
        }
        // Else what was lost of it nobody is owed any more.
        Ok(())
    }

    /// What is being written goes on in another segment.
    fn end_if_open(&self, segment: &Arc<Segment>) -> Result<(), DiskError> {
        let mut writer = self.writer();
        let open = writer.tail.as_ref();
        let is_open = open.is_some_and(|(tail, _)| Arc::ptr_eq(tail.segment(), segment));
        if is_open {
            let _ = self.enter(&mut writer)?;
        }
        let holds = |entry: Entry| segment.base() <= entry.at && entry.at < segment.end();
        if writer.pending.is_some_and(holds) {
            // Nothing checks what is read back of it.
            let reason = "no room for the index; make room on the disk";
            return Err(DiskError::because("sync", segment.path(), reason));
        }
        match is_open {
            true => self.finish(&mut writer),
            false => Ok(()),
        }
    }

    fn forget(&self, segment: &Arc<Segment>) {
        let mut writer = self.writer();
        writer.keep_unsynced(|u| !Arc::ptr_eq(&u.segment, segment));
    }

    /// Copies entry by entry, and forces the copies to the disk.
    fn copy(
        &self,
        from: &Segment,
        files: &Held,
        stream_name: &str,
        index_name: &str,
        found: &mut Vec<Damage>,
    ) -> Result<File, Errno> {
        let base = from.base();
        let stream = self.directory.create(stream_name)?;
        let index_file = self.directory.create(index_name)?;
        let mut old = open_again(&files.index).map_err(io)?;
        let header = match old.header().map_err(io)? {
            Read::Good(header) => header,
            _ => IndexHeader {
                base,
                ..self.writer().header
            },
        };
        let mut index = IndexWriter::begin(index_file, &header)?;
        let mut at = base;
        for row in 1..old.rows() {
            let Some(mut entry) = old.entry(row).map_err(io)? else {
                continue;
            };
            copy_plain(from, &files.stream, &stream, at, entry.at)?;
            at = entry.end();
            let bytes = copy_part(from, &files.stream, &stream, entry.at, entry.len as usize)?;
            if !entry.damaged && !entry.matches(&bytes) {
                entry.damaged = true;
                let name = from.path().display().to_string();
                let (len, records) = (u64::from(entry.len), u64::from(entry.records));
                let mut damage = Damage::new(Cause::SyncFailed, &name, entry.at, len, records);
                damage.aside = set_aside(&self.directory, entry.at, &bytes);
                found.push(damage);
            }
            index.push(&entry)?;
        }
        copy_plain(from, &files.stream, &stream, at, from.end())?;
        sys::force(&stream)?;
        sys::force(index.file())?;
        Ok(stream)
    }
}

/// Copies what no entry covers.
fn copy_plain(of: &Segment, from: &File, to: &File, at: u64, end: u64) -> Result<(), Errno> {
    let mut at = at;
    while at < end {
        let len = (end - at).min(ENTRY_MOST as u64);
        copy_part(of, from, to, at, len as usize)?;
        at += len;
    }
    Ok(())
}

/// Copies a part of the stream; what could be read of it.
fn copy_part(of: &Segment, from: &File, to: &File, at: u64, len: usize) -> Result<Vec<u8>, Errno> {
    let offset = at - of.base();
    let mut bytes = vec![0; len];
    let got = read_at(from, &mut bytes, offset).unwrap_or(0);
    // What cannot be read leaves zeros, so that the rest stays where it was.
    bytes[got..].fill(0);
    write_all(to, &bytes, offset)?;
    bytes.truncate(got);
    Ok(bytes)
}

fn open_again(file: &Arc<File>) -> std::io::Result<Index> {
    Index::open(file.try_clone()?)
}

fn io(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

fn text(error: Errno) -> String {
    let text = std::io::Error::from(error).to_string();
    text.split(" (os error ")
        .next()
        .unwrap_or_default()
        .to_owned()
}
