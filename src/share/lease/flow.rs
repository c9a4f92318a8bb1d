//! What passes by leases: where a cap on bytes lets pass what waits for one on records, and where more passes at once than
//! is leased.
//!
//! Invariant: as much passes as the tighter cap allows, whatever questions are to each other in time. The members and
//! their caps are the real ones, the stores are the [`twin`] of `lease.lua`.

use std::sync::{Arc, Mutex};

use super::twin::Store;
use super::*;
use crate::engine::gate::Marks;
use crate::engine::limiter::{Bursts, Cap, Limiters, SharedCap};

#[derive(Debug, Clone)]
struct Leased(Arc<Mutex<LeasedCap>>);

impl Leased {
    fn new(rate: &str, now: Instant) -> Leased {
        let rate = rate.parse().expect(rate);
        let burst = Burst::Units(0);
        Leased(Arc::new(Mutex::new(LeasedCap::new(
            Rules { rate, burst },
            now,
        ))))
    }

    fn with<T>(&self, f: impl FnOnce(&mut LeasedCap) -> T) -> T {
        f(&mut self.0.lock().expect("nobody panics"))
    }
}

impl SharedCap for Leased {
    fn set(&mut self, rate: Rate, burst: Burst, _now: Instant) {
        self.with(|cap| cap.set(Rules { rate, burst }));
    }

    fn prepare(&mut self, now: Instant) {
        self.with(|cap| cap.prepare(now));
    }

    fn peek(&self, now: Instant) -> Result<u64, Instant> {
        self.with(|cap| cap.peek(now))
    }

    fn may_pass(&mut self, now: Instant) -> Result<u64, Instant> {
        let passed = self.peek(now);
        if passed.is_ok() {
            self.with(|cap| cap.let_pass(now));
        }
        passed
    }

    fn keep(&self) {
        self.with(LeasedCap::keep);
    }

    fn on_passed(&mut self, units: u64, now: Instant) {
        self.with(|cap| cap.on_passed(units, now));
    }

    fn give_back(&mut self, units: u64, now: Instant) {
        self.with(|cap| cap.give_back(units, now));
    }

    fn rate(&self) -> Rate {
        self.with(|cap| cap.rules().rate)
    }
}

/// A member that has always more records of this length.
struct Member {
    limiters: Limiters,
    caps: [Leased; 2],
    /// When each of them asks next, in milliseconds.
    asks: [u64; 2],
    length: u64,
    /// Bytes that are left of the record that has begun.
    left: u64,
    records: u64,
}

impl Member {
    fn new(rates: [&str; 2], asks: [u64; 2], length: u64, now: Instant) -> Member {
        let caps = rates.map(|rate| Leased::new(rate, now));
        let mut limiters = Limiters::default();
        let both = [&mut limiters.bytes, &mut limiters.records];
        for ((limiter, cap), rate) in both.into_iter().zip(&caps).zip(rates) {
            limiter.share(Box::new(cap.clone()));
            limiter.set(Some(Cap::Fixed(rate.parse().expect(rate))));
        }
        Member {
            limiters,
            caps,
            asks,
            length,
            left: 0,
            records: 0,
        }
    }

    fn ask(&mut self, me: usize, stores: &mut [Store; 2], millis: u64, now: Instant) {
        for ((cap, asks), store) in self.caps.iter().zip(&mut self.asks).zip(stores) {
            cap.with(|cap| {
                if cap.waited {
                    *asks = (*asks).min(millis + INTERVAL.as_millis() as u64);
                }
                if millis < *asks {
                    return;
                }
                let question = cap.question(now);
                let answer = store.ask(me, &question, millis);
                cap.on_answer(&question, answer, now, now);
                *asks = millis + answer.interval.max(question.interval).as_millis() as u64;
            });
        }
    }

    fn pass(&mut self, now: Instant) {
        let marks = Marks {
            low: 0,
            high: 1,
            prefill: 0,
        };
        self.limiters.tune(0, marks, Bursts::default(), now);
        while let Ok(allowed) = self.limiters.may_pass(self.left > 0, now) {
            let begins = self.left == 0;
            if begins {
                if allowed.records == 0 {
                    break;
                }
                self.left = self.length;
            }
            let bytes = self.left.min(allowed.bytes as u64);
            self.left -= bytes;
            self.records += u64::from(self.left == 0);
            let begun = u64::from(begins);
            self.limiters.on_passed(bytes as usize, begun, now);
        }
    }
}

