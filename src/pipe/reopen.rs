//! Files that somebody has moved away to keep them, and that are to be written anew under their old names.
//!
//! Invariant: either all of them are opened before any writer is told, or none of them tells anybody; and who writes
//! changes between two things that belong together, not within one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::PipeError;

/// Opens a file anew. What it returns makes whoever writes go on with it.
pub(crate) type Reopener = Box<dyn Fn() -> Result<Box<dyn FnOnce()>, PipeError>>;

/// What a writer is to go on with, if anything, and when it can.
#[derive(Debug)]
pub(crate) struct Successor<T>(Arc<Mutex<Option<T>>>);

impl<T: 'static> Successor<T> {
    /// Nothing yet.
    #[must_use]
    pub(crate) fn none() -> Successor<T> {
        Successor(Arc::default())
    }

    /// What opens one, for this writer.
    #[must_use]
    pub(crate) fn reopener(&self, open: impl Fn() -> Result<T, PipeError> + 'static) -> Reopener {
        let next = self.0.clone();
        Box::new(move || {
            let (opened, next) = (open()?, next.clone());
            Ok(Box::new(move || *lock(&next) = Some(opened)))
        })
    }

    /// Whether there is one.
    #[must_use]
    pub(crate) fn is_there(&self) -> bool {
        lock(&self.0).is_some()
    }

    /// Goes on with it from here on.
    pub(crate) fn take(&self) -> Option<T> {
        lock(&self.0).take()
    }
}

fn lock<T>(next: &Mutex<Option<T>>) -> MutexGuard<'_, Option<T>> {
    next.lock().unwrap_or_else(PoisonError::into_inner)
}
