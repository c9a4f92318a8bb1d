//! Whether another buffer would have served better: advice for which there is evidence.
//!
//! What was seen of a run is taken apart into the source's own pace (what it sent in the time in
//! which it was not held up) and the sink's own pace (what it took in the time in which it did not
//! starve). Both together are run again, on paper, with buffers of other sizes. Advice is the
//! smallest size that gains nearly all that any size could.
//!
//! Invariant: pure, and bounded: a trace has at most [`MOST`] stretches, of twice the length each
//! time that they have become too many.

use std::time::Duration;

use crate::engine::status::Status;
use crate::report::snapshot::Advice;

mod replay;

pub(crate) use replay::{Stretch, replay};

/// Stretches of a trace.
const MOST: usize = 512;
/// Shorter runs are no evidence.
const SHORTEST: f64 = 5.0;
/// What would have been saved must be worth a change: this much, and this part of the run.
const WORTH: (f64, f64) = (1.0, 0.03);
/// The part of all that could be saved that the advised size must save.
const NEARLY_ALL: f64 = 0.95;
/// A smaller buffer is advised only where it is so much smaller.
const MUCH_SMALLER: f64 = 8.0;

/// What was seen of a run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    source: Vec<Stretch>,
    sink: Vec<Stretch>,
    last: Option<Status>,
    /// Stretches are at least this long, in seconds.
    least: f64,
}

impl Trace {
    /// This is how it stands.
    pub(crate) fn on(&mut self, now: &Status) {
        let Some(before) = self.last.replace(*now) else {
            // What came before the first look is a stretch without a rate of its own.
            self.push(0.0, now.read.bytes, 0.0, now.written.bytes);
            return;
        };
        let time = now.elapsed.saturating_sub(before.elapsed).as_secs_f64();
        if time < self.least.max(0.05) {
            self.last = Some(before);
            return;
        }
        let bytes = |now: u64, before: u64| now.saturating_sub(before);
        let read = bytes(now.read.bytes, before.read.bytes);
        let written = bytes(now.written.bytes, before.written.bytes);
        let starved = now.waits.source.saturating_sub(before.waits.source);
        let starved = starved.as_secs_f64().min(time);
        let held = now.waits.room.saturating_sub(before.waits.room);
        let held = held.as_secs_f64().min(time);
        self.push(time - held, read, time - starved, written);
    }

    fn push(&mut self, free: f64, read: u64, busy: f64, written: u64) {
        self.source.push(Stretch::new(free, read));
        self.sink.push(Stretch::new(busy, written));
        if self.source.len() >= MOST {
            self.source = halved(&self.source);
            self.sink = halved(&self.sink);
            self.least = (self.least * 2.0).max(0.4);
        }
    }

    /// How long a stretch is at least: to look more often is of no use.
    pub(crate) fn least(&self) -> Duration {
        Duration::from_secs_f64(self.least)
    }

    /// What can be said at the end.
    pub(crate) fn advice(&self, end: &Status) -> Option<Advice> {
        let time = end.elapsed.as_secs_f64();
        let size = end.buffer.capacity as f64;
        if time < SHORTEST || end.shed.total.bytes > 0 || end.read.bytes == 0 {
            return None;
        }
        let run = |size: f64| replay(&self.source, &self.sink, size);
        let (now, best) = (run(size), run(f64::MAX));
        let could = now - best;
        if could > WORTH.0.max(time * WORTH.1) {
            let enough = best + could * (1.0 - NEARLY_ALL);
            let size = smallest(size, end.read.bytes as f64, |size| run(size) <= enough);
            let size = rounded_up(size);
            let saved = now - run(size as f64);
            let saved_s = (saved * 10.0).round() / 10.0;
            return Some(Advice::Larger { size, saved_s });
        }
        if end.buffer.peak >= end.buffer.high {
            // However seldom there was a look, these are exact: no buffer saves more than the source was held up, nor
            // more than the sink has starved.
            let most = end.waits.room.min(end.waits.source).as_secs_f64();
            let is_sure = most <= WORTH.0.max(time * WORTH.1);
            return is_sure.then_some(Advice::NoSize);
        }
        let serves = smallest(4096.0, size, |size| run(size) <= now + time * WORTH.1 / 3.0);
        let smaller = rounded_up(serves.max(end.buffer.peak as f64 / 2.0));
        ((smaller as f64) * MUCH_SMALLER < size).then_some(Advice::Smaller { size: smaller })
    }
}

fn halved(stretches: &[Stretch]) -> Vec<Stretch> {
    stretches.chunks(2).map(Stretch::sum).collect()
}

/// The smallest size in these bounds of which this is so, to a fiftieth; it is so of the upper one
/// and of all above one of which it is so.
fn smallest(mut low: f64, mut high: f64, is_so: impl Fn(f64) -> bool) -> f64 {
    if is_so(low) {
        return low;
    }
    while high > low * 1.02 {
        // Sizes are far apart: the middle is that of their proportion.
        let middle = (low * high).sqrt();
        if is_so(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// To two digits in binary units, as one would type it.
fn rounded_up(size: f64) -> u64 {
    let mut unit = 1.0;
    while size / unit >= 1000.0 {
        unit *= 1024.0;
    }
    let step = if size / unit >= 100.0 { 10.0 } else { 1.0 };
    ((size / unit / step).ceil() * step * unit) as u64
}

#[cfg(test)]
mod tests;
