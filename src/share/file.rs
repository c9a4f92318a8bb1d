//! The file in which the members of a share on one host meet, mapped into each of them.
//!
//! Invariant: what lies under the name is complete, for it is written elsewhere and linked into place;
//! and it is only used if it is an ordinary file of this user's, of this layout, and of this boot of the
//! machine, since the clock in it starts anew with each. What is damaged, or of an earlier boot, is
//! replaced; what was cut short is filled up, for others may have it mapped; a layout of another version may be in use by
//! others, and is refused. No member removes the file: who came in between would be alone in one that has no name. Where
//! somebody else does (a user's directory goes when he logs out, old temporary files are swept away), or cuts it short,
//! the members meet anew; where they cannot, each passes an n-th of the cap, n being the most members that it has seen.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, geteuid, test_kill_process};
use rustix::time::{ClockId, clock_gettime};
use vm_memory::mmap::{MmapRegion, MmapRegionError};
use vm_memory::{FileOffset, VolatileMemory};

use super::fault::Guard;
use super::rules::until_then;
use super::table::{HEADER, Leave, Member, SLOTS, WORDS, Who, Words, members};
use super::turn::{Clock, Place};
use crate::units::Unit;

const SIZE: usize = WORDS * size_of::<u64>();
/// The file begins with these and the version.
const MAGIC: [u8; 4] = *b"weir";
/// Counts the layouts that there have been.
const VERSION: u32 = 1;
/// A file that keeps being replaced by others is given up after so many tries.
const TRIES: u32 = 100;

