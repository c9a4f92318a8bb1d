//! `--on EVENT=COMMAND`: what happens to the flow starts a command, which never holds it up.

use std::fs;
use std::io::{Write, pipe};
use std::path::Path;
use std::process::Stdio;
use std::thread;

use crate::harness::remote::Home;
use crate::harness::{data, eventually, start, weir};
use tempfile::TempDir;

/// Waits until the file has so many lines, and returns them.
fn lines(path: &Path, n: usize) -> Vec<String> {
    let mut lines = Vec::new();
    eventually("the command has told it", || {
        let text = fs::read_to_string(path).unwrap_or_default();
        lines = text.lines().map(str::to_owned).collect();
        lines.len() >= n
    });
    lines
}

#[test]
fn a_buffer_that_fills_is_told_once_with_figures() {
    let dir = TempDir::new().expect("make a directory");
    let told = dir.path().join("told");
    let tell = format!(
        "echo $WEIR_EVENT $WEIR_NAME $WEIR_USED $WEIR_CAPACITY >> {}",
        told.display()
    );
    let (input, mut producer) = pipe().expect("make a pipe");
    let (consumer, stdout) = pipe().expect("make a pipe");
    let (half, full) = (format!("50%={tell}"), format!("full={tell}"));
    let args = [
        "-b",
        "64KiB",
        "--pipe-size",
        "4KiB",
        "-N",
        "it",
        "--on",
        &half,
        "--on",
        &full,
    ];
    let child = start(weir(&args), Stdio::from(input), Stdio::from(stdout));
    let writer = thread::spawn(move || producer.write_all(&data(200_000, 1)));
    let said = lines(&told, 2);
    assert!(
        said[0].starts_with("50% it ") && said[1].starts_with("full it "),
        "{said:?}"
    );
    let used: Vec<u64> = said
        .iter()
        .map(|line| {
            line.split(' ')
                .nth(2)
                .expect("a figure")
                .parse()
                .expect("a number")
        })
        .collect();
    assert!(used[0] >= 32_768 && used[1] <= 65_536, "{said:?}");
    // It stays full until somebody reads, and that is no news.
    drop(consumer);
    assert!(writer.join().expect("a writer").is_err());
    child.end();
    assert_eq!(lines(&told, 2).len(), 2);
}

#[test]
fn the_end_is_told_with_its_word_and_a_command_that_hangs_holds_up_nobody() {
    let dir = TempDir::new().expect("make a directory");
    let told = dir.path().join("told");
    let done = format!(
        "done=echo $WEIR_END $WEIR_IN_RECORDS $WEIR_OUT_BYTES > {}; exec sleep 1000",
        told.display()
    );
    let (input, mut producer) = pipe().expect("make a pipe");
    producer.write_all(b"one\ntwo\n").expect("written");
    drop(producer);
    let end = start(
        weir(&["-l", "-q", "--on", &done]),
        Stdio::from(input),
        Stdio::null(),
    )
    .end();
    assert!(end.status.success(), "{}", end.stderr);
    assert_eq!(lines(&told, 1), ["eof 2 8"]);
}

#[test]
fn what_a_command_prints_is_not_in_the_data() {
    let (input, mut producer) = pipe().expect("make a pipe");
    let (mut consumer, stdout) = pipe().expect("make a pipe");
    producer.write_all(b"data").expect("written");
    drop(producer);
    let child = start(
        weir(&["-q", "--on", "done=echo printed"]),
        Stdio::from(input),
        Stdio::from(stdout),
    );
    let mut got = String::new();
    std::io::Read::read_to_string(&mut consumer, &mut got).expect("read");
    assert_eq!(got, "data");
    let end = child.end();
    assert!(end.status.success());
}

#[test]
fn a_timeout_is_told_as_a_stall() {
    let dir = TempDir::new().expect("make a directory");
    let told = dir.path().join("told");
    let stall = format!("stall=echo $WEIR_EVENT $WEIR_END > {}", told.display());
    let (input, _producer) = pipe().expect("make a pipe");
    let end = start(
        weir(&["--source-timeout", "50ms", "--on", &stall]),
        Stdio::from(input),
        Stdio::null(),
    )
    .end();
    assert_eq!(end.status.code(), Some(124), "{}", end.stderr);
    assert_eq!(lines(&told, 1), ["stall timeout"]);
}

