//! One weir at a time owns a spool: a lock that goes with the process, whatever ends it.

use std::fs::File;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock, ftruncate};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::directory::Directory;
use super::error::DiskError;
use super::file::{read_at, write_all};
use super::{process, sys};

const NAME: &str = "lock";
const HEAD: &str = "weir.lck 1\n";

const AGAIN: Duration = Duration::from_millis(2);
/// So often it is tried while its owner lives, and so often where that one has ended: 200 ms, and 2 s.
const TRIES: u32 = 100;
const TRIES_MOST: u32 = 1000;

/// The spool is ours for as long as this is held.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, or says who has it.
    pub(crate) fn take(directory: &Directory) -> Result<Lock, DiskError> {
        Lock::take_in_time(directory, std::thread::sleep)
    }

    fn take_in_time(
        directory: &Directory,
        mut wait: impl FnMut(Duration),
    ) -> Result<Lock, DiskError> {
        let failed = |error| DiskError::new("lock", &directory.path_of(NAME), error);
        let file = directory.open_or_create(NAME).map_err(failed)?;
        // Whoever asks for the owner holds the lock for an instant, and so does a process that the
        // last owner had just forked, until it runs something else. One that was killed has it for as long as the
        // system forces something of it to the disk.
        let mut tries = 0;
        while let Err(error) = sys::again(|| flock(&file, FlockOperation::NonBlockingLockExclusive))
        {
            if error != Errno::WOULDBLOCK {
                return Err(failed(error));
            }
            tries += 1;
            if tries == TRIES_MOST || tries >= TRIES && !pid_in(&file).is_some_and(is_over) {
                return Err(taken(directory, &file));
            }
            wait(AGAIN);
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
    let (what, place) = ("open the spool", directory.path());
    let owner = pid_in(file);
    if let Some(pid) = owner.filter(|pid| is_over(*pid)) {
        let why = format_args!(
            "weir {pid} has ended, and the system, or a process that it has started, still holds its lock; try again, or name another directory"
        );
        return DiskError::because(what, place, why);
    }
    let owner = owner.map_or("another weir".to_owned(), |pid| format!("weir {pid}"));
    let why = format_args!("{owner} is using it; end that one first, or name another directory");
    DiskError::because(what, place, why)
}

/// Whether there is no such process, or nothing of it but what the system has not let go of yet.
fn is_over(pid: u32) -> bool {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let is_gone = number.is_none_or(|pid| test_kill_process(pid) == Err(Errno::SRCH));
    is_gone || process::stat_of(pid).is_some_and(|it| it.starts_with(['Z', 'X']))
}

fn pid_in(file: &File) -> Option<u32> {
    let mut text = [0; 32];
    let len = read_at(file, &mut text, 0).ok()?;
    let text = std::str::from_utf8(&text[..len]).ok()?;
    text.strip_prefix(HEAD)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it is tried for while somebody with this PID has it, who lets it go after so many tries.
    fn tries(owner: u32, lets_go_after: u32) -> (u32, bool) {
        let home = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(home.path()).expect("it is there");
        let mut held = Some(Lock::take(&directory).expect("it is free"));
        let text = format!("{HEAD}{owner}\n");
        std::fs::write(home.path().join(NAME), text).expect("written");
        let mut waits = 0;
        let taken = Lock::take_in_time(&directory, |_| {
            waits += 1;
            if waits == lets_go_after {
                held = None;
            }
        });
        (waits, taken.is_ok())
    }

    #[test]
    fn one_that_is_held_after_the_end_of_its_owner_is_waited_for() {
        let dead = || {
            let mut child = std::process::Command::new("true").spawn().expect("started");
            child.wait().expect("ended");
            child.id()
        };
        assert_eq!(tries(dead(), TRIES + 50), (TRIES + 50, true));
        assert_eq!(tries(dead(), u32::MAX), (TRIES_MOST - 1, false));
        // What nobody has waited for yet has ended, too.
        let mut child = std::process::Command::new("cat");
        let mut child = child
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("started");
        let living = child.id();
        assert_eq!(tries(living, TRIES + 50), (TRIES - 1, false));
        drop(child.stdin.take());
        while !is_over(living) {
            std::thread::yield_now();
        }
        assert_eq!(tries(living, TRIES + 50), (TRIES + 50, true));
        child.wait().expect("ended");
    }
}
