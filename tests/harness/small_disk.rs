//! A small file system that a test can fill, which only root can have: gone with its test.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{program, skip};

/// The file system, by where it is mounted.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// One of this size (`4m`) at this path, which is made if it is not there. `None`, and said, where none can be mounted.
    pub(crate) fn mount(at: impl Into<PathBuf>, size: &str) -> Option<SmallDisk> {
        let at = at.into();
        fs::create_dir_all(&at).expect("a directory");
        let options = format!("size={size},mode=0700");
        let mut mount = program("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "weir-test"]);
        let done = mount.arg(&at).stderr(Stdio::null()).status();
        if !done.is_ok_and(|done| done.success()) {
            skip("no file system may be mounted here, so no disk is full");
            return None;
        }
        Some(SmallDisk(at))
    }

    /// One that does not say how much room it has.
    pub(crate) fn without_size(at: impl Into<PathBuf>) -> Option<SmallDisk> {
        let at = at.into();
        fs::create_dir_all(&at).expect("a directory");
        let mut mount = program("mount");
        mount.args(["-t", "ramfs", "-o", "mode=0700", "weir-test"]);
        let done = mount.arg(&at).stderr(Stdio::null()).status();
        if !done.is_ok_and(|done| done.success()) {
            skip("no file system without a size may be mounted here");
            return None;
        }
        Some(SmallDisk(at))
    }

    /// One of so many MiB that cannot take room beforehand, as an older file system, or one of another host, cannot.
    pub(crate) fn without_reserving(at: impl Into<PathBuf>, mib: u64) -> Option<SmallDisk> {
        let at = at.into();
        let image = at.with_extension("image");
        fs::create_dir_all(&at).expect("a directory");
        let file = fs::File::create(&image).expect("a file");
        file.set_len(mib << 20).expect("its length");
        let does = |it: &mut Command| {
            let quiet = it.stdout(Stdio::null()).stderr(Stdio::null());
            quiet.status().is_ok_and(|done| done.success())
        };
        let made = does(
            Command::new("/usr/sbin/mkfs.ext2")
                .args(["-q", "-F"])
                .arg(&image),
        );
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "ext2", "-o", "loop"])
            .arg(&image)
            .arg(&at);
        if !(made && does(&mut mount)) {
            skip("no image of an old file system may be mounted here");
            return None;
        }
        Some(SmallDisk(at))
    }

    /// Whether it has less room than this left.
    pub(crate) fn is_full(&self, but_for: u64) -> bool {
        let disk = rustix::fs::statvfs(&self.0).expect("it is there");
        disk.f_bavail * disk.f_frsize < but_for
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Fills all of it, until that is removed.
    pub(crate) fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = fs::File::create(&ballast).expect("room for a name");
        while file.write_all(&[1; 4096]).is_ok() {}
        ballast
    }

    /// Fills so much of it, until that is removed.
    pub(crate) fn ballast(&self, bytes: usize) -> PathBuf {
        let ballast = self.0.join("ballast");
        fs::write(&ballast, vec![1; bytes]).expect("room for others");
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let gone = program("umount").arg("-l").arg(&self.0).status();
        assert!(gone.is_ok_and(|done| done.success()), "unmounted");
    }
}
