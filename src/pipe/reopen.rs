//! Files that somebody has moved away to keep them, and that are to be written anew under their old names.
//!
//! One that is a FIFO by now is refused rather than waited for; one whose writer has ended is left out.
//!
//! Invariant: either all of them are opened before any writer is told, or none of them tells anybody; and who writes
//! changes between two things that belong together, not within one. Whoever asked is told when all have changed: what they
//! wrote to before is closed then.

use std::convert::Infallible;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crossbeam_channel::Sender;

use super::error::PipeError;

/// Opens a file anew; `None` where nobody writes to it any more.
pub(crate) type Reopener = Box<dyn Fn() -> Result<Option<Reopened>, PipeError>>;

/// A file that was opened anew.
pub(crate) struct Reopened {
    path: PathBuf,
    /// Which one it is, if it keeps what is written.
    id: Option<(u64, u64)>,
    /// It was not there before, and goes again where nobody goes on with it.
    is_new: bool,
    go_on: Option<Box<dyn FnOnce(Asked)>>,
}

/// Held until a writer has changed, and what it wrote to before is closed.
#[derive(Debug)]
pub(crate) struct Asked {
    _by: Arc<Sender<Infallible>>,
}

/// A writer that has been told, and may not have changed yet.
#[derive(Debug)]
pub(crate) struct Told {
    path: PathBuf,
    asked: Weak<Sender<Infallible>>,
}

impl Told {
    /// The file, if its writer has not changed yet.
    #[must_use]
    pub(crate) fn pending(&self) -> Option<&Path> {
        (self.asked.strong_count() > 0).then_some(&self.path)
    }
}

impl Reopened {
    /// Makes whoever writes go on with it, when it looks for that next and is between two things. By then it has dropped
    /// what it holds of this sender.
    pub(crate) fn go_on(mut self, by: Sender<Infallible>) -> Told {
        let by = Arc::new(by);
        let asked = Arc::downgrade(&by);
        if let Some(go_on) = self.go_on.take() {
            go_on(Asked { _by: by });
        }
        let path = self.path.clone();
        Told { path, asked }
    }
}

impl Drop for Reopened {
    fn drop(&mut self) {
        let is_it = |data: Metadata| Some(id(&data)) == self.id && data.len() == 0;
        let is_unused = self.is_new && self.go_on.is_some();
        if is_unused
            && self.path.metadata().is_ok_and(is_it)
            && let Ok(path) = self.path.canonicalize()
        {
            // What is left behind is a file that nobody wants.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn id(data: &Metadata) -> (u64, u64) {
    (data.dev(), data.ino())
}

/// The names of the first two that are one file, in which two writers would be mixed.
#[must_use]
pub(crate) fn first_twins(all: &[Reopened]) -> Option<[&Path; 2]> {
    let twin = |(n, b): (usize, &Reopened)| {
        let earlier = all[..n].iter().find(|a| b.id.is_some() && a.id == b.id);
        earlier.map(|_| n)
    };
    let n = all.iter().enumerate().find_map(twin)?;
    let a = all.iter().find(|a| a.id == all[n].id)?;
    Some([&a.path, &all[n].path])
}

/// What a writer is to go on with.
#[derive(Debug)]
enum Next<T> {
    Nothing,
    This(T, Asked),
    /// There is no writer any more.
    Never,
}

/// What a writer is to go on with, if anything, and when it can.
#[derive(Debug)]
pub(crate) struct Successor<T>(Arc<Mutex<Next<T>>>);

impl<T: 'static> Successor<T> {
    /// Nothing yet.
    #[must_use]
    pub(crate) fn none() -> Successor<T> {
        Successor(Arc::new(Mutex::new(Next::Nothing)))
    }

    /// What opens one by this path, which that option named, for this writer.
    #[must_use]
    pub(crate) fn reopener(
        &self,
        option: &'static str,
        path: &Path,
        open: impl Fn(&Path) -> Result<T, PipeError> + 'static,
    ) -> Reopener {
        let (path, next) = (path.to_owned(), self.0.clone());
        Box::new(move || {
            if matches!(*lock(&next), Next::Never) {
                return Ok(None);
            }
            let is_fifo = |data: Metadata| data.file_type().is_fifo();
            if path.metadata().is_ok_and(is_fifo) {
                let name = path.display().to_string();
                let why = "it is a FIFO now; put a file there, or nothing";
                return Err(PipeError::because("open", &name, why).of(option));
            }
            let is_new = path.metadata().is_err();
            let (opened, next) = (open(&path).map_err(|e| e.of(option))?, next.clone());
            let kept = path.metadata().ok().filter(Metadata::is_file);
            Ok(Some(Reopened {
                path: path.clone(),
                id: kept.as_ref().map(id),
                is_new,
                go_on: Some(Box::new(move |asked| {
                    let mut next = lock(&next);
                    if !matches!(*next, Next::Never) {
                        *next = Next::This(opened, asked);
                    }
                })),
            }))
        })
    }

    /// Whether there is one.
    #[must_use]
    pub(crate) fn is_there(&self) -> bool {
        matches!(*lock(&self.0), Next::This(..))
    }

    /// Goes on with it from here on: whoever asked is told when the second of the two is dropped.
    pub(crate) fn take(&self) -> Option<(T, Asked)> {
        let mut next = lock(&self.0);
        match std::mem::replace(&mut *next, Next::Nothing) {
            Next::This(it, asked) => Some((it, asked)),
            other => {
                *next = other;
                None
            }
        }
    }

    /// The writer has ended.
    pub(crate) fn close(&self) {
        *lock(&self.0) = Next::Never;
    }
}

fn lock<T>(next: &Mutex<Next<T>>) -> MutexGuard<'_, Next<T>> {
    next.lock().unwrap_or_else(PoisonError::into_inner)
}
