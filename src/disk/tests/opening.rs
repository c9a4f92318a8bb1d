//! A spool in ordinary use: what is left is there again, in order, under the same numbers.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;

use super::super::format::Framing;
use super::super::query::query;
use super::super::room::Full;
use super::super::segments::Appended;
use super::super::spool::{Spool, SpoolOptions};
use super::super::state::Place;
use super::{NOW, append, lines, open, read_from, roomy, small};

#[test]
fn what_was_appended_is_read_back_in_the_same_run_and_in_the_next() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = lines(0, 20_000);
    let spool = open(&path, &small()).spool;
    append(&spool, &text);
    assert_eq!(read_from(&spool, 0).bytes(), text);
    spool
        .set_place(
            "stdout",
            Place {
                at: 36,
                record: 1,
                begun: 0,
            },
        )
        .unwrap();
    spool.close(false, u64::MAX).unwrap();
    drop(spool);

    let opened = open(&path, &small());
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    assert_eq!(opened.oldest, Place::default());
    let place = opened.spool.place("stdout").unwrap();
    assert_eq!(
        place,
        Place {
            at: 36,
            record: 1,
            begun: 0
        }
    );
    assert_eq!(opened.spool.place("a tee"), None);
    assert_eq!(opened.spool.end().record, 20_000);
    assert_eq!(read_from(&opened.spool, 36).bytes(), text[36..]);
}

#[test]
fn the_segments_are_the_stream_for_cat() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = lines(0, 5_000);
    let spool = open(&path, &small()).spool;
    append(&spool, &text);
    let mut names: Vec<_> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "stream"))
        .collect();
    names.sort();
    assert!(names.len() > 2);
    let all: Vec<u8> = names.iter().flat_map(|p| fs::read(p).unwrap()).collect();
    assert_eq!(all, text);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let mode = fs::metadata(&names[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_pipe_is_spliced_and_what_came_is_in_the_buffer_too() {
    let home = tempfile::tempdir().unwrap();
    let spool = open(&home.path().join("q"), &small()).spool;
    let (read, write) = rustix::pipe::pipe().unwrap();
    let mut buffer = vec![0; 100];
    assert_eq!(
        spool.append_pipe(read.as_fd(), &mut buffer, NOW).unwrap(),
        Appended::Empty
    );
    rustix::io::write(&write, b"one\ntwo\n").unwrap();
    assert_eq!(
        spool.append_pipe(read.as_fd(), &mut buffer, NOW).unwrap(),
        Appended::Bytes(8)
    );
    assert_eq!(&buffer[..8], b"one\ntwo\n");
    drop(write);
    assert_eq!(
        spool.append_pipe(read.as_fd(), &mut buffer, NOW).unwrap(),
        Appended::End
    );
    assert_eq!(read_from(&spool, 0).bytes(), b"one\ntwo\n");
    assert_eq!(
        spool.end(),
        Place {
            at: 8,
            record: 2,
            begun: 0
        }
    );
}

#[test]
fn a_second_weir_is_refused_with_the_pid_of_the_first() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let first = open(&path, &small());
    let error = Spool::open(&path, &small()).unwrap_err().to_string();
    assert!(
        error.contains(&format!("weir {} is using it", std::process::id())),
        "{error}"
    );
    assert_eq!(query(&path).unwrap().owner, Some(std::process::id()));
    drop(first);
    assert_eq!(query(&path).unwrap().owner, None);
    open(&path, &small());
}

#[test]
fn a_spool_that_all_have_read_is_empty_after_its_end_and_counts_on() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    for run in 0..3 {
        let spool = open(&path, &small()).spool;
        let start = spool.end();
        assert_eq!(
            start,
            Place {
                at: run * 8,
                record: run * 2,
                begun: 0,
            }
        );
        append(&spool, b"one\ntwo\n");
        let end = spool.end();
        spool.set_place("stdout", end).unwrap();
        spool.close(false, u64::MAX).unwrap();
        let status = query(&path).unwrap();
        assert_eq!((status.bytes, status.records, status.disk), (0, 0, 0));
        assert!(status.problems.is_empty(), "{:?}", status.problems);
    }
}

#[test]
fn a_record_that_one_run_left_unended_goes_on_in_the_next() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    for (framing, piece, (record, begun)) in [
        (Framing::Lines, &b"one\nha"[..], (1, 2)),
        (Framing::Zero, b"one\0ha", (1, 2)),
        (Framing::Fixed(4), b"one.ha", (1, 2)),
        (Framing::Bytes, b"one\nha", (0, 0)),
    ] {
        let options = SpoolOptions { framing, ..small() };
        let path = path.with_extension(format!("{record}{piece:?}"));
        let spool = open(&path, &options).spool;
        append(&spool, piece);
        let place = Place {
            at: 6,
            record,
            begun,
        };
        assert_eq!(spool.end(), place, "{framing}");
        drop(spool);
        let spool = open(&path, &options).spool;
        assert_eq!(spool.end(), place, "{framing}, opened again");
        // One that ends in order, with all delivered, leaves no record begun.
        spool.set_place("stdout", place).unwrap();
        spool.close(true, u64::MAX).unwrap();
        drop(spool);
        let end = open(&path, &options).spool.end();
        assert_eq!(end.record, record + u64::from(begun > 0), "{framing}");
        assert_eq!((end.at, end.begun), (6, 0), "{framing}");
    }
}

