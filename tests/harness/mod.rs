//! The one harness of the tests that drive the real binary.
//!
//! A weir is killed when its test drops it, and every wait has a deadline that is generous enough for
//! a slow and busy machine: reaching it is a failure, never a measurement. A test that waits for weir
//! in a call of its own is woken by the [`Leash`], which ends weir and so its pipes. Nothing here
//! sleeps until something "should" have happened; [`eventually`] looks at the event itself, and
//! [`Running::settle`] at the state of the process's threads.

pub(crate) mod process;

pub(crate) mod books;
pub(crate) mod dir;
pub(crate) mod fifo;
pub(crate) mod line;
pub(crate) mod pty;
pub(crate) mod remote;
pub(crate) mod sides;
pub(crate) mod small_disk;
pub(crate) mod spool;
pub(crate) mod stalled;

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use process::{await_stop, field, settle};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use wait_timeout::ChildExt;

/// How long anything may take before a test fails for it: much longer than it takes beside ten others.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The binary under test.
pub(crate) const WEIR: &str = env!("CARGO_BIN_EXE_weir");

/// `weir` with these arguments.
pub(crate) fn weir(args: &[&str]) -> Command {
    heed_signals();
    let mut command = Command::new(WEIR);
    command.args(args);
    command
}

/// `weir` started by a shell that has first run `before`, and with `redirections`.
pub(crate) fn weir_in_shell(before: &str, args: &[&str], redirections: &str) -> Command {
    let mut command = program("sh");
    let script = format!("{before}\nexec \"$0\" \"$@\" {redirections}");
    command.args(["-c", &script, WEIR]).args(args);
    command
}

/// A program that the tests need.
pub(crate) fn program(name: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(name).exists());
    assert!(found, "this test needs the program `{name}`: install it");
    heed_signals();
    Command::new(name)
}

/// Says that a test, or a part of it, cannot be done here: on the terminal itself, where it is seen though the test passes.
/// `WEIR_TESTS_SKIP=nothing` makes a failure of it.
#[track_caller]
pub(crate) fn skip(why: &str) {
    let all = std::env::var("WEIR_TESTS_SKIP").is_ok_and(|what| what == "nothing");
    assert!(!all, "not to be skipped: {why}");
    let test = thread::current().name().unwrap_or("a test").to_owned();
    // What is printed by a macro is kept, and shown for a failure only.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {why}");
}

/// strace(1), which makes errors and delays that no file system here makes. `None`, and said, where there is none, or it may
/// not trace.
pub(crate) fn strace() -> Option<Command> {
    let mut probe = Command::new("strace");
    probe.args(["-qq", "-o", "/dev/null", "true"]);
    let probe = probe.stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        skip("there is no strace here, or it may not trace");
        return None;
    }
    Some(program("strace"))
}

/// Tries all of these at once: for scenes that mostly wait.
pub(crate) fn side_by_side<T: Send>(scenes: impl IntoIterator<Item = T>, trial: impl Fn(T) + Sync) {
    let trial = &trial;
    thread::scope(|scope| {
        for scene in scenes {
            scope.spawn(move || trial(scene));
        }
    });
}

/// How often a test kills at random: so often as a rule, or as often as `KILLS` in the environment says.
pub(crate) fn kills(few: usize) -> usize {
    let Ok(text) = std::env::var("KILLS") else {
        return few;
    };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.unwrap_or_else(|| panic!("KILLS: not a number of kills: {text}"))
}

/// Whether this program is there; that a test is skipped for want of it is said.
#[track_caller]
pub(crate) fn has(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = std::env::split_paths(&path).any(|dir| dir.join(name).exists());
    if !has {
        skip(&format!("there is no {name} here"));
    }
    has
}

/// What is started from here on does with these signals what programs do, though these tests were themselves started with
/// some of them ignored, as by `nohup` or in the background of a script: a handler, other than that, is not inherited.
fn heed_signals() {
    use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGQUIT};
    use std::sync::{Arc, Once, atomic::AtomicBool};
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGHUP, SIGINT, SIGQUIT] {
            let always = Arc::new(AtomicBool::new(true));
            signal_hook::flag::register_conditional_default(signal, always).expect("a handler");
        }
    });
}

