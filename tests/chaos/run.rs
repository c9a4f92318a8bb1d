//! One pipeline from its start to its end: what was done to it and what came of it.

mod process;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wait_timeout::ChildExt;

use crate::files::{BEFORE, added, command, leave_before, left_in_spool, line_of_end, shown};
use crate::harness::process::children;
use crate::harness::sides::make_fifo;
use crate::harness::{DEADLINE, WEIR, collect, output, program};
use crate::killed;
use crate::mate::Mate;
use crate::options::set_free;
use crate::plan::{Action, Plan};
use crate::reports;
use crate::sides::{self, Hurry};
use crate::store::Store;
use crate::{dying, falling};
pub(crate) use process::has_begun;

/// The signal.
const KILL: i32 = 9;

/// What came of a pipeline.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What stayed in the spool, if there was one.
    pub stays: Option<Vec<u8>>,
    pub chart: String,
    /// What a tee has got when weir has ended, and when the next one has, too.
    pub copied: [Vec<u8>; 2],
    pub status: ExitStatus,
    pub stderr: String,
    pub log: String,
    pub sent: usize,
    pub got: Vec<u8>,
    pub spilt: Vec<u8>,
    /// What was shown to a tap and to those who looked.
    pub shown: Vec<Vec<u8>>,
    pub metrics: String,
    /// What weir has left in a pipe that it did not read to its end, and what came after that.
    pub rest: Option<Vec<u8>>,
    /// What was run at the end has left this.
    pub line: String,
    /// Where weir was killed, what each has written that went on.
    pub parts: Option<Vec<killed::Part>>,
}

/// Weir and its neighbours while they run. None outlives the test.
struct Pipeline<'a> {
    plan: &'a Plan,
    dir: &'a Path,
    weir: Child,
    before: Option<Child>,
    behind: Option<Child>,
    looks: Vec<Child>,
    /// It reads a tap that is a FIFO.
    reader: Option<Child>,
    /// It reads a tee that is a FIFO, and leaves.
    taker: Option<Child>,
    /// Its cap is shared through this.
    store: Option<Store>,
    /// Another weir that does so.
    mate: Option<Mate>,
    /// What was amiss with what was answered meanwhile.
    trouble: Option<String>,
}

