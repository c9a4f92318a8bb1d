//! What every output has behind it is given back, in whole segments; what of one is that counts no more, where it is longer
//! than this run would make it.
//!
//! Invariant: what the places on the disk still ask for stays there, whether or not newer ones could be saved.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use super::error::DiskError;
use super::format::names;
use super::segments::Segment;
use super::spool::Spool;
use super::writer::Writer;

/// Bytes of the last segment that all outputs have, and that are kept all the same: making a new one takes time.
const TAIL_MOST: u64 = 4 << 20;

impl Spool {
    /// Gives back whole segments that every output has behind it, as their places were saved, and that lie before this
    /// offset: others may read on, whose places are not saved.
    pub(crate) fn release(&self, floor: u64) -> Result<bool, DiskError> {
        self.release_by(self.writer.try_lock().ok(), floor)
    }

    /// Before which offset nobody is owed anything that may have been given back.
    pub(super) fn given_back(&self) -> u64 {
        self.given_back.load(Ordering::Acquire)
    }

    /// What has been given back nobody needs on the disk any more.
    pub(super) fn forget_taken(&self, writer: &mut Writer) {
        writer.keep_unsynced(|it| self.segments.has(&it.segment));
    }

    pub(super) fn release_by(
        &self,
        writer: Option<MutexGuard<'_, Writer>>,
        floor: u64,
    ) -> Result<bool, DiskError> {
        // Whoever closes the spool waits for what is being removed.
        let _one = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        if state.is_unsaved() {
            // Nothing is given back that the places on the disk still ask for.
            self.save(&mut state)?;
        }
        let oldest = state.state.places.values().map(|p| p.at).min();
        drop(state);
        let Some(oldest) = oldest.map(|oldest| oldest.min(floor)) else {
            return Ok(false);
        };
        // Before anything is gone: whoever finds that it is must know why.
        self.given_back.fetch_max(oldest, Ordering::AcqRel);
        let taken = match writer {
            // Whoever appends may be about to begin the last one.
            None => self.segments.take_before(oldest, true),
            Some(mut writer) => {
                let tail = writer.tail.as_ref().map(|(tail, _)| tail.segment());
                let is_read = tail.is_some_and(|it| it.len() >= TAIL_MOST && it.end() <= oldest);
                if is_read && self.enter(&mut writer)?.is_ok() {
                    self.finish(&mut writer)?;
                }
                let taken = self.segments.take_before(oldest, writer.tail.is_some());
                // Those that were taken while somebody else appended are among them.
                self.forget_taken(&mut writer);
                taken
            }
        };
        let mut outcome = Ok(!taken.is_empty() | self.excuse_long(oldest));
        for segment in taken {
            if let Err(error) = self.remove_files(&segment) {
                // It is tried again with the next ones.
                self.segments.insert(segment);
                outcome = Err(error);
            }
        }
        outcome
    }

    /// A segment of an earlier run may be longer than all that this one has room for. Where the beginning of a record is all
    /// that somebody is still owed of it, its rest must find room all the same: what everybody has of such a one counts no
    /// more, though it stays there. Whether that makes room.
    fn excuse_long(&self, oldest: u64) -> bool {
        let first = self.segments.at_or_after(0);
        let long = first.filter(|it| it.len() > self.longest());
        let less = long.map_or(0, |it| it.excuse_before(oldest));
        self.room.give_back(less);
        less > 0
    }

    /// The stream first: an index that is left alone is removed at the next opening.
    pub(super) fn remove_files(&self, segment: &Segment) -> Result<(), DiskError> {
        segment.let_go();
        let (stream, index) = names(segment.base());
        for name in [&stream, &index] {
            let path = self.directory.path_of(name);
            let removed = self.directory.remove(name);
            removed.map_err(|error| self.failed("remove", &path, error))?;
        }
        self.room.give_back(segment.take_charge());
        Ok(())
    }
}
