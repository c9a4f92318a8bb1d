//! Another weir that shares the cap of a pipeline, and moves bytes of its own meanwhile: whatever becomes of one of the two,
//! the other comes to its end, with all that was to pass through it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use wait_timeout::ChildExt;

use crate::books::{Checked, ensure};
use crate::dice::Dice;
use crate::files;
use crate::harness::{Beside, DEADLINE, WEIR, collect, program};
use crate::plan::{Action, Plan};
use crate::reports::is_of_store;
use crate::run::has_begun;
use crate::store::Store;
use crate::stream::{self, Framing};

/// What is done to it.
const SIGNALS: [&str; 4] = ["STOP", "STOP", "CONT", "KILL"];

/// What it moves. Some of the actions are those that are done to it.
pub(crate) fn draw(
    dice: &mut Dice,
    framing: Framing,
    total: usize,
    actions: &mut Vec<Action>,
) -> Vec<u8> {
    // Both are to end soon.
    let total = dice.spread(1, total.clamp(1, 300_000) as u64) as usize;
    for _ in 0..dice.between(0, 3) {
        let at = dice.between(0, actions.len() as u64) as usize;
        let wait = Action::Wait(dice.millis(0, 100));
        actions.splice(at..at, [wait, Action::Mate(dice.pick(&SIGNALS))]);
    }
    stream::make(dice, framing, total, 200)
}

/// It runs. It does not outlive the test.
pub(crate) struct Mate {
    child: Child,
    got: Option<Beside<Vec<u8>>>,
    said: Option<Beside<Vec<u8>>>,
    is_killed: bool,
}

impl Drop for Mate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Mate {
    /// Starts it, and waits until it is one of those who share.
    pub(crate) fn start(plan: &Plan, dir: &Path, store: Option<&Store>) -> Option<Mate> {
        let bytes = plan.mate.as_ref()?;
        let file = dir.join("mates");
        fs::write(&file, bytes).expect("write a file");
        let mut weir = Command::new(WEIR);
        weir.arg("-q").env("XDG_RUNTIME_DIR", dir);
        files::frame(&mut weir, plan.framing);
        let caps = plan.options.windows(2).filter(|it| it[0] == "--rate");
        weir.args(caps.flatten());
        files::share(&mut weir, store);
        weir.stdin(File::open(file).expect("a file"));
        let (output, stdout) = std::io::pipe().expect("a pipe");
        let (said, stderr) = std::io::pipe().expect("a pipe");
        let child = weir.stdout(stdout).stderr(stderr).spawn();
        drop(weir);
        let mut mate = Mate {
            child: child.expect("another weir"),
            got: Some(collect(output)),
            said: Some(collect(said)),
            is_killed: false,
        };
        let until = Instant::now() + DEADLINE;
        while mate.is_alive() && !has_begun(mate.child.id()) && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        Some(mate)
    }

    fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("wait for it").is_none()
    }

    pub(crate) fn signal(&mut self, name: &str) {
        if self.is_alive() {
            self.is_killed |= name == "KILL";
            let pid = self.child.id().to_string();
            let kill = program("kill").args(["-s", name, &pid]).output();
            kill.expect("send a signal");
        }
    }

    /// The other one has ended, and so does this.
    pub(crate) fn end(mut self, plan: &Plan) -> Checked {
        self.signal("CONT");
        let status = self.child.wait_timeout(DEADLINE).expect("wait for it");
        ensure!(status.is_some(), "who shares the cap hangs");
        let done = |it: &mut Option<Beside<Vec<u8>>>| it.take().expect("once").done();
        let (got, said) = (done(&mut self.got), done(&mut self.said));
        let said = String::from_utf8_lossy(&said);
        let input = plan.mate.as_deref().unwrap_or_default();
        ensure!(input.starts_with(&got), "who shares the cap tears");
        let is_well = status.is_some_and(|it| it.success()) && got.len() == input.len();
        let is_well = is_well && said.lines().all(|line| is_of_store(plan, line));
        ensure!(
            is_well || self.is_killed,
            "who shares the cap: {status:?} {} of {} bytes, {said}",
            got.len(),
            input.len()
        );
        Ok(())
    }
}
