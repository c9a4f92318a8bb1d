//! What a full disk kept out of the index: it was forced to the disk all the same, and is there after a power cut.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::super::damage::Cause;
use super::super::format::{ROW, names};
use super::super::segments::Appended;
use super::super::spool::{Spool, SpoolOptions};
use super::super::sys::Call;
use super::faults;
use super::{NOW, append, open, owed, read_from, small};

/// The next entry finds no room, once.
fn no_room_for_an_entry() {
    faults::fail(Errno::NOSPC, &[Call::Write], 0, 1);
}

fn other_boot(boot: u8) -> SpoolOptions {
    SpoolOptions {
        boot: Some([boot; 16]),
        ..small()
    }
}

/// A line, which was forced to the disk and has no entry.
fn unentered(path: &Path) -> Spool {
    let spool = owed(path, b"one\n");
    no_room_for_an_entry();
    assert_eq!(spool.sync_and_find().unwrap(), []);
    faults::set(None);
    spool
}

/// Two lines more, in an entry each that no sync has covered.
fn append_two(spool: &Spool) {
    append(spool, b"two\n");
    let later = NOW + 2_000_000_000;
    let appended = spool.append_some(b"three\n", later).unwrap();
    assert_eq!(appended, Appended::Bytes(6));
}

/// Overwrites so many bytes there, as if they had not come to the disk.
fn zero(file: &Path, at: u64, bytes: usize) {
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&vec![0; bytes], at).unwrap();
}

/// Where the files begin that are not known to be on the disk.
fn unsynced(spool: &Spool) -> Vec<u64> {
    let writer = spool.writer();
    writer.unsynced.iter().map(|it| it.segment.base()).collect()
}

/// All of it is there, was checked, and nothing is said.
fn assert_whole(path: &Path, options: &SpoolOptions, text: &[u8]) {
    let opened = open(path, options);
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    let story = read_from(&opened.spool, 0);
    assert_eq!(story.bytes(), text);
    assert!(story.gaps.is_empty() && story.unchecked.is_empty());
    let end = opened.spool.end();
    let lines = text.iter().filter(|it| **it == b'\n').count() as u64;
    assert_eq!((end.at, end.record), (text.len() as u64, lines));
}

#[test]
fn what_a_full_disk_kept_out_of_the_index_at_the_end_is_there_after_a_power_cut() {
    let home = tempfile::tempdir().unwrap();
    for is_closed in [false, true] {
        let path = home.path().join(is_closed.to_string());
        let spool = owed(&path, b"one\ntw");
        no_room_for_an_entry();
        match is_closed {
            true => spool.close(false, u64::MAX).unwrap(),
            false => spool.sync().unwrap(),
        }
        faults::set(None);
        assert_eq!(spool.take_found(), []);
        drop(spool);
        let index = path.join(names(0).1);
        assert_eq!(fs::metadata(&index).unwrap().len(), ROW as u64);
        assert_whole(&path, &other_boot(8), b"one\ntw");
        // It has its entry from then on.
        assert_eq!(fs::metadata(&index).unwrap().len(), 2 * ROW as u64);
        assert_whole(&path, &other_boot(9), b"one\ntw");
    }
}

#[test]
fn what_is_entered_at_the_next_opening_is_forced_there_before_more_than_that_counts_as_forced() {
    let home = tempfile::tempdir().unwrap();
    for is_synced in [false, true] {
        let path = home.path().join(is_synced.to_string());
        let spool = owed(&path, b"one\n");
        no_room_for_an_entry();
        spool.close(false, u64::MAX).unwrap();
        faults::set(None);
        assert_eq!(spool.take_found(), []);
        drop(spool);
        let index = path.join(names(0).1);
        let before = fs::read(&index).unwrap();
        let spool = open(&path, &small()).spool;
        append(&spool, b"two\n");
        let is_held = |spool: &Spool| unsynced(spool).contains(&0);
        assert!(is_held(&spool), "its new entry is not on the disk yet");
        if is_synced {
            assert_eq!(spool.sync_and_find().unwrap(), []);
            assert!(!is_held(&spool));
            drop(spool);
            assert_whole(&path, &other_boot(8), b"one\ntwo\n");
            continue;
        }
        drop(spool);
        // The entry has not come there; what came behind it has.
        fs::write(&index, before).unwrap();
        let opened = open(&path, &other_boot(8));
        assert_eq!(opened.damages.len(), 1, "{:?}", opened.damages);
        assert_eq!(opened.damages[0].at, 4, "what no sync has covered");
        let story = read_from(&opened.spool, 0);
        assert_eq!(story.bytes(), b"one\n");
        assert!(story.unchecked.is_empty());
    }
}

