//! What weir says of itself: to scripts, to people, and to nobody.

mod blame;
mod picture;
mod shown;
mod written;

use std::fs;
use std::io::{BufRead, BufReader, PipeWriter, Read, Write, pipe};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{self, DEADLINE, Leash};

const MIB: usize = 1 << 20;

fn weir(options: &str) -> Command {
    let mut command = harness::weir(&options.split_whitespace().collect::<Vec<_>>());
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Feeds it this much and takes everything.
fn pass(mut command: Command, bytes: usize) -> Output {
    let mut child = command.spawn().expect("weir");
    let _leash = Leash::on(&child);
    let mut input = child.stdin.take().expect("its input");
    let feeder = thread::spawn(move || input.write_all(&vec![b'x'; bytes]));
    let output = child.wait_with_output().expect("an end");
    feeder.join().expect("a feeder").expect("fed");
    output
}

fn objects(text: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(text);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().cast_signed()).expect("a pid");
    kill_process(pid, signal).expect("a signal sent");
}

/// Runs it in a thread of its own, and fails the test if it does not come to an end.
fn in_time<R: Send + 'static>(what: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || done.send(what()));
    wait.recv_timeout(DEADLINE).expect("an end in time")
}

#[test]
fn a_successful_run_without_a_terminal_says_nothing() {
    let output = pass(weir(""), MIB);
    assert!(output.status.success());
    assert_eq!(output.stdout.len(), MIB);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn quiet_silences_a_log_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let mut command = weir("-q -i 10ms --log");
    command.arg(&log);
    let output = pass(command, MIB);
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(std::fs::read_to_string(&log).expect("a log"), "");
}

#[test]
fn quiet_does_not_silence_errors() {
    let output = harness::output(&mut weir("-q none/such")).expect("weir");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "weir: open: none/such: No such file or directory\n");
}

#[test]
fn json_lines_have_one_schema_and_the_last_is_the_summary() {
    let mut child = weir("--display json --summary json -i 10ms -N me -s 2MiB")
        .spawn()
        .expect("weir");
    let _leash = Leash::on(&child);
    let mut input = child.stdin.take().expect("its input");
    let mut lines = stderr(&mut child);
    input.write_all(&vec![b'x'; MIB]).expect("fed");
    let is_halfway = |line: &String| objects(line.as_bytes())[0]["out"]["bytes"] == MIB;
    let mut output = child.stdout.take().expect("its output");
    let drain = thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    let halfway = lines.find(is_halfway).expect("a report");
    drop(input);
    let rest: Vec<String> = lines.collect();
    drain.join().expect("a drain").expect("drained");
    let halfway = &objects(halfway.as_bytes())[0];
    for (pointer, value) in [
        ("/v", Value::from(1)),
        ("/name", "me".into()),
        ("/pid", child.id().into()),
        ("/event", "status".into()),
        ("/in/bytes", MIB.into()),
        ("/size", (2 * MIB).into()),
        ("/shed/bytes", 0.into()),
        ("/undelivered/bytes", Value::Null),
    ] {
        assert_eq!(halfway.pointer(pointer), Some(&value), "{pointer}");
    }
    let last = &objects(rest.last().expect("a summary").as_bytes())[0];
    assert_eq!(last["event"], "summary");
    assert_eq!(last["end"], "eof");
    assert_eq!(last["undelivered"]["bytes"], 0);
    let keys = |o: &Value| o.as_object().expect("an object").len();
    assert_eq!(keys(last), keys(halfway));
    assert!(child.wait().expect("an end").success());
}

fn stderr(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let pipe: ChildStderr = child.stderr.take().expect("its words");
    BufReader::new(pipe)
        .lines()
        .map(|line| line.expect("a line"))
}

#[test]
fn the_books_balance_in_every_line() {
    let options = "-l -b 64KiB --shed oldest --rate 256KiB/s --display json -i 10ms --summary json";
    let mut child = weir(options).spawn().expect("weir");
    let _leash = Leash::on(&child);
    let mut input = child.stdin.take().expect("its input");
    let feeder = thread::spawn(move || {
        for n in 0..100_000 {
            writeln!(input, "{n:09}").expect("fed");
        }
    });
    let output = child.wait_with_output().expect("an end");
    feeder.join().expect("a feeder");
    let lines = objects(&output.stderr);
    for line in &lines {
        let number = |pointer: &str| line.pointer(pointer).and_then(Value::as_u64);
        let bytes = |pointer: &str| number(pointer).expect("a number");
        let gone = bytes("/out/bytes") + bytes("/shed/bytes");
        assert_eq!(bytes("/in/bytes"), gone + bytes("/buffer/used"), "{line}");
        assert!(number("/shed/records").is_some(), "{line}");
    }
    let last = lines.last().expect("a summary");
    assert_eq!(last["in"]["records"], 100_000);
    assert!(last["shed"]["records"].as_u64() > Some(0), "{last}");
    assert_eq!(last["undelivered"]["records"], 0);
}

