//! Commands that are run when something happens.
//!
//! Invariants: the flow never waits for one, and the end of the run for none. One is run at a time, in the order of
//! what happened, and what happens meanwhile waits for its turn; at the end a shell goes on with what is left, for
//! nobody else will be there to do it.
//! What they print goes where weir's own reports go, never into
//! the data.

use std::ffi::OsString;
use std::io::{PipeReader, PipeWriter, pipe};
use std::os::fd::AsFd;
use std::process::{self, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, bounded};
use nix::unistd::Pid;

use crate::command::adopted;
use crate::command::child::Child;
use crate::config::hook::{Hook, Occasion};
use crate::engine::event::{APART, Event};
use crate::engine::status::{Count, Status};
use crate::units::share::PASSWORD;

/// So many commands of each hook may wait for the one that is running. Whatever is told beyond them all is not, which is
/// said.
const WAITING: usize = 8;

/// The hooks of a run, and the way to the thread that runs them.
pub(super) struct Hooks {
    hooks: Vec<Hook>,
    name: Option<String>,
    queue: Option<Queue>,
    /// That something was not run for want of room has been said, and there was none since.
    is_full: bool,
    /// When it was last told that a COMMAND has stalled that is run again.
    stalled_at: Option<Instant>,
    /// What is run at the end.
    last: Vec<Command>,
}

/// The commands that wait for their turn, for the thread that runs them.
struct Queue {
    sender: Sender<Command>,
    rest: Receiver<Command>,
    /// At its end when the one that was started last has ended. Held by whoever takes one out and starts it: so none
    /// is lost in between.
    running: Arc<Mutex<Option<PipeReader>>>,
}

impl Queue {
    fn new(hooks: usize) -> Queue {
        let (sender, rest) = bounded::<Command>(WAITING * hooks);
        let running = Arc::default();
        let queue = Queue {
            sender,
            rest,
            running,
        };
        let (commands, running) = (queue.rest.clone(), queue.running.clone());
        // Without a thread they are started at the end.
        let _ = thread::Builder::new().name("hooks".into()).spawn(move || {
            loop {
                let mut next = Select::new();
                next.recv(&commands);
                next.ready();
                let child = {
                    let mut running = lock(&running);
                    match commands.try_recv() {
                        Ok(command) => pipe().ok().and_then(|(end, is_running)| {
                            *running = Some(end);
                            start(&command, is_running)
                        }),
                        Err(TryRecvError::Empty) => None,
                        Err(TryRecvError::Disconnected) => break,
                    }
                };
                let _ = child.map(|child| child.wait());
            }
        });
        queue
    }

    /// Nobody takes one any more: those that are left, and what is at its end when the one that runs has ended.
    fn close(self) -> (Vec<Command>, Option<PipeReader>) {
        let mut running = lock(&self.running);
        (self.rest.try_iter().collect(), running.take())
    }
}

fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Its standard input is what `is_running` keeps open for as long as it runs, and nobody whom it leaves behind.
fn start(command: &Command, is_running: PipeWriter) -> Option<Child> {
    let mut whole = Command::new("sh");
    // A shell that has nothing else to do would become the command, and lose the pipe.
    whole.args(["-c", "\"$@\" </dev/null; exit $?", "sh"]);
    whole.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => whole.env(name, value),
            // What it is not to have is not passed on from weir's own variables either.
            None => whole.env_remove(name),
        };
    }
    report_to(&mut whole);
    whole.stdin(is_running);
    let child = adopted::start(|| whole.spawn(), process::Child::id).ok()?;
    let number = i32::try_from(child.id()).ok()?;
    Some(Child::new(Pid::from_raw(number)))
}

/// What it prints does not go into the data; where standard error is closed, nowhere.
fn report_to(command: &mut Command) {
    let report = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr().as_fd(), 3);
    command.stdout(report.map_or_else(|_| Stdio::null(), Stdio::from));
}

/// A shell that runs these one after the other, when there is the end of `before`.
fn chain(commands: &[Command], before: Option<PipeReader>) -> Command {
    let mut script = "while read -r _; do :; done".to_owned();
    let mut words: Vec<OsString> = Vec::new();
    for command in commands {
        script += "\nenv";
        let variables = command.get_envs().filter_map(|(name, value)| {
            let mut pair = name.to_owned();
            pair.push("=");
            pair.push(value?);
            Some(pair)
        });
        let line = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        for word in variables.chain(line.map(ToOwned::to_owned)) {
            words.push(word);
            script += &format!(" \"${{{}}}\"", words.len());
        }
        script += " </dev/null";
    }
    let mut whole = Command::new("sh");
    whole.arg("-c").arg(script).arg("sh").args(words);
    whole.env_remove(PASSWORD);
    report_to(&mut whole);
    whole.stdin(before.map_or_else(Stdio::null, Stdio::from));
    whole
}

