//! A spool outlives `kill -9` at every call of the kinds in `CALLS`, which are those that touch it, and those by which
//! bytes come in and go out: nothing is missing then, and no more is repeated than one write, or than one batch.
//!
//! strace(1) kills weir just before its kth call of one kind, for k = 1, 2, ... until a run ends by itself, each time with
//! the spool and the input as the one before has left them. Each test says how far k came for each kind, and fails where
//! no byte's coming in, or going out, was hit. `WEIR=target/release/weir` in the environment has another
//! binary killed.

mod failing;

use crate::harness;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::harness::spool::{go_on, go_on_in_file, lines};
use crate::harness::{WEIR, collect, feed, program};

/// Those that change what lies in a spool, those by which its files come and go, and those by which bytes come in and go
/// out.
const CALLS: [&str; 14] = [
    "splice",
    "pwrite64",
    "write",
    "writev",
    "pwritev2",
    "pread64",
    "fallocate",
    "ftruncate",
    "fdatasync",
    "fsync",
    "openat",
    "unlinkat",
    "renameat",
    "flock",
];

/// What goes out goes out by these; the first is without waiting, as to a pipe.
const OUT: [&str; 3] = ["pwritev2", "write", "writev"];
/// What comes in from a pipe comes in by this.
const IN: &str = "splice";

/// weir, killed before its kth call of that kind; `None` where there is no strace.
fn under_strace(call: &str, k: usize, args: &[&str]) -> Option<Command> {
    if !harness::has("strace") {
        return None;
    }
    let weir = std::env::var("WEIR").unwrap_or_else(|_| WEIR.to_owned());
    let mut strace = program("strace");
    // Programs that weir runs are left alone.
    strace.args(["-f", "-b", "execve", "-qq", "-o", "/dev/null", "-e"]);
    strace.arg(format!("trace={call}")).arg("-e");
    strace.arg(format!("inject={call}:signal=KILL:when={k}"));
    strace.arg(weir).args(args);
    strace.env("XDG_RUNTIME_DIR", "/nowhere");
    Some(strace)
}

