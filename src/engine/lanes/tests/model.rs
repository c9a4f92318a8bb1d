//! The lanes beside a list that does the same in the plainest way.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{End, Lane, Record};
use super::Named;

/// What the lanes do, without any cleverness.
#[derive(Debug, Default)]
struct Plain {
    held: Vec<Record>,
    /// What each lane got, and all of them since something was shed.
    got: BTreeMap<Lane, u64>,
    passed: u64,
    /// Down to where the fullest were lowered.
    level: u64,
}

impl Plain {
    fn bytes_of(&self, lane: Lane) -> u64 {
        let of_it = self.held.iter().filter(|record| record.lane == lane);
        of_it.map(|record| record.length).sum()
    }

    /// How full a lane is: what it holds and got.
    fn account(&self, lane: Lane) -> u64 {
        self.bytes_of(lane) + self.got.get(&lane).copied().unwrap_or(0)
    }

    /// The oldest record is delivered.
    fn pop(&mut self) -> Option<Record> {
        let first = self.held.first().copied()?;
        self.held.remove(0);
        *self.got.entry(first.lane).or_default() += first.length;
        self.passed += first.length;
        Some(first)
    }

    /// It is not, after all.
    fn give_back(&mut self, record: Record) {
        self.held.insert(0, record);
        let got = self.got.entry(record.lane).or_default();
        *got = got.saturating_sub(record.length);
        self.passed = self.passed.saturating_sub(record.length);
    }

    /// No lane is further below the fullest than all that is held; where much has passed all begin anew.
    fn raise_to_floor(&mut self) {
        let held: u64 = self.held.iter().map(|it| it.length).sum();
        if self.passed > 4 * held {
            self.got.clear();
            self.level = 0;
        }
        self.passed = 0;
        let floor = self.level.saturating_sub(held);
        let lanes: Vec<_> = self.held.iter().map(|it| it.lane).collect();
        for lane in lanes {
            let least = floor.saturating_sub(self.bytes_of(lane));
            let got = self.got.entry(lane).or_default();
            *got = least.max(*got);
        }
    }

    /// The record of this lane that goes next.
    fn next_of(&self, lane: Lane, kept: bool, end: End) -> Option<Record> {
        let of_it = |r: &&Record| r.lane == lane && r.kept == kept;
        match end {
            End::Oldest => self.held.iter().find(of_it).copied(),
            End::Newest => self.held.iter().rfind(of_it).copied(),
        }
    }

