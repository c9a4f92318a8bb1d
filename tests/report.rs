//! What weir says of itself: to scripts, to people, and to nobody.

#[path = "report/fifo.rs"]
mod fifo;
#[path = "report/picture.rs"]
mod picture;
#[path = "report/pty.rs"]
mod pty;
#[path = "report/shown.rs"]
mod shown;

use std::fs;
use std::io::{BufRead, BufReader, PipeWriter, Read, Write, pipe};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// No event that a test waits for takes so long, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

fn weir(options: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(options.split_whitespace());
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Feeds it this much and takes everything.
fn pass(mut command: Command, bytes: usize) -> Output {
    let mut child = command.spawn().expect("weir");
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
    wait.recv_timeout(PATIENCE).expect("an end in time")
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
    let output = weir("-q none/such").output().expect("weir");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "weir: open: none/such: No such file or directory\n");
}

#[test]
fn json_lines_have_one_schema_and_the_last_is_the_summary() {
    let mut child = weir("--display json --summary json -i 10ms -N me -s 2MiB")
        .spawn()
        .expect("weir");
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

#[test]
fn the_books_balance_in_every_line() {
    let options = "-l -b 64KiB --shed oldest --rate 256KiB/s --display json -i 10ms --summary json";
    let mut child = weir(options).spawn().expect("weir");
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
    let output = missing.output().expect("weir");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said.lines().count(), 1, "{said}");
    let text = fs::read_to_string(&log).expect("a log");
    assert!(text.ends_with(&said), "{text}");
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
            since.elapsed() < PATIENCE,
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
        let output = weir(options).output().expect("weir");
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn a_chart_is_drawn_when_asked_for_and_at_the_end() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("run.svg");
    let mut command = weir("-N me -r 1MB/s --chart");
    let mut child = command.arg(&file).spawn().expect("weir");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(&vec![b'x'; MIB / 4]).expect("fed");
    let mut output = child.stdout.take().expect("its output");
    output.read_exact(&mut [0]).expect("passed on");
    signal(&child, Signal::USR1);
    let drawn = || fs::read_to_string(&file).is_ok_and(|text| text.trim_end().ends_with("</svg>"));
    let until = Instant::now() + PATIENCE;
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
