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

    /// Bytes of which a pipe takes all if it takes any, where all that lies in it was written to it: up to `PIPE_BUF`
    /// (pipe(7)), and on Linux as many pages as are certainly free. A write goes on in the page where the one before has
    /// ended, if that has room for it, so two pages one behind the other hold more than one does.
    #[must_use]
    pub(crate) fn sure_room(&self) -> usize {
        #[cfg(target_os = "linux")]
        let free = {
            let page = rustix::param::page_size();
            let pages = rustix::pipe::fcntl_getpipe_size(self).unwrap_or(0) / page;
            let unread = usize::try_from(self.unread().unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
            pages.saturating_sub(unread.div_ceil(page).saturating_mul(2)) * page
        };
        #[cfg(not(target_os = "linux"))]
        let free = 0;
        free.max(rustix::pipe::PIPE_BUF)
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
    fn a_write_that_is_sure_of_its_room_is_never_cut_however_the_pipe_was_filled() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let mut port = Port::of(writer.into());
        assert_eq!(port.sure_room(), 65536, "an empty one is sure of all");
        let bytes = [7; 65536];
        // Lengths around a page and its multiples leave the most slots half empty.
        let mut lengths = [1, 4095, 4096, 4097, 100, 8191, 8193, 3000].iter().cycle();
        for taken in [1, 4096, 17, 5000, 65536].iter().cycle().take(500) {
            let (mut sure, mut n) = (port.sure_room(), 0);
            while n <= sure {
                n = (*lengths.next().expect("endless")).min(sure);
                match port.write_now(&[&bytes[..n]]).expect("it has a reader") {
                    Some(m) => assert_eq!(m, n, "sure of {sure}"),
                    None => break,
                }
                sure = port.sure_room();
            }
            let unread = port.unread().expect("a pipe") as usize;
            let mut buffer = vec![0; unread.min(*taken)];
            std::io::Read::read_exact(&mut reader, &mut buffer).expect("it is there");
        }
    }

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
