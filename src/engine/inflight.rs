//! How much may be under way to the consumer, where freshness rules.
//!
//! What has been written to the consumer's pipe can no longer be shed, so it should be little: what
//! the consumer takes in a moment, by its own recent speed. On a pipe of one page, room means that
//! the pipe is empty; so a slow consumer gets one record at a time, each as fresh as can be, and a
//! fast one gets a wider and wider window until throughput is what it would be without shedding.
//!
//! A consumer that takes all that there is with each read, and works then, takes two records in the time of one. Of
//! that there is no sign but the time itself: so what lies in the pipe is timed from when it is written until all of it
//! has been taken, and twice as much is tried now and then. Where that takes no longer, it stays.
//!
//! Invariants: what lies in the pipe has been taken in two [`MOMENT`]s, or in half as much again as one record alone takes,
//! whichever is longer; what took longer makes the window as much narrower. And it is little beside the buffer, whatever is
//! tried: until a pipe that was made too large has been taken nothing is given, and the buffer has to bridge that.

use std::time::{Duration, Instant};

/// What a slow consumer is given at a time, as its own time.
const MOMENT: Duration = Duration::from_millis(2);
/// The widest window, in bytes: the kernel pipe that serves throughput best.
const WIDEST: usize = 256 * 1024;
/// The pipe takes at most this part of what the buffer does.
const OF_BUFFER: usize = 8;
/// The smallest pipe that the system has.
const PAGE: usize = 4096;
/// A window that turned out too wide is not tried again before so many that were not, at most.
const PAUSE_MOST: u32 = 32;

/// The window, in bytes.
#[derive(Debug)]
pub(crate) struct InFlightWindow {
    bytes: usize,
    /// It may become so wide.
    widest: usize,
    /// The time in which it takes one record alone, or more.
    least: Duration,
    /// What was given last.
    given: Given,
    /// What lies in the pipe and is being timed.
    mark: Option<Mark>,
    /// Since when we wait for room.
    asked: Option<Instant>,
    /// When there was room for what is being written.
    room: Option<Instant>,
    /// As often as this it stays as wide as it is before more is tried.
    pause: u32,
    /// The pause after the next time that it is too wide.
    next_pause: u32,
    /// It was made wider, and whether that is too much is not known yet: what was fine.
    trial: Option<Given>,
}

/// What was given.
#[derive(Debug, Clone, Copy, Default)]
struct Given {
    bytes: usize,
    /// Others wait behind it.
    has_more: bool,
    /// The window that it was given by.
    window: usize,
    /// It was all that the window allows, or half of it, and nothing else bounds it.
    fills: bool,
    /// It could not have been less.
    is_least: bool,
}

/// What lay in the pipe at some time.
#[derive(Debug)]
struct Mark {
    at: Instant,
    given: Given,
    /// All that lay there then.
    lies: usize,
    /// Bytes that were written since.
    since: u64,
}

impl Default for InFlightWindow {
    fn default() -> InFlightWindow {
        InFlightWindow {
            bytes: 1,
            widest: WIDEST,
            least: Duration::ZERO,
            given: Given::default(),
            mark: None,
            asked: None,
            room: None,
            pause: 0,
            next_pause: 1,
            trial: None,
        }
    }
}

impl InFlightWindow {
    /// One for a buffer of so many bytes.
    #[must_use]
    pub(crate) fn beside(buffer: usize) -> InFlightWindow {
        let most = (buffer / OF_BUFFER).clamp(PAGE, WIDEST);
        InFlightWindow {
            widest: 1 << most.ilog2(),
            ..InFlightWindow::default()
        }
    }

    /// Bytes that may be given at a time; one record may be longer.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The pipe that fits the window, and a record that is longer, in bytes: one that is passed in pieces is as old as
    /// all of them when the last is taken.
    #[must_use]
    pub(crate) fn pipe(&self, record: u64) -> usize {
        let record = usize::try_from(record).unwrap_or(WIDEST).min(WIDEST);
        self.bytes.max(record).next_power_of_two().max(PAGE)
    }

    /// We begin to wait for room, unless we did already.
    pub(crate) fn on_wait(&mut self, now: Instant) {
        self.asked.get_or_insert(now);
    }

    /// We wait for something else: what time passes is not the consumer's.
    pub(crate) fn forget_wait(&mut self) {
        (self.asked, self.room, self.mark) = (None, None, None);
    }

