//! What is under way when all is to stand still, or to come to its end.

use super::*;
use crate::engine::action::{FetchOutcome, FilledBy, NoRoom};
use crate::engine::on_disk::EXTENT_MOST;
use crate::engine::segment::Segment;
use crate::engine::side::Role;

#[test]
fn nothing_moves_after_a_halt_and_what_is_under_way_is_counted() {
    let mut b = Bench::new(rules(KIB * KIB));
    b.read(&[b'x'; 1000]);
    b.begin_read();
    b.begin_write();
    let asked = b.engine.halt(b.now);
    assert!(asked.is_some(), "two calls are under way");
    b.end_read(b"more");
    assert_eq!(b.engine.take_wakes().quiet, None, "one is still");
    b.end_write(300);
    assert_eq!(b.engine.take_wakes().quiet, asked);
    let books = b.books();
    assert_eq!((books.read.bytes, books.written.bytes), (1004, 300));
    for actor in [CONSUMER, Actor::Source] {
        let action = b.engine.poll(actor, b.now);
        assert!(matches!(&action, Action::End(Reason::Over)), "{action:?}");
    }
}

/// Of what it brings some may be shed, and counted.
#[test]
fn the_file_for_what_is_shed_is_not_closed_while_a_read_is_under_way_at_a_halt() {
    let mut b = Bench::new(Rules {
        shed: oldest(Duration::ZERO),
        ..rules(64 * KIB)
    });
    b.engine.open_overflow();
    b.begin_read();
    assert!(b.engine.halt(b.now).is_some(), "it is under way");
    let file = Actor::Output(1);
    let action = b.engine.poll(file, b.now);
    assert!(matches!(&action, Action::Wait(_)), "{action:?}");
    b.done(Done::Wait(file, false));
    b.end_read(b"more");
    b.engine.close_overflow(b.now);
    let action = b.engine.poll(file, b.now);
    assert!(matches!(&action, Action::End(Reason::Over)), "{action:?}");
}

#[test]
fn what_is_being_read_when_a_drain_begins_is_waited_for() {
    for blocks in [false, true] {
        let mut b = Bench::new(rules(KIB * KIB));
        b.engine.on_input_begin(Path {
            input_blocks: blocks,
            ..Path::default()
        });
        b.read(&[b'x'; 1000]);
        b.begin_read();
        assert_eq!(b.engine.ask_for_quiet(), None, "it goes on for ever");
        b.engine.command(b.now, Directive::Drain);
        let asked = b.engine.ask_for_quiet();
        assert_eq!(asked.is_none(), blocks, "nothing ends a read that blocks");
        b.end_read(b"more");
        assert_eq!(b.engine.take_wakes().quiet, asked);
        assert_eq!(b.books().read.bytes, 1004);
    }
}

#[test]
fn who_asks_whether_something_moves_is_not_given_the_answer_to_an_earlier_question() {
    let mut b = Bench::new(rules(KIB * KIB));
    assert_eq!(b.engine.ask_for_quiet(), None, "nothing moves");
    b.read(&[b'x'; 1000]);
    b.begin_write();
    b.end_write(300);
    assert_eq!(b.engine.take_wakes().quiet, None, "nobody waits");
    b.begin_write();
    let first = b.engine.ask_for_quiet();
    let second = b.engine.ask_for_quiet();
    assert!(first < second, "{first:?} {second:?}");
    b.end_write(300);
    assert_eq!(b.engine.take_wakes().quiet, second);
}

#[test]
fn what_is_on_its_way_around_the_log_at_a_halt_is_counted_and_nothing_follows() {
    let mut b = Bench::new(rules(KIB * KIB));
    b.engine.on_input_begin(Path {
        direct: true,
        ..Path::default()
    });
    let bypass: Transfer = match b.engine.poll(Actor::Source, b.now) {
        Action::Transfer(bypass) => bypass,
        action => panic!("{action:?}"),
    };
    let asked = b.engine.halt(b.now);
    assert!(asked.is_some(), "one call is under way");
    let run = bypass.permit.use_up(&[b'x'; 300]);
    b.done(Done::Transfer(bypass, Outcome::Moved(run)));
    assert_eq!(b.engine.take_wakes().quiet, asked);
    let books = b.books();
    assert_eq!((books.read.bytes, books.written.bytes), (300, 300));
    let action = b.engine.poll(Actor::Source, b.now);
    assert!(matches!(&action, Action::End(Reason::Over)), "{action:?}");
}

/// Ours fills it.
const FULL: NoRoom = NoRoom {
    by: FilledBy::Bound,
    floor: 0,
};

/// What has been read of it and is kept, and the beginning of a record behind which there is nothing, are in the way of the
/// rest of that.
#[test]
fn where_the_disk_is_full_less_is_kept_of_what_the_consumer_was_given() {
    let mut b = Bench::new(Rules {
        keeps_given: true,
        framing: LINES,
        ..rules(KIB * KIB)
    });
    let kept = |b: &Bench| b.books().written.bytes - b.engine.dealt_with();
    b.read(b"one\ntwo\nth");
    b.write_all();
    assert_eq!(kept(&b), 10);
    // Of the second line something lies unread.
    b.engine.keep_less(|| Some(6), FULL, b.now);
    assert_eq!(kept(&b), 6);
    b.read(b"r");
    b.engine.keep_less(|| Some(0), FULL, b.now);
    assert_eq!(kept(&b), 2, "there is more to be given");
    b.write_all();
    b.engine.keep_less(|| Some(0), NoRoom::OTHERS, b.now);
    assert_eq!(kept(&b), 3, "others will make room for its rest");
    b.engine.keep_less(|| Some(0), FULL, b.now);
    assert_eq!(kept(&b), 0);
    b.check();
}

