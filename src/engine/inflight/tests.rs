//! How much is given to a consumer at once, in a world where time is what the consumer makes of it.

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
