//! A stream in a directory, which outlives the process that writes it.
//!
//! What has been taken in is in a file before anybody can be told of it, and stays until every
//! output's place, as it was saved, lies behind it. Nothing is entered, forced to the disk or saved
//! for the stream's bytes to survive the process: the length of the last file is the truth.
//!
//! One thread appends; any number read, each at its own [`Cursor`](super::reader::Cursor). One [forces](super::sync) it to
//! the disk, and whoever is to know that it is there waits for that one's answer. While the disk is forced no lock is held
//! but that of whoever [syncs](super::syncs), and that of whoever appends where so many segments are not there yet that one
//! has to be before another is begun.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

use super::damage::Damage;
use super::directory::Directory;
use super::error::DiskError;
use super::format::Framing;
use super::journal::Journal;
use super::lock::Lock;
use super::room::Room;
use super::schedule::{By, Policy, Wakeup};
use super::segments::Segments;
use super::state::{Place, UNCOUNTED};
use super::state_file::StateFile;
use super::syncs::Syncs;
use super::writer::Writer;

/// How a spool is to be used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpoolOptions {
    /// Most bytes of disk for segments and their indexes.
    pub bound: u64,
    pub framing: Framing,
    pub policy: Policy,
    /// Which start of the system this is, from [`sys::boot_id`].
    pub boot: Option<[u8; 16]>,
    /// Segments whose two files are held open because they have not been forced to the disk, at most; one more is that
    /// which is written.
    pub held_most: usize,
}

/// A spool that is ours.
#[derive(Debug)]
pub(crate) struct Spool {
    pub(super) directory: Directory,
    pub(super) room: Room,
    pub(super) segments: Segments,
    pub(super) writer: Mutex<Writer>,
    pub(super) state: Mutex<StateFile>,
    pub(super) wakeup: Wakeup,
    /// Where the stream ended when the spool was opened.
    pub(super) opened_at: Place,
    /// Up to where bytes are good even if nothing is left to check them by.
    pub(super) trusted: u64,
    /// Where the stream ends.
    pub(super) end: Mutex<Place>,
    /// What was found to be lost when it was forced to the disk, and why something could not be: neither has been told yet.
    found: Mutex<Vec<Damage>>,
    untold: Mutex<Option<DiskError>>,
    pub(super) syncs: Syncs,
    /// Whoever changes which files the segments have holds this. It may be waited for by whoever holds the writer, and whoever
    /// holds it waits for neither that nor a sync.
    pub(super) files: Mutex<()>,
    /// Nobody is owed what lies before this offset, and it may have been given back.
    pub(super) given_back: AtomicU64,
    is_damaged: AtomicBool,
    _lock: Lock,
}

impl Spool {
    pub(super) fn assemble(
        directory: Directory,
        lock: Lock,
        room: Room,
        segments: Segments,
        writer: Writer,
        state: StateFile,
        trusted: u64,
    ) -> Spool {
        Spool {
            directory,
            room,
            segments,
            opened_at: writer.place(),
            trusted,
            end: Mutex::new(writer.place()),
            wakeup: Wakeup::new(writer.policy),
            writer: Mutex::new(writer),
            state: Mutex::new(state),
            found: Mutex::default(),
            untold: Mutex::default(),
            syncs: Syncs::default(),
            files: Mutex::default(),
            given_back: AtomicU64::new(0),
            is_damaged: AtomicBool::new(false),
            _lock: lock,
        }
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, StateFile> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the stream ends.
    pub(crate) fn end(&self) -> Place {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_end(&self, end: Place) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    /// Where it is.
    pub(crate) fn home(&self) -> &Path {
        self.directory.path()
    }

    /// Bytes of disk in use.
    #[cfg(test)]
    pub(crate) fn used(&self) -> u64 {
        self.room.used()
    }

    /// Something is not on the disk yet. Where it is to be there before anybody is told of it this returns when it is, when
    /// that has failed, or when the run is over: nobody else than the [thread](super::sync::Syncer) waits for the disk itself.
    pub(crate) fn changed(&self) {
        if let Some(number) = self.ask() {
            self.wakeup.await_answer(number);
        }
    }

    /// The same for whoever has others to listen to, and must not wait.
    pub(crate) fn note_change(&self) {
        self.ask();
    }

    /// The number under which what has changed is forced to the disk at once.
    fn ask(&self) -> Option<u64> {
        match self.wakeup.changed() {
            By::Time => None,
            By::Thread(number) => Some(number),
            By::Oneself => {
                if let Err(failure) = self.sync() {
                    let untold = self.untold.lock();
                    (untold.unwrap_or_else(PoisonError::into_inner)).get_or_insert(failure);
                }
                None
            }
        }
    }

    /// The run is over: nobody waits any more for what changes to be forced to the disk before the spool is closed.
    pub(crate) fn ends(&self) {
        self.wakeup.ends();
    }

    /// There is no more time: nothing is forced to the disk any more. What is there is as a kill would leave it.
    pub(crate) fn hurry(&self) {
        self.wakeup.hurry();
    }

    /// Waits for so long; whether there is still time then.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        self.wakeup.pause(time)
    }

    /// This was found to be lost when it was forced to the disk.
    pub(super) fn note_found(&self, damages: Vec<Damage>) {
        for damage in &damages {
            self.count_loss(damage);
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.extend(damages);
    }

    /// What was found to be lost when it was forced to the disk, and has not been told.
    pub(crate) fn take_found(&self) -> Vec<Damage> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *found)
    }