#[test]
fn a_signal_asks_for_one_plain_line_even_with_quiet() {
    for options in ["-q", "", "--display json -i 1h"] {
        let mut child = weir(options).spawn().expect("weir");
        let _leash = Leash::on(&child);
        let mut input = child.stdin.take().expect("its input");
        // Before it has passed something it may not listen to signals yet.
        input.write_all(b"x").expect("fed");
        let mut byte = [0];
        let mut output = child.stdout.take().expect("its output");
        output.read_exact(&mut byte).expect("passed on");
        let mut lines = stderr(&mut child);
        let start = format!("weir name=- pid={} elapsed=", child.id());
        // A byte may arrive a moment before it is in the books.
        let is_counted = (0..1000).any(|_| {
            signal(&child, Signal::USR1);
            let line = lines.next().expect("a line");
            assert!(line.starts_with(&start), "{options}: {line}");
            line.contains(" in=1B out=1B ")
        });
        assert!(is_counted, "{options}");
        drop(input);
        // Whoever reports in lines tells at last how it stood at the end.
        let last = options
            .contains("json")
            .then(|| lines.next().expect("a line"));
        assert!(
            last.is_none_or(|line| line.contains(r#""bytes":1,"#)),
            "{options}"
        );
        assert_eq!(lines.next(), None, "{options}");
        assert!(child.wait().expect("an end").success());
    }
}

#[test]
fn a_report_has_the_form_that_the_user_gives_it() {
    let folder = TempDir::new().expect("a folder");
    fs::create_dir(folder.path().join("below")).expect("made");
    fs::write(folder.path().join("one"), vec![b'x'; MIB]).expect("written");
    fs::write(folder.path().join("below/two"), vec![b'x'; MIB]).expect("written");
    let mut command = weir("--display plain -i 10ms -N me");
    command.args(["--format", "{name}: {out} of {size}, {done%}"]);
    command
        .arg("--size")
        .arg(format!("@{}", folder.path().display()));
    let mut child = command.spawn().expect("weir");
    let _leash = Leash::on(&child);
    let mut output = child.stdout.take().expect("its output");
    let drain = thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    let mut input = child.stdin.take().expect("its input");
    input.write_all(&vec![b'x'; 2 * MIB]).expect("fed");
    // The tree is looked through beside the flow: its size is known before the input ends only if that waits for it.
    let said = BufReader::new(child.stderr.take().expect("its reports"));
    let mut input = Some(input);
    let (since, mut last) = (Instant::now(), String::new());
    for line in said.lines().map(|line| line.expect("text")) {
        assert!(
            since.elapsed() < DEADLINE,
            "its size is never known: {last}"
        );
        if line.contains("2.00MiB of 2.00MiB") {
            input = None;
        }
        last = line;
    }
    assert_eq!(last, "me: 2.00MiB of 2.00MiB, 100%");
    assert!(input.is_none() && child.wait().expect("an end").success());
    drain.join().expect("a drain").expect("drained");
    for (options, says) in [
        ("--format {rate}", "no field is called {rate}"),
        ("--size @none/such", "--size @none/such: No such file"),
        ("--size @/dev/zero", "directories have a size"),
    ] {
        let output = harness::output(&mut weir(options)).expect("weir");
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(says), "{said}");
    }
}

/// A pipe that nobody reads, filled to the brim.
fn full_pipe() -> (std::io::PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().expect("a pipe");
    let size = rustix::pipe::fcntl_getpipe_size(&writer).expect("its size");
    writer.write_all(&vec![0; size]).expect("filled");
    (reader, writer)
}

#[test]
fn a_blocked_standard_error_stops_neither_the_data_nor_the_end() {
    for options in [
        "--display json -i 10ms --summary json",
        "--display plain -i 10ms --summary text",
    ] {
        let (_unread, full) = full_pipe();
        let mut command = weir(options);
        command.stderr(full);
        let output = in_time(move || pass(command, 32 * MIB));
        assert!(output.status.success(), "{options}");
        assert_eq!(output.stdout.len(), 32 * MIB, "{options}");
    }
}

#[test]
fn a_blocked_standard_error_does_not_make_it_deaf() {
    let (_unread, full) = full_pipe();
    let mut child = weir("--display json -i 10ms")
        .stderr(full)
        .spawn()
        .expect("weir");
    let _leash = Leash::on(&child);
    let mut input = child.stdin.take().expect("its input");
    input.write_all(b"x").expect("fed");
    let mut output = child.stdout.take().expect("its output");
    output.read_exact(&mut [0]).expect("passed on");
    signal(&child, Signal::USR1);
    // Not SIGINT, which a shell's background jobs are started with as ignored.
    signal(&child, Signal::TERM);
    let status = in_time(move || child.wait().expect("an end"));
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(15)
    );
}
