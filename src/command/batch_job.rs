//! One who runs a program with batches: a thread that takes a batch, writes it to its file, starts the program and waits
//! for it, again and again.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::batch_file::{self, BatchFile};
use super::child::{Child, Exit};
use super::context::{JobContext, News, lock};
#[cfg(target_os = "linux")]
use super::outlived::{Outlived, Waited};
use super::spawn;
use crate::engine::CONSUMER;
use crate::engine::action::{Actor, Wait, Write};
use crate::engine::drive::{Driver, Edge, End, Turn};
use crate::engine::on_disk::Load;
use crate::engine::ticket::{Finish, Ticket, Untried};
use crate::pipe::error::PipeError;

/// A state that cannot be saved is tried again so often in a row, with the waits of other tries that come to nothing: a
/// disk that fails for a moment is gone on with, one that fails for good ends weir.
const UNSAVED_MOST: u32 = 5;

/// How soon to look again whether a full disk has room, where a batch cannot go on in memory: it is to be used within a
/// second.
const ROOM_AGAIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// No program was run with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotRun {
    /// That may be otherwise in a moment.
    ForNow,
    /// None is to be run any more.
    Over,
}

/// One job: its thread's own things.
pub(super) struct Job {
    context: JobContext,
    /// The batch that it has, by its number.
    file: Option<(u64, BatchFile)>,
    has_failed: bool,
    /// How often in a row it could not be written down what becomes of batches.
    unsaved: u32,
    /// It was said that there is no room for a file.
    has_said_full: bool,
}

impl Job {
    pub(super) fn new(context: JobContext) -> Job {
        Job {
            context,
            file: None,
            has_failed: false,
            unsaved: 0,
            has_said_full: false,
        }
    }

    pub(super) fn run(mut self) {
        let shared = self.context.shared.clone();
        let mut driver = Driver::new(Actor::Job(self.context.number));
        let end = loop {
            let has_failed = std::mem::take(&mut self.has_failed);
            let turn = driver.step(&shared, &mut self);
            // What it means has just been decided.
            if has_failed {
                self.say(News::Failed);
            }
            if let Turn::Over(end) = turn {
                break end;
            }
        };
        match end {
            End::Write(e) => self.say(News::Broken(PipeError::new("write", "a batch", e))),
            End::Disk(e) => self.say(News::Broken(PipeError::disk(e))),
            _ => {}
        }
        self.say(News::Over);
    }

    /// Does it, and again for as long as the disk is full.
    fn when_there_is_room<T>(
        &mut self,
        mut what: impl FnMut(&mut Job) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let full = match what(self) {
                Err(error) if batch_file::says_full(&error) => error,
                done => return done,
            };
            self.say_full("the batch waits for room");
            let mut closed = [PollFd::new(&*self.context.closed, PollFlags::IN)];
            match rustix::event::poll(&mut closed, Some(&ROOM_AGAIN)) {
                Ok(0) | Err(Errno::INTR) => {}
                // None is to be run any more.
                _ => return Err(full),
            }
        }
    }

    /// The disk is full, and this is what becomes of the batch: once.
    fn say_full(&mut self, and: &str) {
        if !std::mem::replace(&mut self.has_said_full, true) {
            let why = format!("the disk is full: {and}; TMPDIR can name another one");
            let place = batch_file::place().display().to_string();
            let full = PipeError::because("write a batch to", &place, &why);
            self.say(News::Full(full));
        }
    }

    fn say(&self, news: News) {
        self.context.say(news);
    }

    /// What becomes of batches could, or could not, be written down. Whether to go on.
    fn note_save<T>(&mut self, saved: Result<T, PipeError>) -> Result<T, NotRun> {
        let error = match saved {
            Ok(done) => {
                self.unsaved = 0;
                return Ok(done);
            }
            Err(error) => error,
        };
        self.unsaved += 1;
        if self.unsaved >= UNSAVED_MOST {
            self.say(News::Broken(error));
            return Err(NotRun::Over);
        }
        if self.unsaved == 1 {
            self.say(News::Unsaved(error));
        }
        Err(NotRun::ForNow)
    }

    /// Writes down that the program is about to be run with this batch; the batch's name, and whether an earlier run has
    /// had it.
    fn enter(&mut self, ticket: &Ticket, ahead: &[Untried]) -> Result<(String, bool), NotRun> {
        let begun = self.context.shared.begin_batch(ticket, ahead);
        let begun = self.note_save(begun)?;
        let ours = || format!("{}-{}", self.context.plan.stamp, ticket.number);
        Ok(begun.unwrap_or_else(|| (ours(), false)))
    }

    /// One that an earlier run has started is waited for; false where nothing is to be started any more.
    #[cfg(target_os = "linux")]
    fn wait_for_outlived(&self, name: &str) -> bool {
        while let Some(other) = super::outlived::find(name) {
            let pid = other.pid;
            self.say(News::Outlived(format!(
                "batch {name}: process {pid}, which an earlier weir has started, still deals with it; waiting for its end (kill {pid} ends it, --remote NAME --retry goes on beside it)"
            )));
            match self.wait_for(&other) {
                Ok(Waited::Ended) => {}
                Ok(Waited::Hurried) => {
                    self.say(News::Outlived(format!(
                        "batch {name}: tried again beside process {pid}, which may still deal with it"
                    )));
                    return true;
                }
                Ok(Waited::Closed) | Err(_) => return false,
            }
        }
        true
    }

    /// While it is waited for others can tell, and end that.
    #[cfg(target_os = "linux")]
    fn wait_for(&self, other: &Outlived) -> io::Result<Waited> {
        let number = self.context.number;
        let (hurry, hurrying) = io::pipe()?;
        lock(&self.context.programs).waits[number] = Some((other.pid, hurrying));
        let waited = other.wait(&*self.context.closed, &hurry);
        lock(&self.context.programs).waits[number] = None;
        waited
    }

    #[cfg(not(target_os = "linux"))]
    fn wait_for_outlived(&self, name: &str) -> bool {
        self.say(News::Outlived(format!(
            "batch {name}: an earlier weir has begun it; a program that still deals with it cannot be told here"
        )));
        true
    }

    /// Starts the program, unless none is to be started any more.
    fn start(&self, ticket: &Ticket, name: &str) -> Result<Child, NotRun> {
        let input = match &self.file {
            Some((_, file)) => file.reader(),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let input = input.map_err(|e| {
            self.say(News::Broken(PipeError::new("open", "a batch", e)));
            NotRun::Over
        })?;
        let variables = variables(ticket, name);
        // Who signals all of them comes before or after, and whoever comes after finds that there is a signal.
        let mut programs = lock(&self.context.programs);
        if programs.is_closed || (self.context.plan.is_told_to_end)() {
            return Err(NotRun::Over);
        }
        match spawn::spawn(
            &self.context.plan.line,
            input.as_fd(),
            &self.context.plan.mask,
            &variables,
        ) {
            Ok(child) => {
                programs.on_started(self.context.number, child.clone());
                Ok(child)
            }
            Err(error) => {
                self.say(programs.on_refused(error));
                // weir ends where none ever was.
                Err(match programs.any {
                    true => NotRun::ForNow,
                    false => NotRun::Over,
                })
            }
        }
    }

    /// Runs the program, unless none is to be run any more, and waits for it.
    fn try_it(&mut self, ticket: &Ticket, ahead: &[Untried]) -> Result<Finish, NotRun> {
        if self.context.is_over() {
            return Err(NotRun::Over);
        }
        let (name, was_begun) = self.enter(ticket, ahead)?;
        if was_begun && !self.wait_for_outlived(&name) {
            return Err(NotRun::ForNow);
        }
        if ticket.bytes == 0 {
            // All of it is lost, and nobody is to be run for nothing.
            return Ok(Finish::Acknowledged);
        }
        let child = self.start(ticket, &name)?;
        let exit = child.wait();
        let was_signalled = child.was_signalled();
        lock(&self.context.programs).list[self.context.number] = None;
        let finish = self.judge(exit, was_signalled);
        if finish == Finish::Acknowledged || !self.context.is_over() {
            return Ok(finish);
        }
        let is_closed = lock(&self.context.programs).is_closed;
        Ok(finish.when_told_to_end(!is_closed && !exit.is_by_signal()))
    }

    /// What weir itself has ended, for it took too long, has said nothing of the batch by its end.
    fn judge(&self, exit: Exit, was_signalled: bool) -> Finish {
        let is_own = !(was_signalled && exit.is_by_signal());
        match exit {
            _ if exit.is_success() => Finish::Acknowledged,
            _ if is_own && self.context.plan.reject.contains(&exit.status()) => Finish::Rejected,
            _ => Finish::Failed,
        }
    }
}

