//! The source for which there is no room, and the one that stays away for a moment: what ends that.

use std::time::Duration;

use super::bench::Bench;
use super::{KIB, rules};
use crate::engine::action::{Action, Actor, Done, For, Outcome, Path};

#[test]
fn a_stall_that_ends_just_when_the_log_takes_over_does_not_close_the_bypass() {
    let mut b = Bench::new(rules(KIB * KIB));
    b.engine.on_input_begin(Path {
        direct: true,
        waits_first: true,
        ..Path::default()
    });
    let Action::Transfer(transfer) = b.engine.poll(Actor::Source, b.now) else {
        panic!("nothing is held");
    };
    b.done(Done::Transfer(transfer, Outcome::Full));
    let Action::Wait(wait) = b.engine.poll(Actor::Source, b.now) else {
        panic!("there is no room");
    };
    let until = wait.sleep.until.expect("it lingers for a moment only");
    b.pass_time(until - b.now);
    b.done(Done::Wait(Actor::Source, false));
    b.begin_read();
    b.end_read_and_pass(&[b'x'; 64], 64);
    let mut action = b.engine.poll(Actor::Source, b.now);
    if matches!(&action, Action::Wait(wait) if wait.sleep.what == For::Input) {
        b.done(Done::Wait(Actor::Source, true));
        action = b.engine.poll(Actor::Source, b.now);
    }
    let Action::Transfer(transfer) = action else {
        panic!("{action:?}");
    };
    b.done(Done::Transfer(transfer, Outcome::Nothing));
}

/// A source that stays away from small pieces which come one right behind the other.
fn away() -> Bench {
    let mut b = Bench::new(rules(KIB * KIB));
    b.engine.on_input_begin(Path {
        waits_first: true,
        ..Path::default()
    });
    for _ in 0..100 {
        b.pass_time(Duration::from_micros(2));
        match b.try_to_read() {
            None => b.end_read(&[b'x'; 64]),
            Some(sleep) => {
                assert_eq!(sleep.what, For::More);
                return b;
            }
        }
    }
    panic!("it is never away");
}

#[test]
fn who_stays_away_for_a_moment_hears_of_what_concerns_him_and_of_nothing_else() {
    let mut b = away();
    b.write();
    assert!(!b.is_source_woken(), "for what the consumer took");
    b.pass_time(Duration::from_micros(60));
    b.write_all();
    assert!(!b.is_source_woken(), "when it is about to come back");
    b.done(Done::Wait(Actor::Source, false));
    assert!(b.try_to_read().is_none(), "what has come is read at once");
    b.end_read(&[b'x'; 640]);

    let mut b = away();
    b.engine.halt(b.now);
    assert!(b.is_source_woken(), "for the end");
}
