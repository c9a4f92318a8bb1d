//! Commands that are run when something happens.
//!
//! Invariants: the flow never waits for one, and the end of the run for none. One is run at a time, and what
//! happens meanwhile waits for its turn; at the end all that are left are started, for nobody will be left to do it.
//! What they print goes where weir's own reports go, never into
//! the data.

use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, bounded};

use crate::config::hook::{Hook, Occasion};
use crate::engine::event::Event;
use crate::engine::status::{Count, Status};

/// Events that wait for the command that is running. Whatever is told beyond them is not.
const WAITING: usize = 8;

/// The hooks of a run, and the way to the thread that runs them.
pub(super) struct Hooks {
    hooks: Vec<Hook>,
    name: Option<String>,
    queue: Option<Queue>,
}

/// The commands that wait for their turn, for the thread that runs them.
struct Queue {
    sender: Sender<Command>,
    rest: Receiver<Command>,
    /// Held by whoever takes one out and starts it: so none is lost in between.
    starts: Arc<Mutex<()>>,
}

impl Queue {
    fn new() -> Queue {
        let (sender, rest) = bounded::<Command>(WAITING);
        let starts = Arc::default();
        let queue = Queue {
            sender,
            rest,
            starts,
        };
        let (commands, starts) = (queue.rest.clone(), queue.starts.clone());
        // Without a thread they are started at the end.
        let _ = thread::Builder::new().name("hooks".into()).spawn(move || {
            loop {
                let mut next = Select::new();
                next.recv(&commands);
                next.ready();
                let child = {
                    let _starts = starts.lock().unwrap_or_else(PoisonError::into_inner);
                    match commands.try_recv() {
                        Ok(mut command) => command.spawn().ok(),
                        Err(TryRecvError::Empty) => None,
                        Err(TryRecvError::Disconnected) => break,
                    }
                };
                let _ = child.map(|mut child| child.wait());
            }
        });
        queue
    }

    fn start_all(&self) {
        let _starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        for mut command in self.rest.try_iter() {
            let _ = command.spawn();
        }
    }
}

impl Hooks {
    pub(super) fn new(hooks: &[Hook], name: Option<&str>) -> Hooks {
        Hooks {
            hooks: hooks.to_owned(),
            name: name.map(str::to_owned),
            queue: None,
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

    /// This has happened, and things stand so; `end`: the run is over, and how.
    pub(super) fn run(&mut self, on: Occasion, status: &Status, end: Option<&str>) {
        let commands = self.hooks.iter().filter(|hook| hook.on == on);
        let commands: Vec<_> = commands
            .map(|hook| self.command(hook, status, end))
            .collect();
        if end.is_some() {
            self.queue.iter().for_each(Queue::start_all);
        }
        for mut command in commands {
            if end.is_some() {
                // Nobody waits for it, and it waits for nobody.
                let _ = command.spawn();
            } else {
                self.enqueue(command);
            }
        }
    }

    fn enqueue(&mut self, command: Command) {
        let queue = self.queue.get_or_insert_with(Queue::new);
        let _ = queue.sender.try_send(command);
    }

    fn command(&self, hook: &Hook, status: &Status, end: Option<&str>) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(&hook.command).stdin(Stdio::null());
        // Not into the data; where standard error is closed, nowhere.
        let report = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr().as_fd(), 3);
        command.stdout(report.map_or_else(|_| Stdio::null(), Stdio::from));
        command.env("WEIR_EVENT", hook.on.to_string());
        command.env("WEIR_PID", std::process::id().to_string());
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
