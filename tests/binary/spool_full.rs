//! `--spool DIR` where DIR is full all the time: nothing is lost, torn or held up for it, and batches, which are closed for
//! want of room then, are whole records all the same.

use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::process::Stdio;

use crate::harness::dir::Dir;
use crate::harness::sides::make_fifo;
use crate::harness::small_disk::SmallDisk;
use crate::harness::{assert_same, collect, data, eventually, feed, spool, start};
use rustix::process::Signal;

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

/// Room is not taken beforehand there: that it is full is noticed all the same.
#[test]
fn batches_are_whole_where_the_file_system_takes_no_room_beforehand() {
    let place = spool::Place::new();
    let Some(_disk) = SmallDisk::without_reserving(place.spool(), 2) else {
        return;
    };
    assert_whole(&place, &[], &short());
}

/// What the disk does not take is read again, where the input is a file.
#[test]
fn of_a_file_nothing_is_lost_or_torn_where_no_room_is_taken_beforehand() {
    let place = spool::Place::new();
    let Some(disk) = SmallDisk::without_reserving(place.spool(), 4) else {
        return;
    };
    let home = Dir::new();
    let bytes = spool::lines(0, 4_000_000);
    fs::write(home.at("in"), &bytes).expect("a file");
    let (mut output, stdout) = std::io::pipe().expect("a pipe");
    let input = File::open(home.at("in")).expect("it is there");
    let running = start(place.weir(&["-l"]), input, stdout);
    let mut some = vec![0; 1 << 20];
    let mut first = Vec::new();
    for _ in 0..10 {
        eventually("it is full", || disk.is_full(512 << 10));
        output.read_exact(&mut some).expect("it is delivered");
        first.extend_from_slice(&some);
    }
    // Not of what has been delivered a moment before.
    eventually("it is full of what is to come", || {
        disk.is_full(512 << 10) && place.query()["bytes"].as_u64() > Some(2 << 20)
    });
    running.signal(Signal::KILL);
    running.end();
    // What lies in the pipe is delivered.
    output.read_to_end(&mut first).expect("it is there");
    let (rest, _) = place.deliver(&["-l"]);
    let mut next = first.split(|byte| *byte == b'\n').count() - 1;
    let rest = String::from_utf8(rest).expect("text");
    assert!(rest.len() > 1 << 16, "{} bytes", rest.len());
    spool::go_on(&mut next, &rest, "behind the kill");
}

/// Otherwise weir has no descriptors left in the end.
#[test]
fn a_spool_on_a_small_disk_does_not_fall_into_ever_smaller_files() {
    let place = spool::Place::new();
    let Some(disk) = SmallDisk::mount(place.spool(), "8m") else {
        return;
    };
    let bytes = data(48 << 20, 3);
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (mut output, stdout) = std::io::pipe().expect("a pipe");
    let running = start(place.weir(&[]), stdin, stdout);
    let feeding = feed(input, bytes.clone());
    let mut got = vec![0; 32 << 20];
    for part in got.chunks_mut(1 << 20) {
        eventually("it is full", || disk.is_full(256 << 10));
        output.read_exact(part).expect("it is delivered");
    }
    let files = place.files("stream").len();
    assert!(files <= 40, "{files} files of 8 MiB");
    got.extend(collect(output).done());
    assert_same(&got, &bytes, "all of it");
    feeding.done().expect("all is taken");
    let end = running.end();
    assert!(end.status.success(), "{end:?}");
}

#[test]
fn a_tap_that_reads_nothing_stops_nothing_where_the_disk_has_less_room_than_it_may_hold() {
    let place = spool::Place::new();
    let Some(_disk) = SmallDisk::mount(place.spool(), "4m") else {
        return;
    };
    let home = Dir::new();
    make_fifo(home.at("tap").as_ref());
    let open = File::options().read(true).write(true).open(home.at("tap"));
    let _reads_nothing = open.expect("the tap");
    let bytes = data(16 << 20, 3);
    let (stdin, input) = std::io::pipe().expect("a pipe");
    let (output, stdout) = std::io::pipe().expect("a pipe");
    let running = start(place.weir(&["--tap", &home.at("tap")]), stdin, stdout);
    let feeding = feed(input, bytes.clone());
    assert_same(&collect(output).done(), &bytes, "all of it");
    feeding.done().expect("all is taken");
    let end = running.end();
    assert!(end.status.success(), "{end:?}");
}