/// Why a cap cannot be shared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShareError {
    /// The system refused something.
    #[error("{0}")]
    Io(#[source] io::Error),
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

/// A mapped file of words.
#[derive(Debug)]
pub(crate) struct Mapped {
    /// Goes before what it guards.
    guard: Guard,
    region: MmapRegion,
}

impl Words for Mapped {
    fn word(&self, index: usize) -> &AtomicU64 {
        // The region is a whole page at least, and its words are counted from its beginning.
        self.region
            .get_atomic_ref(index * size_of::<u64>())
            .expect("an aligned word inside the mapping")
    }
}

impl Mapped {
    fn file(&self) -> Option<&File> {
        self.region.file_offset().map(FileOffset::file)
    }

    /// Whether others find this file under some name, and its size.
    fn is_found(&self) -> (bool, u64) {
        let data = self.file().and_then(|file| file.metadata().ok());
        data.map_or((true, SIZE as u64), |data| (data.nlink() > 0, data.len()))
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
                let result = fill_up(file, header(self.unit)).map_err(ShareError::Io);
                self.tell(result.as_ref().err());
            } else if self.way().is_cut_off {
                // Somebody else has made it good.
                self.tell(None);
            }
            return None;
        }
        // Where that fails, the old file still rules those who have it.
        let joined = join(&(self.directories)(), &self.name, self.unit);
        if is_lost || self.way().is_cut_off {
            self.tell(joined.as_ref().err());
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
    fn tell(&mut self, error: Option<&ShareError>) {
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
    let failed = ShareError::Io;
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
                return Err(ShareError::NotOurs(path));
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
                return Err(ShareError::Version(version, path));
            }
            Found::NotOurs => return Err(ShareError::NotOurs(path)),
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

/// The clock of all processes since the machine was started.
pub(crate) fn clock() -> Clock {
    let time = clock_gettime(ClockId::Monotonic);
    let nanos = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    Clock::new(Instant::now(), u64::try_from(nanos).unwrap_or(0))
}

/// Whether a process has ended.
pub(crate) fn is_gone(who: Who) -> bool {
    let pid = i32::try_from(who.pid()).ok().and_then(Pid::from_raw);
    let Some(pid) = pid else { return true };
    // One of another user's, or in a world of its own, may only look as if it were none of ours.
    test_kill_process(pid) == Err(Errno::SRCH)
        || started(who.pid()).is_some_and(|started| started != Some(who.started()))
}

fn this_process() -> Who {
    let pid = std::process::id();
    Who::new(pid, started(pid).flatten().unwrap_or(0)).expect("a PID is not zero")
}

/// When a process was started, in ticks since the machine was; none if it has ended and nobody has
/// waited for it yet. `proc_pid_stat(5)`, fields 3 and 22.
fn started(pid: u32) -> Option<Option<u32>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    let ticks: u64 = fields.nth(18)?.parse().ok()?;
    Some((!has_ended).then_some(ticks as u32))
}

fn path(directory: &Path, name: &str, unit: Unit) -> PathBuf {
    let unit = match unit {
        Unit::Bytes => "bytes",
        Unit::Records => "records",
    };
    directory.join(format!("{name}.{unit}.share"))
}

/// What a file of this layout, unit and boot begins with.
fn header(unit: Unit) -> [u64; HEADER] {
    let [a, b, c, d] = MAGIC;
    let [e, f, g, h] = VERSION.to_le_bytes();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits = boot.chars().filter_map(|c| c.to_digit(16)).take(32);
    let boot = digits.fold(0u128, |sum, digit| sum << 4 | u128::from(digit));
    let unit = match unit {
        Unit::Bytes => 1,
        Unit::Records => 2,
    };
    [
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        unit,
        boot as u64,
        (boot >> 64) as u64,
    ]
}

enum Found {
    Ours,
    /// Damaged, or of an earlier boot.
    Useless,
    /// What is left of it is right.
    Short,
    Version(u32),
    NotOurs,
}

fn open(path: &Path) -> io::Result<File> {
    // A FIFO there must not make us wait.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
}

fn look(file: &File, header: [u64; HEADER]) -> io::Result<Found> {
    let data = file.metadata()?;
    if !data.is_file() || data.uid() != geteuid().as_raw() {
        return Ok(Found::NotOurs);
    }
    let wanted = header.map(u64::to_le_bytes);
    let wanted = wanted.as_flattened();
    let mut bytes = [0; HEADER * size_of::<u64>()];
    let there = file.read_at(&mut bytes, 0)?;
    let bytes = &bytes[..there];
    Ok(match *bytes {
        [a, b, c, d, e, f, g, h, ..]
            if [a, b, c, d] == MAGIC && [e, f, g, h] != VERSION.to_le_bytes() =>
        {
            Found::Version(u32::from_le_bytes([e, f, g, h]))
        }
        _ if !wanted.starts_with(bytes) => Found::Useless,
        _ if data.len() < SIZE as u64 => Found::Short,
        _ if data.len() == SIZE as u64 => Found::Ours,
        _ => Found::Useless,
    })
}

/// What was cut short is whole again; nothing is written but what all would write.
fn fill_up(file: &File, header: [u64; HEADER]) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    // Where the system can, there is room for all of it before it is mapped; nothing else is changed.
    let flags = rustix::fs::FallocateFlags::empty();
    match rustix::fs::fallocate(file, flags, 0, SIZE as u64) {
        Ok(()) => {}
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
            let len = file.metadata()?.len();
            let rest = SIZE.saturating_sub(usize::try_from(len).unwrap_or(SIZE));
            file.write_all_at(&vec![0; rest], len)?;
        }
        Err(e) => return Err(e.into()),
    }
    file.write_all_at(header.map(u64::to_le_bytes).as_flattened(), 0)
}

/// Puts a new file at `path`: in the place of one that is useless, or only if there is none. That
/// somebody else is quicker is as good.
fn make(path: &Path, header: [u64; HEADER], replace: bool) -> io::Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let _ = fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&beside)?;
    let mut bytes = header.map(u64::to_le_bytes).as_flattened().to_vec();
    // Written, not left out: there must be room for all of it before it is mapped.
    bytes.resize(SIZE, 0);
    let made = file.write_all(&bytes).and_then(|()| {
        if replace {
            return fs::rename(&beside, path);
        }
        match fs::hard_link(&beside, path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    });
    let _ = fs::remove_file(&beside);
    made
}

fn map(file: File) -> io::Result<Mapped> {
    let region = MmapRegion::from_file(FileOffset::new(file, 0), SIZE);
    let region = region.map_err(|e| match e {
        MmapRegionError::Mmap(e) => e,
        other => io::Error::other(other),
    })?;
    let guard = Guard::new(region.as_ptr() as usize, SIZE)?;
    Ok(Mapped { guard, region })
}

/// Whether this is the file that the path names.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(here), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (here.dev(), here.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests;