/// These are read to the disk, where they begin there, and written to the consumer when they were read back.
fn pass_by_disk(b: &mut Bench, at: u64, bytes: &[u8]) {
    b.begin_read();
    b.reading.as_mut().expect("a read").stored = Some(at);
    b.end_read(bytes);
    let mut fetch = match b.engine.poll(CONSUMER, b.now) {
        Action::Fetch(fetch) => fetch,
        action => panic!("{action:?}"),
    };
    if fetch.load.wants_segment() {
        fetch.load.give(Segment::map(EXTENT_MOST).expect("memory"));
    }
    fetch.load.bytes()[..bytes.len()].copy_from_slice(bytes);
    fetch.load.read(0..bytes.len());
    b.done(Done::Fetch(fetch, FetchOutcome::Here));
    b.write_all();
}

#[test]
fn the_beginning_of_a_record_waits_for_others_however_long_it_is() {
    let mut b = Bench::new(Rules {
        keeps_given: true,
        outlives: true,
        memory: Some(4 * KIB),
        framing: LINES,
        ..rules(KIB * KIB)
    });
    let kept = |b: &Bench| b.books().written.bytes - b.engine.dealt_with();
    for (at, kept_then) in [(0, 3 * KIB), (3 * KIB, 6 * KIB)] {
        pass_by_disk(&mut b, at as u64, &[b'x'; 3 * KIB]);
        b.engine.keep_less(|| Some(0), NoRoom::OTHERS, b.now);
        assert_eq!(kept(&b), kept_then as u64);
    }
    b.engine.keep_less(|| Some(0), FULL, b.now);
    assert_eq!(kept(&b), 0, "nobody else has the room");
    b.check();
}

/// Lines that go to a disk.
fn to_disk() -> Bench {
    Bench::new(Rules {
        outlives: true,
        memory: Some(4 * KIB),
        framing: LINES,
        ..rules(KIB * KIB)
    })
}

/// These are read to the disk, where they begin there.
fn put(b: &mut Bench, at: u64, bytes: &[u8]) {
    b.begin_read();
    b.reading.as_mut().expect("a read").stored = Some(at);
    b.end_read(bytes);
}

/// For how many seconds it is tried in vain before others are not waited for any more, of these at most.
fn waits(b: &mut Bench, most: u64, by: FilledBy) -> Option<u64> {
    (0..=most).find(|_| {
        b.begin_read();
        let awaits = b.reading.as_ref().expect("a read").awaits_others;
        b.end_read_in_vain(ReadOutcome::NoRoom(NoRoom { by, floor: 0 }));
        b.pass_time(seconds(1));
        !awaits
    })
}

/// Each bit of room that comes is the beginning of another wait, but not of a record that is torn already.
#[test]
fn others_who_fill_the_disk_are_waited_for_for_ten_seconds_in_which_nothing_comes() {
    let mut b = to_disk();
    let waits = |b: &mut Bench, most| waits(b, most, FilledBy::Others);
    assert_eq!(waits(&mut b, 8), None);
    put(&mut b, 0, b"xx");
    assert_eq!(waits(&mut b, 20), Some(10));
    put(&mut b, 2, b"xx");
    assert_eq!(waits(&mut b, 20), Some(0), "it is torn");
    put(&mut b, 4, b"\nx");
    assert_eq!(waits(&mut b, 20), Some(10), "it is another one");
    b.check();
}

#[test]
fn others_are_waited_for_anew_where_there_was_room_and_nothing_came() {
    let mut b = to_disk();
    put(&mut b, 0, b"xx");
    assert_eq!(waits(&mut b, 8, FilledBy::Others), None);
    b.begin_read();
    b.end_read_in_vain(ReadOutcome::Empty);
    assert_eq!(waits(&mut b, 20, FilledBy::Others), Some(10));
    b.check();
}

#[test]
fn that_others_are_waited_for_in_vain_tears_no_record_that_begins_after_that() {
    let mut b = to_disk();
    put(&mut b, 0, b"xx\n");
    assert_eq!(waits(&mut b, 20, FilledBy::Others), None, "none has begun");
    put(&mut b, 3, b"xx");
    assert_eq!(waits(&mut b, 20, FilledBy::Others), Some(10));
    b.check();
}

#[test]
fn a_disk_that_fails_is_none_that_others_fill() {
    let mut b = to_disk();
    put(&mut b, 0, b"xx");
    assert_eq!(waits(&mut b, 20, FilledBy::Unknown), None);
    assert_eq!(waits(&mut b, 20, FilledBy::Others), Some(10));
    b.check();
}

/// What is given, and may have to be given again, lies there whatever becomes of the tap.
#[test]
fn a_tap_loses_nothing_on_a_full_disk_where_that_makes_no_room() {
    let mut b = Bench::new(Rules {
        keeps_given: true,
        outlives: true,
        memory: Some(64 * KIB),
        framing: LINES,
        ..rules(KIB * KIB)
    });
    b.engine.add_side(Role::Tap(64 << 10), false);
    let lost = |b: &Bench| b.engine.side_status(b.now)[0].dropped.bytes;
    pass_by_disk(&mut b, 0, b"one\n");
    b.begin_read();
    b.end_read_in_vain(ReadOutcome::NoRoom(FULL));
    assert_eq!(lost(&b), 0, "the consumer has not read it");
    b.pass_time(seconds(1));
    b.engine.keep_less(|| Some(0), FULL, b.now);
    b.begin_read();
    b.end_read_in_vain(ReadOutcome::NoRoom(FULL));
    assert_eq!(lost(&b), 4, "nobody else is owed it any more");
    b.check();
}
