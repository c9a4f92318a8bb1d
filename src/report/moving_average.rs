//! How fast the end comes nearer: a rate that forgets, for the ETA alone.
//!
//! An average weighted by age, with a time constant of [`MEMORY`], and free of the bias towards
//! nothing that such an average has at its start. Time is what the status says, never a clock.

use std::time::Duration;

/// After so long an observation counts for a third.
const MEMORY: Duration = Duration::from_secs(15);

/// A rate per second, smoothed.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct MovingAverage {
    seen: Duration,
    done: u64,
    weighed: f64,
    weight: f64,
}

impl MovingAverage {
    /// So much was done in so much time since the start.
    pub(crate) fn on(&mut self, elapsed: Duration, done: u64) {
        let span = elapsed.saturating_sub(self.seen).as_secs_f64();
        if span <= 0.0 {
            return;
        }
        let fade = (-span / MEMORY.as_secs_f64()).exp();
        let rate = done.saturating_sub(self.done) as f64 / span;
        self.weighed = self.weighed * fade + rate * (1.0 - fade);
        self.weight = self.weight * fade + (1.0 - fade);
        (self.seen, self.done) = (elapsed, done);
    }

    /// Units per second; `None` before anything was done.
    #[must_use]
    pub(crate) fn per_second(&self) -> Option<f64> {
        (self.weighed > 0.0).then(|| self.weighed / self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_known_from_the_first_moment() {
        let mut pace = MovingAverage::default();
        assert_eq!(pace.per_second(), None);
        for tick in 1..100u64 {
            pace.on(Duration::from_millis(tick * 200), tick * 20);
            let rate = pace.per_second().expect("something was done");
            assert!((rate - 100.0).abs() < 1e-6, "{rate}");
        }
    }

    #[test]
    fn an_old_rate_is_forgotten() {
        let mut pace = MovingAverage::default();
        pace.on(Duration::from_secs(60), 60_000);
        for second in 1..=60 {
            pace.on(Duration::from_secs(60 + second), 60_000 + second * 10);
        }
        let rate = pace.per_second().expect("something was done");
        assert!((10.0..40.0).contains(&rate), "{rate}");
    }
}
