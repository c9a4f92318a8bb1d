//! What becomes of a batch that fails: it is tried again, given up or rejected.

use std::fs;
use std::io::{Write, pipe};
use std::process::Stdio;

use super::{run, run_lines, words};
use crate::harness::books::Books;
use crate::harness::dir::{Dir, lines};
use crate::harness::remote::Home;
use crate::harness::{self, eventually, start, weir};

#[test]
fn a_batch_that_fails_is_tried_again_byte_for_byte_under_the_same_number() {
    let dir = Dir::new();
    let script =
        "cat > $0.$WEIR_FIRST.$WEIR_TRY; echo $WEIR_BATCH >> $0.$WEIR_FIRST; test $WEIR_TRY = 3";
    let (end, books) = run_lines(&dir, &["--batch", "100"], script, 250);
    assert!(end.status.success(), "{end:?}");
    let input = lines(250);
    let mut ids = Vec::new();
    for (first, range) in [(1, 0..900), (101, 900..1800), (201, 1800..2250)] {
        for trial in 1..=3 {
            let got = fs::read(dir.at(&format!("out.{first}.{trial}"))).expect("a try");
            harness::assert_same(&got, &input[range.clone()], "the same batch");
        }
        let mut of_it = dir.lines(&format!("out.{first}"));
        of_it.dedup();
        assert_eq!(of_it.len(), 1, "one number for all tries");
        ids.extend(of_it);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let retried = |what: &str| books.n(&format!("command/batches/retried/{what}"));
    assert_eq!((retried("batches"), retried("records")), (6, 500));
}

#[test]
fn after_so_many_failures_a_batch_is_shed_and_the_next_one_has_its_turn() {
    let dir = Dir::new();
    let shed = dir.at("shed");
    let script = "test $WEIR_FIRST = 11 && { echo $WEIR_TRY >> $0.tries; exit 5; }; cat >> $0";
    let options = ["--batch", "10", "--give-up", "3", "--shed-to", &shed];
    let (end, books) = run_lines(&dir, &options, script, 30);
    assert_eq!(end.status.code(), Some(123), "{end:?}");
    assert!(
        end.stderr
            .contains("weir: 1 batch (10 records, 90B) was given up or rejected\n")
    );
    assert_eq!(dir.lines("out.tries"), ["1", "2", "3"]);
    let all = lines(30);
    assert_eq!(dir.read("shed").as_bytes(), &all[90..180]);
    assert_eq!(
        dir.read("out").as_bytes(),
        [&all[..90], &all[180..]].concat()
    );
    books.assert_are("records", [30, 20, 10, 0], "given up");
    assert_eq!(books.n("command/batches/shed/batches"), 1);
}

#[test]
fn one_that_hangs_and_is_ended_for_it_has_failed_and_was_not_rejected() {
    let dir = Dir::new();
    let script = "test $WEIR_TRY = 1 && exec sleep 1000; cat >> $0";
    let options = [
        "--batch",
        "10",
        "--sink-timeout",
        "100ms",
        "--reject",
        "143",
    ];
    let (end, books) = run_lines(&dir, &options, script, 10);
    assert!(end.status.success(), "{end:?}");
    books.assert_are("records", [10, 10, 0, 0], "tried again");
}

#[test]
fn one_that_is_rejected_is_shed_at_once() {
    let dir = Dir::new();
    let shed = dir.at("shed");
    let script = "echo $WEIR_FIRST >> $0; case $WEIR_FIRST in 11) exit 22;; 21) kill -9 $$;; esac";
    let options = ["--batch", "10", "--reject", "22,137", "--shed-to", &shed];
    let (end, books) = run_lines(&dir, &options, script, 40);
    assert_eq!(end.status.code(), Some(123), "{end:?}");
    assert_eq!(dir.lines("out"), ["1", "11", "21", "31"]);
    assert_eq!(dir.read("shed").as_bytes(), &lines(40)[90..270]);
    books.assert_are("records", [40, 20, 20, 0], "rejected");
}

#[test]
fn one_that_hangs_is_ended_and_its_batch_tried_again() {
    let dir = Dir::new();
    // On a busy machine one that does not hang may be taken for one that does, and has written already.
    let script = "test $WEIR_TRY.$WEIR_FIRST = 1.101 && exec sleep 1000; cat > $0.$WEIR_FIRST";
    let options = ["-l", "--batch", "10", "--sink-timeout", "2s"];
    let end = run(&dir, &options, script, &lines(200));
    end.assert_success("hangs");
    dir.assert_all(200);
}

#[test]
fn while_it_waits_it_can_be_told_to_try_at_once_and_to_try_no_more() {
    let dir = Dir::new();
    let home = Home::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    let script = "echo run >> $0.runs; test -e $0.well || exit 1; cat >> $0";
    let out = dir.at("out");
    let words = [
        "-N",
        "it",
        "-l",
        "--batch",
        "10",
        "--backoff",
        "1h",
        "--",
        "sh",
        "-c",
        script,
        &out,
    ];
    let weir = start(home.command(&words), stdin, Stdio::null());
    input.write_all(&lines(10)).expect("it is read");
    let status = || -> serde_json::Value {
        let output = home.run(&["--query", "it"]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    eventually("it waits", || status()["command"]["circuit"] == "open");
    let it = status();
    assert_eq!(it["command"]["failures"], 1, "{it}");
    assert_eq!(it["buffer"]["used"], 90, "what is in a batch is held: {it}");
    home.tell("it", &["--retry"]);
    eventually("it is tried", || dir.lines("out.runs").len() == 2);
    eventually("it waits again", || status()["command"]["failures"] == 2);
    home.tell("it", &["--pause"]);
    home.tell("it", &["--retry"]);
    fs::write(dir.at("out.well"), "").expect("a file");
    weir.settle();
    assert_eq!(dir.lines("out.runs").len(), 2, "it is paused");
    home.tell("it", &["--resume"]);
    eventually("it is delivered", || {
        dir.read("out").as_bytes() == lines(10)
    });
    drop(input);
    assert!(weir.end().status.success());
}

#[test]
fn shedding_rules_while_it_fails_but_for_the_batch_that_was_tried() {
    let dir = Dir::new();
    let script = "echo $WEIR_FIRST >> $0.firsts; test -e $0.well || exit 1; cat >> $0";
    let out = dir.at("out");
    let (stdin, mut input) = pipe().expect("a pipe");
    let options = [
        "-l",
        "-b",
        "16KiB",
        "--shed",
        "oldest",
        "--batch",
        "10",
        "--summary",
        "json",
    ];
    let words = words(&options, script, &out);
    let weir = start(weir(&words), stdin, Stdio::null());
    let all = lines(20_000);
    input.write_all(&all[..90]).expect("it is read");
    eventually("it is tried", || !dir.lines("out.firsts").is_empty());
    // More than fits: that it is all read shows that it was shed.
    input.write_all(&all[90..]).expect("it is read");
    fs::write(dir.at("out.well"), "").expect("a file");
    drop(input);
    let end = weir.end();
    assert!(end.status.success(), "{end:?}");
    let got = dir.lines("out");
    assert_eq!(
        got[0], "00000001",
        "the batch that was tried is still there"
    );
    assert_eq!(got.last().map(String::as_str), Some("00020000"));
    assert!(
        got.windows(2).all(|pair| pair[0] < pair[1]),
        "in order, none twice"
    );
    let books = Books::of(&end);
    books.assert_balance("shed");
    assert!(books.n("shed/records") > 0);
}

#[test]
fn rejected_batches_that_could_not_be_kept_are_an_error_of_weir_s_own() {
    let dir = Dir::new();
    let options = [
        "-l",
        "--batch",
        "1",
        "--reject",
        "3",
        "--shed-to",
        "/dev/full",
    ];
    let end = run(&dir, &options, "exit 3", &lines(3));
    assert_eq!(end.status.code(), Some(125), "{end:?}");
    assert!(end.stderr.contains("/dev/full"), "{end:?}");
    assert!(end.stderr.contains("3 batches"), "{end:?}");
}
