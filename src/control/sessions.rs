//! The clients of one weir, all served by one thread: a poll over them and nothing that blocks.
//!
//! Invariant: a client has [`TIMEOUT`] to make a request, from its coming or its last one, and
//! [`LINE_MAX`] bytes to make it in; there are at most [`CLIENTS`] of them, and when more come, who
//! has been silent for longest makes room, but nobody has to who has not spoken yet and came within [`HEARD_FIRST`]: a
//! crowd that comes at once is let in one after the other.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec, read};

use super::listener::Listener;
use super::protocol::{self, Answer, Ask, LINE_MAX, Reply};
use super::requests::Requests;
use super::wire;
use crate::engine::status::Status;

/// How long a client may be silent.
const TIMEOUT: Duration = Duration::from_secs(5);
/// For how long nobody is sent away who may be about to speak.
const HEARD_FIRST: Duration = Duration::from_millis(500);
/// The most clients at a time.
const CLIENTS: usize = 128;
/// How long nobody is let in after the system has refused a descriptor. Whoever knocks waits.
const REST: Duration = Duration::from_millis(200);
/// Bytes taken from a client at a time, so that each gets its turn.
const BITE: usize = 4096;

/// One client.
#[derive(Debug)]
struct Session {
    socket: OwnedFd,
    /// A request that is not whole yet.
    heard: Vec<u8>,
    /// When it has to leave.
    due: Instant,
    /// Until then it is waited for, if it has not spoken yet.
    heard_first: Option<Instant>,
    /// The last status it was told.
    told: Option<Status>,
}

/// Everybody who is here.
#[derive(Debug)]
pub(super) struct Sessions {
    listener: OwnedFd,
    /// Who has been silent for longest is first.
    all: Vec<Session>,
    /// The last status that anybody was told first.
    last: Option<Status>,
    /// Until then nobody is let in.
    rest: Option<Instant>,
}

/// A connection is over.
struct Over;

impl Sessions {
    /// Nobody is here yet.
    #[must_use]
    pub(super) fn new(listener: OwnedFd) -> Sessions {
        Sessions {
            listener,
            all: Vec::new(),
            last: None,
            rest: None,
        }
    }

    /// Serves until the door is shut.
    pub(super) fn serve(mut self, requests: &Requests, listening: &Listener) {
        loop {
            let (knock, heard) = self.wait();
            let now = Instant::now();
            // Until the answers are out the process must not end.
            let Some(_held) = listening.hold() else {
                return;
            };
            for (session, flags) in std::mem::take(&mut self.all).into_iter().zip(heard) {
                self.attend(session, flags, now, requests);
            }
            self.all.sort_by_key(|session| session.due);
            if self.rest.is_some_and(|until| until <= now) {
                self.rest = None;
            }
            if knock {
                self.admit(now);
            }
        }
    }

    /// Sleeps until somebody knocks or speaks, or has to leave.
    fn wait(&self) -> (bool, Vec<PollFlags>) {
        // One that is asked for nothing stays silent.
        let knocks = self.rest.map_or(PollFlags::IN, |_| PollFlags::empty());
        let mut watched = vec![PollFd::new(&self.listener, knocks)];
        let sockets = self.all.iter().map(|session| &session.socket);
        watched.extend(sockets.map(|socket| PollFd::new(socket, PollFlags::IN)));
        let first = self.all.first().map(|first| first.due);
        let left = first.into_iter().chain(self.rest).min().map(|due| {
            let left = due.saturating_duration_since(Instant::now());
            Timespec::try_from(left).unwrap_or_default()
        });
        // Only a signal can disturb this, and then nothing was heard.
        let _ = poll(&mut watched, left.as_ref());
        let mut heard = watched.iter().map(PollFd::revents);
        let knock = heard.next().is_some_and(|flags| !flags.is_empty());
        (knock, heard.collect())
    }

