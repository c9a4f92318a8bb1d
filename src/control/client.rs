//! The client's side: finds running weirs, asks them, and says what came of it.
//!
//! Invariant: nobody is waited for longer than [`PATIENCE`]; all that are asked at once share it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::process::{Uid, geteuid};
use rustix::stdio::stdout;
use rustix::termios::isatty;
use serde_json::Value;

use super::directory::{self, Socket, Whose};
use super::protocol::{self, Answer, Ask, LINE_MAX, Reply, Request};
use super::wire;
use crate::config::guesses;
use crate::config::live_options::LiveOptions;
use crate::report::snapshot::Snapshot;
use crate::report::{json, process, table, terminal};
use crate::units::printable;

/// How long one that has closed a connection may take to end.
const ENDING: Duration = Duration::from_millis(500);
/// How long a weir may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

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

/// Changes the weir of this PID or name. What is to be said of that on a terminal, a line each: what is other than it
/// was, and how it has understood what was not said.
///
/// # Errors
/// When nothing was changed.
pub(crate) fn remote(
    target: &str,
    whose: Whose,
    change: LiveOptions,
) -> Result<Vec<String>, ClientError> {
    may_look(whose)?;
    let mut peer = find(target, whose)?;
    match peer.converse(Ask::Change(Box::new(change.clone())))? {
        Answer::Done => Ok(peer.guesses(&change)),
        Answer::Changed(changes) => {
            let changes = changes
                .iter()
                .map(|it| format!("{target}: {}", printable(it)));
            Ok(changes.chain(peer.guesses(&change)).collect())
        }
        Answer::Refused(what) => Err(ClientError::Refused(what)),
        other => Err(peer.odd(&other)),
    }
}

/// Asks the weir of this PID or name for something that takes a connection of its own, and waits until it comes.
/// Returns its PID, the connection, and what has already come behind the answer.
///
/// # Errors
/// When it does not come.
pub(super) fn hand_over(target: &str, ask: Ask) -> Result<(u32, OwnedFd, Vec<u8>), ClientError> {
    let mut peer = find(target, Whose::Own)?;
    match peer.converse(ask)? {
        Answer::Shown(_) => Ok((peer.pid, peer.socket, peer.heard)),
        Answer::Refused(what) => Err(ClientError::Failed(what)),
        other => Err(peer.odd(&other)),
    }
}

/// The status of the weir of this PID or name, or of all, as text to print; and what to complain
/// of after that: there is no such weir, or one does not answer.
#[must_use]
pub(crate) fn query(target: Option<&str>, whose: Whose) -> (String, Option<ClientError>) {
    if let Err(refused) = may_look(whose) {
        return (String::new(), Some(refused));
    }
    let (statuses, trouble) = match target {
        Some(target) => match find(target, whose).and_then(|mut peer| peer.status()) {
            Ok(status) => (vec![status], None),
            Err(trouble) => (Vec::new(), Some(trouble)),
        },
        None => {
            let found = statuses(&mut all(whose), PATIENCE);
            (
                found.statuses,
                found
                    .silent
                    .first()
                    .map(|pid| NoAnswerError::Timeout(*pid).into()),
            )
        }
    };
    let text = if isatty(stdout()) {
        table::text(&statuses, terminal::columns_of(stdout()))
    } else {
        statuses.iter().map(|s| json::line(s) + "\n").collect()
    };
    (text, trouble)
}

/// Whether this user may look for these weirs.
///
/// # Errors
/// When he may not.
pub(crate) fn may_look(whose: Whose) -> Result<(), ClientError> {
    if whose == Whose::Own || geteuid().is_root() {
        return Ok(());
    }
    let what = "--all-users: only root can see the weirs of other users; try sudo, or leave it out to see your own";
    Err(ClientError::Failed(what.into()))
}

/// What many have answered.
#[derive(Debug, Default)]
pub(crate) struct Statuses {
    /// In the order of those who were asked.
    pub statuses: Vec<Snapshot>,
    /// The processes that did not answer in time, or not to the point.
    pub silent: Vec<u32>,
}

/// Asks all of them for their statuses. Those that have ended are no longer among them after.
pub(crate) fn statuses(peers: &mut Vec<Peer>, patience: Duration) -> Statuses {
    let mut all = Statuses::default();
    for answer in ask_all(peers, &Ask::Status, patience) {
        match answer {
            Ok(Answer::Status(status)) => all.statuses.push(*status),
            Err(NoAnswerError::Timeout(pid) | NoAnswerError::Gibberish(pid)) => {
                all.silent.push(pid)
            }
            Ok(_) | Err(NoAnswerError::Ended(_)) => {}
        }
    }
    all
}

