//! Shedding, by properties and with a made-up clock: whole records, in order, none torn, none
//! twice, the books balanced, the freshest delivered.

mod long;

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use super::sim::{self, Adversity, Outcome, Scenario, Text, plain, run, run_through};
use super::text::{lines, records};
use crate::engine::directive::Directive;
use crate::engine::gate::Marks;
use crate::engine::limiter::Cap;
use crate::engine::policy::{Policy, Which};
use crate::engine::record::Framing;
use crate::engine::{Limits, Rules};
use crate::units::{Rate, Unit};
use proptest::prelude::*;

const LINES: Option<Framing> = Some(Framing::Terminator(b'\n'));

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn rules(capacity: usize, which: Option<Which>) -> Rules {
    let policy = |which| Policy {
        which,
        patience: Duration::ZERO,
    };
    Rules {
        framing: LINES,
        shed: which.map(policy),
        ..sim::rules(capacity)
    }
}

/// Checks that every record of the input is in exactly one of both, whole and in order.
fn assert_divided(framing: Option<Framing>, input: &[u8], output: &[u8], spilled: &[u8]) {
    let (kept, shed) = (records(framing, output), records(framing, spilled));
    let (mut kept, mut shed) = (kept.into_iter().peekable(), shed.into_iter().peekable());
    for (k, record) in records(framing, input).into_iter().enumerate() {
        // Lines are all different, so no choice can be wrong; others are checked by number below.
        if kept.peek() == Some(&record) {
            kept.next();
        } else if shed.peek() == Some(&record) {
            shed.next();
        } else {
            panic!(
                "record {k} is torn, lost or out of order: {:?}",
                record[..record.len().min(9)].escape_ascii().to_string()
            );
        }
    }
    assert_eq!(
        (kept.next(), shed.next()),
        (None, None),
        "something came twice"
    );
}

/// The records of `spilled` in the order of the input.
fn in_order(framing: Option<Framing>, input: &[u8], spilled: &[u8]) -> Vec<u8> {
    let all = records(framing, input).into_iter().enumerate();
    let place: std::collections::HashMap<&[u8], usize> = all.map(|(k, r)| (r, k)).collect();
    let mut spilled = records(framing, spilled);
    spilled.sort_by_key(|record| place.get(record));
    spilled.concat()
}

fn status(outcome: &Outcome) -> crate::engine::status::Status {
    outcome.engine.status(Instant::now())
}

prop_compose! {
    fn scenario()(
        capacity in prop_oneof![4096usize..9000, 9000usize..40_000],
        high in 50usize..=100, low in 0usize..=99,
        pipe in prop_oneof![1usize..200, Just(4096usize)],
        framing in prop_oneof![
            3 => Just(LINES),
            1 => (1u64..99).prop_map(|n| Some(Framing::Fixed(NonZeroU64::new(n).unwrap()))),
        ],
        longest in prop_oneof![Just(50usize), Just(6_000), Just(50_000)],
        which in prop_oneof![Just(None), Just(Some(Which::Oldest)), Just(Some(Which::Newest))],
        patience in prop_oneof![Just(0u64), 1u64..50],
        age in prop::option::of(1u64..200),
        records_cap in prop::option::of(100u64..50_000),
        open_end: bool, seed: u64,
        offers in prop::collection::vec((0u64..300, 1usize..20_000), 1..40),
        takes in prop::collection::vec((0u64..500, 1usize..5000), 0..40),
        stops in prop::collection::vec((0u64..300, 0u64..300), 0..2),
    ) -> Scenario {
        let high = capacity * high / 100;
        let marks = Marks { high, low: (high - 1) * low / 100, prefill: 0 };
        let cap = |n: u64| {
            let second = NonZeroU64::new(1_000_000_000).unwrap();
            Cap::Fixed(Rate::new(NonZeroU64::new(n).unwrap(), second, Unit::Records))
        };
        let rules = Rules {
            marks,
            framing,
            output: Limits { bytes: None, records: records_cap.map(cap) },
            shed: which.map(|which| Policy { which, patience: ms(patience) }),
            max_age: age.map(ms),
            ..rules(capacity, None)
        };
        let mut input = lines(200_000, longest);
        if open_end {
            input.truncate(input.len() - 3);
        }
        let mut offers: sim::Offers = offers.into_iter().map(|(t, n)| (ms(t), n)).collect();
        offers.push((ms(300), input.len()));
        let mut takes: sim::Takes = takes.into_iter().map(|(t, n)| (ms(t), n)).collect();
        takes.push((ms(700), usize::MAX / 2));
        let stops = stops.into_iter().map(|(t, d)| (ms(t), ms(d))).collect();
        Scenario { rules, direct: true, input: Text(input), offers, takes, stops, commands: Vec::new(), pipe, seed }
    }
}

