//! `-j N..M`: as many programs as there is need of.

use std::fs;
use std::io::{PipeWriter, Write, pipe};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use crate::harness::books::Books;
use crate::harness::dir::{Dir, lines};
use crate::harness::remote::Home;
use crate::harness::sides::Before;
use crate::harness::{Running, eventually, start, weir};
use rustix::process::Signal;

/// A weir whose programs wait until they are let go on, and say when they come and go.
struct Gated {
    dir: Dir,
    home: Home,
    weir: Running,
    input: PipeWriter,
}

const COMES: &str = "echo >> $0.comes.runs; until test -e $0.go; do sleep 0.01; done;";

impl Gated {
    fn new(options: &[&str], script: &str) -> Gated {
        let (dir, home) = (Dir::new(), Home::new());
        let first = ["-N", "it", "-l", "--summary", "json"];
        let mut command = home.command(&[&first, options, &["--", "sh", "-c"]].concat());
        command.args([&format!("{COMES} {script}"), &dir.at("out")]);
        let (stdin, input) = pipe().expect("a pipe");
        let weir = start(command, stdin, Stdio::null());
        Gated {
            dir,
            home,
            weir,
            input,
        }
    }

    /// How many have come so far, or gone.
    fn count(&self, what: &str) -> usize {
        self.dir.read(&format!("out.{what}.runs")).lines().count()
    }

