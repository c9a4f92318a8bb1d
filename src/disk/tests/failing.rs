//! A disk that fails for a moment: what is in a spool stays there, and it is gone on with.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::super::format::{ENTRY_MOST, names};
use super::super::reader::Cursor;
use super::super::room::Full;
use super::super::segments::Appended;
use super::super::state::Place;
use super::super::sys::Call;
use super::super::writer::Unsynced;
use super::faults::{self, fail};
use super::{NOW, append, lines, open, owed, read_from, small};

fn files(path: &Path) -> usize {
    fs::read_dir(path).unwrap().count()
}

#[test]
fn what_could_not_be_given_back_is_with_the_next_that_can() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    for after in 0..6 {
        let text = lines(0, 8000);
        let spool = owed(&path, &text);
        spool.set_place("stdout", spool.end()).unwrap();
        fail(Errno::ROFS, &[Call::Name], after, u32::MAX);
        assert!(spool.release(u64::MAX).is_err(), "{after}");
        faults::set(None);
        assert!(spool.release(u64::MAX).unwrap(), "{after}");
        assert!(spool.used() < 150_000, "{after}: {}", spool.used());
        spool.close(false, u64::MAX).unwrap();
        assert_eq!(files(&path), 2, "the state and the lock");
    }
}

#[test]
fn what_is_not_saved_gives_nothing_back() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = lines(0, 8000);
    let spool = owed(&path, &text);
    let before = files(&path);
    fail(Errno::IO, &[Call::Write], 0, u32::MAX);
    assert!(spool.set_place("stdout", spool.end()).is_err());
    assert!(spool.release(u64::MAX).is_err());
    assert_eq!(files(&path), before);
    faults::set(None);
    drop(spool);
    let opened = open(&path, &small());
    let place = opened.spool.place("stdout").unwrap();
    assert_eq!(place, Place::default(), "as it was saved");
    assert!(read_from(&opened.spool, 0).bytes() == text);
}

#[test]
fn what_was_taken_from_a_pipe_and_cannot_be_read_back_at_once_is_read_back_before_more_is_taken() {
    let home = tempfile::tempdir().unwrap();
    for is_killed in [false, true] {
        let path = home.path().join(is_killed.to_string());
        let spool = owed(&path, b"before\n");
        let (read, write) = rustix::pipe::pipe().unwrap();
        let mut buffer = vec![0; 1000];
        rustix::io::write(&write, b"taken\n").unwrap();
        fail(Errno::IO, &[Call::Read], 0, 2);
        for _ in 0..2 {
            assert!(spool.append_pipe(read.as_fd(), &mut buffer, NOW).is_err());
        }
        assert!(
            spool.append_some(b"other\n", NOW).is_err(),
            "nothing goes over them"
        );
        assert!(spool.close(false, u64::MAX).is_err());
        rustix::io::write(&write, b"next\n").unwrap();
        if is_killed {
            drop(spool);
            let opened = open(&path, &small());
            assert_eq!(read_from(&opened.spool, 0).bytes(), b"before\ntaken\n");
            continue;
        }
        for text in [&b"taken\n"[..], b"next\n"] {
            let taken = spool.append_pipe(read.as_fd(), &mut buffer, NOW).unwrap();
            assert_eq!(taken, Appended::Bytes(text.len()));
            assert_eq!(&buffer[..text.len()], text);
        }
        assert_eq!(read_from(&spool, 0).bytes(), b"before\ntaken\nnext\n");
    }
}

#[test]
fn a_segment_that_could_not_be_begun_is_begun_when_the_disk_works_again() {
    let home = tempfile::tempdir().unwrap();
    for calls in [
        &[Call::Name][..],
        &[Call::Write, Call::Name],
        &[Call::Room, Call::Name],
    ] {
        for after in 0..5 {
            let path = home.path().join(format!("{}-{calls:?}", after));
            let spool = open(&path, &small()).spool;
            fail(Errno::ROFS, calls, after, u32::MAX);
            let taken = spool.append_some(b"a line\n", NOW);
            faults::set(None);
            match taken {
                Ok(Appended::Bytes(n)) => assert_eq!(n, 7),
                _ => append(&spool, b"a line\n"),
            }
            assert_eq!(
                read_from(&spool, 0).bytes(),
                b"a line\n",
                "{calls:?} {after}"
            );
            assert!(spool.sync_and_find().unwrap().is_empty());
        }
    }
}

#[test]
fn a_directory_that_is_moved_away_and_back_is_the_same() {
    let home = tempfile::tempdir().unwrap();
    let (path, away) = (home.path().join("q"), home.path().join("away"));
    let text = lines(0, 8000);
    let spool = owed(&path, &text);
    fs::rename(&path, &away).unwrap();
    assert!(read_from(&spool, 0).bytes() == text);
    // What could not be forced to the disk is written anew there, too.
    let unsynced = spool.writer().unsynced.clone();
    unsynced
        .iter()
        .for_each(|it| it.failed.store(true, Ordering::Release));
    assert!(spool.sync_and_find().unwrap().is_empty());
    assert!(
        spool
            .writer()
            .unsynced
            .iter()
            .all(|it| !it.failed.load(Ordering::Acquire))
    );
    assert_eq!(spool.state().state.synced, text.len() as u64);
    fs::rename(&away, &path).unwrap();
    append(&spool, b"new\n");
    drop(spool);
    let opened = open(&path, &small());
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    assert!(read_from(&opened.spool, 0).bytes() == [&text[..], b"new\n"].concat());
}

