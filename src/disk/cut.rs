//! The last segments of a spool after another start of the system, which may have kept a part of what was written.
//!
//! What was forced to the disk is believed: where it lacks an entry in the index, since a full disk had no room for that,
//! it gets one. What came later is believed where its entry and its checksum say so; the rest is cut out: set aside in a
//! file of its own, marked as damaged in the index, and told.

use super::damage::{Cause, Damage, set_aside_with_room};
use super::error::DiskError;
use super::format::{ENTRY_MOST, Entry, ROW};
use super::index::{Index, IndexWriter, cut_out};
use super::mend::{Files, Mender, read_part};
use super::records::Records;
use super::survey::Seen;
use super::sys;

impl Mender<'_> {
    /// Checks what is not known to have been forced to the disk (it was up to `synced`), and cuts out what does not match.
    /// `start`: what was counted before the segment. Returns what is counted behind it.
    pub(super) fn cut_unsynced(
        &mut self,
        seen: &mut Seen,
        start: Records,
        synced: u64,
    ) -> Result<Records, DiskError> {
        let mut files = self.open(seen)?;
        self.head(&mut files, seen)?;
        let mut last = Entry {
            at: seen.base,
            first_record: start.next(),
            begun: start.begun(),
            ..Entry::default()
        };
        let mut unbelieved = None;
        let mut rows = 1;
        for row in 1..files.index.rows() {
            match files.index.entry(row).map_err(|e| files.index_failed(e))? {
                None => unbelieved = unbelieved.or(Some(row)),
                Some(entry) => {
                    if let Some(hole) = unbelieved.take() {
                        let to = (synced, entry.at);
                        self.mend_hole(&files, seen, (hole, row), (last, start), to, None)?;
                    }
                    if entry.end() > synced {
                        self.check(&files, row, entry, Cause::PowerCut)?;
                    }
                    (last, rows) = (entry, row + 1);
                }
            }
        }
        let (free, to) = ((rows, u64::MAX), (synced, seen.end()));
        let hole = self.mend_hole(&files, seen, free, (last, start), to, Some(true))?;
        let (mut rows, last, has_cut) = hole;
        let entered = last.end();
        let is_cut = has_cut || self.is_cut(&files, rows)?;
        if has_cut {
            rows += 1;
        } else if is_cut {
            begins_behind(&files, rows - 1, last)?;
        }
        seen.len = seen.len.max(entered - seen.base);
        seen.index_len = rows * ROW as u64;
        let forced = sys::truncate(&files.index_file, seen.index_len)
            .and_then(|()| sys::force(&files.index_file))
            .and_then(|()| sys::force(&files.stream));
        forced.map_err(|error| files.failed(error))?;
        let behind = self.behind(&files.stream, seen, &last);
        // Whoever sent the record that is cut off there is gone: what comes is not the rest of it.
        Ok(if is_cut { behind.anew() } else { behind })
    }

    /// Mends the part between this entry and `to`, which has no entry: up to `synced` it is entered, and the rest is cut out.
    /// Returns the row of what is cut out (or of what comes next), the entry before that, and whether anything is cut out.
    /// See [`enter_known`](Self::enter_known) and [`cut_hole`](Self::cut_hole).
    fn mend_hole(
        &mut self,
        files: &Files,
        seen: &Seen,
        rows: (u64, u64),
        before: (Entry, Records),
        (synced, to): (u64, u64),
        at_record: Option<bool>,
    ) -> Result<(u64, Entry, bool), DiskError> {
        let (row, last) = self.enter_known(files, seen, rows, before, (synced, to))?;
        let is_cut = self.cut_hole(files, seen, row, &last, (synced, to), at_record)?;
        Ok((row, last, is_cut))
    }

    /// Enters what was forced to the disk and has no entry, since a full disk had no room for that, into the rows from `first`
    /// to `behind`, of which none can be believed. Returns the first of them that is left, and the last entry before it,
    /// which is `before` where nothing was entered. `start`: what was counted before the segment.
    fn enter_known(
        &mut self,
        files: &Files,
        seen: &Seen,
        (first, behind): (u64, u64),
        (before, start): (Entry, Records),
        (synced, to): (u64, u64),
    ) -> Result<(u64, Entry), DiskError> {
        let from = before.end();
        let len = synced.saturating_sub(from);
        let rows = len.div_ceil(ENTRY_MOST as u64);
        if rows == 0 || to < synced || rows > behind - first {
            return Ok((first, before));
        }
        let mut records = match before.len {
            0 => start,
            _ => self.behind(&files.stream, seen, &before),
        };
        let file = files.index_file.try_clone();
        let file = file.map_err(|error| files.index_failed(error))?;
        let mut writer = IndexWriter::resume(file, first);
        let last = self.enter_part(files, &mut writer, (from, synced), &mut records)?;
        if first < files.index.rows() {
            let name = files.index_path.display().to_string();
            let damage = Damage::new(Cause::Index, &name, from, len, 0);
            self.damages.push(damage);
        }
        Ok((writer.rows(), last.unwrap_or(before)))
    }

    /// Whether the entry in the row before this one is of something that was cut out.
    fn is_cut(&self, files: &Files, row: u64) -> Result<bool, DiskError> {
        let mut index = Index::open(
            files
                .index_file
                .try_clone()
                .map_err(|e| files.index_failed(e))?,
        )
        .map_err(|e| files.index_failed(e))?;
        let last = index.entry(row - 1).map_err(|e| files.index_failed(e))?;
        Ok(last.is_some_and(|entry| entry.damaged))
    }

    /// Cuts this entry out, for this reason, if what lies there is not what was written. Whether it is not.
    pub(super) fn check(
        &mut self,
        files: &Files,
        row: u64,
        entry: Entry,
        cause: Cause,
    ) -> Result<bool, DiskError> {
        if entry.damaged {
            return Ok(true);
        }
        let bytes = read_part(&files.stream, entry.at - files.base, u64::from(entry.len));
        if entry.matches(&bytes) {
            return Ok(false);
        }
        self.cut_entry(files, row, entry, cause)?;
        Ok(true)
    }

    /// Cuts out what this entry in this row speaks of, unless it was before.
    pub(super) fn cut_entry(
        &mut self,
        files: &Files,
        row: u64,
        entry: Entry,
        cause: Cause,
    ) -> Result<(), DiskError> {
        if entry.damaged {
            return Ok(());
        }
        let (from, to) = (entry.at, entry.end());
        let bytes = read_part(&files.stream, from - files.base, to - from);
        let damage = self.damage(files, (from, to), Some(entry.records), &bytes, cause)?;
        cut_out(&files.index_file, row, entry).map_err(|error| files.index_failed(error))?;
        self.damages.push(damage);
        Ok(())
    }

    /// Enters as damaged, in this row, what lies between this entry and `to` and has no entry of its own; whether there is
    /// anything. What was forced to the disk, up to `synced`, is not damaged for want of an entry. `at_record`: see
    /// [`Entry`].
    fn cut_hole(
        &mut self,
        files: &Files,
        seen: &Seen,
        row: u64,
        before: &Entry,
        (synced, to): (u64, u64),
        at_record: Option<bool>,
    ) -> Result<bool, DiskError> {
        let from = before.end().max(synced);
        let Some(len) = to.checked_sub(from).filter(|len| *len > 0) else {
            return Ok(false);
        };
        let entry = Entry {
            at: from,
            first_record: before.first_record + u64::from(before.records),
            arrival: before.arrival,
            len: u32::try_from(len).unwrap_or(u32::MAX),
            at_record,
            ..Entry::default()
        };
        let bytes = read_part(&files.stream, from - seen.base, len);
        let damage = self.damage(files, (from, to), None, &bytes, Cause::PowerCut)?;
        cut_out(&files.index_file, row, entry).map_err(|error| files.index_failed(error))?;
        self.damages.push(damage);
        Ok(true)
    }

    /// Sets aside what is to be cut out, and describes it. On a full disk this fails, and nothing has been cut out yet.
    fn damage(
        &self,
        files: &Files,
        (from, to): (u64, u64),
        records: Option<u32>,
        bytes: &[u8],
        cause: Cause,
    ) -> Result<Damage, DiskError> {
        let name = files.stream_path.display().to_string();
        let mut damage = Damage::new(cause, &name, from, to - from, 0);
        damage.count(records.map(u64::from));
        let aside = set_aside_with_room(self.directory, from, bytes);
        damage.aside = aside.map_err(|error| files.failed(error))?;
        Ok(damage)
    }
}

/// Writes down that a record begins behind this row, whose bytes are cut out, so that whoever opens the spool next knows it.
pub(super) fn begins_behind(files: &Files, row: u64, entry: Entry) -> Result<(), DiskError> {
    let entry = Entry {
        at_record: Some(true),
        ..entry
    };
    let cut = cut_out(&files.index_file, row, entry);
    cut.map_err(|error| files.index_failed(error))
}
