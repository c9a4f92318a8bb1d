//! A small file system, so that a disk is full soon.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{program, skip};

/// What is mounted there, until it is dropped.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// One of this size, as `mount` reads it, in a new directory. Where none may be mounted that is said.
    pub(crate) fn mount(home: &Path, size: &str) -> Option<Disk> {
        fs::create_dir(home).expect("a directory");
        let size = format!("size={size}");
        let mount = program("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(home)
            .status();
        if !mount.is_ok_and(|status| status.success()) {
            skip("no file system may be mounted here, so no disk is full");
            return None;
        }
        Some(Disk(home.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let gone = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(gone.is_ok_and(|status| status.success()), "unmounted");
    }
}
