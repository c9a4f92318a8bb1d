//! What weir says of itself in files: the log, the page of metrics, the chart.

use std::fs;
use std::io::{Read, Write, pipe};
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{MIB, objects, pass, signal, weir};
use crate::harness::{self, DEADLINE, Leash};

#[test]
fn a_file_that_cannot_be_written_is_an_error_before_the_first_byte() {
    for options in ["--log none/such/log", "--metrics none/such/weir.prom"] {
        let (reader, mut writer) = pipe().expect("a pipe");
        writer.write_all(b"untouched").expect("filled");
        drop(writer);
        let mut rest = reader.try_clone().expect("the same pipe");
        let output = weir(options).stdin(reader).output().expect("weir");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with("weir: ") && said.contains("none/such"));
        assert_eq!(said.lines().count(), 1, "{said}");
        let mut text = String::new();
        rest.read_to_string(&mut text).expect("what is left");
        assert_eq!(text, "untouched", "{options}");
    }
}

#[test]
fn a_log_takes_the_place_of_standard_error_but_errors_go_to_both() {
    let folder = TempDir::new().expect("a folder");
    let log = folder.path().join("log");
    fs::write(&log, "before\n").expect("written");
    let mut command = weir("--display json");
    let output = pass(
        {
            command.arg("-o").arg(&log);
            command
        },
        MIB,
    );
    assert!(output.status.success() && output.stderr.is_empty());
    let text = fs::read_to_string(&log).expect("a log");
    let summary = text.strip_prefix("before\n").expect("appended");
    let summary = objects(summary.as_bytes()).pop().expect("a summary");
    assert_eq!(summary["out"]["bytes"], MIB);

    let mut command = weir("--log");
    let missing = command.arg(&log).arg(folder.path());
    let output = harness::output(missing).expect("weir");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said.lines().count(), 1, "{said}");
    let text = fs::read_to_string(&log).expect("a log");
    assert!(text.ends_with(&said), "{text}");
}

#[test]
fn a_chart_is_drawn_when_asked_for_and_at_the_end() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("run.svg");
    let mut command = weir("-N me -r 1MB/s --chart");
    let mut child = command.arg(&file).spawn().expect("weir");
    let _leash = Leash::on(&child);
    let mut input = child.stdin.take().expect("its input");
    input.write_all(&vec![b'x'; MIB / 4]).expect("fed");
    let mut output = child.stdout.take().expect("its output");
    output.read_exact(&mut [0]).expect("passed on");
    signal(&child, Signal::USR1);
    let drawn = || fs::read_to_string(&file).is_ok_and(|text| text.trim_end().ends_with("</svg>"));
    let until = Instant::now() + DEADLINE;
    while !drawn() {
        assert!(Instant::now() < until, "nothing is drawn");
        thread::yield_now();
    }
    drop(input);
    let drain = thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    assert!(child.wait().expect("an end").success());
    drain.join().expect("a drain").expect("drained");
    let text = fs::read_to_string(&file).expect("a picture");
    assert!(
        text.contains("weir me: 262kB in ") && text.contains("cap"),
        "{text}"
    );
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn metrics_hold_the_end_of_the_run() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("weir.prom");
    let mut command = weir("--metrics");
    let output = pass(
        {
            command.arg(&file);
            command
        },
        MIB,
    );
    assert!(output.status.success() && output.stderr.is_empty());
    let text = fs::read_to_string(&file).expect("a page");
    assert!(text.contains("weir_written_bytes_total{name=\"\"} 1048576\n"));
    assert!(
        text.contains("weir_end{name=\"\",end=\"eof\"} 1\n"),
        "{text}"
    );
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}
