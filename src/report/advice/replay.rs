//! Two paces and a buffer between them, run on paper: a fluid that comes and goes.
//!
//! Invariant: neither side's own clock ever runs faster than time; a side's clock stands still, in
//! part or wholly, only while the buffer is full (the source) or empty (the sink). What has been read is what the source's
//! clock says, to the byte at the end of each stretch: what is only added up might never come to all there is.

/// So many bytes in so much time, in seconds, at an even rate.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Stretch {
    time: f64,
    bytes: f64,
}

/// What comes at once comes in this time, in seconds.
const AT_ONCE: f64 = 1e-6;

impl Stretch {
    pub(crate) fn new(time: f64, bytes: u64) -> Stretch {
        Stretch {
            time: time.max(AT_ONCE),
            bytes: bytes as f64,
        }
    }

    pub(super) fn sum(of: &[Stretch]) -> Stretch {
        Stretch {
            time: of.iter().map(|it| it.time).sum(),
            bytes: of.iter().map(|it| it.bytes).sum(),
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(self) -> f64 {
        self.bytes
    }

    fn rate(self) -> f64 {
        self.bytes / self.time
    }
}

/// How far a side has come in its own time.
struct Side<'a> {
    stretches: &'a [Stretch],
    /// What is left of the first of them, in seconds of its own.
    left: f64,
    /// The bytes of those that are over.
    over: f64,
}

impl<'a> Side<'a> {
    fn new(stretches: &'a [Stretch]) -> Side<'a> {
        let left = stretches.first().map_or(0.0, |first| first.time);
        let over = 0.0;
        Side {
            stretches,
            left,
            over,
        }
    }

    /// Bytes that it has come to.
    fn bytes(&self) -> f64 {
        let begun = self.stretches.first();
        self.over + begun.map_or(0.0, |now| now.rate() * (now.time - self.left))
    }

    /// Its rate now; `None` at its end.
    fn rate(&self) -> Option<f64> {
        self.stretches.first().map(|now| now.rate())
    }

    fn pass(&mut self, time: f64) {
        self.left -= time;
        if self.left <= AT_ONCE * 1e-3 {
            self.over += self.stretches.first().map_or(0.0, |now| now.bytes);
            self.stretches = self.stretches.get(1..).unwrap_or_default();
            self.left = self.stretches.first().map_or(0.0, |first| first.time);
        }
    }
}

/// What is so at one moment of a run on paper.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moment {
    pub(crate) time: f64,
    pub(crate) read: f64,
    pub(crate) written: f64,
    /// For how long the sink has starved.
    pub(crate) starved: f64,
    /// For how long the source was held up.
    pub(crate) held: f64,
}

/// How long it takes, in seconds, until all that the source has is through.
pub(crate) fn replay(source: &[Stretch], sink: &[Stretch], size: f64) -> f64 {
    watched(source, sink, size, f64::MAX, |_| {})
}

/// The same, with a look at it every so many seconds.
pub(crate) fn watched(
    source: &[Stretch],
    sink: &[Stretch],
    size: f64,
    every: f64,
    mut look: impl FnMut(Moment),
) -> f64 {
    let whole = Stretch::sum(sink);
    let total = Stretch::sum(source).bytes;
    let (mut source, mut sink) = (Side::new(source), Side::new(sink));
    let mut now = Moment::default();
    let mut due = every;
    // Each step ends a stretch, fills or empties the buffer, or is a look.
    while now.written < total - 0.5 {
        let held = now.read - now.written;
        let comes = source.rate();
        let goes = sink.rate().unwrap_or(whole.rate().max(1.0));
        let (is_full, is_empty) = (held >= size - 0.5, held <= 0.5);
        let comes_now = comes.unwrap_or(0.0);
        let read = if is_full {
            comes_now.min(goes)
        } else {
            comes_now
        };
        let written = if is_empty { goes.min(read) } else { goes };
        let pace = |real: f64, own: f64| if own > 0.0 { real / own } else { 1.0 };
        let (source_pace, sink_pace) = (pace(read, comes_now), pace(written, goes));
        let until = |left: f64, pace: f64| if pace > 0.0 { left / pace } else { f64::MAX };
        let mut step = until(source.left, source_pace).min(due - now.time);
        if comes.is_none() {
            step = due - now.time;
        }
        if sink.rate().is_some() {
            step = step.min(until(sink.left, sink_pace));
        }
        let grows = read - written;
        if grows > 0.0 && !is_full {
            step = step.min((size - held) / grows);
        } else if grows < 0.0 {
            step = step.min(held / -grows);
        }
        // Nothing is so short that the sum would not move.
        let step = step.max(1e-9);
        source.pass(step * source_pace);
        sink.pass(step * sink_pace);
        now.time += step;
        now.read = source.bytes();
        now.written = (now.written + written * step).min(now.read);
        now.starved += step * (1.0 - sink_pace);
        now.held += step * (1.0 - source_pace);
        if now.time >= due {
            look(now);
            due += every;
        }
    }
    now.time
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn paces(of: &[(f64, u64)]) -> Vec<Stretch> {
        of.iter()
            .map(|(time, bytes)| Stretch::new(*time, *bytes))
            .collect()
    }

    #[test]
    fn a_buffer_that_holds_a_burst_lets_an_even_sink_work_all_the_time() {
        let source = paces(&[(1.0, 1000), (1.0, 0)].repeat(5));
        let sink = paces(&[(10.0, 5000)]);
        for (size, time) in [(500.0, 10.0), (1e9, 10.0)] {
            let took = replay(&source, &sink, size);
            assert!((took - time).abs() < 0.01, "{size}: {took}");
        }
        assert!(replay(&source, &sink, 50.0) > 13.0);
    }

    /// Of a stretch, in microseconds.
    fn length() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), 0u64..10, 0u64..3_000_000]
    }

    proptest! {
        /// What comes at once comes so fast that a billionth of a second of it is many bytes.
        #[test]
        fn all_that_the_source_has_is_through_in_the_end(
            source in vec((length(), 0u64..20_000_000), 1..6),
            sink in vec((length(), 0u64..20_000_000), 0..6),
            size in prop_oneof![Just(1.0), 10.0..50_000_000.0],
        ) {
            let micros = |of: &[(u64, u64)]| {
                let of = of.iter().map(|(time, bytes)| (*time as f64 / 1e6, *bytes));
                paces(&of.collect::<Vec<_>>())
            };
            let (source, sink) = (micros(&source), micros(&sink));
            let (total, mut looks) = (Stretch::sum(&source).bytes, 0);
            let took = watched(&source, &sink, size, 1000.0, |now| {
                looks += 1;
                // A byte a second is the slowest.
                assert!(looks < 200_000, "it never ends: {now:?} of {total}");
            });
            prop_assert!(took <= 100.0 + 2.0 * total, "{took} for {total}");
        }
    }

    #[test]
    fn no_buffer_makes_a_slow_side_faster() {
        let fast = paces(&[(1.0, 10_000)]);
        let slow = paces(&[(10.0, 10_000)]);
        for size in [1.0, 100.0, 1e9] {
            for (source, sink) in [(&fast, &slow), (&slow, &fast)] {
                let took = replay(source, sink, size);
                assert!((took - 10.0).abs() < 0.1, "{size}: {took}");
            }
        }
    }
}