impl Hooks {
    pub(super) fn new(hooks: &[Hook], name: Option<&str>) -> Hooks {
        Hooks {
            hooks: hooks.to_owned(),
            name: name.map(str::to_owned),
            queue: None,
            is_full: false,
            stalled_at: None,
            last: Vec::new(),
        }
    }

    /// The label is another one now.
    pub(super) fn rename(&mut self, name: &str) {
        self.name = Some(name.to_owned());
    }

    /// What of the flow is to be listened to.
    pub(super) fn events(&self) -> Vec<Event> {
        let events = self.hooks.iter().filter_map(|hook| match hook.on {
            Occasion::Flow(event) => Some(event),
            _ => None,
        });
        events.collect()
    }

    /// This has happened, and things stand so. What is to be said of what is not run for it.
    #[must_use]
    pub(super) fn run(&mut self, on: Occasion, status: &Status) -> Option<String> {
        let commands = self.commands(on, status, None);
        let mut refused = 0;
        for command in commands {
            refused += usize::from(!self.enqueue(command));
        }
        let was_full = std::mem::replace(&mut self.is_full, refused > 0);
        (self.is_full && !was_full).then(|| {
            let waiting = WAITING * self.hooks.len();
            format!(
                "--on {on}: not run: {waiting} commands wait for the one that is running to end"
            )
        })
    }

    /// The run is over, and how, and this is what has happened by that.
    pub(super) fn run_last(&mut self, on: Occasion, status: &Status, end: &str) {
        let commands = self.commands(on, status, Some(end));
        self.last.extend(commands);
        if on == Occasion::Done {
            self.finish();
        }
    }

    /// A COMMAND has stalled, and is run again. As with the flow, several within a moment are one.
    #[must_use]
    pub(super) fn run_at_stall(&mut self, status: &Status, now: Instant) -> Option<String> {
        let is_known = |at| now.saturating_duration_since(at) < APART;
        if self.stalled_at.is_some_and(is_known) {
            return None;
        }
        self.stalled_at = Some(now);
        self.run(Occasion::Stall, status)
    }

    /// Nothing more happens. What is left is run by somebody for whom nobody waits.
    fn finish(&mut self) {
        let (mut rest, before) = self.queue.take().map(Queue::close).unwrap_or_default();
        rest.append(&mut self.last);
        if !rest.is_empty() {
            let _ = chain(&rest, before).spawn();
        }
    }

    /// Whether there was room for it.
    fn enqueue(&mut self, command: Command) -> bool {
        let hooks = self.hooks.len();
        let queue = self.queue.get_or_insert_with(|| Queue::new(hooks));
        queue.sender.try_send(command).is_ok()
    }

    fn commands(&self, on: Occasion, status: &Status, end: Option<&str>) -> Vec<Command> {
        let hooks = self.hooks.iter().filter(|hook| hook.on == on);
        hooks.map(|hook| self.command(hook, status, end)).collect()
    }

    fn command(&self, hook: &Hook, status: &Status, end: Option<&str>) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(&hook.command);
        command.env_remove(PASSWORD);
        command.env("WEIR_EVENT", hook.on.to_string());
        command.env("WEIR_PID", process::id().to_string());
        command.env("WEIR_NAME", self.name.as_deref().unwrap_or_default());
        command.env("WEIR_USED", status.buffer.used.to_string());
        command.env("WEIR_CAPACITY", status.buffer.capacity.to_string());
        command.env("WEIR_ELAPSED", status.elapsed.as_secs_f64().to_string());
        let shed = status.shed.total;
        for (what, Count { bytes, records }) in
            [("IN", status.read), ("OUT", status.written), ("SHED", shed)]
        {
            command.env(format!("WEIR_{what}_BYTES"), bytes.to_string());
            let records = records.map(|n| n.to_string()).unwrap_or_default();
            command.env(format!("WEIR_{what}_RECORDS"), records);
        }
        command.env("WEIR_END", end.unwrap_or_default());
        command
    }
}
