//! Where sockets are: a directory that only its user can enter, and the names in it.
//!
//! Invariant: a directory is used only if it is one (no symbolic link), belongs to the user whose it is said to be,
//! and lets nobody else in. Nothing is removed from one of ours but sockets at which no process listens, and nothing
//! at all from one of somebody else.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, Uid, geteuid, test_kill_process};

use super::wire;

const SUFFIX: &str = ".sock";
/// Where users have their runtime directories, each called by its user's number.
const RUNTIMES: &str = "/run/user";
/// Where temporary files are, whatever somebody's environment says.
const TEMPORARY: &str = "/tmp";

/// Whose weirs are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Those of this user.
    #[default]
    Own,
    /// Those of all users, which only root may look for.
    Everybody,
}

/// A socket, and whose it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Socket {
    /// The process that it is named after.
    pub(super) pid: u32,
    pub(super) path: PathBuf,
    /// Whom its directory belongs to.
    pub(super) owner: Uid,
}

/// The directory for temporary files that every session of a user has in common.
fn temporary() -> PathBuf {
    // Tests have one of their own, so that they meet nobody else's weirs.
    let of_test = cfg!(debug_assertions).then(|| env::var_os("WEIR_TEST_TMP"));
    of_test
        .flatten()
        .map_or_else(|| TEMPORARY.into(), PathBuf::from)
}

/// The directories that sockets may be in, the best one first. They do not hang on `$TMPDIR` unless nothing else is
/// left: who was started with another one must find the same.
fn candidates() -> [PathBuf; 3] {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // The XDG Base Directory Specification: paths that are not absolute are to be ignored.
    let runtime = runtime.filter(|path| path.is_absolute());
    // A session that was not logged in, such as cron's, has no such variable, and yet is found in
    // the same place.
    let user = geteuid().as_raw();
    // That of another user has come with `su`, and no other session of ours would look there.
    let is_anothers = |path: &Path| fs::metadata(path).is_ok_and(|data| data.uid() != user);
    let runtime = runtime.filter(|path| !is_anothers(path));
    let runtime = runtime.unwrap_or_else(|| format!("{RUNTIMES}/{user}").into());
    let own = |temporary: PathBuf| temporary.join(format!("weir-{user}"));
    [runtime.join("weir"), own(temporary()), own(env::temp_dir())]
}

/// The directories that the sockets of all users may be in, and whose each of them is to be.
fn candidates_of_all(runtimes: &Path, temporary: &[PathBuf]) -> Vec<(PathBuf, Uid)> {
    let entries = |directory: &Path| fs::read_dir(directory).into_iter().flatten().flatten();
    let user = |name: &str| name.parse().ok().map(Uid::from_raw);
    let mut all: Vec<_> = entries(runtimes)
        .filter_map(|entry| {
            Some((
                entry.path().join("weir"),
                user(entry.file_name().to_str()?)?,
            ))
        })
        .collect();
    for directory in temporary {
        all.extend(entries(directory).filter_map(|entry| {
            let name = entry.file_name();
            Some((entry.path(), user(name.to_str()?.strip_prefix("weir-")?)?))
        }));
    }
    all
}

/// The directories that sockets may be in, each once, and whose each of them is to be.
fn places(whose: Whose) -> Vec<(PathBuf, Uid)> {
    let own = candidates().into_iter().map(|path| (path, geteuid()));
    let mut all: Vec<_> = own.collect();
    if whose == Whose::Everybody {
        let temporary = [temporary(), env::temp_dir()];
        all.extend(candidates_of_all(Path::new(RUNTIMES), &temporary));
    }
    let mut seen = Vec::new();
    all.retain(|place| {
        let is_new = !seen.contains(place);
        seen.push(place.clone());
        is_new
    });
    all
}

/// The directory for a new socket, made if need be.
#[must_use]
pub(crate) fn for_new() -> Option<PathBuf> {
    candidates().into_iter().find(|path| can_be_made(path))
}

/// The directories that something which all weirs of this user have in common may be in: the best one that is
/// there or can be made, and those after it that are there.
#[must_use]
pub(crate) fn for_all() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in candidates() {
        let is_there = is_safe(&path, geteuid()) || (found.is_empty() && can_be_made(&path));
        if is_there && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// Makes a directory for sockets, if need be, and says whether it will do.
fn can_be_made(path: &Path) -> bool {
    // That it exists already is the usual case; whatever else is wrong shows when it is checked.
    let _ = fs::DirBuilder::new().mode(0o700).create(path);
    is_safe(path, geteuid()) && can_be_entered(path)
}

/// Whether this is a directory of this user that nobody else can enter.
fn is_safe(path: &Path, owner: Uid) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|data| data.is_dir() && data.uid() == owner.as_raw() && data.mode() & 0o077 == 0)
}

