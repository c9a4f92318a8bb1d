//! Sockets as both sides use them: who is at the other end, and no call without an end.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::io::{Errno, Result};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketType, send};
use rustix::process::{Uid, geteuid};

/// How long a connection may wait to be made, where the other side has many to accept.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// A socket of the right kind.
///
/// # Errors
/// When the system has none.
pub(super) fn socket() -> Result<OwnedFd> {
    rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).and_then(kept)
}

/// No program that is started gets it. Not every system can say so in the call that makes it, and who is started in
/// between finds one that nobody else knows of.
fn kept(socket: OwnedFd) -> Result<OwnedFd> {
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

/// The next connection to a listener, one whose reads do not wait.
///
/// # Errors
/// `AGAIN` when there is none; when the system has no descriptors left.
pub(super) fn accept(listener: impl AsFd) -> Result<OwnedFd> {
    let socket = rustix::net::accept(listener).and_then(kept)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

/// Sends a whole line at once: false when the other side leaves no room for it.
///
/// # Errors
/// When the other side is gone. No signal comes of that: the runtime ignores SIGPIPE.
pub(super) fn send_line(socket: impl AsFd, line: &[u8]) -> Result<bool> {
    match send(socket, line, SendFlags::DONTWAIT) {
        Ok(n) => Ok(n == line.len()),
        Err(Errno::AGAIN) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Connects to the socket of a process of this user.
///
/// # Errors
/// `CONNREFUSED` when nobody listens there, `PERM` when a process of somebody else does.
pub(super) fn connect(path: &Path, user: Uid) -> Result<OwnedFd> {
    let socket = socket()?;
    // It is this timeout that ends a wait for the other side to accept.
    set_socket_timeout(&socket, Timeout::Send, Some(SEND_TIMEOUT))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    if is_of(&socket, user) {
        Ok(socket)
    } else {
        Err(Errno::PERM)
    }
}

/// Whether the process at the other end may ask and change us: it is ours, or root's.
pub(super) fn may_ask(socket: impl AsFd) -> bool {
    is_of(&socket, geteuid()) || is_of(&socket, Uid::ROOT)
}

/// Whether the process at the other end is this user's, by the kernel's word. Where the kernel does
/// not tell, the directory alone keeps others out.
#[cfg(target_os = "linux")]
fn is_of(socket: impl AsFd, user: Uid) -> bool {
    let peer = rustix::net::sockopt::socket_peercred(socket);
    peer.is_ok_and(|peer| peer.uid == user)
}

/// Whether the process at the other end is this user's, by the kernel's word. Where the kernel does
/// not tell, the directory alone keeps others out.
#[cfg(not(target_os = "linux"))]
fn is_of(_socket: impl AsFd, _user: Uid) -> bool {
    true
}
