//! Where the members of a share on one host meet: under which name, in which directory, and what is done about a file that
//! somebody removes or cuts short.
//!
//! Invariant: no member removes the file: who came in between would be alone in one that has no name. Where
//! somebody else does (a user's directory goes when he logs out, old temporary files are swept away), or cuts it short,
//! the members meet anew; where they cannot, each passes an n-th of the cap, n being the most members that it has seen.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::file::{Found, Mapped, SIZE, VERSION, fill_up, header, is_at, look, make, map, open};
use super::process::{is_gone, this_process};
use super::rules::until_then;
use super::table::{Leave, Member, SLOTS, members};
use super::turn::Place;
use crate::units::Unit;

/// A file that keeps being replaced by others is given up after so many tries.
const TRIES: u32 = 100;

/// Why a cap cannot be shared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShareError {
    /// The system refused something about the file.
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// Somebody else has put something there.
    #[error("{0} is not a file of this user's: remove it, or use another name")]
    NotOurs(PathBuf),
    /// Another version of weir may be using it.
    #[error(
        "a weir of another version shares it (layout {0}, this one has {VERSION}): end that one and \
         remove {1}, or use another name"
    )]
    Version(u32, PathBuf),
    /// Nowhere to put it.
    #[error("there is no directory that only this user can enter")]
    NoDirectory,
    /// There is no room for one more.
    #[error("{SLOTS} weirs share it already")]
    Full,
}

impl ShareError {
    /// The same, for a line that names the file already.
    fn reason(&self) -> String {
        match self {
            ShareError::Io(_, e) => e.to_string(),
            other => other.to_string(),
        }
    }
}

/// A way out of a membership, whichever it is by now, and what is known of the others.
#[derive(Debug)]
pub(crate) struct Way {
    leave: Leave<Arc<Mapped>>,
    /// The most members that were ever seen.
    most: u64,
    /// The file cannot be made good.
    is_cut_off: bool,
}

impl Way {
    /// Ends the membership.
    pub(crate) fn leave(&self) {
        self.leave.leave();
    }

    /// How many share the cap, and whether this one is cut off from the others.
    pub(crate) fn members(&mut self) -> (u64, bool) {
        if self.is_cut_off {
            return (self.most, true);
        }
        let count = members(self.leave.words(), is_gone) as u64;
        self.most = self.most.max(count);
        (count, false)
    }

    /// Counts the members, if there may be more than ever. To find out who of them is gone takes longer.
    fn look_around(&mut self) {
        if members(self.leave.words(), |_| false) as u64 > self.most {
            self.members();
        }
    }
}

/// For somebody else to hold.
pub(crate) type WayOut = Arc<Mutex<Way>>;

/// Where those meet who share a cap on bytes or on records under one name.
#[derive(Debug)]
pub(crate) struct Meeting {
    name: String,
    unit: Unit,
    /// The directories that only this user can enter; see [`join`].
    directories: fn() -> Vec<PathBuf>,
    way_out: WayOut,
    say: Say,
}

/// Who is told, in one line, what has become of the file.
struct Say(Box<dyn Fn(&str) + Send>);

impl std::fmt::Debug for Say {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Say")
    }
}

impl Meeting {
    /// Joins those who meet under this name.
    ///
    /// # Errors
    /// What stands in the way, and what can be done about it.
    pub(crate) fn join(
        name: &str,
        unit: Unit,
        directories: fn() -> Vec<PathBuf>,
    ) -> Result<(Member<Arc<Mapped>>, Meeting), ShareError> {
        let member = join(&directories(), name, unit)?;
        let mut way = Way {
            leave: member.leave(),
            most: 1,
            is_cut_off: false,
        };
        way.look_around();
        let way_out = Arc::new(Mutex::new(way));
        let meeting = Meeting {
            name: name.to_owned(),
            unit,
            directories,
            way_out,
            say: Say(Box::new(|_| {})),
        };
        Ok((member, meeting))
    }

    /// From now on this one is told.
    pub(crate) fn telling(mut self, say: impl Fn(&str) + Send + 'static) -> Meeting {
        self.say = Say(Box::new(say));
        self
    }

    /// How to leave, for somebody else.
    pub(crate) fn way_out(&self) -> WayOut {
        Arc::clone(&self.way_out)
    }
}

impl Place<Arc<Mapped>> for Meeting {
    fn is_lost(&self, member: &Member<Arc<Mapped>>) -> bool {
        member.words().guard.is_lost() || !member.is_listed()
    }

    fn among(&self) -> u64 {
        let way = self.way();
        if way.is_cut_off { way.most } else { 1 }
    }

