//! One weir at a time owns a spool: a lock that goes with the process, whatever ends it.

use std::fs::File;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock, ftruncate};
use rustix::io::Errno;

use super::directory::Directory;
use super::error::DiskError;
use super::file::{read_at, write_all};
use super::sys;

const NAME: &str = "lock";
const HEAD: &str = "weir.lck 1\n";

/// The spool is ours for as long as this is held.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, or says who has it.
    pub(crate) fn take(directory: &Directory) -> Result<Lock, DiskError> {
        let failed = |error| DiskError::new("lock", &directory.path_of(NAME), error);
        let file = directory.open_or_create(NAME).map_err(failed)?;
        // Whoever asks for the owner holds the lock for an instant, and so does a process that the
        // last owner had just forked, until it runs something else.
        let mut tries = 0;
        while let Err(error) = sys::again(|| flock(&file, FlockOperation::NonBlockingLockExclusive))
        {
            if error != Errno::WOULDBLOCK {
                return Err(failed(error));
            }
            tries += 1;
            if tries == 100 {
                return Err(taken(directory, &file));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let text = format!("{HEAD}{}\n", std::process::id());
        // Who owns it is for people to know: the lock holds without. A full disk keeps nobody out.
        let _ = ftruncate(&file, 0).and_then(|()| write_all(&file, text.as_bytes(), 0));
        Ok(Lock { _file: file })
    }

    /// The PID of the weir that owns the spool, if one does: 0 where it is not known.
    pub(crate) fn owner(directory: &Directory) -> Option<u32> {
        let file = directory.read_file(NAME).ok()?;
        match sys::again(|| flock(&file, FlockOperation::NonBlockingLockShared)) {
            Err(Errno::WOULDBLOCK) => Some(pid_in(&file).unwrap_or(0)),
            _ => None,
        }
    }
}

fn taken(directory: &Directory, file: &File) -> DiskError {
    let owner = pid_in(file).map_or("another weir".to_owned(), |pid| format!("weir {pid}"));
    DiskError::because(
        "open the spool",
        directory.path(),
        format_args!("{owner} is using it; end that one first, or name another directory"),
    )
}

fn pid_in(file: &File) -> Option<u32> {
    let mut text = [0; 32];
    let len = read_at(file, &mut text, 0).ok()?;
    let text = std::str::from_utf8(&text[..len]).ok()?;
    text.strip_prefix(HEAD)?.trim().parse().ok()
}
