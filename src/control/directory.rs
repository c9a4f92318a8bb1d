//! Where sockets are: a directory that only its user can enter, and the names in it.
//!
//! Invariant: a directory is used only if it is one (no symbolic link), is ours, and lets nobody
//! else in. Nothing is removed from it but sockets at which no process listens.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, geteuid, test_kill_process};

use super::wire;

const SUFFIX: &str = ".sock";

/// The directories that sockets may be in, the best one first.
fn candidates() -> Vec<PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // The XDG Base Directory Specification: paths that are not absolute are to be ignored.
    let runtime = runtime.filter(|path| path.is_absolute());
    // A session that was not logged in, such as cron's, has no such variable, and yet is found in
    // the same place.
    let user = geteuid().as_raw();
    let runtime = runtime.unwrap_or_else(|| format!("/run/user/{user}").into());
    let own = env::temp_dir().join(format!("weir-{user}"));
    vec![runtime.join("weir"), own]
}

/// The directory for a new socket, made if need be.
#[must_use]
pub(crate) fn for_new() -> Option<PathBuf> {
    candidates().into_iter().find(|path| {
        // That it exists already is the usual case; whatever else is wrong shows when it is checked.
        let _ = fs::DirBuilder::new().mode(0o700).create(path);
        is_safe(path) && can_be_entered(path)
    })
}

/// Whether this is a directory of ours that nobody else can enter.
fn is_safe(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| {
        data.is_dir() && data.uid() == geteuid().as_raw() && data.mode() & 0o077 == 0
    })
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
pub(crate) fn sockets() -> Vec<(u32, PathBuf)> {
    let mut all: Vec<_> = candidates()
        .iter()
        .filter(|path| is_safe(path))
        .flat_map(|path| listing(path))
        .collect();
    all.sort_by_key(|(pid, _)| *pid);
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
        if is_dead(pid) && wire::connect(&path).is_err_and(|e| e == Errno::CONNREFUSED) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes a socket at which nobody listens, if its process is dead: one that lives may be about to.
pub(crate) fn remove_if_dead(pid: u32, path: &Path) {
    if is_dead(pid) {
        let _ = fs::remove_file(path);
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
        assert!(is_safe(&made("own", 0o700)));
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
