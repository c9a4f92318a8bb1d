//! COMMAND stands still with something to read: it is ended, and run again.

use std::fs;
use std::path::Path;

use super::{numbers, run};
use crate::harness::books::Books;
use crate::harness::dir::{Dir, lines};
use crate::harness::eventually;
use crate::harness::remote::Home;

#[test]
fn a_command_that_stalls_is_ended_and_run_again() {
    let dir = Dir::new();
    let script = "if test -e $0.again; then cat >> $0; else : > $0.again; exec sleep 1000; fi";
    let options = [
        "-l",
        "--restart",
        "on-failure",
        "--sink-timeout",
        "3s",
        "--summary",
        "json",
    ];
    let end = run(&dir, &options, script, &lines(100_000));
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    assert_eq!(numbers(Path::new(&dir.at("out"))).len(), 100_000);
    assert_eq!(Books::of(&end).n("command/restarts"), 1);
}

/// COMMAND does this the first time, and would go on with it for long: it is ended, and run again.
fn assert_ended_and_run_again(first: &str, count: usize) {
    let dir = Dir::new();
    let script = format!(
        "if test -e $0.again; then cat >> $0; else : > $0.again; {first}exec sleep 1000; fi"
    );
    let options = ["-l", "--restart", "on-failure", "--summary", "json"];
    let options = [&options[..], &["--sink-timeout", "3s"]].concat();
    let end = run(&dir, &options, &script, &lines(count));
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    assert_eq!(numbers(Path::new(&dir.at("out"))).len(), count);
    assert_eq!(Books::of(&end).n("command/restarts"), 1);
}

#[test]
fn a_command_that_leaves_a_little_unread_is_ended_and_run_again() {
    assert_ended_and_run_again("", 300);
}

#[test]
fn a_command_that_closes_its_input_and_lives_on_is_ended_and_run_again() {
    assert_ended_and_run_again("exec <&-; ", 100_000);
}

#[test]
fn one_that_is_given_up_because_it_stalls_is_told_with_what_is_undelivered() {
    for jobs in [&[][..], &["-j", "2"]] {
        let dir = Dir::new();
        let options = ["-l", "--restart", "on-failure", "--give-up", "2"];
        let times = ["--sink-timeout", "300ms"];
        let options = [&options[..], &times, jobs].concat();
        let end = run(&dir, &options, "exec sleep 1000", &lines(10_000));
        assert_eq!(end.status.code(), Some(143), "{end:?}");
        let said =
            "weir: timeout: COMMAND was given up after 2 failures, the last by taking nothing for ";
        assert!(end.stderr.starts_with(said), "{jobs:?}: {end:?}");
        assert!(
            end.stderr.ends_with("; 87.9KiB undelivered\n"),
            "{jobs:?}: {end:?}"
        );
        assert_eq!(end.stderr.lines().count(), 1, "{jobs:?}: {end:?}");
    }
}

/// What it was given it has read, and nothing waits for it: that it closes its input and takes its time is its own affair.
#[test]
fn a_command_that_closes_its_input_and_is_owed_nothing_is_left_alone() {
    let (dir, home) = (Dir::new(), Home::new());
    let script = "read -r line; exec <&-; echo $line >> $0; while ! test -e $0.go; do sleep 0.01; done; exit 3";
    let out = dir.at("out");
    let options = [
        "-l",
        "-N",
        "it",
        "--restart",
        "on-failure",
        "--sink-timeout",
        "3s",
    ];
    let mut weir = home.start(&[&options[..], &["--", "sh", "-c", script, &out]].concat());
    weir.give(b"one\n");
    eventually("it has read all", || {
        fs::read(&out).is_ok_and(|it| it == b"one\n")
    });
    let elapsed = |weir: &_| home.status(weir)["elapsed_s"].as_f64().expect("a time");
    let since = elapsed(&weir);
    eventually("the timeout would have run out", || {
        elapsed(&weir) > since + 3.5
    });
    let told = home.status(&weir);
    assert_eq!(
        (&told["command"]["restarts"], &told["command"]["running"]),
        (&0.into(), &1.into())
    );
    drop(weir.stdin.take());
    fs::write(format!("{out}.go"), "").expect("it is let go");
    assert_eq!(
        weir.end().code(),
        Some(3),
        "it had all, and so the last word"
    );
}
