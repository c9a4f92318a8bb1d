//! Several programs, each with a batch of its own.

use std::fs;
use std::io::{Write, pipe};
use std::process::Stdio;

use super::{run_lines, words};
use crate::harness::books::Books;
use crate::harness::dir::{Dir, lines};
use crate::harness::{self, eventually, start, weir};

#[test]
fn jobs_take_batches_side_by_side_and_each_record_is_dealt_with_once() {
    let dir = Dir::new();
    // Each waits until three others run at the same time, or have.
    let script = "echo $WEIR_BATCH > $0.$WEIR_FIRST.at; \
                  until test $(ls $0.*.at | wc -l) -ge 4; do sleep 0.01; done; \
                  cat > $0.$WEIR_FIRST";
    let (end, books) = run_lines(&dir, &["--batch", "10", "-j", "4"], script, 200);
    assert!(end.status.success(), "{end:?}");
    let all: String = (0..20)
        .map(|n| dir.read(&format!("out.{}", 10 * n + 1)))
        .collect();
    harness::assert_same(all.as_bytes(), &lines(200), "all of them");
    books.assert_are("records", [200, 200, 0, 0], "side by side");
}

#[test]
fn one_job_that_hangs_holds_up_no_other() {
    let dir = Dir::new();
    let out = dir.at("out");
    let (stdin, mut input) = pipe().expect("a pipe");
    let script = "test $WEIR_FIRST = 1 && until test -e $0.go; do sleep 0.01; done; cat >> $0";
    let options = ["-l", "--batch", "10", "-j", "2", "--summary", "json"];
    let words = words(&options, script, &out);
    let weir = start(weir(&words), stdin, Stdio::null());
    input.write_all(&lines(500)).expect("it is read");
    eventually("all others are dealt with", || {
        dir.read("out").as_bytes() == &lines(500)[90..]
    });
    fs::write(dir.at("out.go"), "").expect("a file");
    drop(input);
    let end = weir.end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(
        dir.read("out").as_bytes(),
        [&lines(500)[90..], &lines(10)].concat()
    );
    Books::of(&end).assert_are("records", [500, 500, 0, 0], "one hangs");
}

#[test]
fn after_a_failure_one_alone_tries_and_the_others_wait_for_it() {
    let dir = Dir::new();
    // Who finds another one running while the service is down says so.
    let script = "test -e $0.well && { cat >> $0; exit 0; }; \
                  mkdir $0.alone 2> /dev/null || { test -e $0.first || echo two >> $0.two; exit 1; }; \
                  rm -f $0.first; sleep 0.02; rmdir $0.alone; echo try >> $0.tries; exit 1";
    let out = dir.at("out");
    fs::write(dir.at("out.first"), "").expect("a file");
    let (stdin, mut input) = pipe().expect("a pipe");
    let words = words(&["-l", "--batch", "10", "-j", "3"], script, &out);
    let weir = start(weir(&words), stdin, Stdio::null());
    // One alone at first. When it is tried again its failure is known, and before it others might be started.
    input.write_all(&lines(10)).expect("it is read");
    eventually("it fails", || dir.lines("out.tries").len() > 1);
    input.write_all(&lines(100)).expect("it is read");
    eventually("it fails on", || dir.lines("out.tries").len() > 8);
    assert_eq!(dir.read("out.two"), "", "two at a time");
    fs::write(dir.at("out.well"), "").expect("a file");
    drop(input);
    weir.end().assert_success("well again");
    assert_eq!(dir.lines("out").len(), 110);
}
