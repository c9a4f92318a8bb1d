//! One of several programs that take from one queue: the thread that runs it, gives it what there is for it by a pipe,
//! and takes back what it has left unread when it ends.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use super::child::{Child, Exit};
use nix::sys::signal::Signal;

use super::context::{JobContext, News, lock};
use super::spawn::{self, SpawnError};
use super::unread::{open_reader, take_out};
use crate::engine::CONSUMER;
use crate::engine::action::{Actor, For, Wait, Write};
use crate::engine::drive::{Driver, Edge, End, Turn};
use crate::engine::on_disk::Load;
use crate::engine::task::{Answer, Task};
use crate::engine::ticket::Stretch;
use crate::pipe::error::PipeError;
use crate::pipe::fd::Port;

/// The thread's own things.
pub(super) struct Worker {
    context: JobContext,
    /// Our end of the program's pipe, until it has had all.
    port: Option<Port>,
    /// Its other end, where that has to be kept, or ours is gone.
    reader: Option<OwnedFd>,
    /// It has not been run, for that reason.
    refused: Option<Exit>,
    /// What its end means is about to be decided.
    is_ending: bool,
    runs: u64,
}

impl Worker {
    pub(super) fn new(context: JobContext) -> Worker {
        Worker {
            context,
            port: None,
            reader: None,
            refused: None,
            is_ending: false,
            runs: 0,
        }
    }

    pub(super) fn run(mut self) {
        let shared = self.context.shared.clone();
        let j = self.context.number;
        let mut driver = Driver::new(Actor::Job(j));
        let end = loop {
            let turn = driver.step(&shared, &mut self);
            if self.is_ending
                && let Some(fate) = shared.update_and_wake(|engine, _| engine.take_worker_end(j))
            {
                self.is_ending = false;
                if let Some(exit) = self.exit() {
                    self.context.say(News::Ended(exit, fate));
                }
            }
            if let Turn::Over(end) = turn {
                break end;
            }
        };
        match end {
            End::Write(e) => {
                let name = self.context.plan.line.name();
                self.context
                    .say(News::Broken(PipeError::new("write", &name, e)));
            }
            End::Disk(e) => self.context.say(News::Broken(PipeError::disk(e))),
            _ => {}
        }
        if let Some(reader) = self.close() {
            let j = self.context.number;
            lock(&self.context.programs).readers[j] = Some(reader);
        }
        self.context.say(News::Over);
    }

    /// Runs the program, unless none is to be run any more.
    fn start(&mut self, trial: u32) -> bool {
        match self.try_to_start(trial) {
            Ok(is_running) => is_running,
            Err(error) => {
                self.refused = Some(Exit::Status(error.status));
                self.is_ending = true;
                let news = lock(&self.context.programs).on_refused(error);
                self.context.say(news);
                false
            }
        }
    }

    fn try_to_start(&mut self, trial: u32) -> Result<bool, SpawnError> {
        let plan = self.context.plan.clone();
        let name = plan.line.name();
        let refused = |e: io::Error| SpawnError {
            failure: PipeError::new("run", &name, e),
            status: 125,
        };
        let (theirs, ours) = io::pipe().map_err(refused)?;
        let port = Port::to_command(ours.into(), &name);
        let port = port.map_err(|failure| SpawnError {
            failure,
            status: 125,
        })?;
        self.runs += 1;
        let number = format!("{}-{}.{}", plan.stamp, self.context.number + 1, self.runs);
        let variables = [
            ("WEIR_BATCH", Some(number)),
            ("WEIR_TRY", Some(trial.to_string())),
            ("WEIR_FIRST", None),
            ("WEIR_RECORDS", None),
            ("WEIR_BYTES", None),
        ];
        // Who signals all of them comes before or after.
        let mut programs = lock(&self.context.programs);
        if programs.is_closed {
            return Ok(false);
        }
        let child = spawn::spawn(&plan.line, theirs.as_fd(), &plan.mask, &variables)?;
        if let Err(e) = self.watch(child.clone()) {
            child.signal(Signal::SIGTERM as i32);
            let _ = child.wait();
            return Err(refused(e));
        }
        programs.on_started(self.context.number, child);
        drop(programs);
        // Kept where there is no other way to what lies in it, or nobody would see that all readers have gone.
        let spare = open_reader(&port).is_none().then(|| theirs.into());
        (self.port, self.reader) = (Some(port), spare);
        Ok(true)
    }

