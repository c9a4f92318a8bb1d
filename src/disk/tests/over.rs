//! An input that ended inside of a record: at the next opening that has its end, once, whatever happens meanwhile, and what
//! comes then is a record of its own.

mod framing;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::super::error::DiskError;
use super::super::format::Framing;
use super::super::journal::{Entry, Journal};
use super::super::query::query;
use super::super::ready::Opened;
use super::super::spool::{Spool, SpoolOptions};
use super::super::state::Place;
use super::super::sys::Call;
use super::faults;
use super::{append, open, read_from, small};

type Snapshot = BTreeMap<PathBuf, Vec<u8>>;

fn snapshot(path: &Path) -> Snapshot {
    let files = fs::read_dir(path).expect("a directory").flatten();
    let files = files.map(|it| it.path());
    files
        .map(|it| (it.clone(), fs::read(it).expect("a file")))
        .collect()
}

/// The spool is as it was then.
fn put_back(path: &Path, files: &Snapshot) {
    for file in snapshot(path).keys() {
        fs::remove_file(file).expect("removed");
    }
    for (file, bytes) in files {
        fs::write(file, bytes).expect("written");
    }
}

fn place(at: u64, record: u64, begun: u64) -> Place {
    Place { at, record, begun }
}

const TEXT: &[u8] = b"one\ntwo\nthree";
const ALL: u64 = TEXT.len() as u64;

/// The input has ended behind this, of which one output has all and another one nothing; and weir was killed.
fn ended(path: &Path, options: &SpoolOptions, text: &[u8]) {
    ended_by(path, options, text, |_| {});
}

/// The same, but this is done before it is killed.
fn ended_by(path: &Path, options: &SpoolOptions, text: &[u8], last: impl FnOnce(&Spool)) {
    let spool = open(path, options).spool;
    append(&spool, text);
    spool.set_place("none", Place::default()).expect("saved");
    spool.set_place("all", spool.end()).expect("saved");
    spool.end_input().expect("saved");
    last(&spool);
}

/// It has the one end, and nobody has to deal with it who has had the record.
fn assert_ended(opened: &Opened, what: &str) {
    let spool = &opened.spool;
    assert!(opened.damages.is_empty(), "{what}: {:?}", opened.damages);
    let behind = place(ALL + 1, 3, 0);
    assert_eq!(spool.end(), behind, "{what}");
    assert_eq!(spool.place("all"), Some(behind), "{what}");
    assert_eq!(spool.place("none"), Some(Place::default()), "{what}");
    assert_eq!(read_from(spool, 0).bytes(), b"one\ntwo\nthree\n", "{what}");
}

#[test]
fn what_comes_behind_an_input_that_has_ended_begins_a_record() {
    for (framing, end) in [(Framing::Lines, b'\n'), (Framing::Zero, 0)] {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("q");
        let options = SpoolOptions { framing, ..small() };
        let text = |bytes: &[u8]| -> Vec<u8> {
            let ends = |it: &u8| if *it == b'\n' { end } else { *it };
            bytes.iter().map(ends).collect()
        };
        ended(&path, &options, &text(TEXT));
        let status = query(&path).expect("a status");
        assert_eq!((status.bytes, status.records), (ALL, 3), "{framing}");
        for again in 0..5 {
            let opened = open(&path, &options);
            assert_eq!(opened.spool.end(), place(ALL + 1, 3, 0), "{again}");
            let status = query(&path).expect("a status");
            assert_eq!((status.bytes, status.records), (ALL + 1, 3), "{again}");
        }
        let spool = open(&path, &options).spool;
        append(&spool, &text(b"four\n"));
        let got = read_from(&spool, 0).bytes();
        assert_eq!(got, text(b"one\ntwo\nthree\nfour\n"), "{framing}");
        assert_eq!(spool.end(), place(ALL + 6, 4, 0));
    }
}

#[test]
fn nothing_is_put_behind_records_that_no_byte_ends_nor_behind_whole_ones() {
    for (framing, text) in [
        (Framing::Bytes, TEXT),
        (Framing::Fixed(5), TEXT),
        (Framing::Lines, b"one\n"),
        (Framing::Lines, b""),
    ] {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("q");
        let options = SpoolOptions { framing, ..small() };
        ended(&path, &options, text);
        let opened = open(&path, &options);
        assert_eq!(read_from(&opened.spool, 0).bytes(), text, "{framing}");
        assert_eq!(opened.spool.end().at, text.len() as u64);
    }
}

