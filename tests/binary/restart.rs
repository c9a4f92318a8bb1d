//! `weir --restart WHEN -- COMMAND`: a consumer that falls is run again, and gets what it had not read.

mod interrupted;
mod refused;
mod stalls;
mod waiting;

use crate::harness;
use std::fs;
use std::io::{Write, pipe};
use std::path::Path;
use std::process::Stdio;

use crate::harness::books::Books;
use crate::harness::dir::{Dir, lines};
use crate::harness::process::child_of;
use crate::harness::remote::Home;
use crate::harness::sides::Before;
use crate::harness::{Ended, eventually, feed, start, weir};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// The numbers of the lines in a file, each of which is whole, but for the last of each run, which may have been
/// cut off where it was killed: runs are told apart by a line `run`.
fn numbers(path: &Path) -> Vec<usize> {
    let text = fs::read_to_string(path).expect("what arrived");
    let whole = |line: &&str| line.len() == 8 && line.bytes().all(|b| b.is_ascii_digit());
    text.lines()
        .filter(whole)
        .map(|l| l.parse().expect("a number"))
        .collect()
}

/// Runs `weir OPTIONS -- sh -c SCRIPT DIR/out` on these bytes to its end.
fn run(dir: &Dir, options: &[&str], script: &str, input: &[u8]) -> Ended {
    let words = [
        options,
        &["--backoff", "1ms..5ms", "--", "sh", "-c", script],
    ]
    .concat();
    let mut command = weir(&words);
    command.arg(dir.at("out"));
    start(command, Before::Pipe.open(input), Stdio::null()).end()
}

/// What a program does that is to outlive the feeding: see [`run_behind`].
const GATE: &str = "until test -e $0.go; do sleep 0.05; done";

/// The same, where programs wait behind [`GATE`] until all has been read that can be, and weir waits for them.
fn run_behind(dir: &Dir, options: &[&str], script: &str, input: &[u8]) -> Ended {
    let end = ["--backoff", "1ms..5ms", "--", "sh", "-c", script];
    let mut command = weir(&[options, &end].concat());
    command.arg(dir.at("out"));
    let (stdin, feeder) = pipe().expect("a pipe");
    let weir = start(command, stdin, Stdio::null());
    let fed = feed(feeder, input.to_vec()).done();
    fed.expect("all is taken");
    weir.settle();
    fs::write(dir.at("out.go"), "").expect("a file");
    weir.end()
}

#[test]
fn a_command_that_fails_after_each_line_gets_every_line_once() {
    let dir = Dir::new();
    // `read` of a shell takes a pipe byte by byte, so that nothing is read that is not dealt with.
    let script = "read -r line || exit 0; echo $line >> $0; exit 1";
    let options = ["-l", "--restart", "on-failure", "--summary", "json"];
    let end = run(&dir, &options, script, &lines(200));
    // The last one has had everything, and so the last word.
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    let wanted: Vec<usize> = (1..=200).collect();
    assert_eq!(numbers(Path::new(&dir.at("out"))), wanted);
    let books = Books::of(&end);
    books.assert_are("records", [200, 200, 0, 0], "all of them");
    assert_eq!(books.n("command/restarts"), 199);
    assert_eq!(books.n("command/repeated/bytes"), 0);
}

#[test]
fn the_line_that_was_begun_is_repeated_whole_and_nothing_else_is() {
    let dir = Dir::new();
    // Three bytes more than a line are read each time, and lost with the one who read them.
    let script = "head -c 12 > $0.part; cut -c 1-8 < $0.part | head -n 1 >> $0; \
                  test $(wc -c < $0.part) = 12 && exit 1; exit 0";
    let end = run(
        &dir,
        &["-l", "--restart", "on-failure", "--summary", "json"],
        script,
        &lines(50),
    );
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    let wanted: Vec<usize> = (1..=50).collect();
    assert_eq!(numbers(Path::new(&dir.at("out"))), wanted);
    let books = Books::of(&end);
    assert_eq!(books.n("command/repeated/bytes"), 49 * 3);
    assert_eq!(books.n("command/repeated/records"), 49);
}

#[test]
fn without_records_delivery_goes_on_with_the_next_byte() {
    let dir = Dir::new();
    let input: Vec<u8> = (0..100_000u32).flat_map(u32::to_be_bytes).collect();
    let script = "head -c 7001 > $0.part; cat $0.part >> $0; \
                  test $(wc -c < $0.part) = 7001 && exit 1; exit 0";
    let end = run(
        &dir,
        &["--restart", "on-failure", "-b", "64KiB"],
        script,
        &input,
    );
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    harness::assert_same(&fs::read(dir.at("out")).expect("a file"), &input, "bytes");
}

