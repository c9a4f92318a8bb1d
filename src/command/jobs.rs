//! Those who run a program with batches: a thread for each, which takes a batch, writes it to its file, starts the
//! program and waits for it, again and again.
//!
//! Invariants: a program that is signalled has not been waited for; once they are closed, none is started any more.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::sys::signal::SigSet;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::batch_file::{self, BatchFile};
use super::child::{Child, Exit};
use super::line::CommandLine;
use super::spawn::{self, SpawnError};
use crate::engine::action::{Actor, Wait, Write};
use crate::engine::drive::{Driver, Edge, End, Turn};
use crate::engine::on_disk::Load;
use crate::engine::ticket::{Finish, Ticket};
use crate::pipe::Shared;
use crate::pipe::error::PipeError;

/// How soon to look again whether a full disk has room: it is to be used within a second.
const ROOM_AGAIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// How to run the program.
#[derive(Debug)]
pub(crate) struct JobPlan {
    /// The program.
    pub line: CommandLine,
    /// The signals that it finds blocked.
    pub mask: SigSet,
    /// What makes the numbers of this run's batches its own.
    pub stamp: String,
    /// Statuses that say that a batch can never succeed.
    pub reject: Vec<u8>,
}

/// What they have to say.
#[derive(Debug)]
pub(crate) enum News {
    /// One has nothing to do any more.
    Over,
    /// A batch has failed, or was rejected.
    Failed,
    /// The program could not be run; `first`: it never has been.
    NotRun { error: SpawnError, first: bool },
    /// A batch could not be put into a file, or not be read back, or it could not be written down what became of it.
    Broken(PipeError),
    /// A program that an earlier run has started still deals with its batch, and is waited for: what to say of it.
    Outlived(String),
    /// There is no room for a batch's file: it waits for some. Said once.
    Full(PipeError),
}

/// The programs that run.
#[derive(Debug, Default)]
struct Programs {
    list: Vec<Option<Child>>,
    /// One was run.
    any: bool,
    is_closed: bool,
    /// Its other end says that they are closed.
    closing: Option<PipeWriter>,
}

/// All jobs, as the main thread knows them.
#[derive(Debug)]
pub(crate) struct Jobs {
    programs: Arc<Mutex<Programs>>,
    /// What they have to say.
    pub news: Receiver<News>,
    /// How many are not over.
    pub left: usize,
}

impl Jobs {
    /// Starts so many.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(plan: JobPlan, count: usize, shared: &Arc<Shared>) -> io::Result<Jobs> {
        let (tell, news) = unbounded();
        let plan = Arc::new(plan);
        let (closed, closing) = io::pipe()?;
        let closed = Arc::new(closed);
        let programs = Programs {
            list: vec![None; count],
            closing: Some(closing),
            ..Programs::default()
        };
        let programs = Arc::new(Mutex::new(programs));
        for number in 0..count {
            let job = Job {
                number,
                plan: plan.clone(),
                shared: shared.clone(),
                programs: programs.clone(),
                tell: tell.clone(),
                closed: closed.clone(),
                file: None,
                has_failed: false,
                has_said_full: false,
            };
            let thread = thread::Builder::new().name("job".into());
            thread.spawn(move || job.run())?;
        }
        let left = count;
        Ok(Jobs {
            programs,
            news,
            left,
        })
    }

    /// Whether a program runs.
    pub(crate) fn any_runs(&self) -> bool {
        lock(&self.programs).list.iter().any(Option::is_some)
    }

    /// The program of this job, if one runs.
    pub(crate) fn program(&self, number: usize) -> Option<Child> {
        lock(&self.programs).list[number].clone()
    }

    /// Sends this signal to all that run.
    pub(crate) fn signal(&self, signal: i32) {
        let programs = lock(&self.programs);
        let running = programs.list.iter().flatten();
        running.for_each(|child| child.signal(signal));
    }

    /// None is started any more.
    pub(crate) fn close(&self) {
        let mut programs = lock(&self.programs);
        programs.is_closed = true;
        programs.closing = None;
    }
}

fn lock(programs: &Mutex<Programs>) -> MutexGuard<'_, Programs> {
    programs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One job: its thread's own things.
struct Job {
    number: usize,
    plan: Arc<JobPlan>,
    shared: Arc<Shared>,
    programs: Arc<Mutex<Programs>>,
    tell: Sender<News>,
    /// At its end when none is to be started any more.
    closed: Arc<PipeReader>,
    /// The batch that it has, by its number.
    file: Option<(u64, BatchFile)>,
    has_failed: bool,
    /// It was said that there is no room for a file.
    has_said_full: bool,
}

