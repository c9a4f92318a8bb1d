//! A made-up clock, and members of a share that pass by it what they may.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::super::*;
use crate::share::table::{Leave, WORDS, Who};
use crate::units::Unit;

pub(super) type Memory = Arc<Vec<AtomicU64>>;

impl Words for Memory {
    fn word(&self, index: usize) -> &AtomicU64 {
        &self[index]
    }
}

pub(super) fn memory() -> Memory {
    Arc::new((0..WORDS).map(|_| AtomicU64::new(0)).collect())
}

/// The same memory, for one who is looked at: what comes before he gets at a word, by its number.
pub(super) struct Watched<F>(pub(super) Memory, pub(super) F);

impl<F: Fn(usize)> Words for Watched<F> {
    fn word(&self, index: usize) -> &AtomicU64 {
        (self.1)(index);
        self.0.word(index)
    }
}

impl<F> fmt::Debug for Watched<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

pub(super) fn join<W: Words>(words: W, number: u32) -> Member<W> {
    let who = Who::new(number, 0).expect("a process");
    Member::join(words, Unit::Bytes, who, |_| false).expect("room")
}

pub(super) fn rules(rate: &str, burst: Burst) -> Rules {
    let rate = rate.parse().expect(rate);
    Rules { rate, burst }
}

/// The one memory is everywhere.
#[derive(Debug)]
pub(super) struct Everywhere;

impl<W: Words> Place<W> for Everywhere {
    fn look(&mut self, _: &Member<W>) -> Option<Member<W>> {
        None
    }
}

pub(super) const NO_BURST: Burst = Burst::Units(0);

/// A member that passes all that it may, or has something to pass only now and then.
pub(super) struct Flow {
    pub(super) cap: Option<HostCap<Memory>>,
    pub(super) leave: Leave<Memory>,
    /// When it asks next.
    pub(super) asks: Duration,
    /// How late it wakes up, at most.
    pub(super) late: Duration,
    /// From when until when it has something to pass.
    pub(super) wants: std::ops::Range<Duration>,
    /// Units that it passes together, however few it is given.
    pub(super) piece: u64,
    pub(super) passed: Vec<(Duration, u64)>,
}

impl Flow {
    pub(super) fn total(&self, from: Duration, to: Duration) -> u64 {
        let inside = |at: Duration| from <= at && at < to;
        let passed = self.passed.iter().filter(|(at, _)| inside(*at));
        passed.map(|(_, n)| n).sum()
    }
}

pub(super) struct World {
    pub(super) memory: Memory,
    pub(super) start: Instant,
    pub(super) flows: Vec<Flow>,
    pub(super) dice: u64,
}

pub(super) const FOR_EVER: Duration = Duration::from_secs(1 << 30);
pub(super) const NEVER: Duration = Duration::from_secs(1 << 31);

impl World {
    pub(super) fn new() -> World {
        World {
            memory: memory(),
            start: Instant::now(),
            flows: Vec::new(),
            dice: 1,
        }
    }

    /// What somebody reads off it then.
    pub(super) fn clock(&self, at: Duration) -> Clock {
        Clock::new(self.start + at, 7_777_777_777 + at.as_nanos() as u64)
    }

    /// One of them changes the rules for all.
    pub(super) fn set(&mut self, flow: usize, rules: Rules, at: Duration) {
        let cap = self.flows[flow].cap.as_mut().expect("alive");
        cap.set(rules.rate, rules.burst, self.start + at);
    }

    pub(super) fn add(&mut self, rules: Rules, at: Duration, late: Duration) -> &mut Flow {
        let who = Who::new(self.flows.len() as u32 + 1, 0).expect("a process");
        let member = Member::join(self.memory.clone(), Unit::Bytes, who, |_| false).expect("room");
        let leave = member.leave();
        let cap = HostCap::new(member, Box::new(Everywhere), rules, self.clock(at));
        self.flows.push(Flow {
            cap: Some(cap),
            leave,
            asks: at,
            late,
            wants: at..FOR_EVER,
            piece: 1,
            passed: Vec::new(),
        });
        self.flows.last_mut().expect("just added")
    }

    /// A number below `most`, at random but the same each time.
    pub(super) fn roll(&mut self, most: u64) -> u64 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % most.max(1)
    }

    pub(super) fn run(&mut self, until: Duration) {
        loop {
            let next = (0..self.flows.len()).min_by_key(|n| self.flows[*n].asks);
            let Some(next) = next.filter(|n| self.flows[*n].asks < until) else {
                return;
            };
            let late = self.flows[next].late;
            let late = Duration::from_nanos(self.roll(late.as_nanos() as u64));
            let start = self.start;
            self.flows[next].ask(start, late);
        }
    }

    pub(super) fn total(&self, from: Duration, to: Duration) -> u64 {
        self.flows.iter().map(|flow| flow.total(from, to)).sum()
    }

    /// The most that has passed in any window of this length.
    pub(super) fn most_in(&self, window: Duration) -> u64 {
        let mut all: Vec<_> = self
            .flows
            .iter()
            .flat_map(|flow| flow.passed.clone())
            .collect();
        all.sort();
        let (mut first, mut sum, mut most) = (0, 0, 0);
        for (at, n) in &all {
            sum += n;
            while all[first].0 + window <= *at {
                sum -= all[first].1;
                first += 1;
            }
            most = most.max(sum);
        }
        most
    }
}

impl Flow {
    fn ask(&mut self, start: Instant, late: Duration) {
        let at = self.asks;
        if at >= self.wants.end {
            self.asks = NEVER;
            return;
        }
        let Some(cap) = &mut self.cap else {
            self.asks = NEVER;
            return;
        };
        cap.prepare(start + at);
        match cap.peek(start + at) {
            Ok(units) => {
                let passed = units.max(self.piece);
                cap.on_passed(passed, start + at);
                self.passed.push((at, passed));
            }
            Err(when) => {
                assert!(when > start + at, "to ask again at once would be to spin");
                self.asks = when - start + late;
            }
        }
    }
}

pub(super) fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|n| *n as f64).sum();
    let squares: f64 = shares.iter().map(|n| (*n as f64).powi(2)).sum();
    sum * sum / (shares.len() as f64 * squares)
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
