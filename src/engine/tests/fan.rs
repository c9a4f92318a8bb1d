//! Taps and lookers beside the bypass: whoever of them stands still, or is no pipe, costs the consumer nothing.

use std::time::{Duration, Instant};

use super::sim::{Adversity, Outcome, Scenario, SidePlan, plain, rules, run_through};
use super::text::lines;
use crate::engine::action::SIDES;
use crate::engine::policy::{Policy, Which};
use crate::engine::record::Framing;
use crate::engine::side::Role;

const FOR_EVER: Duration = Duration::from_secs(100_000);
const SHARE: u64 = 64 * 1024;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Lines, which can pass around the log.
fn scenario() -> Scenario {
    let mut s = plain(rules(64 * 1024), lines(2_000_000, 80));
    s.rules.framing = Some(Framing::Terminator(b'\n'));
    s.direct = true;
    s.offers = (0..200).map(|n| (ms(n), 10_000)).collect();
    s.offers.push((ms(200), usize::MAX / 2));
    // Both of the first two can be passed to around the log.
    s.seed = 4;
    s
}

fn tap(stalls: Option<(Duration, Duration)>) -> SidePlan {
    SidePlan {
        role: Role::Tap(SHARE),
        comes: None,
        stalls,
        dies: None,
    }
}

fn looker(comes: Duration, stalls: Option<(Duration, Duration)>) -> SidePlan {
    SidePlan {
        role: Role::Looker(SHARE),
        comes: Some(comes),
        ..tap(stalls)
    }
}

/// Runs it to its end, at which the consumer has all: how much of that it got without a copy.
#[track_caller]
fn spliced(s: &Scenario, adversity: Adversity) -> (u64, Outcome) {
    let outcome = run_through(s.clone(), adversity);
    assert!(outcome.finished && outcome.output == s.input.0, "not all");
    let spliced = outcome.engine.status(Instant::now()).spliced;
    (spliced, outcome)
}

/// This is a part of the input, which begins and ends with whole lines.
#[track_caller]
fn assert_whole(s: &Scenario, got: &[u8]) {
    let end = got.iter().rposition(|byte| *byte == b'\n');
    let got = &got[..end.map_or(0, |at| at + 1)];
    let mut input = s.input.0.split_inclusive(|byte| *byte == b'\n');
    for line in got.split_inclusive(|byte| *byte == b'\n') {
        assert!(input.any(|other| other == line), "torn or out of order");
    }
}

#[test]
fn a_tap_that_stands_still_costs_the_consumer_no_copy() {
    for framing in [None, Some(Framing::Terminator(b'\n'))] {
        let mut s = scenario();
        s.rules.framing = framing;
        let stalls = [
            tap(Some((ms(20), FOR_EVER))),
            tap(None),
            tap(Some((ms(0), FOR_EVER))),
        ];
        let adversity = Adversity {
            sides: stalls.map(Some),
            ..Adversity::default()
        };
        let (spliced, outcome) = spliced(&s, adversity);
        assert_eq!(spliced, s.input.0.len() as u64);
        // One that keeps up beside the others gets all.
        assert_eq!(outcome.sides[1][0], s.input.0);
        assert!(
            outcome.kept > 0,
            "nothing was read for those who stand still"
        );
        let books = outcome.engine.side_status(Instant::now());
        assert!(books[0].dropped.bytes > s.input.0.len() as u64 / 2);
    }
}

#[test]
fn a_tap_that_goes_on_gets_the_newest_whole_lines_that_it_may_keep() {
    let s = scenario();
    let adversity = Adversity {
        sides: [Some(tap(Some((ms(20), ms(120))))), None, None],
        ..Adversity::default()
    };
    let (spliced, outcome) = spliced(&s, adversity);
    assert_eq!(spliced, s.input.0.len() as u64);
    let got = &outcome.sides[0][0];
    assert_whole(&s, got);
    assert!(s.input.0.ends_with(&got[got.len() - 1_000_000 / 2..]));
    let books = outcome.engine.side_status(Instant::now());
    assert_eq!(books[0].owed, 0);
    assert!(books[0].dropped.bytes > 500_000);
    assert_eq!(
        books[0].dropped.bytes + books[0].written.bytes,
        s.input.0.len() as u64
    );
}

#[test]
fn whoever_looks_and_what_is_kept_for_them_cost_the_consumer_no_copy() {
    for recall in [None, Some(SHARE)] {
        let s = scenario();
        let lookers = [
            looker(ms(10), None),
            looker(ms(30), Some((ms(50), FOR_EVER))),
            looker(ms(60), Some((ms(0), FOR_EVER))),
        ];
        let adversity = Adversity {
            lookers: lookers.map(Some),
            recall,
            ..Adversity::default()
        };
        let (spliced, outcome) = spliced(&s, adversity);
        assert_eq!(spliced, s.input.0.len() as u64);
        let shown = outcome.sides.iter().flatten().max_by_key(|got| got.len());
        let shown = shown.expect("somebody looked");
        assert_whole(&s, shown);
        assert!(shown.len() > s.input.0.len() / 2 && s.input.0.ends_with(shown));
    }
}

/// A tap that takes its part, late, must not make the producer wait for a consumer that has stopped: the log takes over.
#[test]
fn a_consumer_that_stops_gets_the_log_whatever_a_tap_does() {
    let mut s = scenario();
    s.rules = rules(1 << 20);
    s.takes = vec![(ms(0), 200_000), (ms(150), usize::MAX / 2)];
    let adversity = Adversity {
        sides: [Some(tap(Some((ms(0), ms(30))))), None, None],
        lookers: [Some(looker(ms(10), None)), None, None],
        ..Adversity::default()
    };
    let (_, outcome) = spliced(&s, adversity);
    let peak = outcome.engine.status(Instant::now()).buffer.peak;
    assert!(peak > 500_000, "the producer waited: {peak}");
}

/// What has begun to leave cannot be dropped, so that no record may that has not ended.
#[test]
fn a_record_without_an_end_takes_no_more_than_the_share_of_a_tap() {
    let mut s = scenario();
    s.input.0.fill(b'x');
    let adversity = Adversity {
        sides: [Some(tap(Some((ms(20), FOR_EVER)))), None, None],
        ..Adversity::default()
    };
    let (_, outcome) = spliced(&s, adversity);
    let books = outcome.engine.side_status(Instant::now());
    assert!(books[0].owed <= 2 * SHARE, "{}", books[0].owed);
}

/// What it takes to know a record of two bytes is many times these.
#[test]
fn the_books_of_the_short_records_of_a_tap_count_for_its_share() {
    let mut s = scenario();
    s.input.0 = b"x\n".repeat(100_000);
    s.direct = false;
    s.rules.shed = Some(Policy {
        which: Which::Fair,
        patience: Duration::ZERO,
    });
    let adversity = Adversity {
        lanes: Some((Some("1"), None)),
        sides: [Some(tap(Some((ms(5), FOR_EVER)))), None, None],
        ..Adversity::default()
    };
    let outcome = run_through(s, adversity);
    assert!(outcome.finished, "all is delivered");
    let tap = &outcome.engine.outputs[SIDES];
    let (owed, books) = (tap.queue.owed(), tap.books());
    assert!(owed > 0 && books > owed, "{owed} and {books}");
    assert!(!tap.outgrows(SHARE), "{owed} and {books}");
}
