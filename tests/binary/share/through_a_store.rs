//! One cap through a real `redis-server`.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{catch_up, member, silent, status, take};
use crate::harness::line::Line;
use crate::harness::remote::Home;
use crate::harness::{self, eventually, start};

/// A port at which nobody listens.
fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    free.local_addr().expect("an address").port()
}

/// A `redis-server` of the test's own.
struct Server(Child, u16);

impl Server {
    fn start() -> Server {
        // Somebody else may have taken the port by then.
        (0..10)
            .find_map(|_| Server::at(free_port()))
            .expect("a port of its own")
    }

    /// `None`: somebody else has this port.
    fn at(port: u16) -> Option<Server> {
        let mut command = harness::program("redis-server");
        command.args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--port",
            &port.to_string(),
        ]);
        let child = command.stdout(Stdio::null()).spawn().expect("started");
        let mut server = Server(child, port);
        let mut has_ended = false;
        eventually("the server answers, or has ended", || {
            has_ended = server.0.try_wait().expect("it is ours").is_some();
            has_ended || server.is_there()
        });
        (!has_ended).then_some(server)
    }

    /// Whether it is this one that answers at the port.
    fn is_there(&self) -> bool {
        let mut text = String::new();
        let asked = TcpStream::connect(("127.0.0.1", self.1)).and_then(|mut stream| {
            stream.set_read_timeout(Some(harness::DEADLINE))?;
            stream.write_all(b"INFO server\r\nQUIT\r\n")?;
            stream.read_to_string(&mut text)
        });
        asked.is_ok() && text.contains(&format!("process_id:{}\r", self.0.id()))
    }

    fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.0), signal);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn weirs_share_through_a_store_and_go_on_with_a_part_when_it_dies() {
    let server = Server::start();
    let share = format!("redis://127.0.0.1:{}/it", server.1);
    let home = Home::new();
    let args = silent(&share);
    let members = [member(&home, &args), member(&home, &args)];
    let outputs = [&members[0].1, &members[1].1];
    let is = |key: &str, wanted: serde_json::Value| {
        eventually(key, || {
            catch_up(&outputs);
            members
                .iter()
                .all(|m| status(&home, &m.0.pid().to_string())["share"][key] == wanted)
        });
    };
    is("members", 2.into());
    // Until each has learnt of the other there may be more.
    let since = catch_up(&outputs);
    take(&outputs, 1_000_000, 4e6, since);
    drop(server);
    is("cut_off", true.into());
    let since = catch_up(&outputs);
    take(&outputs, 1_000_000, 4e6, since);
    let since = catch_up(&outputs);
    take(&outputs[..1], 500_000, 2e6, since);
    for (running, output) in members {
        running.signal(Signal::INT);
        drop(output);
        let ended = running.end();
        // A store that was late may have been told of before.
        let last = ended.stderr.lines().last().unwrap_or_default();
        assert!(last.contains("passing half of the cap"), "{ended:?}");
    }
}

#[test]
fn a_stop_while_the_store_is_asked_is_no_fault_of_the_store() {
    let server = Server::start();
    let share = format!("redis://127.0.0.1:{}/it", server.1);
    let home = Home::new();
    let (running, mut output) = member(&home, &silent(&share));
    let mut some = vec![0; 600_000];
    for _ in 0..6 {
        output.read_exact(&mut some).expect("it passes on");
        server.signal(Signal::STOP);
        // By then it has asked again, and waits.
        output.read_exact(&mut some).expect("it passes on");
        running.signal(Signal::STOP);
        running.signal(Signal::CONT);
        server.signal(Signal::CONT);
    }
    running.signal(Signal::INT);
    drop(output);
    let ended = running.end();
    // How late the store may be is another matter.
    assert!(!ended.stderr.contains("Interrupted"), "{ended:?}");
}

#[test]
fn an_empty_password_is_none() {
    let server = Server::start();
    let share = format!("redis://127.0.0.1:{}/it", server.1);
    let mut command = Home::new().command(&["--share", &share, "-r", "1MB/s", "-q"]);
    command.env("WEIR_SHARE_PASSWORD", "");
    let nothing = || File::open("/dev/null").expect("nothing");
    let running = start(command, nothing(), Stdio::null());
    running.end().assert_success("no password is wanted");
    let share = format!("redis://nobody@127.0.0.1:{}/it", server.1);
    let mut command = Home::new().command(&["--share", &share, "-r", "1MB/s", "-q"]);
    command.env("WEIR_SHARE_PASSWORD", "");
    let running = start(command, nothing(), Stdio::null());
    let ended = running.end();
    ended.assert_complains(
        1,
        &["user nobody: it wants a password", "$WEIR_SHARE_PASSWORD"],
    );
}

#[test]
fn one_that_starts_without_its_store_is_refused() {
    let port = free_port();
    let share = format!("redis://127.0.0.1:{port}/it");
    let mut line = Line::new(&["--share", &share, "-r", "1MB/s"]);
    line.ends_untouched();
    line.finish(0)
        .assert_complains(1, &["share: redis://127.0.0.1:", "Connection refused"]);
}
