//! While COMMAND is not there, or does not read: what is held, what somebody can tell weir, and how it ends then.

use std::fs;
use std::io::{Write, pipe};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::Signal;

use super::{GATE, numbers, run_behind, status_of};
use crate::harness::books::Books;
use crate::harness::dir::{Dir, lines};
use crate::harness::remote::Home;
use crate::harness::{eventually, start, weir};

#[test]
fn while_it_waits_the_buffer_fills_and_a_signal_ends_it() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (stdin, input) = pipe().expect("a pipe");
        let words = [
            "--restart",
            "on-failure",
            "--backoff",
            "1h",
            "--summary",
            "json",
            "--",
            "false",
        ];
        let weir = start(weir(&words), stdin, Stdio::null());
        let mut input = input;
        input.write_all(&lines(10_000)).expect("it is read");
        weir.settle();
        weir.signal(signal);
        let end = weir.end();
        assert_eq!(end.status.signal(), Some(signal.as_raw()), "{end:?}");
        Books::of(&end).assert_are("bytes", [90_000, 0, 0, 90_000], "held");
    }
}

#[test]
fn what_lay_unread_when_a_signal_ended_it_is_told_as_undelivered() {
    let dir = Dir::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    let script = "read -r line; echo $line >> $0; exec sleep 1000";
    let words = [
        "-l",
        "--restart",
        "on-failure",
        "--summary",
        "json",
        "--",
        "sh",
        "-c",
        script,
    ];
    let mut command = weir(&words);
    command.arg(dir.at("out"));
    let weir = start(command, stdin, Stdio::null());
    input.write_all(&lines(1000)).expect("written");
    eventually("the first line arrives", || dir.read("out") == "00000001\n");
    weir.settle();
    weir.signal(Signal::INT);
    let end = weir.end();
    assert_eq!(end.status.signal(), Some(Signal::INT.as_raw()), "{end:?}");
    Books::of(&end).assert_are("records", [1000, 1, 0, 999], "unread");
}

#[test]
fn nothing_is_run_again_after_an_interrupt() {
    // Where COMMAND says that all is well weir must not: its input is open.
    for (own, code, signal) in [(5, Some(5), None), (0, None, Some(Signal::INT.as_raw()))] {
        let status = interrupted_with(own);
        assert_eq!((status.code(), status.signal()), (code, signal));
    }
}

/// How weir ends where COMMAND makes this of an interrupt.
fn interrupted_with(own: i32) -> ExitStatus {
    let dir = Dir::new();
    let (stdin, _input) = pipe().expect("a pipe");
    let script = format!("trap 'exit {own}' INT; echo run >> $0; while :; do sleep 0.01; done");
    let words = [
        "--restart",
        "always",
        "--backoff",
        "1ms..2ms",
        "--",
        "sh",
        "-c",
        &script,
    ];
    let mut command = weir(&words);
    command.arg(dir.at("out"));
    let weir = start(command, stdin, Stdio::null());
    eventually("it runs", || dir.read("out") == "run\n");
    weir.signal(Signal::INT);
    let status = weir.end().status;
    assert_eq!(dir.read("out"), "run\n");
    status
}

#[test]
fn retry_ends_the_wait_and_pause_holds_it() {
    let home = Home::new();
    let dir = Dir::new();
    let script = "echo run >> $0.runs; test -e $0.well || exit 1; cat >> $0";
    let mut command = home.command(&[
        "-N",
        "it",
        "-l",
        "--restart",
        "on-failure",
        "--backoff",
        "1h",
        "--",
    ]);
    command.args(["sh", "-c", script]).arg(dir.at("out"));
    let (stdin, mut input) = pipe().expect("a pipe");
    let weir = start(command, stdin, Stdio::null());
    input.write_all(&lines(10)).expect("it is read");
    let status = || status_of(&home);
    eventually("it waits", || status()["command"]["circuit"] == "open");
    let it = status();
    assert_eq!(
        (&it["command"]["failures"], &it["command"]["name"]),
        (&1.into(), &"sh".into())
    );
    assert!(
        it["command"]["retry_in_s"]
            .as_f64()
            .is_some_and(|s| s > 2000.0),
        "{it}"
    );
    home.tell("it", &["--retry"]);
    eventually("it is tried", || dir.read("out.runs").lines().count() == 2);
    eventually("it waits again", || status()["command"]["failures"] == 2);
    home.tell("it", &["--pause"]);
    home.tell("it", &["--retry"]);
    fs::write(dir.at("out.well"), "").expect("a file");
    weir.settle();
    assert_eq!(dir.read("out.runs").lines().count(), 2, "it is paused");
    home.tell("it", &["--resume"]);
    eventually("it is delivered", || numbers_of(&dir).len() == 10);
    drop(input);
    assert!(weir.end().status.success());
}

