//! The record in which the stream ends because the input did: nothing goes on with it. When the spool is opened next it gets
//! its end, before anything new can come behind it; where there is no room for that then, its end is the first byte that
//! comes, or, where nobody is owed anything, the spool is not opened before there is room.
//!
//! Invariant: however often that is begun, the stream has that end once. It is written before the state says that it is no
//! longer due, and as long as it is due nothing else is behind the record.

use std::num::NonZeroU64;

use super::error::DiskError;
use super::file::write_all;
use super::format::{Framing, ROW};
use super::mend::Mender;
use super::place::Place;
use super::records::Records;
use super::spool::Spool;
use super::survey::Seen;
use super::sys;

/// The byte that ends a record, if one does.
pub(super) fn end_of(framing: Framing) -> Option<u8> {
    match framing {
        Framing::Lines => Some(b'\n'),
        Framing::Zero => Some(0),
        Framing::Bytes | Framing::Fixed(_) => None,
    }
}

impl Mender<'_> {
    /// Puts the end behind the record in which the last segment ends, and enters it. `start`: what has been counted before
    /// it. There may be no room for that: then the spool is as it was, and the end is still due.
    pub(super) fn end_record(
        &mut self,
        seen: &mut Seen,
        start: Records,
    ) -> Result<Result<Records, DiskError>, DiskError> {
        let before = *seen;
        match self.put_end(seen, start) {
            Err(error) if error.is_full => {
                *seen = before;
                self.take_end_back(seen, before.end())?;
                Ok(Err(error))
            }
            put => put.map(Ok),
        }
    }

    fn put_end(&mut self, seen: &mut Seen, start: Records) -> Result<Records, DiskError> {
        let Some(end) = end_of(self.framing) else {
            return Ok(start);
        };
        let files = self.open(seen)?;
        write_all(&files.stream, &[end], seen.len).map_err(|error| files.failed(error))?;
        seen.len += 1;
        let records = self.enter_rest(seen, start, 0)?;
        // The state is about to say that it is there.
        sys::force(&files.stream).map_err(|error| files.failed(error))?;
        sys::force(&files.index_file).map_err(|error| files.index_failed(error))?;
        Ok(records)
    }

    /// The system was started anew while such an end was being written, behind this offset, maybe: it is nobody's loss, and
    /// is written again.
    pub(super) fn take_end_back(&mut self, seen: &mut Seen, at: u64) -> Result<(), DiskError> {
        let mut files = self.open(seen)?;
        let last = files.index.last();
        let last = last.map_err(|error| files.index_failed(error))?;
        seen.len = at - seen.base;
        sys::truncate(&files.stream, seen.len).map_err(|error| files.failed(error))?;
        if let Some((row, _)) = last.filter(|(_, entry)| entry.at >= at) {
            seen.index_len = row * ROW as u64;
            let cut = sys::truncate(&files.index_file, seen.index_len);
            cut.map_err(|error| files.index_failed(error))?;
        }
        // Where none follows, another such start is not to find it.
        sys::force(&files.stream).map_err(|error| files.failed(error))?;
        sys::force(&files.index_file).map_err(|error| files.index_failed(error))
    }
}

impl Spool {
    /// The input has ended: what goes on with its last record never comes. When this returns, a kill does not undo it. Whether
    /// there is something that [`Spool::changed`] is to force to the disk.
    pub(crate) fn end_input(&self) -> Result<bool, DiskError> {
        let Place { at, begun, .. } = self.end();
        // Whoever appends may be waiting for the disk.
        let mut state = self.state();
        let framing = state.state.framing;
        let ended = NonZeroU64::new(at).filter(|_| begun > 0 && end_of(framing).is_some());
        if ended.is_none() || state.state.ended == ended {
            return Ok(false);
        }
        state.state.ended = ended;
        self.save(&mut state)?;
        Ok(true)
    }

    /// The byte that is to come before all new ones, where the last input has ended inside of a record and there was no room
    /// for it when the spool was opened.
    pub(crate) fn due_end(&self) -> Option<u8> {
        let writer = self.writer();
        writer
            .end_is_due
            .then(|| end_of(writer.framing()))
            .flatten()
    }

    /// Whether the input has ended there, inside of a record.
    pub(crate) fn is_over_at(&self, at: u64) -> bool {
        let ended = self.state().state.ended;
        ended.is_some_and(|ended| ended.get() == at)
    }
}
