//! Who is said to hold the flow up.

use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal};
use serde_json::Value;

use super::{MIB, objects, signal, stderr, weir};
use crate::harness::{Leash, collect, feed};

/// How soon one reports.
const REPORTS: &str = "--display json -i 20ms --summary json";

/// The share of the run so far that was spent waiting for this side; on a busy machine much of it is nobody's.
fn share(report: &Value, side: &str) -> f64 {
    let seconds = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64);
    let wait = seconds(&format!("/wait_s/{side}")).expect("a wait");
    wait / seconds("/elapsed_s").expect("a time")
}

/// Waits until this side has been waited for in most of the run, also of one that was slow to start.
#[track_caller]
fn await_wait(reports: &mut impl Iterator<Item = String>, side: &str) {
    let is_most = |line: String| share(&objects(line.as_bytes())[0], side) > 0.7;
    assert!(reports.any(is_most), "{side} is waited for");
}

/// The last that it says.
fn summary(mut reports: impl Iterator<Item = String>) -> Value {
    let last = reports.by_ref().last().expect("a summary");
    objects(last.as_bytes()).remove(0)
}

#[test]
fn a_silent_source_is_named() {
    let mut child = weir(REPORTS).spawn().expect("weir");
    let _leash = Leash::on(&child);
    let mut input = child.stdin.take().expect("its input");
    let mut reports = stderr(&mut child);
    input.write_all(b"x").expect("fed");
    await_wait(&mut reports, "source");
    drop(input);
    let summary = summary(reports);
    assert_eq!(summary["holdup"], "source", "{summary}");
    child.wait().expect("an end");
}

#[test]
fn a_sink_that_does_not_read_is_named() {
    for more in ["", " --no-splice"] {
        let mut child = weir(&format!("{REPORTS}{more}")).spawn().expect("weir");
        let _leash = Leash::on(&child);
        let mut input = child.stdin.take().expect("its input");
        let mut reports = stderr(&mut child);
        input.write_all(&vec![b'x'; 4 * MIB]).expect("fed");
        drop(input);
        await_wait(&mut reports, "sink");
        let got = collect(child.stdout.take().expect("its output"));
        let summary = summary(reports);
        assert_eq!(got.done().len(), 4 * MIB);
        assert_eq!(summary["holdup"], "sink", "{summary}");
        child.wait().expect("an end");
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
        let _leash = Leash::on_group(&shell);
        let mut lines = stderr(&mut shell);
        // So often that it has been so for most of the run, also of one that was slow to start.
        let named = lines.by_ref().filter(|line| line.contains(report)).nth(30);
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
    let command = format!("{REPORTS} --rate 512KiB/s");
    let mut child = weir(&command).spawn().expect("weir");
    let _leash = Leash::on(&child);
    // More than passes in any time that this takes.
    let input = child.stdin.take().expect("its input");
    let _fed = feed(input, vec![b'x'; 48 * MIB]);
    let _got = collect(child.stdout.take().expect("its output"));
    let mut reports = stderr(&mut child);
    await_wait(&mut reports, "cap");
    signal(&child, Signal::INT);
    let summary = summary(reports);
    assert_eq!(summary["holdup"], "cap", "{summary}");
    assert_eq!(summary["cap"]["bytes_per_s"], 524_288.0, "{summary}");
    child.wait().expect("an end");
}