/// The records that each has passed in half a minute, with a pause of a second and a half in each three where it `pauses`.
/// The questions for bytes come so many milliseconds after those for records.
fn passed(rates: [&str; 2], length: u64, members: usize, after: u64, pauses: bool) -> Vec<u64> {
    let begun = Instant::now();
    let mut stores = [Store::new(0), Store::new(0)];
    let member = |n: usize| {
        let first = 37 * n as u64;
        Member::new(rates, [first + after, first], length, begun)
    };
    let mut members: Vec<_> = (0..members).map(member).collect();
    for millis in 0..30_000 {
        let now = begun + Duration::from_millis(millis);
        for (me, member) in members.iter_mut().enumerate() {
            member.ask(me, &mut stores, millis, now);
            if !pauses || millis / 1500 % 2 == 0 {
                member.pass(now);
            }
        }
    }
    members.iter().map(|member| member.records).collect()
}

#[test]
fn as_much_passes_as_the_tighter_of_two_caps_allows() {
    for (rates, length, wanted) in [
        (["1MB/s", "10/s"], 100_000, 300),
        (["1MB/s", "10/s"], 100, 300),
        (["1MB/s", "10/s"], 1_000_000, 30),
        (["1MB/s", "1000/s"], 1000, 30_000),
        (["10kB/s", "1000/s"], 100, 3000),
    ] {
        for members in 1..4 {
            for after in [0, 1, 20, 50, 80, 99] {
                for pauses in [false, true] {
                    let each = passed(rates, length, members, after, pauses);
                    let what = format!("{each:?} of {wanted}: {rates:?} {length} {after} {pauses}");
                    let (least, most) = if pauses { (35, 55) } else { (95, 102) };
                    let fair = wanted / members as u64;
                    for records in each {
                        let is_fair =
                            (records + 1) * 100 >= fair * least && records * 100 <= fair * most;
                        assert!(is_fair, "{what}");
                    }
                }
            }
        }
    }
}

/// Batches of five hundred under a cap, each of which is worked on for so many milliseconds before the next one is asked for,
/// in a minute. `begins`: what the store says to one that comes. In the middle the cap becomes another one, and the same again.
fn batches(rate: &str, works: u64, begins: bool) -> u64 {
    let begun = Instant::now();
    let mut store = Store::new(0);
    let rules = |rate: &str| Rules {
        rate: rate.parse().expect(rate),
        burst: Burst::Units(0),
    };
    let mut cap = LeasedCap::new(rules(rate), begun);
    let (mut asks, mut batches, mut free_at) = (0, 0, 0);
    for millis in 0..60_000 {
        let now = begun + Duration::from_millis(millis);
        if millis == 30_000 {
            cap.set(rules("1/s"));
            cap.prepare(now);
            cap.set(rules(rate));
        }
        if millis >= asks {
            let question = cap.question(now);
            let answer = store.ask(0, &question, millis);
            let answer = Answer { begins, ..answer };
            cap.on_answer(&question, answer, now, now);
            asks = millis + answer.interval.max(question.interval).as_millis() as u64;
        }
        cap.prepare(now);
        if millis >= free_at && cap.peek(now).is_ok() {
            cap.let_pass(now);
            cap.on_passed(500, now);
            batches += 1;
            free_at = millis + works;
        }
    }
    batches
}

#[test]
fn what_passes_at_once_is_paid_for_at_the_rate_of_the_cap() {
    for begins in [false, true] {
        for works in [0, 1, 4000] {
            let batches = batches("100/s", works, begins);
            // One more where the debt was forgiven with the old cap.
            let what = format!("{batches} batches of 12, {works} {begins}");
            assert!((12..=13).contains(&batches), "{what}");
        }
        assert_eq!(batches("100/s", 10_000, begins), 6);
    }
}
