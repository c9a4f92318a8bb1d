//! A disk, or a server, that does not answer when a spool is forced to it holds up nothing but the end, and that only for as
//! long as a signal lets it.
//!
//! `strace` makes it so; where it is missing, or may not trace, these tests say so and pass.

use std::fs;
use std::process::{Command, Stdio};

use crate::harness::spool::{Place, lines};
use crate::harness::{self, DEADLINE, Ended, Running, WEIR, collect, eventually, feed, start};
use rustix::process::{Pid, Signal, kill_process};

/// weir with this spool on a disk that answers long after the deadline of any test.
fn on_a_slow_disk(place: &Place, args: &[&str]) -> Option<Command> {
    let mut probe = Command::new("strace");
    probe.args(["-qq", "-o", "/dev/null", "true"]);
    let probe = probe.stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        harness::skip("there is no strace here, or it may not trace");
        return None;
    }
    let delay = 10 * DEADLINE.as_micros();
    let mut strace = Command::new("strace");
    // weir is the child, and not strace.
    strace.args([
        "-D",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync",
        "-e",
    ]);
    strace.arg(format!("inject=fdatasync:delay_enter={delay}"));
    strace
        .args([WEIR, "--spool", &place.name(), "-q", "-l"])
        .args(args);
    Some(strace)
}

/// How one ends after these signals.
fn end_of(running: Running, signals: &[Signal]) -> Ended {
    let strace = i32::try_from(running.field("TracerPid")).ok();
    let strace = strace.and_then(Pid::from_raw).expect("it is traced");
    for signal in signals {
        running.signal(*signal);
    }
    // strace holds a thread that it makes wait until that is over, and with it what is left of the process.
    let stat = format!("/proc/{}/stat", running.pid().as_raw_pid());
    eventually("it has ended", || state(&stat).is_none_or(|it| it == 'Z'));
    kill_process(strace, Signal::KILL).expect("it holds a thread");
    running.end()
}

/// The state of a process or a thread, by this file.
fn state(stat: &str) -> Option<char> {
    let stat = fs::read_to_string(stat).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// All is delivered by one whose disk does not answer, and it ends by these signals; what it says. What is next has nothing
/// left to deliver.
fn ends(args: &[&str], signals: &[Signal]) -> Option<String> {
    let (place, bytes) = (Place::new(), lines(0, 20_000));
    let weir = on_a_slow_disk(&place, args)?;
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let running = start(weir, stdin, stdout);
    let got = collect(output);
    let fed = feed(input.try_clone().expect("a pipe"), bytes.clone());
    fed.done().expect("all is taken");
    place.await_bytes(bytes.len());
    eventually("all is delivered", || place.query()["bytes"] == 0);
    let ended = end_of(running, signals);
    drop(input);
    let by = std::os::unix::process::ExitStatusExt::signal(&ended.status);
    assert!(
        signals.iter().any(|it| Some(it.as_raw()) == by),
        "{ended:?}"
    );
    assert!(got.done() == bytes, "not all was delivered");
    let (rest, said) = place.deliver(&["-l"]);
    assert_eq!((rest.len(), said.as_str()), (0, ""), "what was delivered");
    Some(ended.stderr)
}

#[test]
fn a_disk_that_does_not_answer_is_waited_for_at_the_end_no_longer_than_the_grace() {
    for sync in ["10ms", "1h"] {
        let Some(said) = ends(&["--sync", sync, "--grace", "300ms"], &[Signal::TERM]) else {
            return;
        };
        assert!(said.contains("is not waited for"), "{said:?}");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_a_disk_that_does_not_answer() {
    for sync in ["10ms", "1h"] {
        let signals = [Signal::TERM, Signal::HUP];
        ends(&["--sync", sync, "--grace", "1h"], &signals);
    }
}

#[test]
fn an_interrupt_waits_for_a_disk_that_does_not_answer_no_longer_than_the_grace() {
    ends(&["--sync", "10ms", "--grace", "300ms"], &[Signal::INT]);
}

#[test]
fn a_stall_does_not_wait_for_a_disk_that_does_not_answer_longer_than_the_grace() {
    let place = Place::new();
    let args = [
        "--sync",
        "10ms",
        "--grace",
        "300ms",
        "--source-timeout",
        "300ms",
    ];
    let Some(weir) = on_a_slow_disk(&place, &args) else {
        return;
    };
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let running = start(weir, stdin, Stdio::null());
    let fed = feed(input.try_clone().expect("a pipe"), lines(0, 100));
    fed.done().expect("all is taken");
    let ended = end_of(running, &[]);
    drop(input);
    assert_eq!(ended.status.code(), Some(124), "{ended:?}");
    assert!(ended.stderr.contains("is not waited for"), "{ended:?}");
}
