//! Chance, for what a scenario is made of: each rule, neighbour and misfortune by itself.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use crate::engine::batch::BatchRules;
use crate::engine::directive::Directive;
use crate::engine::gate::Marks;
use crate::engine::limiter::{Burst, Bursts, Cap};
use crate::engine::policy::{Policy, Which};
use crate::engine::restart::{RestartRules, When};
use crate::engine::scaler::Scaling;
use crate::engine::side::Role;
use crate::engine::tests::sim::{Disk, Script, SidePlan, WorkerScript};
use crate::engine::workers::WorkerRules;
use crate::units::{Rate, Unit};

pub(super) struct Dice(pub u64);

impl Dice {
    pub(super) fn roll(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % most
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }

    pub(super) fn some<T>(&mut self, n: u64, what: impl FnOnce(&mut Dice) -> T) -> Option<T> {
        self.one_in(n).then(|| what(self))
    }

    pub(super) fn micros(&mut self, most: u64) -> Duration {
        Duration::from_micros(self.roll(most))
    }

    pub(super) fn policy(&mut self) -> Policy {
        let which = if self.one_in(2) {
            Which::Oldest
        } else {
            Which::Newest
        };
        let patience = if self.one_in(2) {
            Duration::ZERO
        } else {
            self.micros(20_000)
        };
        Policy { which, patience }
    }

    pub(super) fn cap(&mut self, unit: Unit) -> Cap {
        let mut rate = || {
            let second = NonZeroU64::new(1_000_000_000).unwrap_or(NonZeroU64::MIN);
            let amount = 5_000 << self.roll(12);
            Rate::new(
                NonZeroU64::new(amount).unwrap_or(NonZeroU64::MIN),
                second,
                unit,
            )
        };
        let (one, two) = (rate(), rate());
        if self.one_in(3) {
            Cap::Range(one, two)
        } else {
            Cap::Fixed(one)
        }
    }

    pub(super) fn marks(&mut self, capacity: usize) -> Marks {
        let high = (capacity as u64 * (10 + self.roll(91)) / 100).max(2) as usize;
        let low = (high - 1) * self.roll(100) as usize / 100;
        let prefill = if self.one_in(4) {
            high * self.roll(101) as usize / 100
        } else {
            0
        };
        Marks { high, low, prefill }
    }

    /// A tee or a tap, which may be slow, die, or come late.
    pub(super) fn side(&mut self) -> SidePlan {
        let role = if self.one_in(2) {
            Role::Tee
        } else {
            Role::Tap(4096 + self.roll(60_000))
        };
        let late = self.some(4, |dice| dice.micros(60_000));
        let span = |dice: &mut Dice| {
            let from = dice.micros(120_000);
            (from, from + dice.micros(60_000))
        };
        let stalls = self.some(2, span);
        let dies = self.some(4, span);
        // A tee that is waited for comes, whatever becomes of it then.
        let after = late.filter(|_| role == Role::Tee).unwrap_or_default();
        SidePlan {
            role,
            comes: late,
            stalls,
            dies: dies.map(|(from, to)| (from + after, to + after)),
        }
    }

    /// Somebody who comes to look, and goes again, maybe.
    pub(super) fn looker(&mut self) -> SidePlan {
        let mut plan = self.side();
        plan.role = Role::Looker(4096 + self.roll(60_000));
        plan.comes = Some(self.micros(150_000));
        plan.dies = self.some(2, |dice| (dice.micros(150_000), Duration::from_secs(1000)));
        plan
    }

    /// A disk, which others may fill, and which may fail.
    pub(super) fn disk(&mut self, capacity: usize) -> Disk {
        let full = self.some(3, |dice| {
            let from = dice.micros(120_000);
            (from, from + dice.micros(300_000))
        });
        let (bound, is_ours) = (64 + self.roll(2 * capacity as u64), self.roll(2) == 0);
        Disk {
            bound,
            is_ours,
            others_stay: !is_ours && bound.is_multiple_of(3),
            full,
            tears: self.some(4, |dice| 2 + dice.roll(10)),
            refuses: self.some(4, |dice| 2 + dice.roll(10)),
            fails: self.some(20, |dice| dice.micros(130_000)),
            damages_dropped: false,
            slow: self.some(3, |dice| dice.micros(300)).unwrap_or_default(),
        }
    }

    /// What tells lanes apart: a digit, the number without its last digit, or nothing.
    pub(super) fn lanes(&mut self) -> (Option<&'static str>, Option<&'static str>) {
        let key = [None, Some("^[0-9]"), Some("^([0-9]*)[0-9]"), Some("[0-9]x")];
        let keep = [None, None, Some("^[0-9]*3"), Some("xx")];
        let (k, l) = (self.roll(4) as usize, self.roll(4) as usize);
        (key[k], keep[l])
    }

