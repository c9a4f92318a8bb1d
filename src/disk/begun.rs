//! The record in which the stream ended when the system stopped: whoever sent it is gone, and its end never comes.
//!
//! Where a part of it is damaged, whoever reads it back looks for its end in what comes next, and a whole record of that
//! would go with it. So it is looked at when the spool is opened, and what is left of it is cut out.

use super::cut::begins_behind;
use super::damage::Cause;
use super::error::DiskError;
use super::mend::Mender;
use super::survey::Seen;
use super::sys;

/// Bytes of it that are looked at, at most, from its last ones on: a disk reads them in a fraction of a second, and they are
/// read only where the system stopped in the middle of a record that is that long. What is damaged before them costs the
/// first record of what comes next.
const BEGUN_MOST: u64 = 64 << 20;

/// A segment in which it lies, from this row on.
struct Part {
    nth: usize,
    first: u64,
}

impl Mender<'_> {
    /// Cuts it out where it is damaged: all of it that lies behind that, though it was on the disk. Nobody is owed what lies
    /// before `from`. Says whether that is so.
    pub(super) fn cut_begun(&mut self, segments: &[Seen], from: u64) -> Result<bool, DiskError> {
        let (parts, mut is_cut) = self.parts_of_begun(segments, from)?;
        for part in parts.iter().rev() {
            let seen = &segments[part.nth];
            let mut files = self.open(seen)?;
            let (rows, mut last) = (files.index.rows(), None);
            for row in part.first..rows {
                let entry = files.index.entry(row);
                let entry = entry.map_err(|error| files.index_failed(error))?;
                let Some(entry) = entry.filter(|entry| entry.end() > from) else {
                    continue;
                };
                match is_cut {
                    true => self.cut_entry(&files, row, entry, Cause::Torn)?,
                    false => is_cut = self.check(&files, row, entry, Cause::Checksum)?,
                }
                last = Some((row, entry));
            }
            if let Some((row, entry)) = last.filter(|_| is_cut) {
                if part.nth + 1 == segments.len() {
                    begins_behind(&files, row, entry)?;
                }
                sys::force(&files.index_file).map_err(|error| files.index_failed(error))?;
            }
        }
        Ok(is_cut)
    }

    /// Where it lies, the last part first; and whether something between them is gone.
    fn parts_of_begun(&self, segments: &[Seen], from: u64) -> Result<(Vec<Part>, bool), DiskError> {
        let (mut parts, mut left) = (Vec::new(), BEGUN_MOST);
        let mut behind = None;
        for (nth, seen) in segments.iter().enumerate().rev() {
            if behind.is_some_and(|behind| seen.end() < behind && from < behind) {
                return Ok((parts, true));
            }
            behind = Some(seen.base);
            let mut files = self.open(seen)?;
            let mut first = files.index.rows();
            for row in (1..first).rev() {
                let entry = files.index.entry(row);
                let Some(entry) = entry.map_err(|error| files.index_failed(error))? else {
                    continue;
                };
                let is_of_it = entry.end() > from && self.is_open_behind(&mut files, seen, row)?;
                if is_of_it {
                    first = row;
                }
                left = left.saturating_sub(u64::from(entry.len));
                if !is_of_it || entry.records > 0 || left == 0 {
                    parts.push(Part { nth, first });
                    return Ok((parts, false));
                }
            }
            parts.push(Part { nth, first });
        }
        Ok((parts, false))
    }
}
