//! The course of a run, for a chart of it.
//!
//! Invariant: at most [`MOST`] points, whatever the length of the run: when they have become too
//! many, every two of them become one.

use std::time::Duration;

use crate::engine::status::Status;

/// More would be finer than a screen.
const MOST: usize = 400;

/// How it stood at a time since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Point {
    /// Seconds.
    pub(crate) time: f64,
    /// Bytes, the most since the point before.
    pub(crate) used: f64,
    /// Bytes since the start.
    pub(crate) read: f64,
    pub(crate) written: f64,
    pub(crate) shed: f64,
    /// Bytes per second; nothing where there was none.
    pub(crate) cap: f64,
    /// Seconds since the start that were spent waiting for each.
    pub(crate) waits: [f64; 3],
}

/// The points so far.
#[derive(Debug, Default)]
pub(crate) struct Course {
    points: Vec<Point>,
    /// Points are at least this far apart.
    least: Duration,
    last: Duration,
}

impl Course {
    /// This is how it stands.
    pub(crate) fn on(&mut self, now: &Status) {
        if !self.points.is_empty() && now.elapsed < self.last + self.least {
            if let Some(last) = self.points.last_mut() {
                last.used = last.used.max(now.buffer.used as f64);
            }
            return;
        }
        self.add(now);
    }

    /// This is how it stands, and it will be the last.
    pub(crate) fn add(&mut self, now: &Status) {
        let seconds = |time: Duration| time.as_secs_f64();
        self.points.push(Point {
            time: seconds(now.elapsed),
            used: now.buffer.used as f64,
            read: now.read.bytes as f64,
            written: now.written.bytes as f64,
            shed: now.shed.total.bytes as f64,
            cap: now.caps.bytes.unwrap_or(0.0),
            waits: [now.waits.source, now.waits.sink, now.waits.cap].map(seconds),
        });
        self.last = now.elapsed;
        if self.points.len() >= MOST {
            let pairs = self.points.chunks(2);
            self.points = pairs
                .map(|pair| {
                    let used = pair.iter().map(|point| point.used).fold(0.0, f64::max);
                    Point {
                        used,
                        ..pair[pair.len() - 1]
                    }
                })
                .collect();
            self.least = (self.least * 2).max(Duration::from_millis(200));
        }
    }

    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_course_is_bounded_and_keeps_its_peaks_and_its_end() {
        let mut course = Course::default();
        for second in 0..50_000u64 {
            let held = if second == 30_000 { 60 } else { 1 };
            course.on(&sample::status(second, second + held, second));
            assert!(course.points().len() < MOST);
        }
        course.add(&sample::status(50_000, 50_001, 50_001));
        let points = course.points();
        assert!(points.len() > MOST / 4, "{}", points.len());
        let most = points.iter().map(|point| point.used).fold(0.0, f64::max);
        assert!((most / 1_048_576.0 - 60.0).abs() < 0.1, "{most}");
        assert!(points.windows(2).all(|two| two[0].time < two[1].time));
        assert_eq!(points.last().map(|point| point.time), Some(50_000.0));
    }
}