    /// Waits for its end, and tells of it.
    fn watch(&self, child: Child) -> io::Result<()> {
        let context = self.context.clone();
        let wait = move || {
            let (j, exit) = (context.number, child.wait());
            // What has ended it may be a signal to all of them, of which nobody has told yet.
            let is_last = (context.plan.is_told_to_end)();
            {
                let mut programs = lock(&context.programs);
                programs.list[j] = None;
                programs.exits[j] = Some(exit);
            }
            let told = |engine: &mut crate::engine::Engine, now| {
                if is_last {
                    engine.restart_no_more(now);
                }
                engine.on_worker_exit(j, exit.is_success(), now);
            };
            context.shared.update_and_wake(told);
            context.say(News::Gone);
        };
        thread::Builder::new().name("command".into()).spawn(wait)?;
        Ok(())
    }

    /// Closes our end of its pipe; a way to what lies in that.
    fn close(&mut self) -> Option<OwnedFd> {
        let port = self.port.take();
        let reader = self.reader.take();
        reader.or_else(|| port.as_ref().and_then(open_reader))
    }

    /// Takes out of its pipe what it has not read, and closes that.
    fn empty(&mut self) -> u64 {
        let reader = self.close();
        self.is_ending = true;
        let unread = reader.map_or(0, |reader| take_out(&reader));
        let saved = self
            .context
            .shared
            .give_back_of(self.context.number, unread);
        if let Err(failure) = saved {
            self.context.say(News::Unsaved(failure));
        }
        unread
    }

    /// How its program has ended. Whoever waits for that has put it down before the state machine was told.
    fn exit(&mut self) -> Option<Exit> {
        let known = || lock(&self.context.programs).exits[self.context.number].take();
        self.refused.take().or_else(known)
    }

    fn unread_bytes(&self) -> u64 {
        let ours = self.port.as_ref().and_then(Port::unread);
        let theirs = || rustix::io::ioctl_fionread(self.reader.as_ref()?).ok();
        ours.or_else(theirs).unwrap_or(0)
    }
}

impl Edge for Worker {
    fn write(&mut self, write: &Write) -> io::Result<Option<usize>> {
        let written = match &mut self.port {
            Some(port) => port.write_now(&write.slices().collect::<Vec<_>>()),
            None => return Ok(None),
        };
        match written {
            // It may live on; what is done about that is decided there.
            Err(rustix::io::Errno::PIPE) => {
                let j = self.context.number;
                let shared = &self.context.shared;
                shared.update_and_wake(|engine, now| engine.on_worker_deaf(j, now));
                Ok(None)
            }
            written => Ok(written?),
        }
    }

    fn unread(&mut self) -> Option<u64> {
        self.port.as_ref()?.unread()
    }

    fn order(&mut self, task: Task) -> Option<Answer> {
        let mut done = true;
        let mut unread = 0;
        match task {
            Task::Start(trial) => done = self.start(trial),
            Task::Close => {
                // What it has not read can still be taken back.
                self.reader = self.close();
            }
            Task::Look => unread = self.unread_bytes(),
            Task::Empty => unread = self.empty(),
            Task::Accuse => self.context.say(News::Stalled(self.context.number)),
        }
        Some(Answer { done, unread })
    }

    fn fetch(&mut self, load: &mut Load) -> io::Result<()> {
        self.context.shared.fetch(CONSUMER, load)
    }

    fn remember_part(&mut self, part: Stretch) -> io::Result<()> {
        let shared = &self.context.shared;
        shared.remember_part(self.context.number, &part)
    }

    fn fit(&mut self, size: usize) -> bool {
        self.port.as_ref().is_none_or(|port| port.fit_pipe(size))
    }

    fn wait(&mut self, wait: Wait) -> Option<io::Result<bool>> {
        let (shared, j) = (&self.context.shared, self.context.number);
        if wait.sleep.what == For::Room
            && let Some(port) = &self.port
        {
            return Some(shared.sleep_beside_pipe(j, wait, port));
        }
        shared.sleep_as_job(j, wait);
        Some(Ok(false))
    }
}
