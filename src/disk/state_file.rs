//! The file of a spool's state: its four slots, which of them is read, and which is written.
//!
//! The slots and why there are four are told in [`state`](super::state).

use std::fs::File;
use std::sync::Arc;

use rustix::io::Errno;

use super::damage::{Cause, Damage};
use super::directory::Directory;
use super::error::DiskError;
use super::file::{read_at, write_all};
use super::format::Read;
use super::state::{SLOT, State};
use super::sys;

const NAME: &str = "state";
const SLOTS: usize = 4;

/// Reads the newest slot of a file. Damage and emptiness are the same: no slot that is whole.
/// The second says whether a slot that has been written is not whole.
pub(crate) fn read(file: &File) -> std::io::Result<(Read<State>, bool)> {
    let mut best: Read<State> = Read::Damaged;
    let mut hurt = false;
    let mut slot = vec![0; SLOT];
    for number in 0..SLOTS {
        let len = read_at(file, &mut slot, (number * SLOT) as u64)?;
        match State::decode(&slot[..len]) {
            Read::Unknown(version) => return Ok((Read::Unknown(version), hurt)),
            Read::Damaged => hurt |= is_hurt(&slot[..len]),
            Read::Good(state) => match &best {
                Read::Good(newer) if newer.saves > state.saves => {}
                _ => best = Read::Good(state),
            },
        }
    }
    Ok((best, hurt))
}

/// Whether a slot that is not valid once was, or is not there.
fn is_hurt(slot: &[u8]) -> bool {
    slot.len() < SLOT || slot.iter().any(|&byte| byte != 0)
}

/// A state that is whole, and the file that it is in.
pub(crate) type Found = Option<(File, State)>;

/// The state of a spool, and what is wrong with it: one that cannot be read is moved aside.
pub(crate) fn find(directory: &Directory) -> Result<(Found, Option<Damage>), DiskError> {
    let path = directory.path_of(NAME);
    let damage = |cause| Damage::new(cause, &path.display().to_string(), 0, 0, 0);
    let file = match directory.open_file(NAME) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok((None, Some(damage(Cause::State)))),
        Err(error) => return Err(DiskError::new("read", &path, error)),
    };
    match read(&file).map_err(|error| DiskError::new("read", &path, error))? {
        (Read::Good(state), hurt) => {
            Ok((Some((file, state)), hurt.then(|| damage(Cause::OldState))))
        }
        (Read::Damaged, _) => {
            let mut damage = damage(Cause::State);
            let aside = "damaged-state";
            if directory.rename(NAME, aside).is_ok() {
                damage.aside = Some(aside.to_owned());
            }
            Ok((None, Some(damage)))
        }
        (Read::Unknown(version), _) => Err(DiskError::unknown_version(version, &path)),
    }
}

/// The file, and what was saved in it last.
#[derive(Debug)]
pub(crate) struct StateFile {
    file: Arc<File>,
    /// What the next save writes.
    pub state: State,
    written: usize,
    synced: usize,
    syncing: Option<usize>,
    /// What is to be saved could not be.
    unsaved: bool,
}

impl StateFile {
    /// Saves `state`, in `file` if there is one, and forces it to the disk: the number of this
    /// opening is never used again.
    pub(crate) fn take(
        directory: &Directory,
        file: Option<File>,
        state: State,
    ) -> Result<StateFile, DiskError> {
        let saved = match file {
            Some(file) => StateFile::resume(file, state),
            None => StateFile::create(directory, state),
        };
        saved.map_err(|error| {
            let _ = directory.remove("state.new");
            DiskError::new("save", &directory.path_of(NAME), error)
        })
    }

    /// Makes the file, under another name until it is whole.
    fn create(directory: &Directory, state: State) -> Result<StateFile, Errno> {
        directory.remove("state.new")?;
        let filled = StateFile::fill(directory.create("state.new")?, state)?;
        directory.rename("state.new", NAME)?;
        directory.sync()?;
        Ok(filled)
    }

    /// Fills a file that has just been made, and saves `state` in it.
    fn fill(file: File, state: State) -> Result<StateFile, Errno> {
        let zeros = vec![0; SLOT];
        for number in 0..SLOTS {
            write_all(&file, &zeros, (number * SLOT) as u64)?;
        }
        let mut filled = StateFile::over(file, state);
        filled.save()?;
        rustix::fs::fsync(&filled.file)?;
        Ok(filled)
    }

    /// Goes on with a file that has been read: `state` came from it. The slot that it came from is
    /// not known to be on the disk, and not known not to be, so that is where the next save is not.
    fn resume(file: File, state: State) -> Result<StateFile, Errno> {
        let mut resumed = StateFile::over(file, state);
        let mut slot = vec![0; SLOT];
        for number in 0..SLOTS {
            let at = (number * SLOT) as u64;
            let len = read_at(&resumed.file, &mut slot, at)
                .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
            match State::decode(&slot[..len]) {
                Read::Good(found) if found.saves == resumed.state.saves => {
                    resumed.written = number;
                    resumed.synced = number;
                }
                Read::Damaged if is_hurt(&slot[..len]) => {
                    // It has been said, and is not to be said for ever. A full disk keeps it so.
                    let _ = write_all(&resumed.file, &[0; SLOT], at);
                }
                _ => {}
            }
        }
        resumed.save()?;
        let forced = sys::force(&resumed.force());
        resumed.forced(forced.is_ok());
        forced.map(|()| resumed)
    }

    fn over(file: File, state: State) -> StateFile {
        StateFile {
            file: Arc::new(file),
            state,
            written: 0,
            synced: 0,
            syncing: None,
            unsaved: false,
        }
    }

    /// Writes the state down: from now on it outlives the process. `TOOBIG` where there is too much
    /// of it for a slot.
    pub(crate) fn save(&mut self) -> Result<(), Errno> {
        self.state.saves += 1;
        self.unsaved = true;
        let bytes = self.state.encode().ok_or(Errno::TOOBIG)?;
        let busy = [Some(self.written), Some(self.synced), self.syncing];
        let free = (0..SLOTS).find(|slot| !busy.contains(&Some(*slot)));
        let slot = free.unwrap_or(self.written);
        write_all(&self.file, &bytes, (slot * SLOT) as u64)?;
        self.written = slot;
        self.unsaved = false;
        Ok(())
    }

    /// What another run would find.
    pub(crate) fn saved(&self) -> Option<State> {
        match read(&self.file) {
            Ok((Read::Good(state), _)) => Some(state),
            _ => None,
        }
    }

    /// Whether the last save has failed.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// The file, to be forced to the disk; what has been saved so far is then not written over
    /// until [`StateFile::forced`].
    pub(crate) fn force(&mut self) -> Arc<File> {
        self.syncing = Some(self.written);
        Arc::clone(&self.file)
    }

    /// What was to be forced to the disk has been, or has failed to be.
    pub(crate) fn forced(&mut self, done: bool) {
        if let Some(slot) = self.syncing.take()
            && done
        {
            self.synced = slot;
        }
    }
}
