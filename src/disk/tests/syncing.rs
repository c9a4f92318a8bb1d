//! When a sync is due, what it covers, and what a failed one means.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::super::damage::Cause;
use super::super::format::{Read, names};
use super::super::schedule::{Policy, Schedule};
use super::super::spool::{Spool, SpoolOptions};
use super::super::state::{Place, SLOT, State};
use super::super::sync::Syncer;
use super::super::sys::Call;
use super::faults;
use super::{append, lines, open, read_from, roomy, small};

/// After so many calls that force something to the disk, so many fail.
fn fails(after: u32, times: u32) {
    faults::fail(Errno::IO, &[Call::Force], after, times);
}

#[test]
fn a_sync_is_due_a_period_after_the_first_change_that_none_covers() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut schedule = Schedule::new(Policy::Within(Duration::from_millis(500)));
    assert_eq!(schedule.due(), None);
    assert!(schedule.changed(|| at(100)));
    assert!(!schedule.changed(|| at(200)));
    assert_eq!(schedule.due(), Some(at(600)));
    schedule.begun();
    assert_eq!(schedule.due(), None);
    assert!(
        schedule.changed(|| at(650)),
        "not covered by a sync that had begun"
    );
    assert_eq!(schedule.due(), Some(at(1150)));
    for policy in [Policy::Always, Policy::Off] {
        let mut schedule = Schedule::new(policy);
        assert!(!schedule.changed(|| at(0)));
        assert_eq!(schedule.due(), None);
    }
}

#[test]
fn the_thread_syncs_what_has_changed_without_being_asked() {
    let home = tempfile::tempdir().unwrap();
    let options = SpoolOptions {
        policy: Policy::Within(Duration::from_millis(1)),
        ..small()
    };
    let spool = Arc::new(open(&home.path().join("q"), &options).spool);
    let syncer = Syncer::start(Arc::clone(&spool), |found, said| {
        assert!(found.is_empty() && said.is_none(), "{found:?} {said:?}");
    })
    .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    for round in 1..4u64 {
        append(&spool, b"0123456789");
        while spool.state().state.synced < round * 10 {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
    }
    drop(syncer);
}

#[test]
fn always_has_it_on_the_disk_before_it_is_taken_and_off_never_asks() {
    let home = tempfile::tempdir().unwrap();
    for (policy, has_thread, synced) in [
        (Policy::Always, false, 10),
        (Policy::Always, true, 10),
        (Policy::Off, true, 0),
    ] {
        let path = home.path().join(format!("{policy:?} {has_thread}"));
        let options = SpoolOptions { policy, ..small() };
        let spool = Arc::new(open(&path, &options).spool);
        let syncer =
            has_thread.then(|| Syncer::start(Arc::clone(&spool), |_, _| ()).expect("a thread"));
        append(&spool, b"0123456789");
        assert_eq!(spool.state().state.synced, synced);
        drop(syncer);
        spool.close(false, u64::MAX).unwrap();
        assert_eq!(spool.state().state.synced, synced);
    }
}

#[test]
fn whoever_waits_for_a_disk_that_does_not_answer_goes_on_when_the_run_is_over_or_there_is_no_more_time()
 {
    let home = tempfile::tempdir().unwrap();
    for why in ["over", "hurry"] {
        let options = SpoolOptions {
            policy: Policy::Always,
            ..small()
        };
        let spool = Arc::new(open(&home.path().join(why), &options).spool);
        let syncer = Syncer::start(Arc::clone(&spool), |_, _| ()).unwrap();
        spool.while_disk_hangs(|| {
            let (say, said) = std::sync::mpsc::channel();
            let other = Arc::clone(&spool);
            std::thread::spawn(move || {
                append(&other, b"a line\n");
                say.send(()).unwrap();
            });
            let early = said.recv_timeout(Duration::from_millis(50));
            assert!(early.is_err(), "it is not on the disk");
            match why {
                "over" => spool.ends(),
                _ => spool.hurry(),
            }
            let at_last = said.recv_timeout(Duration::from_secs(20));
            at_last.unwrap_or_else(|_| panic!("{why}: it goes on waiting"));
        });
        drop(syncer);
    }
}

#[test]
fn what_comes_of_a_sync_that_somebody_waits_for_is_told_by_the_thread_before_they_go_on() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let options = SpoolOptions {
        policy: Policy::Always,
        ..small()
    };
    let spool = Arc::new(open(&path, &options).spool);
    let (say, said) = std::sync::mpsc::channel();
    let report = move |found: Vec<_>, failure: Option<_>| {
        if failure.is_some() || !found.is_empty() {
            say.send((found, failure)).unwrap();
        }
    };
    let syncer = Syncer::start(Arc::clone(&spool), report).unwrap();
    append(&spool, b"a line\n");
    let failed = spool.writer().unsynced[0].failed.clone();
    failed.store(true, std::sync::atomic::Ordering::Release);
    // No other file can be made.
    let in_the_way = path.join(names(0).0 + ".new");
    fs::create_dir(&in_the_way).unwrap();
    for nth in 0..2 {
        spool.set_place("stdout", Place::default()).unwrap();
        let told: Vec<_> = said.try_iter().collect();
        assert_eq!(told.len(), 1 - nth, "once, until it works again: {told:?}");
    }
    fs::remove_dir(&in_the_way).unwrap();
    spool.set_place("stdout", Place::default()).unwrap();
    assert_eq!(said.try_iter().next(), None);
    assert_eq!(spool.state().state.synced, 7);
    drop(syncer);
}

