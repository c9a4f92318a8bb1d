//! Questions from the threads that talk to clients to the main thread, which alone can answer them.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};

use super::protocol::{Answer, Ask};
use crate::engine::status::Status;

/// How old a question may be; clients wait for longer.
const STALE: Duration = Duration::from_secs(1);

/// A question on its way to the main thread.
#[derive(Debug)]
pub(crate) struct Question {
    /// What is wanted.
    pub ask: Ask,
    /// The status since which rates are to be told.
    pub since: Option<Status>,
    /// The connection, where that is what the answer comes by from now on.
    pub socket: Option<OwnedFd>,
    /// When it was put.
    put: Instant,
    reply: Sender<Said>,
}

impl Question {
    /// Whether the client may have given up on it: this process was stopped meanwhile. What the
    /// client takes for undone must stay so.
    #[must_use]
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.put) > STALE
    }

    /// Answers it; `seen` is the status that was told, if one was.
    pub(crate) fn answer(self, answer: Answer, seen: Option<Status>) {
        // The thread that asked waits for nothing else.
        let _ = self.reply.send((answer, seen));
    }
}

pub(super) type Said = (Answer, Option<Status>);

/// The way in which other threads ask the main thread.
#[derive(Debug, Clone)]
pub(crate) struct Requests(pub(super) Sender<Question>);

impl Requests {
    /// Asks, and waits for the answer. `None`: the weir is ending.
    pub(crate) fn ask(
        &self,
        ask: Ask,
        since: Option<Status>,
        socket: Option<OwnedFd>,
    ) -> Option<Said> {
        let (reply, said) = bounded(1);
        let put = Instant::now();
        let question = Question {
            ask,
            since,
            socket,
            put,
            reply,
        };
        self.0.send(question).ok()?;
        said.recv().ok()
    }
}
