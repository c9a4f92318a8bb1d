//! Waiting a moment for more, where pieces are small and come one right behind the other.
//!
//! Whoever waits for each of them is woken by each, which the producer pays for as well: a producer of 100-byte writes spends
//! more time on waking a reader than on writing. So a reader that was just served goes away for a moment and takes what has
//! come meanwhile at once, as network cards hold back their interrupts.
//!
//! Nobody may be slower for that. Who waits for an answer to each piece sends no more meanwhile, so that less comes in the same
//! time than before: that is the end of it, and it is tried again after a thousand times as long. So it costs a thousandth
//! where it is in vain. How much comes where each piece is waited for is measured anew now and then, for pieces change.

use std::time::{Duration, Instant};

/// How long to be away. The system adds up to 50 µs to it (`PR_SET_TIMERSLACK` in prctl(2)).
const AWAY: Duration = Duration::from_micros(20);
/// So many pieces are looked at together where each is waited for,
const PIECES: u32 = 16;
/// and so many for which one was away.
const AWAITED: u32 = 4;
/// After so many looks at those it is measured anew what comes where each is waited for.
const ANEW: u32 = 256;
/// Pieces are small when they are smaller than this on average: a page.
const SMALL: usize = 4096;
/// One comes right behind the other when there is no more time between them than this, on average.
const SWIFT: Duration = Duration::from_micros(25);
/// What comes while one is away is less than before when it is less than this share of it.
const LESS: f64 = 7.0 / 8.0;
/// When it was in vain it is not tried again for so long: a thousand times as long as that took, about.
const PAUSE: Duration = Duration::from_millis(250);

/// Whether to stay away, and until when.
#[derive(Debug, Default)]
pub(crate) struct Coalescing {
    /// Those that are looked at together, as far as they have come.
    count: u32,
    bytes: usize,
    /// When the last one before them came.
    since: Option<Instant>,
    /// While one stays away: bytes a second that came before.
    rate: Option<f64>,
    /// So often it was looked at since whether that is in vain.
    looks: u32,
    /// Until when for the next one.
    until: Option<Instant>,
    /// When to try again, after it was in vain.
    again: Option<Instant>,
}

impl Coalescing {
    /// A piece of `n` bytes has come.
    #[inline]
    pub(super) fn on_piece(&mut self, n: usize, now: Instant) {
        self.count += 1;
        self.bytes += n;
        let together = if self.rate.is_some() { AWAITED } else { PIECES };
        if self.count >= together {
            self.judge(now);
        }
        self.until = self.rate.map(|_| now + AWAY);
    }

    fn judge(&mut self, now: Instant) {
        let (count, bytes) = (self.count, self.bytes);
        let since = self.since.replace(now);
        (self.count, self.bytes) = (0, 0);
        let Some(since) = since else { return };
        let time = now.saturating_duration_since(since);
        // No clock is finer.
        let rate = bytes as f64 / time.max(Duration::from_nanos(1)).as_secs_f64();
        match self.rate {
            Some(before) if rate < before * LESS => {
                self.rate = None;
                self.again = Some(now + PAUSE);
            }
            Some(_) if self.looks >= ANEW => self.rate = None,
            Some(_) => self.looks += 1,
            None if bytes < SMALL * count as usize
                && time < SWIFT * count
                && self.again.is_none_or(|again| now >= again) =>
            {
                (self.rate, self.looks) = (Some(rate), 0);
            }
            None => {}
        }
    }

    /// Until when to stay away from the next piece, if at all.
    #[inline]
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    /// One who takes what has come: how often, how late the latest piece was taken, and when it is over.
    struct Taker {
        it: Coalescing,
        now: Instant,
        takes: u64,
    }

    impl Taker {
        fn new() -> Taker {
            let (it, now) = (Coalescing::default(), Instant::now());
            Taker { it, now, takes: 0 }
        }

        /// Takes what comes at this pace from now on, which is at least a piece, by pieces of this size.
        fn take_paced(&mut self, pieces: u64, size: usize, every: Duration) {
            let (start, mut taken) = (self.now, 0);
            while taken < pieces {
                let away = self.it.until(self.now);
                let awake = away.map_or(self.now, |until| until + us(50));
                let next = start + every * u32::try_from(taken + 1).expect("few");
                self.now = awake.max(next);
                let came = (self.now - start).as_nanos() / every.as_nanos();
                let n = (came as u64).min(pieces) - taken;
                taken += n;
                self.takes += 1;
                self.it.on_piece(n as usize * size, self.now);
            }
        }

        /// Takes messages, each of which is sent when the last one has come, which takes this long.
        fn take_answers(&mut self, messages: u64, size: usize, every: Duration) -> u64 {
            let mut late = 0;
            for _ in 0..messages {
                let away = self.it.until(self.now);
                let sent = self.now + every;
                let awake = away.map_or(sent, |until| until + us(50));
                late += u64::from(awake > sent);
                self.now = sent.max(awake);
                self.takes += 1;
                self.it.on_piece(size, self.now);
            }
            late
        }
    }

    #[test]
    fn small_pieces_that_come_one_right_behind_the_other_are_taken_together() {
        let mut taker = Taker::new();
        taker.take_paced(100_000, 100, us(1));
        assert!(taker.takes < 100_000 / 50, "{}", taker.takes);
    }

    #[test]
    fn pieces_that_are_large_or_come_apart_are_taken_as_they_come() {
        for (size, every) in [(4096, us(1)), (100, us(26))] {
            let mut taker = Taker::new();
            taker.take_paced(10_000, size, every);
            assert_eq!(taker.takes, 10_000, "{size}");
        }
    }

    #[test]
    fn one_message_in_thousands_is_late_where_each_waits_for_the_one_before() {
        for every in [us(2), us(10), us(24)] {
            let mut taker = Taker::new();
            let late = taker.take_answers(100_000, 64, every);
            assert!((1..50).contains(&late), "{late} of 100,000");
        }
    }

    #[test]
    fn it_is_found_out_anew_how_fast_pieces_come_and_whether_they_do() {
        let mut taker = Taker::new();
        for _ in 0..3 {
            for every in [us(1), us(3)] {
                let before = taker.takes;
                taker.take_paced(2_000_000, 100, every);
                let takes = taker.takes - before;
                // Each for a quarter of a second, and then some twenty at a time.
                assert!(takes < 500_000, "{takes} of 2,000,000, each {every:?}");
            }
            let late = taker.take_answers(200_000, 64, us(10));
            assert!((1..100).contains(&late), "{late} of 200,000");
        }
    }

    #[test]
    fn who_begins_to_wait_for_answers_with_larger_pieces_is_slow_for_a_moment_only() {
        for size in [1024, 8192, 65_536] {
            let mut taker = Taker::new();
            taker.take_paced(10_000, 40, us(10));
            let late = taker.take_answers(200_000, size, us(10));
            assert!((1..2000).contains(&late), "{late} of 200,000, {size} each");
        }
    }
}
