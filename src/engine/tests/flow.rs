//! The state machine under arbitrary neighbours: order, wholeness, marks, books and caps, by
//! properties and with a made-up clock.

use std::num::NonZeroU64;
use std::time::Duration;

use super::caps::{assert_bound, units};
use super::sim::{self, Scenario, Text, plain, rules, run};
use super::text::records;
use crate::engine::gate::Marks;
use crate::engine::limiter::{Burst, Bursts, Cap, QUANTUM};
use crate::engine::record::Framing;
use crate::engine::{Limits, Rules};
use crate::units::{Limit, Rate, Unit};
use proptest::prelude::*;

fn rate(text: &str) -> Rate {
    match text.parse() {
        Ok(Limit::Fixed(rate)) => rate,
        other => panic!("{text}: {other:?}"),
    }
}

/// Lines that are all different, of many lengths, the last one without an end.
fn lines(bytes: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for k in 0.. {
        text.extend_from_slice(format!("{k}{}\n", "x".repeat(k * 7 % 40)).as_bytes());
        if text.len() >= bytes {
            break;
        }
    }
    text.truncate(bytes);
    text
}

prop_compose! {
    fn neighbours(total: usize)(
        offers in prop::collection::vec((0u64..300_000, 1usize..9000), 1..40),
        takes in prop::collection::vec((0u64..400_000, 1usize..9000), 0..40),
        stops in prop::collection::vec((0u64..300_000, 0u64..2_000_000), 0..3),
    ) -> (sim::Offers, sim::Takes, sim::Stops) {
        let us = Duration::from_micros;
        let mut offers: sim::Offers = offers.into_iter().map(|(t, n)| (us(t), n)).collect();
        offers.push((us(300_000), total));
        let mut takes: sim::Takes = takes.into_iter().map(|(t, n)| (us(t), n)).collect();
        takes.push((us(500_000), usize::MAX / 2));
        (offers, takes, stops.into_iter().map(|(t, d)| (us(t), us(d))).collect())
    }
}