#[test]
fn always_runs_it_again_after_success_too_and_ends_with_the_input() {
    let dir = Dir::new();
    let script =
        "echo run >> $0.runs; for i in 1 2 3; do read -r line || exit 0; echo $line >> $0; done";
    let end = run(&dir, &["-l", "--restart", "always"], script, &lines(30));
    end.assert_success("always");
    assert_eq!(
        numbers(Path::new(&dir.at("out"))),
        (1..=30).collect::<Vec<_>>()
    );
    assert!(dir.read("out.runs").lines().count() >= 10);
    // On failure only, success is the end.
    let dir = Dir::new();
    let end = run(&dir, &["-l", "--restart", "on-failure"], script, &lines(30));
    end.assert_success("on failure");
    assert_eq!(numbers(Path::new(&dir.at("out"))), [1, 2, 3]);
}

#[test]
fn a_command_that_fails_at_the_end_of_everything_has_the_last_word() {
    let dir = Dir::new();
    let end = run(
        &dir,
        &["--restart", "on-failure"],
        "cat > $0; exit 3",
        &lines(1000),
    );
    assert_eq!(end.status.code(), Some(3), "{end:?}");
    assert_eq!(numbers(Path::new(&dir.at("out"))).len(), 1000);
}

#[test]
fn what_was_written_but_unread_at_the_end_of_input_is_delivered_too() {
    let dir = Dir::new();
    // All of it fits into the pipe, whose end has come when the first one fails.
    let script = format!(
        "if test -e $0.again; then cat >> $0; else : > $0.again; read -r x; echo $x >> $0; {GATE}; exit 1; fi"
    );
    let end = run_behind(
        &dir,
        &["-l", "--restart", "on-failure", "--summary", "json"],
        &script,
        &lines(100),
    );
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    assert_eq!(
        numbers(Path::new(&dir.at("out"))),
        (1..=100).collect::<Vec<_>>()
    );
    Books::of(&end).assert_are("records", [100, 100, 0, 0], "the end");
}

#[test]
fn a_last_line_without_an_end_is_counted_once() {
    let dir = Dir::new();
    let script =
        format!("if test -e $0.again; then cat >> $0; else : > $0.again; {GATE}; exit 1; fi");
    let mut input = lines(10);
    input.extend_from_slice(b"no end");
    let end = run_behind(
        &dir,
        &["-l", "--restart", "on-failure", "--summary", "json"],
        &script,
        &input,
    );
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    assert_eq!(fs::read(dir.at("out")).expect("a file"), input);
    Books::of(&end).assert_are("records", [11, 11, 0, 0], "no end");
}

#[test]
fn after_so_many_failures_in_a_row_weir_ends_with_the_status() {
    let dir = Dir::new();
    let script = "echo $WEIR_TRY $WEIR_FIRST >> $0.tries; exit 9";
    let options = [
        "-l",
        "--restart",
        "on-failure",
        "--give-up",
        "4",
        "--summary",
        "json",
    ];
    let end = run(&dir, &options, script, &lines(10));
    assert_eq!(end.status.code(), Some(9), "{end:?}");
    assert_eq!(dir.read("out.tries"), "1 1\n2 1\n3 1\n4 1\n");
    let books = Books::of(&end);
    assert_eq!(
        (books.n("command/failures"), books.n("command/restarts")),
        (4, 3)
    );
    assert_eq!(books.value("end"), "command-failed");
    // It may end before all has been read; nothing that was has been delivered.
    books.assert_balance("given up");
    assert_eq!(books.n("out/records"), 0);
}

#[test]
fn one_that_ends_as_if_all_were_well_and_takes_nothing_is_no_success_when_it_is_given_up() {
    let dir = Dir::new();
    let spool = dir.at("q");
    for (jobs, spools) in [("1", false), ("2", false), ("1", true), ("2", true)] {
        let fixed = ["-l", "--restart", "always", "--give-up", "3", "-j", jobs];
        let kept = ["--spool", &spool];
        let options = [&fixed[..], if spools { &kept } else { &[] }].concat();
        let end = run(&dir, &options, "exit 0", &lines(10));
        assert_eq!(end.status.code(), Some(125), "{end:?}");
        let said = "COMMAND has ended 3 times with status 0 and taken nothing; ";
        assert!(end.stderr.contains(said), "{end:?}");
        let left = match spools {
            true => " undelivered, which stays in the spool\n",
            false => " undelivered\n",
        };
        assert!(end.stderr.ends_with(left), "{end:?}");
    }
}

