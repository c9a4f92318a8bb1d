//! Signals to weir and its terminal, and what they are to COMMAND.

use std::fs;
use std::io::{Read, Write, pipe};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;

use rustix::process::{Signal, kill_process, test_kill_process};

use super::{is_gone, running, running_behind};
use crate::harness::dir::Dir;
use crate::harness::line::Line;
use crate::harness::process::child_of;
use crate::harness::sides::terminal;
use crate::harness::{self, eventually, start, weir};

#[test]
fn a_terminating_signal_gives_command_its_end_and_weir_dies_by_it() {
    for signal in [Signal::TERM, Signal::HUP] {
        let (weir, pid, input) = running(&[], "exec cat");
        weir.settle();
        weir.signal(signal);
        weir.end().assert_died_by(signal, "cat sees the end");
        is_gone(pid);
        drop(input);
    }
}

#[test]
fn a_command_that_does_not_end_is_put_down_when_the_grace_is_over_and_by_a_second_signal() {
    for (grace, twice) in [("100ms", false), ("1h", true)] {
        let (weir, pid, input) = running(&["--grace", grace], "exec sleep 1000");
        weir.settle();
        weir.signal(Signal::TERM);
        if twice {
            weir.settle();
            weir.signal(Signal::TERM);
        }
        weir.end().assert_died_by(Signal::TERM, grace);
        is_gone(pid);
        drop(input);
    }
}

#[test]
fn a_command_that_ignores_sigterm_is_killed() {
    let (weir, pid, input) = running_behind(
        "trap '' TERM;",
        &["--grace", "10ms"],
        "while :; do sleep 1; done",
    );
    weir.settle();
    weir.signal(Signal::TERM);
    // Another one makes it quick.
    eventually("it is put down", || {
        test_kill_process(pid).is_err() || {
            weir.signal(Signal::TERM);
            false
        }
    });
    weir.end().assert_died_by(Signal::TERM, "a deaf COMMAND");
    is_gone(pid);
    drop(input);
}

#[test]
fn an_interrupt_that_is_sent_to_weir_alone_is_passed_on() {
    for signal in [Signal::INT, Signal::QUIT] {
        let (weir, pid, input) = running(&[], "ulimit -c 0; exec cat");
        weir.settle();
        weir.signal(signal);
        let end = weir.end();
        assert_eq!(end.status.signal(), Some(signal.as_raw()), "{end:?}");
        is_gone(pid);
        drop(input);
    }
}

#[test]
fn weir_goes_on_where_command_goes_on_after_an_interrupt() {
    let (weir, _, mut input) = running_behind("trap '' INT;", &[], "exec wc -c >&2");
    weir.settle();
    weir.signal(Signal::INT);
    input.write_all(&[b'x'; 200_000]).expect("weir reads on");
    drop(input);
    let end = weir.end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.stderr.trim(), "200000");
}

#[test]
fn ctrl_c_reaches_command_and_weir_ends_as_it_does() {
    for (script, status) in [
        ("echo ready; exec cat", 128 + 2),
        (
            "trap 'exit 5' INT; echo ready; while :; do sleep 0.05; done",
            5,
        ),
    ] {
        let (mut keys, theirs) = terminal();
        // A session of its own, whose terminal that is.
        let mut command = std::process::Command::new("setsid");
        // A shell that waits, and tells of a death by a signal as shells do.
        let shell = "trap : INT; \"$0\" \"$@\"; exit $?";
        command.args(["--ctty", "--wait", "sh", "-c", shell, harness::WEIR]);
        command.args(["-q", "/dev/zero", "-r", "1MB/s", "--", "sh", "-c", script]);
        command.process_group(0);
        let (mut output, stdout) = pipe().expect("a pipe");
        let weir = start(command, theirs, stdout);
        let mut ready = [0; 6];
        output.read_exact(&mut ready).expect("COMMAND runs");
        harness::beside(move || output.read_to_end(&mut Vec::new()));
        keys.write_all(&[3]).expect("a key");
        let end = weir.end();
        assert_eq!(end.status.code(), Some(status), "{script}: {end:?}");
    }
}

#[test]
fn a_weir_that_is_killed_gives_command_its_end() {
    let (weir, pid, input) = running(&[], "exec cat");
    weir.signal(Signal::KILL);
    weir.end();
    is_gone(pid);
    drop(input);
}

