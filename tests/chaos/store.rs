//! A store that a pipeline shares its cap through: a `redis-server` of its own, to which everything happens that happens to
//! such a server.
//!
//! Invariant: it is there and answers until the pipeline runs, for without it weir does not begin.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::harness::{self, DEADLINE, program};

/// What happens to it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StoreAct {
    Kill,
    /// It comes back, at the same place, and knows nothing of what was before.
    Start,
    Stop,
    Continue,
    /// Whoever asks is answered so much later.
    Late(Duration),
}

impl StoreAct {
    pub(crate) fn draw(dice: &mut Dice) -> StoreAct {
        let late = StoreAct::Late(dice.millis(50, 900));
        let all = [StoreAct::Kill, StoreAct::Start, StoreAct::Stop];
        let all = [&all[..], &[StoreAct::Continue, late]].concat();
        dice.pick(&all)
    }
}

/// The server, for as long as it runs.
pub(crate) struct Store {
    port: u16,
    server: Option<Child>,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Store {
    /// Starts it; none where there is no such program, or weir knows of no stores.
    pub(crate) fn start() -> Option<Store> {
        if !cfg!(feature = "redis") || !harness::has("redis-server") {
            return None;
        }
        let until = Instant::now() + DEADLINE;
        loop {
            let free = TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = free.local_addr().expect("an address").port();
            drop(free);
            let mut store = Store { port, server: None };
            // Somebody else may have had that port meanwhile.
            if store.begin() {
                return Some(store);
            }
            assert!(Instant::now() < until, "no redis-server can be started");
        }
    }

    /// The name by which weir knows it.
    pub(crate) fn share(&self) -> String {
        format!("redis://127.0.0.1:{}/chaos", self.port)
    }

    pub(crate) fn act(&mut self, act: StoreAct) {
        match act {
            StoreAct::Kill => self.kill(),
            StoreAct::Start if self.server.is_none() => drop(self.begin()),
            StoreAct::Start => {}
            StoreAct::Stop => self.signal("STOP"),
            StoreAct::Continue => self.signal("CONT"),
            StoreAct::Late(time) => {
                let _ = self.ask(&format!("CLIENT PAUSE {} ALL", time.as_millis()));
            }
        }
    }

    fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    fn signal(&self, name: &str) {
        if let Some(server) = &self.server {
            let pid = server.id().to_string();
            let kill = program("kill").args(["-s", name, &pid]).output();
            kill.expect("send a signal");
        }
    }

    /// Whether it runs, and answers, from now on.
    fn begin(&mut self) -> bool {
        let mut server = program("redis-server");
        server.args(["--bind", "127.0.0.1", "--save", "", "--port"]);
        server.arg(self.port.to_string()).stdin(Stdio::null());
        server.stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = server.spawn().expect("start redis-server");
        let until = Instant::now() + DEADLINE;
        while server.try_wait().expect("wait for it").is_none() && Instant::now() < until {
            if self
                .ask("PING")
                .is_some_and(|said| said.starts_with("+PONG"))
            {
                self.server = Some(server);
                return true;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let _ = server.kill();
        let _ = server.wait();
        false
    }

    /// What it answers, if it does so soon.
    fn ask(&self, what: &str) -> Option<String> {
        let mut way = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        way.set_read_timeout(Some(Duration::from_millis(200)))
            .ok()?;
        way.write_all(format!("{what}\r\n").as_bytes()).ok()?;
        let mut said = [0; 64];
        let n = way.read(&mut said).ok()?;
        Some(String::from_utf8_lossy(&said[..n]).into_owned())
    }
}