    /// Why something could not be forced to the disk, where that has not been told.
    pub(crate) fn take_untold(&self) -> Option<DiskError> {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        untold.take()
    }

    /// The place of an output, if one is known by that name.
    pub(crate) fn place(&self, output: &str) -> Option<Place> {
        self.state().state.places.get(output).copied()
    }

    /// The same as another run would find it, whatever could not be saved since.
    pub(crate) fn saved_place(&self, output: &str) -> Option<Place> {
        self.state().saved()?.places.get(output).copied()
    }

    /// What makes a name that no other spool and no other opening of this one has.
    pub(crate) fn opening(&self) -> (u64, u32) {
        let state = self.state();
        (state.state.spool, state.state.opening)
    }

    /// The journal of batches, if there is one.
    pub(crate) fn journal(&self) -> Option<Journal> {
        self.state().state.journal.clone()
    }

    /// Saves what has become of batches, and with it how far this output has come: when this returns, a kill does not
    /// undo it.
    pub(crate) fn change_journal(
        &self,
        output: &str,
        change: impl FnOnce(&mut Journal),
    ) -> Result<(), DiskError> {
        let mut state = self.state();
        let place = state.state.places.get(output).copied();
        let journal = state
            .state
            .journal
            .get_or_insert_with(|| Journal::at(place.unwrap_or_default()));
        change(journal);
        let low = journal.low();
        state.state.places.insert(output.to_owned(), low);
        self.save(&mut state)?;
        drop(state);
        self.changed();
        Ok(())
    }

    /// Saves what several who take from one stream are still owed of it, and with it how far this output has come: when this
    /// returns, a kill does not undo it.
    pub(crate) fn set_journal(&self, output: &str, journal: Journal) -> Result<(), DiskError> {
        self.save_journal(output, journal)?;
        self.changed();
        Ok(())
    }

    /// The same, without forcing that to the disk, whatever the policy: [`Spool::changed`] does.
    pub(crate) fn save_journal(&self, output: &str, journal: Journal) -> Result<(), DiskError> {
        let mut state = self.state();
        state.state.places.insert(output.to_owned(), journal.low());
        state.state.journal = Some(journal).filter(|it| !it.open.is_empty());
        self.save(&mut state)
    }

    /// The journal, as another run would find it, whatever could not be saved since.
    pub(crate) fn saved_journal(&self, output: &str) -> Option<Journal> {
        let state = self.state().saved()?;
        let place = state.places.get(output).copied();
        state.journal.or_else(|| place.map(Journal::at))
    }

    /// What was in batches goes out as a stream, and all before this place has: the place of what is next.
    pub(crate) fn pass_batches(&self, place: Place) -> Place {
        let journal = &mut self.state().state.journal;
        let Some(batches) = journal else {
            return place;
        };
        let next = batches.pass(place);
        journal.take_if(|it| it.open.is_empty());
        next
    }