/// What a program finds in its environment.
fn variables(ticket: &Ticket, name: &str) -> [(&'static str, Option<String>); 5] {
    let (records, first) = ticket.records.unzip();
    let text = |n: u64| n.to_string();
    [
        ("WEIR_BATCH", Some(name.to_owned())),
        ("WEIR_TRY", Some(ticket.trial.to_string())),
        ("WEIR_BYTES", Some(text(ticket.bytes))),
        ("WEIR_RECORDS", records.map(text)),
        ("WEIR_FIRST", first.map(text)),
    ]
}

impl Edge for Job {
    fn write(&mut self, write: &Write) -> io::Result<Option<usize>> {
        let Some(piece) = write.piece else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        if self.file.as_ref().is_none_or(|(of, _)| *of != piece.batch) {
            let file = self.when_there_is_room(|_| BatchFile::new(piece.bytes))?;
            self.file = Some((piece.batch, file));
        }
        let mut written = 0;
        for bytes in write.slices() {
            self.when_there_is_room(|job| match &mut job.file {
                Some((_, file)) => file.append(bytes),
                None => Err(io::ErrorKind::NotFound.into()),
            })?;
            written += bytes.len();
        }
        if self
            .file
            .as_ref()
            .is_some_and(|(_, file)| file.is_displaced())
        {
            self.say_full("the batch goes on in memory");
        }
        Ok(Some(written))
    }

    fn run(&mut self, ticket: &Ticket, ahead: &[Untried]) -> Option<Finish> {
        let finish = self.try_it(ticket, ahead);
        let finish = finish.unwrap_or_else(|why| Finish::NotRun {
            is_over: why == NotRun::Over || self.context.is_over(),
        });
        if let Some(how) = finish.settles(ticket) {
            let saved = self.context.shared.end_try(ticket.number, how);
            // What could not be saved is saved with what comes next, and before a program is run again.
            match finish {
                Finish::NotRun { .. } => drop(saved),
                _ => drop(self.note_save(saved)),
            }
        }
        match finish {
            // Its memory is not needed any more.
            Finish::Acknowledged => self.file = None,
            Finish::Interrupted | Finish::NotRun { .. } => {}
            Finish::Failed | Finish::Rejected => self.has_failed = true,
        }
        Some(finish)
    }

    fn fetch(&mut self, load: &mut Load) -> io::Result<()> {
        self.context.shared.fetch(CONSUMER, load)
    }

    fn wait(&mut self, wait: Wait) -> Option<io::Result<bool>> {
        self.context.shared.sleep_as_job(self.context.number, wait);
        Some(Ok(false))
    }
}
