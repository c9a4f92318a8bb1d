//! What one thread is doing when the other, a command or the clock comes in between.

mod accused;
mod away;
mod bench;
mod halts;
mod long;

use std::num::NonZeroU64;
use std::time::Duration;

use super::sim::rules;
use crate::engine::action::{
    Action, Actor, Done, For, Outcome, Path, ReadOutcome, Reason, Transfer,
};
use crate::engine::directive::Directive;
use crate::engine::gate::Marks;
use crate::engine::limiter::Cap;
use crate::engine::policy::{Policy, Which};
use crate::engine::record::Framing;
use crate::engine::stall::{Side, StallLook, Timeouts};
use crate::engine::status::State;
use crate::engine::{Limits, Rules};
use crate::units::{Limit, Rate};
use bench::Bench;

const KIB: usize = 1024;
const LINES: Option<Framing> = Some(Framing::Terminator(b'\n'));
const CONSUMER: Actor = Actor::Output(0);

fn rate(text: &str) -> Rate {
    match text.parse() {
        Ok(Limit::Fixed(rate)) => rate,
        other => panic!("{other:?}"),
    }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn oldest(patience: Duration) -> Option<Policy> {
    Some(Policy {
        which: Which::Oldest,
        patience,
    })
}

#[test]
fn an_age_that_is_set_during_a_read_sheds_what_is_queued_and_no_more() {
    let mut b = Bench::new(rules(KIB * KIB));
    for _ in 0..3 {
        b.read(&vec![b'x'; 200_000]);
    }
    b.pass_time(seconds(5));
    b.begin_read();
    b.command(Directive::MaxAge(Some(seconds(1))));
    assert!(b.is_asleep());
    let held = b.books().buffer.used;
    assert!((1..600_000).contains(&held), "{held} are being added to");
    b.end_read(b"new");
    assert_eq!(b.books().read.bytes, 600_003);
}

#[test]
fn a_prefill_that_memory_cuts_short_lets_the_sink_go() {
    let mut r = rules(KIB * KIB);
    r.marks.prefill = 900_000;
    let mut b = Bench::new(r);
    assert!(b.is_asleep());
    b.read(&[b'x'; 100]);
    b.engine.take_wakes();
    b.begin_read();
    b.end_read_in_vain(ReadOutcome::Short);
    assert!(b.is_sink_woken(), "both sleep for ever");
    let sleep = b.try_to_read().expect("there is no memory to read into");
    assert_eq!(sleep.what, For::Gate);
    assert_eq!(b.write().len(), 100);
    assert!(b.is_source_woken(), "it would sleep for ever");
    b.read(b"into the memory that is there again");
}

#[test]
fn where_memory_is_short_patience_ends_too() {
    let mut b = Bench::new(Rules {
        shed: oldest(seconds(1)),
        ..rules(KIB * KIB)
    });
    b.read(&[b'x'; 1000]);
    b.begin_read();
    b.end_read_in_vain(ReadOutcome::Short);
    let due = b.now + seconds(1);
    let sleep = b.try_to_read().expect("there is no memory to read into");
    assert_eq!((sleep.what, sleep.until), (For::Gate, Some(due)));
    b.pass_time(seconds(2));
    b.read(b"new");
    assert!(b.books().shed.total.bytes > 0);
}

#[test]
fn what_comes_during_a_pause_grows_too_old_as_well() {
    let mut b = Bench::new(Rules {
        max_age: Some(seconds(1)),
        ..rules(100_000)
    });
    b.command(Directive::Pause);
    assert_eq!(b.try_to_write().map(|sleep| sleep.until), Some(None));
    b.engine.take_wakes();
    b.read(&[b'x'; 100]);
    assert!(b.is_sink_woken(), "nobody knows when that will be");
    let due = b.now + seconds(1);
    assert_eq!(b.try_to_write().map(|sleep| sleep.until), Some(Some(due)));
    b.now = due;
    assert!(b.is_asleep());
    assert_eq!(b.books().shed.expired, 100);
}

#[test]
fn a_blocked_producer_gets_the_room_of_what_is_too_old_whatever_the_sink_waits_for() {
    for claimed in [true, false] {
        let mut b = Bench::new(Rules {
            max_age: Some(seconds(1)),
            framing: LINES,
            ..rules(8 * KIB)
        });
        b.read(b"first\n");
        if claimed {
            b.begin_write();
        } else {
            let action = b.engine.poll(CONSUMER, b.now);
            assert!(
                matches!(&action, Action::Wait(wait) if wait.sleep.what == For::Room),
                "{action:?}"
            );
        }
        let first = b.now;
        b.pass_time(Duration::from_millis(100));
        // The consumer takes nothing from now on.
        for _ in 0..4 {
            b.read(&[&[b'x'; 2000][..], b"\n"].concat());
        }
        b.read(&[b'x'; 182]);
        let sleep = b.try_to_read().expect("it is full");
        // What is claimed cannot grow old.
        let due = if claimed { b.now } else { first } + seconds(1);
        assert_eq!((sleep.what, sleep.until), (For::Gate, Some(due)));
        b.now += seconds(1);
        b.begin_read();
        assert_eq!(b.books().shed.expired, if claimed { 4 } else { 5 });
    }
}

/// One that waits before a slow consumer goes when it has room again, and not behind another one.
#[test]
fn what_was_written_by_the_reader_has_taken_the_room_that_there_was_for_the_consumer() {
    let mut b = Bench::new(Rules {
        framing: LINES,
        shed: oldest(Duration::ZERO),
        max_age: Some(seconds(1)),
        ..rules(64 * KIB)
    });
    b.read(b"a\n");
    let action = b.engine.poll(CONSUMER, b.now);
    assert!(
        matches!(&action, Action::Wait(wait) if wait.sleep.what == For::Room),
        "{action:?}"
    );
    // There is some when it is too old.
    b.pass_time(seconds(1));
    b.done(Done::Wait(CONSUMER, true));
    let action = b.engine.poll(CONSUMER, b.now);
    assert!(
        matches!(&action, Action::Wait(wait) if wait.sleep.what == For::Data),
        "{action:?}"
    );
    b.begin_read();
    b.end_read_and_pass(b"b\n", 2);
    assert_eq!(b.books().written.bytes, 2);
    b.read(b"c\n");
    let action = b.engine.poll(CONSUMER, b.now);
    assert!(
        matches!(&action, Action::Wait(wait) if wait.sleep.what == For::Room),
        "{action:?}"
    );
}

#[test]
fn what_is_shed_at_once_is_kept_for_the_file_as_far_as_there_is_memory() {
    let mut b = Bench::new(Rules {
        framing: LINES,
        max_age: Some(seconds(1)),
        ..rules(16 * KIB * KIB)
    });
    b.engine.open_overflow();
    // Lines that no segment holds a whole number of.
    let line = [&[b'x'; 998][..], b"\n"].concat();
    let lines = line.repeat(200);
    let shed = |b: &mut Bench| {
        for _ in 0..60 {
            b.read(&lines);
        }
        b.pass_time(seconds(2));
        assert!(b.is_asleep());
    };
    let all = 60 * lines.len();
    // More than may wait beside what the buffer has room for, but nothing is waiting.
    shed(&mut b);
    assert!(b.take_overflow() == lines.repeat(60));
    assert_eq!(b.engine.take_lost(), 0);
    // Now the file is slow.
    for _ in 0..3 {
        shed(&mut b);
    }
    let kept = b.take_overflow();
    // What waits beyond what may always wait gives way to what is read.
    assert_eq!(kept.len() as u64 + b.engine.take_lost(), 3 * all as u64);
    let most = (16 + 8) * KIB * KIB;
    assert!(
        (most - 2 * all / 60..=most).contains(&kept.len()),
        "{}",
        kept.len()
    );
    assert!(kept.split_inclusive(|b| *b == b'\n').all(|got| got == line));
}

#[test]
fn patience_is_lost_once_while_the_consumer_takes_nothing() {
    for capacity in [64 * KIB, 8 * KIB * KIB] {
        let mut b = Bench::new(Rules {
            framing: LINES,
            shed: oldest(seconds(1)),
            ..rules(capacity)
        });
        let line = [&[b'x'; 999][..], b"\n"].concat();
        let fill = |b: &mut Bench, most: usize| {
            let mut read = 0;
            while read < most && b.try_to_read().is_none() {
                let room = b.room().min(line.len());
                b.end_read(&line[line.len() - room..]);
                read += room;
            }
            read
        };
        assert_eq!(fill(&mut b, 3 * capacity), capacity);
        b.pass_time(seconds(1));
        // Ten times over, without another wait.
        assert!(fill(&mut b, 10 * capacity) >= 10 * capacity);
        assert_eq!(b.books().state, State::Shedding);
        // When the consumer has taken all of it, the next filling is waited for again.
        b.write_all();
        let held = b.books().shed.total.bytes;
        assert_eq!(fill(&mut b, 3 * capacity), capacity);
        assert_eq!(b.books().shed.total.bytes, held);
    }
}

#[test]
fn a_pause_keeps_nothing_from_being_shed() {
    let mut b = Bench::new(Rules {
        framing: LINES,
        ..rules(8 * KIB)
    });
    let line = [&[b'x'; 1023][..], b"\n"].concat();
    b.read(&line);
    b.begin_write();
    b.command(Directive::Pause);
    b.command(Directive::Shed(oldest(Duration::ZERO)));
    b.end_write_full();
    assert!(b.is_asleep());
    for _ in 0..20 {
        b.read(&line);
    }
    assert_eq!(b.books().shed.total.records, Some(13));
}

#[test]
fn records_stay_whole_when_the_newest_have_gone_for_want_of_memory() {
    // So much more that the oldest must go, from one extent after the other.
    for more in (52_000..90_000).step_by(2000) {
        newest_gone(more);
    }
}

fn newest_gone(more: usize) {
    let size = 700;
    let input: Vec<u8> = (0..250u8).flat_map(|k| [k; 700]).collect();
    let mut left = &input[..];
    let mut b = Bench::new(Rules {
        framing: NonZeroU64::new(size as u64).map(Framing::Fixed),
        shed: Some(Policy {
            which: Which::Newest,
            patience: Duration::ZERO,
        }),
        ..rules(64 * KIB)
    });
    let mut output = Vec::new();
    let mut read = |b: &mut Bench, n: usize| {
        b.begin_read();
        let (bytes, rest) = left.split_at(n.min(b.room()));
        b.end_read(bytes);
        left = rest;
    };
    for _ in 0..6 {
        read(&mut b, 10_000);
    }
    read(&mut b, 64 * KIB - 60_000);
    b.begin_read();
    b.end_read_in_vain(ReadOutcome::Short);
    b.begin_read();
    assert!(b.books().shed.total.bytes > 0, "memory is not short");
    b.end_read_in_vain(ReadOutcome::Empty);
    while b.books().buffer.used > 25_000 {
        output.extend(b.write());
    }
    // The rest of a record that is being shed, and nothing more.
    read(&mut b, size - 64 * KIB % size);
    b.command(Directive::Shed(oldest(Duration::ZERO)));
    // As much as if so many had been left, however much a write took.
    let more = more + 25_000 - b.books().buffer.used;
    for _ in 0..more / 2000 {
        read(&mut b, 2000);
    }
    assert!(b.books().shed.total.bytes > 10_000, "nothing was shed");
    while b.try_to_write().is_none() {
        output.extend(b.end_write_whole());
    }
    let torn = output
        .chunks_exact(size)
        .find(|record| *record != [record[0]; 700]);
    assert!(torn.is_none(), "with {more} more");
}

#[test]
fn what_had_to_be_waited_for_and_was_less_than_was_asked_for_is_followed_by_a_wait_and_not_by_a_read_in_vain()
 {
    let (a_while, at_once) = (Duration::from_millis(1), Duration::ZERO);
    for (pause, bytes, waits) in [
        (a_while, 100 * KIB, true),
        (at_once, 100 * KIB, false),
        (a_while, KIB * KIB, false),
        (at_once, KIB, true),
    ] {
        let mut b = Bench::new(rules(KIB * KIB));
        b.engine.on_input_begin(Path {
            waits_first: true,
            ..Path::default()
        });
        b.wait_for_input();
        b.pass_time(pause);
        b.done(Done::Wait(Actor::Source, true));
        b.begin_read();
        let piece = vec![b'x'; bytes.min(b.room())];
        b.end_read(&piece);
        let waited = match b.engine.poll(Actor::Source, b.now) {
            Action::Read(read) => {
                b.done(Done::Read(read, ReadOutcome::Empty));
                false
            }
            Action::Wait(wait) => wait.sleep.what == For::Input,
            action => panic!("{action:?}"),
        };
        assert_eq!(waited, waits, "{bytes} after {pause:?}");
    }
}