    /// Saves how far an output has come: when this returns, a kill does not undo it.
    pub(crate) fn set_place(&self, output: &str, place: Place) -> Result<(), DiskError> {
        self.save_place(output, place)?;
        self.changed();
        Ok(())
    }

    /// The same, without forcing that to the disk, whatever the policy: [`Spool::changed`] does.
    pub(crate) fn save_place(&self, output: &str, place: Place) -> Result<(), DiskError> {
        let mut state = self.state();
        match state.state.places.get_mut(output) {
            Some(known) => *known = place,
            None => {
                state.state.places.insert(output.to_owned(), place);
            }
        }
        self.save(&mut state)
    }

    /// Forgets the outputs that are not among these, and says which they were.
    pub(crate) fn keep_places(&self, outputs: &[&str]) -> Result<Vec<(String, Place)>, DiskError> {
        let mut state = self.state();
        let is_kept = |name: &String| outputs.contains(&name.as_str());
        let places = std::mem::take(&mut state.state.places);
        let (kept, forgotten) = places.into_iter().partition(|(name, _)| is_kept(name));
        state.state.places = kept;
        self.save(&mut state)?;
        let forgotten: BTreeMap<_, _> = forgotten;
        Ok(forgotten.into_iter().collect())
    }

    /// Forgets one output: nothing is kept for it any more. [`Spool::changed`] forces that to the disk.
    pub(crate) fn forget_place(&self, output: &str) -> Result<(), DiskError> {
        let mut state = self.state();
        state.state.places.remove(output);
        self.save(&mut state)
    }

    pub(super) fn save(&self, state: &mut StateFile) -> Result<(), DiskError> {
        state.state.end = self.end();
        state.save().map_err(|error| {
            let path = self.directory.path_of("state");
            if error == Errno::TOOBIG {
                let reason = "too many outputs, or too long names of them; name fewer";
                return DiskError::because("save places in", &path, reason);
            }
            self.failed("save places in", &path, error)
        })
    }

    /// Counts what is lost; saved with the next place.
    pub(crate) fn count_loss(&self, damage: &Damage) {
        if !damage.is_harmless() && !damage.known {
            self.is_damaged.store(true, Ordering::Relaxed);
        }
        if damage.is_loss() && !damage.known {
            let mut state = self.state();
            state.state.lost_bytes += damage.bytes;
            let lost = &mut state.state.lost_records;
            *lost = match damage.is_counted {
                true => lost.saturating_add(damage.records),
                false => UNCOUNTED,
            };
        }
    }

    /// Whether something was found since it was opened by which bytes are lost, repeated or delivered unchecked.
    #[must_use]
    pub(crate) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    /// Ends in order: what has been appended is entered, forced to the disk (but with `off`), and
    /// what every output has is given back, the last segment too, before this offset. `at_record`: what comes next begins a record.
    pub(crate) fn close(&self, at_record: bool, floor: u64) -> Result<(), DiskError> {
        let mut writer = self.writer();
        // A disk that is full keeps the entry out; the file's length is the truth all the same.
        let _ = self.enter(&mut writer)?;
        self.finish(&mut writer)?;
        drop(writer);
        if at_record {
            let end = self.end();
            self.set_end(end.between_records());
        }
        self.save(&mut self.state())?;
        let is_forced = self.wakeup.policy() != Policy::Off;
        if is_forced {
            // The places first: what they leave behind need not be forced to the disk to be removed.
            self.syncs.beside(|| self.force_state(0))?;
        }
        // Somebody else may be about to end.
        self.release_by(Some(self.writer()), floor)?;
        match is_forced {
            true => self.sync(),
            false => Ok(()),
        }
    }

    /// An error of the system, with a way out where the reason alone does not show one.
    pub(super) fn failed(&self, what: &'static str, path: &Path, error: Errno) -> DiskError {
        if error == Errno::NOENT {
            let reason = "the spool's directory was removed while weir was using it";
            return DiskError::because(what, path, reason);
        }
        DiskError::new(what, path, error)
    }
}
