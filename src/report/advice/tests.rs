//! What the summary advises: only what there is evidence for, and a size that saves what it says.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::report::sample;

const MIB: f64 = 1_048_576.0;

/// What a weir with a buffer of this size would have seen, twice a second, of these two.
fn seen(source: &[Stretch], sink: &[Stretch], size: f64) -> (Trace, Status) {
    seen_every(0.5, source, sink, size)
}

fn seen_every(every: f64, source: &[Stretch], sink: &[Stretch], size: f64) -> (Trace, Status) {
    let mut trace = Trace::default();
    let mut status = sample::origin();
    status.buffer.capacity = size as usize;
    status.buffer.high = size as usize;
    status.buffer.low = size as usize - (size as usize / 8).clamp(1, 1 << 20);
    let mut peak = 0;
    let mut look = |trace: &mut Trace, moment: replay::Moment| {
        status.elapsed = Duration::from_secs_f64(moment.time);
        status.read.bytes = moment.read as u64;
        status.written.bytes = moment.written as u64;
        status.waits.source = Duration::from_secs_f64(moment.starved);
        status.waits.room = Duration::from_secs_f64(moment.held);
        status.buffer.used = (moment.read - moment.written) as usize;
        peak = peak.max(status.buffer.used);
        status.buffer.peak = peak;
        trace.on(&status);
        status
    };
    let mut end = look(&mut trace, replay::Moment::default());
    let took = replay::watched(source, sink, size, every, |moment| {
        end = look(&mut trace, moment);
    });
    let all = Stretch::sum(source).bytes();
    end = look(
        &mut trace,
        replay::Moment {
            time: took,
            read: all,
            written: all,
            starved: end.waits.source.as_secs_f64(),
            held: end.waits.room.as_secs_f64(),
        },
    );
    (trace, end)
}

fn paces(of: &[(f64, f64)]) -> Vec<Stretch> {
    let bytes = |mib: f64| (mib * MIB) as u64;
    of.iter()
        .map(|(time, mib)| Stretch::new(*time, bytes(*mib)))
        .collect()
}

#[test]
fn a_slow_side_is_no_reason_for_another_buffer() {
    let fast = paces(&[(10.0, 1000.0)]);
    let slow = paces(&[(60.0, 1000.0)]);
    let (trace, end) = seen(&fast, &slow, 64.0 * MIB);
    assert_eq!(trace.advice(&end), Some(Advice::NoSize));
    // Where it was never full there is nothing to say, or that it could be smaller.
    let (trace, end) = seen(&slow, &fast, 64.0 * MIB);
    assert!(!matches!(
        trace.advice(&end),
        Some(Advice::Larger { .. } | Advice::NoSize)
    ));
}

#[test]
fn where_looks_are_too_seldom_for_evidence_nothing_is_said_against_a_larger_buffer() {
    // What comes in bursts of a second, at the pace that the sink has on the average: a larger buffer saves time.
    let source = paces(&[(1.0, 6.0), (1.0, 0.0)].repeat(10));
    let sink = paces(&[(20.0, 60.0)]);
    let could = replay(&source, &sink, MIB) - replay(&source, &sink, 1e9);
    assert!(could > 3.0, "{could}");
    for every in [0.1, 0.5, 1.0, 2.0, 4.0] {
        let (trace, end) = seen_every(every, &source, &sink, MIB);
        let advice = trace.advice(&end);
        assert_ne!(advice, Some(Advice::NoSize), "a look every {every} s");
        let is_larger = matches!(advice, Some(Advice::Larger { .. }));
        assert!(is_larger || every > 0.2, "{advice:?}");
    }
}

#[test]
fn short_runs_are_no_evidence() {
    let (trace, end) = seen(&paces(&[(1.0, 100.0)]), &paces(&[(3.0, 100.0)]), MIB);
    assert_eq!(trace.advice(&end), None);
}

#[test]
fn a_trace_is_bounded_whatever_the_length_of_the_run() {
    let mut trace = Trace::default();
    for second in 0..100_000 {
        trace.on(&sample::status(second, second + 10, second));
        assert!(trace.source.len() < MOST && trace.sink.len() < MOST);
    }
    let read = Stretch::sum(&trace.source).bytes() / MIB;
    assert!((90_000.0..=100_010.0).contains(&read), "{read}");
}

#[test]
fn sizes_are_such_as_one_would_type() {
    for (size, rounded) in [
        (1.0, 1),
        (4096.0, 4096),
        (290.5 * MIB, 300 << 20),
        (63.2 * MIB, 64 << 20),
    ] {
        assert_eq!(rounded_up(size), rounded, "{size}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The advised size does save what it says, in a run of the true source and the true sink;
    /// half of it does not.
    #[test]
    fn the_advised_size_saves_what_it_says_and_half_of_it_does_not(
        on in 2.0..15.0f64,
        off in 2.0..15.0f64,
        rate in 20.0..200.0f64,
        turns in 3..8usize,
        slowness in 0.8..1.2f64,
    ) {
        let source = paces(&[(on, on * rate), (off, 0.0)].repeat(turns));
        // The sink is even, and about as fast as the source is on the average.
        let total = Stretch::sum(&source).bytes() / MIB;
        let sink = paces(&[((on + off) * turns as f64 * slowness, total)]);
        let size = 8.0 * MIB;
        let (trace, end) = seen(&source, &sink, size);
        let truth = |size: f64| replay(&source, &sink, size);
        let now = truth(size);
        match trace.advice(&end) {
            Some(Advice::Larger { size: advised, saved_s }) => {
                let advised = advised as f64;
                let saved = now - truth(advised);
                prop_assert!(saved > saved_s * 0.8 - 0.5, "{saved} of {saved_s}");
                let half = now - truth(advised / 2.0);
                prop_assert!(half < saved * 0.98, "half of it saves {half} of {saved}");
            }
            other => {
                // Then there was hardly anything to save.
                let could = now - truth(f64::MAX);
                prop_assert!(could < WORTH.0.max(now * WORTH.1) * 2.0 + 1.0, "{other:?}: {could}");
            }
        }
    }
}