#[test]
fn what_nobody_holds_open_is_read_where_the_directory_went() {
    let home = tempfile::tempdir().unwrap();
    let (path, away) = (home.path().join("q"), home.path().join("away"));
    let text = lines(0, 8000);
    let spool = owed(&path, &text);
    // Now only the last segment is open.
    assert!(spool.sync_and_find().unwrap().is_empty());
    let entries = spool.segments.at(0).map(|first| first.len()).unwrap();
    fs::rename(&path, &away).unwrap();
    let story = read_from(&spool, 0);
    assert!(story.bytes() == text && story.unchecked.is_empty());
    assert!(!spool.is_damaged());
    // What tells where records begin is found there, too.
    assert!(spool.place_at(entries).is_some_and(|it| it.record > 0));
}

#[test]
fn what_could_not_be_forced_to_the_disk_is_written_anew_where_the_directory_went() {
    let home = tempfile::tempdir().unwrap();
    let (path, away) = (home.path().join("q"), home.path().join("away"));
    let text = lines(0, 8000);
    let spool = owed(&path, &text);
    let unsynced = spool.writer().unsynced.clone();
    assert!(unsynced.len() > 1);
    let number = |it: &Unsynced| {
        let name = names(it.segment.base()).0;
        fs::metadata(away.join(name)).unwrap().ino()
    };
    fs::rename(&path, &away).unwrap();
    let before: Vec<_> = unsynced.iter().map(number).collect();
    for it in &unsynced {
        it.failed.store(true, Ordering::Release);
    }
    assert!(spool.sync_and_find().unwrap().is_empty());
    let anew = unsynced.iter().zip(before);
    let same = anew.filter(|(it, before)| number(it) == *before).count();
    assert_eq!(
        same, 0,
        "files that a sync has failed for are not used again"
    );
    assert!(!path.exists());
    drop((spool, unsynced));
    assert!(read_from(&open(&away, &small()).spool, 0).bytes() == text);
}

#[test]
fn a_segment_that_cannot_be_opened_for_now_is_not_lost() {
    let home = tempfile::tempdir().unwrap();
    for is_synced in [false, true] {
        let path = home.path().join(is_synced.to_string());
        let text = lines(0, 8000);
        let spool = owed(&path, &text);
        if is_synced {
            // Nobody holds the stream open, either.
            spool.sync().unwrap();
        }
        for error in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO] {
            if !is_synced && error == Errno::IO {
                // An index that the disk cannot read is done without.
                continue;
            }
            fail(error, &[Call::Read, Call::Name], 0, u32::MAX);
            let mut buffer = vec![0; ENTRY_MOST];
            let read = spool.read(&mut Cursor::new(0), &mut buffer);
            faults::set(None);
            let said = read.unwrap_err().to_string();
            assert_eq!(said.lines().count(), 1, "{said}");
        }
        assert!(read_from(&spool, 0).bytes() == text);
        assert!(!spool.is_damaged());
    }
}

#[test]
fn where_the_disk_does_not_take_what_it_had_room_for_it_is_asked_for_room_again() {
    let home = tempfile::tempdir().unwrap();
    let spool = owed(&home.path().join("q"), b"first\n");
    let used = spool.used();
    fail(Errno::NOSPC, &[Call::Write], 0, 1);
    assert_eq!(spool.append(b"second\n", NOW).unwrap(), Err(Full::Disk));
    fail(Errno::NOSPC, &[Call::Room], 0, u32::MAX);
    assert_eq!(spool.room_for(7, NOW).unwrap(), Err(Full::Disk));
    faults::set(None);
    append(&spool, b"second\n");
    let story = read_from(&spool, 0);
    assert_eq!(story.bytes(), b"first\nsecond\n");
    assert!(
        spool.used() <= used + (1 << 20),
        "{used} and {}",
        spool.used()
    );
}

#[test]
fn of_what_there_is_no_room_for_in_one_piece_the_first_is_appended() {
    let home = tempfile::tempdir().unwrap();
    let spool = open(&home.path().join("q"), &small()).spool;
    let text = lines(0, 300_000);
    let most = spool.room_for(text.len(), NOW).unwrap().unwrap();
    assert!(most < text.len());
    assert_eq!(spool.append(&text, NOW).unwrap(), Ok(0..most as u64));
    assert_eq!(spool.end().at, most as u64);
}

#[test]
fn room_of_a_segment_of_which_nothing_came_is_given_back_also_where_the_disk_fails_at_its_end() {
    let home = tempfile::tempdir().unwrap();
    // Whether nothing has come, and how much is used when something has.
    let used = |name: String, faults: Option<(&[Call], u32)>| {
        let spool = open(&home.path().join(name), &small()).spool;
        if let Some((calls, after)) = faults {
            fail(Errno::IO, calls, after, u32::MAX);
            for _ in 0..2 {
                let _ = spool.append_some(b"a line\n", NOW);
            }
            faults::set(None);
        }
        let is_empty = spool.end().at == 0;
        append(&spool, b"a line\n");
        (is_empty, spool.used())
    };
    let undisturbed = used("undisturbed".to_owned(), None);
    for calls in [&[Call::Write][..], &[Call::Write, Call::Name]] {
        let mut tried = 0;
        for after in 0..6 {
            let disturbed = used(format!("{calls:?}{after}"), Some((calls, after)));
            if disturbed.0 {
                assert_eq!(disturbed, undisturbed, "{calls:?} {after}");
                tried += 1;
            }
        }
        assert!(tried > 1, "{calls:?}: {tried}");
    }
}
