//! `--reopen`: all files are opened anew, or none, and whoever asked is answered when nothing goes to the old ones any more.
//!
//! Invariant: the run goes on meanwhile. A write that is under way ends first, and so does a record of which a file has a
//! part: where that takes longer than [`WAIT_MOST`] the answer says so, and the file is gone on with behind it all the same.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError, bounded, never};

use super::supervise::Run;
use crate::control::protocol::Answer;
use crate::control::requests::Question;
use crate::pipe::reopen::{Reopened, Told, first_twins};
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

impl Run {
    /// Opens all files anew, or none.
    pub(super) fn reopen(&self) -> Result<Vec<Reopened>, String> {
        if self.reopeners.is_empty() {
            return Err("--reopen: it writes to no file".into());
        }
        let opened = self.reopeners.iter().filter_map(|open| open().transpose());
        let opened: Result<Vec<_>, _> = opened.collect();
        let opened = opened.map_err(|e| without_numbers(&format!("--reopen: {e}")))?;
        if opened.is_empty() {
            return Err("--reopen: all that it wrote to has failed or ended".into());
        }
        if let Some([a, b]) = first_twins(&opened) {
            let (a, b) = (a.display(), b.display());
            return Err(format!(
                "--reopen: {a} and {b} are one file by now: they would be mixed"
            ));
        }
        Ok(opened)
    }

    /// Who writes goes on with these from here on; whoever asked gets this answer when that is so.
    pub(super) fn go_on_with(&mut self, opened: Vec<Reopened>, question: Question, answer: Answer) {
        let (by, changed) = bounded(0);
        let files = opened.into_iter().map(|it| it.go_on(by.clone()));
        self.reopening = Some(Reopening {
            question,
            answer,
            files: files.collect(),
            changed,
            until: Instant::now() + WAIT_MOST,
        });
        // Whoever sleeps would look only before the next byte.
        self.shared
            .update_and_wake(|engine, _| engine.wake_writers());
        self.reporter.wake_log();
    }

    /// The run ends: whoever waits for an answer that there is not yet gets none.
    pub(super) fn let_go_of_reopening(&mut self) {
        self.look_whether_reopened();
        self.reopening = None;
    }

    /// Answers whoever waits for files to be gone on with, if it is time. When it will be, at the latest; and what tells
    /// that it is sooner.
    pub(super) fn look_whether_reopened(&mut self) -> (Option<Instant>, Receiver<Infallible>) {
        let Some(it) = self.reopening.take() else {
            return (None, never());
        };
        if it.changed.try_recv() == Err(TryRecvError::Disconnected) {
            it.question.answer(it.answer, None);
        } else if it.until <= Instant::now() {
            let names = it.files.iter().filter_map(Told::pending);
            let names: Vec<_> = names.map(|path| path.display().to_string()).collect();
            let is_framed = self.shared.update_and_wake(|engine, _| engine.is_framed());
            let what = if is_framed { "record" } else { "write" };
            let also = match &it.answer {
                Answer::Changed(_) => "; all else is in force",
                _ => "",
            };
            let said = format!(
                "--reopen: {}: not yet: it will be reopened behind the {what} in progress, which still goes to the old file{also}",
                names.join(", ")
            );
            it.question
                .answer(Answer::Pending(without_numbers(&said)), None);
        } else {
            let (until, changed) = (it.until, it.changed.clone());
            self.reopening = Some(it);
            return (Some(until), changed);
        }
        (None, never())
    }
}
