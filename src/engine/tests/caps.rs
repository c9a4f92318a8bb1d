//! What caps promise, as the neighbours see it, for whole runs of the simulator.

use std::time::Duration;

use super::sim::{self, Adversity, Outcome, Scenario};
use crate::engine::bucket::STEP;
use crate::engine::directive::Directive;
use crate::engine::limiter::Cap;
use crate::engine::record::{Cursor, Framing};

/// What passed, in units of the cap: bytes, or records begun.
pub(super) fn units(outcome: &Outcome, framing: Option<Framing>) -> Vec<(Duration, u64)> {
    let mut cursor = Cursor::new(framing);
    let mut at = 0;
    let pieces = outcome.passed.iter().map(|&(time, n)| {
        let tally = cursor.pass(&outcome.output[at..at + n]);
        at += n;
        (
            time,
            if framing.is_some() {
                tally.begun
            } else {
                n as u64
            },
        )
    });
    pieces.collect()
}

/// Checks `cap·W + burst + one step` for windows of many lengths.
pub(super) fn assert_bound(passed: &[(Duration, u64)], per_second: f64, burst: u64) {
    for micros in [1, 100, 1_000, 5_000, 20_000, 100_000, 1_000_000] {
        let window = Duration::from_micros(micros);
        let bound = per_second * (window + STEP).as_secs_f64() + burst as f64 + 1.0;
        let peak = sim::peak(passed, window);
        assert!(
            peak as f64 <= bound + 1e-6,
            "{peak} in {window:?}, bound {bound}"
        );
    }
}

/// All that came before something may come at all is paid for, however much of it came at once.
fn assert_paid(passed: &[(Duration, u64)], per_second: f64, what: &str) {
    let mut sum = 0;
    for (at, n) in passed.iter().filter(|it| it.1 > 0) {
        let bound = per_second * (*at + STEP).as_secs_f64() + 1.0;
        assert!(
            sum as f64 <= bound + 1e-6,
            "{sum} {what} before {at:?}, bound {bound}"
        );
        sum += n;
    }
}

/// The most that a cap lets pass.
fn most(cap: Cap) -> f64 {
    match cap {
        Cap::Fixed(rate) => rate.per_second(),
        Cap::Range(one, two) => one.per_second().max(two.per_second()),
    }
}

/// Until when the caps that a run began with hold, where one of these is a change: not until the very moment, for what is
/// under way is brought to its end then.
fn until(outcome: &Outcome, is_change: impl Fn(&Directive) -> bool) -> Duration {
    let told = outcome.told.iter().find(|it| is_change(&it.1));
    told.map_or(Duration::MAX, |(at, _)| {
        at.saturating_sub(Duration::from_millis(1))
    })
}

fn before(passed: &[(Duration, u64)], end: Duration) -> &[(Duration, u64)] {
    &passed[..passed.partition_point(|it| it.0 < end)]
}

/// The caps that a run begins with are kept, until somebody changes them.
pub(super) fn assert_caps(s: &Scenario, outcome: &Outcome, adversity: &Adversity) {
    assert_output_caps(s, outcome, adversity);
    let (framing, mut at) = (s.rules.framing, 0);
    let mut cursor = Cursor::new(framing);
    let (mut bytes, mut records) = (Vec::new(), Vec::new());
    for (time, n) in &outcome.took {
        bytes.push((*time, *n as u64));
        let ended = cursor.pass(&s.input.0[at..at + n]).ended;
        records.push((*time, ended));
        at += n;
    }
    let burst = |it: &Directive| matches!(it, Directive::Burst(_));
    if let Some(cap) = s.rules.input.bytes {
        let is_change = |it: &Directive| matches!(it, Directive::InputRateOfBytes(_)) || burst(it);
        let bytes = before(&bytes, until(outcome, is_change));
        assert_paid(bytes, most(cap), "bytes are read");
    }
    if let Some(cap) = s.rules.input.records {
        let is_change =
            |it: &Directive| matches!(it, Directive::InputRateOfRecords(_)) || burst(it);
        let records = before(&records, until(outcome, is_change));
        assert_paid(records, most(cap), "records are read");
    }
}

fn assert_output_caps(s: &Scenario, outcome: &Outcome, adversity: &Adversity) {
    let limits = s.rules.output;
    let burst = |it: &Directive| matches!(it, Directive::Burst(_));
    let of_bytes = |it: &Directive| matches!(it, Directive::RateOfBytes(_)) || burst(it);
    let of_records = |it: &Directive| matches!(it, Directive::RateOfRecords(_)) || burst(it);
    let (of_bytes, of_records) = (until(outcome, of_bytes), until(outcome, of_records));
    if s.rules.batch.is_some() {
        let mut tries: Vec<_> = outcome.tries.iter().collect();
        // Of two jobs the one that was told to run its program first need not be the first to have done so.
        tries.sort_by_key(|it| it.ordered);
        let tries = tries.into_iter();
        let bytes: Vec<_> = tries
            .clone()
            .map(|it| (it.ordered, it.ticket.bytes))
            .collect();
        let count = |records: Option<(u64, u64)>| records.map_or(0, |it| it.0);
        let records: Vec<_> = tries
            .map(|it| (it.ordered, count(it.ticket.records)))
            .collect();
        if let Some(cap) = limits.bytes {
            assert_paid(before(&bytes, of_bytes), most(cap), "bytes are tried");
        }
        if let Some(cap) = limits.records {
            assert_paid(before(&records, of_records), most(cap), "records are tried");
        }
        return;
    }
    if let Some(cap) = limits.bytes {
        let passed = outcome.passed.iter().map(|(at, n)| (*at, *n as u64));
        let passed: Vec<_> = passed.collect();
        assert_bound(before(&passed, of_bytes), most(cap), 0);
    }
    // What was given to one who fell, or to workers, is not what came out in order.
    let is_in_order = adversity.falls.iter().all(Option::is_none) && s.rules.workers.is_none();
    if let Some(cap) = limits.records.filter(|_| is_in_order) {
        let passed = units(outcome, s.rules.framing);
        assert_bound(before(&passed, of_records), most(cap), 0);
    }
}
