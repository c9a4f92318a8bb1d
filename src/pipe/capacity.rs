//! The room of a kernel pipe: what it is, what lies in it, and another one.

#[cfg(target_os = "linux")]
use rustix::io::Errno;

use super::fd::Port;

/// A size for a kernel pipe, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// No smaller than this.
    AtLeast(usize),
    /// This.
    Just(usize),
}

/// What the kernel's pipes are asked to be; `None` as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PipeSizes {
    pub from_producer: Option<Wanted>,
    /// That of tees, too.
    pub to_consumer: Option<Wanted>,
}

impl Port {
    /// Asks the kernel for a pipe of another size: where no smaller one will do, and that is refused, for the largest
    /// that the system gives. Its refusal is accepted, as is a stream that is no pipe.
    pub(crate) fn ask_pipe_size(&self, wanted: Wanted) {
        #[cfg(target_os = "linux")]
        if self.is_pipe() {
            let now = rustix::pipe::fcntl_getpipe_size(self).unwrap_or(0);
            match wanted {
                Wanted::AtLeast(size) => {
                    let mut sizes = std::iter::successors(Some(size), |size| Some(size / 2));
                    let _ = sizes.find(|size| {
                        now >= *size || rustix::pipe::fcntl_setpipe_size(self, *size).is_ok()
                    });
                }
                Wanted::Just(size) => drop(rustix::pipe::fcntl_setpipe_size(self, size)),
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = wanted;
    }

    /// Bytes that there is room for in this pipe, if what lies in it fills its slots; 0 where that cannot be told.
    #[must_use]
    #[cfg(target_os = "linux")]
    pub(crate) fn pipe_room(&self) -> usize {
        let size = rustix::pipe::fcntl_getpipe_size(self).unwrap_or(0);
        let unread = self.unread().unwrap_or(u64::MAX);
        size.saturating_sub(usize::try_from(unread).unwrap_or(usize::MAX))
    }

    /// Bytes that lie in a pipe unread; `None` where that cannot be told.
    #[must_use]
    pub(crate) fn unread(&self) -> Option<u64> {
        rustix::io::ioctl_fionread(self)
            .ok()
            .filter(|_| self.is_pipe())
    }

    /// Gives a pipe this size. False when it holds too much for that at present; where it is refused for any other reason
    /// it gets the largest that the system gives. A stream that is no pipe is accepted.
    pub(crate) fn fit_pipe(&self, size: usize) -> bool {
        #[cfg(target_os = "linux")]
        if self.is_pipe() {
            use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};
            if fcntl_getpipe_size(self) == Ok(size) {
                return true;
            }
            return match fcntl_setpipe_size(self, size) {
                Ok(_) => true,
                Err(Errno::BUSY) => false,
                Err(_) => {
                    self.ask_pipe_size(Wanted::AtLeast(size));
                    true
                }
            };
        }
        let _ = size;
        true
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_small_is_as_large_as_can_be_where_it_cannot_be_what_it_should() {
        let (_reader, writer) = std::io::pipe().expect("a pipe");
        let port = Port::of(writer.into());
        assert!(port.fit_pipe(4096));
        // No system gives so much.
        assert!(port.fit_pipe(1 << 31));
        let size = rustix::pipe::fcntl_getpipe_size(&port).expect("a size");
        assert!(size > 4096, "{size}");
    }
}