/// How often a weir was killed before a call of each kind.
#[derive(Default)]
struct Kills(Vec<(&'static str, usize)>);

impl Kills {
    fn add(&mut self, call: &'static str, times: usize) {
        self.0.push((call, times));
    }

    /// That was at calls of all sorts, those by which bytes come in and go out among them. Says how often it was.
    #[track_caller]
    fn check(&self) {
        let told = self.0.iter().map(|(call, times)| match times {
            0 => format!("{call}: never\n"),
            times => format!("{call}: killed before each of 1..={times}\n"),
        });
        let told: String = told.collect();
        eprint!("{told}");
        let at = |calls: &[&str]| -> usize {
            let of = self.0.iter().filter(|(call, _)| calls.contains(call));
            of.map(|(_, times)| times).sum()
        };
        assert!(at(&CALLS) > CALLS.len(), "{told}");
        assert!(at(&[IN]) > 0, "none where bytes come in: {told}");
        assert!(at(&OUT) > 0, "none where bytes go out: {told}");
    }
}

/// Runs it on this input; what it has written, and whether it was killed.
fn run(mut command: Command, input: &OwnedFd) -> (String, bool) {
    let (output, stdout) = std::io::pipe().expect("a pipe");
    command
        .stdin(input.try_clone().expect("a duplicate"))
        .stdout(stdout);
    let mut child = command.spawn().expect("it runs");
    drop(command);
    let _leash = harness::Leash::on(&child);
    let got = collect(output).done();
    let status = child.wait().expect("its end");
    let is_killed = status.signal() == Some(9) || status.code() == Some(137);
    assert!(is_killed || status.success(), "{status:?}");
    (String::from_utf8(got).expect("digits"), is_killed)
}

#[test]
fn a_kill_at_any_call_loses_nothing_and_repeats_a_write_at_most() {
    const COUNT: usize = 150_000;
    let mut kills = Kills::default();
    for call in CALLS {
        let dir = tempfile::tempdir().expect("a directory");
        let spool = dir.path().join("q").display().to_string();
        let (input, into) = std::io::pipe().expect("a pipe");
        let input = OwnedFd::from(input);
        let feeding = feed(into, lines(0, COUNT));
        let args = [
            "-q",
            "-l",
            "--spool",
            &spool,
            "--spill",
            "2MiB",
            "--sync",
            "1ms",
            // More writes than a pipe of the usual size takes.
            "--pipe-size",
            "32KiB",
        ];
        let Some(times) = killed_at_each(call, &args, &input, COUNT) else {
            return;
        };
        kills.add(call, times);
        feeding.done().expect("all was taken");
    }
    kills.check();
}

/// Kills a weir before its first such call, the next one before its second, and so on, until one is not killed: together
/// they have delivered so many lines. How many were; none where nobody can be killed in this way.
fn killed_at_each(call: &str, args: &[&str], input: &OwnedFd, count: usize) -> Option<usize> {
    let (mut next, mut kills) = (0, 0);
    loop {
        let weir = under_strace(call, kills + 1, args)?;
        let (got, is_killed) = run(weir, input);
        go_on(&mut next, &got, &format!("{call} {}", kills + 1));
        if !is_killed {
            break;
        }
        kills += 1;
    }
    assert_eq!(next, count, "{call}: all of it");
    Some(kills)
}

#[test]
fn a_kill_before_a_read_from_a_socket_loses_nothing_either() {
    const COUNT: usize = 150_000;
    let dir = tempfile::tempdir().expect("a directory");
    let spool = dir.path().join("q").display().to_string();
    let (input, mut into) = UnixStream::pair().expect("a pair of sockets");
    let feeding = harness::beside(move || into.write_all(&lines(0, COUNT)));
    let args = ["-q", "-l", "--spool", &spool, "--sync", "1ms"];
    // What it has in hand between its read and its write may be lost: it has nothing in hand when it reads.
    let Some(times) = killed_at_each("preadv2", &args, &input.into(), COUNT) else {
        return;
    };
    eprintln!("preadv2: killed before each of 1..={times}");
    assert!(times > 0, "it reads in another way");
    feeding.done().expect("all was taken");
}

#[test]
fn a_kill_at_any_call_loses_nothing_for_a_tee() {
    const COUNT: usize = 60_000;
    let mut kills = Kills::default();
    for call in CALLS {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        let (spool, copy) = (at("q"), at("copy"));
        let (input, into) = std::io::pipe().expect("a pipe");
        let input = OwnedFd::from(input);
        let feeding = feed(into, lines(0, COUNT));
        let args = [
            "-q", "-l", "--spool", &spool, "--spill", "1MiB", "--sync", "1ms", "--tee", &copy,
        ];
        let Some(times) = killed_at_each(call, &args, &input, COUNT) else {
            return;
        };
        kills.add(call, times);
        let copied = fs::read_to_string(&copy).expect("a copy");
        assert_eq!(go_on_in_file(&copied), COUNT, "{call}: the copy");
        feeding.done().expect("all was taken");
    }
    kills.check();
}

/// The rows that are there, and in which batch: none is in two.
fn rows(directory: &Path) -> BTreeMap<usize, String> {
    let mut rows = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        for row in fs::read_to_string(entry.path()).expect("rows").lines() {
            let before = rows.insert(row.parse().expect("a whole line"), name.clone());
            assert_eq!(before, None, "{row} is in two batches");
        }
    }
    rows
}

#[test]
fn a_kill_at_any_call_leaves_each_line_in_one_batch() {
    const COUNT: usize = 3000;
    let mut kills = Kills::default();
    for call in CALLS {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        fs::create_dir(dir.path().join("rows")).expect("a directory");
        // The file has its name when it is complete.
        let script = "t=$0.$$; cat > $t && mv $t $0/$WEIR_BATCH";
        let (spool, out) = (at("q"), at("rows"));
        let (input, into) = std::io::pipe().expect("a pipe");
        let input = OwnedFd::from(input);
        let feeding = feed(into, lines(0, COUNT));
        let fixed = [
            "-q",
            "-l",
            "--spool",
            &spool,
            "--batch",
            "250",
            "-j",
            "2",
            "--backoff",
            "1ms..2ms",
        ];
        let args = [&fixed[..], &["--", "sh", "-c", script, &out]].concat();
        for k in 1.. {
            let Some(weir) = under_strace(call, k, &args) else {
                return;
            };
            let (_, is_killed) = run(weir, &input);
            if !is_killed {
                kills.add(call, k - 1);
                break;
            }
        }
        feeding.done().expect("all was taken");
        assert_eq!(
            rows(&dir.path().join("rows")).len(),
            COUNT,
            "{call}: all of it"
        );
    }
    kills.check();
}

#[test]
fn a_kill_at_any_call_loses_nothing_for_programs_side_by_side() {
    const COUNT: usize = 20_000;
    let mut all = Kills::default();
    for call in CALLS {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        let out = dir.path().join("out");
        fs::create_dir(&out).expect("a directory");
        let (spool, home) = (at("q"), at("out"));
        let (input, into) = std::io::pipe().expect("a pipe");
        let input = OwnedFd::from(input);
        let feeding = feed(into, lines(10_000_000, 10_000_000 + COUNT));
        let fixed = [
            "-q", "-l", "--spool", &spool, "--spill", "2MiB", "--sync", "1ms", "-j", "2", "--",
        ];
        // One whose weir is killed reads to the end what it has been given.
        let args = [&fixed[..], &["sh", "-c", "exec cat >>$0/$$", &home]].concat();
        let mut kills = 0;
        loop {
            let Some(weir) = under_strace(call, kills + 1, &args) else {
                return;
            };
            if !run(weir, &input).1 {
                break;
            }
            kills += 1;
        }
        all.add(call, kills);
        feeding.done().expect("all was taken");
        let numbers = || {
            let mut numbers = BTreeMap::new();
            for entry in fs::read_dir(&out).expect("a directory").flatten() {
                let text = fs::read_to_string(entry.path()).expect("lines");
                // What one has of its last line does not count: it comes again.
                for line in text.lines().filter(|line| line.len() == 8) {
                    let number: usize = line.parse().expect("a number");
                    *numbers.entry(number - 10_000_000).or_insert(0) += 1;
                }
            }
            numbers
        };
        harness::eventually("all of it", || numbers().len() == COUNT);
        let again = numbers().into_iter().filter(|(_, times)| *times > 1);
        let (mut runs, mut next) = (0, COUNT);
        for (number, _) in again {
            runs += usize::from(number != next);
            next = number + 1;
        }
        assert!(
            runs <= 2 * kills,
            "{call}: {runs} writes came again, {kills} kills"
        );
    }
    all.check();
}
