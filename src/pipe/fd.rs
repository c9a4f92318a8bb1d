//! What the input and the output are, and how to read and write without getting stuck. Waiting is `readiness`.
//!
//! A [`Port`] never changes the flags of its descriptor, which is shared with the neighbours: it
//! works alike whether somebody left it blocking or not. Where the system offers a call that does
//! not block (`RWF_NOWAIT` on pipes and sockets) it is used, or a description of its own that does not;
//! else readiness is asked first, and a write is kept to what readiness promises.

mod open;

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::fs::{FileType, Mode, OFlags, fstat, ftruncate};
use rustix::io::{Errno, fcntl_dupfd_cloexec, readv, writev};

use super::calls::again;
use super::error::PipeError;
use super::no_wait;
use super::packets::Packets;

/// Bytes for which readiness to be written to vouches on a pipe: one free slot.
const VOUCHED: usize = 4096;

/// How a descriptor is read or written without blocking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nonblocking {
    /// By `RWF_NOWAIT`.
    NoWait,
    /// By a description of our own that does not block.
    Own,
    /// By asking for readiness first.
    Ask,
    /// Regular files never make one wait for another program, nor do writes to most devices.
    Plain,
}

/// A descriptor that is shared and not duplicated: weir should run where few can be had, and on
/// some file systems each close of a duplicate waits for the disk.
#[derive(Debug, Clone)]
enum Handle {
    Standard(BorrowedFd<'static>),
    Opened(Arc<OwnedFd>),
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Handle::Standard(fd) => *fd,
            Handle::Opened(fd) => fd.as_fd(),
        }
    }
}

/// One end of the pipeline: a descriptor, its name for messages, and what it is. A clone is the
/// same descriptor once more.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    fd: Handle,
    name: String,
    kind: FileType,
    manner: Nonblocking,
    /// A description of our own of the same pipe, once one is needed, if one is to be had.
    own: Arc<OnceLock<Option<OwnedFd>>>,
    /// It is a socket with packets.
    packets: Option<Arc<Mutex<Packets>>>,
}

impl Port {
    fn new(fd: Handle, name: String) -> Result<Port, PipeError> {
        let stat = fstat(&fd).map_err(|e| PipeError::new("look at", &name, e))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let manner = match kind {
            FileType::Fifo | FileType::Socket => Nonblocking::NoWait,
            FileType::CharacterDevice if rustix::termios::isatty(&fd) => Nonblocking::Ask,
            _ => Nonblocking::Plain,
        };
        let packets = (kind == FileType::Socket).then(|| Packets::of(&fd));
        Ok(Port {
            fd,
            name,
            kind,
            manner,
            own: Arc::default(),
            packets: packets.flatten().map(|it| Arc::new(Mutex::new(it))),
        })
    }

