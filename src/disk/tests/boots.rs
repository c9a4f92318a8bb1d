//! After another start of the system only what matches its checksum counts, and what comes then is nobody's rest.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use super::super::damage::Cause;
use super::super::format::names;
use super::super::spool::SpoolOptions;
use super::super::state::Place;
use super::{append, filled_with, flip, lines, open, read_from, roomy, small};

#[test]
fn after_another_start_of_the_system_only_what_matches_counts() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let mut text = lines(0, 22_000);
    // The last line has not come to its end.
    text.truncate(text.len() - 3);
    let spool = open(&path, &roomy()).spool;
    append(&spool, &text[..500_000]);
    spool.sync().unwrap();
    append(&spool, &text[500_000..]);
    spool.set_place("stdout", Place::default()).unwrap();
    drop(spool);
    // The rest was entered, but for 16 KiB or so; one page of it never reached the disk.
    let stream = OpenOptions::new()
        .write(true)
        .open(path.join(names(0).0))
        .unwrap();
    stream.write_all_at(&[0; 4096], 600_000).unwrap();
    let other = SpoolOptions {
        boot: Some([8; 16]),
        ..roomy()
    };
    let opened = open(&path, &other);
    let found: Vec<_> = opened
        .damages
        .iter()
        .map(|d| (d.cause, d.at, d.bytes))
        .collect();
    let (hole, rest) = (500_000, 500_000 + (256 << 10));
    let end = text.len() as u64;
    assert_eq!(
        found,
        [
            (Cause::PowerCut, hole, 256 << 10),
            (Cause::PowerCut, rest, end - rest)
        ]
    );
    assert_eq!(read_from(&opened.spool, 0).bytes(), text[..500_000]);
    let end_of_good = &text[..rest as usize];
    assert!(!end_of_good.ends_with(b"\n"), "it is inside of a line");
    let begun = opened.spool.end().begun;
    assert_eq!(begun, 0, "the rest of that line never comes");
    drop(opened);
    // Nor for one that comes after a kill, be there something new or not.
    let opened = open(&path, &other);
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    assert_eq!(opened.spool.end().begun, 0, "it was settled");
    append(&opened.spool, b"new\n");
    assert_eq!(read_from(&opened.spool, end).bytes(), b"new\n");
    drop(opened);
    let opened = open(&path, &other);
    let story = read_from(&opened.spool, end);
    assert_eq!(story.bytes(), b"new\n");
    assert_eq!(opened.spool.place_at(end).map(|it| it.begun), Some(0));
    drop(opened);
    // It is settled: the next start finds nothing new, and what was entered since matches.
    let next = SpoolOptions {
        boot: Some([9; 16]),
        ..roomy()
    };
    let opened = open(&path, &next);
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    assert_eq!(read_from(&opened.spool, end).bytes(), b"new\n");
}

#[test]
fn after_another_start_of_the_system_a_damaged_record_without_an_end_takes_nothing_new_along() {
    // The last entry, and one in the middle of a record that goes on in others, be they many.
    for (text, at) in [
        (lines(0, 22_000), 790_000),
        ([lines(0, 2), vec![b'x'; 900_000]].concat(), 300_000),
        ([lines(0, 2), vec![b'x'; 6 << 20]].concat(), 300_000),
    ] {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("q");
        let text = filled_with(&path, &roomy(), text[..text.len() - 3].to_vec());
        flip(&path.join(names(0).0), at);
        let other = SpoolOptions {
            boot: Some([8; 16]),
            ..roomy()
        };
        let opened = open(&path, &other);
        let [damage, torn @ ..] = &opened.damages[..] else {
            panic!("nothing was found")
        };
        let from = at / (256 << 10) * (256 << 10);
        assert_eq!((damage.cause, damage.at), (Cause::Checksum, from));
        assert!(damage.aside.is_some() && opened.spool.is_damaged());
        assert!(torn.iter().all(|it| it.cause == Cause::Torn), "{torn:?}");
        let lost: u64 = opened.damages.iter().map(|it| it.bytes).sum();
        assert_eq!(from + lost, text.len() as u64, "all of that record");
        append(&opened.spool, b"new\n");
        let end = text.len() as u64;
        drop(opened);
        // What is new is nobody's rest, for whoever comes next, too.
        let opened = open(&path, &other);
        assert!(opened.damages.is_empty(), "{:?}", opened.damages);
        assert_eq!(opened.spool.place_at(end).map(|it| it.begun), Some(0));
        assert_eq!(read_from(&opened.spool, end).bytes(), b"new\n");
        assert_eq!(read_from(&opened.spool, 0).lost(), lost);
    }
}

#[test]
fn after_another_start_of_the_system_a_record_without_an_end_is_looked_at_in_all_its_segments() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    // Segments of 64 KiB: the third one is hurt, and the record begins in the second.
    let options = small();
    let text = filled_with(
        &path,
        &options,
        [lines(0, 2000), vec![b'x'; 300_000]].concat(),
    );
    flip(&path.join(names(2 * 65536).0), 100);
    let other = SpoolOptions {
        boot: Some([8; 16]),
        ..options
    };
    let opened = open(&path, &other);
    let lost: u64 = opened.damages.iter().map(|it| it.bytes).sum();
    assert_eq!(lost, text.len() as u64 - 2 * 65536, "{:?}", opened.damages);
    assert_eq!(opened.spool.end().begun, 0, "what comes begins a record");
    append(&opened.spool, b"new\n");
    drop(opened);
    let opened = open(&path, &other);
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    let end = text.len() as u64;
    assert_eq!(opened.spool.place_at(end).map(|it| it.begun), Some(0));
    assert_eq!(read_from(&opened.spool, end).bytes(), b"new\n");
}

#[test]
fn after_another_start_of_the_system_a_whole_record_before_one_without_an_end_costs_itself() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    // 256 KiB of lines, and a record that begins with the second entry.
    let mut text = lines(0, 8_000);
    text.truncate(256 << 10);
    *text.last_mut().unwrap() = b'\n';
    text.extend_from_slice(b"begun");
    let text = filled_with(&path, &roomy(), text);
    flip(&path.join(names(0).0), 1000);
    let other = SpoolOptions {
        boot: Some([8; 16]),
        ..roomy()
    };
    let opened = open(&path, &other);
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    assert_eq!(opened.spool.end().begun, 5);
    assert_eq!(read_from(&opened.spool, 0).bytes(), text[256 << 10..]);
}

#[test]
fn a_system_that_does_not_tell_its_starts_apart_is_taken_to_have_been_started_anew() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let options = SpoolOptions {
        boot: None,
        ..roomy()
    };
    let spool = open(&path, &options).spool;
    append(&spool, b"one\n");
    spool.sync().unwrap();
    append(&spool, b"two\n");
    drop(spool);
    let opened = open(&path, &options);
    assert_eq!(opened.damages.len(), 1);
    assert_eq!(read_from(&opened.spool, 0).bytes(), b"one\n");
}
