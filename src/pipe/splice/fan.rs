//! The way of bytes that go to several at once, and where what all of them have had goes.
//!
//! Invariant: what is drained is nobody's any more.

#[cfg(target_os = "linux")]
use std::fs::File;
use std::io;

#[cfg(target_os = "linux")]
use rustix::pipe::{SpliceFlags, splice};

#[cfg(target_os = "linux")]
use crate::pipe::calls::again;
use crate::pipe::fd::Port;
use crate::pipe::shared::SidePipe;

/// The way of bytes that go to several at once.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "tee(2) is Linux's")
)]
pub(in crate::pipe) struct FanOut<'a> {
    pub input: &'a Port,
    pub output: &'a Port,
    pub others: &'a [SidePipe],
    /// Where what everybody has had goes; without it is read.
    pub drain: Option<&'a Drain>,
    /// Somebody else is owed what passes: it stays in the input, to be read.
    pub is_owed: bool,
}

/// Where what everybody has had goes.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct Drain(File);

#[cfg(target_os = "linux")]
impl Drain {
    /// There is none in some systems' small rooms.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open() -> io::Result<Drain> {
        File::options().write(true).open("/dev/null").map(Drain)
    }

    /// Takes so many bytes off the input, which lie there.
    pub(super) fn take(&self, input: &Port, mut n: usize) {
        while n > 0 {
            let taken = again(|| splice(input, None, &self.0, None, n, SpliceFlags::NONBLOCK));
            match taken {
                Ok(Some(m @ 1..)) => n -= m,
                // What was there is gone: somebody else reads as well.
                _ => return,
            }
        }
    }
}

/// There is no zero-copy path here.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) struct Drain;

#[cfg(not(target_os = "linux"))]
impl Drain {
    /// There is no such thing here.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn open() -> io::Result<Drain> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