#[test]
fn one_that_cannot_be_run_any_more_is_said_once_and_tried_on() {
    let dir = Dir::new();
    let program = dir.at("program");
    fs::copy("/bin/cat", &program).expect("a program");
    let (stdin, mut input) = pipe().expect("a pipe");
    let home = Home::new();
    let options = ["-N", "it", "--restart", "on-failure", "--backoff"];
    let words = [&options[..], &["1ms..5ms", "--", &program]].concat();
    let out = fs::File::create(dir.at("out")).expect("a file");
    let weir = start(home.command(&words), stdin, out);
    input.write_all(b"first\n").expect("written");
    eventually("it arrives", || dir.read("out") == "first\n");
    fs::rename(&program, dir.at("away")).expect("renamed");
    let cat = child(weir.pid());
    kill_process(cat, Signal::KILL).expect("killed");
    // Until then it may still read, and take with it what it has read.
    eventually("it is gone", || test_kill_process(cat).is_err());
    input.write_all(b"second\n").expect("written");
    eventually("it is tried several times", || {
        status_of(&home)["command"]["failures"].as_u64() > Some(5)
    });
    fs::rename(dir.at("away"), &program).expect("renamed");
    eventually("it arrives", || dir.read("out") == "first\nsecond\n");
    drop(input);
    let end = weir.end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.stderr.lines().count(), 1, "{end:?}");
    assert!(end.stderr.contains("No such file or directory"), "{end:?}");
}

/// The one child of weir.
fn child(of: Pid) -> Pid {
    let mut found = None;
    eventually("there is a child", || {
        found = child_of(of);
        found.is_some()
    });
    found.expect("a process")
}

/// What the weir that is called `it` says of itself.
fn status_of(home: &Home) -> serde_json::Value {
    let output = home.run(&["--query", "it"]);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// One that copies line by line what it gets to its argument, and may be killed at any time.
const LINEWISE: &str = "while read -r line; do echo $line >> $0; done; exit 0";

#[test]
fn a_command_that_is_killed_again_and_again_gets_every_line() {
    let dir = Dir::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    let words = [
        "-l",
        "--restart",
        "on-failure",
        "--backoff",
        "1ms..2ms",
        "--",
        "sh",
        "-c",
        LINEWISE,
    ];
    let mut command = weir(&words);
    command.arg(dir.at("out"));
    let mut weir = start(command, stdin, Stdio::null());
    let writing = harness::beside(move || input.write_all(&lines(20_000)));
    let mut kills = 0;
    while weir.is_alive() && kills < 100 {
        // It may end at any time.
        let child = child_of(weir.pid());
        let is_killed = child.is_some_and(|child| kill_process(child, Signal::KILL).is_ok());
        kills += usize::from(is_killed);
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
    writing.done().expect("all is read");
    assert!(weir.end().status.success());
    let got = numbers(Path::new(&dir.at("out")));
    let mut seen = got.clone();
    seen.dedup();
    // One that had been read but not written is lost with whoever read it; none comes twice but next to itself.
    assert!(
        seen.windows(2).all(|pair| pair[0] < pair[1]),
        "out of order"
    );
    assert!(kills > 0, "none was killed");
    let least = 20_000 - kills;
    assert!(seen.len() >= least, "{} of 20000", seen.len());
    assert!(got.len() <= seen.len() + kills);
}

#[test]
fn a_grandchild_that_reads_on_takes_nothing_twice() {
    let dir = Dir::new();
    // The one that is left behind reads while its parent is gone; what it gets nobody else gets.
    let script = "if test -e $0.again; then cat >> $0; else : > $0.again; \
                  exec 3<&0; (while read -r x; do echo $x >> $0.orphan; done) <&3 & \
                  until test -s $0.orphan; do sleep 0.01; done; exit 1; fi";
    let end = run(
        &dir,
        &["-l", "--restart", "on-failure"],
        script,
        &lines(30_000),
    );
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    let mut all = numbers(Path::new(&dir.at("out")));
    eventually("the orphan has ended", || {
        all = numbers(Path::new(&dir.at("out")));
        all.extend(numbers(Path::new(&dir.at("out.orphan"))));
        all.len() >= 29_999
    });
    all.sort_unstable();
    // The line that the orphan had begun may be in both.
    let twice = all.windows(2).filter(|pair| pair[0] == pair[1]).count();
    all.dedup();
    assert!(
        twice <= 1 && all.len() >= 29_999,
        "{twice} twice, {} of 30000",
        all.len()
    );
}

#[test]
fn somebody_is_told_of_restarts_and_of_giving_up() {
    let dir = Dir::new();
    let tell = |event: &str| format!("{event}=echo $WEIR_EVENT >> {}", dir.at("told"));
    let (restart, given_up) = (tell("restart"), tell("give-up"));
    let options = [
        "--restart",
        "on-failure",
        "--give-up",
        "3",
        "--on",
        &restart,
        "--on",
        &given_up,
    ];
    let end = run(&dir, &options, "exit 4", &lines(10));
    assert_eq!(end.status.code(), Some(4), "{end:?}");
    // Nobody waits for the last one, which comes beside the others.
    let told = |event: &str| {
        dir.read("told")
            .lines()
            .filter(|line| *line == event)
            .count()
    };
    eventually("both are told", || {
        told("restart") == 2 && told("give-up") == 1
    });
}
