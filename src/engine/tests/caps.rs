//! What caps promise, as the neighbours see it, for whole runs of the simulator.

use std::time::Duration;

use super::sim::{self, Adversity, Outcome, Scenario};
use crate::engine::bucket::STEP;
use crate::engine::directive::Directive;
use crate::engine::limiter::{Burst, Cap};
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

/// The most that a cap lets pass.
fn most(cap: Cap) -> f64 {
    match cap {
        Cap::Fixed(rate) => rate.per_second(),
        Cap::Range(one, two) => one.per_second().max(two.per_second()),
    }
}

/// A cap, from when to when it held, and with which burst: not until the very moment, for what is under way is brought to its
/// end then.
struct Span {
    from: Duration,
    to: Duration,
    cap: Cap,
    burst: u64,
}

/// What a directive changes: the cap that is asked about, or the burst.
enum Change {
    Cap(Option<Cap>),
    Burst(Burst),
}

/// The caps that held one after the other: the one that a run began with, and those that it was told.
fn spans(outcome: &Outcome, first: Option<Cap>, of: Of) -> Vec<Span> {
    let (mut all, mut from, mut cap, mut burst) = (Vec::new(), Duration::ZERO, first, 0);
    let told = outcome.told.iter();
    let told = told.filter_map(|(at, it)| of.change(it).map(|change| (*at, Some(change))));
    for (at, change) in told.chain([(Duration::MAX, None)]) {
        let to = at.saturating_sub(Duration::from_millis(1));
        all.extend(cap.map(|cap| Span {
            from,
            to,
            cap,
            burst,
        }));
        // What was under way has passed by then, at the same instant.
        from = at.saturating_add(Duration::from_nanos(1));
        match change {
            Some(Change::Cap(next)) => cap = next,
            Some(Change::Burst(Burst::Units(n))) => burst = n,
            Some(Change::Burst(Burst::Worth(_))) | None => {}
        }
    }
    all
}

/// Which of the four caps.
#[derive(Clone, Copy)]
enum Of {
    Bytes,
    Records,
    InputBytes,
    InputRecords,
}

impl Of {
    /// What this directive changes of it.
    fn change(self, it: &Directive) -> Option<Change> {
        match (self, it) {
            (Of::Bytes, Directive::RateOfBytes(cap))
            | (Of::Records, Directive::RateOfRecords(cap))
            | (Of::InputBytes, Directive::InputRateOfBytes(cap))
            | (Of::InputRecords, Directive::InputRateOfRecords(cap)) => Some(Change::Cap(*cap)),
            (Of::Bytes | Of::InputBytes, Directive::Burst(burst)) => {
                Some(Change::Burst(burst.bytes))
            }
            (Of::Records | Of::InputRecords, Directive::Burst(burst)) => {
                Some(Change::Burst(burst.records))
            }
            _ => None,
        }
    }
}

impl Span {
    fn of<'a>(&self, passed: &'a [(Duration, u64)]) -> &'a [(Duration, u64)] {
        let from = passed.partition_point(|it| it.0 < self.from);
        let to = passed.partition_point(|it| it.0 < self.to);
        &passed[from..to.max(from)]
    }

    /// What passed in every window of it is within the cap.
    fn assert_bound(&self, passed: &[(Duration, u64)]) {
        assert_bound(self.of(passed), most(self.cap), self.burst);
    }

    /// All that came before something may come at all is paid for, however much of it came at once; but for what was under way
    /// when it began.
    fn assert_paid(&self, passed: &[(Duration, u64)], what: &str) {
        let under_way = usize::from(self.from > Duration::ZERO);
        let (mut sum, per_second) = (0, most(self.cap));
        let came = self.of(passed).iter().filter(|it| it.1 > 0);
        for (at, n) in came.skip(under_way) {
            let time = (*at - self.from + STEP).as_secs_f64();
            let bound = per_second * time + self.burst as f64 + 1.0;
            assert!(
                sum as f64 <= bound + 1e-6,
                "{sum} {what} before {at:?}, bound {bound}"
            );
            sum += n;
        }
    }
}

/// The caps of a run are kept, those that it began with and those that came later.
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
    for span in spans(outcome, s.rules.input.bytes, Of::InputBytes) {
        span.assert_paid(&bytes, "bytes are read");
    }
    for span in spans(outcome, s.rules.input.records, Of::InputRecords) {
        span.assert_paid(&records, "records are read");
    }
}

fn assert_output_caps(s: &Scenario, outcome: &Outcome, adversity: &Adversity) {
    let limits = s.rules.output;
    let of_bytes = spans(outcome, limits.bytes, Of::Bytes);
    let of_records = spans(outcome, limits.records, Of::Records);
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
        for span in of_bytes {
            span.assert_paid(&bytes, "bytes are tried");
        }
        for span in of_records {
            span.assert_paid(&records, "records are tried");
        }
        return;
    }
    let passed = outcome.passed.iter().map(|(at, n)| (*at, *n as u64));
    let passed: Vec<_> = passed.collect();
    for span in of_bytes {
        span.assert_bound(&passed);
    }
    // What was given to one who fell, or to workers, is not what came out in order.
    let is_in_order = adversity.falls.iter().all(Option::is_none) && s.rules.workers.is_none();
    if is_in_order && !of_records.is_empty() {
        let passed = units(outcome, s.rules.framing);
        for span in of_records {
            span.assert_bound(&passed);
        }
    }
}
