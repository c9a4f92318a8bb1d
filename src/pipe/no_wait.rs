//! Calls that do not block, whatever the descriptor's flags say. Other systems do not have them.

pub(super) use system::{readv, writev};

#[cfg(target_os = "linux")]
mod system {
    use std::io::{IoSlice, IoSliceMut};
    use std::os::fd::AsFd;

    use rustix::io::{ReadWriteFlags, Result, preadv2, pwritev2};

    /// "Go on from where the descriptor stands", for calls that take an offset.
    const HERE: u64 = u64::MAX;

    pub(in super::super) fn readv(fd: impl AsFd, into: &mut [IoSliceMut<'_>]) -> Result<usize> {
        preadv2(fd, into, HERE, ReadWriteFlags::NOWAIT)
    }

    pub(in super::super) fn writev(fd: impl AsFd, from: &[IoSlice<'_>]) -> Result<usize> {
        pwritev2(fd, from, HERE, ReadWriteFlags::NOWAIT)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io::{IoSlice, IoSliceMut};
    use std::os::fd::AsFd;

    use rustix::io::{Errno, Result};

    pub(in super::super) fn readv(_: impl AsFd, _: &mut [IoSliceMut<'_>]) -> Result<usize> {
        Err(Errno::OPNOTSUPP)
    }

    pub(in super::super) fn writev(_: impl AsFd, _: &[IoSlice<'_>]) -> Result<usize> {
        Err(Errno::OPNOTSUPP)
    }
}
