//! A socket that keeps what was sent apart, as packets: the system throws away what of a packet there is no room for, so
//! each is taken whole, and what is too much of it for whoever reads is kept for the next time.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, Result, ioctl_fionread};
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, ReturnFlags, SocketType, recv, recvmsg, sockopt,
};

use super::calls::{again, poll_until};

/// What tells that the other end sends no more.
#[cfg(target_os = "linux")]
const ENDS: PollFlags = PollFlags::RDHUP;
#[cfg(not(target_os = "linux"))]
const ENDS: PollFlags = PollFlags::HUP;

/// What has come of packets, and was not read yet.
#[derive(Debug)]
pub(super) struct Packets {
    kind: SocketType,
    rest: Vec<u8>,
    read: usize,
}

impl Packets {
    /// Of this socket, if it is one that has packets.
    pub(super) fn of(socket: impl AsFd) -> Option<Packets> {
        let kind = sockopt::socket_type(socket).ok()?;
        (kind != SocketType::STREAM).then(|| Packets {
            kind,
            rest: Vec::new(),
            read: 0,
        })
    }

    /// Whether something was kept.
    pub(super) fn has_rest(&self) -> bool {
        self.rest_length() > 0
    }

    /// Bytes that were kept.
    pub(super) fn rest_length(&self) -> usize {
        self.rest.len() - self.read
    }

    /// Reads what is there, without waiting for more. `None`: nothing is there yet. 0: the end.
    pub(super) fn read_now(
        &mut self,
        socket: BorrowedFd<'_>,
        into: &mut [IoSliceMut<'_>],
    ) -> Result<Option<usize>> {
        if self.has_rest() {
            return Ok(Some(self.read_rest(into)));
        }
        let most = into.iter().map(|it| it.len()).sum::<usize>();
        let Some(len) = again(|| length_of_next(socket))? else {
            return Ok(None);
        };
        let too_much = len.saturating_sub(most);
        let got = self.take(socket, into, too_much)?;
        match got {
            Some(0) if most > 0 && !self.is_end(socket)? => Ok(None),
            Some(n) => Ok(Some(n.min(most))),
            None => Ok(None),
        }
    }

    fn read_rest(&mut self, into: &mut [IoSliceMut<'_>]) -> usize {
        let before = self.read;
        for slice in into {
            let rest = &self.rest[self.read..];
            let n = rest.len().min(slice.len());
            slice[..n].copy_from_slice(&rest[..n]);
            self.read += n;
        }
        self.read - before
    }

    /// Takes a packet, of which so many bytes are more than there is room for.
    fn take(
        &mut self,
        socket: BorrowedFd<'_>,
        into: &mut [IoSliceMut<'_>],
        too_much: usize,
    ) -> Result<Option<usize>> {
        (self.rest, self.read) = (Vec::new(), 0);
        self.rest
            .try_reserve_exact(too_much)
            .map_err(|_| Errno::NOMEM)?;
        self.rest.resize(too_much, 0);
        let room = into.iter().map(|it| it.len()).sum::<usize>();
        let into = into.iter_mut().map(|it| IoSliceMut::new(it));
        let mut all: Vec<_> = into.chain([IoSliceMut::new(&mut self.rest)]).collect();
        let mut is_cut = false;
        let got = again(|| {
            let mut nothing = RecvAncillaryBuffer::default();
            let got = recvmsg(socket, &mut all, &mut nothing, RecvFlags::DONTWAIT)?;
            is_cut = got.flags.contains(ReturnFlags::TRUNC);
            Ok(got.bytes)
        })?;
        self.rest.truncate(got.unwrap_or(0).saturating_sub(room));
        match is_cut {
            // Somebody else reads as well, and has had the one that was looked at.
            true => Err(Errno::MSGSIZE),
            false => Ok(got),
        }
    }

    /// Whether nothing means the end. Where the other end can be seen to be there, an empty packet does not; elsewhere it
    /// is all by which an end can be told.
    fn is_end(&self, socket: BorrowedFd<'_>) -> Result<bool> {
        if self.kind != SocketType::SEQPACKET {
            return Ok(true);
        }
        let mut it = [PollFd::new(&socket, ENDS)];
        let is_gone = poll_until(&mut it, Some(Instant::now()))?;
        Ok(is_gone && ioctl_fionread(socket).unwrap_or(0) == 0)
    }
}

/// The length of the next packet.
#[cfg(target_os = "linux")]
fn length_of_next(socket: BorrowedFd<'_>) -> Result<usize> {
    let flags = RecvFlags::PEEK | RecvFlags::TRUNC | RecvFlags::DONTWAIT;
    recv(socket, &mut [0u8; 0][..], flags).map(|(_, length)| length)
}

/// That of the next packet at least: what there is of all of them.
#[cfg(not(target_os = "linux"))]
fn length_of_next(socket: BorrowedFd<'_>) -> Result<usize> {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    recv(socket, &mut [0u8; 1][..], flags)?;
    let all = ioctl_fionread(socket)?;
    Ok(usize::try_from(all).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use rustix::net::{AddressFamily, SendFlags, SocketFlags, send, socketpair};

    use super::*;

    fn pair(kind: SocketType) -> (OwnedFd, OwnedFd, Packets) {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, kind, flags, None).expect("a pair of sockets");
        let packets = Packets::of(&ours).expect("it has packets");
        (ours, theirs, packets)
    }

    fn put(socket: &OwnedFd, bytes: &[u8]) {
        assert_eq!(send(socket, bytes, SendFlags::empty()), Ok(bytes.len()));
    }

    fn read(packets: &mut Packets, socket: &OwnedFd, most: usize) -> Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; most];
        // Memory is where it is, in two places.
        let (a, b) = bytes.split_at_mut(most / 3);
        let into = &mut [IoSliceMut::new(a), IoSliceMut::new(b)];
        let n = packets.read_now(socket.as_fd(), into)?;
        Ok(n.map(|n| bytes[..n].to_vec()))
    }

    #[test]
    fn what_is_too_much_of_a_packet_comes_next() {
        for kind in [SocketType::SEQPACKET, SocketType::DGRAM] {
            let (ours, theirs, mut packets) = pair(kind);
            assert_eq!(read(&mut packets, &ours, 4), Ok(None), "nothing yet");
            put(&theirs, b"0123456789");
            put(&theirs, b"abc");
            for wanted in [&b"0123"[..], b"4567", b"89", b"abc"] {
                assert_eq!(read(&mut packets, &ours, 4), Ok(Some(wanted.to_vec())));
            }
            assert!(!packets.has_rest());
            assert_eq!(read(&mut packets, &ours, 4), Ok(None), "all was read");
        }
    }

    #[test]
    fn an_empty_packet_is_no_end_where_the_end_can_be_seen() {
        let (ours, theirs, mut packets) = pair(SocketType::SEQPACKET);
        put(&theirs, b"");
        assert_eq!(read(&mut packets, &ours, 4), Ok(None));
        put(&theirs, b"");
        put(&theirs, b"abc");
        drop(theirs);
        assert_eq!(read(&mut packets, &ours, 4), Ok(None), "one more is there");
        assert_eq!(read(&mut packets, &ours, 4), Ok(Some(b"abc".to_vec())));
        assert_eq!(read(&mut packets, &ours, 4), Ok(Some(Vec::new())));
    }

    #[test]
    fn a_stream_has_no_packets() {
        let stream = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        );
        let (stream, _other) = stream.expect("a pair of sockets");
        assert!(Packets::of(&stream).is_none());
    }
}