fn any_command() -> impl Strategy<Value = Directive> {
    let which = prop_oneof![Just(Which::Oldest), Just(Which::Newest)];
    let policy = (which, prop_oneof![Just(0u64), 1u64..50]).prop_map(|(which, patience)| Policy {
        which,
        patience: ms(patience),
    });
    prop_oneof![
        3 => prop::option::of(policy).prop_map(Directive::Shed),
        2 => prop::option::of((1u64..200).prop_map(ms)).prop_map(Directive::MaxAge),
    ]
}

/// Runs it: every record that was read is in the output or among what was shed, and is counted.
fn assert_balanced(s: Scenario) {
    let (framing, input) = (s.rules.framing, s.input.0.clone());
    let sheds_oldest = s.rules.shed.is_some_and(|it| it.which == Which::Oldest);
    // For a record that fills the buffer all else has to go, whatever went before.
    let longest = records(framing, &input).iter().map(|it| it.len()).max();
    let is_in_order = sheds_oldest
        && s.rules.max_age.is_none()
        && s.commands.is_empty()
        && longest < Some(s.rules.marks.high / 4);
    let outcome = run(s);
    assert!(outcome.finished, "stuck: {:?}", outcome.engine);
    let status = status(&outcome);
    let input = &input[..status.read.bytes as usize];
    if framing == LINES {
        // What is old is shed after what was new, so both are in the order of their shedding.
        let spilled = in_order(framing, input, &outcome.spilled);
        let is_so = !is_in_order || outcome.spilled == spilled;
        assert!(is_so, "not shed in the order of the input");
        assert_divided(framing, input, &outcome.output, &spilled);
    }
    let all = records(framing, input).len() as u64;
    let (kept, shed) = (
        records(framing, &outcome.output),
        records(framing, &outcome.spilled),
    );
    assert_eq!(status.read.records, Some(all));
    assert_eq!(status.written.records, Some(kept.len() as u64));
    assert_eq!(status.shed.total.records, Some(shed.len() as u64));
    assert_eq!(status.shed.total.bytes, outcome.spilled.len() as u64);
    assert_eq!(all, (kept.len() + shed.len()) as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn every_record_is_delivered_or_shed_once_whole_and_in_order(s in scenario()) {
        assert_balanced(s);
    }

    #[test]
    fn that_holds_too_while_the_rules_are_changed(
        mut s in scenario(),
        commands in prop::collection::vec((0u64..700_000, any_command()), 1..60),
        drain in prop::option::of(0u64..700_000),
    ) {
        let at = Duration::from_micros;
        s.commands = commands.into_iter().map(|(t, command)| (at(t), command)).collect();
        s.commands.extend(drain.map(|t| (at(t), Directive::Drain)));
        assert_balanced(s);
    }

    #[test]
    fn nothing_is_shed_from_a_flow_that_fits(mut s in scenario()) {
        s.rules.max_age = None;
        s.rules.capacity = 400_000;
        s.rules.marks = Marks { high: 400_000, low: 350_000, prefill: 0 };
        let input = s.input.0.clone();
        let outcome = run(s);
        prop_assert!(outcome.output == input);
        prop_assert_eq!(status(&outcome).shed.total.bytes, 0);
    }
}

/// A producer of `input` at once into a consumer that takes nothing for a second.
fn stalled(rules: Rules, input: Vec<u8>) -> Scenario {
    Scenario {
        takes: vec![(ms(1000), usize::MAX / 2)],
        ..sim::plain(rules, input)
    }
}

#[test]
fn the_producer_is_never_blocked_and_the_last_line_is_delivered() {
    let input = lines(500_000, 50);
    let outcome = run(stalled(rules(16_384, Some(Which::Oldest)), input.clone()));
    let shed = status(&outcome).shed.total.bytes as usize;
    assert!(shed > 450_000, "{shed} bytes shed");
    let newest = &input[input.len() - 10_000..];
    assert!(
        outcome.output.ends_with(newest),
        "the newest were not delivered"
    );
}

#[test]
fn shedding_the_newest_keeps_what_came_first() {
    let input = lines(500_000, 50);
    let outcome = run(stalled(rules(16_384, Some(Which::Newest)), input.clone()));
    assert!(
        outcome.output.len() < 40_000,
        "{} bytes delivered",
        outcome.output.len()
    );
    assert!(
        outcome.output.starts_with(&input[..10_000]),
        "the first were not kept"
    );
}

#[test]
fn patience_blocks_first_and_starts_anew_with_each_filling() {
    let mut rules = rules(8192, Some(Which::Oldest));
    rules.shed = Some(Policy {
        which: Which::Oldest,
        patience: ms(500),
    });
    let mut s = stalled(rules, lines(100_000, 50));
    s.takes = vec![(ms(400), usize::MAX / 2)];
    let outcome = run(s.clone());
    assert_eq!(
        status(&outcome).shed.total.bytes,
        0,
        "shed before patience was at its end"
    );
    s.takes = vec![(ms(600), usize::MAX / 2)];
    let outcome = run(s);
    assert!(status(&outcome).shed.total.bytes > 0, "never shed");
}

#[test]
fn what_is_older_than_max_age_is_never_delivered() {
    let mut rules = rules(100_000, None);
    rules.max_age = Some(ms(200));
    let mut s = stalled(rules, lines(30_000, 50));
    s.offers = (0..60).map(|k| (ms(k * 20), 500)).collect();
    // 25 bytes every 10 ms: a fourth of what comes, after a stall.
    s.takes = (0..200).map(|k| (ms(500 + k * 10), 25)).collect();
    s.takes.push((ms(4000), usize::MAX / 2));
    s.pipe = 60;
    let outcome = run(s);
    let ages = status(&outcome).ages.expect("something waited");
    // A line's age is that of its last byte; its first may have come with the offer before.
    assert!(ages.max <= ms(222), "{:?}", ages.max);
    assert!(status(&outcome).shed.expired > 100);
    assert_eq!(
        status(&outcome).shed.total.records,
        Some(status(&outcome).shed.expired)
    );
}

/// It was counted as shed when it was dropped.
#[test]
fn what_the_file_of_what_is_dropped_never_gets_is_shed_once() {
    let mut rules = rules(256 * 1024, Some(Which::Oldest));
    rules.memory = Some(32 * 1024);
    let mut s = stalled(rules, lines(1_000_000, 50));
    s.offers = (0..1000).map(|n| (ms(n), 1000)).collect();
    let damaged = sim::Adversity {
        disk: sim::Disk {
            bound: 64 << 20,
            damages_dropped: true,
            ..sim::Disk::default()
        },
        ..sim::Adversity::default()
    };
    let mut outcome = sim::run_through(s, damaged);
    let lost = outcome.engine.take_lost();
    assert!(lost > 100_000, "{lost} bytes were damaged");
    let shed = status(&outcome).shed.total;
    assert_eq!(shed.bytes, outcome.spilled.len() as u64 + lost);
    let read = status(&outcome).read;
    assert_eq!(
        read.bytes,
        shed.bytes + outcome.output.len() as u64 + status(&outcome).buffer.used as u64
    );
}

#[test]
fn without_framing_bytes_are_shed() {
    let mut rules = rules(8192, Some(Which::Oldest));
    rules.framing = None;
    let input = lines(100_000, 50);
    let outcome = run(stalled(rules, input.clone()));
    assert_eq!(outcome.output.len() + outcome.spilled.len(), input.len());
    assert!(outcome.output.ends_with(&input[input.len() - 3000..]));
}

#[test]
fn a_slow_consumer_is_given_one_record_at_a_time() {
    let mut s = stalled(rules(1 << 20, Some(Which::Oldest)), lines(100_000, 50));
    s.offers = (0..1000).map(|k| (ms(k * 10), 100)).collect();
    s.takes = (0..200).map(|k| (ms(k * 50), 30)).collect();
    s.pipe = 30;
    let outcome = run(s);
    let longest = outcome.passed.iter().map(|p| p.1).max();
    assert!(longest <= Some(70), "{longest:?} bytes at a time");
}

/// What goes all at once is more than may wait for a file that is too slow for what comes.
#[test]
fn all_that_goes_at_once_is_for_the_file_since_it_had_no_time_to_take_any() {
    let line = |k| format!("{k}{}\n", "x".repeat(2000));
    let input = (0..10_000).map(line).collect::<String>().into_bytes();
    let room = rules(32 << 20, Some(Which::Oldest));
    let lowered = Marks {
        high: 1 << 20,
        low: 1 << 19,
        prefill: 0,
    };
    let mut s = stalled(room, input.clone());
    s.offers = vec![(ms(0), 19 << 20), (ms(700), input.len() - (19 << 20))];
    s.commands = vec![(ms(500), Directive::Marks(lowered))];
    let outcome = run(s);
    assert!(outcome.spilled.len() > 17 << 20);
    let spilled = in_order(LINES, &input, &outcome.spilled);
    assert_divided(LINES, &input, &outcome.output, &spilled);
    // In one piece for each that is kept.
    let mut s = stalled(room, input.clone());
    s.commands = vec![(ms(500), Directive::MaxAge(Some(ms(100))))];
    let kept = sim::Adversity {
        lanes: Some((None, Some("7"))),
        ..sim::Adversity::default()
    };
    let outcome = sim::run_through(s, kept);
    assert!(outcome.finished && outcome.spilled.len() > 9 << 20);
    let spilled = in_order(LINES, &input, &outcome.spilled);
    assert_divided(LINES, &input, &outcome.output, &spilled);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_record_longer_than_the_buffer_pushes_out_neither_quiet_lanes_nor_kept_records(
        before in 1..40usize,
        behind in 0..40usize,
        length in 20_000..200_000usize,
        noise in 0..200usize,
        seed: u64,
    ) {
        let (mut input, mut wanted) = (Vec::new(), Vec::new());
        let short = |input: &mut Vec<u8>, wanted: &mut Vec<u8>, numbers: std::ops::Range<usize>| {
            for n in numbers {
                // Ten quiet lanes, and records of the one that floods that are to be kept.
                let line = match n % 3 {
                    0 => format!("n kept {n}\n"),
                    _ => format!("{} {n}\n", n % 10),
                };
                input.extend(line.bytes());
                wanted.extend(line.bytes());
            }
        };
        short(&mut input, &mut wanted, 0..before);
        input.extend((0..noise).flat_map(|n| format!("n {n} {:40}\n", "").into_bytes()));
        input.extend(b"long ");
        input.resize(input.len() + length, b'x');
        input.push(b'\n');
        short(&mut input, &mut wanted, before..before + behind);
        let n = input.len();
        let mut s = plain(rules(16 * 1024, Some(Which::Oldest)), input);
        s.seed = seed;
        // Nothing is taken before all has come.
        s.takes = vec![(ms(1000), n)];
        let lanes = Some((Some("^[0-9nl]"), Some("kept")));
        let outcome = run_through(s, Adversity { lanes, ..Adversity::default() });
        prop_assert!(outcome.finished);
        let got = records(LINES, &outcome.output);
        for line in records(LINES, &wanted) {
            prop_assert!(got.contains(&line), "{:?} was pushed out", line.escape_ascii().to_string());
        }
        let long = got.iter().filter(|it| it.starts_with(b"long"));
        prop_assert_eq!(long.count(), 0);
    }
}
