//! What is owed to whom of what lies in a spool when it is opened again.

use std::fs;

use std::time::Duration;

use super::*;
use crate::disk::format::{Framing, names};
use crate::disk::schedule::Policy;
use crate::disk::spool::SpoolOptions;
use crate::disk::state;
use crate::disk::sys::Call;
use crate::disk::sys::faults;
use crate::engine::action::CONSUMER;
use crate::engine::record::{Cursor, Framing::Terminator};
use crate::engine::scan::Run;
use crate::pipe::spill::{Disk, Store};
use crossbeam_channel::unbounded;

/// Nothing that a test waits for takes so long.
const DEADLINE: Duration = Duration::from_secs(60);

fn options(boot: u8) -> SpoolOptions {
    SpoolOptions {
        bound: 1 << 20,
        framing: Framing::Lines,
        policy: Policy::Within(Duration::from_secs(3600)),
        boot: Some([boot; 16]),
        held_most: 32,
    }
}

/// Lines have ten bytes.
fn place(at: u64) -> Place {
    Place {
        at,
        record: at / 10,
        begun: 0,
    }
}

/// One that goes on for the consumer alone.
fn in_use(opened: Opened, use_by: UseBy, lives_on: bool) -> SpoolStore {
    let outputs = Outputs {
        use_by,
        lives_on,
        tail: None,
        tees: Vec::new(),
    };
    SpoolStore::new(opened, outputs, |_| ()).expect("it goes on")
}

/// After a power cut they may be gone while what was saved of them is older.
#[test]
fn what_workers_have_had_stays_theirs_where_all_that_was_owed_before_it_has_gone_with_its_segment()
{
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("q");
    let spool = Spool::open(&path, &options(1)).expect("it is new").spool;
    let text: String = (0..30_000).map(|line| format!("{line:09}\n")).collect();
    let mut rest = text.as_bytes();
    while let Appended::Bytes(n) = spool.append_some(rest, 1).expect("there is room")
        && n < rest.len()
    {
        rest = &rest[n..];
    }
    let mut dealt = Dealt::after(None, place(0));
    dealt.on_written(0, (place(100), place(200_000)));
    let journal = dealt.journal();
    spool.set_journal(state::CONSUMER, journal).expect("saved");
    spool.sync().expect("forced to the disk");
    drop(spool);
    for name in <[String; 2]>::from(names(0)) {
        fs::remove_file(path.join(name)).expect("the first segment");
    }
    let opened = Spool::open(&path, &options(2)).expect("it opens");
    assert!(
        (100..200_000).contains(&opened.oldest.at),
        "{:?}",
        opened.oldest
    );
    let store = in_use(opened, UseBy::Workers, true);
    let rest = stretch(place(200_000), place(300_000), false);
    assert_eq!(store.inherited().parts, [(rest, Owed::Consumer)]);
}

#[test]
fn what_nobody_is_owed_goes_before_the_beginning_of_a_record_that_goes_on() {
    let home = tempfile::tempdir().expect("a directory");
    let opened = Spool::open(&home.path().join("q"), &options(1)).expect("it is new");
    let store = in_use(opened, UseBy::Stream, false);
    let mut text: Vec<u8> = (0..90_000)
        .flat_map(|line| format!("{line:09}\n").into_bytes())
        .collect();
    text.extend(vec![b'r'; 1 << 20]);
    let mut run = Run::at(Cursor::new(Some(Terminator(b'\n'))));
    let mut end = 0;
    while let Appended::Bytes(n) = store.spool.append_some(&text[end..], 1).expect("a disk") {
        run.add(&text[end..end + n]);
        end += n;
    }
    assert!(end > 900_000, "it holds less than was thought: {end}");
    store.remember(CONSUMER, end as u64, run).expect("saved");
    let (events, _heard) = unbounded();
    let (disk, _floors) = Disk::new(Store::Spool(store), events);
    disk.give_back(end as u64);
    disk.room(4096).expect("there was enough to give back");
    drop(disk);
    let again = Spool::open(&home.path().join("q"), &options(1)).expect("it opens");
    assert_eq!(again.spool.place(state::CONSUMER), Some(place(900_000)));
}

/// A disk with a spool in it, of which all is for a consumer that has had nothing.
fn disk(path: &Path) -> (Disk, crossbeam_channel::Receiver<Event>) {
    let opened = Spool::open(path, &options(1)).expect("it opens");
    let store = in_use(opened, UseBy::Stream, false);
    let (events, heard) = unbounded();
    let (disk, _floors) = Disk::new(Store::Spool(store), events);
    (disk, heard)
}

