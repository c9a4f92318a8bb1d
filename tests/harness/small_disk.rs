//! A small file system that a test can fill, which only root can have: gone with its test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

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

    pub(crate) fn path(&self) -> &Path {
        &self.0
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
