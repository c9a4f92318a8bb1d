//! `--spool DIR --batch LIMIT -- COMMAND` where DIR is full all the time: batches are closed for want of room then, and are
//! whole records all the same.

mod harness;

use std::fs;
use std::ops::Range;
use std::process::Stdio;

use harness::dir::Dir;
use harness::small_disk::SmallDisk;
use harness::{feed, spool, start};

/// So many lines of a length between these, which begin with their numbers.
fn lines(count: usize, lengths: Range<usize>) -> Vec<u8> {
    let line = |n: usize| {
        let length = lengths.start + n * 7919 % lengths.len();
        format!("{n:07}{}\n", "x".repeat(length - 8))
    };
    (0..count).map(line).collect::<String>().into()
}

/// Many times as much as there is room for.
fn short() -> Vec<u8> {
    lines(30_000, 500..1500)
}

/// Passes all of them on in batches that nothing but want of room closes.
fn assert_whole(place: &spool::Place, options: &[&str], all: &[u8]) {
    let dir = Dir::new();
    let out = dir.at("out");
    let fixed = ["-l", "--batch", "1000000"];
    // It takes long enough for what is behind to come.
    let command = ["--", "sh", "-c", "cat >$0.$WEIR_BATCH; sleep 0.01", &out];
    let weir = place.weir(&[&fixed[..], options, &command].concat());
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let running = start(weir, stdin, Stdio::null());
    let feeding = feed(input, all.to_vec());
    let end = running.end();
    assert!(end.status.success(), "{end:?}");
    feeding.done().expect("all is taken");
    let files = fs::read_dir(dir.0.path()).expect("a directory");
    let texts = files.map(|it| fs::read(it.expect("a file").path()).expect("a batch"));
    let texts: Vec<_> = texts.collect();
    assert!(texts.len() > 10, "{} batches", texts.len());
    let torn = texts.iter().filter(|text| !text.ends_with(b"\n")).count();
    assert_eq!(torn, 0, "torn, of {} batches", texts.len());
    let text = texts.concat();
    let mut got: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
    got.sort_unstable();
    assert!(got.concat() == all, "something is missing, torn or twice");
    place.assert_empty();
}

#[test]
fn batches_are_whole_where_the_spool_may_hold_little() {
    for options in [&["--spill", "1MiB"][..], &["--spill", "1MiB", "-j", "3"]] {
        assert_whole(&spool::Place::new(), options, &short());
    }
}

/// Each fills nearly all of the spool, and what has come of the next one has had the rest.
#[test]
fn batches_are_whole_where_the_spool_has_room_for_one_line() {
    let long = lines(40, 880 * 1024..900 * 1024);
    assert_whole(&spool::Place::new(), &["--spill", "1MiB"], &long);
}

#[test]
fn batches_are_whole_where_the_disk_is_small() {
    for options in [&[][..], &["-j", "3"]] {
        let place = spool::Place::new();
        let Some(_disk) = SmallDisk::mount(place.spool(), "2m") else {
            return;
        };
        assert_whole(&place, options, &short());
    }
}
