//! What a program has left unread in its pipe, of which we have the end that is written to.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, ioctl_fionread};

use crate::pipe::fd::Port;

/// A way to what lies in a pipe of which we have the other end.
pub(crate) fn open_reader(port: &Port) -> Option<OwnedFd> {
    let path = format!("/proc/self/fd/{}", port.as_fd().as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).ok()
}

/// Takes all of it out, and says how much that was. Nobody else gets any of it: children of the program may still be
/// reading.
pub(crate) fn take_out(reader: &OwnedFd) -> u64 {
    let mut unread = 0;
    let mut bytes = vec![0; 64 * 1024];
    while ioctl_fionread(reader).is_ok_and(|n| n > 0) {
        match rustix::io::read(reader, &mut bytes) {
            Ok(n @ 1..) => unread += n as u64,
            Err(Errno::INTR) => {}
            _ => break,
        }
    }
    unread
}