#[test]
fn the_end_of_the_records_is_right_wherever_the_kill_came() {
    let home = tempfile::tempdir().unwrap();
    for (n, framing) in [Framing::Lines, Framing::Fixed(7), Framing::Fixed(100_000)]
        .into_iter()
        .enumerate()
    {
        let path = home.path().join(n.to_string());
        let options = SpoolOptions { framing, ..small() };
        let text = lines(0, 4_000);
        let spool = open(&path, &options).spool;
        for piece in text.chunks(7_777) {
            append(&spool, piece);
        }
        let whole = spool.end();
        drop(spool);
        let spool = open(&path, &options).spool;
        assert_eq!(spool.end(), whole, "{framing}");
    }
}

#[test]
fn other_framing_is_refused_while_something_is_owed_and_fine_afterwards() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let spool = open(&path, &small()).spool;
    append(&spool, b"one\n");
    drop(spool);
    let other = SpoolOptions {
        framing: Framing::Zero,
        ..small()
    };
    let error = Spool::open(&path, &other).unwrap_err().to_string();
    assert!(
        error.contains("4 bytes that were written with --lines, not with --null"),
        "{error}"
    );
    let spool = open(&path, &small()).spool;
    spool.set_place("stdout", spool.end()).unwrap();
    drop(spool);
    open(&path, &other);
}

#[test]
fn another_size_is_fine_even_one_that_is_too_small_for_what_is_there() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = lines(0, 60_000);
    let spool = open(&path, &roomy()).spool;
    append(&spool, &text);
    drop(spool);
    let spool = open(&path, &small()).spool;
    assert_eq!(
        spool.append_some(b"more\n", NOW).unwrap(),
        Appended::Full(Full::Bound)
    );
    assert_eq!(read_from(&spool, 0).bytes(), text);
    spool.set_place("stdout", spool.end()).unwrap();
    spool.release(u64::MAX).unwrap();
    append(&spool, b"more\n");
    assert_eq!(read_from(&spool, text.len() as u64).bytes(), b"more\n");
}

#[test]
fn a_directory_with_other_things_in_it_is_not_taken_for_a_spool() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("lost+found")).unwrap();
    drop(open(home.path(), &small()));
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("letter.txt"), "dear").unwrap();
    let error = Spool::open(home.path(), &small()).unwrap_err().to_string();
    assert!(
        error.contains("is not a spool, and holds letter.txt"),
        "{error}"
    );
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    let error = Spool::open(&home.path().join("letter.txt"), &small()).unwrap_err();
    assert!(error.to_string().contains("letter.txt"), "{error}");
    let missing = home.path().join("no/such/place");
    let error = Spool::open(&missing, &small()).unwrap_err().to_string();
    assert!(
        error.contains("make the spool") && error.lines().count() == 1,
        "{error}"
    );
}

#[test]
fn a_query_tells_what_lies_there_beside_a_weir_and_without_one() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    assert!(query(&path).is_err());
    let spool = open(&path, &small()).spool;
    append(&spool, &lines(0, 5_000));
    spool.append_some(b"later\n", NOW + 5_000_000_000).unwrap();
    spool
        .set_place(
            "stdout",
            Place {
                at: 36,
                record: 1,
                begun: 0,
            },
        )
        .unwrap();
    spool
        .set_place(
            "copy",
            Place {
                at: 360,
                record: 10,
                begun: 0,
            },
        )
        .unwrap();
    let check = |owner| {
        let status = query(&path).unwrap();
        assert_eq!(status.bytes, 5_000 * 36 + 6 - 36);
        assert_eq!(status.records, 5_000);
        assert_eq!(status.oldest, Some(NOW));
        assert_eq!(status.owner, owner);
        assert!(status.problems.is_empty(), "{:?}", status.problems);
    };
    check(Some(std::process::id()));
    drop(spool);
    check(None);
}

#[test]
fn a_clock_that_was_set_back_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let spool = open(&path, &small()).spool;
    for step in 0..50 {
        spool
            .append_some(b"tick\n", NOW - step * 3_600_000_000_000)
            .unwrap();
    }
    spool.append_some(b"tock\n", 0).unwrap();
    spool.append_some(b"tock\n", u64::MAX).unwrap();
    drop(spool);
    let opened = open(&path, &small());
    assert!(opened.damages.is_empty());
    assert_eq!(read_from(&opened.spool, 0).bytes().len(), 52 * 5);
    assert_eq!(opened.spool.end().record, 52);
    assert_eq!(query(&path).unwrap().oldest, Some(NOW));
}