impl Drop for Pipeline<'_> {
    fn drop(&mut self) {
        let cats = [
            &mut self.before,
            &mut self.behind,
            &mut self.reader,
            &mut self.taker,
        ];
        let cats = cats.map(Option::as_mut);
        let looks = self.looks.iter_mut();
        for child in cats
            .into_iter()
            .flatten()
            .chain([&mut self.weir])
            .chain(looks)
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs it. `Err` says what hangs.
pub(crate) fn run(plan: &Plan) -> Result<Outcome, String> {
    let dir = TempDir::new().expect("make a directory");
    let dir = dir.path();
    let hurry = Hurry::default();
    let (input, output) = (
        sides::link(plan.before, false),
        sides::link(plan.behind, true),
    );
    let seeds = (plan.seed ^ 1, plan.seed ^ 2);
    let consumer = sides::consume(plan.consumer, output.ours, seeds.1, hurry.clone());
    let reader = plan.pipes.then(|| read_tap(dir));
    let taker = dying::take_and_leave(plan, dir);
    leave_before(plan, dir);
    let store = plan.store.then(Store::start).flatten();
    // Who holds it keeps the producer from being told that weir has gone.
    let again = input.again.filter(|_| plan.reads_on() || plan.is_killed());
    let mut pipeline = Pipeline {
        plan,
        dir,
        weir: start(plan, dir, store.as_ref(), input.weirs, output.weirs),
        before: input.cat,
        behind: output.cat,
        looks: Vec::new(),
        reader,
        taker,
        store,
        mate: None,
        trouble: None,
    };
    pipeline.mate = Mate::start(plan, dir, pipeline.store.as_ref());
    let bytes = plan.input.clone();
    let producer = sides::produce(plan.producer, input.ours, bytes, seeds.0, hurry.clone());
    pipeline.await_signals();
    for action in &plan.actions {
        match action {
            Action::Hurry => hurry.up(),
            action => pipeline.act(action),
        }
    }
    hurry.up();
    if let Some((after, time)) = plan.late {
        pipeline.act(&Action::Wait(after));
        pipeline.act(&Action::Freeze(time));
    }
    let status = pipeline.finish()?;
    let copy = || added(plan, dir, "copy", plan.appends || plan.spools);
    let first = copy()?;
    let is_killed = status.signal() == Some(KILL);
    if is_killed && !plan.is_killed() {
        return Err("killed by somebody else".into());
    }
    let (again, rest) = match is_killed {
        true => (again, None),
        false => (None, again.filter(|_| plan.reads_on())),
    };
    let rest = rest.map(|pipe| collect(fs::File::from(pipe)).done());
    // What it was given as files is not read again.
    let again = again.filter(|_| !plan.is_of_files());
    let parts = is_killed.then(|| killed::go_on(plan, dir, again, &first));
    let parts = parts.transpose()?;
    // Before the neighbours are ended: they may still have something in hand.
    let (sent, got) = (producer.done(), consumer.done());
    let got = falling::net(plan, got)?;
    pipeline.await_looks()?;
    if let Some(mate) = pipeline.mate.take() {
        mate.end(plan)?;
    }
    let looks = pipeline.looks.len();
    if let Some(trouble) = pipeline.trouble.take() {
        return Err(trouble);
    }
    drop(pipeline);
    let text = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
    let line = if plan.leaves_line() && !is_killed {
        line_of_end(dir)
    } else {
        String::new()
    };
    let stays = (plan.spools && !is_killed).then(|| left_in_spool(plan, dir));
    let mut shown = shown(dir, looks);
    shown.push(added(plan, dir, "tap", plan.appends)?);
    let log = text("log");
    let log = log
        .strip_prefix(BEFORE)
        .ok_or("what the log held is gone")?;
    Ok(Outcome {
        stays,
        copied: [first, copy()?],
        status,
        stderr: text("stderr"),
        log: log.to_owned(),
        metrics: text("metrics"),
        sent,
        got,
        spilt: added(plan, dir, "spill", true)?,
        shown,
        chart: text("chart"),
        rest,
        line,
        parts,
    })
}

/// A program that reads a tap, whenever that opens.
fn read_tap(dir: &Path) -> Child {
    let fifo = dir.join("fifo");
    make_fifo(&fifo);
    let file = fs::File::create(dir.join("piped")).expect("make a file");
    let mut cat = program("cat");
    let cat = cat.arg(fifo).stdin(Stdio::null()).stdout(file);
    cat.stderr(Stdio::null()).spawn().expect("start cat")
}

fn start(plan: &Plan, dir: &Path, store: Option<&Store>, stdin: Stdio, stdout: Stdio) -> Child {
    let stderr = fs::File::create(dir.join("stderr")).expect("make a file");
    let mut weir = command(plan, dir, store);
    weir.stdin(stdin).stdout(stdout).stderr(stderr);
    weir.spawn().expect("start weir")
}

impl Pipeline<'_> {
    fn is_alive(&mut self) -> bool {
        self.weir.try_wait().expect("wait for weir").is_none()
    }

    /// Waits until weir is ready for signals: before, it dies by them like any program.
    fn await_signals(&mut self) {
        let until = Instant::now() + DEADLINE;
        while self.is_alive() && !has_begun(self.weir.id()) && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Wait(time) => thread::sleep(*time),
            Action::Freeze(time) => {
                self.signal("STOP");
                thread::sleep(*time);
                self.signal("CONT");
            }
            Action::Signal(name) => self.signal(name),
            Action::Remote(change) => {
                self.remote(change);
            }
            Action::Look => self.look(),
            Action::KillLook => kill(self.looks.last_mut().or(self.reader.as_mut())),
            Action::KillBefore => kill(self.before.as_mut()),
            Action::KillBehind => kill(self.behind.as_mut()),
            Action::Kill => self.signal("KILL"),
            Action::Hurry => unreachable!("nobody hurries weir"),
            Action::StopCommand(time) => self.stop_command(*time),
            Action::Query => self.query(),
            Action::Mate(name) => {
                self.mate.iter_mut().for_each(|mate| mate.signal(name));
            }
            Action::Store(act) => {
                self.store.iter_mut().for_each(|store| store.act(*act));
            }
        }
    }

    /// A program that weir runs, if there is one, does nothing for a while.
    fn stop_command(&mut self, time: Duration) {
        if self.is_alive()
            && let Some(pid) = children(self.weir.id()).first()
        {
            // One that has just ended is nobody any more.
            for name in ["STOP", "CONT"] {
                let kill = program("kill").args(["-s", name, pid]).output();
                kill.expect("send a signal");
                thread::sleep(if name == "STOP" { time } else { Duration::ZERO });
            }
        }
    }

    /// Somebody asks how it goes. It may have ended, and what it says balances.
    fn query(&mut self) {
        let mut query = Command::new(WEIR);
        query.args(["--query", &self.weir.id().to_string()]);
        let end = output(query.env("XDG_RUNTIME_DIR", self.dir));
        let end = end.expect("run weir --query");
        let said = String::from_utf8_lossy(&end.stdout);
        let is_right = match end.status.code() {
            Some(0) => said.lines().count() == 1 && reports::is_balanced(self.plan, &said),
            code => code == Some(1) && !end.stderr.is_empty(),
        };
        if !is_right {
            self.trouble = Some(format!("to a query: {end:?}"));
        }
    }

    /// Somebody comes to look.
    fn look(&mut self) {
        let file = self.dir.join(format!("look{}", self.looks.len()));
        let mut look = Command::new(WEIR);
        look.args(["--look", &self.weir.id().to_string()]);
        look.env("XDG_RUNTIME_DIR", self.dir)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        look.stdout(fs::File::create(file).expect("make a file"));
        self.looks.push(look.spawn().expect("run weir --look"));
    }

    /// They end with weir.
    fn await_looks(&mut self) -> Result<(), String> {
        for look in &mut self.looks {
            let ended = look.wait_timeout(DEADLINE).expect("wait for a look");
            if ended.is_none() {
                return Err("a look goes on without weir".into());
            }
        }
        Ok(())
    }

    fn signal(&mut self, name: &str) {
        // Not yet waited for, so the number is nobody else's.
        if self.is_alive() {
            let pid = self.weir.id().to_string();
            let kill = program("kill").args(["-s", name, &pid]).output();
            kill.expect("send a signal");
        }
    }

    /// Tells weir something. It may refuse it, and may have ended.
    fn remote(&mut self, change: &[String]) -> bool {
        let mut remote = Command::new(WEIR);
        remote.args(["--remote", &self.weir.id().to_string()]);
        remote.args(change).env("XDG_RUNTIME_DIR", self.dir);
        let end = output(&mut remote).expect("run weir --remote");
        let code = end.status.code();
        let said = String::from_utf8_lossy(&end.stderr);
        let silent = said.is_empty() && end.stdout.is_empty();
        assert!(
            matches!(code, Some(0..=2)) && silent == (code == Some(0)),
            "{change:?}: {end:?}\n{}",
            self.plan.describe()
        );
        silent
    }

    /// Lets everything go and waits for the end.
    fn finish(&mut self) -> Result<ExitStatus, String> {
        let until = Instant::now() + DEADLINE;
        self.signal("CONT");
        let mut held = self.plan.control && self.plan.actions.iter().any(changes);
        while Instant::now() < until {
            held = held && self.is_alive() && !set_free(|change| self.remote(change));
            let look = if held { 10 } else { 500 };
            let look = self.weir.wait_timeout(Duration::from_millis(look));
            if let Some(status) = look.expect("wait for weir") {
                return Ok(status);
            }
        }
        Err(format!("hangs\n{}", self.look_inside()))
    }

    /// Where its threads are.
    fn look_inside(&self) -> String {
        let pid = self.weir.id();
        let mut text = String::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
        {
            let task = task.expect("a task").path();
            let of = |name: &str| fs::read_to_string(task.join(name)).unwrap_or_default();
            let all = ["comm", "wchan", "syscall", "stack"].map(of).join(" ");
            text += &(all.replace('\n', " ") + "\n");
        }
        let mut query = Command::new(WEIR);
        query.args(["--query", &pid.to_string()]);
        let said = output(query.env("XDG_RUNTIME_DIR", self.dir));
        text + &said.map_or_else(
            |e| e.to_string(),
            |o| String::from_utf8_lossy(&o.stdout).into_owned(),
        )
    }
}

fn changes(action: &Action) -> bool {
    matches!(action, Action::Remote(_))
}

fn kill(child: Option<&mut Child>) {
    if let Some(child) = child {
        let _ = child.kill();
    }
}