#[test]
fn what_a_failed_sync_covered_is_in_another_file_and_what_does_not_match_is_lost_and_said() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let text = lines(0, 22_000);
    let spool = open(&path, &roomy()).spool;
    append(&spool, &text);
    let covered = spool.writer().unsynced.clone();
    let before = std::os::unix::fs::MetadataExt::ino(
        &covered[0]
            .segment
            .held()
            .unwrap()
            .stream
            .metadata()
            .unwrap(),
    );
    // The disk has written one page as it was not.
    let wrong = fs::OpenOptions::new()
        .write(true)
        .open(path.join(names(0).0))
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&wrong, &[0; 100], 300_000).unwrap();
    spool.rescue(&covered[0], rustix::io::Errno::IO).unwrap();
    let found = spool.take_found();
    let (from, to) = (256 << 10, 512 << 10);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].cause, found[0].at, found[0].bytes),
        (Cause::SyncFailed, from as u64, from as u64)
    );
    assert!(found[0].aside.is_some());
    let now = std::os::unix::fs::MetadataExt::ino(&fs::metadata(path.join(names(0).0)).unwrap());
    assert_ne!(before, now);
    append(&spool, b"goes on\n");
    let rest = [&text[..from], &text[to..], b"goes on\n"].concat();
    assert_eq!(read_from(&spool, 0).bytes(), rest);
    assert!(spool.sync_and_find().unwrap().is_empty());
    assert_eq!(spool.state().state.synced, spool.end().at);
    spool.set_place("stdout", Place::default()).unwrap();
    drop(spool);
    let opened = open(&path, &roomy());
    assert!(opened.damages.is_empty(), "{:?}", opened.damages);
    let story = read_from(&opened.spool, 0);
    assert_eq!(story.bytes(), rest);
    assert_eq!((story.gaps.len(), story.gaps[0].known), (1, true));
    assert!(!path.join("00000000000000000000.stream.new").exists());
}

#[test]
fn what_was_found_to_be_lost_is_told_once_whatever_fails_after_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let spool = open(&path, &small()).spool;
    append(&spool, &lines(0, 8_000));
    let covered = spool.writer().unsynced.clone();
    for unsynced in &covered {
        (unsynced.failed).store(true, std::sync::atomic::Ordering::Release);
    }
    // The first has a page as it was not, and no other file can be made for the second.
    let first = fs::OpenOptions::new()
        .write(true)
        .open(path.join(names(0).0))
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&first, &[0; 100], 30_000).unwrap();
    let in_the_way = path.join(names(covered[1].segment.base()).0 + ".new");
    fs::create_dir(&in_the_way).unwrap();
    spool.sync().unwrap_err();
    let found = spool.take_found();
    assert_eq!(
        found.iter().map(|it| (it.cause, it.at)).collect::<Vec<_>>(),
        [(Cause::SyncFailed, 0)]
    );
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(spool.sync_and_find().unwrap(), []);
}

#[test]
fn what_a_sync_failed_for_is_never_taken_to_be_safe_because_the_next_one_works() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let spool = open(&path, &roomy()).spool;
    append(&spool, &lines(0, 1_000));
    let failed = spool.writer().unsynced[0].failed.clone();
    failed.store(true, std::sync::atomic::Ordering::Release);
    // No other file can be made: the sync goes on failing, however well the old one would do.
    fs::create_dir(path.join("00000000000000000000.stream.new")).unwrap();
    for _ in 0..2 {
        let error = spool.sync().unwrap_err().to_string();
        assert!(error.contains("writing it anew failed"), "{error}");
        assert_eq!(spool.state().state.synced, 0);
    }
    fs::remove_dir(path.join("00000000000000000000.stream.new")).unwrap();
    assert!(spool.sync_and_find().unwrap().is_empty());
    assert_eq!(spool.state().state.synced, 36_000);
    assert_eq!(read_from(&spool, 0).bytes(), lines(0, 1_000));
}

