//! An end that was put there, seen by whoever comes with other framing.

use std::fs;

use super::super::super::format::{Framing, Read, names};
use super::super::super::spool::{Spool, SpoolOptions};
use super::super::super::state::{SLOT, State};
use super::super::{append, open, read_from, small};
use super::{ALL, TEXT, ended};

#[test]
fn one_who_comes_with_other_framing_finds_nothing_of_it_or_is_refused() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("q");
    let other = SpoolOptions {
        framing: Framing::Zero,
        ..small()
    };
    ended(&path, &small(), TEXT);
    let refused = Spool::open(&path, &other).expect_err("it is owed");
    assert!(
        refused.to_string().contains("written with --lines"),
        "{refused}"
    );
    let spool = open(&path, &small()).spool;
    spool.set_place("none", spool.end()).expect("saved");
    append(&spool, b"more");
    spool.set_place("none", spool.end()).expect("saved");
    spool.set_place("all", spool.end()).expect("saved");
    spool.end_input().expect("saved");
    drop(spool);
    let opened = open(&path, &other);
    let end = opened.spool.end();
    assert_eq!((end.at, end.begun), (ALL + 5, 0));
    assert_eq!(opened.spool.place("all"), Some(end));
    append(&opened.spool, b"next\0");
    assert_eq!(read_from(&opened.spool, end.at).bytes(), b"next\0");
}

#[test]
fn with_an_older_save_only_a_byte_that_ends_records_is_taken_for_that_end() {
    for (text, is_end) in [(&b"\n"[..], true), (b"x", false)] {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("q");
        ended(&path, &small(), TEXT);
        let mut state = fs::read(path.join("state")).expect("a file");
        let stream = path.join(names(0).0);
        let mut bytes = TEXT.to_vec();
        bytes.extend_from_slice(text);
        fs::write(&stream, &bytes).expect("written");
        // A save came after that one, and cannot be read.
        let has_it = |slot: &[u8]| match State::decode(slot) {
            Read::Good(state) => state.ended.is_some(),
            _ => false,
        };
        let mut slots = state.chunks_mut(SLOT);
        let other = slots.find(|slot| !has_it(slot)).expect("another slot");
        other.fill(9);
        fs::write(path.join("state"), &state).expect("written");
        let opened = open(&path, &small());
        assert!(!opened.damages.is_empty(), "the newest save is damaged");
        let all = opened.spool.place("all").map(|it| it.at);
        assert_eq!(all, Some(if is_end { ALL + 1 } else { ALL }), "{text:?}");
        let begun = opened.spool.end().begun;
        assert_eq!(begun > 0, !is_end, "{text:?}");
    }
}

#[test]
fn with_other_framing_what_comes_behind_that_end_begins_a_record() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("q");
    let spool = open(&path, &small()).spool;
    append(&spool, TEXT);
    spool.set_place("all", spool.end()).expect("saved");
    spool.end_input().expect("saved");
    drop(spool);
    let before = fs::read(path.join("state")).expect("a file");
    drop(open(&path, &small()));
    // Killed before it was saved that the end is there.
    fs::write(path.join("state"), before).expect("written");
    let other = SpoolOptions {
        framing: Framing::Zero,
        ..small()
    };
    let spool = open(&path, &other).spool;
    let end = spool.end();
    assert_eq!((end.at, end.begun), (ALL + 1, 0));
    assert_eq!(spool.place("all"), Some(end));
}
