//! `weir --batch LIMIT -- COMMAND`: the program is run once for each batch, and again with one that it has not
//! acknowledged.

mod failures;
mod jobs;
mod not_run;
mod services;
mod signals;

use crate::harness;
use std::fs;
use std::io::{Write, pipe};
use std::process::Stdio;

use crate::harness::books::Books;
use crate::harness::dir::{Dir, lines};
use crate::harness::sides::Before;
use crate::harness::small_disk::SmallDisk;
use crate::harness::{Ended, eventually, start, weir};

/// Words of a command line that runs `sh -c SCRIPT DIR/out`.
fn words<'a>(options: &[&'a str], script: &'a str, out: &'a str) -> Vec<&'a str> {
    [
        options,
        &["--backoff", "1ms..5ms", "--", "sh", "-c", script, out],
    ]
    .concat()
}

fn run(dir: &Dir, options: &[&str], script: &str, input: &[u8]) -> Ended {
    let out = dir.at("out");
    let words = words(options, script, &out);
    start(weir(&words), Before::Pipe.open(input), Stdio::null()).end()
}

/// The same with records of lines and a summary to read.
fn run_lines(dir: &Dir, options: &[&str], script: &str, n: usize) -> (Ended, Books) {
    let options = [&["-l", "--summary", "json"], options].concat();
    let end = run(dir, &options, script, &lines(n));
    let books = Books::of(&end);
    (end, books)
}

#[test]
fn each_batch_is_a_whole_file_with_its_number_and_what_is_in_it() {
    let dir = Dir::new();
    let script = "test -f /dev/stdin || exit 9; n=$(wc -l); \
                  echo $WEIR_TRY $WEIR_RECORDS $WEIR_BYTES $WEIR_FIRST $n >> $0; \
                  echo $WEIR_BATCH >> $0.ids";
    let (end, books) = run_lines(&dir, &["--batch", "4"], script, 10);
    assert!(end.status.success(), "{end:?}");
    assert_eq!(dir.lines("out"), ["1 4 36 1 4", "1 4 36 5 4", "1 2 18 9 2"]);
    let mut ids = dir.lines("out.ids");
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
    books.assert_are("records", [10, 10, 0, 0], "all of them");
    assert_eq!(books.n("command/batches/acknowledged"), 3);
}

#[test]
fn batches_are_closed_by_bytes_at_record_ends() {
    let dir = Dir::new();
    let script = "wc -c >> $0; wc -l < /dev/null > /dev/null";
    let (end, _) = run_lines(&dir, &["--batch", "40B,1000"], script, 10);
    assert!(end.status.success(), "{end:?}");
    // Four lines are 36 bytes; a fifth would be too much.
    assert_eq!(dir.lines("out"), ["36", "36", "18"]);
    // One that is longer by itself is a batch by itself.
    let dir = Dir::new();
    let end = run(
        &dir,
        &["-l", "--batch", "5B"],
        script,
        b"a\nlonger than that\nb\nc\n",
    );
    end.assert_success("long");
    assert_eq!(dir.lines("out"), ["2", "17", "4"]);
    // Without records there are bytes.
    let dir = Dir::new();
    let end = run(&dir, &["--batch", "1000B"], script, &[7; 2500]);
    end.assert_success("bytes");
    assert_eq!(dir.lines("out"), ["1000", "1000", "500"]);
}

#[test]
fn a_batch_is_closed_when_its_first_record_has_waited_for_so_long() {
    let dir = Dir::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    let out = dir.at("out");
    let words = words(&["-l", "--batch", "1000,50ms"], "cat >> $0", &out);
    let weir = start(weir(&words), stdin, Stdio::null());
    input.write_all(b"first\nsec").expect("written");
    eventually("it arrives", || dir.read("out") == "first\n");
    input.write_all(b"ond\n").expect("written");
    eventually("it arrives", || dir.read("out") == "first\nsecond\n");
    drop(input);
    weir.end().assert_success("age");
}

#[test]
fn a_batch_is_closed_at_the_high_mark() {
    let dir = Dir::new();
    let script = "wc -c >> $0";
    let end = run(
        &dir,
        &["-l", "-b", "4KiB", "--batch", "1GiB"],
        script,
        &lines(5000),
    );
    end.assert_success("high");
    let sizes: Vec<u64> = dir
        .lines("out")
        .iter()
        .map(|n| n.parse().expect("a size"))
        .collect();
    assert!(sizes.iter().all(|n| *n <= 4096 && n % 9 == 0), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<u64>(), 45_000);
}