    /// Lets in who knocks, if it is this user, or root.
    fn admit(&mut self, now: Instant) {
        if self.all.len() >= CLIENTS
            && let Err(until) = self.make_room(now)
        {
            // Whoever knocks waits so long.
            self.rest = Some(until);
            return;
        }
        let socket = match wire::accept(&self.listener) {
            Ok(socket) => socket,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return,
            // No descriptors, as a rule: somebody has to go, or some time to pass.
            Err(_) if !self.all.is_empty() => {
                self.all.remove(0);
                return;
            }
            Err(_) => {
                self.rest = Some(now + REST);
                return;
            }
        };
        if wire::may_ask(&socket) {
            self.all.push(Session {
                socket,
                heard: Vec::new(),
                due: now + TIMEOUT,
                heard_first: Some(now + HEARD_FIRST),
                told: None,
            });
        }
    }

    /// Sends away who has been silent for longest, of those who have spoken or had time to. Where there is nobody else,
    /// until when that is.
    fn make_room(&mut self, now: Instant) -> Result<(), Instant> {
        let had_time = |it: &Session| it.heard_first.is_none_or(|until| until <= now);
        if let Some(i) = self.all.iter().position(had_time) {
            self.all.remove(i);
            return Ok(());
        }
        let first = self.all.iter().filter_map(|it| it.heard_first).min();
        first.map_or(Ok(()), Err)
    }

    /// Hears a client, and keeps it if all is well.
    fn attend(
        &mut self,
        mut session: Session,
        flags: PollFlags,
        now: Instant,
        requests: &Requests,
    ) {
        let stays = if flags.intersects(PollFlags::HUP | PollFlags::ERR) {
            // Whoever has left is not told when it is in force, so it must not be: a weir that was
            // stopped would do long afterwards what was given up on.
            Err(Over)
        } else if flags.contains(PollFlags::IN) {
            self.hear(&mut session, now, requests)
        } else {
            Ok(())
        };
        if stays.is_ok() && now < session.due {
            self.all.push(session);
        }
    }

    fn hear(
        &mut self,
        session: &mut Session,
        now: Instant,
        requests: &Requests,
    ) -> Result<(), Over> {
        let mut bite = [0; BITE];
        match read(&session.socket, &mut bite) {
            Ok(0) => return Err(Over),
            Ok(n) => session.heard.extend_from_slice(&bite[..n]),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(_) => return Err(Over),
        }
        while let Some(end) = memchr::memchr(b'\n', &session.heard) {
            let line: Vec<u8> = session.heard.drain(..=end).collect();
            match protocol::request(&line) {
                Ok(ask) => self.answer(session, ask, requests)?,
                Err(answer) => return session.send(answer).and(Err(Over)),
            }
            (session.due, session.heard_first) = (now + TIMEOUT, None);
        }
        if session.heard.len() >= LINE_MAX {
            let what = format!("a line of more than {LINE_MAX} bytes");
            return session.send(Answer::Malformed(what)).and(Err(Over));
        }
        Ok(())
    }

    fn answer(&mut self, session: &mut Session, ask: Ask, requests: &Requests) -> Result<(), Over> {
        let since = session.told.or(self.last);
        let socket = match ask {
            Ask::Look => Some(fcntl_dupfd_cloexec(&session.socket, 3).map_err(|_| Over)?),
            _ => None,
        };
        let is_theirs = socket.is_some();
        let (answer, seen) = requests.ask(ask, since, socket).ok_or(Over)?;
        if is_theirs && answer == Answer::Done {
            // Whoever shows it what passes has the connection from now on.
            return Err(Over);
        }
        if seen.is_some() {
            if session.told.is_none() {
                self.last = seen;
            }
            session.told = seen;
        }
        session.send(answer)
    }
}

impl Session {
    /// Who leaves no room for a short line does not listen.
    fn send(&self, answer: Answer) -> Result<(), Over> {
        let line = protocol::line(&Reply::from(answer));
        match wire::send_line(&self.socket, &line) {
            Ok(true) => Ok(()),
            _ => Err(Over),
        }
    }
}