    /// A connection to whoever looks.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub(super) fn of_socket(socket: OwnedFd) -> Result<Port, PipeError> {
        Port::new(Handle::Opened(Arc::new(socket)), "look".into())
    }

    /// A pipe with what an earlier input has left out.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub(super) fn of_pipe(pipe: OwnedFd) -> Result<Port, PipeError> {
        Port::new(Handle::Opened(Arc::new(pipe)), "the spool".into())
    }

    /// A descriptor of a test's.
    #[cfg(test)]
    pub(crate) fn of(fd: OwnedFd) -> Port {
        Port::new(Handle::Opened(Arc::new(fd)), "a test's".into()).expect("a descriptor")
    }

    /// What is in the file goes, if it is one.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn empty(&self) -> Result<(), PipeError> {
        match self.is_file() {
            true => ftruncate(&self.fd, 0).map_err(|e| PipeError::new("empty", &self.name, e)),
            false => Ok(()),
        }
    }

    /// Its name for messages.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Asks whether all that was written has arrived: some file systems, NFS and FUSE among them,
    /// tell of a full disk or a quota when a descriptor is closed, and drivers of tapes too. It may
    /// take as long as the disk does. Whoever writes on must not mind that the descriptor may be
    /// gone.
    ///
    /// # Errors
    /// What close(2) tells.
    pub(crate) fn close(&self) -> Result<(), PipeError> {
        // Each close of a duplicate asks, and this way nobody else can be given its number.
        let closed = match (fcntl_dupfd_cloexec(&self.fd, 3), &self.fd) {
            (Ok(duplicate), _) => nix::unistd::close(duplicate),
            (Err(_), Handle::Standard(fd)) => nix::unistd::close(fd.as_raw_fd()),
            (Err(_), Handle::Opened(_)) => Ok(()),
        };
        closed.map_err(|e| PipeError::new("close", &self.name, e))
    }

    /// Whether closing can tell anything. Pipes, sockets and terminals have nothing to tell.
    #[must_use]
    pub(crate) fn tells_at_close(&self) -> bool {
        !self.can_hang_up() && self.manner == Nonblocking::Plain
    }

    /// Whether calls may block although they are called `_now`: on disks and other devices, and
    /// on terminals and FIFOs, whose readiness vouches for less than a whole write, or for one
    /// that somebody else gets in first.
    #[must_use]
    pub(crate) fn may_block(&self) -> bool {
        !matches!(self.manner, Nonblocking::NoWait | Nonblocking::Own)
    }

    /// Whether it is a pipe or a FIFO.
    #[must_use]
    pub(crate) fn is_pipe(&self) -> bool {
        self.kind == FileType::Fifo
    }

    /// Whether it is a regular file.
    #[must_use]
    pub(crate) fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    /// Whether it is a terminal. One that hangs up says so, as one does whose other end is a process that goes away.
    #[must_use]
    pub(crate) fn is_terminal(&self) -> bool {
        self.kind == FileType::CharacterDevice && self.manner == Nonblocking::Ask
    }

    /// Whether its other end is a process that can go away, and whose going can be seen.
    #[must_use]
    pub(crate) fn can_hang_up(&self) -> bool {
        matches!(self.kind, FileType::Fifo | FileType::Socket)
    }

    /// Whether poll(2) tells that its other end has gone away.
    #[must_use]
    pub(crate) fn tells_hang_up(&self) -> bool {
        self.can_hang_up() || self.is_terminal()
    }

    /// Whether it is a socket that keeps what was sent apart.
    pub(super) fn has_packets(&self) -> bool {
        self.packets.is_some()
    }

    /// Bytes of a packet that were taken from the system and not read yet.
    #[must_use]
    pub(crate) fn rest_of_packet(&self) -> usize {
        let packets = self.packets.as_ref().map(|it| it.lock());
        packets.map_or(0, |it| {
            it.unwrap_or_else(PoisonError::into_inner).rest_length()
        })
    }

    /// Reads what is there, without waiting for more. `None`: nothing is there yet. 0: the end.
    ///
    /// # Errors
    /// As `readv(2)`; interruptions and "try again" are not errors.
    pub(crate) fn read_now(
        &mut self,
        into: &mut [IoSliceMut<'_>],
    ) -> rustix::io::Result<Option<usize>> {
        if let Some(packets) = &self.packets {
            let mut packets = packets.lock().unwrap_or_else(PoisonError::into_inner);
            return packets.read_now(self.fd.as_fd(), into);
        }
        if self.manner == Nonblocking::NoWait {
            match again(|| no_wait::readv(&self.fd, into)) {
                Err(e) if is_unsupported(e) => self.do_without_no_wait(OFlags::RDONLY),
                done => return done,
            }
        }
        if let Some(own) = self.owned() {
            return again(|| readv(own, into));
        }
        // Of regular files, too: some of the system's are none.
        if !self.wait(PollFlags::IN, Some(Instant::now()))? {
            return Ok(None);
        }
        again(|| readv(&self.fd, into))
    }

    /// The description of our own, where that is how it is done.
    fn owned(&self) -> Option<&OwnedFd> {
        let own = (self.manner == Nonblocking::Own).then(|| self.own.get());
        own.flatten()?.as_ref()
    }

    /// The system has no call here that does not block: FIFOs never have, and pipes lose theirs for good when
    /// they are spliced once. Asking for readiness before each call and keeping writes to what that vouches for
    /// costs 1.6 times the processor's time; a description of our own does not have to ask, and what
    /// flags it has is nobody else's business.
    fn do_without_no_wait(&mut self, access: OFlags) {
        let own = self.own.get_or_init(|| {
            let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let path = format!("/proc/self/fd/{}", self.fd.as_fd().as_raw_fd());
            // Reopening a socket fails, and so does a pipe of another user's.
            let opened = rustix::fs::open(path, flags, Mode::empty());
            opened.ok().filter(|_| self.is_pipe())
        });
        self.manner = if own.is_some() {
            Nonblocking::Own
        } else {
            Nonblocking::Ask
        };
    }

    /// Writes what there is room for, without waiting for more. `None`: there is no room yet.
    ///
    /// # Errors
    /// As `writev(2)`; interruptions and "try again" are not errors.
    pub(crate) fn write_now(&mut self, from: &[&[u8]]) -> rustix::io::Result<Option<usize>> {
        let (one, mut few, many): ([_; 1], [_; FEW], Vec<_>);
        let mut slices = match from {
            [bytes] => {
                one = [IoSlice::new(bytes)];
                &one[..]
            }
            _ if from.len() <= FEW => {
                few = [IoSlice::new(&[]); FEW];
                for (slice, bytes) in few.iter_mut().zip(from) {
                    *slice = IoSlice::new(bytes);
                }
                &few[..from.len()]
            }
            _ => {
                many = from.iter().map(|bytes| IoSlice::new(bytes)).collect();
                &many[..]
            }
        };
        if self.manner == Nonblocking::NoWait {
            match again(|| no_wait::writev(&self.fd, slices)) {
                Err(e) if is_unsupported(e) => self.do_without_no_wait(OFlags::WRONLY),
                done => return done,
            }
        }
        if let Some(own) = self.owned() {
            return again(|| writev(own, slices));
        }
        let vouched;
        if self.manner == Nonblocking::Ask {
            if !self.wait(PollFlags::OUT, Some(Instant::now()))? {
                return Ok(None);
            }
            vouched = [IoSlice::new(&from[0][..from[0].len().min(VOUCHED)])];
            slices = &vouched;
        }
        again(|| writev(&self.fd, slices))
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Pieces written at once for which no list has to be made.
const FEW: usize = 16;

/// Refusals of a call that does not block: FIFOs, old kernels, sandboxes.
fn is_unsupported(e: Errno) -> bool {
    matches!(
        e,
        Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::SPIPE
    )
}