#[test]
fn a_record_larger_than_the_buffer_passes_in_pieces() {
    let dir = Dir::new();
    let mut input = vec![b'x'; 20_000];
    input.extend_from_slice(b"\nshort\n");
    let end = run(
        &dir,
        &["-l", "-b", "4KiB", "--batch", "1"],
        "cat >> $0",
        &input,
    );
    end.assert_success("pieces");
    harness::assert_same(dir.read("out").as_bytes(), &input, "pieces");
}

#[test]
fn the_beginning_of_a_record_that_is_more_than_the_low_mark_waits_for_its_rest() {
    let dir = Dir::new();
    let options = "--record-size 581 -b 9999 --high 74% --low 3% --batch 9999B";
    let options: Vec<_> = options.split(' ').collect();
    let end = run(&dir, &options, "wc -c >> $0", &[b'x'; 581 * 200]);
    assert!(end.status.success(), "{end:?}");
    let batches: Vec<usize> = dir
        .lines("out")
        .iter()
        .map(|n| n.trim().parse().expect("a number"))
        .collect();
    assert!(batches.iter().all(|n| n % 581 == 0), "{batches:?}");
    assert_eq!(batches.iter().sum::<usize>(), 581 * 200);
}

#[test]
fn one_that_ends_well_without_reading_has_acknowledged() {
    let dir = Dir::new();
    let (end, books) = run_lines(&dir, &["--batch", "7"], "exit 0", 1000);
    assert!(end.status.success(), "{end:?}");
    books.assert_are("records", [1000, 1000, 0, 0], "unread");
}

#[test]
fn no_input_is_no_batch() {
    let dir = Dir::new();
    let end = run(&dir, &["-l", "--batch", "7"], "echo run >> $0", b"");
    end.assert_success("nothing");
    assert_eq!(dir.read("out"), "");
}

#[test]
fn a_last_line_without_an_end_is_in_the_last_batch() {
    let dir = Dir::new();
    let mut input = lines(10);
    input.extend_from_slice(b"no end");
    let script = "echo $WEIR_RECORDS >> $0.n; cat >> $0";
    let options = ["-l", "--batch", "5", "--summary", "json"];
    let end = run(&dir, &options, script, &input);
    assert!(end.status.success(), "{end:?}");
    assert_eq!(dir.read("out").as_bytes(), input);
    assert_eq!(dir.lines("out.n"), ["5", "5", "1"]);
    Books::of(&end).assert_are("records", [11, 11, 0, 0], "no end");
}

#[test]
fn what_is_not_there_is_127_before_anything_is_read() {
    let (stdin, _input) = pipe().expect("a pipe");
    let words = ["-l", "--batch", "10", "--", "no-such-program-here"];
    let end = start(weir(&words), stdin, Stdio::null()).end();
    end.assert_complains(127, &["run: no-such-program-here"]);
    let words = ["-l", "--batch", "10", "--", "/etc/passwd"];
    let end = start(weir(&words), Before::Pipe.open(b"x\n"), Stdio::null()).end();
    end.assert_complains(126, &["run: /etc/passwd"]);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for (words, says) in [
        (
            &["-l", "--batch", "10"][..],
            "--batch: there is nothing to run with a batch; add -- COMMAND",
        ),
        (
            &["--batch", "10", "--", "cat"],
            "--batch 10: that is a number of records",
        ),
        (&["-l", "--batch", "0", "--", "cat"], "no record at all"),
        (&["-l", "--batch", "0k", "--", "cat"], "nothing at all"),
        (
            &["-l", "--batch", "10,20", "--", "cat"],
            "another limit of that kind",
        ),
        (
            &["-l", "--batch", "10", "--restart", "always", "--", "cat"],
            "leave --restart out",
        ),
        (&["-j", "2", "--", "cat"], "nothing makes a record"),
        (&["-l", "-j", "2"], "--jobs: there is nothing to run"),
        (
            &["-l", "-j", "2", "--shed", "fair", "--key", "1", "--", "cat"],
            "--jobs 2 and --shed fair: there are no lanes for several COMMANDs; shed in a weir of its own before this one",
        ),
        (
            &[
                "-l", "-j", "2", "--shed", "oldest", "--keep", "x", "--", "cat",
            ],
            "--jobs 2 and --keep: there are no lanes for several COMMANDs",
        ),
        (
            &[
                "-l", "--batch", "10", "--shed", "fair", "--key", "1", "--", "cat",
            ],
            "there are no lanes of batches; shed in a weir of its own before this one",
        ),
        (
            &["--remote", "w", "--batch", "3"],
            "--batch cannot be changed while running",
        ),
        (
            &["-l", "--batch", "1", "-j", "4..2", "--", "cat"],
            "the first number is the larger one",
        ),
        (
            &["--reject", "3", "--", "cat"],
            "--reject: there are no batches",
        ),
        (
            &["-l", "--batch", "10", "--reject", "0", "--", "cat"],
            "the status of success",
        ),
        (
            &["-l", "--batch", "10", "--reject", "256", "--", "cat"],
            "not an exit status",
        ),
        (
            &["-l", "--batch", "10", "--shed-to", "x", "--", "cat"],
            "--shed-to: nothing would be shed; add --give-up 3 or --reject 22",
        ),
    ] {
        let end = start(weir(words), Stdio::null(), Stdio::null()).end();
        end.assert_complains(2, &[says]);
    }
}