#[test]
fn a_record_that_may_go_on_gets_no_end() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("q");
    let spool = open(&path, &small()).spool;
    append(&spool, b"one\ntw");
    spool.set_place("none", Place::default()).expect("saved");
    drop(spool);
    let spool = open(&path, &small()).spool;
    append(&spool, b"o\n");
    assert_eq!(read_from(&spool, 0).bytes(), b"one\ntwo\n");
}

/// What is on the disk when the end has been written up to some step: of its file, its index and the state.
fn steps(before: &Snapshot, after: &Snapshot, done: &[&str]) -> Snapshot {
    let mut files = before.clone();
    for (file, bytes) in after {
        let name = file.to_string_lossy();
        if done.iter().any(|kind| name.ends_with(kind)) {
            files.insert(file.clone(), bytes.clone());
        }
    }
    files
}

#[test]
fn a_kill_at_any_step_of_it_leaves_one_end() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("q");
    ended(&path, &small(), TEXT);
    let before = snapshot(&path);
    drop(open(&path, &small()));
    let after = snapshot(&path);
    let order = ["stream", "index", "state"];
    for done in 0..=order.len() {
        put_back(&path, &steps(&before, &after, &order[..done]));
        assert_ended(&open(&path, &small()), &format!("{done}"));
        assert_ended(&open(&path, &small()), &format!("{done}, again"));
    }
}

#[test]
fn a_power_cut_at_any_step_of_it_leaves_one_end_and_is_no_damage() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("q");
    ended_by(&path, &small(), TEXT, |spool| {
        assert_eq!(spool.sync_and_find().expect("forced"), []);
    });
    let before = snapshot(&path);
    drop(open(&path, &small()));
    let after = snapshot(&path);
    let other = SpoolOptions {
        boot: Some([8; 16]),
        ..small()
    };
    for done in [&[][..], &["stream"], &["index"], &["stream", "index"]] {
        for is_torn in [false, true] {
            let mut files = steps(&before, &after, done);
            for (file, bytes) in &mut files {
                let is_longer = bytes.len() as u64 == ALL + 1;
                if is_torn && is_longer && file.to_string_lossy().ends_with("stream") {
                    // It has its length, and not what was written.
                    bytes[ALL as usize] = 0;
                }
            }
            put_back(&path, &files);
            let what = format!("{done:?} {is_torn}");
            assert_ended(&open(&path, &other), &what);
            assert_ended(&open(&path, &other), &format!("{what}, again"));
        }
    }
}

#[test]
fn a_disk_that_fails_meanwhile_leaves_one_end_and_one_that_is_full_opens() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("q");
    ended(&path, &small(), TEXT);
    let before = snapshot(&path);
    for error in [Errno::NOSPC, Errno::IO] {
        let mut failed = 0;
        for after in 0..30 {
            put_back(&path, &before);
            faults::fail(error, &[Call::Write, Call::Force], after, 1);
            let opened = Spool::open(&path, &small());
            faults::set(None);
            let what = format!("{error} after {after}");
            match opened {
                Ok(opened) if opened.spool.due_end().is_some() => {
                    assert_eq!(error, Errno::NOSPC);
                    assert_eq!(opened.spool.end(), place(ALL, 2, 5), "{what}");
                    assert_eq!(read_from(&opened.spool, 0).bytes(), TEXT, "{what}");
                }
                Ok(opened) => {
                    // Some of it can wait.
                    assert_ended(&opened, &what);
                    continue;
                }
                Err(_) => {}
            }
            failed += 1;
            assert_ended(&open(&path, &small()), &what);
        }
        assert!(failed > 4, "its steps: {failed}");
    }
}

/// Opens this again on a disk that has no room for one write, after so many.
fn full_after(path: &Path, before: &Snapshot, after: u32) -> Result<Opened, DiskError> {
    put_back(path, before);
    faults::fail(Errno::NOSPC, &[Call::Write], after, 1);
    let opened = Spool::open(path, &small());
    faults::set(None);
    opened
}

