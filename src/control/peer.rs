//! A weir that is asked: its socket, and what it answers.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::process::Uid;
use serde_json::Value;

use super::directory::{self, Socket, Whose};
use super::protocol::{self, Answer, Ask, LINE_MAX, Reply, Request};
use super::wire;
use crate::config::guesses;
use crate::config::live_options::LiveOptions;
use crate::report::snapshot::Snapshot;
use crate::report::{process, terminal};
use crate::units::printable;

/// How long one that has closed a connection may take to end.
const ENDING: Duration = Duration::from_millis(500);
/// How long a weir may take to answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// A weir that says nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NoAnswerError {
    /// It is alive, but it may be stopped.
    Timeout(u32),
    /// It is gone.
    Ended(u32),
    /// It speaks another language.
    Gibberish(u32),
}

/// Why it came to nothing: one line each.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// There is no such weir, or not only one, or it does not answer.
    #[error("{0}")]
    Failed(String),
    /// The weir was told something that cannot be; nothing has changed.
    #[error("{0} (see weir -h)")]
    Refused(String),
    /// The live view could not be printed.
    #[error("write: standard output: {0}")]
    Unprinted(#[from] io::Error),
}

impl From<NoAnswerError> for ClientError {
    fn from(silence: NoAnswerError) -> ClientError {
        ClientError::Failed(match silence {
            NoAnswerError::Timeout(pid) => format!("weir {pid} does not answer; is it stopped?"),
            NoAnswerError::Ended(pid) => format!("weir {pid} has ended"),
            NoAnswerError::Gibberish(pid) => {
                format!("weir {pid} gives an answer of another version")
            }
        })
    }
}

/// A weir that we are connected to.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its process.
    pub pid: u32,
    /// Whose it is, where weirs of several users are looked for.
    pub(super) user: Option<String>,
    pub(super) socket: OwnedFd,
    pub(super) heard: Vec<u8>,
    /// It was asked and has not answered yet.
    pub(super) owes: bool,
}

impl Peer {
    pub(super) fn connect(to: &Socket, whose: Whose) -> rustix::io::Result<Peer> {
        let socket = wire::connect(&to.path, to.owner)?;
        Ok(Peer {
            pid: to.pid,
            user: (whose == Whose::Everybody).then(|| name_of(to.owner)),
            socket,
            heard: Vec::new(),
            owes: false,
        })
    }

    /// Asks, unless it still owes an answer.
    pub(super) fn ask(&mut self, ask: Ask) -> Result<(), NoAnswerError> {
        if std::mem::replace(&mut self.owes, true) {
            return Ok(());
        }
        let line = protocol::line(&Request::from(ask));
        match wire::send_line(&self.socket, &line) {
            Ok(true) => Ok(()),
            // Its end is full of questions that it has not read.
            Ok(false) => Err(NoAnswerError::Timeout(self.pid)),
            Err(_) => Err(NoAnswerError::Ended(self.pid)),
        }
    }

    pub(super) fn answer(&mut self, until: Instant) -> Result<Answer, NoAnswerError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.heard) {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                self.owes = false;
                let answer = understood(&line, self.user.as_deref());
                return answer.ok_or(NoAnswerError::Gibberish(self.pid));
            }
            if self.heard.len() > LINE_MAX {
                return Err(NoAnswerError::Gibberish(self.pid));
            }
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).unwrap_or_default();
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Err(NoAnswerError::Timeout(self.pid)),
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return Err(NoAnswerError::Ended(self.pid)),
            }
            let mut bite = [0; 4096];
            match read(&self.socket, &mut bite) {
                Ok(n) if n > 0 => self.heard.extend_from_slice(&bite[..n]),
                Err(Errno::INTR | Errno::AGAIN) => {}
                _ => return Err(NoAnswerError::Ended(self.pid)),
            }
        }
    }

    pub(super) fn converse(&mut self, ask: Ask) -> Result<Answer, ClientError> {
        if process::is_stopped(self.pid) {
            return Err(NoAnswerError::Timeout(self.pid).into());
        }
        self.ask(ask)?;
        self.answer(Instant::now() + TIMEOUT).map_err(|error| match error {
            NoAnswerError::Ended(pid) if !has_ended(pid) => ClientError::Failed(format!(
                "weir {pid} has no descriptors left to answer; try again later, or start it with a larger ulimit -n"
            )),
            error => error.into(),
        })
    }

    pub(super) fn status(&mut self) -> Result<Snapshot, ClientError> {
        match self.converse(Ask::Status)? {
            Answer::Status(status) => Ok(*status),
            other => Err(self.odd(&other)),
        }
    }

    /// How it has understood what was not said. It is in force already, so nothing of this can fail.
    pub(super) fn guesses(&mut self, change: &LiveOptions) -> Vec<String> {
        if guesses(change, true).is_empty() || !terminal::is_terminal() {
            return Vec::new();
        }
        let is_framed = self.status().map(|status| status.out.records.is_some());
        let guessed = is_framed.map(|framed| guesses(change, framed));
        let said = guessed.unwrap_or_default().into_iter();
        said.map(|guess| format!("weir: {guess}")).collect()
    }

    pub(super) fn odd(&self, answer: &Answer) -> ClientError {
        match answer {
            Answer::Malformed(what) => {
                ClientError::Failed(format!("weir {} does not understand: {what}", self.pid))
            }
            _ => NoAnswerError::Gibberish(self.pid).into(),
        }
    }
}

/// What this user is called; by his number where he has no name.
fn name_of(user: Uid) -> String {
    let known = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(user.as_raw()));
    let known = known.ok().flatten();
    known.map_or_else(|| user.as_raw().to_string(), |it| printable(&it.name))
}

/// The answer that is in a line; of a weir that may be somebody else's, and whose words must not reach a terminal
/// as they are, with his name.
fn understood(line: &[u8], user: Option<&str>) -> Option<Answer> {
    let Some(user) = user else {
        return protocol::reply(line);
    };
    let mut said: Value = serde_json::from_slice(line).ok()?;
    tame(&mut said);
    let reply: Reply = serde_json::from_value(said).ok()?;
    Some(match reply.into_answer() {
        Answer::Status(mut status) => {
            status.user = Some(user.to_owned());
            Answer::Status(status)
        }
        answer => answer,
    })
}

/// Takes out of all texts what would do something to a terminal.
fn tame(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace(char::is_control, "?"),
        Value::Array(all) => all.iter_mut().for_each(tame),
        Value::Object(all) => all.values_mut().for_each(tame),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether this process, which has closed a connection without a word, does end, as it does most often.
fn has_ended(pid: u32) -> bool {
    let until = Instant::now() + ENDING;
    while !directory::is_dead(pid) {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(ENDING / 50);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn what_somebody_else_says_of_himself_is_harmless_and_carries_his_name() {
        let mut status = sample::fresh();
        status.name = Some("a\u{1b}[2Jb\u{9b}c".into());
        status.user = Some("root".into());
        let line = protocol::line(&Reply::from(Answer::Status(Box::new(status))));
        let Some(Answer::Status(heard)) = understood(&line, Some("ann")) else {
            panic!("it is a status");
        };
        assert_eq!(heard.name.as_deref(), Some("a?[2Jb?c"));
        assert_eq!(heard.user.as_deref(), Some("ann"));
        assert!(understood(b"{\"v\":1}\n", Some("ann")).is_none());
    }
}
