//! The bypass: used while the consumer keeps up, left when it does not, and found again.

use std::time::{Duration, Instant};

use super::sim::{Outcome, Scenario, plain, rules, run};
use crate::engine::record::Framing;

const MIB: usize = 1 << 20;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Bytes in which a lost or repeated block would show.
fn numbers(bytes: usize) -> Vec<u8> {
    (0..bytes as u64 / 8).flat_map(u64::to_le_bytes).collect()
}

/// A producer that is always ready, and a consumer that takes 200,000 bytes in each tenth of a
/// millisecond, 1.9 GiB per second: but for this time.
fn flood(bytes: usize, rest: std::ops::Range<u64>) -> Scenario {
    let mut s = plain(rules(MIB), numbers(bytes));
    s.direct = true;
    s.pipe = 256 * 1024;
    let times = (0..bytes as u64 / 200_000 + 10 * (rest.end - rest.start) + 10).map(|n| n * 100);
    s.takes = times
        .filter(|us| !(rest.start * 1000..rest.end * 1000).contains(us))
        .map(|us| (Duration::from_micros(us), 200_000))
        .collect();
    s
}

/// Bytes that took each path, once all have arrived.
#[track_caller]
fn ways(input: &[u8], outcome: &Outcome) -> [usize; 2] {
    assert!(outcome.finished && outcome.output == input);
    let status = outcome.engine.status(Instant::now());
    let spliced = usize::try_from(status.spliced).expect("a size");
    [spliced, input.len() - spliced]
}

#[test]
fn a_consumer_that_keeps_up_never_sees_a_copy() {
    let input = numbers(MIB);
    let mut s = plain(rules(1 << 16), input.clone());
    s.direct = true;
    let outcome = run(s);
    let status = outcome.engine.status(Instant::now());
    assert_eq!(outcome.output, input);
    assert_eq!(status.spliced, input.len() as u64);
    assert_eq!(status.buffer.peak, 0);
}

#[test]
fn a_consumer_that_stops_gets_the_ring_and_then_the_bypass_back() {
    let input = numbers(200_000);
    let mut s = plain(rules(64 * 1024), input.clone());
    s.direct = true;
    s.offers = vec![(ms(0), 20_000), (ms(20), 30_000), (ms(500), 150_000)];
    s.takes = vec![(ms(0), 15_000), (ms(400), 1 << 30)];
    let outcome = run(s);
    let status = outcome.engine.status(Instant::now());
    assert_eq!(outcome.output, input);
    assert!(status.buffer.peak > 20_000, "the log was not used");
    assert!(status.spliced > 150_000, "the bypass was not used again");
}

#[test]
fn records_bypass_the_log_too() {
    let input = b"a line\nanother\nno end".repeat(10_000);
    let mut s = plain(rules(1 << 16), input.clone());
    s.rules.framing = Some(Framing::Terminator(b'\n'));
    s.direct = true;
    let outcome = run(s);
    assert_eq!(ways(&input, &outcome), [input.len(), 0]);
    let status = outcome.engine.status(Instant::now());
    assert_eq!(status.written.records, Some(20_001));
}

#[test]
fn a_fast_flow_outlasts_a_wait_that_a_slow_one_does_not() {
    let s = flood(100 * MIB, 30..40);
    let input = s.input.0.clone();
    assert_eq!(ways(&input, &run(s)), [input.len(), 0]);
}

#[test]
fn a_ring_that_only_costs_is_left_again() {
    let s = flood(400 * MIB, 30..60);
    let input = s.input.0.clone();
    let [spliced, copied] = ways(&input, &run(s));
    // The trial takes 50 ms, which is 100 MB.
    assert!((60_000_000..130_000_000).contains(&copied), "{copied}");
    assert!(spliced > 280_000_000, "{spliced}");
}

#[test]
fn a_ring_that_bridges_silences_is_kept() {
    let mut s = plain(rules(64 * MIB), numbers(400 * MIB));
    s.direct = true;
    s.pipe = 256 * 1024;
    // 25 MiB, and 5 more in each 8 ms, all at once; the consumer takes as much, but evenly.
    s.offers = (0..75).map(|n| (ms(8) * n, 5 * MIB)).collect();
    s.offers.push((ms(0), 25 * MIB));
    let times = (0..8000).map(|n| Duration::from_micros(n * 100));
    s.takes = times.map(|time| (time, 5 * MIB / 80)).collect();
    let input = s.input.0.clone();
    let [spliced, copied] = ways(&input, &run(s));
    // What it took to see that the consumer is slower, and no more.
    assert!(spliced < 20_000_000, "{spliced} {copied}");
}
