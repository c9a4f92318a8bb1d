//! A producer and a consumer that work at a fixed rate, all the time or in turns.

use std::io;

use super::Params;
use super::raw::{hold, now_ns, read_some, report_time, sleep_ms, sleep_until, write_all};
use super::waits::Waits;

/// How far behind its timetable a side may be and still catch up: longer than any overshoot of
/// a sleep, shorter than any stall worth noticing.
const SLACK_NS: u64 = 2_000_000;

/// When the next piece may move. Phases are those of the shared clock, so that two processes
/// keep their distance from one another without talking.
pub(super) struct Turns {
    rate: u64,
    period: u64,
    on: u64,
    shift: u64,
    next: u64,
}

impl Turns {
    /// From `rate` (bytes per second while on, 0 for no limit) and `on_ms`, `period_ms`, `shift_ms`.
    pub(super) fn new(params: &Params) -> Self {
        let ms = |key, default| params.get(key, default) * 1_000_000;
        Self {
            rate: params.get("rate", 0),
            period: ms("period_ms", 100),
            on: ms("on_ms", 100),
            shift: ms("shift_ms", 0),
            next: now_ns(),
        }
    }

    /// Sleeps until the next piece is due.
    pub(super) fn wait(&mut self) {
        if self.rate == 0 {
            return;
        }
        self.next = self.next.max(now_ns().saturating_sub(SLACK_NS));
        let phase = (self.next + self.period - self.shift) % self.period;
        if phase >= self.on {
            self.next += self.period - phase;
        }
        if self.next > now_ns() {
            sleep_until(self.next);
        }
    }

    /// Notes that `bytes` have moved.
    pub(super) fn charge(&mut self, bytes: usize) {
        if let Some(time) = (bytes as u64 * 1_000_000_000).checked_div(self.rate) {
            self.next += time;
        }
    }
}

/// `__tide bytes= block= rate= on_ms= period_ms= shift_ms= wait_ms= waits= hold=`: the producer.
///
/// It begins after `wait_ms`, which are no part of the time that it reports. With `waits` it tells how long it waited
/// for room. With `hold` it keeps the pipe open when done.
pub(super) fn produce(params: &Params) -> io::Result<()> {
    sleep_ms(params.get("wait_ms", 0));
    let start = now_ns();
    let mut waits = Waits::new(params)?;
    let block = vec![b'x'; params.size("block", 64 << 10)];
    let mut left = params.size("bytes", usize::MAX);
    let mut turns = Turns::new(params);
    while left > 0 {
        let n = left.min(block.len());
        turns.wait();
        waits.write_all(&block[..n])?;
        turns.charge(n);
        left -= n;
    }
    report_time(start);
    drop(waits);
    if params.get("hold", 0) > 0 {
        hold();
    }
    Ok(())
}

/// `__mill block= rate= on_ms= period_ms= shift_ms=`: the consumer. Prints how much came.
pub(super) fn consume(params: &Params) -> io::Result<()> {
    let mut buffer = vec![0; params.size("block", 64 << 10)];
    let mut turns = Turns::new(params);
    let mut total = 0;
    loop {
        turns.wait();
        let n = read_some(&mut buffer)?;
        turns.charge(n);
        total += n;
        if n == 0 {
            return write_all(format!("{total}\n").as_bytes());
        }
    }
}
