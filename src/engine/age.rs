//! How long has the data been waiting: marks of time along the log, not a stamp per record.
//!
//! Invariant: the marks follow each other, and every place that is owed lies before the end of one. What arrives within a grain of time
//! shares a mark, which carries the time of its youngest byte, so nothing is ever called older than
//! it is; the grain grows so that there are never more than [`MARKS_MOST`] marks.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::status::Ages;

/// Marks at most: bounds memory whatever the rate and the stay.
const MARKS_MOST: usize = 2048;
/// The finest distinction between two times.
const GRAIN: Duration = Duration::from_millis(1);
/// The longest stay that is told apart from longer ones, in microseconds: a week.
const LONGEST: u64 = 7 * 86_400 * 1_000_000;

#[derive(Debug, Clone, Copy)]
struct Mark {
    /// The place behind the bytes that it is for.
    end: u64,
    first: Instant,
    last: Instant,
}

/// The ages of what is queued and of what has left the queue for the consumer.
#[derive(Debug)]
pub(crate) struct Timeline {
    marks: VecDeque<Mark>,
    grain: Duration,
    delivered: Option<Histogram<u64>>,
    longest: Duration,
}

impl Default for Timeline {
    fn default() -> Timeline {
        Timeline {
            marks: VecDeque::new(),
            grain: GRAIN,
            delivered: None,
            longest: Duration::ZERO,
        }
    }
}

impl Timeline {
    /// These places are filled now.
    #[inline]
    pub(crate) fn push(&mut self, range: &Range<u64>, now: Instant) {
        if !range.is_empty() {
            self.mark(range, now);
        }
    }

    fn mark(&mut self, range: &Range<u64>, now: Instant) {
        match self.marks.back_mut() {
            Some(mark) if now.saturating_duration_since(mark.first) < self.grain => {
                (mark.end, mark.last) = (range.end, now);
            }
            _ => {
                let (first, last) = (now, now);
                self.marks.push_back(Mark {
                    end: range.end,
                    first,
                    last,
                });
                self.thin();
            }
        }
    }

    /// These have left for the consumer.
    pub(crate) fn deliver(&mut self, range: &Range<u64>, now: Instant) {
        if range.is_empty() {
            return;
        }
        let from = self.marks.partition_point(|mark| mark.end <= range.start);
        let mut at = range.start;
        for mark in self.marks.range(from..) {
            let end = mark.end.min(range.end);
            let age = now.saturating_duration_since(mark.last);
            self.longest = self.longest.max(age);
            if self.delivered.is_none() {
                // Two digits in less than 50 KB. The bounds are right by construction.
                self.delivered = Histogram::new_with_bounds(1, LONGEST, 2).ok();
            }
            if let Some(histogram) = &mut self.delivered {
                let micros = u64::try_from(age.as_micros()).unwrap_or(LONGEST);
                histogram.saturating_record_n(micros.clamp(1, LONGEST), end.saturating_sub(at));
            }
            at = end;
            if at >= range.end {
                break;
            }
        }
    }

    /// Nothing before this place is queued any more.
    pub(crate) fn forget_before(&mut self, place: u64) {
        while self.marks.front().is_some_and(|mark| mark.end <= place) {
            self.marks.pop_front();
        }
        if self.marks.is_empty() {
            self.grain = GRAIN;
        }
    }

    /// Nothing from this place on is.
    pub(crate) fn truncate(&mut self, place: u64) {
        while let Some(mark) = self.marks.pop_back() {
            let before = self.marks.back().map_or(0, |mark| mark.end);
            if before < place {
                let end = mark.end.min(place);
                self.marks.push_back(Mark { end, ..mark });
                break;
            }
        }
    }

    /// Up to which place everything arrived at or before `then`.
    #[must_use]
    pub(crate) fn older_than(&self, then: Instant) -> u64 {
        let old = self.marks.partition_point(|mark| mark.last <= then);
        old.checked_sub(1).map_or(0, |i| self.marks[i].end)
    }

    /// When the byte at this place arrived, at the latest.
    #[must_use]
    pub(crate) fn arrival(&self, place: u64) -> Option<Instant> {
        let at = self.marks.partition_point(|mark| mark.end <= place);
        self.marks.get(at).map(|mark| mark.last)
    }

    /// The ages, once anything has waited.
    #[must_use]
    pub(crate) fn ages(&self, now: Instant) -> Option<Ages> {
        let oldest = self
            .marks
            .front()
            .map(|mark| now.saturating_duration_since(mark.first));
        if oldest.is_none() && self.delivered.is_none() {
            return None;
        }
        let quantile = |q| {
            let micros = self
                .delivered
                .as_ref()
                .map_or(0, |h| h.value_at_quantile(q));
            Duration::from_micros(micros).min(self.longest)
        };
        Some(Ages {
            now: oldest.unwrap_or_default(),
            p50: quantile(0.5),
            p99: quantile(0.99),
            max: self.longest,
        })
    }

    /// Keeps the number of marks within bounds: joins each to its neighbour and doubles the grain.
    fn thin(&mut self) {
        if self.marks.len() <= MARKS_MOST {
            return;
        }
        let old = std::mem::take(&mut self.marks);
        for (i, mark) in old.into_iter().enumerate() {
            match self.marks.back_mut() {
                Some(before) if i % 2 == 1 => {
                    before.end = mark.end;
                    before.last = mark.last;
                }
                _ => self.marks.push_back(mark),
            }
        }
        self.grain *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shares_a_mark_is_no_older_than_the_youngest_of_it() {
        let first = Instant::now();
        let last = first + GRAIN / 2;
        let mut timeline = Timeline::default();
        timeline.push(&(0..10), first);
        timeline.push(&(10..20), last);
        assert_eq!(timeline.older_than(first), 0);
        assert_eq!(timeline.older_than(last), 20);
        assert_eq!(timeline.arrival(5), Some(last));
    }
}