/// The one weir that is meant. A PID goes before a name.
fn find(target: &str, whose: Whose) -> Result<Peer, ClientError> {
    let pid = target.parse().ok();
    if let Some(peer) = all_where(whose, |other| Some(other) == pid).pop() {
        return Ok(peer);
    }
    let of_whom = match whose {
        Whose::Own => "weir of yours",
        Whose::Everybody => "weir",
    };
    let mut peers = all(whose);
    let answers = ask_all(&mut peers, &Ask::Name, PATIENCE);
    let silent = answers.iter().find_map(|answer| match answer {
        Err(NoAnswerError::Timeout(pid)) => Some(*pid),
        _ => None,
    });
    let answers = answers
        .into_iter()
        .filter(|a| !matches!(a, Err(NoAnswerError::Ended(_))));
    let named = |answer| matches!(answer, Ok(Answer::Name(Some(name))) if name == target);
    let mut found: Vec<_> = peers
        .into_iter()
        .zip(answers)
        .filter_map(|(peer, answer)| named(answer).then_some(peer))
        .collect();
    match (found.len(), found.pop(), silent) {
        (1, Some(peer), _) => Ok(peer),
        (0, _, None) => Err(ClientError::Failed(format!(
            "no {of_whom} has the PID or the name {target}"
        ))),
        (0, _, Some(silent)) => Err(ClientError::Failed(format!(
            "no {of_whom} has the PID or the name {target}, unless it is {silent}, which does not answer"
        ))),
        (n, last, _) => {
            let pids: Vec<_> = found
                .iter()
                .chain(&last)
                .map(|p| p.pid.to_string())
                .collect();
            let pids = pids.join(", ");
            Err(ClientError::Failed(format!(
                "{n} weirs have the name {target}; give the PID of one of them: {pids}"
            )))
        }
    }
}

/// The status of the weir of this PID, if it says it at once.
#[must_use]
pub(crate) fn glance(pid: u32) -> Option<Snapshot> {
    const AT_ONCE: Duration = Duration::from_millis(100);
    let mut peers = all_where(Whose::Own, |other| other == pid);
    statuses(&mut peers, AT_ONCE).statuses.pop()
}

/// Everybody who listens.
#[must_use]
pub(crate) fn all(whose: Whose) -> Vec<Peer> {
    all_where(whose, |_| true)
}

/// Those who listen and whose PID is wanted.
pub(crate) fn all_where(whose: Whose, wanted: impl Fn(u32) -> bool) -> Vec<Peer> {
    let mut peers = Vec::new();
    for socket in directory::sockets(whose) {
        if wanted(socket.pid) {
            match Peer::connect(&socket, whose) {
                Ok(peer) => peers.push(peer),
                Err(Errno::CONNREFUSED) => directory::remove_if_dead(&socket),
                // It has just ended, or is not ours.
                Err(_) => {}
            }
        }
    }
    peers
}

/// Asks all of them, then hears all of them. Those that have ended are removed, but not their
/// answers.
fn ask_all(
    peers: &mut Vec<Peer>,
    ask: &Ask,
    patience: Duration,
) -> Vec<Result<Answer, NoAnswerError>> {
    let until = Instant::now() + patience;
    let asked: Vec<_> = peers
        .iter_mut()
        // One that is stopped would only be waited for in vain, and would answer who is gone.
        .map(|peer| match process::is_stopped(peer.pid) {
            true => Err(NoAnswerError::Timeout(peer.pid)),
            false => peer.ask(ask.clone()),
        })
        .collect();
    let answers: Vec<_> = peers
        .iter_mut()
        .zip(asked)
        .map(|(peer, asked)| asked.and_then(|()| peer.answer(until)))
        .collect();
    let mut ended = answers
        .iter()
        .map(|a| matches!(a, Err(NoAnswerError::Ended(_))));
    peers.retain(|_| !ended.next().unwrap_or(false));
    answers
}

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
    user: Option<String>,
    socket: OwnedFd,
    heard: Vec<u8>,
    /// It was asked and has not answered yet.
    owes: bool,
}

impl Peer {
    fn connect(to: &Socket, whose: Whose) -> rustix::io::Result<Peer> {
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
    fn ask(&mut self, ask: Ask) -> Result<(), NoAnswerError> {
        if std::mem::replace(&mut self.owes, true) {
            return Ok(());
        }
        let line = protocol::line(&Request::from(ask));
        match wire::tell(&self.socket, &line) {
            Ok(true) => Ok(()),
            // Its end is full of questions that it has not read.
            Ok(false) => Err(NoAnswerError::Timeout(self.pid)),
            Err(_) => Err(NoAnswerError::Ended(self.pid)),
        }
    }

    fn answer(&mut self, until: Instant) -> Result<Answer, NoAnswerError> {
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

    fn converse(&mut self, ask: Ask) -> Result<Answer, ClientError> {
        if process::is_stopped(self.pid) {
            return Err(NoAnswerError::Timeout(self.pid).into());
        }
        self.ask(ask)?;
        self.answer(Instant::now() + PATIENCE).map_err(|error| match error {
            NoAnswerError::Ended(pid) if !has_ended(pid) => ClientError::Failed(format!(
                "weir {pid} has no descriptors left to answer; try again later, or start it with a larger ulimit -n"
            )),
            error => error.into(),
        })
    }

    fn status(&mut self) -> Result<Snapshot, ClientError> {
        match self.converse(Ask::Status)? {
            Answer::Status(status) => Ok(*status),
            other => Err(self.odd(&other)),
        }
    }

    /// How it has understood what was not said. It is in force already, so nothing of this can fail.
    fn guesses(&mut self, change: &LiveOptions) -> Vec<String> {
        if guesses(change, true).is_empty() || !terminal::is_terminal() {
            return Vec::new();
        }
        let is_framed = self.status().map(|status| status.out.records.is_some());
        let guessed = is_framed.map(|framed| guesses(change, framed));
        let said = guessed.unwrap_or_default().into_iter();
        said.map(|guess| format!("weir: {guess}")).collect()
    }

    fn odd(&self, answer: &Answer) -> ClientError {
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
