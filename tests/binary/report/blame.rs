//! Who is said to hold the flow up.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::Value;

use super::{MIB, objects, pass, stderr, weir};

/// The share of the run, as its summary has it, that was spent waiting for this side; on a busy machine much of it is
/// nobody's.
fn share(summary: &Value, side: &str) -> f64 {
    let seconds = |pointer: &str| summary.pointer(pointer).and_then(Value::as_f64);
    let wait = seconds(&format!("/wait_s/{side}")).expect("a wait");
    wait / seconds("/elapsed_s").expect("a time")
}

#[test]
fn a_silent_source_is_named() {
    let mut child = weir("--summary json").spawn().expect("weir");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(b"x").expect("fed");
    // Long beside what the machine may take to start and to end a process.
    thread::sleep(Duration::from_secs(2));
    drop(input);
    let output = child.wait_with_output().expect("an end");
    let summary = &objects(&output.stderr)[0];
    assert_eq!(summary["holdup"], "source", "{summary}");
    assert!(share(summary, "source") > 0.5, "{summary}");
}

#[test]
fn a_sink_that_does_not_read_is_named() {
    for options in ["--summary json", "--summary json --no-splice"] {
        let mut child = weir(options).spawn().expect("weir");
        let mut input = child.stdin.take().expect("its input");
        input.write_all(&vec![b'x'; 4 * MIB]).expect("fed");
        drop(input);
        thread::sleep(Duration::from_secs(2));
        let output = child.wait_with_output().expect("an end");
        assert_eq!(output.stdout.len(), 4 * MIB);
        let summary = &objects(&output.stderr)[0];
        assert_eq!(summary["holdup"], "sink", "{summary}");
        assert!(share(summary, "sink") > 0.5, "{summary}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_culprit_is_called_by_its_name_in_every_report() {
    use std::os::unix::process::CommandExt;
    let weir = "\"$0\" -b 64KiB -i 10ms --summary text";
    for (script, report, summary) in [
        (
            "yes | WEIR --display json | sleep 1000",
            "\"culprit\":\"sleep\"",
            "held up by sleep ",
        ),
        (
            "yes | WEIR --display plain | sleep 1000",
            " culprit=sleep ",
            "held up by sleep ",
        ),
        // Neighbours that only wait themselves are not to blame, and a weir is asked.
        (
            "yes | WEIR --display plain | cat | sleep 1000",
            " culprit=sleep ",
            "held up by sleep ",
        ),
        (
            "sleep 1000 | cat | WEIR --display plain | cat",
            " culprit=sleep ",
            "held up by sleep ",
        ),
        (
            "yes | WEIR --display plain | cat | \"$0\" -b 64KiB | sleep 1000",
            " culprit=sleep ",
            "held up by sleep ",
        ),
        (
            "yes | WEIR --display plain | \"$0\" -b 64KiB -N other -r 1B/s | cat",
            " culprit=other ",
            "held up by other ",
        ),
        // A tee that takes nothing is as slow as a consumer.
        (
            "{ yes | WEIR --display json --tee /dev/fd/3 | cat >/dev/null; } 3>&1 | sleep 1000",
            "\"culprit\":\"sleep\"",
            "held up by sleep ",
        ),
        // What is behind its reader is looked at, too; and the books of it say which it is and who reads it.
        (
            "{ yes | WEIR --display json --tee /dev/fd/3 | cat >/dev/null; } 3>&1 | cat | sleep 1000",
            "\"culprit\":\"sleep\"",
            "tee /dev/fd/3 (sleep): ",
        ),
        (
            "{ yes | WEIR --display json --tee /dev/fd/3 | cat >/dev/null; } 3>&1 | sleep 1000",
            "\"vacant\":false,\"reader\":\"sleep\"}",
            "tee /dev/fd/3 (sleep): ",
        ),
        (
            "sleep 1000 | WEIR --display json | cat",
            "\"culprit\":\"sleep\"",
            "held up by sleep ",
        ),
        (
            "yes | WEIR --display json -r 1KB/s | cat",
            "\"culprit\":\"cap\"",
            "held up by cap ",
        ),
    ] {
        let script = script.replace("WEIR", weir) + " >/dev/null";
        let mut shell = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_weir")])
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let mut lines = stderr(&mut shell);
        let named = lines.find(|line| line.contains(report));
        assert!(named.is_some(), "{script}");
        let group = Pid::from_child(&shell);
        rustix::process::kill_process_group(group, Signal::TERM).expect("it is there");
        let told = lines.find(|line| line.contains(summary));
        assert!(told.is_some(), "{script}");
        shell.wait().expect("an end");
    }
}

#[test]
fn a_cap_is_named() {
    // Two seconds' worth.
    let output = pass(weir("--summary json --rate 512KiB/s"), MIB);
    let summary = &objects(&output.stderr)[0];
    assert_eq!(summary["holdup"], "cap", "{summary}");
    assert_eq!(summary["cap"]["bytes_per_s"], 524_288.0, "{summary}");
    assert!(share(summary, "cap") > 0.5, "{summary}");
}