impl Job {
    fn run(mut self) {
        let shared = self.shared.clone();
        let mut driver = Driver::new(Actor::Job(self.number));
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
            if !std::mem::replace(&mut self.has_said_full, true) {
                let why = "the disk is full: the batch waits for room; TMPDIR can name another one";
                let place = batch_file::place().display().to_string();
                self.say(News::Full(PipeError::because(
                    "write a batch to",
                    &place,
                    why,
                )));
            }
            let mut closed = [PollFd::new(&*self.closed, PollFlags::IN)];
            match rustix::event::poll(&mut closed, Some(&ROOM_AGAIN)) {
                Ok(0) | Err(Errno::INTR) => {}
                // None is to be run any more.
                _ => return Err(full),
            }
        }
    }

    fn say(&self, news: News) {
        // Who does not listen any more need not be told.
        let _ = self.tell.send(news);
    }

    /// Writes down that the program is about to be run with this batch; the batch's name. `None`: it is not to be run.
    fn enter(&self, ticket: &Ticket) -> Option<String> {
        if lock(&self.programs).is_closed {
            return None;
        }
        let begun = self.shared.begin_batch(ticket);
        match begun.map_err(|e| self.say(News::Broken(e))).ok()? {
            None => Some(format!("{}-{}", self.plan.stamp, ticket.number)),
            Some((name, is_inherited)) => {
                let is_free = !is_inherited || self.wait_for_outlived(&name);
                is_free.then_some(name)
            }
        }
    }

    /// One that an earlier run has started is waited for; false where nothing is to be started any more.
    #[cfg(target_os = "linux")]
    fn wait_for_outlived(&self, name: &str) -> bool {
        while let Some(other) = super::outlived::find(name) {
            let pid = other.pid;
            self.say(News::Outlived(format!(
                "batch {name}: process {pid}, which an earlier weir has started, still deals with it; waiting for its end"
            )));
            if !other.wait(&*self.closed).unwrap_or(false) {
                return false;
            }
        }
        true
    }

    #[cfg(not(target_os = "linux"))]
    fn wait_for_outlived(&self, name: &str) -> bool {
        self.say(News::Outlived(format!(
            "batch {name}: an earlier weir has begun it; a program that still deals with it cannot be told here"
        )));
        true
    }

    /// Starts the program, unless none is to be started any more.
    fn start(&self, ticket: &Ticket, name: &str) -> Option<Child> {
        let (_, file) = self.file.as_ref()?;
        let input = file.reader();
        let input = input.map_err(|e| PipeError::new("open", "a batch", e));
        let input = input.map_err(|e| self.say(News::Broken(e))).ok()?;
        let variables = variables(ticket, name);
        // Who signals all of them comes before or after.
        let mut programs = lock(&self.programs);
        if programs.is_closed {
            return None;
        }
        match spawn::spawn(&self.plan.line, input.as_fd(), &self.plan.mask, &variables) {
            Ok(child) => {
                programs.any = true;
                programs.list[self.number] = Some(child.clone());
                Some(child)
            }
            Err(error) => {
                let first = !programs.any;
                self.say(News::NotRun { error, first });
                None
            }
        }
    }

    /// Runs the program, unless none is to be run any more, and waits for it.
    fn try_it(&self, ticket: &Ticket, name: &str) -> Finish {
        let child = self.start(ticket, name);
        let exit = child.map(|child| child.wait());
        lock(&self.programs).list[self.number] = None;
        exit.map_or(Finish::Failed, |exit| self.judge(exit))
    }

    fn judge(&self, exit: Exit) -> Finish {
        match exit {
            _ if exit.is_success() => Finish::Acknowledged,
            _ if self.plan.reject.contains(&exit.status()) => Finish::Rejected,
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
        Ok(Some(written))
    }

    fn run(&mut self, ticket: &Ticket) -> Option<Finish> {
        let finish = match self.enter(ticket) {
            // All of it is lost, and nobody is to be run for nothing.
            Some(_) if ticket.bytes == 0 => Finish::Acknowledged,
            Some(name) => self.try_it(ticket, &name),
            None => Finish::Failed,
        };
        let is_over = lock(&self.programs).is_closed && finish == Finish::Failed;
        if let Some(how) = finish.settles(ticket).filter(|_| !is_over)
            && let Err(error) = self.shared.settle_batch(ticket.number, how)
        {
            self.say(News::Broken(error));
        }
        match finish {
            // Its memory is not needed any more.
            Finish::Acknowledged => self.file = None,
            _ => self.has_failed = true,
        }
        Some(finish)
    }

    fn fetch(&mut self, load: &mut Load) -> io::Result<()> {
        self.shared.fetch(load)
    }

    fn wait(&mut self, wait: Wait) -> Option<io::Result<bool>> {
        self.shared.sleep_as_job(self.number, wait);
        Some(Ok(false))
    }
}