    fn look(&mut self, before: &Member<Arc<Mapped>>) -> Option<Member<Arc<Mapped>>> {
        let is_lost = self.is_lost(before);
        let (has_name, size) = before.words().is_found();
        if !is_lost && size >= SIZE as u64 {
            self.way().look_around();
        }
        if has_name && !is_lost {
            if let Some(file) = before.words().file().filter(|_| size < SIZE as u64) {
                // What was cut off is not what this member needs, but others may.
                let result = fill_up(file, header(self.unit));
                self.report(result.as_ref().err().map(ToString::to_string));
            } else if self.way().is_cut_off {
                // Somebody else has made it good.
                self.report(None);
            }
            return None;
        }
        // Where that fails, the old file still rules those who have it.
        let joined = join(&(self.directories)(), &self.name, self.unit);
        if is_lost || self.way().is_cut_off {
            self.report(joined.as_ref().err().map(ShareError::reason));
        }
        let member = joined.ok()?;
        if is_lost {
            member.end_earlier(before);
        }
        self.way().leave = member.leave();
        Some(member)
    }
}

impl Meeting {
    fn way(&self) -> MutexGuard<'_, Way> {
        self.way_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what has become of the file, once while it cannot be made whole, and that it is whole again.
    fn report(&mut self, error: Option<String>) {
        let mut way = self.way();
        let most = way.most;
        let has_said = std::mem::replace(&mut way.is_cut_off, error.is_some());
        drop(way);
        if has_said && error.is_some() {
            return;
        }
        let path = place(&(self.directories)(), &self.name, self.unit);
        let path = path.unwrap_or_else(|_| PathBuf::from("its file"));
        let then = match error {
            None => "it is made good, and the cap is shared as before".to_owned(),
            Some(e) => format!("{}: {e}", until_then(most)),
        };
        let (name, path) = (&self.name, path.display());
        let line = format!("share {name}: {path}: cut short or overwritten by somebody: {then}");
        (self.say.0)(&line);
    }
}

/// Joins those who share a cap on bytes or on records under this name: in the first of these
/// directories where there are any, else in the first one.
fn join(
    directories: &[PathBuf],
    name: &str,
    unit: Unit,
) -> Result<Member<Arc<Mapped>>, ShareError> {
    let path = place(directories, name, unit)?;
    let failed = |e: io::Error| ShareError::Io(path.clone(), e);
    let header = header(unit);
    let who = this_process();
    for _ in 0..TRIES {
        let file = match open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                make(&path, header, false).map_err(failed)?;
                continue;
            }
            Err(e) if e.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                return Err(ShareError::NotOurs(path.clone()));
            }
            Err(e) => return Err(failed(e)),
        };
        match look(&file, header).map_err(failed)? {
            Found::Ours => {}
            Found::Useless => {
                make(&path, header, true).map_err(failed)?;
                continue;
            }
            Found::Short => {
                fill_up(&file, header).map_err(failed)?;
                continue;
            }
            Found::Version(version) => {
                return Err(ShareError::Version(version, path.clone()));
            }
            Found::NotOurs => return Err(ShareError::NotOurs(path.clone())),
        }
        let words = map(file.try_clone().map_err(failed)?).map_err(failed)?;
        let member = Member::join(Arc::new(words), unit, who, is_gone);
        let member = member.ok_or(ShareError::Full)?;
        if member.words().guard.is_lost() || !member.is_listed() {
            let lost = io::Error::other("it is cut short again, or its disk is full");
            return Err(failed(lost));
        }
        // Somebody may have replaced the file meanwhile.
        if is_at(&file, &path) {
            return Ok(member);
        }
    }
    let busy = io::Error::other("it is replaced again and again");
    Err(failed(busy))
}

/// The file to meet in.
fn place(directories: &[PathBuf], name: &str, unit: Unit) -> Result<PathBuf, ShareError> {
    let paths = || {
        directories
            .iter()
            .map(|directory| path(directory, name, unit))
    };
    let are_there = |path: &PathBuf| {
        let file = open(path).ok().filter(|file| is_useful(file, unit));
        let words = file.and_then(|file| map(file).ok());
        words.is_some_and(|words| members(&words, is_gone) > 0)
    };
    let place = paths().find(are_there).or_else(|| paths().next());
    place.ok_or(ShareError::NoDirectory)
}

fn is_useful(file: &File, unit: Unit) -> bool {
    matches!(look(file, header(unit)), Ok(Found::Ours))
}

fn path(directory: &Path, name: &str, unit: Unit) -> PathBuf {
    let unit = match unit {
        Unit::Bytes => "bytes",
        Unit::Records => "records",
    };
    directory.join(format!("{name}.{unit}.share"))
}

#[cfg(test)]
mod tests;
