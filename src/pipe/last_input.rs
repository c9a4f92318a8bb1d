//! The look at the last input when a run ends: whether it has ended, too, and nobody has seen that yet.
//!
//! Whoever reads it sees the end only when he reads on, and a run may be over before that. It takes no byte, and waits
//! for nobody who may write one. Nobody else reads here meanwhile: a file's place is locked while somebody does, for as
//! long as that takes, and may be moved back after it.
//!
//! Invariant: what is told to have ended had been read to its end, and all of that is in the books.

use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{SeekFrom, fstat, seek};

use super::calls::again;
use super::fd::Port;

/// Whether all who could write to this pipe are gone, and nothing is left in it.
///
/// # Errors
/// As `poll(2)`.
pub(super) fn is_pipe_over(pipe: &impl AsFd) -> rustix::io::Result<bool> {
    Ok(seen(pipe, PollFlags::IN)? == PollFlags::HUP)
}

fn seen(fd: &impl AsFd, what: PollFlags) -> rustix::io::Result<PollFlags> {
    let mut fds = [PollFd::new(fd, what)];
    again(|| poll(&mut fds, Some(&Timespec::default())))?;
    Ok(fds[0].revents())
}

/// The same of a socket: nothing more can come from its other end.
#[cfg(target_os = "linux")]
fn is_socket_over(socket: &Port) -> rustix::io::Result<bool> {
    let seen = seen(socket, PollFlags::RDHUP)?;
    let is_over = seen.contains(PollFlags::RDHUP) && !seen.contains(PollFlags::ERR);
    Ok(is_over && socket.rest_of_packet() == 0 && rustix::io::ioctl_fionread(socket)? == 0)
}

#[cfg(not(target_os = "linux"))]
fn is_socket_over(_: &Port) -> rustix::io::Result<bool> {
    Ok(false)
}

/// Whether this file was read to its end. Those that the system makes up while they are read have no size.
fn is_file_over(file: &Port) -> rustix::io::Result<bool> {
    let size = u64::try_from(fstat(file)?.st_size).unwrap_or_default();
    Ok(size > 0 && seek(file, SeekFrom::Current(0))? >= size)
}

impl Port {
    /// Whether a read would tell the end of it. False, too, where that cannot be told without one.
    pub(super) fn has_ended(&self) -> bool {
        let is_over = match self {
            pipe if pipe.is_pipe() => is_pipe_over(pipe),
            file if file.is_file() => is_file_over(file),
            socket if socket.can_hang_up() => is_socket_over(socket),
            _ => Ok(false),
        };
        is_over.unwrap_or(false)
    }
}

/// What is known of the last input.
#[derive(Debug, Default)]
enum Last {
    /// Its turn has not come.
    #[default]
    ToCome,
    Read(Port),
    /// It is not read any more; whether it had ended then.
    Left(bool),
}

/// The last input, and whether it has ended.
#[derive(Debug, Default)]
pub(super) struct LastInput(Mutex<Last>);

impl LastInput {
    /// This one is being read, and none comes after it.
    pub(super) fn begin(&self, input: Port) {
        *self.lock() = Last::Read(input);
    }

    /// It is not any more.
    pub(super) fn leave(&self) {
        let had_ended = self.has_ended();
        *self.lock() = Last::Left(had_ended);
    }

    /// Whether it has; nobody may be reading it.
    pub(super) fn has_ended(&self) -> bool {
        let input = match &*self.lock() {
            Last::ToCome => return false,
            Last::Read(input) => input.clone(),
            Last::Left(had_ended) => return *had_ended,
        };
        input.has_ended()
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_pipe_has_ended_when_it_is_empty_and_its_writers_are_gone() {
        let (pipe, mut into) = std::io::pipe().expect("a pipe");
        let pipe = Port::of(pipe.into());
        assert!(!pipe.has_ended());
        into.write_all(b"a").expect("room");
        drop(into);
        assert!(!pipe.has_ended(), "there is something to be read");
        let mut byte = [0];
        let read = rustix::io::read(&pipe, &mut byte);
        assert_eq!((read, &byte), (Ok(1), b"a"));
        assert!(pipe.has_ended());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn so_has_a_socket_that_nothing_more_can_come_from() {
        let (ours, mut theirs) = UnixStream::pair().expect("a socket");
        let mut reader = ours.try_clone().expect("another one");
        let ours = Port::of(ours.into());
        assert!(!ours.has_ended());
        theirs.write_all(b"a").expect("room");
        theirs
            .shutdown(std::net::Shutdown::Write)
            .expect("it is open");
        assert!(!ours.has_ended(), "there is something to be read");
        reader.read_exact(&mut [0]).expect("it is there");
        assert!(ours.has_ended());
    }

    #[test]
    fn so_has_a_file_that_was_read_to_its_end_and_no_terminal_or_device() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"ab").expect("room");
        let port = Port::of(file.try_clone().expect("another one").into());
        assert!(port.has_ended());
        seek(&file, SeekFrom::Start(1)).expect("a place");
        assert!(!port.has_ended());
        let made_up = std::fs::File::open("/proc/self/status");
        for other in made_up.into_iter().chain(std::fs::File::open("/dev/null")) {
            assert!(!Port::of(other.into()).has_ended());
        }
    }
}
