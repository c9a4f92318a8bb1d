//! The state machine while its options are changed under it, a thousand times in a second: no byte
//! is lost, and every cap holds from the moment it is set.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use super::sim::{self, Scenario, run};
use crate::engine::bucket::STEP;
use crate::engine::directive::Directive;
use crate::engine::gate::Marks;
use crate::engine::limiter::{Burst, Bursts, Cap, TokenBucket};
use crate::engine::{Engine, Limits, Rules};
use crate::units::{Rate, Unit};
use proptest::prelude::*;

const CAPACITY: usize = 64 * 1024;

fn rate(bytes_per_second: u64) -> Rate {
    let second = NonZeroU64::new(1_000_000_000).expect("not zero");
    let amount = NonZeroU64::new(bytes_per_second).expect("a cap");
    Rate::new(amount, second, Unit::Bytes)
}

fn cap(bytes_per_second: u64) -> Directive {
    Directive::RateOfBytes(Some(Cap::Fixed(rate(bytes_per_second))))
}

fn marks(high: usize) -> Marks {
    Marks {
        high,
        low: high / 2,
        prefill: 0,
    }
}

/// A producer and a consumer that are always ready, and a first cap.
fn scenario(first: u64, burst: u64, bytes: usize, commands: sim::Commands, seed: u64) -> Scenario {
    let limits = |cap| Limits {
        bytes: cap,
        records: None,
    };
    let units = Burst::Units(burst);
    let text: Vec<u8> = (0..bytes).map(|n| (n * 31 % 251) as u8).collect();
    let rules = Rules {
        marks: marks(CAPACITY),
        output: limits(Some(Cap::Fixed(rate(first)))),
        burst: Bursts {
            bytes: units,
            records: units,
        },
        ..sim::rules(CAPACITY)
    };
    Scenario {
        direct: seed.is_multiple_of(2),
        commands,
        pipe: 64 * 1024,
        seed,
        ..sim::plain(rules, text)
    }
}

/// From a byte per second to more than the machine moves.
fn any_rate() -> impl Strategy<Value = u64> {
    (0u32..26, 1u64..1000).prop_map(|(shift, n)| (n << shift) / 512 + 1)
}

fn any_command() -> impl Strategy<Value = Directive> {
    prop_oneof![
        6 => any_rate().prop_map(cap),
        1 => Just(Directive::RateOfBytes(None)),
        1 => any_rate().prop_map(|n| Directive::InputRateOfBytes(Some(Cap::Fixed(rate(n))))),
        1 => Just(Directive::InputRateOfBytes(None)),
        1 => (2usize..CAPACITY).prop_map(|high| Directive::Marks(marks(high))),
        1 => Just(Directive::Pause),
        1 => Just(Directive::Resume),
    ]
}

/// About a thousand of them within a second.
fn script<C: std::fmt::Debug>(
    command: impl Strategy<Value = C>,
) -> impl Strategy<Value = Vec<(Duration, C)>> {
    let at = (0u64..1_000_000).prop_map(Duration::from_micros);
    prop::collection::vec((at, command), 900..1100)
}

/// A bucket as the contract has it: what the caps let in, and never more in it than a burst and a
/// step of the cap in force. Nothing that passes may take more out of it than is in it.
fn assert_never_overdrawn(outcome: &sim::Outcome, first: u64, burst: u64) {
    let full = |cap: f64| burst as f64 + 1.0 + STEP.as_secs_f64() * cap;
    let mut changes = outcome.told.iter().peekable();
    let (mut cap, mut then) = (first as f64, Duration::ZERO);
    let mut level = full(cap);
    for (now, n) in &outcome.passed {
        // Every step of the simulation takes time: what is told at this instant comes after it.
        while let Some((at, command)) = changes.next_if(|change| change.0 < *now) {
            let Directive::RateOfBytes(Some(Cap::Fixed(next))) = command else {
                unreachable!("no other command in this test")
            };
            level = (level + cap * (*at - then).as_secs_f64()).min(full(cap));
            (cap, then) = (next.per_second(), *at);
            level = level.min(full(cap));
        }
        level = (level + cap * (*now - then).as_secs_f64()).min(full(cap));
        then = *now;
        level -= *n as f64;
        assert!(level > -1e-3, "{n} bytes at {now:?} are {level} too many");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_thousand_changes_of_the_cap_pass_nothing_that_none_of_them_allowed(
        first in any_rate(), burst in 0u64..20_000, seed: u64, mut script in script(any_rate()),
    ) {
        script.push((Duration::from_secs(1), 50_000_000));
        let commands = script.into_iter().map(|(at, n)| (at, cap(n))).collect();
        let outcome = run(scenario(first, burst, 4 << 20, commands, seed));
        prop_assert!(outcome.finished);
        assert_never_overdrawn(&outcome, first, burst);
    }

    #[test]
    fn a_thousand_changes_of_anything_lose_no_byte(
        first in any_rate(), seed: u64, mut script in script(any_command()),
    ) {
        let end = Duration::from_secs(1);
        script.extend([Directive::Resume, cap(50_000_000), Directive::InputRateOfBytes(None)]
            .map(|command| (end, command)));
        let s = scenario(first, 0, 1 << 20, script, seed);
        let input = s.input.0.clone();
        let outcome = run(s);
        prop_assert!(outcome.finished, "stuck: {:?}", outcome.engine);
        prop_assert!(outcome.output == input, "the output is not the input");
    }

    #[test]
    fn a_pause_stops_the_output_and_a_drain_empties_the_buffer(
        rate in 50_000u64..5_000_000, at in 1u64..50_000, seed: u64,
    ) {
        let (at, ms) = (Duration::from_micros(at), Duration::from_millis);
        let commands = vec![(at, Directive::Pause), (at + ms(500), Directive::Drain)];
        let outcome = run(scenario(rate, 0, 4 << 20, commands, seed));
        let status = outcome.engine.status(Instant::now());
        prop_assert!(outcome.finished);
        prop_assert_eq!(status.read.bytes, status.written.bytes);
        let (paused, drained) = (outcome.told[0].0, outcome.told[1].0);
        let during = outcome.passed.iter().filter(|p| p.0 > paused && p.0 < drained).count();
        prop_assert_eq!(during, 0);
    }
}

#[test]
fn an_end_that_is_seen_when_no_more_is_wanted_does_not_end_the_input() {
    let now = Instant::now();
    let mut engine = Engine::new(sim::rules(64 << 10), now);
    assert!(engine.is_input_over(true));
    // Whoever sees it may have been given something else to read by then.
    engine.command(now, Directive::Drain);
    assert!(!engine.is_input_over(true));
    engine.on_input_end(false, now);
    assert!(!engine.is_input_over(true));
}

#[test]
fn what_was_under_way_when_the_cap_fell_is_not_held_against_the_new_one() {
    let start = Instant::now();
    let none = Burst::Units(0);
    let mut bucket = TokenBucket::new(rate(1_000_000_000), none, start);
    let now = start + Duration::from_secs(1);
    let under_way = bucket.may_pass(now).expect("a step's worth");
    bucket.set(rate(100), none, now);
    bucket.on_passed(under_way, now);
    let next = bucket.may_pass(now).expect_err("the new cap is in force");
    // A byte of debt and a byte to send.
    assert!(next - now <= Duration::from_millis(21), "{:?}", next - now);
    // Nor is it when there was no cap at all.
    let mut bucket = TokenBucket::new(rate(100), none, now);
    bucket.on_passed(1 << 20, now);
    let next = bucket.may_pass(now).expect_err("the new cap is in force");
    assert!(next - now <= Duration::from_millis(21), "{:?}", next - now);
}
