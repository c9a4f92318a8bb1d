//! The wait for room on a disk that is full when a spool is opened: nothing is read yet, and there is no flow. What was
//! found meanwhile is said at once, and whoever asks by the socket is told what is waited for.

use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::end::End;
use crate::config::{Config, Spool};
use crate::control::protocol::{Answer, Ask};
use crate::control::requests::Question;
use crate::control::server::Control;
use crate::control::signals;
use crate::disk::damage::Damage;
use crate::disk::error::DiskError;
use crate::disk::query;
use crate::disk::ready::Opened;
use crate::engine::stats::Total;
use crate::engine::status::{State, Status};
use crate::engine::{Engine, Rules};
use crate::pipe::error::PipeError;
use crate::pipe::fd::Port;
use crate::report::Reporter;

/// How soon to try again whether a full disk has room to begin: what others make is to be used within a second.
const DISK_AGAIN: Duration = Duration::from_millis(500);

/// How long whoever asks waits at most while the consumer is watched.
const ANSWER: Duration = Duration::from_millis(50);

/// What is said and answered before the flow begins.
pub(super) struct Waiting<'a> {
    config: &'a Config,
    rules: Rules,
    reporter: &'a mut Reporter,
    /// There once something is waited for.
    asked: Option<Asked>,
}

/// Those who ask, and what the books are like before anything was read.
struct Asked {
    control: Control,
    books: Engine,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(config: &'a Config, rules: Rules, reporter: &'a mut Reporter) -> Waiting<'a> {
        Waiting {
            config,
            rules,
            reporter,
            asked: None,
        }
    }

    /// Whom those who have asked meanwhile go on asking.
    pub(super) fn into_control(self) -> Option<Control> {
        self.asked.map(|it| it.control)
    }

    /// Opens a spool, and waits for room on a disk that is full, as later on: until somebody signals, or the consumer
    /// goes. Says of how many of the first damages somebody was told meanwhile: who waits may be ended, and finds none
    /// of them again.
    pub(super) fn until_there_is_room(
        &mut self,
        output: Option<&Port>,
        open: impl Fn(&mut Vec<Damage>) -> Result<Opened, DiskError>,
    ) -> Result<(Opened, usize), PipeError> {
        let (mut found, mut said) = (Vec::new(), 0);
        loop {
            let error = match open(&mut found) {
                Err(error) if error.is_full => error,
                done => return Ok((done?, said)),
            };
            for damage in &found[said..] {
                self.reporter.complain(&damage.to_string());
            }
            said = found.len();
            if self.asked.is_none() {
                self.reporter.complain(&self.full(error));
                let now = Instant::now();
                self.asked = Some(Asked {
                    control: Control::new(self.config.control, now),
                    books: Engine::new(self.rules, now),
                });
            }
            self.pass(output, Instant::now() + DISK_AGAIN)?;
        }
    }

    /// What is said of a full disk: of the spool, as later on, and not of the file that had no room.
    fn full(&self, error: DiskError) -> String {
        let why = "the disk is full: nothing is read until there is room";
        let of_spool = |spool: &Spool| DiskError::because("spool to", &spool.directory, why);
        let error = self.config.spool.as_ref().map_or(error, of_spool);
        error.to_string()
    }

    /// Waits until then, and answers meanwhile.
    fn pass(&mut self, output: Option<&Port>, until: Instant) -> Result<(), PipeError> {
        let output = output.filter(|output| output.tells_hang_up());
        while let Some(asked) = &mut self.asked
            && Instant::now() < until
        {
            asked.control.poll(Instant::now());
            let due = until.min(asked.control.due().unwrap_or(until));
            let question = match output {
                Some(output) => {
                    let is_gone = output.hangs_up_before(due.min(Instant::now() + ANSWER));
                    if is_gone.map_err(|e| PipeError::new("wait for", output.name(), e))? {
                        asked.control.close();
                        return Err(gone(output));
                    }
                    asked.control.questions.try_recv().ok()
                }
                None => asked.control.questions.recv_deadline(due).ok(),
            };
            if let Some(question) = question {
                self.answer(question);
            }
        }
        Ok(())
    }

    fn answer(&mut self, question: Question) {
        let answer = match &question.ask {
            Ask::Name => Answer::Name(self.reporter.name().map(ToOwned::to_owned)),
            Ask::Status => match self.status() {
                Some(status) => Answer::Status(Box::new(self.reporter.glance(&status))),
                None => return,
            },
            Ask::Look | Ask::Change(_) => {
                let what =
                    "it has not begun: the disk is full, and it waits for room; SIGTERM ends it";
                Answer::Refused(what.into())
            }
        };
        // What comes later has another start, and other rates.
        question.answer(answer, None);
    }

    /// The books of a weir that has read nothing yet; what lies in the spool is what it will begin with.
    fn status(&self) -> Option<Status> {
        let mut status = self.asked.as_ref()?.books.status(Instant::now());
        status.state = State::DiskFull;
        let spool = self.config.spool.as_ref()?;
        if let Ok(left) = query::query(&spool.directory) {
            let (bytes, records) = (left.bytes, left.records);
            let left = Total { bytes, records };
            status.read = left.counting(self.rules.framing.is_some());
            let used = usize::try_from(bytes).unwrap_or(usize::MAX);
            (status.buffer.used, status.buffer.peak) = (used, used);
            if let Some(places) = &mut status.buffer.places {
                (places.disk, places.disk_peak) = (bytes, bytes);
            }
        }
        Some(status)
    }
}

/// The consumer has gone, and weir with it.
fn gone(output: &Port) -> PipeError {
    match End::consumer_gone(Some(output)) {
        End::Signal(signal) => signals::die_by(signal),
        End::Failed(failure) => failure,
        _ => PipeError::new("write", output.name(), Errno::PIPE),
    }
}
