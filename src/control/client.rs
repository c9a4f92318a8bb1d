//! The client's side: finds running weirs, asks them, and says what came of it.
//!
//! Invariant: nobody is waited for longer than [`TIMEOUT`]; all that are asked at once share it.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::stdio::stdout;
use rustix::termios::isatty;

use super::directory::{self, Whose};
use super::peer::NoAnswerError;
pub(crate) use super::peer::{ClientError, Peer, TIMEOUT};
use super::protocol::{Answer, Ask};
use crate::config::live_options::{Flow, LiveOptions};
use crate::config::options::Options;
use crate::report::snapshot::Snapshot;
use crate::report::{json, process, table, terminal};
use crate::units::printable;

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
    let flow = change.flow.and_then(Flow::participle).map(str::to_owned);
    let changes = match peer.converse(Ask::Change(Box::new(change.clone())))? {
        Answer::Done => Vec::new(),
        Answer::Changed(changes) => changes,
        Answer::Refused(what) => return Err(ClientError::Refused(what)),
        Answer::Pending(what) => return Err(ClientError::Failed(what)),
        other => return Err(peer.odd(&other)),
    };
    let changes = changes.iter().map(|it| printable(it)).chain(flow);
    let told = changes.map(|it| format!("{target}: {it}"));
    Ok(told.chain(peer.guesses(&change)).collect())
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
    let (statuses, error) = match target {
        Some(target) => match find(target, whose).and_then(|mut peer| peer.status()) {
            Ok(status) => (vec![status], None),
            Err(error) => (Vec::new(), Some(error)),
        },
        None => {
            let found = statuses(&mut all(whose), TIMEOUT);
            (found.statuses, of_the_silent(&found.silent))
        }
    };
    let text = if isatty(stdout()) {
        table::text(&statuses, terminal::columns_of(stdout()))
    } else {
        statuses.iter().map(|s| json::line(s) + "\n").collect()
    };
    (text, error)
}

/// What is to be said of those that do not answer, if there are any.
fn of_the_silent(silent: &[u32]) -> Option<ClientError> {
    match silent {
        [] => None,
        [pid] => Some(NoAnswerError::Timeout(*pid).into()),
        pids => {
            let what = format!("weirs {} do not answer; are they stopped?", listed(pids));
            Some(ClientError::Failed(what))
        }
    }
}

fn listed(pids: &[u32]) -> String {
    let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
    pids.join(", ")
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
pub(crate) fn statuses(peers: &mut Vec<Peer>, timeout: Duration) -> Statuses {
    let mut all = Statuses::default();
    for answer in ask_all(peers, &Ask::Status, timeout) {
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
    let answers = ask_all(&mut peers, &Ask::Name, TIMEOUT);
    let silent = answers.iter().filter_map(|answer| match answer {
        Err(NoAnswerError::Timeout(pid)) => Some(*pid),
        _ => None,
    });
    let mut silent: Vec<u32> = silent.collect();
    // Who cannot say what he is called now was called something when he was started.
    let was_named = |pid: &u32| Options::name_in(&process::words(*pid)).as_deref() == Some(target);
    if silent.iter().any(was_named) {
        silent.retain(was_named);
    }
    let answers = answers
        .into_iter()
        .filter(|a| !matches!(a, Err(NoAnswerError::Ended(_))));
    let named = |answer| matches!(answer, Ok(Answer::Name(Some(name))) if name == target);
    let mut found: Vec<_> = peers
        .into_iter()
        .zip(answers)
        .filter_map(|(peer, answer)| named(answer).then_some(peer))
        .collect();
    match (found.len(), found.pop(), &silent[..]) {
        (1, Some(peer), _) => Ok(peer),
        (0, _, []) => Err(ClientError::Failed(format!(
            "no {of_whom} has the PID or the name {target}"
        ))),
        (0, _, [silent]) if was_named(silent) => Err(NoAnswerError::Timeout(*silent).into()),
        (0, _, [silent]) => Err(ClientError::Failed(format!(
            "no {of_whom} has the PID or the name {target}, unless it is {silent}, which does not answer"
        ))),
        (0, _, silent) => Err(ClientError::Failed(format!(
            "no {of_whom} has the PID or the name {target}, unless it is one of those that do not answer: {}",
            listed(silent)
        ))),
        (n, last, _) => {
            let pids: Vec<_> = found.iter().chain(&last).map(|peer| peer.pid).collect();
            Err(ClientError::Failed(format!(
                "{n} weirs have the name {target}; give the PID of one of them: {}",
                listed(&pids)
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
    timeout: Duration,
) -> Vec<Result<Answer, NoAnswerError>> {
    let until = Instant::now() + timeout;
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
