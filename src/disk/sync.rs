//! Forcing a spool to the disk: what that covers, and the thread that does it.
//!
//! What a sync covered is safe only once
//! it has answered that it worked; one that failed is never simply tried again, for the system
//! forgets what it could not write and the next call would succeed: see [`rescue`](super::rescue).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use rustix::io::Errno;

use super::damage::Damage;
use super::error::DiskError;
use super::schedule::Policy;
use super::spool::Spool;
use super::sys;
use super::writer::Unsynced;

/// The thread that forces a spool to the disk when it is due, or somebody waits for that.
#[derive(Debug)]
pub(crate) struct Syncer {
    spool: Arc<Spool>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// Starts it, where the policy needs one. What a sync has to say goes to `report`: damage that it
    /// found, and, once until it works again, that it failed and is tried with another file in a while.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(
        spool: Arc<Spool>,
        mut report: impl FnMut(Vec<Damage>, Option<DiskError>) + Send + 'static,
    ) -> std::io::Result<Syncer> {
        if spool.wakeup.policy() == Policy::Off {
            return Ok(Syncer {
                spool,
                thread: None,
            });
        }
        let for_thread = Arc::clone(&spool);
        let thread = std::thread::Builder::new()
            .name("sync".to_owned())
            .spawn(move || {
                let mut has_failed = false;
                while let Some(number) = for_thread.wakeup.wait() {
                    let outcome = for_thread.sync();
                    let fails = outcome.is_err();
                    if fails {
                        for_thread.wakeup.note_due();
                    }
                    // One that goes on failing is said once.
                    let failure = outcome.err().filter(|_| !has_failed);
                    has_failed = fails;
                    report(for_thread.take_found(), failure);
                    // Whoever waits for it goes on then, whatever has come of it.
                    for_thread.wakeup.answer(number);
                }
            })?;
        spool.wakeup.serve();
        Ok(Syncer {
            spool,
            thread: Some(thread),
        })
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.spool.wakeup.stop();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Spool {
    /// Forces all that has been appended and saved so far to the disk. What was lost because the disk did not take it is
    /// [told](Spool::take_found) apart.
    ///
    /// # Errors
    /// When it is not on the disk: what a later call covers is then everything again, by other files.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        self.has_time()?;
        self.syncs.one(|| self.sync_alone())
    }

    fn sync_alone(&self) -> Result<(), DiskError> {
        // It may have waited for another one.
        self.has_time()?;
        let mut writer = self.writer();
        // A disk that is full keeps the entry out. Its bytes are forced there all the same, and whoever finds them without
        // one enters them.
        let _ = self.enter(&mut writer)?;
        // One that is made while this goes on is in an index that was forced before.
        let is_entered = writer.pending.is_none();
        let through = writer.end;
        writer.covered = through;
        self.forget_taken(&mut writer);
        let covered = writer.unsynced.clone();
        drop(writer);
        self.force(&covered, through)?;
        let mut writer = self.writer();
        let writing = writer.tail.as_ref().map(|(tail, _)| tail.segment().base());
        writer.keep_unsynced(|u| {
            let end = u.segment.end();
            let is_to_come = end > through || end == through && !is_entered;
            // Who appends may have found meanwhile that it fails: that is written anew by the next one.
            is_to_come || Some(u.segment.base()) == writing || u.failed.load(Ordering::Acquire)
        });
        Ok(())
    }

    fn force(&self, covered: &[Unsynced], through: u64) -> Result<(), DiskError> {
        for unsynced in covered {
            if !self.segments.has(&unsynced.segment) {
                // Given back meanwhile.
                continue;
            }
            self.has_time()?;
            if let Err(error) = unsynced.force() {
                if self.wakeup.is_in_hurry() {
                    // That has failed, whatever there is time for.
                    return Err(self.failed("sync", unsynced.segment.path(), error));
                }
                self.rescue(unsynced, error)?;
            }
        }
        self.has_time()?;
        self.force_names()?;
        self.force_state(through)
    }

    /// Forces the names of files to the disk, where some have changed since that has worked.
    fn force_names(&self) -> Result<(), DiskError> {
        // One that changes while this goes on is for the next time.
        let have_changed = std::mem::take(&mut self.writer().names_changed);
        if !have_changed {
            return Ok(());
        }
        self.directory.sync().map_err(|error| {
            self.writer().names_changed = true;
            self.failed("sync", self.directory.path(), error)
        })
    }

    /// Whether there is still time to force something: that may take as long as the disk likes.
    pub(super) fn has_time(&self) -> Result<(), DiskError> {
        if self.wakeup.is_in_hurry() {
            return Err(DiskError::out_of_time("sync", self.directory.path()));
        }
        Ok(())
    }

    /// Forces the state to the disk; the stream has been, up to there.
    pub(super) fn force_state(&self, through: u64) -> Result<(), DiskError> {
        let path = self.directory.path_of("state");
        let mut state = self.state();
        state.state.synced = state.state.synced.max(through);
        self.save(&mut state)?;
        self.has_time()?;
        let file = state.force();
        drop(state);
        let forced = sys::force(&file);
        self.state().forced(forced.is_ok());
        forced.map_err(|error| self.failed("sync", &path, error))?;
        match rustix::fs::fstat(&file) {
            Ok(stat) if stat.st_nlink == 0 => Err(self.failed("sync", &path, Errno::NOENT)),
            _ => Ok(()),
        }
    }
}