    fn running(&self) -> u64 {
        let output = self.home.run(&["--query", "it"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        status["command"]["running"].as_u64().unwrap_or(99)
    }

    fn feed(&mut self, from: usize, to: usize) {
        let all = lines(to);
        let before = lines(from);
        self.input
            .write_all(&all[before.len()..])
            .expect("it is read");
    }

    /// Changes the running weir; what is said of that.
    fn tell(&self, change: &[&str]) -> String {
        let output = self.home.run(&[&["--remote", "it"], change].concat());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn let_go(&self) {
        fs::write(self.dir.at("out.go"), "").expect("a file");
    }

    /// Ends the input: all so many lines must be dealt with, and weir be content.
    fn end(self, lines: usize) -> Books {
        drop(self.input);
        let end = self.weir.end();
        assert!(end.status.success(), "{end:?}");
        self.dir.assert_all(lines);
        Books::of(&end)
    }
}

#[test]
fn workers_come_when_work_waits_and_go_when_there_is_little() {
    let script = "cat >> $0.$$; echo >> $0.goes.runs";
    let mut it = Gated::new(&["-j", "1..3"], script);
    eventually("one runs without need", || it.count("comes") == 1);
    it.feed(0, 5_000);
    eventually("all come", || it.count("comes") == 3);
    eventually("all are counted", || it.running() == 3);
    it.let_go();
    eventually("all is dealt with", || it.dir.all().len() == 9 * 5_000);
    eventually("one goes", || it.count("goes") > 0);
    eventually("it is not counted any more", || it.running() < 3);
    it.feed(5_000, 5_010);
    eventually("the others go on", || it.dir.all().len() == 9 * 5_010);
    let books = it.end(5_010);
    assert_eq!(books.n("command/restarts"), 0);
    assert_eq!(books.n("command/running"), 0);
}

/// As many as there are records come to wait before each is given one.
#[test]
fn the_number_of_workers_of_a_running_weir_can_be_changed() {
    let script = "while read one; do echo $one >> $0.$$; done; echo >> $0.goes.runs";
    let mut it = Gated::new(&["-j", "3"], script);
    eventually("all come", || it.count("comes") == 3);
    // They come before there is anybody to be asked.
    eventually("all are counted", || it.running() == 3);
    it.let_go();
    it.feed(0, 100);
    assert_eq!(it.tell(&["-j", "1"]), "");
    eventually("two go", || it.count("goes") == 2);
    eventually("one is left", || it.running() == 1);
    it.feed(100, 200);
    eventually("it has all", || it.dir.all().len() == 9 * 200);
    assert_eq!(it.tell(&["-j", "1..3"]), "");
    assert_eq!(it.tell(&["--jobs", "2"]), "");
    eventually("another one comes", || it.count("comes") == 4);
    eventually("two are counted", || it.running() == 2);
    let said = it.tell(&["--jobs", "4"]);
    assert!(said.contains("places for 3"), "{said}");
    it.feed(200, 300);
    let books = it.end(300);
    assert_eq!(books.n("command/restarts"), 0);
}

#[test]
fn the_number_of_batches_at_a_time_of_a_running_weir_can_be_changed() {
    let mut it = Gated::new(&["--batch", "1", "-j", "1..3"], "cat > $0.$WEIR_BATCH");
    eventually("it is there", || it.running() == 0);
    assert_eq!(it.tell(&["-j", "1"]), "");
    it.feed(0, 9);
    eventually("one runs", || it.running() == 1);
    assert_eq!(it.tell(&["-j", "3"]), "");
    eventually("as many as were asked for", || it.count("comes") == 3);
    it.let_go();
    it.end(9);
}

#[test]
fn one_that_was_sent_away_and_fails_gives_weir_its_status_at_the_end() {
    let script = "cat >> $0.$$; echo >> $0.goes.runs; exit 3";
    let mut it = Gated::new(&["-j", "1..2"], script);
    it.feed(0, 2_000);
    eventually("both come", || it.count("comes") == 2);
    it.let_go();
    eventually("one goes", || it.count("goes") == 1);
    it.feed(2_000, 2_010);
    eventually("the other one goes on", || it.dir.all().len() == 9 * 2_010);
    drop(it.input);
    let end = it.weir.end();
    assert_eq!(end.status.code(), Some(3), "{end:?}");
    it.dir.assert_all(2_010);
}

#[test]
fn more_batches_are_dealt_with_at_a_time_when_some_wait() {
    let script = "cat > $0.$WEIR_BATCH";
    let mut it = Gated::new(&["--batch", "1", "-j", "1..3"], script);
    it.feed(0, 1);
    eventually("one runs", || it.count("comes") == 1);
    eventually("it is counted", || it.running() == 1);
    it.feed(1, 20);
    eventually("as many as may be", || it.count("comes") == 3);
    eventually("all are counted", || it.running() == 3);
    it.let_go();
    drop(it.input);
    let end = it.weir.end();
    assert!(end.status.success(), "{end:?}");
    it.dir.assert_all(20);
    assert_eq!(Books::of(&end).n("command/batches/acknowledged"), 20);
}

#[test]
fn those_that_are_killed_lose_nothing_that_they_have_not_read() {
    let dir = Dir::new();
    let out = dir.at("out");
    // Not even a line of it is read ahead.
    let script = "read one || exit 0; echo $one >> $0.$$; kill -9 $$";
    let words = [
        "-l",
        "-j",
        "1..4",
        "--restart",
        "on-failure",
        "--backoff",
        "1ms..2ms",
    ];
    let words = [
        &words[..],
        &["--summary", "json", "--", "sh", "-c", script, &out],
    ]
    .concat();
    let end = start(weir(&words), Before::Pipe.open(&lines(150)), Stdio::null()).end();
    dir.assert_all(150);
    Books::of(&end).assert_are("records", [150, 150, 0, 0], "killed again and again");
}

#[test]
fn after_a_signal_none_comes_and_those_that_run_have_what_is_held() {
    let mut it = Gated::new(&["-j", "1..3"], "exec cat >> $0.$$");
    it.feed(0, 1_000);
    eventually("a second one comes", || it.count("comes") >= 2);
    it.weir.signal(Signal::TERM);
    it.let_go();
    let end = it.weir.end();
    assert_eq!(end.status.signal(), Some(Signal::TERM.as_raw()), "{end:?}");
    it.dir.assert_all(1_000);
}

#[test]
fn nothing_is_tried_at_once_where_nothing_is_tried_again() {
    for (options, says) in [
        (
            &["-j", "1..3"][..],
            Some("--retry: it runs no COMMAND with --restart or --batch"),
        ),
        (&["-j", "2", "--restart", "on-failure"], None),
    ] {
        let it = Gated::new(options, "cat >> $0.$$");
        eventually("it is there", || it.running() == it.count("comes") as u64);
        let output = it.home.run(&["--remote", "it", "--retry"]);
        let said = String::from_utf8_lossy(&output.stderr);
        match says {
            Some(says) => assert!(said.contains(says) && said.lines().count() == 1, "{said}"),
            None => assert!(output.status.success() && said.is_empty(), "{said}"),
        }
        it.let_go();
        drop(it.input);
        let end = it.weir.end();
        assert!(end.status.success(), "{end:?}");
    }
}

#[test]
fn when_those_that_run_want_no_more_weir_ends_as_they_do() {
    let mut it = Gated::new(&["-j", "1..3"], "read one");
    it.feed(0, 1_000);
    eventually("all come", || it.count("comes") == 3);
    it.let_go();
    let end = it.weir.end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(Books::of(&end).value("end"), "consumer-gone");
}

#[test]
fn a_batch_that_is_closed_by_its_age_is_work_that_waits() {
    let mut it = Gated::new(&["--batch", "100ms", "-j", "1..2"], "cat > $0.$WEIR_BATCH");
    it.feed(0, 1);
    eventually("one runs", || it.count("comes") == 1);
    it.feed(1, 2);
    eventually("so does a second one", || it.count("comes") == 2);
    it.let_go();
    drop(it.input);
    let end = it.weir.end();
    assert!(end.status.success(), "{end:?}");
    it.dir.assert_all(2);
}

#[test]
fn one_that_reads_no_more_and_lives_on_keeps_no_other_from_coming() {
    let deaf = "if mkdir $0.runs; then exec 0<&-; until test -e $0.end.runs; do sleep 0.01; done; exit; fi;";
    let mut it = Gated::new(&["-j", "1..2"], &format!("{deaf} cat >> $0.$$"));
    it.feed(0, 1);
    eventually("one comes", || it.count("comes") == 1);
    it.let_go();
    it.feed(1, 100);
    eventually("another one has all", || {
        it.dir.all().len() == lines(100).len()
    });
    fs::write(it.dir.at("out.end.runs"), "").expect("a file");
    drop(it.input);
    let end = it.weir.end();
    assert!(end.status.success(), "{end:?}");
    it.dir.assert_all(100);
}

#[test]
fn one_more_that_cannot_be_run_is_done_without() {
    let (dir, home) = (Dir::new(), Home::new());
    let program = dir.at("program");
    let script = format!("#!/bin/sh\n{COMES} exec cat >> $1.$$\n").replace("$0", "$1");
    fs::write(&program, script).expect("a file");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&program, executable).expect("its mode");
    let command = home.command(&["-l", "-j", "1..3", "--", &program, &dir.at("out")]);
    let (stdin, mut input) = pipe().expect("a pipe");
    let weir = start(command, stdin, Stdio::null());
    eventually("one comes", || {
        dir.read("out.comes.runs").lines().count() == 1
    });
    fs::remove_file(&program).expect("it is there");
    input.write_all(&lines(5_000)).expect("it is read");
    let pid = weir.pid().as_raw_nonzero().get();
    eventually("two were tried", || jobs_of(pid) == 1);
    fs::write(dir.at("out.go"), "").expect("a file");
    drop(input);
    let end = weir.end();
    assert!(end.status.success(), "{end:?}");
    dir.assert_all(5_000);
}

/// How many act for programs, or may yet.
fn jobs_of(pid: i32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let names = tasks.into_iter().flatten().filter_map(|task| {
        let path = task.ok()?.path().join("comm");
        fs::read_to_string(path).ok()
    });
    names.filter(|name| name.trim() == "job").count()
}
