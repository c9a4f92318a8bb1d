//! `--reopen`: all files are opened anew, or none, and whoever asked is answered when nothing goes to the old ones any more.
//!
//! Invariant: the run goes on meanwhile. A write that is under way ends first, and so does a record of which a file has a
//! part: where that takes longer than [`WAIT_MOST`] the answer says so, and the file is gone on with behind it all the same.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use crate::control::protocol::Answer;
use crate::control::requests::Question;
use crate::pipe::reopen::{Reopened, Told};
use crate::units::without_numbers;

/// How long whoever asked waits for the answer. Clients give up after two seconds, in which two of them who ask at once
/// have theirs, one after the other.
const WAIT_MOST: Duration = Duration::from_millis(800);

/// Somebody waits for files to be gone on with.
pub(super) struct Reopening {
    question: Question,
    /// What else has changed, which is in force.
    answer: Answer,
    files: Vec<Told>,
    /// It ends when all writers have changed.
    changed: Receiver<Infallible>,
    until: Instant,
}

impl Reopening {
    /// Who writes goes on with these from here on, as soon as it looks; whoever asked gets this answer when that is so.
    pub(super) fn begin(opened: Vec<Reopened>, question: Question, answer: Answer) -> Reopening {
        let (by, changed) = bounded(0);
        let files = opened.into_iter().map(|it| it.go_on(by.clone()));
        Reopening {
            question,
            answer,
            files: files.collect(),
            changed,
            until: Instant::now() + WAIT_MOST,
        }
    }

    /// When there is an answer at the latest; and what tells that it is sooner.
    pub(super) fn due(&self) -> (Instant, Receiver<Infallible>) {
        (self.until, self.changed.clone())
    }

    /// Answers, if it is time; `is_framed`: records are kept apart.
    pub(super) fn look(self, is_framed: bool) -> Option<Reopening> {
        if self.changed.try_recv() == Err(TryRecvError::Disconnected) {
            self.question.answer(self.answer, None);
        } else if self.until <= Instant::now() {
            let said = without_numbers(&self.pending(is_framed));
            self.question.answer(Answer::Pending(said), None);
        } else {
            return Some(self);
        }
        None
    }

    fn pending(&self, is_framed: bool) -> String {
        let names = self.files.iter().filter_map(Told::pending);
        let names: Vec<_> = names.map(|path| path.display().to_string()).collect();
        let names = names.join(", ");
        let what = if is_framed { "record" } else { "write" };
        let also = match &self.answer {
            Answer::Changed(_) => "; all else is in force",
            _ => "",
        };
        format!(
            "--reopen: {names}: not yet: it will be reopened behind the {what} in progress, which still goes to the old file{also}"
        )
    }
}