/// Whether we can enter a directory that is safe. A umask may have kept us out of our own.
fn can_be_entered(path: &Path) -> bool {
    let is_open = |data: fs::Metadata| data.mode() & 0o700 == 0o700;
    fs::symlink_metadata(path).is_ok_and(is_open)
        || fs::set_permissions(path, fs::Permissions::from_mode(0o700)).is_ok()
}

/// The socket of this process in that directory.
#[must_use]
pub(crate) fn socket(directory: &Path, pid: u32) -> PathBuf {
    directory.join(format!("{pid}{SUFFIX}"))
}

/// All sockets in safe directories: the processes that they are named after, in ascending order.
#[must_use]
pub(super) fn sockets(whose: Whose) -> Vec<Socket> {
    let mut all = Vec::new();
    for (directory, owner) in places(whose) {
        if is_safe(&directory, owner) {
            let found = listing(&directory).into_iter();
            all.extend(found.map(|(pid, path)| Socket { pid, path, owner }));
        }
    }
    all.sort_by_key(|socket| socket.pid);
    all
}

fn listing(directory: &Path) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((pid_of(&entry.file_name())?, entry.path())))
        .collect()
}

fn pid_of(name: &OsStr) -> Option<u32> {
    let digits = name.to_str()?.strip_suffix(SUFFIX)?;
    digits.parse().ok().filter(|pid| *pid > 0)
}

/// Removes the sockets that dead processes have left in a safe directory.
pub(crate) fn clean(directory: &Path) {
    for (pid, path) in listing(directory) {
        if is_dead(pid) && wire::connect(&path, geteuid()).is_err_and(|e| e == Errno::CONNREFUSED) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes a socket of ours at which nobody listens, if its process is dead: one that lives may be about to.
pub(super) fn remove_if_dead(socket: &Socket) {
    if is_dead(socket.pid) && socket.owner == geteuid() {
        let _ = fs::remove_file(&socket.path);
    }
}

/// Whether there is no such process; a process elsewhere may only look as if there were none.
pub(super) fn is_dead(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_a_directory_of_our_own_is_safe() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = |name: &str, mode| {
            let path = folder.path().join(name);
            fs::create_dir(&path).expect("made");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            path
        };
        let is_safe = |path: &Path| super::is_safe(path, geteuid());
        let own = made("own", 0o700);
        assert!(is_safe(&own));
        let another = Uid::from_raw(geteuid().as_raw() + 1);
        assert!(
            !super::is_safe(&own, another),
            "it is not whose it is said to be"
        );
        assert!(!is_safe(&made("group", 0o710)));
        assert!(!is_safe(&made("world", 0o701)));
        let link = folder.path().join("link");
        symlink(folder.path().join("own"), &link).expect("linked");
        assert!(!is_safe(&link));
        let file = folder.path().join("file");
        fs::write(&file, "").expect("written");
        assert!(!is_safe(&file));
        assert!(!is_safe(&folder.path().join("nothing")));
    }

    #[test]
    fn the_directories_of_all_users_are_told_by_their_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let (runtimes, temporary) = (folder.path().join("user"), folder.path().join("tmp"));
        for name in [
            "user/1000",
            "user/x",
            "tmp/weir-1001",
            "tmp/weir-",
            "tmp/weir-x",
            "tmp/1002",
        ] {
            fs::create_dir_all(folder.path().join(name)).expect("made");
        }
        let found = candidates_of_all(&runtimes, std::slice::from_ref(&temporary));
        let wanted = [
            (runtimes.join("1000/weir"), Uid::from_raw(1000)),
            (temporary.join("weir-1001"), Uid::from_raw(1001)),
        ];
        assert_eq!(found, wanted);
        assert_eq!(
            candidates_of_all(Path::new("/nowhere"), &["/nowhere".into()]),
            []
        );
    }

    #[test]
    fn sockets_are_told_by_their_names() {
        for (name, pid) in [
            ("4711.sock", Some(4711)),
            ("0.sock", None),
            ("-1.sock", None),
            ("x.sock", None),
            ("4711", None),
            ("99999999999.sock", None),
        ] {
            assert_eq!(pid_of(OsStr::new(name)), pid, "{name}");
        }
    }
}