    /// There is room.
    pub(crate) fn on_room(&mut self, now: Instant) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        self.room = Some(now);
        let (since, lies) = match &self.mark {
            // How long that took altogether shows when it is known that all has been taken.
            Some(mark) if mark.given.is_least => return,
            Some(mark) => (mark.at, mark.lies),
            None => (asked, self.bytes),
        };
        let time = now.saturating_duration_since(since);
        if time > self.bound() {
            self.narrow(lies, time);
            self.mark = None;
        }
    }

    /// `n` bytes are given; `more` says whether others wait behind them, `is_bounded`, whether it could be no more for
    /// another reason than the window.
    pub(crate) fn on_given(&mut self, n: usize, more: bool, is_bounded: bool) {
        self.given = Given {
            bytes: n,
            has_more: more,
            window: self.bytes,
            fills: more && !is_bounded && n * 2 >= self.bytes,
            is_least: n > self.bytes || self.bytes == 1,
        };
    }

    /// `n` bytes of that were taken by the pipe, in which so many lie `unread` now. Where that cannot be told, room
    /// is taken to mean that nothing lay there.
    pub(crate) fn on_moved(&mut self, n: usize, unread: Option<u64>, now: Instant) {
        let was_room = self.room.take().unwrap_or(now);
        if n == 0 {
            return;
        }
        let n = n as u64;
        let lay = unread.map_or(0, |unread| unread.saturating_sub(n));
        match self.mark.take() {
            Some(mark) if lay <= mark.since => self.on_taken(&mark, was_room),
            Some(mark) => {
                self.mark = Some(Mark {
                    since: mark.since + n,
                    ..mark
                });
            }
            None => {}
        }
        if !self.given.has_more {
            // The consumer may be waited for no more.
            self.mark = None;
        } else if self.mark.is_none() {
            let is_least = self.given.is_least && lay == 0;
            self.mark = Some(Mark {
                at: now,
                given: Given {
                    is_least,
                    ..self.given
                },
                lies: (lay + n) as usize,
                since: 0,
            });
        }
    }

    /// What lay there has been taken by now.
    fn on_taken(&mut self, mark: &Mark, now: Instant) {
        let time = now.saturating_duration_since(mark.at);
        let given = mark.given;
        if given.is_least {
            self.least = time;
        } else if given.fills {
            self.least = self.least.min(time);
        }
        if time > self.bound() {
            self.narrow(mark.lies, time);
        } else if given.fills && given.window == self.bytes {
            match self.trial {
                // No more was given for it: another record did not fit.
                Some(before) if given.bytes <= before.bytes => return self.widen(given),
                Some(_) => (self.trial, self.next_pause) = (None, 1),
                None => {}
            }
            match self.pause {
                0 => {
                    self.trial = Some(given);
                    self.widen(given);
                }
                _ => self.pause -= 1,
            }
        }
    }

    /// More than this is tried: twice as much, or a little where that was too much.
    fn widen(&mut self, given: Given) {
        let now = given.window.max(given.bytes);
        let more = if self.next_pause == 1 {
            now
        } else {
            now / 4 + 1
        };
        self.bytes = (now + more).min(self.widest);
    }

    /// The time that what lies in the pipe may take.
    fn bound(&self) -> Duration {
        (2 * MOMENT).max(self.least * 3 / 2)
    }

    /// So much lay there, and has taken so long, which is too long.
    fn narrow(&mut self, lies: usize, time: Duration) {
        let share = MOMENT.max(self.least).as_secs_f64() / time.as_secs_f64();
        let bytes = (lies as f64 * share) as usize;
        let before = self.trial.take().filter(|_| time <= 2 * self.bound());
        let fine = before.map_or(1, |given| given.window);
        self.bytes = self.bytes.min(bytes.max(fine)).max(1);
        self.pause = self.next_pause;
        self.next_pause = (self.next_pause * 2).min(PAUSE_MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A consumer in a world without any other time than its own.
    struct World {
        window: InFlightWindow,
        now: Instant,
        /// Bytes that it takes with each read, and how long it works then.
        block: usize,
        work: Duration,
        /// Bytes of a record.
        record: usize,
        lies: usize,
        /// The record that has been begun, and what of it has not been written.
        rest: usize,
        taken: usize,
        /// How long what was taken had lain in the pipe at most.
        oldest: Duration,
        lying: std::collections::VecDeque<(Instant, usize)>,
    }

    impl World {
        fn new(record: usize, block: usize, work: Duration) -> World {
            World {
                window: InFlightWindow::default(),
                now: Instant::now(),
                block,
                work,
                record,
                lies: 0,
                rest: 0,
                taken: 0,
                oldest: Duration::ZERO,
                lying: Default::default(),
            }
        }

        /// Writes while there is room, as a pipe says it: on one page, if it is empty.
        fn write(&mut self) {
            let window = &mut self.window;
            loop {
                let pipe = window.pipe(self.record as u64);
                window.on_wait(self.now);
                if self.lies > 0 && self.lies + PAGE > pipe {
                    return;
                }
                window.on_room(self.now);
                let whole = (window.bytes() / self.record).max(1) * self.record;
                let claim = if self.rest > 0 { self.rest } else { whole };
                window.on_given(claim, true, false);
                let n = claim.min(pipe - self.lies);
                // Whole records are given back, the rest of one is not.
                self.rest = (claim - n) % self.record;
                self.lies += n;
                self.lying.push_back((self.now, n));
                window.on_moved(n, Some(self.lies as u64), self.now);
            }
        }

        /// The consumer reads so often, and works.
        fn run(&mut self, reads: u32) -> usize {
            let before = self.taken;
            self.oldest = Duration::ZERO;
            for _ in 0..reads {
                self.write();
                let n = self.block.min(self.lies);
                (self.lies, self.taken) = (self.lies - n, self.taken + n);
                let mut left = n;
                while let Some((at, bytes)) = self.lying.front_mut() {
                    self.oldest = self.oldest.max(self.now - *at);
                    if *bytes > left {
                        *bytes -= left;
                        break;
                    }
                    left -= *bytes;
                    self.lying.pop_front();
                }
                self.write();
                self.now += self.work;
            }
            self.taken - before
        }
    }

    const fn us(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    #[test]
    fn who_takes_all_with_each_read_gets_as_much_as_it_takes() {
        for work in [us(10), us(2_000), us(20_000), us(1_000_000)] {
            for record in [1, 30, 100, 1000] {
                let mut world = World::new(record, 4096, work);
                world.run(200);
                let got = world.run(1000);
                let of = 1000 * 4096;
                assert!(got > of * 6 / 10, "{work:?} {record}: {got} of {of}");
                let bound = work.max(MOMENT) * 4;
                assert!(world.oldest <= bound, "{work:?}: {:?}", world.oldest);
            }
        }
    }

    #[test]
    fn who_works_as_long_for_each_record_gets_one_at_a_time() {
        for record in [30, 100, 5000] {
            let mut world = World::new(record, record, us(20_000));
            world.run(200);
            let (mut single, rounds) = (0, 400);
            for _ in 0..rounds {
                world.run(1);
                single += u32::from(world.window.bytes() < 2 * record);
            }
            assert!(single > rounds * 9 / 10, "{record}: {single} of {rounds}");
            world.run(1000);
            // Two, and the one that was begun behind them.
            assert!(world.oldest <= us(80_000), "{record}: {:?}", world.oldest);
        }
    }

    #[test]
    fn what_lies_in_the_pipe_is_what_a_steady_consumer_takes_in_a_moment() {
        // Bytes for each 100 microseconds: from 40 kB to 400 MB a second.
        for block in [4, 400, 4000, 40_000] {
            let mut world = World::new(100, block, us(100));
            world.run(2000);
            let got = world.run(10_000);
            assert!(got > 9_500 * block, "it waits: {got}");
            let oldest = world.oldest;
            let bound = 4 * MOMENT + us(100) * 100_u32.div_ceil(block as u32);
            assert!(oldest <= bound, "{block}: {oldest:?}");
        }
    }

    #[test]
    fn a_steady_consumer_is_not_given_ever_less_for_what_lay_there_before() {
        // 6 MB a second, of which a moment is 12 kB.
        let mut world = World::new(100, 4096, us(683));
        world.run(200);
        for _ in 0..1000 {
            world.run(1);
            assert!(world.window.bytes() > 10_000, "{}", world.window.bytes());
        }
    }

    #[test]
    fn nothing_is_tried_that_is_much_beside_the_buffer() {
        for (buffer, most) in [
            (64 << 10, 8 << 10),
            (100 << 10, 8 << 10),
            (8 << 20, WIDEST),
            (1, PAGE),
        ] {
            let mut world = World::new(100, WIDEST, us(10));
            world.window = InFlightWindow::beside(buffer);
            world.run(100);
            assert_eq!(world.window.pipe(100), most, "{buffer}");
        }
    }

    #[test]
    fn one_that_has_slowed_down_gets_less_with_the_next_write() {
        let mut world = World::new(100, WIDEST, us(10));
        world.run(100);
        assert_eq!(world.window.bytes(), WIDEST);
        (world.block, world.work) = (100, us(50_000));
        world.now += Duration::from_secs(1);
        // Room is there when it has taken a page.
        world.run(PAGE as u32 / 100 + 1);
        assert!(world.window.bytes() < 200, "{}", world.window.bytes());
        // What lay there is taken.
        while world.lies > 200 {
            world.run(1);
        }
        world.run(10);
        world.run(100);
        assert!(world.oldest <= us(150_000), "{:?}", world.oldest);
    }
}
