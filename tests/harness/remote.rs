//! Weirs in a home of their own, and the ways to reach them: as a user does, and by the bare socket.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{DEADLINE, Leash, WEIR, eventually};

/// A directory for sockets that other tests do not share.
pub(crate) struct Home(TempDir);

impl Home {
    /// An empty one, with a runtime directory and a temporary directory in it.
    pub(crate) fn new() -> Home {
        let home = Home(tempfile::tempdir().expect("a directory"));
        fs::create_dir(home.runtime()).expect("a runtime directory");
        fs::create_dir(home.temporary()).expect("a temporary directory");
        home
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        self.0.path().join("run")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.0.path().join("tmp")
    }

    /// Where sockets are to be.
    pub(crate) fn sockets(&self) -> PathBuf {
        self.runtime().join("weir")
    }

    /// Where they are to be if the first place is not safe.
    pub(crate) fn refuge(&self) -> PathBuf {
        let uid = rustix::process::geteuid().as_raw();
        self.temporary().join(format!("weir-{uid}"))
    }

    /// What is in the places for sockets.
    pub(crate) fn listing(&self) -> Vec<PathBuf> {
        let places = [self.sockets(), self.refuge()];
        let entries = places.iter().flat_map(fs::read_dir).flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// `weir` with these arguments.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = super::weir(args);
        command.envs(self.variables());
        command
    }

    /// What keeps those apart who are at home here.
    pub(crate) fn variables(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("XDG_RUNTIME_DIR", self.runtime()),
            ("TMPDIR", self.temporary()),
            // Takes the place of /tmp in a debug build.
            ("WEIR_TEST_TMP", self.temporary()),
        ]
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let command = self.command(args);
        let done = assert_cmd::Command::from_std(command)
            .timeout(DEADLINE)
            .output();
        done.expect("it ran")
    }

    /// Starts one and waits until it listens.
    pub(crate) fn start(&self, args: &[&str]) -> Weir {
        self.heard(self.start_deaf(args))
    }

    /// The same by a shell that has first run `before`.
    pub(crate) fn start_behind(&self, before: &str, args: &[&str]) -> Weir {
        let mut shell = super::program("sh");
        let script = format!("{before}\nexec \"$0\" \"$@\"");
        shell.args(["-c", &script, WEIR]).args(args);
        shell.envs(self.variables());
        self.heard(spawn(&mut shell))
    }

    /// Waits until it listens.
    pub(crate) fn heard(&self, weir: Weir) -> Weir {
        let name = format!("{}.sock", weir.pid());
        eventually("the weir listens", || {
            let mut all = self.listing().into_iter();
            let own = all.find(|path| path.ends_with(&name));
            own.is_some_and(|path| UnixStream::connect(path).is_ok())
        });
        weir
    }

    /// Starts one.
    pub(crate) fn start_deaf(&self, args: &[&str]) -> Weir {
        spawn(&mut self.command(args))
    }

    /// Tells the weir something that it must do.
    #[track_caller]
    pub(crate) fn tell(&self, target: &str, options: &[&str]) {
        let (mut output, mut said) = (None, String::new());
        // Bytes may have passed before it listens.
        eventually("it listens", || {
            let told = self.run(&[&["--remote", target], options].concat());
            said = String::from_utf8_lossy(&told.stderr).into_owned();
            output = Some(told);
            !said.contains("no weir of yours has") && !is_unanswered(&said)
        });
        let output = output.expect("it ran");
        assert!(output.status.success(), "{options:?}: {said}");
        assert_eq!((output.stdout.len(), said.len()), (0, 0), "{said}");
    }

    /// The status object of one.
    #[track_caller]
    pub(crate) fn status(&self, weir: &Weir) -> Value {
        let (mut output, mut said) = (None, String::new());
        eventually("it answers", || {
            let told = self.run(&["--query", &weir.pid()]);
            said = String::from_utf8_lossy(&told.stderr).into_owned();
            output = Some(told);
            !is_unanswered(&said)
        });
        let output = output.expect("it ran");
        assert!(output.status.success(), "{said}");
        serde_json::from_slice(&output.stdout).expect("an object")
    }

    /// A connection to one.
    pub(crate) fn connect(&self, weir: &Weir) -> Line {
        let path = self.sockets().join(format!("{}.sock", weir.pid()));
        Line::new(UnixStream::connect(path).expect("somebody listens"))
    }
}

/// Whoever asks gives up after two seconds, which a busy machine may let pass.
fn is_unanswered(said: &str) -> bool {
    said.contains("does not answer")
}

/// Starts it, with all its ends held by the test.
pub(crate) fn spawn(command: &mut Command) -> Weir {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("started");
    Weir {
        stdin: child.stdin.take(),
        stdout: child.stdout.take(),
        _leash: Leash::on(&child),
        child,
    }
}

/// A process that does not outlive its test, and its ends.
pub(crate) struct Weir {
    pub child: Child,
    _leash: Leash,
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
}

impl Weir {
    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it is there");
    }

    /// Stops all its threads, as Ctrl-Z does.
    #[cfg(target_os = "linux")]
    pub(crate) fn stop(&self) {
        self.signal(rustix::process::Signal::STOP);
        super::await_stop(self.child.id());
    }

    /// Gives it this, however long it takes to take it.
    pub(crate) fn give(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("it has not been closed");
        stdin.write_all(bytes).expect("it reads");
    }

    /// Takes so many bytes from it.
    pub(crate) fn take(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        let stdout = self.stdout.as_mut().expect("it has not been closed");
        stdout.read_exact(&mut bytes).expect("it writes");
        bytes
    }

    /// How it ended.
    pub(crate) fn end(&mut self) -> std::process::ExitStatus {
        let mut status = None;
        eventually("it ends", || {
            status = self.child.try_wait().expect("it is ours");
            status.is_some()
        });
        status.expect("it has ended")
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bare socket.
pub(crate) struct Line {
    pub socket: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Line {
    pub(crate) fn new(socket: UnixStream) -> Line {
        let timeout = Some(DEADLINE);
        socket.set_read_timeout(timeout).expect("set");
        socket.set_write_timeout(timeout).expect("set");
        let copy = socket.try_clone().expect("copied");
        Line {
            socket,
            answers: BufReader::new(copy),
        }
    }

    /// Says this line.
    pub(crate) fn say(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.socket.write_all(line.as_bytes()).expect("said");
    }

    /// The next answer; none at the end of the connection.
    pub(crate) fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).expect("an object")),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(e) => panic!("no answer: {e}"),
        }
    }

    /// Asks, and hears what there is to it.
    pub(crate) fn ask(&mut self, line: &str) -> Value {
        self.say(line);
        let mut reply = self.hear().expect("an answer");
        assert_eq!(reply["v"], 1);
        reply["answer"].take()
    }
}
