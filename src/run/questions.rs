//! What the main thread answers to those who come by the socket.

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never};
use jiff::Zoned;

use super::measure::{self, Measured};
use super::reopening::Reopening;
use super::supervise::Run;
use crate::config::live_options::{Flow, LiveOptions};
use crate::control::look;
use crate::control::protocol::{Answer, Ask};
use crate::control::requests::Question;
use crate::engine::status::State;
use crate::pipe;
use crate::pipe::reopen::{Reopened, first_twins};
use crate::report::Expected;
use crate::units::without_numbers;

/// How long a write that began before a change may go on before the change is said to be in force. Only a call
/// that the system does not let go of takes longer than a moment, and then there is no telling for how long.
const QUIET: Duration = Duration::from_millis(500);

impl Run {
    pub(super) fn on_question(&mut self, mut question: Question) {
        match &question.ask {
            Ask::Look => {
                let socket = question.socket.take();
                let shown = socket.map(|socket| self.show(socket));
                let answer = match shown {
                    Some(Err(e)) => {
                        Answer::Refused(without_numbers(&format!("it can show nothing: {e}")))
                    }
                    _ => Answer::Done,
                };
                question.answer(answer, None);
            }
            Ask::Name => {
                let name = self.reporter.name().map(ToOwned::to_owned);
                question.answer(Answer::Name(name), None);
            }
            Ask::Status => {
                let status = self.status();
                let since = question.since.as_ref();
                let snapshot = self.reporter.snapshot_since(since, &status);
                question.answer(Answer::Status(Box::new(snapshot)), Some(status));
            }
            // Left without an answer, the connection ends.
            Ask::Change(_) if question.is_stale(Instant::now()) => {}
            Ask::Change(asked) if asked.flow == Some(Flow::Pause) && self.is_ending() => {
                let what = "--pause: it reads no more, and ends when all is delivered";
                question.answer(Answer::Refused(what.into()), None);
            }
            Ask::Change(asked) if asked.flow == Some(Flow::Retry) && !self.retry_now() => {
                let what = "--retry: it runs no COMMAND with --restart or --batch";
                question.answer(Answer::Refused(what.into()), None);
            }
            Ask::Change(asked) => {
                let reopened = match asked.reopen {
                    true => self.reopen().map(Some),
                    false => Ok(None),
                };
                let changed = reopened.and_then(|files| Ok((self.change(asked)?, files)));
                let (answer, reopened) = match changed {
                    Ok((changes, files)) if changes.is_empty() => (Answer::Done, files),
                    Ok((changes, files)) => (Answer::Changed(changes), files),
                    Err(error) => (Answer::Refused(error), None),
                };
                match reopened {
                    Some(files) => self.go_on_with(files, question, answer),
                    None => question.answer(answer, None),
                }
            }
        }
    }

    /// Shows whoever is at the other end what passes.
    fn show(&self, socket: OwnedFd) -> io::Result<()> {
        let over = self.branches.said.clone();
        pipe::look::start(&self.shared, socket, look::preface, over)
    }

    /// The expected total is known, or will never be.
    pub(super) fn on_measured(&mut self, measured: Measured) {
        match measured {
            Ok(bytes) => self.reporter.expect(Some(Expected::Bytes(bytes))),
            Err(error) => self.reporter.complain(&error),
        }
    }

    fn is_ending(&self) -> bool {
        self.drained || self.signal.is_some() || self.awaits.is_some()
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.status().state, State::Draining | State::Done)
    }

    /// Opens all files anew, or none.
    fn reopen(&self) -> Result<Vec<Reopened>, String> {
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
    fn go_on_with(&mut self, opened: Vec<Reopened>, question: Question, answer: Answer) {
        self.reopening = Some(Reopening::begin(opened, question, answer));
        // Whoever sleeps would look only before the next byte.
        self.shared
            .update_and_wake(|engine, _| engine.wake_writers());
        self.reporter.wake_log();
    }

    /// Answers whoever waits for files to be gone on with, if it is time. When it will be, at the latest; and what tells
    /// that it is sooner.
    pub(super) fn look_whether_reopened(&mut self) -> (Option<Instant>, Receiver<Infallible>) {
        if let Some(reopening) = self.reopening.take() {
            let is_framed = self.shared.update_and_wake(|engine, _| engine.is_framed());
            self.reopening = reopening.look(is_framed);
        }
        let due = self.reopening.as_ref().map(Reopening::due);
        due.map_or((None, never()), |(until, changed)| (Some(until), changed))
    }

    /// The run ends: whoever waits for an answer that there is not yet gets none.
    pub(super) fn let_go_of_reopening(&mut self) {
        self.look_whether_reopened();
        self.reopening = None;
    }

    /// Changes all of it, or nothing; and what is as it should be already is left alone. What is other than it was.
    fn change(&mut self, asked: &LiveOptions) -> Result<Vec<String>, String> {
        let patched = self.live.patched(asked);
        let (live, patch) = patched.map_err(|error| error.to_string())?;
        let now = Instant::now();
        // From here on nothing can fail.
        let mut changes = self.live.changes_to(&live);
        self.live = live;
        // An input that has ended already is not left unread.
        let has_ended = self.has_ended();
        self.drained |= asked.flow == Some(Flow::Drain) && !has_ended;
        let mut commands = Vec::new();
        if let Some(tables) = patch.timetables {
            self.schedules.replace(tables, now);
            commands = self.schedules.poll(now, Zoned::now);
        }
        commands.extend(patch.commands);
        self.shared.update_and_wake(|engine, now| {
            for command in commands {
                engine.command(now, command);
            }
        });
        self.shared.await_quiet(QUIET);
        if let Some(every) = patch.interval {
            self.reporter.set_interval(every, now);
        }
        if let Some(name) = patch.name {
            self.hooks.rename(&name);
            self.reporter.rename(name);
        }
        if patch.expected.is_some() || patch.tree.is_some() {
            self.reporter.expect(patch.expected);
            let tree = patch.tree.as_deref();
            self.measured = tree.map_or_else(never, measure::begin);
        }
        if asked.flow == Some(Flow::Retry) {
            let is_paused = self.shared.update_and_wake(|engine, _| engine.is_paused());
            let when = if is_paused {
                "at --resume: it is paused"
            } else {
                "at once"
            };
            changes.push(format!("run again {when}"));
        }
        Ok(changes)
    }
}
