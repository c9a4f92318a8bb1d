//! `--stop-at`: the input ends there, and what comes behind is somebody else's.

use std::io::{Read, Write, pipe};
use std::process::Stdio;

use crate::harness::{data, start, weir};

/// What weir passes on of a pipe that holds `input`, and what is left in it.
fn split(args: &[&str], input: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut reader, mut writer) = pipe().expect("make a pipe");
    writer.write_all(input).expect("fill it");
    drop(writer);
    let (mut output, stdout) = pipe().expect("make a pipe");
    let shared = reader.try_clone().expect("share it");
    let child = start(weir(args), Stdio::from(shared), Stdio::from(stdout));
    let (mut passed, mut left) = (Vec::new(), Vec::new());
    output.read_to_end(&mut passed).expect("read the output");
    child.end().assert_success(&format!("{args:?}"));
    reader.read_to_end(&mut left).expect("read what is left");
    (passed, left)
}

#[test]
fn nothing_beyond_is_taken_from_a_pipe() {
    let bytes = data(50_000, 3);
    for way in [
        &[][..],
        &["--no-splice"],
        &["-r", "100MB/s"],
        &["--shed", "oldest"],
    ] {
        for (size, n) in [
            ("0", 0),
            ("1", 1),
            ("4KiB", 4096),
            ("49999", 49_999),
            ("1MiB", 50_000),
        ] {
            let args = [&["-q", "--stop-at", size][..], way].concat();
            let (passed, left) = split(&args, &bytes);
            assert_eq!((passed.len(), left.len()), (n, bytes.len() - n), "{args:?}");
            assert_eq!([passed, left].concat(), bytes, "{args:?}");
        }
    }
}

#[test]
fn a_bare_count_is_one_of_records_where_there_are_any() {
    let lines: String = (0..1500)
        .map(|n| format!("{n} {}\n", "x".repeat(n % 40)))
        .collect();
    let third = lines
        .lines()
        .take(500)
        .map(|line| line.len() + 1)
        .sum::<usize>();
    // A thousand is one, too, where it is not said that it is one of bytes.
    for way in [
        &["--stop-at", "500"][..],
        &["--stop-at", "0.5k", "--no-splice"],
        &["--stop-at", "500", "-r", "100MB/s"],
    ] {
        let args = [&["-q", "-l"][..], way].concat();
        let (passed, left) = split(&args, lines.as_bytes());
        assert_eq!(passed, lines.as_bytes()[..third], "{args:?}");
        assert_eq!(left, lines.as_bytes()[third..], "{args:?}");
    }
}

#[test]
fn it_is_the_expected_total_and_ends_as_the_input_would() {
    let (input, mut writer) = pipe().expect("make a pipe");
    writer.write_all(&data(5000, 1)).expect("fill it");
    let args = ["--stop-at", "4000", "--summary", "json"];
    let end = start(weir(&args), Stdio::from(input), Stdio::null()).end();
    drop(writer);
    assert!(end.status.success(), "the producer goes on");
    let summary: serde_json::Value = serde_json::from_str(&end.stderr).expect("a summary");
    assert_eq!(summary["end"], "eof");
    assert_eq!(summary["size"], 4000);
    assert_eq!(summary["in"]["bytes"], 4000);
}

#[test]
fn what_is_refused_is_answered_by_what_would_do() {
    for (args, said) in [
        (["--stop-at", "x"], "try 4GiB or 1000 (records, or bytes)"),
        (
            ["--give-up", "0"],
            "not a number of failures, from 1 on: try 3",
        ),
    ] {
        let end = start(weir(&args), Stdio::null(), Stdio::null()).end();
        assert_eq!(end.status.code(), Some(2), "{}", end.stderr);
        assert!(end.stderr.contains(said), "{}", end.stderr);
        assert_eq!(end.stderr.lines().count(), 1, "{}", end.stderr);
    }
}

#[test]
fn a_time_is_refused() {
    let end = start(weir(&["--stop-at", "5s"]), Stdio::null(), Stdio::null()).end();
    let said = &end.stderr;
    assert_eq!(end.status.code(), Some(2), "{said}");
    assert!(
        said.contains("--stop-at 5s is a time, not a size"),
        "{said}"
    );
}