/// The end alone would be a record to them.
#[test]
fn where_all_have_the_record_it_opens_with_its_end_or_not_at_all() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("q");
    ended_by(&path, &small(), TEXT, |spool| {
        spool.set_place("none", spool.end()).expect("saved");
    });
    let before = snapshot(&path);
    let mut failed = 0;
    for after in 0..30 {
        let opened = full_after(&path, &before, after);
        let opened = opened.unwrap_or_else(|full| {
            assert!(full.is_full, "{after}: {full}");
            failed += 1;
            open(&path, &small())
        });
        let behind = place(ALL + 1, 3, 0);
        assert_eq!(opened.spool.due_end(), None, "{after}");
        for name in ["all", "none"] {
            assert_eq!(opened.spool.place(name), Some(behind), "{after}: {name}");
        }
    }
    assert!(failed > 1, "its steps: {failed}");
}

#[test]
fn where_all_was_delivered_nothing_is_put_there_and_the_next_record_has_the_next_number() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("q");
    let spool = open(&path, &small()).spool;
    append(&spool, TEXT);
    spool.end_input().expect("saved");
    spool
        .set_place("all", spool.end().between_records())
        .expect("saved");
    spool.close(true, u64::MAX).expect("closed");
    drop(spool);
    let opened = open(&path, &small());
    let behind = place(ALL, 3, 0);
    assert_eq!((opened.spool.end(), opened.oldest), (behind, behind));
    assert_eq!(opened.spool.place("all"), Some(behind));
    append(
        &opened.spool,
        b"four
",
    );
    drop(opened);
    // That it had ended is not due any more.
    let opened = open(&path, &small());
    assert_eq!(opened.spool.end(), place(ALL + 5, 4, 0));
    assert_eq!(opened.spool.place("all"), Some(behind));
    assert_eq!(read_from(&opened.spool, ALL).bytes(), b"four\n");
}

#[test]
fn a_batch_that_was_tried_keeps_its_bytes_and_the_end_behind_it_is_nobodys() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("q");
    let spool = open(&path, &small()).spool;
    append(&spool, TEXT);
    let entry = |tries| Entry {
        number: 1,
        opening: 1,
        tries,
        interrupted: 0,
        is_open: true,
        is_shed: false,
        is_ended: false,
        records: 2,
        place: Place::default(),
        end: ALL,
        begun: 5,
    };
    let begin = |journal: &mut Journal| {
        journal.begin(entry(1));
    };
    spool.change_journal("-", begin).expect("saved");
    spool.end_input().expect("saved");
    drop(spool);
    let before = query(&path).expect("a status");
    assert_eq!((before.bytes, before.records, before.batches), (ALL, 3, 1));
    for _ in 0..3 {
        let spool = open(&path, &small()).spool;
        let journal = spool.journal().expect("a journal");
        let same = Entry {
            is_ended: true,
            ..entry(1)
        };
        assert_eq!(journal.open, [same]);
        assert_eq!(journal.next, place(ALL + 1, 3, 0));
        let status = query(&path).expect("a status");
        assert_eq!((status.bytes, status.records), (ALL, 3));
    }
}

#[test]
fn an_end_that_is_due_is_the_first_that_comes_and_is_not_put_there_again() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("q");
    ended(&path, &small(), TEXT);
    let before = snapshot(&path);
    let due_after = |after| {
        let opened = full_after(&path, &before, after);
        let is_due = |it: &Opened| it.spool.due_end().is_some();
        opened.ok().filter(is_due)
    };
    let opened = (0..30).find_map(due_after);
    let spool = opened.expect("there was no room for it").spool;
    let end = spool.due_end().expect("it is due");
    append(&spool, &[end]);
    assert_eq!(spool.due_end(), None);
    append(&spool, b"four\n");
    spool.set_place("none", Place::default()).expect("saved");
    drop(spool);
    let spool = open(&path, &small()).spool;
    assert_eq!(spool.due_end(), None);
    assert_eq!(
        spool.place("all"),
        Some(place(ALL, 2, 5)),
        "it is owed that end"
    );
    assert_eq!(spool.end(), place(ALL + 6, 4, 0));
    assert_eq!(read_from(&spool, 0).bytes(), b"one\ntwo\nthree\nfour\n");
}
