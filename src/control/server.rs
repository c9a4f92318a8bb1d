//! The socket's side of a running weir: one thread that sleeps until somebody comes.
//!
//! Invariants: nobody out there can make the data wait. Questions go to the main thread through a
//! channel; no read or write of a client's socket ever blocks; a client that says nothing, too much
//! or nonsense, or does not listen, is cut off. While there is no client, no call returns: there is
//! no timer. The socket is gone when [`Control::close`] returns, and so is every answer under way.

use std::fs;
use std::mem;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, unbounded};
use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, bind, listen};
use rustix::process::geteuid;

use super::listener::{Door, Listener};
use super::requests::{Question, Requests};
use super::sessions::Sessions;
use super::{directory, wire};

/// A weir that lasts no longer than this is nothing to control, and is spared the cost.
const MOMENT: Duration = Duration::from_millis(10);
/// Clients that the system lets wait for us.
const BACKLOG: i32 = 128;
/// A thread that only ever handles short lines needs little.
const STACK: usize = 256 * 1024;

/// The main thread's end of it.
#[derive(Debug)]
pub(crate) struct Control {
    /// What comes in. Each is to be answered at once.
    pub questions: Receiver<Question>,
    /// Keeps `questions` from ending when there is no thread, so that nobody need look.
    requests: Requests,
    listening: Arc<Listener>,
    /// When clients are to be let in.
    due: Option<Instant>,
}

impl Control {
    /// Lets clients in after a moment, if `wanted`.
    #[must_use]
    pub(crate) fn new(wanted: bool, now: Instant) -> Control {
        let (sender, questions) = unbounded();
        Control {
            questions,
            requests: Requests(sender),
            listening: Arc::default(),
            due: wanted.then(|| now + MOMENT),
        }
    }

    /// When to call [`Control::poll`]; `None`: never again.
    #[must_use]
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Lets clients in when it is time. All that can go wrong leaves a weir that nobody can control.
    pub(crate) fn poll(&mut self, now: Instant) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = None;
        let (requests, listening) = (self.requests.clone(), self.listening.clone());
        let thread = thread::Builder::new().name("control".into());
        // Everything happens there: the data has to wait for none of it.
        let _ = thread
            .stack_size(STACK)
            .spawn(move || serve(&requests, &listening));
    }

    /// Lets nobody in any more, and removes the socket. Answers already given are sent first.
    pub(crate) fn close(&mut self) {
        // Whoever waits for an answer gets none, and so lets go of the door.
        self.questions = never();
        if let Door::Open(path) = mem::replace(&mut *self.listening.lock(), Door::Shut) {
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.close();
    }
}

fn serve(requests: &Requests, listening: &Listener) {
    let Some(directory) = directory::for_new() else {
        return;
    };
    let Some(listener) = open(&directory, listening) else {
        return;
    };
    directory::clean(&directory);
    Sessions::new(listener).serve(requests, listening);
}

/// Makes the socket, unless it is too late already.
fn open(directory: &Path, listening: &Listener) -> Option<OwnedFd> {
    let path = directory::socket(directory, std::process::id());
    let mut door = listening.lock();
    if matches!(*door, Door::Shut) {
        return None;
    }
    let listener = bound(&path).ok()?;
    // From here on there is something to remove.
    *door = Door::Open(path.clone());
    let closed = fs::set_permissions(&path, fs::Permissions::from_mode(0o600));
    let heard = closed
        .ok()
        .and_then(|()| listen(&listener, BACKLOG).ok())
        .and_then(|()| rustix::io::ioctl_fionbio(&listener, true).ok());
    if heard.is_none() {
        let _ = fs::remove_file(path);
        *door = Door::NotYet;
        return None;
    }
    Some(listener)
}

/// A socket of this name; a dead process that had our PID may have left one.
fn bound(path: &Path) -> rustix::io::Result<OwnedFd> {
    let (socket, name) = (wire::socket()?, SocketAddrUnix::new(path)?);
    match bind(&socket, &name) {
        Err(Errno::ADDRINUSE) => {}
        done => return done.map(|()| socket),
    }
    // Somebody who listens there lives in a world of its own with the same PID: it is theirs.
    if !wire::connect(path, geteuid()).is_err_and(|e| e == Errno::CONNREFUSED) {
        return Err(Errno::ADDRINUSE);
    }
    fs::remove_file(path).map_err(|_| Errno::ADDRINUSE)?;
    bind(&socket, &name).map(|()| socket)
}