/// The same, of which all is forced to the disk before anybody is told of it: its parts.
fn always(path: &Path) -> (Arc<Spool>, SpoolStore) {
    let options = SpoolOptions {
        policy: Policy::Always,
        ..options(1)
    };
    let opened = Spool::open(path, &options).expect("it opens");
    let store = in_use(opened, UseBy::Stream, false);
    (Arc::clone(&store.spool), store)
}

/// Whether this ends, in a thread of its own, before the test's deadline.
fn ends(what: impl FnOnce() + Send + 'static) -> bool {
    let (say, said) = unbounded();
    std::thread::spawn(move || {
        what();
        let _ = say.send(());
    });
    said.recv_timeout(DEADLINE).is_ok()
}

/// Looks until it is so, until the test's deadline.
fn comes_true(what: &str, is_so: impl Fn() -> bool) {
    let until = std::time::Instant::now() + DEADLINE;
    while !is_so() {
        assert!(std::time::Instant::now() < until, "{what}: it never came");
        std::thread::yield_now();
    }
}

#[test]
fn whoever_has_signals_to_listen_to_does_not_wait_for_a_disk_that_does_not_answer() {
    let home = tempfile::tempdir().expect("a directory");
    let (spool, store) = always(&home.path().join("q"));
    let store = Arc::new(store);
    let (events, _heard) = unbounded();
    store.start(&events).expect("a thread");
    spool.append_some(b"one\ntwo", 1).expect("a disk");
    spool.while_disk_hangs(|| {
        let main = Arc::clone(&store);
        let takes_back = move || main.set_back(0, 0).expect("saved");
        assert!(ends(takes_back), "a program has ended");
        let main = Arc::clone(&store);
        let looks = move || main.end_input(false).expect("saved");
        assert!(ends(looks), "the input has ended");
        // Nobody holds what others need while he waits.
        let tee = Arc::clone(&store);
        std::thread::spawn(move || tee.forget(CONSUMER));
        comes_true("the tee has failed", || store.consumer.has_failed());
        let other = Arc::clone(&store);
        let looks = move || drop(other.consumer.place());
        assert!(ends(looks), "somebody looks how far an output has come");
        store.ends(true);
    });
    assert!(spool.is_over_at(7));
}

#[test]
fn whether_something_is_kept_can_be_seen_while_what_was_waits_for_the_disk() {
    let home = tempfile::tempdir().expect("a directory");
    let (spool, store) = always(&home.path().join("q"));
    let (events, _heard) = unbounded();
    let (disk, _floors) = Disk::new(Store::Spool(store), events);
    disk.start().expect("a thread");
    full(&[Call::Write]);
    let refused = disk.take_read(b"one\n", |_| false).expect("memory");
    assert!(refused.is_err() && disk.has_kept());
    faults::set(None);
    let disk = Arc::new(disk);
    spool.while_disk_hangs(|| {
        let source = Arc::clone(&disk);
        std::thread::spawn(move || source.take_kept(&mut [0; 10]));
        comes_true("it is put there", || spool.end().at > 0);
        let main = Arc::clone(&disk);
        let looks = move || assert!(!main.has_kept());
        assert!(ends(looks), "somebody looks");
        disk.ends(true);
    });
}

fn full(calls: &[Call]) {
    faults::fail(rustix::io::Errno::NOSPC, calls, 0, u32::MAX);
}

/// All that lies in a spool.
fn all_of(path: &Path) -> Vec<u8> {
    let files = fs::read_dir(path).expect("a directory").flatten();
    let mut files: Vec<_> = files.map(|it| it.path()).collect();
    files.retain(|it| it.extension().is_some_and(|it| it == "stream"));
    files.sort();
    let bytes = files.iter().map(|it| fs::read(it).expect("a segment"));
    bytes.collect::<Vec<_>>().concat()
}

#[test]
fn what_was_read_and_the_disk_refuses_is_read_again_before_anything_else() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("q");
    let (disk, _heard) = disk(&path);
    let mut into = [0; 4];
    let taken = disk.take_read(b"one\n", |_| false).expect("memory");
    assert_eq!(taken, Ok(Some((4, Some(0)))));
    assert_eq!(disk.take_kept(&mut into), None);
    full(&[Call::Write]);
    let refused = disk.take_read(b"two\nthree\n", |_| false).expect("memory");
    assert!(refused.is_err() && disk.has_kept());
    assert!(disk.take_kept(&mut into).expect("it is kept").is_err());
    faults::set(None);
    for (wanted, at) in [(&b"two\n"[..], 4), (b"thre", 8), (b"e\n", 12)] {
        let n = wanted.len();
        assert_eq!(disk.take_kept(&mut into), Some(Ok(Some((n, Some(at))))));
        assert_eq!(&into[..n], wanted);
    }
    assert_eq!(disk.take_kept(&mut into), None);
    assert_eq!(all_of(&path), b"one\ntwo\nthree\n");
    full(&[Call::Write]);
    let refused = disk.take_read(b"x", |rest| rest == 1).expect("memory");
    assert!(refused.is_err() && !disk.has_kept(), "it is where it was");
    faults::set(None);
}

