//! What was reported before: where the interval of the next report begins.

use std::collections::VecDeque;
use std::time::Duration;

use crate::engine::status::Status;

/// Earlier statuses, as far back as they are wanted.
#[derive(Debug)]
pub(crate) struct History {
    /// Intervals are at least this long, once so much time has passed.
    window: Duration,
    seen: VecDeque<Status>,
}

impl History {
    /// Intervals reach back to the last status, or further if that is not `window` ago.
    #[must_use]
    pub(crate) fn new(window: Duration) -> History {
        History {
            window,
            seen: VecDeque::new(),
        }
    }

    /// Where the interval begins that ends after so much time since the start; `None` at the start
    /// itself.
    pub(crate) fn before(&mut self, elapsed: Duration) -> Option<&Status> {
        let far = |status: &Status| status.elapsed + self.window <= elapsed;
        while self.seen.get(1).is_some_and(far) {
            self.seen.pop_front();
        }
        // Until the window has passed the interval is all there is.
        self.seen.front().filter(|status| far(status))
    }

    /// This has been reported.
    pub(crate) fn add(&mut self, status: Status) {
        self.seen.push_back(status);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn beginnings(window: u64) -> Vec<Option<u64>> {
        let mut history = History::new(Duration::from_secs(window));
        let mut of = |second| {
            let status = sample::status(second, second, second);
            let before = history.before(status.elapsed).map(|b| b.elapsed.as_secs());
            history.add(status);
            before
        };
        [1, 2, 3, 4, 9, 10].map(&mut of).to_vec()
    }

    #[test]
    fn an_interval_reaches_back_to_the_last_report() {
        let all = [None, Some(1), Some(2), Some(3), Some(4), Some(9)];
        assert_eq!(beginnings(0), all);
    }

    #[test]
    fn or_further_where_that_is_too_short_to_tell() {
        let all = [None, None, Some(1), Some(2), Some(4), Some(4)];
        assert_eq!(beginnings(2), all);
    }
}