    /// When batches are closed.
    pub(super) fn batch(&mut self, capacity: usize, framed: bool) -> BatchRules {
        let capacity = capacity as u64;
        BatchRules {
            records: self
                .some(2, |dice| 1 + dice.roll(50))
                .filter(|_| framed)
                .and_then(NonZeroU64::new),
            bytes: self
                .some(2, |dice| 1 + dice.roll(capacity))
                .and_then(NonZeroU64::new),
            age: self.some(2, |dice| dice.micros(20_000)),
            jobs: match self.one_in(2) {
                true => Scaling::between(1, 1),
                false => self.jobs(1),
            },
            backoff: (
                Duration::from_millis(1),
                Duration::from_millis(1 + self.roll(100)),
            ),
            give_up: self
                .some(2, |dice| 1 + dice.roll(5) as u32)
                .and_then(NonZeroU32::new),
            chance: self.roll(1000),
        }
    }

    /// How many programs, and at least so many.
    pub(super) fn jobs(&mut self, least: usize) -> Scaling {
        let count = least + self.roll(4) as usize;
        Scaling::between(count, count)
    }

    /// As many at most, and maybe fewer where there is little to do.
    pub(super) fn scaling(&mut self, count: Scaling) -> Scaling {
        let least = 1 + self.roll(count.most as u64) as usize;
        Scaling {
            least: if self.one_in(3) { count.most } else { least },
            most: count.most,
            rise: self.micros(2_000),
            quiet: Duration::from_micros(1) + self.micros(5_000),
        }
    }

    /// Programs that take from one queue.
    pub(super) fn workers(&mut self) -> WorkerRules {
        let rules = |dice: &mut Dice| RestartRules {
            when: if dice.one_in(2) {
                When::Always
            } else {
                When::OnFailure
            },
            backoff: (
                Duration::from_millis(1),
                Duration::from_millis(1 + dice.roll(100)),
            ),
            give_up: None,
        };
        WorkerRules {
            count: self.jobs(2),
            restart: self.some(2, rules),
            chance: self.roll(1000),
        }
    }

    /// What they do.
    pub(super) fn worker_script(&mut self, rules: WorkerRules) -> WorkerScript {
        let is_run_again = rules.restart.is_some();
        let rare = |dice: &mut Dice| 2 + dice.roll(100);
        WorkerScript {
            falls: self.some(2, rare).filter(|_| is_run_again),
            closes: self.some(4, rare).filter(|_| is_run_again),
            refuses: self
                .some(4, |dice| 2 + dice.roll(5))
                .filter(|_| is_run_again),
            leaves: self.some(4, rare),
            lasts: self.micros(2_000),
            hangs: self.some(3, |dice| {
                let from = dice.micros(120_000);
                (dice.roll(4) as usize, from, from + dice.micros(60_000))
            }),
            follows: None,
            steady: None,
            until: self.micros(300_000),
            dies: None,
        }
    }

    /// What the programs do that get them.
    pub(super) fn script(&mut self) -> Script {
        Script {
            fails: self.some(2, |dice| 2 + dice.roll(6)),
            rejects: self.some(3, |dice| 2 + dice.roll(20)),
            refuses: None,
            outage: self
                .some(3, |dice| dice.micros(300_000))
                .unwrap_or_default(),
            lasts: self.micros(5_000),
            hangs: self.some(6, |dice| {
                let from = dice.micros(120_000);
                (from, from + dice.micros(60_000))
            }),
            told: None,
        }
    }

    pub(super) fn command(&mut self, capacity: usize, framed: bool) -> Directive {
        match self.roll(14) {
            12 | 13 => {
                let most = 1 + self.roll(4) as usize;
                Directive::Jobs(self.scaling(Scaling::between(1, most)))
            }
            0..=2 => Directive::Shed(self.some(2, Dice::policy)),
            3 | 4 => Directive::MaxAge(
                self.some(2, |dice| dice.micros(30_000) + Duration::from_micros(1)),
            ),
            5 => Directive::Marks(self.marks(capacity)),
            6 => Directive::RateOfBytes(self.some(2, |dice| dice.cap(Unit::Bytes))),
            7 if framed => Directive::RateOfRecords(self.some(2, |dice| dice.cap(Unit::Records))),
            7 | 8 => Directive::InputRateOfBytes(self.some(3, |dice| dice.cap(Unit::Bytes))),
            9 => Directive::Burst(Bursts {
                bytes: Burst::Units(self.roll(5000)),
                records: Burst::Units(self.roll(50)),
            }),
            10 => Directive::Pause,
            _ => Directive::Resume,
        }
    }
}
