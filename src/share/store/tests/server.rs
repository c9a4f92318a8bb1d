//! A `redis-server` of a test's own, and members that want all they can get.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::super::*;
use crate::share::lease::ALL;

pub(super) const DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is() {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

pub(super) struct Server {
    pub(super) port: u16,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Server {
    pub(super) fn start(arguments: &[&str]) -> Server {
        let free_port = || {
            let free = TcpListener::bind("127.0.0.1:0").expect("a port");
            free.local_addr().expect("an address").port()
        };
        // Somebody else may have taken the port by then.
        (0..10)
            .find_map(|_| Server::try_at(free_port(), arguments))
            .expect("a port of its own")
    }

    pub(super) fn at(port: u16, arguments: &[&str]) -> Server {
        Server::try_at(port, arguments).expect("nobody else has the port")
    }

    /// `None`: somebody else has this port.
    fn try_at(port: u16, arguments: &[&str]) -> Option<Server> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(["--port", &port.to_string()]).args(arguments);
        let child = command
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("this test needs the program `redis-server`: install it");
        let mut server = Server {
            port,
            child,
            _folder: folder,
        };
        let mut has_ended = false;
        eventually("the server answers, or has ended", || {
            has_ended = server.child.try_wait().expect("it is ours").is_some();
            has_ended || TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        (!has_ended).then_some(server)
    }

    pub(super) fn store(&self) -> Store {
        store(self.port)
    }

    /// What the server says to a command of its own protocol.
    pub(super) fn tell(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
        stream
            .write_all(format!("{command}\r\nQUIT\r\n").as_bytes())
            .expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered");
        text
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the server lives");
    }

    /// How often a command was called.
    pub(super) fn calls(&self, command: &str) -> u64 {
        let text = self.tell("INFO commandstats");
        let (_, rest) = text
            .split_once(&format!("cmdstat_{command}:calls="))
            .unwrap_or(("", "0,"));
        rest.split(',')
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn store(port: u16) -> Store {
    Store {
        user: None,
        host: "127.0.0.1".to_owned(),
        port,
        name: "test".to_owned(),
    }
}

pub(super) fn rules(rate: &str) -> Rules {
    Rules {
        rate: rate.parse().expect(rate),
        burst: Burst::Units(0),
    }
}

/// Members that want all that there is, and pass it.
pub(super) struct Hungry {
    stop: Arc<AtomicBool>,
    pub(super) lines: Arc<AtomicUsize>,
    pub(super) shared: Vec<Arc<Shared>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Hungry {
    pub(super) fn start(store: &Store, n: usize) -> Hungry {
        let (stop, lines) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let mut caps: Vec<_> = (0..n)
            .map(|_| {
                let lines = Arc::clone(&lines);
                StoreCap::with(store, None, rules("8MB/s"), move |line| {
                    assert!(line.starts_with("share redis://127.0.0.1:"), "{line}");
                    lines.fetch_add(1, SeqCst);
                })
                .expect("joined")
            })
            .collect();
        let shared = caps.iter().map(|cap| Arc::clone(&cap.shared)).collect();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(SeqCst) {
                for cap in &mut caps {
                    let now = Instant::now();
                    cap.prepare(now);
                    if let Ok(units) = cap.peek(now) {
                        cap.on_passed(units, now);
                    }
                }
                thread::sleep(Duration::from_micros(500));
            }
        });
        Hungry {
            stop,
            lines,
            shared,
            thread: Some(thread),
        }
    }

    /// The parts at which each passes.
    pub(super) fn parts(&self) -> Vec<u64> {
        let parts = self
            .shared
            .iter()
            .map(|shared| shared.lock().cap.pace().unwrap_or(0));
        parts.collect()
    }

    /// Whether each passes an n-th of the cap, to within a hundredth of it.
    pub(super) fn are_even(&self, n: u64) -> bool {
        let even = |parts: &u64| parts.abs_diff(ALL / n) <= ALL / n / 100;
        self.parts().iter().all(even)
    }
}

impl Drop for Hungry {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        let ended = self.thread.take().map(thread::JoinHandle::join);
        for shared in &self.shared {
            StoreWatch {
                shared: Arc::clone(shared),
            }
            .leave();
        }
        assert!(ended.is_some_and(|ended| ended.is_ok()) || thread::panicking());
    }
}
