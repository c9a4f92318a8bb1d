//! How many files are open because they were not forced to the disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::super::format::names;
use super::super::spool::{Spool, SpoolOptions};
use super::super::state::Place;
use super::super::sys::Call;
use super::super::writer::Unsynced;
use super::faults;
use super::{append, lines, open, read_from, small};

/// Segments of this spool whose files are held open.
fn held(spool: &Spool) -> usize {
    let writer = spool.writer();
    let held = |it: &&Unsynced| it.segment.held().is_some();
    writer.unsynced.iter().filter(held).count()
}

fn few() -> SpoolOptions {
    SpoolOptions {
        held_most: 3,
        ..small()
    }
}

/// The next force fails.
fn fails() {
    faults::fail(Errno::IO, &[Call::Force], 0, 1);
}

#[test]
fn no_more_files_are_open_than_may_be_however_much_comes_before_a_sync() {
    let home = tempfile::tempdir().unwrap();
    let text = lines(0, 20_000);
    let spool = open(&home.path().join("q"), &few()).spool;
    for piece in text.chunks(10_000) {
        append(&spool, piece);
        assert!(held(&spool) <= 3);
    }
    assert!(spool.writer().unsynced.len() == 3);
    assert!(read_from(&spool, 0).bytes() == text);
    assert!(spool.sync_and_find().unwrap().is_empty());
    assert_eq!(spool.state().state.synced, text.len() as u64);
    drop(spool);
    let opened = open(&home.path().join("q"), &few());
    assert!(opened.damages.is_empty() && read_from(&opened.spool, 0).bytes() == text);
}

#[test]
fn what_cannot_be_forced_early_stays_open_until_it_is_written_anew() {
    let home = tempfile::tempdir().unwrap();
    let text = lines(0, 20_000);
    let spool = open(&home.path().join("q"), &few()).spool;
    fails();
    append(&spool, &text);
    faults::set(None);
    assert!(spool.writer().unsynced[0].failed.load(Ordering::Acquire));
    assert!(spool.sync_and_find().unwrap().is_empty());
    assert_eq!(held(&spool), 1);
    assert!(read_from(&spool, 0).bytes() == text);
}

/// The system tells one of them alone.
#[test]
fn who_appends_does_not_take_an_error_from_a_sync_that_forces_the_same() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let spool = Arc::new(open(&path, &few()).spool);
    let text = lines(0, 20_000);
    while spool.writer().unsynced.len() < 3 {
        append(&spool, &text[spool.end().at as usize..][..10_000]);
    }
    let before = spool.writer().unsynced.clone();
    let number = |it: &Unsynced| {
        let name = names(it.segment.base()).0;
        fs::metadata(path.join(name)).unwrap().ino()
    };
    let numbers: Vec<u64> = before.iter().map(number).collect();
    let (other, more) = (
        Arc::clone(&spool),
        text[spool.end().at as usize..].to_owned(),
    );
    faults::before(Call::Force, 0, move || {
        fails();
        append(&other, &more[..100_000]);
    });
    assert!(spool.sync_and_find().unwrap().is_empty());
    faults::set(None);
    assert!(!faults::is_to_come());
    let anew: Vec<bool> = (before.iter().zip(numbers))
        .map(|(it, before)| number(it) != before)
        .collect();
    assert_eq!(anew, [false, true, false]);
    assert!(spool.sync_and_find().unwrap().is_empty());
    let end = spool.end().at;
    assert_eq!(spool.state().state.synced, end);
    assert!(read_from(&spool, 0).bytes() == text[..end as usize]);
}

#[test]
fn the_files_of_what_is_given_back_are_closed_at_once() {
    let home = tempfile::tempdir().unwrap();
    let spool = open(&home.path().join("q"), &small()).spool;
    spool.set_place("stdout", Place::default()).unwrap();
    append(&spool, &lines(0, 20_000));
    let before = spool.writer().unsynced.clone();
    assert!(before.len() > 3 && held(&spool) == before.len());
    let at = before[3].segment.base();
    let place = spool.place_at(at).unwrap();
    spool.set_place("stdout", place).unwrap();
    let appends = spool.writer();
    // Somebody appends meanwhile: a list of those that are left cannot be made.
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(spool.release(at).unwrap()));
    });
    drop(appends);
    let open: Vec<bool> = (before.iter())
        .map(|it| it.segment.held().is_some())
        .collect();
    assert_eq!(open[..4], [false, false, false, true]);
}

#[test]
fn what_is_given_back_while_it_is_written_anew_stays_given_back() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let spool = Arc::new(open(&path, &few()).spool);
    spool.set_place("stdout", Place::default()).unwrap();
    append(&spool, &lines(0, 20_000));
    let first = spool.writer().unsynced[0].segment.base();
    let other = Arc::clone(&spool);
    // The copy of the first is being made.
    faults::before(Call::Write, 3, move || {
        other.set_place("stdout", other.end()).unwrap();
        assert!(other.release(u64::MAX).unwrap());
    });
    fails();
    assert!(spool.sync_and_find().unwrap().is_empty());
    faults::set(None);
    assert!(!faults::is_to_come());
    for name in [names(first).0, names(first).1] {
        assert!(!path.join(&name).exists(), "{name}");
        assert!(!path.join(name + ".new").exists());
    }
    assert!(spool.used() <= few().bound, "{}", spool.used());
    let end = spool.end().at;
    let more = lines(20_000, 20_000);
    append(&spool, &more);
    assert!(read_from(&spool, end).bytes() == more);
}

#[test]
fn two_who_sync_at_once_write_anew_one_after_the_other() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = lines(0, 20_000);
    let spool = Arc::new(open(&path, &few()).spool);
    append(&spool, &text);
    let other = Arc::clone(&spool);
    let (ended, end) = std::sync::mpsc::channel();
    // The copy is being made: another one begins, and has time to end.
    faults::before(Call::Write, 3, move || {
        let answer =
            std::thread::spawn(move || other.sync_and_find().map_err(|error| error.to_string()));
        let deadline = Instant::now() + Duration::from_millis(200);
        while !answer.is_finished() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        ended.send(answer).unwrap();
    });
    fails();
    let answer = spool.sync_and_find().map_err(|error| error.to_string());
    faults::set(None);
    assert_eq!(answer, Ok(Vec::new()));
    assert_eq!(end.recv().unwrap().join().unwrap(), Ok(Vec::new()));
    assert!(read_from(&spool, 0).bytes() == text);
    drop(spool);
    let opened = open(&path, &few());
    assert!(opened.damages.is_empty() && read_from(&opened.spool, 0).bytes() == text);
}
