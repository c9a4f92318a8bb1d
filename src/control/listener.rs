//! The door: whether clients can come in, and the lock that is held while one of them is served.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether one can come in.
#[derive(Debug, Default)]
pub(super) enum Door {
    #[default]
    NotYet,
    Open(PathBuf),
    Shut,
}

/// The door, and the lock that is held while somebody is served.
#[derive(Debug, Default)]
pub(crate) struct Listener(Mutex<Door>);

impl Listener {
    /// Holds the door as it is. `None` once it is shut.
    pub(crate) fn hold(&self) -> Option<impl Sized + '_> {
        Some(self.lock()).filter(|door| !matches!(**door, Door::Shut))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Door> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