prop_compose! {
    fn scenario()(
        capacity in prop_oneof![4096usize..20_000, 20_000usize..300_000],
        high in 10usize..=100, low in 0usize..=99, prefill in prop_oneof![Just(0usize), 0usize..=100],
        pipe in prop_oneof![1usize..100, 4096usize..9000],
        framing in prop_oneof![
            Just(None),
            Just(Some(Framing::Terminator(b'\n'))),
            (1u64..99).prop_map(|n| Some(Framing::Fixed(NonZeroU64::new(n).unwrap()))),
        ],
        bytes_cap in prop::option::of(20_000u64..5_000_000),
        records_cap in prop::option::of(2_000u64..500_000),
        burst in 0u64..5000,
        direct: bool, may_bypass: bool, seed: u64,
        (offers, takes, stops) in neighbours(60_000),
    ) -> Scenario {
        let high = (capacity * high / 100).max(2);
        let marks = Marks { high, low: (high - 1) * low / 100, prefill: high * prefill / 100 };
        let cap = |n: Option<u64>, unit| {
            let second = NonZeroU64::new(1_000_000_000).unwrap();
            Some(Cap::Fixed(Rate::new(NonZeroU64::new(n?)?, second, unit)))
        };
        let output = Limits {
            bytes: cap(bytes_cap, Unit::Bytes),
            records: framing.and(cap(records_cap, Unit::Records)),
        };
        let bursts = Bursts { bytes: Burst::Units(burst), records: Burst::Units(burst) };
        let rules = Rules { marks, framing, output, may_bypass, burst: bursts, ..rules(capacity) };
        let input = Text(lines(60_000));
        Scenario { rules, direct, input, offers, takes, stops, commands: Vec::new(), pipe, seed }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn every_byte_arrives_once_and_in_order_whatever_the_neighbours_do(s in scenario()) {
        let input = s.input.0.clone();
        let outcome = run(s);
        prop_assert!(outcome.finished, "stuck: {:?}", outcome.engine);
        prop_assert!(outcome.output == input, "the output is not the input");
    }

    #[test]
    fn reading_stops_at_the_high_mark_and_starts_again_at_the_low_one(s in scenario()) {
        let marks = s.rules.marks;
        for (stopped, started) in run(s).turns {
            prop_assert!(stopped > marks.low, "stopped at {}", stopped);
            prop_assert!(started <= marks.low, "started at {} above {}", started, marks.low);
        }
    }

    #[test]
    fn no_window_sees_more_than_the_cap_the_burst_and_one_step(s in scenario()) {
        let (rules, outcome) = (s.rules, run(s));
        if let Some(Cap::Fixed(rate)) = rules.output.bytes {
            let Burst::Units(burst) = rules.burst.bytes else { unreachable!() };
            assert_bound(&units(&outcome, None), rate.per_second(), burst);
        }
        if let Some(Cap::Fixed(rate)) = rules.output.records {
            let Burst::Units(burst) = rules.burst.records else { unreachable!() };
            assert_bound(&units(&outcome, rules.framing), rate.per_second(), burst);
        }
    }

    #[test]
    fn records_are_counted_the_same_on_both_sides(s in scenario()) {
        let (framing, input) = (s.rules.framing, s.input.0.clone());
        let outcome = run(s);
        let status = outcome.engine.status(std::time::Instant::now());
        let expected = framing.map(|_| records(framing, &input).len() as u64);
        prop_assert_eq!(status.read.records, expected);
        prop_assert_eq!(status.written.records, expected);
    }
}

#[test]
fn a_prefill_holds_the_output_each_time_the_buffer_has_run_empty() {
    let marks = Marks {
        high: 8192,
        low: 4096,
        prefill: 5000,
    };
    let mut s = plain(
        Rules {
            marks,
            ..rules(8192)
        },
        lines(12_000),
    );
    let ms = Duration::from_millis;
    s.offers = vec![
        (ms(0), 4000),
        (ms(100), 1500),
        (ms(200), 3000),
        (ms(300), 3500),
    ];
    let outcome = run(s);
    let at = |n: usize| {
        let mut sum = 0;
        let piece = outcome.passed.iter().find(|p| {
            sum += p.1;
            sum >= n
        });
        piece.expect("that much passed").0
    };
    assert!(at(1) >= ms(100), "released before the prefill was reached");
    assert!(at(5500) < ms(200), "held although the prefill was reached");
    assert!(at(5501) >= ms(300), "not held again after running empty");
    assert!(outcome.finished, "the end of input releases the rest");
}

#[test]
fn a_cap_is_met_on_average_within_a_thousandth() {
    for (cap, bytes) in [
        ("100B/s", 2_000),
        ("10MiB/s", 50 << 20),
        ("1GiB/s", 200 << 20),
    ] {
        let rate = rate(cap);
        let output = Limits {
            bytes: Some(Cap::Fixed(rate)),
            records: None,
        };
        let mut s = plain(
            Rules {
                output,
                ..rules(1 << 20)
            },
            vec![b'x'; bytes],
        );
        (s.direct, s.pipe) = (true, 1 << 18);
        let outcome = run(s);
        let first = outcome.passed[0];
        let time = (outcome.end - first.0).as_secs_f64();
        let ideal = (bytes - first.1) as f64 / rate.per_second();
        // What comes last may wait for a quantum's worth of credit that it does not use up.
        let error = (time - ideal).abs() - QUANTUM.as_secs_f64();
        assert!(
            error < 0.001 * ideal,
            "{cap}: {time} s instead of {ideal} s"
        );
    }
}

#[test]
fn low_rates_are_even_to_the_byte_and_to_the_record() {
    let cap = |text| Some(Cap::Fixed(rate(text)));
    let output = Limits {
        bytes: cap("100B/s"),
        records: None,
    };
    let outcome = run(plain(
        Rules {
            output,
            ..rules(4096)
        },
        lines(500),
    ));
    for pair in outcome.passed.windows(2) {
        let gap = pair[1].0 - pair[0].0;
        assert_eq!(pair[1].1, 1, "more than a byte at a time");
        assert!(
            gap.abs_diff(Duration::from_millis(10)) < Duration::from_millis(1),
            "{gap:?}"
        );
    }
    let output = Limits {
        bytes: None,
        records: cap("1/5s"),
    };
    let framing = Some(Framing::Terminator(b'\n'));
    let outcome = run(plain(
        Rules {
            output,
            framing,
            ..rules(4096)
        },
        lines(500),
    ));
    for pair in units(&outcome, framing).windows(2) {
        let gap = pair[1].0 - pair[0].0;
        assert_eq!(pair[1].1, 1, "more than a record at a time");
        assert!(
            gap.abs_diff(Duration::from_secs(5)) < Duration::from_millis(1),
            "{gap:?}"
        );
    }
}

#[test]
fn a_range_follows_the_occupancy() {
    let range = Cap::Range(rate("1KB/s"), rate("9KB/s"));
    let marks = Marks {
        high: 100_000,
        low: 1,
        prefill: 0,
    };
    let output = Limits {
        bytes: Some(range),
        records: None,
    };
    let mut s = plain(
        Rules {
            output,
            marks,
            ..rules(100_000)
        },
        vec![b'x'; 95_000],
    );
    s.offers = vec![(Duration::ZERO, 95_000)];
    let outcome = run(s);
    let passed_in = |from: u64, to: u64| -> usize {
        let (from, to) = (Duration::from_secs(from), Duration::from_secs(to));
        outcome
            .passed
            .iter()
            .filter(|p| p.0 >= from && p.0 < to)
            .map(|p| p.1)
            .sum()
    };
    // du/dt = -(1000 + 8000·u/100000): 90 % full at first, and an exponential fall from there.
    let (early, late) = (passed_in(1, 2), passed_in(20, 21));
    assert!(
        (7_000..8_500).contains(&early),
        "{early} in the second second"
    );
    assert!(
        (1_400..2_300).contains(&late),
        "{late} after twenty seconds"
    );
}

#[test]
fn input_caps_hold_the_producer_and_not_the_consumer() {
    let input = Limits {
        bytes: Some(Cap::Fixed(rate("10KB/s"))),
        records: None,
    };
    let outcome = run(plain(
        Rules {
            input,
            ..rules(4096)
        },
        lines(50_000),
    ));
    assert!(outcome.finished);
    assert!(outcome.end.abs_diff(Duration::from_secs(5)) < Duration::from_millis(50));
}

#[test]
fn hours_of_a_slow_flow_pass_in_a_moment() {
    let output = Limits {
        bytes: Some(Cap::Fixed(rate("3B/s"))),
        records: None,
    };
    let outcome = run(plain(
        Rules {
            output,
            ..rules(4096)
        },
        lines(100_000),
    ));
    assert!(outcome.finished);
    assert!(outcome.end > Duration::from_secs(9 * 3600));
}

#[test]
fn a_producer_that_is_slower_than_reading_holds_nothing_up_while_data_waits() {
    let output = Limits {
        bytes: Some(Cap::Fixed(rate("10KB/s"))),
        records: None,
    };
    let mut s = plain(
        Rules {
            output,
            ..rules(1 << 20)
        },
        vec![b'x'; 50_000],
    );
    s.offers = (0..50)
        .map(|k| (Duration::from_millis(20 * k), 1000))
        .collect();
    let outcome = run(s);
    let waits = outcome.engine.books(std::time::Instant::now()).waits;
    assert!(waits.cap > 9 * outcome.end / 10, "{waits:?}");
    assert!(waits.source < outcome.end / 10, "{waits:?}");
}