    /// Takes out what was shed, if these are the right ones: of each lane what comes first from this end; kept ones only
    /// when nothing else is left; and of no lane that is less full than another will be, but for one record of each.
    fn shed(&mut self, victims: &[Record], end: End) -> Result<(), String> {
        let mut lost: BTreeMap<Lane, u64> = Default::default();
        let of_kept = self.held.iter().all(|record| record.kept);
        if !victims.is_sorted_by_key(|record| record.at) {
            return Err("they are not in order".to_owned());
        }
        for kept in [false, true] {
            let mut of_it: Vec<_> = victims.iter().filter(|it| it.kept == kept).collect();
            if end == End::Newest {
                of_it.reverse();
            }
            for victim in of_it {
                if self.next_of(victim.lane, kept, end) != Some(*victim) {
                    return Err(format!("{victim:?} is not the next of its lane"));
                }
                self.take(Some(*victim));
                if kept == of_kept {
                    lost.insert(victim.lane, victim.length);
                }
            }
            if !kept && victims.iter().any(|it| it.kept) && !self.held.iter().all(|it| it.kept) {
                return Err("something else was left".to_owned());
            }
        }
        for (lane, last) in lost {
            for other in &self.held {
                let next = self.next_of(other.lane, of_kept, end);
                let least = next.map_or(0, |next| self.account(other.lane) - next.length);
                if self.account(lane) + last < least {
                    return Err(format!("{lane:?} was not the fullest"));
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, record: Option<Record>) {
        self.held.retain(|other| Some(*other) != record);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Push { key: u8, length: u64, kept: bool },
    Pop(usize),
    GiveBack(usize),
    Shed(u64, bool),
    Expire(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let length =
        prop_oneof![4 => Just(1), 8 => 1..100u64, 1 => 65_533..65_538u64, 1 => Just(1 << 33)];
    prop_oneof![
        8 => (0..12u8, length, prop::bool::weighted(0.2))
            .prop_map(|(key, length, kept)| Step::Push { key, length, kept }),
        3 => (1..4usize).prop_map(Step::Pop),
        1 => (1..3usize).prop_map(Step::GiveBack),
        3 => (prop_oneof![Just(1), 1..2000u64, Just(1 << 34)], any::<bool>()).prop_map(|(n, oldest)| Step::Shed(n, oldest)),
        1 => (0..4u64).prop_map(Step::Expire),
    ]
}

proptest! {
    #[test]
    fn lanes_do_what_a_plain_list_does(
        steps in prop::collection::vec(any_step(), 1..400),
        keys in prop_oneof![Just(12u8), 1..4u8],
        are_neighbours: bool,
    ) {
        let (mut lanes, mut plain) = (Named::new(), Plain::default());
        let (mut popped, mut lost): (Vec<Record>, u64) = (Vec::new(), 0);
        let mut end = 0;
        for (step_at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push { key, length, kept } => {
                    let key = [key % keys];
                    let lane = lanes.lane(Some(&key[..]).filter(|key| key != b"\0"));
                    let at = if are_neighbours { end } else { (step_at as u64) << 34 };
                    end = at + length;
                    let record = Record { at, length, lane, kept };
                    lanes.push(record);
                    plain.held.push(record);
                }
                Step::Pop(n) => for _ in 0..n {
                    prop_assert_eq!(lanes.first(), plain.held.first().copied());
                    let record = lanes.pop();
                    prop_assert_eq!(record, plain.pop());
                    popped.extend(record);
                },
                Step::GiveBack(n) => for _ in 0..n {
                    let Some(record) = popped.pop() else { break };
                    if plain.held.first().is_some_and(|first| first.at < record.at) {
                        break;
                    }
                    lanes.give_back(record);
                    plain.give_back(record);
                },
                Step::Shed(need, oldest) => {
                    let end = if oldest { End::Oldest } else { End::Newest };
                    let least = need.div_ceil(2);
                    plain.raise_to_floor();
                    let victims = lanes.shed(end, least, need);
                    plain.level = lanes.level;
                    let gone: u64 = victims.iter().map(|it| it.length).sum();
                    plain.shed(&victims, end).map_err(TestCaseError::fail)?;
                    prop_assert!(gone >= least || plain.held.is_empty());
                    lost += gone;
                }
                Step::Expire(skip) => {
                    let free = |it: &&Record| !it.kept;
                    let end_of = |it: &Record| it.at + it.length;
                    prop_assert_eq!(lanes.next_to_expire(), plain.held.iter().find(free).map(end_of));
                    let last = plain.held.iter().filter(free).nth(skip as usize);
                    let old = last.map_or(0, end_of);
                    let victims = lanes.take_out(|lanes, gone| lanes.expire(old, gone));
                    let expired: Vec<_> = plain.held.iter().filter(|it| !it.kept && end_of(it) <= old).copied().collect();
                    prop_assert_eq!(&victims, &expired);
                    plain.held.retain(|it| !expired.contains(it));
                    lost += victims.iter().map(|it| it.length).sum::<u64>();
                }
            }
            for it in &plain.held {
                prop_assert_eq!(lanes.account(it.lane), plain.account(it.lane));
            }
            lanes.check();
            prop_assert_eq!(lanes.records(), plain.held.len());
            prop_assert_eq!(lanes.bytes(), plain.held.iter().map(|r| r.length).sum::<u64>());
        }
        let told: u64 = lanes.names.losses(usize::MAX).iter().map(|loss| loss.bytes).sum();
        prop_assert_eq!(told, lost);
        let rest: Vec<_> = std::iter::from_fn(|| lanes.pop()).collect();
        prop_assert_eq!(rest, plain.held);
    }
}

proptest! {
    #[test]
    fn while_nothing_is_delivered_the_oldest_of_the_lane_that_holds_most_goes(
        records in prop::collection::vec((0..5u8, 1..60u64, prop::bool::weighted(0.3)), 1..200),
        capacity in 1..1000u64,
    ) {
        let (mut lanes, mut plain) = (Named::new(), Plain::default());
        let mut at = 0;
        for (key, length, kept) in records {
            let lane = lanes.lane(Some(&[key]));
            let record = Record { at, length, lane, kept };
            at += length;
            lanes.push(record);
            plain.held.push(record);
            while lanes.bytes() > capacity {
                let free = plain.held.iter().any(|it| !it.kept);
                let may_go = |it: &&Record| it.kept != free;
                let most = plain.held.iter().filter(may_go).map(|it| plain.bytes_of(it.lane)).max();
                let fullest = |it: &&Record| Some(plain.bytes_of(it.lane)) == most;
                let wanted: Vec<_> = plain.held.iter().filter(may_go).filter(fullest).copied().collect();
                let gone = lanes.shed_ones(End::Oldest);
                let is_gone = |it: &&Record| gone.iter().any(|run| run.contains(&it.at));
                let victims: Vec<_> = plain.held.iter().filter(is_gone).copied().collect();
                prop_assert!(!victims.is_empty());
                for victim in victims {
                    // Of those that hold as much any may go, one of each.
                    let oldest = wanted.iter().find(|other| other.lane == victim.lane).copied();
                    prop_assert!(Some(victim) == oldest, "{victim:?} of {wanted:?}");
                    plain.take(Some(victim));
                }
            }
        }
    }
}