#[test]
fn where_there_is_no_more_time_a_failure_is_said_all_the_same_and_that_there_is_none_is_not() {
    for is_failing in [true, false] {
        let home = tempfile::tempdir().expect("a directory");
        let (disk, heard) = disk(&home.path().join("q"));
        let taken = disk.take_read(b"one\n", |_| false).expect("memory");
        assert_eq!(taken, Ok(Some((4, Some(0)))));
        disk.ends(true);
        if is_failing {
            faults::fail(rustix::io::Errno::IO, &[Call::Write], 0, u32::MAX);
        }
        let left = disk.close(false, &|_| ());
        faults::set(None);
        assert!(!left.is_in_order);
        let said: Vec<_> = heard.try_iter().collect();
        assert_eq!(said.len(), usize::from(is_failing), "{said:?}");
    }
}

/// What was kept when its end was seen may be put there later, and more may come.
#[test]
fn an_input_that_was_seen_to_end_behind_what_was_kept_has_ended_where_nothing_has_come_behind_that()
{
    for (is_taken, comes, ended) in [(false, "", 7), (true, "", 7), (true, "x", 0)] {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("q");
        let (disk, _heard) = disk(&path);
        assert!(!disk.ends_with_kept(), "nothing is");
        full(&[Call::Write]);
        let refused = disk.take_read(b"one\ntwo", |_| false).expect("memory");
        assert!(refused.is_err() && disk.ends_with_kept());
        faults::set(None);
        if is_taken {
            let taken = disk.take_kept(&mut [0; 10]).expect("it is kept");
            assert_eq!(taken, Ok(Some((7, Some(0)))));
        }
        if !comes.is_empty() {
            // It is refused as well, and no end was seen behind it.
            full(&[Call::Write]);
            let refused = disk.take_read(comes.as_bytes(), |_| false).expect("memory");
            assert!(refused.is_err() && disk.has_kept());
            faults::set(None);
        }
        assert!(disk.close(false, &|_| ()).is_in_order);
        drop(disk);
        let text = ["one\ntwo", comes].concat();
        let opened = Spool::open(&path, &options(1)).expect("it opens");
        let is_ended = opened.spool.end().begun == 0;
        assert_eq!(is_ended, ended == text.len(), "{is_taken} {comes}");
    }
}

#[test]
fn each_way_in_which_a_disk_fails_is_said_once() {
    let home = tempfile::tempdir().expect("a directory");
    let (disk, heard) = disk(&home.path().join("q"));
    let taken = disk.take_read(b"one", |_| false).expect("memory");
    assert_eq!(taken, Ok(Some((3, Some(0)))));
    for _ in 0..2 {
        full(&[Call::Room, Call::Write]);
        disk.take_read(b"two", |_| true)
            .expect("memory")
            .expect_err("there is no room");
    }
    for _ in 0..2 {
        faults::fail(rustix::io::Errno::IO, &[Call::Write], 0, u32::MAX);
        disk.end_input(false);
    }
    faults::set(None);
    let said: Vec<_> = heard.try_iter().collect();
    assert_eq!(said.len(), 2, "{said:?}");
}

#[test]
fn what_was_read_and_has_had_no_room_is_for_the_next_run_or_named_at_the_end() {
    for has_room in [true, false] {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("q");
        let (disk, heard) = disk(&path);
        full(&[Call::Write, Call::Room]);
        let refused = disk.take_read(b"one\n", |_| false).expect("memory");
        assert!(refused.is_err() && disk.has_kept());
        if has_room {
            faults::set(None);
        }
        heard.try_iter().for_each(drop);
        let left = disk.close(false, &|_| ());
        faults::set(None);
        assert_eq!(left.is_in_order, has_room);
        assert_eq!(all_of(&path), if has_room { &b"one\n"[..] } else { b"" });
        let said: Vec<_> = heard.try_iter().collect();
        let names = |event: &Event| match event {
            Event::DiskFailed(failure) => failure.to_string().contains("the last 4 bytes"),
            _ => false,
        };
        assert_eq!(said.iter().any(names), !has_room, "{said:?}");
    }
}