fn numbers_of(dir: &Dir) -> Vec<usize> {
    if Path::new(&dir.at("out")).exists() {
        numbers(Path::new(&dir.at("out")))
    } else {
        Vec::new()
    }
}

#[test]
fn retry_without_a_command_is_refused() {
    let home = Home::new();
    let weir = home.start(&[]);
    let output = home.run(&["--remote", &weir.pid(), "--retry"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("--retry: it runs no COMMAND"), "{said}");
}

#[test]
fn shedding_rules_as_ever_while_nobody_is_there() {
    let dir = Dir::new();
    let script = format!("test -e $0.again && exec cat >> $0; : > $0.again; {GATE}; exit 1");
    let options = [
        "-l",
        "-b",
        "64KiB",
        "--shed",
        "oldest",
        "--restart",
        "on-failure",
        "--summary",
        "json",
    ];
    let end = run_behind(&dir, &options, &script, &lines(100_000));
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    let got = numbers(Path::new(&dir.at("out")));
    assert!(
        got.windows(2).all(|pair| pair[0] < pair[1]),
        "in order, none twice"
    );
    assert_eq!(got.last(), Some(&100_000));
    let books = Books::of(&end);
    books.assert_balance("shed");
    assert_eq!(books.n("out/records"), got.len());
    assert!(books.n("shed/records") > 0);
}

#[test]
fn what_lay_unread_when_time_ran_out_is_told_as_undelivered() {
    for jobs in ["1", "2"] {
        let (stdin, mut input) = pipe().expect("a pipe");
        input.write_all(&lines(5)).expect("written");
        let restart = ["-l", "-j", jobs, "--restart", "always", "--summary", "json"];
        let words = [&restart[..], &["--source-timeout", "300ms"]].concat();
        let words = [&words[..], &["--", "sleep", "1000"]].concat();
        let end = start(weir(&words), stdin, Stdio::null()).end();
        assert_eq!(end.status.code(), Some(124), "{end:?}");
        assert!(end.stderr.contains("; 45B undelivered"), "{end:?}");
        Books::of(&end).assert_are("records", [5, 0, 0, 5], jobs);
    }
}

#[test]
fn what_lay_unread_when_the_grace_is_over_is_told_as_undelivered() {
    for jobs in ["1", "3"] {
        let (stdin, mut input) = pipe().expect("a pipe");
        input.write_all(&lines(5)).expect("written");
        let restart = ["-l", "-j", jobs, "--restart", "always", "--summary", "json"];
        let words = [&restart[..], &["--grace", "100ms", "--", "sleep", "1000"]].concat();
        let weir = start(weir(&words), stdin, Stdio::null());
        weir.settle();
        weir.signal(Signal::TERM);
        let end = weir.end();
        assert_eq!(end.status.signal(), Some(Signal::TERM.as_raw()), "{end:?}");
        Books::of(&end).assert_are("records", [5, 0, 0, 5], jobs);
    }
}

#[test]
fn a_try_that_was_asked_for_is_due_at_once_even_while_it_is_paused() {
    let home = Home::new();
    let options = ["-N", "it", "--restart", "on-failure", "--backoff", "1h..1h"];
    let weir = home.start(&[&options[..], &["--", "false"]].concat());
    let retry_in = || {
        let told = home.run(&["--query", "it"]);
        let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("a status");
        told["command"]["retry_in_s"].as_f64()
    };
    eventually("it waits", || retry_in().is_some_and(|wait| wait > 1000.0));
    home.tell("it", &["--pause"]);
    let mut line = home.connect(&weir);
    let mut retry = || {
        line.say(r#"{"v":1,"ask":{"change":{"flow":"retry"}}}"#);
        line.hear().expect("an answer")["changed"][0].clone()
    };
    // Which is not before it may be.
    assert_eq!(retry(), "run again at --resume: it is paused");
    assert_eq!(retry_in(), Some(0.0));
    home.tell("it", &["--resume"]);
    eventually("it waits again", || {
        retry_in().is_some_and(|wait| wait > 1000.0)
    });
    assert_eq!(retry(), "run again at once");
}

#[test]
fn one_that_wants_nothing_is_a_consumer_that_has_gone() {
    let dir = Dir::new();
    let options = ["-l", "--restart", "on-failure", "--summary", "json"];
    // It stays until the end of the input has come.
    let end = run_behind(&dir, &options, GATE, &lines(300));
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    let books = Books::of(&end);
    assert_eq!(books.value("end"), "consumer-gone");
    books.assert_are("records", [300, 0, 0, 300], "all of them");
}
