//! Does anybody notice that a thousand come to look, and go?

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use rustix::process::Signal;

use crate::helpers::torn_lines;
use crate::lab::{Lab, MIB};
use crate::pipeline::Pipeline;
use crate::spec::{Contender, Skip};
use crate::table::{Figures, Table};

const LOOKED: &str = "weir --look PID";
/// The same, and the scheduler has no say in it.
const FIRST: &str = "weir --look PID, the flow runs first";
const TRUE: &str = "true";
/// Starts the same program, which takes more than to start `true`, and looks at nothing.
const VERSION: &str = "weir --version";
/// Bytes of a line.
const LEN: usize = 100;
/// How many are there at a time.
const TOGETHER: usize = 20;
/// How long one stays that has been shown something.
const STAY: Duration = Duration::from_millis(20);
/// Until a weir can be looked into.
const STARTED: Duration = Duration::from_millis(150);
/// Longer does nobody wait for the first line.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A thousand lookers beside as many programs that end at once.
pub(super) fn table(lab: &Lab) -> Table {
    let count = lab.either(1000, 40);
    let mut contenders = [(); 4].map(|()| lab.weir(""));
    for (contender, label) in contenders.iter_mut().zip([FIRST, LOOKED, VERSION, TRUE]) {
        contender.label = label.to_owned();
    }
    let columns = [
        "lines judged",
        "torn or out of order",
        "longest wait, ms",
        "99.9 % at most, ms",
    ];
    let title = "Looking: they come and go";
    let runs = lab.options.runs().min(3);
    let mut table = Table::measure(title, &columns, &contenders, runs, |c| observe(lab, c, count))
        .how(format!(
            "A producer of numbered lines, 4 MiB/s, through `weir -l --pipe-size 4KiB`, so that a millisecond shows; \
             {TOGETHER} at a time, {count} in all: each is killed {} ms after it has been shown something. Beside \
             them, as often, that program as it ends at once, and `true`. On few processors a wait is mostly one for \
             the processor; so once producer, weir and consumer run before all others (`chrt --fifo`), and what is \
             left is weir's own.",
            STAY.as_millis()
        ));
    let torn = table.median(LOOKED, 1).max(table.median(FIRST, 1));
    table.at_most("torn lines", torn, 0.0);
    table.at_most(
        "the flow runs first: longest wait, ms",
        table.median(FIRST, 2),
        1.0,
    );
    table
}

fn observe(lab: &Lab, c: &Contender, count: usize) -> Result<Figures, Skip> {
    let rate = 4 * MIB;
    let specs = [
        // The size of a pipe cannot be changed that holds more.
        lab.helper(&format!(
            "__lines len={LEN} block=4000 rate={rate} wait_ms={} waits=1",
            STARTED.as_millis()
        )),
        lab.weir("-q -l --pipe-size 4KiB").spec()?.clone(),
        lab.helper("__sink"),
    ];
    let mut pipeline = Pipeline::start(&specs, Duration::from_secs(300))?;
    sleep(STARTED);
    if c.label == FIRST {
        (0..specs.len()).try_for_each(|place| run_first(pipeline.pid(place)))?;
    }
    let pid = pipeline.pid(1).to_string();
    let (mut lines, mut torn) = (0, 0);
    for _ in 0..count / TOGETHER {
        let (now_lines, now_torn) = match c.label.as_str() {
            LOOKED | FIRST => look(lab, &pid)?,
            VERSION => do_nothing(Command::new(&lab.options.weir).arg("--version"))?,
            _ => do_nothing(&mut Command::new(TRUE))?,
        };
        (lines, torn) = (lines + now_lines, torn + now_torn);
    }
    // The consumer leaves, so weir does, and so the producer, which tells of its waits.
    pipeline.signal(2, Signal::KILL)?;
    for place in [2, 1, 0] {
        pipeline.wait(place)?;
    }
    let outcome = pipeline.cut()?;
    outcome.check(1, true, true)?;
    let waited = |key| outcome.reported(0, key).unwrap_or(f64::NAN) / 1000.0;
    let (longest, most) = (waited("longest_us"), waited("most_us"));
    Ok(vec![lines as f64, torn as f64, longest, most])
}

/// Some at a time: how many lines they were shown, and how many of these were not as they should be.
fn look(lab: &Lab, pid: &str) -> Result<(u64, u64), Skip> {
    let (sender, receiver) = mpsc::channel();
    let mut lookers: Vec<Looker> = Vec::new();
    for _ in 0..TOGETHER {
        let mut command = Command::new(&lab.options.weir);
        lookers.push(Looker::start(command.args(["--look", pid]), &sender)?);
    }
    drop(sender);
    let seen = (0..TOGETHER).try_for_each(|_| heard(&receiver));
    sleep(STAY);
    let mut sum = (0, 0);
    for looker in lookers {
        let read = looker.end()?;
        let (lines, torn) = torn_lines(&read, LEN);
        sum = (sum.0 + lines, sum.1 + torn);
    }
    seen.map(|()| sum)
}

fn heard(receiver: &Receiver<()>) -> Result<(), Skip> {
    let heard = receiver.recv_timeout(TIMEOUT);
    heard.map_err(|_| Skip::Failed("somebody was shown nothing".to_owned()))
}

/// That process and all its threads have the processor before whatever is scheduled fairly.
fn run_first(pid: impl ToString) -> Result<(), Skip> {
    let mut chrt = Command::new("chrt");
    chrt.args(["--all-tasks", "--fifo", "--pid", "1", &pid.to_string()]);
    match chrt.stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Skip::Failed(
            "chrt --fifo: not here, or not allowed".to_owned(),
        )),
    }
}

fn do_nothing(command: &mut Command) -> Result<(u64, u64), Skip> {
    command.stdout(Stdio::null());
    let start = |_| command.spawn();
    let all: Vec<Child> = (0..TOGETHER).map(start).collect::<io::Result<_>>()?;
    sleep(STAY);
    for mut child in all {
        child.wait()?;
    }
    Ok((0, 0))
}

struct Looker {
    child: Child,
    reader: JoinHandle<Vec<u8>>,
}

impl Looker {
    fn start(command: &mut Command, first: &Sender<()>) -> Result<Self, Skip> {
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or(Skip::NotBuilt)?;
        let first = first.clone();
        let reader = thread::spawn(move || read_all(stdout, &first));
        Ok(Self { child, reader })
    }

    /// Kills it; what it has read.
    fn end(mut self) -> Result<Vec<u8>, Skip> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(self.reader.join().unwrap_or_default())
    }
}

/// Reads to the end, and says so when the first of it has come.
fn read_all(mut from: impl Read, first: &Sender<()>) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 65536]);
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if all.is_empty() {
            let _ = first.send(());
        }
        all.extend_from_slice(&buffer[..n]);
    }
    all
}