#[test]
fn a_stopped_weir_goes_on_with_its_command() {
    let mut line = Line::with(weir(&["--", "cat"]));
    line.send(100_000);
    line.take(100_000);
    line.weir.signal(Signal::STOP);
    eventually("it is stopped", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", line.weir.pid().as_raw_nonzero()));
        stat.is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|s| s.starts_with('T')))
    });
    line.weir.signal(Signal::CONT);
    line.send(300_000);
    line.close_input();
    line.finish(400_000).assert_success("stopped and continued");
}

#[test]
fn a_signal_to_both_ends_both_whichever_hears_it_first() {
    for options in [
        &[][..],
        &["-l"],
        &["-l", "-r", "2000/s"],
        &["-l", "-j", "2"],
    ] {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let dir = Dir::new();
            let ready = dir.at("ready");
            let words = ["-q", "-b", "64KiB", "--grace", "10s"];
            let words = [
                &words,
                options,
                &["--", "sh", "-c", ": > $0; exec cat", &ready],
            ]
            .concat();
            let mut command = weir(&words);
            command.process_group(0);
            let (stdin, mut input) = pipe().expect("a pipe");
            let weir = start(command, stdin, Stdio::null());
            harness::beside(move || while input.write_all(&[b'\n'; 4096]).is_ok() {});
            eventually("COMMAND runs", || fs::exists(&ready).is_ok_and(|it| it));
            weir.signal_group(signal);
            let end = weir.end();
            let by = end.status.signal();
            assert_eq!(by, Some(signal.as_raw()), "{options:?}: {end:?}");
        }
    }
}

/// What makes weir the first process of a container.
const ALONE: [&str; 3] = ["--pid", "--fork", "--kill-child"];

fn may_be_first() -> bool {
    let may = harness::program("unshare").args(ALONE).arg("true").output();
    let may = may.is_ok_and(|it| it.status.success());
    if !may {
        harness::skip("no process may be the first one of its kind here");
    }
    may
}

#[test]
fn the_first_process_of_a_container_waits_for_those_whom_programs_leave_behind_and_for_no_program_twice()
 {
    if !may_be_first() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let done = dir.path().join("done");
    // Every second one is rejected, as soon as it runs.
    let script = "(sleep 0.05 & true &); echo >> $0; exit $((WEIR_FIRST % 2 * 77))";
    let mut command = harness::program("unshare");
    command.args(ALONE).args([harness::WEIR, "-l", "-j", "3"]);
    command.args(["--batch", "1", "--reject", "77", "--on", "done=true"]);
    command.args(["--", "sh", "-c", script]).arg(&done);
    let (stdin, mut input) = pipe().expect("a pipe");
    let unshare = start(command, stdin, Stdio::null());
    input.write_all(&[b'\n'; 100]).expect("weir comes");
    eventually("all were run", || {
        fs::read(&done).is_ok_and(|it| it.len() == 100)
    });
    let weir = child_of(unshare.pid()).expect("weir runs");
    eventually("all of them are gone", || child_of(weir).is_none());
    drop(input);
    let end = unshare.end();
    assert_eq!(end.status.code(), Some(123), "{end:?}");
    let says = "50 batches (50 records, 50B) were given up or rejected";
    assert!(end.stderr.contains(says), "{end:?}");
}

#[test]
fn the_first_process_of_a_container_ends_with_the_status_of_a_signal() {
    if !may_be_first() {
        return;
    }
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let mut command = harness::program("unshare");
        command
            .args(ALONE)
            .args([harness::WEIR, "--grace", "100ms"]);
        let (stdin, mut input) = pipe().expect("a pipe");
        let (mut output, stdout) = pipe().expect("a pipe");
        let unshare = start(command, stdin, stdout);
        input.write_all(b"x").expect("weir comes");
        // Before that a signal would be nothing to it: it is the first process.
        output.read_exact(&mut [0]).expect("weir is there");
        let weir = child_of(unshare.pid()).expect("weir runs");
        kill_process(weir, signal).expect("it lives");
        let end = unshare.end();
        assert_eq!(end.status.code(), Some(status), "{end:?}");
        assert_eq!(end.stderr, "");
        drop(input);
    }
}
