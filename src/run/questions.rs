//! What the main thread answers to those who come by the socket.

use std::time::Instant;

use jiff::Zoned;

use super::Run;
use crate::control::protocol::{Answer, Ask, Change, Flow, Typed};
use crate::control::schedule::Schedules;
use crate::control::server::Question;
use crate::core::command::Command;
use crate::settings::Misuse;

impl Run {
    pub(super) fn on_question(&mut self, question: Question) {
        match &question.ask {
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
            Ask::Change(change) => {
                let answer = match self.change(change) {
                    Ok(()) => Answer::Done,
                    Err(misuse) => Answer::Refused(misuse.to_string()),
                };
                question.answer(answer, None);
            }
        }
    }

    /// Changes all of it, or nothing.
    fn change(&mut self, change: &Change) -> Result<(), Misuse> {
        let (dials, tuning) = self.dials.turned(change)?;
        let now = Instant::now();
        // From here on nothing can fail.
        let mut schedules = Schedules::new(tuning.schedules.clone(), now);
        let mut commands = tuning.commands(schedules.poll(now, Zoned::now));
        commands.extend(change.flow.map(|flow| match flow {
            Flow::Pause => Command::Pause,
            Flow::Resume => Command::Resume,
            Flow::Drain => Command::Drain,
        }));
        self.shared.tell(|core, now| {
            for command in commands {
                core.command(now, command);
            }
        });
        (self.dials, self.schedules) = (dials, schedules);
        if let Some(Typed(every)) = change.interval {
            self.reporter.set_interval(every.duration(), now);
        }
        Ok(())
    }
}