#[test]
fn the_newest_save_that_is_known_to_be_on_the_disk_stays_whatever_is_saved_after_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let spool = Arc::new(open(&path, &small()).spool);
    let save_more = move |spool: &Spool, wanted: u64| {
        let is_it =
            |slot: &[u8]| matches!(State::decode(slot), Read::Good(it) if it.saves == wanted);
        for n in 0..10 {
            spool.set_place("stdout", Place::default()).unwrap();
            let file = fs::read(path.join("state")).unwrap();
            assert!(file.chunks(SLOT).any(is_it), "gone with save {n}");
        }
    };
    assert!(spool.sync_and_find().unwrap().is_empty());
    let forced = spool.state().state.saves;
    save_more(&spool, forced);
    // Nor does one take its place that is on its way there, and fails.
    let (other, saves) = (Arc::clone(&spool), save_more.clone());
    faults::before(Call::Force, 0, move || saves(&other, forced));
    fails(0, 1);
    assert!(spool.sync().is_err());
    faults::set(None);
    assert!(!faults::is_to_come());
    save_more(&spool, forced);
    assert!(spool.sync_and_find().unwrap().is_empty());
}

#[test]
fn a_save_that_is_on_the_disk_stays_although_the_spool_is_closed_while_it_comes_there() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    let spool = Arc::new(open(&path, &small()).spool);
    spool.sync().unwrap();
    let (begin, begun) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let other = Arc::clone(&spool);
    let (tell, told) = std::sync::mpsc::channel();
    // The state is on its way to the disk: somebody closes the spool, and sends it there, too, which takes longer.
    faults::before(Call::Force, 0, move || {
        let saves = other.state().state.saves;
        let closing = std::thread::spawn(move || {
            faults::before(Call::Force, 0, move || {
                let _ = begin.send(());
                let _ = may_go.recv();
            });
            other.close(false, u64::MAX).unwrap();
        });
        let _ = begun.recv_timeout(Duration::from_millis(200));
        tell.send((closing, saves)).unwrap();
    });
    spool.sync().unwrap();
    let (closing, forced) = told.recv().unwrap();
    let is_it = |slot: &[u8]| matches!(State::decode(slot), Read::Good(it) if it.saves == forced);
    for n in 0..10 {
        spool.set_place("stdout", Place::default()).unwrap();
        let file = fs::read(path.join("state")).unwrap();
        assert!(file.chunks(SLOT).any(is_it), "gone with save {n}");
    }
    drop(go);
    closing.join().unwrap();
}

#[test]
fn the_names_of_new_files_are_forced_to_the_disk_with_what_is_in_them_until_that_has_worked() {
    let home = tempfile::tempdir().unwrap();
    let spool = open(&home.path().join("q"), &small()).spool;
    let forced = || {
        fails(100, 0);
        assert!(spool.sync_and_find().unwrap().is_empty());
        100 - faults::pause().unwrap().after
    };
    append(&spool, b"a line\n");
    // The stream and its index work.
    fails(2, 1);
    let error = spool.sync().unwrap_err().to_string();
    assert!(!error.contains("state"), "{error}");
    assert_eq!(forced(), 4, "the stream, its index, their names, the state");
    append(&spool, b"another\n");
    assert_eq!(forced(), 3, "no new names");
}

#[test]
fn the_names_of_what_was_written_anew_are_forced_to_the_disk_by_the_next_sync_where_this_one_fails()
{
    let home = tempfile::tempdir().unwrap();
    let spool = open(&home.path().join("q"), &small()).spool;
    append(&spool, b"a line\n");
    assert!(spool.sync_and_find().unwrap().is_empty());
    append(&spool, b"another\n");
    let failed = spool.writer().unsynced[0].failed.clone();
    failed.store(true, std::sync::atomic::Ordering::Release);
    // The copies of the stream and of its index work, their names do not.
    fails(2, 1);
    assert!(spool.sync().is_err());
    assert!(spool.writer().unsynced.is_empty(), "it was written anew");
    fails(100, 0);
    assert!(spool.sync_and_find().unwrap().is_empty());
    let forced = 100 - faults::pause().unwrap().after;
    assert_eq!(forced, 2, "the names, and the state");
    assert_eq!(read_from(&spool, 0).bytes(), b"a line\nanother\n");
}

#[test]
fn where_there_is_no_more_time_nothing_is_forced_to_the_disk_and_the_places_are_saved_all_the_same()
{
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("q");
    for policy in [Policy::Always, Policy::Within(Duration::from_secs(3600))] {
        let options = SpoolOptions { policy, ..roomy() };
        let spool = open(&path, &options).spool;
        append(&spool, &lines(0, 1_000));
        spool.ends();
        faults::before(Call::Force, 0, || ());
        let place = spool.end();
        spool.set_place("stdout", place).unwrap();
        spool.hurry();
        assert!(
            !spool.pause(Duration::from_secs(3600)),
            "it would be longer than any test"
        );
        spool.sync().unwrap_err();
        spool.close(false, u64::MAX).unwrap_err();
        assert!(faults::is_to_come(), "something was forced");
        drop(spool);
        let again = open(&path, &options).spool;
        assert_eq!(again.place("stdout"), Some(place));
        assert_eq!(again.end(), place);
    }
}
