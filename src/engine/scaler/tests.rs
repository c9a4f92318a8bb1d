//! How many programs run at a time, under loads on a made-up clock: they follow need one by one, within their bounds.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// What a load does, which keeps so many busy, seen as so many by whoever looks.
struct Crew {
    it: Scaler,
    now: Instant,
    changes: Vec<usize>,
}

impl Crew {
    fn new(least: usize, most: usize) -> Crew {
        let now = Instant::now();
        Crew {
            it: Scaler::new(Scaling::between(least, most), now),
            now,
            changes: Vec::new(),
        }
    }

    /// For so long there is work for so many, of whom so many hundredths are seen to be busy.
    fn go(&mut self, time: Duration, load: f64, seen: f64) {
        let end = self.now + time;
        let step = Duration::from_millis(50);
        while self.now < end {
            self.now += step;
            let busy = load.min(self.it.count() as f64);
            self.it.add_busy(step.mul_f64(busy * seen));
            self.it.press(Some(load > self.it.count() as f64), self.now);
            if self.it.grow(self.now) {
                self.changes.push(self.it.count());
            }
            if self.it.is_one_too_many(self.now) {
                self.it.shrink(self.now);
                self.changes.push(self.it.count());
            }
        }
    }
}

#[test]
fn it_begins_with_the_fewest_and_follows_need_one_by_one() {
    let mut crew = Crew::new(2, 5);
    crew.go(100 * SECOND, 1.5, 1.0);
    assert!(crew.changes.is_empty(), "{:?}", crew.changes);
    crew.go(2 * SECOND, 9.0, 1.0);
    assert_eq!(crew.changes, [3, 4, 5]);
    crew.go(100 * SECOND, 0.1, 1.0);
    assert_eq!(crew.changes, [3, 4, 5, 4, 3, 2]);
}

#[test]
fn a_short_wait_is_no_need() {
    let mut crew = Crew::new(1, 4);
    for _ in 0..100 {
        crew.go(RISE - Duration::from_millis(50), 2.0, 1.0);
        crew.go(SECOND, 0.5, 1.0);
    }
    assert!(crew.changes.is_empty(), "{:?}", crew.changes);
}

#[test]
fn at_a_steady_load_it_stays_as_it_is() {
    for tenths in 0..=40 {
        let mut crew = Crew::new(1, 4);
        crew.go(3600 * SECOND, f64::from(tenths) / 10.0, 1.0);
        let needed = (tenths as usize).div_ceil(10).max(1);
        let wanted: Vec<usize> = (2..=needed).collect();
        assert_eq!(crew.changes, wanted, "a load of {tenths} tenths");
    }
}

/// A program that reads all at once and then works for long looks idle.
#[test]
fn where_nobody_can_see_who_is_busy_it_learns_from_what_it_has_tried() {
    let mut crew = Crew::new(1, 4);
    crew.go(3600 * SECOND, 2.5, 0.1);
    let in_an_hour = crew.changes.len();
    assert!(in_an_hour <= 2 * 13, "{:?}", crew.changes);
    assert_eq!(crew.it.count(), 3);
    crew.go(10 * 3600 * SECOND, 2.5, 0.1);
    let more = crew.changes.len() - in_an_hour;
    assert!(more <= 2 * 10 * 6, "{more} in ten hours");
    // When there is really nothing more to do, it is not late for long.
    crew.go(QUIET * QUIETS_MOST + 4 * QUIET, 0.0, 1.0);
    assert_eq!(crew.it.count(), 1);
}

#[test]
fn the_number_stays_within_its_bounds_and_moves_by_one() {
    let mut seed = 7_u64;
    let mut roll = |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % most
    };
    for _ in 0..200 {
        let least = 1 + roll(3) as usize;
        let most = least + roll(4) as usize;
        let mut crew = Crew::new(least, most);
        for _ in 0..20 {
            let time = Duration::from_millis(roll(20_000));
            crew.go(time, roll(80) as f64 / 10.0, roll(11) as f64 / 10.0);
        }
        let all = [&[least], &crew.changes[..]].concat();
        assert!(all.iter().all(|n| (least..=most).contains(n)), "{all:?}");
        let by_one = all.windows(2).all(|two| two[0].abs_diff(two[1]) == 1);
        assert!(by_one, "{all:?}");
    }
}

#[test]
fn how_long_one_was_busy_is_how_long_its_pipe_was_full_or_not_read_empty() {
    let start = Instant::now();
    let at = |n: u32| start + n * SECOND;
    let mut it = BusyTime::new(start);
    it.on_wait(at(1));
    it.on_wait(at(2));
    it.on_wait_over(at(3));
    it.on_wait_over(at(4));
    assert_eq!(it.look(false, at(5)), 2 * SECOND);
    assert_eq!(it.look(false, at(6)), Duration::ZERO);
    assert_eq!(it.look(true, at(9)), 3 * SECOND);
    it.on_wait(at(9));
    it.on_wait_over(at(10));
    assert_eq!(it.look(true, at(11)), 2 * SECOND);
}
