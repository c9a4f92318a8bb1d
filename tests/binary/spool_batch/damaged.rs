//! Batches in whose bytes the spool is damaged, or has lost some.

use std::fs;
use std::process::Stdio;

use rustix::process::Signal;

use super::{Place, run};
use crate::harness;
use crate::harness::spool::lines;
use crate::harness::{eventually, feed, start};

#[test]
fn a_batch_in_which_bytes_were_damaged_comes_without_them() {
    let place = Place::new();
    let (stdin, into) = std::io::pipe().expect("a pipe");
    let running = start(
        place.weir(&["--batch", "20000"], "exit 1"),
        stdin,
        Stdio::null(),
    );
    let text = lines(100_000, 300_000);
    feed(into, text.clone()).done().expect("all is taken");
    eventually("all of it lies there", || {
        place.query()["bytes"].as_u64() >= Some(text.len() as u64)
    });
    running.signal(Signal::KILL);
    running.end();
    let stream = place.at("q/00000000000000000000.stream");
    let mut bytes = fs::read(&stream).expect("a segment");
    bytes[700_000] ^= 4;
    fs::write(&stream, bytes).expect("written back");
    let works = "cat >> $0";
    let ended = run(place.weir(&["--batch", "20000"], works), Vec::new());
    assert_eq!(ended.status.code(), Some(125), "{ended:?}");
    let said = &ended.stderr;
    assert!(
        said.contains("are lost: they are not what was written"),
        "{said}"
    );
    let left = place.query();
    let lost = left["lost"]["bytes"].as_u64().expect("a number") as usize;
    // The halves of lines on both sides go with it.
    let most = (256 << 10) + 2 * "100000\n".len();
    assert!(0 < lost && lost <= most, "{left}");
    assert_eq!(left["bytes"], 0, "{left}");
    let got = place.read("out").into_bytes();
    assert_eq!(got.len(), text.len() - lost);
    let before = got.iter().zip(&text).take_while(|(a, b)| a == b).count();
    harness::assert_same(&got[before..], &text[before + lost..], "the rest");
}

#[test]
fn what_was_lost_at_the_very_end_is_owed_to_no_batch() {
    let place = Place::new();
    let text = lines(100_000, 300_000);
    // What a killed one has not entered yet cannot be checked.
    let args = ["-l", "--grace", "100ms"];
    place.0.leave(&text, &args, Signal::TERM);
    let before = place.query()["bytes"].as_u64().expect("a number") as usize;
    let streams = place.0.files("stream");
    let stream = streams.last().expect("a segment");
    let mut bytes = fs::read(stream).expect("a segment");
    let last = bytes.len() - 3;
    bytes[last] ^= 4;
    fs::write(stream, bytes).expect("written back");
    let works = || place.weir(&["--batch", "1000"], "cat >> $0");
    let ended = run(works(), Vec::new());
    assert_eq!(ended.status.code(), Some(125), "{ended:?}");
    let left = place.query();
    let lost = left["lost"]["bytes"].as_u64().expect("a number") as usize;
    assert_eq!(place.read("out").len() + lost, before, "{left}");
    place.assert_empty();
    // It is said once, and what comes is whole.
    let ended = run(works(), b"new\n".to_vec());
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stderr, "");
    assert!(place.read("out").ends_with("\nnew\n"));
}
