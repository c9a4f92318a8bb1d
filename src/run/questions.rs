//! What the main thread answers to those who come by the socket.

use std::time::Instant;

use jiff::Zoned;

use super::Run;
use crate::config::ConfigError;
use crate::config::live_options::LiveOptions;
use crate::control::protocol::{Answer, Ask};
use crate::control::server::Question;

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
            Ask::Change(asked) => {
                let answer = match self.change(asked) {
                    Ok(()) => Answer::Done,
                    Err(error) => Answer::Refused(error.to_string()),
                };
                question.answer(answer, None);
            }
        }
    }

    /// Changes all of it, or nothing; and what is as it should be already is left alone.
    fn change(&mut self, asked: &LiveOptions) -> Result<(), ConfigError> {
        let (live, patch) = self.live.patched(asked)?;
        let now = Instant::now();
        // From here on nothing can fail.
        self.live = live;
        let mut commands = Vec::new();
        if let Some(tables) = patch.timetables {
            self.schedules.replace(tables, now);
            commands = self.schedules.poll(now, Zoned::now);
        }
        commands.extend(patch.commands);
        self.shared.tell(|core, now| {
            for command in commands {
                core.command(now, command);
            }
        });
        if let Some(every) = patch.interval {
            self.reporter.set_interval(every, now);
        }
        Ok(())
    }
}