#[test]
fn one_comes_after_the_other_at_the_end_of_the_run_too() {
    let dir = TempDir::new().expect("make a directory");
    let told = dir.path().join("told");
    // The first takes its time, and the end of the run comes meanwhile.
    let slow = format!("give-up=sleep 0.5; echo $WEIR_EVENT >> {}", told.display());
    let restart = format!("restart=sleep 0.5; echo $WEIR_EVENT >> {}", told.display());
    let done = format!("done=echo $WEIR_EVENT $WEIR_END >> {}", told.display());
    let options = ["-q", "--restart", "on-failure", "--backoff", "1ms..2ms"];
    let hooks = [
        "--give-up",
        "3",
        "--on",
        &slow,
        "--on",
        &restart,
        "--on",
        &done,
    ];
    let words = [&options[..], &hooks, &["--", "false"]].concat();
    let (input, producer) = pipe().expect("make a pipe");
    let weir = start(weir(&words), Stdio::from(input), Stdio::null());
    weir.end();
    drop(producer);
    let wanted = ["restart", "restart", "give-up", "done command-failed"];
    assert_eq!(lines(&told, 4), wanted);
}

#[test]
fn a_command_that_has_used_up_its_time_is_told_as_a_stall_though_it_is_run_again() {
    for way in [
        &["--batch", "5"][..],
        &["--restart", "on-failure"],
        &["--restart", "on-failure", "-j", "2"],
    ] {
        let dir = TempDir::new().expect("make a directory");
        let told = dir.path().join("told");
        let stall = format!("stall=echo $WEIR_EVENT >> {}", told.display());
        let (input, mut producer) = pipe().expect("make a pipe");
        let options = ["-q", "-l", "--sink-timeout", "200ms", "--backoff", "1h..1h"];
        let hook = ["--on", &stall, "--", "sleep", "1000"];
        let words = [&options[..], way, &hook].concat();
        let weir = start(weir(&words), Stdio::from(input), Stdio::null());
        let sent: String = (0..300).map(|n| format!("{n}\n")).collect();
        producer.write_all(sent.as_bytes()).expect("written");
        assert_eq!(lines(&told, 1)[0], "stall", "{way:?}");
        weir.signal(rustix::process::Signal::TERM);
        weir.end();
    }
}

#[test]
fn whatever_happens_at_once_is_run_in_the_end() {
    let dir = TempDir::new().expect("make a directory");
    let (told, go) = (dir.path().join("told"), dir.path().join("go"));
    let hooks = (1..=14).map(|n| {
        let (go, told) = (go.display(), told.display());
        format!(
            "{}%=until test -e {go}; do sleep 0.01; done; echo $WEIR_EVENT >> {told}",
            5 * n
        )
    });
    let hooks: Vec<String> = hooks.collect();
    let mut args = vec!["-b", "64KiB", "--pipe-size", "4KiB"];
    hooks.iter().for_each(|hook| args.extend(["--on", hook]));
    let home = Home::new();
    let mut weir = home.start(&args);
    let mut producer = weir.stdin.take().expect("its input");
    let writer = thread::spawn(move || producer.write_all(&data(200_000, 1)));
    eventually("it is full", || home.status(&weir)["state"] == "blocked");
    fs::write(&go, "").expect("written");
    assert_eq!(lines(&told, 14)[13], "70%");
    drop(weir);
    let _ = writer.join();
}

#[test]
fn what_is_not_run_because_too_much_waits_is_said_once() {
    let dir = TempDir::new().expect("make a directory");
    let go = dir.path().join("go");
    let slow = format!(
        "restart=until test -e {}; do sleep 0.01; done",
        go.display()
    );
    let options = [
        "--restart",
        "on-failure",
        "--backoff",
        "1ms..1ms",
        "--give-up",
        "30",
    ];
    let words = [&options[..], &["--on", &slow, "--", "false"]].concat();
    let (input, producer) = pipe().expect("make a pipe");
    let end = start(weir(&words), Stdio::from(input), Stdio::null()).end();
    drop(producer);
    fs::write(&go, "").expect("written");
    let said = "weir: --on restart: not run: 8 commands wait for the one that is running to end\n";
    assert_eq!(end.stderr.matches("not run").count(), 1, "{}", end.stderr);
    assert!(end.stderr.contains(said), "{}", end.stderr);
}