#[test]
fn what_comes_behind_it_has_an_entry_of_its_own_and_does_not_take_it_along() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let spool = unentered(&path);
    // While there is no room for that, nothing comes behind it.
    no_room_for_an_entry();
    let full = spool.append_some(b"two\n", NOW).unwrap();
    assert!(matches!(full, Appended::Full(_)), "{full:?}");
    faults::set(None);
    append_two(&spool);
    drop(spool);
    // What no sync has covered is not on the disk.
    zero(&path.join(names(0).0), 4, 10);
    let opened = open(&path, &other_boot(8));
    assert!(
        opened
            .damages
            .iter()
            .all(|it| it.cause == Cause::PowerCut && it.at >= 4)
    );
    let story = read_from(&opened.spool, 0);
    assert_eq!((story.bytes(), story.lost()), (b"one\n".to_vec(), 10));
}

#[test]
fn where_its_entry_did_not_come_there_and_those_behind_it_did_it_is_delivered_and_said_to_be_unchecked()
 {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let spool = unentered(&path);
    append_two(&spool);
    drop(spool);
    zero(&path.join(names(0).1), ROW as u64, ROW);
    let opened = open(&path, &other_boot(8));
    let found: Vec<_> = opened
        .damages
        .iter()
        .map(|it| (it.cause, it.at, it.bytes))
        .collect();
    assert_eq!(found, [(Cause::Index, 0, 4), (Cause::PowerCut, 8, 6)]);
    let story = read_from(&opened.spool, 0);
    assert_eq!((story.bytes(), story.lost()), (b"one\ntwo\n".to_vec(), 6));
    assert_eq!(opened.spool.place_at(4).map(|it| it.record), Some(1));
}

#[test]
fn what_was_moved_from_a_pipe_and_not_read_back_is_not_entered_with_what_was_forced_there() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    drop(unentered(&path));
    // Killed when that had been moved there.
    let stream = path.join(names(0).0);
    fs::write(&stream, b"one\ntwo\n").unwrap();
    drop(open(&path, &small()));
    fs::write(&stream, b"one\n\0\0\0\0").unwrap();
    let opened = open(&path, &other_boot(8));
    let story = read_from(&opened.spool, 0);
    assert_eq!((story.bytes(), story.lost()), (b"one\n".to_vec(), 4));
}

#[test]
fn what_a_failed_sync_covered_is_not_written_anew_unchecked() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let spool = owed(&path, b"one\n");
    let failed = spool.writer().unsynced[0].failed.clone();
    failed.store(true, Ordering::Release);
    // Its entry has no room, and the disk does not take it: nothing says whether what is read back is what was written.
    no_room_for_an_entry();
    let said = spool.close(false, u64::MAX).unwrap_err().to_string();
    faults::set(None);
    assert!(said.contains("no room for the index"), "{said}");
    drop(spool);
    assert_whole(&path, &small(), b"one\n");
}

#[test]
fn an_index_that_is_forced_before_its_last_entry_is_made_is_forced_again() {
    let home = tempfile::tempdir().unwrap();
    // As much as goes into one file.
    let spool = owed(&home.path().join("first"), b"");
    while spool.writer().unsynced.len() < 2 {
        append(&spool, b"a line of it\n");
    }
    let full = spool.writer().unsynced[0].segment.end();
    drop(spool);
    let spool = Arc::new(owed(&home.path().join("q"), &vec![b'x'; full as usize]));
    assert_eq!(spool.writer().unsynced.len(), 1);
    no_room_for_an_entry();
    // The stream and its index are forced; then there is room, and another file is begun.
    let other = Arc::clone(&spool);
    faults::before(Call::Force, 2, move || append(&other, b"more\n"));
    assert_eq!(spool.sync_and_find().unwrap(), []);
    faults::set(None);
    assert!(!faults::is_to_come());
    assert_eq!(unsynced(&spool), [0, full]);
    assert_eq!(spool.sync_and_find().unwrap(), []);
    assert_eq!(unsynced(&spool), [full]);
}