/// Bytes without a pattern that a lost or repeated block could hide in; `seed` tells apart what
/// different producers send.
pub(crate) fn data(len: usize, seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // Marsaglia's xorshift64.
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes.extend_from_slice(&x.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Fails with the first difference, not with megabytes of digits.
#[track_caller]
pub(crate) fn assert_same(got: &[u8], wanted: &[u8], case: &str) {
    if got == wanted {
        return;
    }
    let differs = got.iter().zip(wanted).position(|(a, b)| a != b);
    panic!(
        "{case}: got {} bytes, wanted {}, first difference at {}",
        got.len(),
        wanted.len(),
        differs.unwrap_or(got.len().min(wanted.len())),
    );
}

/// Looks until it is so; fails at the deadline.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < until, "never came to be: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Work beside the test.
pub(crate) struct Beside<T>(Receiver<T>);

/// Starts work beside the test.
pub(crate) fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Beside<T> {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(work()));
    Beside(receiver)
}

impl<T> Beside<T> {
    /// What came of it.
    #[track_caller]
    pub(crate) fn done(self) -> T {
        let done = self.0.recv_timeout(DEADLINE);
        done.expect("work beside the test did not finish in time, or failed")
    }
}

/// Writes everything, then closes. A reader that leaves early is the test's business.
pub(crate) fn feed(mut to: impl Write + Send + 'static, bytes: Vec<u8>) -> Beside<io::Result<()>> {
    beside(move || to.write_all(&bytes))
}

/// Reads to the end. The end of a terminal is an error, which is taken for one.
pub(crate) fn collect(mut from: impl Read + Send + 'static) -> Beside<Vec<u8>> {
    beside(move || {
        let mut bytes = Vec::new();
        match from.read_to_end(&mut bytes) {
            Err(e) if e.raw_os_error() != Some(rustix::io::Errno::IO.raw_os_error()) => {
                panic!("read what weir wrote: {e}")
            }
            _ => bytes,
        }
    })
}

/// Kills a process that is still there when any test should long be over.
pub(crate) struct Leash(#[expect(dead_code, reason = "its end is what counts")] Sender<()>);

impl Leash {
    /// Holds this process until it is dropped.
    pub(crate) fn on(child: &Child) -> Leash {
        Leash::with(Pid::from_child(child), kill_process)
    }

    /// Holds the group that this process leads.
    pub(crate) fn on_group(child: &Child) -> Leash {
        Leash::with(Pid::from_child(child), kill_process_group)
    }

    fn with(pid: Pid, kill: fn(Pid, Signal) -> rustix::io::Result<()>) -> Leash {
        let (held, let_go) = channel();
        thread::spawn(move || {
            if let_go.recv_timeout(3 * DEADLINE) == Err(RecvTimeoutError::Timeout) {
                let _ = kill(pid, Signal::KILL);
            }
        });
        Leash(held)
    }
}

/// Runs a command that reads nothing to its end, on a leash: what it has written.
pub(crate) fn output(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn()?;
    let _leash = Leash::on(&child);
    child.wait_with_output()
}

/// A process that does not outlive its test.
pub(crate) struct Running {
    child: Child,
    _leash: Leash,
    stderr: File,
}

/// Starts a command between these two.
pub(crate) fn start(
    mut command: Command,
    stdin: impl Into<Stdio>,
    stdout: impl Into<Stdio>,
) -> Running {
    let stderr = tempfile::tempfile().expect("make a file for standard error");
    let copy = stderr.try_clone().expect("duplicate a descriptor");
    let child = command.stdin(stdin).stdout(stdout).stderr(copy).spawn();
    let child = child.unwrap_or_else(|e| panic!("start {command:?}: {e}"));
    Running {
        _leash: Leash::on(&child),
        child,
        stderr,
    }
}

impl Running {
    /// Its process ID.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("send a signal");
    }

    /// Sends a signal to it and all others of the group that it leads.
    pub(crate) fn signal_group(&self, signal: Signal) {
        kill_process_group(self.pid(), signal).expect("send a signal");
    }

    /// A field of its `/proc/PID/status`, in KiB where that is the unit.
    pub(crate) fn field(&self, name: &str) -> u64 {
        field(
            Path::new(&format!("/proc/{}/status", self.child.id())),
            name,
        )
    }

    /// The most memory of its own that it ever had, in KiB. Pages of its program and of other files count for nothing: how
    /// many of these the system maps beside those that are needed is its own affair. (Those that were mapped after it had most
    /// are taken off, too: it may have been more by as much.)
    pub(crate) fn peak(&self) -> u64 {
        self.field("VmHWM").saturating_sub(self.field("RssFile"))
    }

    /// Time that it has spent on a processor, in the system's ticks.
    pub(crate) fn ticks(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let text = text.expect("read a process's state");
        // utime and stime: fields 14 and 15, the second one ending in a parenthesis.
        let (_, rest) = text.rsplit_once(')').expect("a process's name");
        let field = |n: usize| rest.split_whitespace().nth(n).and_then(|t| t.parse().ok());
        field(11)
            .zip(field(12))
            .map(|(a, b): (u64, u64)| a + b)
            .expect("times")
    }

    /// Waits until nothing moves any more: see [`settle`].
    #[track_caller]
    pub(crate) fn settle(&self) -> Vec<u64> {
        settle(self.child.id())
    }

    /// Stops all its threads, as Ctrl-Z does.
    #[cfg(target_os = "linux")]
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        await_stop(self.child.id());
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("wait for weir").is_none()
    }

    /// Waits until it ends.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let status = self.child.wait_timeout(DEADLINE).expect("wait for weir");
        let mut stderr = String::new();
        self.stderr.rewind().expect("rewind");
        let read = self.stderr.read_to_string(&mut stderr);
        read.expect("read standard error");
        let status = status.unwrap_or_else(|| panic!("weir does not end; it says: {stderr:?}"));
        Ended { status, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub status: ExitStatus,
    pub stderr: String,
}

impl Ended {
    /// Status 0 and not a word.
    #[track_caller]
    pub(crate) fn assert_success(&self, case: &str) {
        assert!(
            self.status.success() && self.stderr.is_empty(),
            "{case}: {self:?}"
        );
    }

    /// Died by this signal, and not a word.
    #[track_caller]
    pub(crate) fn assert_died_by(&self, signal: Signal, case: &str) {
        let by = self.status.signal();
        assert!(
            by == Some(signal.as_raw()) && self.stderr.is_empty(),
            "{case}: {self:?}"
        );
    }

    /// This status, and one line that says all of these.
    #[track_caller]
    pub(crate) fn assert_complains(&self, status: i32, says: &[&str]) {
        assert_eq!(self.status.code(), Some(status), "{self:?}");
        let line = self.stderr.strip_prefix("weir: ");
        let line = line.and_then(|l| l.strip_suffix('\n')).unwrap_or_default();
        assert!(
            !line.is_empty() && !line.contains('\n'),
            "one line is wanted, not {:?}",
            self.stderr
        );
        for part in says {
            assert!(line.contains(part), "{line:?} does not say {part:?}");
        }
    }
}