#[test]
fn a_directory_for_large_batches_that_is_not_there_is_refused_at_the_start() {
    let dir = Dir::new();
    for (limit, is_refused) in [("10000000", true), ("1MiB", false)] {
        let mut weir = weir(&[
            "-l",
            "--batch",
            limit,
            "--",
            "sh",
            "-c",
            "cat >> $0",
            &dir.at("out"),
        ]);
        weir.env("TMPDIR", dir.at("none"));
        let ended = start(weir, Before::Pipe.open(&lines(10)), Stdio::null()).end();
        if is_refused {
            ended.assert_complains(125, &["none: No such file", "set TMPDIR"]);
            assert_eq!(dir.read("out"), "", "nothing was run");
        } else {
            assert!(ended.status.success(), "{ended:?}");
        }
    }
}

#[test]
fn a_batch_whose_disk_is_full_goes_on_in_memory_and_that_is_said_once() {
    let dir = Dir::new();
    let Some(disk) = SmallDisk::mount(dir.at("disk"), "4m") else {
        return;
    };
    disk.ballast(3 << 20);
    let (out, log) = (dir.at("out"), dir.at("log"));
    let mut weir = weir(&[
        "-q",
        "--log",
        &log,
        "--batch",
        "2MiB",
        "--",
        "sh",
        "-c",
        "cat >> $0",
        &out,
    ]);
    weir.env("TMPDIR", disk.path());
    let bytes = harness::data(6 << 20, 9);
    let ended = start(weir, Before::Pipe.open(&bytes), Stdio::null()).end();
    assert!(ended.status.success(), "{ended:?}");
    let said = dir.read("log");
    assert_eq!(dir.lines("log").len(), 1, "{said}");
    assert!(
        said.contains("the disk is full: the batch goes on in memory"),
        "{said}"
    );
    harness::assert_same(
        &fs::read(dir.at("out")).expect("all"),
        &bytes,
        "each batch as it was",
    );
}

#[test]
fn a_disk_that_is_full_of_what_is_to_go_into_a_batch_holds_up_no_batch() {
    let dir = Dir::new();
    let Some(disk) = SmallDisk::mount(dir.at("disk"), "4m") else {
        return;
    };
    let out = dir.at("out");
    // None ends before the disk is full.
    let script = "cat >> $0; until test -e $0.go; do sleep 0.05; done";
    let mut weir = weir(&[
        "-q", "-b", "1MiB", "--spill", "64MiB", "--batch", "2MiB", "--", "sh", "-c", script, &out,
    ]);
    weir.env("TMPDIR", disk.path());
    let bytes = harness::data(12 << 20, 9);
    let weir = start(weir, Before::Pipe.open(&bytes), Stdio::null());
    eventually("the disk is full", || disk.is_full(256 << 10));
    fs::write(dir.at("out.go"), "").expect("a file");
    let ended = weir.end();
    assert!(ended.status.success(), "{ended:?}");
    harness::assert_same(&fs::read(&out).expect("all"), &bytes, "all of it");
}
