//! How long has the data been waiting: marks of time along the queue, not a stamp per record.
//!
//! Invariant: the marks' lengths add up to the bytes queued. What arrives within a grain of time
//! shares a mark, which carries the time of its youngest byte, so nothing is ever called older than
//! it is; the grain grows so that there are never more than [`MARKS_MOST`] marks.

use std::collections::VecDeque;
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
    /// Bytes since the mark before.
    length: usize,
    first: Instant,
    last: Instant,
}

/// The ages of what is queued and of what has left the queue for the consumer.
#[derive(Debug)]
pub struct Timeline {
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
    /// `n` bytes join the queue.
    pub fn push(&mut self, n: usize, now: Instant) {
        match self.marks.back_mut() {
            _ if n == 0 => {}
            Some(mark) if now.saturating_duration_since(mark.first) < self.grain => {
                mark.length += n;
                mark.last = now;
            }
            _ => {
                self.marks.push_back(Mark {
                    length: n,
                    first: now,
                    last: now,
                });
                self.thin();
            }
        }
    }

    /// `n` bytes leave the head of the queue for the consumer.
    pub fn deliver(&mut self, n: usize, now: Instant) {
        self.take(n, |length, last, this| {
            let age = now.saturating_duration_since(last);
            this.longest = this.longest.max(age);
            // Two digits in less than 50 KB. The bounds are right by construction.
            let new = || Histogram::new_with_bounds(1, LONGEST, 2).ok();
            if this.delivered.is_none() {
                this.delivered = new();
            }
            if let Some(histogram) = &mut this.delivered {
                let micros = u64::try_from(age.as_micros()).unwrap_or(LONGEST);
                histogram.saturating_record_n(micros.clamp(1, LONGEST), length as u64);
            }
        });
    }

    /// `n` bytes leave the head of the queue otherwise.
    pub fn drop_front(&mut self, n: usize) {
        self.take(n, |_, _, _| {});
    }

    /// `n` bytes leave the tail of the queue.
    pub fn drop_back(&mut self, mut n: usize) {
        while let Some(mark) = self.marks.back_mut() {
            let part = mark.length.min(n);
            mark.length -= part;
            n -= part;
            if mark.length > 0 {
                break;
            }
            self.marks.pop_back();
        }
    }

    /// Bytes at the head of the queue that arrived at or before `then`.
    #[must_use]
    pub fn older_than(&self, then: Instant) -> usize {
        let old = self.marks.iter().take_while(|mark| mark.last <= then);
        old.map(|mark| mark.length).sum()
    }

    /// When the `n`th byte of the queue arrived, at the latest.
    #[must_use]
    pub fn arrival(&self, n: usize) -> Option<Instant> {
        let mut sum = 0;
        let mark = self.marks.iter().find(|mark| {
            sum += mark.length;
            sum >= n
        });
        mark.map(|mark| mark.last)
    }

    /// The ages, once anything has waited.
    #[must_use]
    pub fn ages(&self, now: Instant) -> Option<Ages> {
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

    fn take(&mut self, mut n: usize, mut what: impl FnMut(usize, Instant, &mut Timeline)) {
        while n > 0 {
            let Some(mark) = self.marks.front_mut() else {
                break;
            };
            let part = mark.length.min(n);
            mark.length -= part;
            n -= part;
            let last = mark.last;
            if mark.length == 0 {
                self.marks.pop_front();
            }
            what(part, last, self);
        }
        if self.marks.is_empty() {
            self.grain = GRAIN;
        }
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
                    before.length += mark.length;
                    before.last = mark.last;
                }
                _ => self.marks.push_back(mark),
            }
        }
        self.grain *= 2;
    }
}
