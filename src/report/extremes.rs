//! The slowest and the fastest second of a run. Time is what the status says, never a clock.

use std::time::Duration;

use super::snapshot::{Rates, Span};
use crate::engine::status::Status;

/// Rates over less time than this are noise.
const STRETCH: Duration = Duration::from_secs(1);

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Extremes {
    /// Where the present stretch began: the time, and what had been read and written then.
    began: (Duration, u64, u64),
    rates: Rates,
}

impl Extremes {
    /// This is how it stands.
    pub(super) fn on(&mut self, status: &Status) {
        let (began, read, written) = self.began;
        let span = status.elapsed.saturating_sub(began);
        if span < STRETCH {
            return;
        }
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / span.as_secs_f64();
        stretch(&mut self.rates.input, rate(status.read.bytes, read));
        stretch(&mut self.rates.out, rate(status.written.bytes, written));
        self.began = (status.elapsed, status.read.bytes, status.written.bytes);
    }

    /// All of it, of a run that has ended so. One that was shorter than a second is a single one. What is left over at
    /// the end is too short to count by itself, but it may have made the mean lower than the slowest second, or higher
    /// than the fastest.
    pub(super) fn of(&self, status: &Status) -> Rates {
        let seconds = status.elapsed.as_secs_f64();
        let whole = |span: Span, bytes: u64| {
            let mean = (seconds > 0.0).then(|| bytes as f64 / seconds);
            Span {
                min: mean.map(|mean| rounded(span.min.map_or(mean, |min| min.min(mean)))),
                mean: mean.map(rounded),
                max: mean.map(|mean| rounded(span.max.map_or(mean, |max| max.max(mean)))),
            }
        };
        Rates {
            input: whole(self.rates.input, status.read.bytes),
            out: whole(self.rates.out, status.written.bytes),
        }
    }
}

fn stretch(span: &mut Span, rate: f64) {
    span.min = Some(span.min.map_or(rate, |min| min.min(rate)));
    span.max = Some(span.max.map_or(rate, |max| max.max(rate)));
}

fn rounded(rate: f64) -> f64 {
    (rate * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_slowest_and_the_fastest_second_are_remembered() {
        let mib = 1_048_576.0;
        let mut extremes = Extremes::default();
        for (second, read, written) in [(1, 10, 5), (2, 40, 6), (3, 41, 26), (5, 41, 36)] {
            extremes.on(&sample::status(second, read, written));
        }
        let rates = extremes.of(&sample::status(10, 50, 50));
        let some = |n: f64| Some(n * mib);
        assert_eq!((rates.input.min, rates.input.max), (some(0.0), some(30.0)));
        assert_eq!((rates.out.min, rates.out.max), (some(1.0), some(20.0)));
        assert_eq!((rates.input.mean, rates.out.mean), (some(5.0), some(5.0)));
    }

    #[test]
    fn the_mean_lies_between_the_slowest_and_the_fastest() {
        for (read, at) in [(10, 10), (0, 30)] {
            let mut extremes = Extremes::default();
            extremes.on(&sample::status(1, read, 0));
            let mut end = sample::status(1, at, 0);
            end.elapsed = Duration::from_millis(1900);
            let input = extremes.of(&end).input;
            assert!(
                input.min <= input.mean && input.mean <= input.max,
                "{input:?}"
            );
        }
    }

    #[test]
    fn a_short_run_is_one_stretch() {
        let mut status = sample::status(0, 3, 3);
        status.elapsed = Duration::from_millis(500);
        let mut extremes = Extremes::default();
        extremes.on(&status);
        let out = extremes.of(&status).out;
        assert_eq!((out.min, out.max), (out.mean, out.mean));
        assert_eq!(out.mean, Some(6.0 * 1_048_576.0));
        assert_eq!(Extremes::default().of(&sample::origin()), Rates::default());
    }
}
