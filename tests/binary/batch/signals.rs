//! What becomes of batches when weir is told to end.

use std::fs;
use std::io::{Write, pipe};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;

use rustix::process::Signal;

use super::words;
use crate::harness::books::Books;
use crate::harness::dir::{Dir, lines};
use crate::harness::{eventually, start, weir};

#[test]
fn a_signal_lets_the_batch_in_hand_finish_and_starts_no_other() {
    for signal in [Signal::TERM, Signal::HUP] {
        let dir = Dir::new();
        let (stdin, mut input) = pipe().expect("a pipe");
        let script = "echo run >> $0.runs; until test -e $0.go; do sleep 0.01; done; cat >> $0";
        let out = dir.at("out");
        let words = words(&["-l", "--batch", "10", "--summary", "json"], script, &out);
        let weir = start(weir(&words), stdin, Stdio::null());
        input.write_all(&lines(25)).expect("it is read");
        eventually("it runs", || dir.lines("out.runs").len() == 1);
        weir.settle();
        weir.signal(signal);
        // It knows before the program ends.
        weir.settle();
        fs::write(dir.at("out.go"), "").expect("a file");
        let end = weir.end();
        assert_eq!(end.status.signal(), Some(signal.as_raw()), "{end:?}");
        assert_eq!(dir.read("out").as_bytes(), lines(10));
        assert_eq!(dir.lines("out.runs").len(), 1);
        Books::of(&end).assert_are("records", [25, 10, 0, 15], "in hand");
    }
}

#[test]
fn an_interrupt_is_passed_on_and_nothing_is_tried_again() {
    let dir = Dir::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    let script =
        "trap 'echo told >> $0; exit 5' INT; echo run >> $0.runs; while :; do sleep 0.01; done";
    let out = dir.at("out");
    let words = words(&["-l", "--batch", "10"], script, &out);
    let weir = start(weir(&words), stdin, Stdio::null());
    input.write_all(&lines(25)).expect("it is read");
    eventually("it runs", || dir.lines("out.runs").len() == 1);
    weir.signal(Signal::INT);
    let end = weir.end();
    assert_eq!(end.status.signal(), Some(Signal::INT.as_raw()), "{end:?}");
    assert_eq!(dir.lines("out"), ["told"]);
    assert_eq!(dir.lines("out.runs").len(), 1);
}

#[test]
fn a_signal_while_it_waits_ends_it_at_once() {
    let dir = Dir::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    let out = dir.at("out");
    let words = [
        "-l",
        "--batch",
        "10",
        "--backoff",
        "1h",
        "--summary",
        "json",
        "--",
        "sh",
        "-c",
        "echo run >> $0; exit 1",
        &out,
    ];
    let weir = start(weir(&words), stdin, Stdio::null());
    input.write_all(&lines(10)).expect("it is read");
    eventually("it has failed", || dir.lines("out").len() == 1);
    weir.settle();
    weir.signal(Signal::TERM);
    let end = weir.end();
    assert_eq!(end.status.signal(), Some(Signal::TERM.as_raw()), "{end:?}");
    Books::of(&end).assert_are("records", [10, 0, 0, 10], "undelivered");
}

#[test]
fn what_a_signal_has_ended_is_undelivered_and_was_not_given_up() {
    let sleeps = "echo run >> $0.runs; exec sleep 1000";
    let traps = "trap 'exit 5' INT; echo run >> $0.runs; while :; do sleep 0.01; done";
    for script in [sleeps, traps] {
        for options in [["--give-up", "1"], ["--reject", "130"]] {
            for is_group in [true, false] {
                let dir = Dir::new();
                let (stdin, mut input) = pipe().expect("a pipe");
                let (out, shed) = (dir.at("out"), dir.at("shed"));
                let fixed = ["-l", "--batch", "10", "--summary", "json"];
                let fixed = [&fixed[..], &["--shed-to", &shed], &options].concat();
                let mut command = weir(&words(&fixed, script, &out));
                command.process_group(0);
                let weir = start(command, stdin, Stdio::null());
                input.write_all(&lines(25)).expect("it is read");
                eventually("it runs", || dir.lines("out.runs").len() == 1);
                weir.settle();
                match is_group {
                    true => weir.signal_group(Signal::INT),
                    false => weir.signal(Signal::INT),
                }
                let end = weir.end();
                let what = format!("{script}, {options:?}, {is_group}: {end:?}");
                assert_eq!(end.status.signal(), Some(Signal::INT.as_raw()), "{what}");
                assert_eq!(dir.lines("out.runs").len(), 1, "{what}");
                assert_eq!(dir.read("shed"), "", "{what}");
                Books::of(&end).assert_are("records", [25, 0, 0, 25], &what);
            }
        }
    }
}

#[test]
fn a_program_that_was_ended_when_the_time_was_over_does_not_run_in_the_summary() {
    let dir = Dir::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    let script = "echo run >> $0.runs; exec sleep 1000";
    let fixed = ["-l", "--batch", "10", "--grace", "100ms"];
    let fixed = [&fixed[..], &["--summary", "json"]].concat();
    let weir = weir(&words(&fixed, script, &dir.at("out")));
    let weir = start(weir, stdin, Stdio::null());
    input.write_all(&lines(25)).expect("it is read");
    eventually("it runs", || dir.lines("out.runs").len() == 1);
    weir.signal(Signal::TERM);
    let end = weir.end();
    assert_eq!(end.status.signal(), Some(Signal::TERM.as_raw()), "{end:?}");
    Books::of(&end).assert_are("records", [25, 0, 0, 25], "undelivered");
    let all = end.stderr.matches("\"running\":").count();
    let none = end.stderr.matches("\"running\":0,").count();
    assert!(none > 0 && none == all, "{end:?}");
}

#[test]
fn what_command_rejects_of_its_own_while_it_may_finish_is_shed() {
    let dir = Dir::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    let (out, shed) = (dir.at("out"), dir.at("shed"));
    let script = "echo run >> $0.runs; until test -e $0.go; do sleep 0.01; done; exit 65";
    let options = ["-l", "--batch", "10", "--summary", "json", "--reject", "65"];
    let options = [&options[..], &["--shed-to", &shed]].concat();
    let weir = start(weir(&words(&options, script, &out)), stdin, Stdio::null());
    input.write_all(&lines(25)).expect("it is read");
    eventually("it runs", || dir.lines("out.runs").len() == 1);
    weir.settle();
    weir.signal(Signal::TERM);
    weir.settle();
    fs::write(dir.at("out.go"), "").expect("a file");
    let end = weir.end();
    assert_eq!(end.status.signal(), Some(Signal::TERM.as_raw()), "{end:?}");
    assert_eq!(dir.read("shed").as_bytes(), lines(10));
    Books::of(&end).assert_are("records", [25, 0, 10, 15], "rejected");
}
