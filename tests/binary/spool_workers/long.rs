//! Records that are longer than a write, or than the whole spool, and ends that come late.

use std::fs;
use std::io::{Write, pipe};
use std::process::Stdio;

use rustix::process::Signal;

use super::{LINE, Place};
use crate::harness::dir::lines;
use crate::harness::{Running, eventually, feed};

#[test]
fn records_that_are_larger_than_the_spool_pass_through_it() {
    let place = Place::new();
    let (stdin, input) = pipe().expect("a pipe");
    let long = |byte: u8| [&vec![byte; 3 << 20][..], b"\n"].concat();
    let all = [long(b'a'), long(b'b'), b"short\n".to_vec(), long(b'c')].concat();
    let feeding = feed(input, all.clone());
    let options = ["-j", "2", "--spill", "1MiB"];
    let ended = place.start(&options, "exec cat >>$0.$$", stdin).end();
    ended.assert_success("they pass");
    feeding.done().expect("all was taken");
    let mut got: Vec<Vec<u8>> = Vec::new();
    for file in fs::read_dir(place.dir.0.path()).expect("a directory") {
        let text = fs::read(file.expect("a file").path()).expect("a text");
        got.extend(
            text.split_inclusive(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec),
        );
    }
    got.sort();
    let mut wanted: Vec<_> = all
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    wanted.sort();
    assert!(
        got == wanted,
        "{:?}",
        got.iter().map(Vec::len).collect::<Vec<_>>()
    );
    place.assert_empty();
}

/// It is a large part of the spool, and one run after the other is killed while a program is inside of it: the first before
/// its end has come, the second behind the place at which the first has ended.
#[test]
fn a_long_record_that_runs_are_killed_inside_of_is_given_whole_by_the_last() {
    for jobs in [&[][..], &["-j", "1"], &["-j", "3"]] {
        let place = Place::new();
        let (stdin, mut input) = pipe().expect("a pipe");
        let options = [jobs, &["--spill", "4MiB"]].concat();
        let start = |script: &str| {
            let copy = stdin.try_clone().expect("a duplicate");
            place.start(&options, script, copy)
        };
        let kill = |weir: Running| {
            weir.signal(Signal::KILL);
            weir.end();
        };
        let record = [&vec![b'r'; 3_200_000][..], b"\n"].concat();
        // What it runs ends with weir.
        let first = start("read x");
        input
            .write_all(&record[..1_000_000])
            .expect("room in the spool");
        eventually("it is held", || place.query()["bytes"] == 1_000_000);
        kill(first);
        // No pipe holds what is left of it then.
        let second = start("head -c 2000000 >>$0.half; read x");
        let feeding = feed(input, record[1_000_000..].to_vec());
        let read = || place.dir.read("out.half").len();
        eventually("it has read much", || read() == 2_000_000);
        kill(second);
        let ended = place.start(&options, "exec cat >>$0.$$", stdin).end();
        ended.assert_success("the rest");
        feeding.done().expect("all was taken");
        let files = fs::read_dir(place.dir.0.path()).expect("a directory");
        let texts = files.map(|it| fs::read(it.expect("a file").path()).expect("a text"));
        let lengths: Vec<usize> = texts
            .map(|it| it.len())
            .filter(|n| ![0, 2_000_000].contains(n))
            .collect();
        assert_eq!(lengths, [record.len()], "{jobs:?}");
        place.assert_empty();
    }
}

/// It was at the end of the input in the midst of a record, and that was all of it.
#[test]
fn a_last_line_without_an_end_that_one_has_read_is_not_given_again_with_what_another_has_left() {
    let place = Place::new();
    let (stdin, mut input) = pipe().expect("a pipe");
    // One reads nothing, and fails when the other one has all the rest.
    let script = "if mkdir $0.lock 2>/dev/null; then until test -e $0.go; do sleep 0.01; done; exit 1; fi; \
                  cat >$0.$$; touch $0.go";
    let weir = place.start(&["-j", "2"], script, stdin);
    input.write_all(&lines(2000)).expect("it is read");
    eventually("one has most", || place.counted().len() > 1000);
    input.write_all(b"open").expect("it is read");
    drop(input);
    assert_eq!(weir.end().status.code(), Some(1));
    let missing = 2000 - place.counted().len();
    let left = place.query();
    assert!(missing > 0, "it was given something");
    assert_eq!(
        (&left["bytes"], &left["records"]),
        (&(missing * LINE).into(), &missing.into())
    );
    let ended = place.start(&["-j", "2"], "exec cat >>$0.$$", Stdio::null());
    ended.end().assert_success("the rest");
    let count = place.counted();
    assert!(count.len() == 2000 && count.values().all(|times| *times == 1));
    place.assert_empty();
}
