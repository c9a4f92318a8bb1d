//! One pipeline of programs that run side by side, from its start to its end.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use wait_timeout::ChildExt;

use crate::crowd::{Act, Crowd};
use crate::files::line_of_end;
use crate::harness::process::children;
use crate::harness::{DEADLINE, WEIR, collect, output, program};
use crate::killed;
use crate::options::set_free;
use crate::plan::Link;
use crate::run::has_begun;
use crate::sides::{self, Hurry};
use crate::store::Store;

/// What came of it.
pub(crate) struct Outcome {
    pub status: ExitStatus,
    pub stderr: String,
    pub summary: Value,
    /// What each file holds, and whether its program has ended as it should.
    pub got: Vec<(Vec<u8>, bool)>,
    pub spilt: Vec<u8>,
    /// Weir was killed, and others went on.
    pub is_killed: bool,
    /// A program has said of its batch that it can never succeed.
    pub is_rejected: bool,
    /// What was run at the end has left this.
    pub line: String,
}

/// Runs it. `Err` says what hangs.
pub(crate) fn run(plan: &Crowd) -> Result<Outcome, String> {
    let dir = TempDir::new().expect("make a directory");
    let dir = dir.path();
    let hurry = Hurry::default();
    let mut input = sides::link(Link::Pipe, false);
    // It would keep the producer from being told.
    let again = input.again.take().filter(|_| plan.is_killed());
    let store = plan.store.then(Store::start).flatten();
    let mut command = plan.command(dir, store.as_ref());
    command.stdin(input.weirs).stdout(Stdio::null());
    // Programs that outlive a weir that is killed have this end, too.
    let said = match plan.is_killed() {
        true => {
            let (said, stderr) = std::io::pipe().expect("a pipe");
            command.stderr(stderr);
            Some(collect(said))
        }
        false => {
            command.stderr(fs::File::create(dir.join("stderr")).expect("make a file"));
            None
        }
    };
    let mut weir = Weir {
        child: command.spawn().expect("start weir"),
        dir,
        plan,
        store,
    };
    // It holds the other end of the pipe, which would keep the producer from being told.
    drop(command);
    let bytes = plan.input.clone();
    let producer = sides::produce(plan.producer, input.ours, bytes, plan.seed, hurry.clone());
    weir.await_start();
    for act in &plan.acts {
        weir.act(act);
    }
    hurry.up();
    let status = weir.finish()?;
    let is_killed = status.signal() == Some(9) && plan.is_killed();
    let text = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
    let mut stderr = text("stderr");
    if let Some(said) = said {
        stderr += &String::from_utf8_lossy(&said.done());
    }
    let rest = match again.filter(|_| is_killed) {
        Some(input) => {
            let command = || plan.command(dir, weir.store.as_ref());
            Some(killed::go_on_side_by_side(plan, dir, command, &input)?)
        }
        None => None,
    };
    drop(weir);
    producer.done();
    let log = text("log");
    let summary = killed::summary_of(&log).or(is_killed.then_some(Value::Null));
    let mut got = got(dir);
    if let Some(rest) = rest {
        got.push((rest, true));
    } else if plan.spools {
        let rest = output(&mut plan.rest(dir));
        let rest = rest.expect("another weir");
        if !rest.status.success() {
            return Err(format!("what stays is not delivered: {rest:?}"));
        }
        got.push((rest.stdout, true));
    }
    Ok(Outcome {
        status,
        summary: summary.ok_or(format!("no summary: {log}{stderr}"))?,
        stderr,
        got,
        spilt: fs::read(dir.join("spill")).unwrap_or_default(),
        line: if plan.leaves_line() && !is_killed {
            line_of_end(dir)
        } else {
            String::new()
        },
        is_killed,
        is_rejected: plan.is_rejected_by(|n| dir.join(format!("odd{n}")).exists()),
    })
}

fn got(dir: &Path) -> Vec<(Vec<u8>, bool)> {
    let files = fs::read_dir(dir).expect("a directory").flatten();
    let files = files.map(|it| it.path()).filter_map(|path| {
        let end = path.extension()?.to_str()?.to_owned();
        let is_whole = end == "whole";
        (is_whole || end == "part").then(|| (fs::read(path).expect("a file"), is_whole))
    });
    files.collect()
}

/// Weir while it runs. It does not outlive the test.
struct Weir<'a> {
    child: Child,
    dir: &'a Path,
    plan: &'a Crowd,
    store: Option<Store>,
}

impl Drop for Weir<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Weir<'_> {
    fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("wait for weir").is_none()
    }

    /// The programs that it runs.
    fn programs(&self) -> Vec<String> {
        children(self.child.id())
    }

    /// Before, it dies of signals as any program does. Programs with batches are run when there is a batch.
    fn await_start(&mut self) {
        let until = Instant::now() + DEADLINE;
        while self.is_alive() && !self.has_started() && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn has_started(&self) -> bool {
        match self.plan.is_batch {
            true => has_begun(self.child.id()),
            false => !self.programs().is_empty(),
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Wait(time) => thread::sleep(*time),
            Act::Freeze(time) => {
                self.signal("STOP");
                thread::sleep(*time);
                self.signal("CONT");
            }
            Act::Signal(name) => self.signal(name),
            Act::KillWeir => self.signal("KILL"),
            Act::Remote(change) => drop(self.remote(change)),
            Act::Store(act) => self.store.iter_mut().for_each(|store| store.act(*act)),
            Act::Kill(n) => {
                if let Some(pid) = self.programs().get(*n) {
                    send("KILL", pid);
                }
            }
            Act::Stop(n, time) => {
                if let Some(pid) = self.programs().get(*n) {
                    send("STOP", pid);
                    thread::sleep(*time);
                    send("CONT", pid);
                }
            }
        }
    }

    fn signal(&mut self, name: &str) {
        if self.is_alive() {
            send(name, &self.child.id().to_string());
        }
    }

    fn remote(&self, change: &[String]) -> bool {
        let mut remote = Command::new(WEIR);
        remote.args(["--remote", &self.child.id().to_string()]);
        remote.args(change).env("XDG_RUNTIME_DIR", self.dir);
        let end = output(&mut remote).expect("run weir --remote");
        assert!(matches!(end.status.code(), Some(0..=2)), "{end:?}");
        end.status.success()
    }

    /// Lets everything go and waits for the end.
    fn finish(&mut self) -> Result<ExitStatus, String> {
        let until = Instant::now() + DEADLINE;
        self.signal("CONT");
        let mut held = self.plan.control;
        while Instant::now() < until {
            held = held && self.is_alive() && !set_free(|change| self.remote(change));
            let look = Duration::from_millis(if held { 10 } else { 500 });
            if let Some(status) = self.child.wait_timeout(look).expect("wait for weir") {
                return Ok(status);
            }
        }
        let mut query = Command::new(WEIR);
        query.args(["--query", &self.child.id().to_string()]);
        let said = output(query.env("XDG_RUNTIME_DIR", self.dir));
        let said = said.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
        Err(format!(
            "hangs\n{}\n{:?}",
            said.unwrap_or_default(),
            self.programs()
        ))
    }
}

/// One that has just ended is nobody any more.
fn send(name: &str, pid: &str) {
    let kill = program("kill").args(["-s", name, pid]).output();
    kill.expect("send a signal");
}
