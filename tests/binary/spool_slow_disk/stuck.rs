//! Nobody who waits for such a disk holds up the end, whatever else is waited for then.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::{await_end, on_a_slow_disk, slow_down};
use crate::harness::spool::{Place, lines};
use crate::harness::{Ended, Running, collect, eventually, feed, start};

/// Who makes its disk slow.
fn tracer(running: &Running) -> Pid {
    eventually("it is traced", || running.field("TracerPid") > 0);
    let strace = i32::try_from(running.field("TracerPid")).ok();
    strace.and_then(Pid::from_raw).expect("it is traced")
}

/// Whether strace holds this thread before it forces something to the disk, and not for another of the stops that it makes.
fn is_held(thread: &Path) -> bool {
    let says = |file: &str, what: &str| {
        let text = fs::read_to_string(thread.join(file));
        text.is_ok_and(|it| it.contains(what))
    };
    let call = format!("{} ", nix::libc::SYS_fdatasync);
    let is_in_call = || {
        let text = fs::read_to_string(thread.join("syscall"));
        text.is_ok_and(|it| it.starts_with(&call))
    };
    says("stat", ") t ") && is_in_call()
}

/// How one ends after these signals.
fn end_of(running: Running, strace: Pid, signals: &[Signal]) -> Ended {
    for signal in signals {
        running.signal(*signal);
    }
    await_end(&running);
    kill_process(strace, Signal::KILL).expect("it holds a thread");
    running.end()
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
    let (stdin, mut input) = std::io::pipe().expect("a pipe");
    // It waits for nothing before that.
    input.write_all(&lines(0, 100)).expect("there is room");
    let running = start(weir, stdin, Stdio::null());
    let strace = tracer(&running);
    let ended = end_of(running, strace, &[]);
    drop(input);
    assert_eq!(ended.status.code(), Some(124), "{ended:?}");
    assert!(ended.stderr.contains("is not waited for"), "{ended:?}");
}

#[test]
fn a_second_signal_lets_everybody_go_who_waits_for_the_disk() {
    // They write all that they have read, whatever signal comes: it is weir that is to lose nothing.
    let cat = "trap '' TERM HUP; exec cat";
    let first = "trap '' TERM HUP; read -r line && echo \"$line\"";
    let commands: [&[&str]; 5] = [
        &[],
        &["--", "sh", "-c", cat],
        &["--restart", "always", "--", "sh", "-c", first],
        &["--batch", "2", "--", "sh", "-c", cat],
        &["-j", "2", "--", "sh", "-c", cat],
    ];
    for command in commands {
        let (place, bytes) = (Place::new(), lines(0, 10));
        let args = [&["-l", "--sync", "always", "--grace", "1h"], command].concat();
        let (stdin, input) = std::io::pipe().expect("a pipe");
        let (output, stdout) = std::io::pipe().expect("a pipe");
        let running = start(place.weir(&args), stdin, stdout);
        let got = collect(output);
        running.settle();
        let Some(mut strace) = slow_down(&running) else {
            return;
        };
        let fed = feed(input.try_clone().expect("a pipe"), bytes.clone());
        fed.done().expect("all is taken");
        // What still lies in the pipe when it is told to end is nobody's.
        place.await_bytes(bytes.len());
        let threads = format!("/proc/{}/task", running.pid().as_raw_pid());
        eventually("somebody waits for the disk", || {
            let threads = fs::read_dir(&threads).into_iter().flatten().flatten();
            threads.into_iter().any(|it| is_held(&it.path()))
        });
        for signal in [Signal::TERM, Signal::HUP] {
            running.signal(signal);
        }
        await_end(&running);
        strace.kill().expect("it holds a thread");
        strace.wait().expect("it has ended");
        let ended = running.end();
        drop(input);
        assert!(!ended.status.success(), "{command:?}: {ended:?}");
        let (rest, said) = place.deliver(&["-l"]);
        let all = [got.done(), rest].concat();
        let all: Vec<&[u8]> = all.split_inclusive(|byte| *byte == b'\n').collect();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            assert!(all.contains(&line), "{command:?}: {ended:?}, then {said}");
        }
    }
}
