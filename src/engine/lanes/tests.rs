//! The lanes beside a list that does the same in the plainest way, and what fairness means.

use proptest::prelude::*;

use super::names::{EXACT, KEY_MOST};
use super::*;

/// Lanes, and what they are called.
struct Named {
    lanes: Lanes,
    names: Names,
}

impl Named {
    fn new() -> Named {
        Named {
            lanes: Lanes::new(),
            names: Names::new(0),
        }
    }

    fn lane(&mut self, key: Option<&[u8]>) -> Lane {
        self.names.lane(key, |lane| self.lanes.is_empty(lane))
    }

    fn shed(&mut self, end: End, least: u64, need: u64) -> Vec<Record> {
        let mut all = Vec::new();
        let gone = self.lanes.shed(end, least, need, |record| all.push(record));
        assert_eq!(gone, all.iter().map(|it| it.length).sum::<u64>());
        for record in &all {
            self.names.on_lost(record.lane, record.length, 1);
        }
        all
    }

    /// As little as possible.
    fn shed_one(&mut self, end: End) -> Option<Record> {
        self.shed(end, 1, 1).first().copied()
    }

    fn add(&mut self, at: u64, length: u64, key: Option<&[u8]>) -> Lane {
        let lane = self.lane(key);
        let kept = false;
        self.lanes.push(Record {
            at,
            length,
            lane,
            kept,
        });
        lane
    }

    fn memory(&self) -> usize {
        self.lanes.memory() + self.names.memory()
    }
}

impl std::ops::Deref for Named {
    type Target = Lanes;

    fn deref(&self) -> &Lanes {
        &self.lanes
    }
}

impl std::ops::DerefMut for Named {
    fn deref_mut(&mut self) -> &mut Lanes {
        &mut self.lanes
    }
}

/// What the lanes do, without any cleverness.
#[derive(Debug, Default)]
struct Plain {
    held: Vec<Record>,
}

impl Plain {
    fn bytes_of(&self, lane: Lane) -> u64 {
        let of_it = self.held.iter().filter(|record| record.lane == lane);
        of_it.map(|record| record.length).sum()
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
    /// when nothing else is left; and of no lane that holds less than another will, but for one record of each.
    fn shed(&mut self, victims: &[Record], end: End) -> Result<(), String> {
        let mut lost: std::collections::BTreeMap<Lane, u64> = Default::default();
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
                let least = next.map_or(0, |next| self.bytes_of(other.lane) - next.length);
                if self.bytes_of(lane) + last < least {
                    return Err(format!("{lane:?} was not the one that holds most"));
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
    Expire,
}

fn any_step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![Just(1), 1..100u64, Just(1 << 33)];
    prop_oneof![
        8 => (0..12u8, length, prop::bool::weighted(0.2))
            .prop_map(|(key, length, kept)| Step::Push { key, length, kept }),
        3 => (1..4usize).prop_map(Step::Pop),
        1 => (1..3usize).prop_map(Step::GiveBack),
        3 => (prop_oneof![Just(1), 1..2000u64, Just(1 << 34)], any::<bool>()).prop_map(|(n, oldest)| Step::Shed(n, oldest)),
        1 => Just(Step::Expire),
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
                    let at = if are_neighbours { end } else { step_at as u64 };
                    end = at + length;
                    let record = Record { at, length, lane, kept };
                    lanes.push(record);
                    plain.held.push(record);
                }
                Step::Pop(n) => for _ in 0..n {
                    prop_assert_eq!(lanes.first(), plain.held.first().copied());
                    let record = lanes.pop();
                    prop_assert_eq!(record, plain.held.first().copied());
                    plain.take(record);
                    popped.extend(record);
                },
                Step::GiveBack(n) => for _ in 0..n {
                    let Some(record) = popped.pop() else { break };
                    if plain.held.first().is_some_and(|first| first.at < record.at) {
                        break;
                    }
                    lanes.give_back(record);
                    plain.held.insert(0, record);
                },
                Step::Shed(need, oldest) => {
                    let end = if oldest { End::Oldest } else { End::Newest };
                    let least = need.div_ceil(2);
                    let victims = lanes.shed(end, least, need);
                    let gone: u64 = victims.iter().map(|it| it.length).sum();
                    plain.shed(&victims, end).map_err(TestCaseError::fail)?;
                    prop_assert!(gone >= least || plain.held.is_empty());
                    lost += gone;
                }
                Step::Expire => {
                    let first = plain.held.iter().find(|record| !record.kept).copied();
                    prop_assert_eq!(lanes.first_to_expire(), first);
                    prop_assert_eq!(lanes.expire(), first);
                    plain.take(first);
                }
            }
            prop_assert_eq!(lanes.records(), plain.held.len());
            prop_assert_eq!(lanes.bytes(), plain.held.iter().map(|r| r.length).sum::<u64>());
        }
        let told: u64 = lanes.names.losses(usize::MAX).iter().map(|loss| loss.bytes).sum();
        prop_assert_eq!(told, lost);
        let rest: Vec<_> = std::iter::from_fn(|| lanes.pop()).collect();
        prop_assert_eq!(rest, plain.held);
    }
}

/// A full buffer before a slow consumer: each round every flow offers its bytes in records of 100, and
/// the consumer takes some. Returns what each has offered and what of it was delivered or is held.
fn flood(offers: &[u64], takes: u64, capacity: u64, rounds: u64) -> Vec<(u64, u64)> {
    let mut lanes = Named::new();
    let mut books = vec![(0, 0); offers.len()];
    let mut at = 0;
    for _ in 0..rounds {
        for turn in 0..offers.iter().copied().max().unwrap_or(0) {
            for (flow, _) in offers.iter().enumerate().filter(|(_, n)| turn < **n) {
                lanes.add(at, 100, Some(&flow.to_le_bytes()));
                at += 1;
                books[flow].0 += 1;
                while lanes.bytes() > capacity {
                    lanes.shed_one(End::Newest).expect("something is held");
                }
            }
        }
        for _ in 0..takes {
            let Some(record) = lanes.pop() else { break };
            books[record.lane.0 as usize - 1].1 += 1;
        }
    }
    while let Some(record) = lanes.pop() {
        books[record.lane.0 as usize - 1].1 += 1;
    }
    books
}

#[test]
fn a_key_at_a_hundredfold_takes_nothing_from_99_that_stay_below_their_share() {
    let mut offers = vec![1; 99];
    offers.push(100);
    let books = flood(&offers, 150, 100 * 1000, 200);
    for (offered, passed) in &books[..99] {
        assert_eq!(offered, passed);
    }
    // What they leave is all its own: 51 each round, and what the buffer holds of it at the end.
    let (_, passed) = books[99];
    assert!((51 * 200..51 * 200 + 1000).contains(&passed), "{passed}");
}

#[test]
fn while_nothing_is_taken_each_lane_holds_what_came_last() {
    let mut lanes = Named::new();
    let rounds = 10_000;
    for at in 0..rounds {
        lanes.add(at, 100, Some(if at % 5 == 0 { b"a" } else { b"b" }));
        while lanes.bytes() > 100 * 100 {
            lanes.shed_one(End::Oldest).expect("something is held");
        }
    }
    let held: Vec<_> = std::iter::from_fn(|| lanes.pop())
        .map(|record| record.at)
        .collect();
    assert_eq!(held.len(), 100);
    assert_eq!(held.iter().filter(|at| **at % 5 == 0).count(), 50);
    assert!(held[0] > rounds - 5 * 52, "{held:?}");
}

#[test]
fn those_that_want_more_get_the_same() {
    let offers: Vec<u64> = (0..20)
        .map(|n| if n < 10 { 1 } else { 10 + 5 * n })
        .collect();
    let books = flood(&offers, 200, 100 * 2000, 300);
    assert!(
        books[..10]
            .iter()
            .all(|(offered, passed)| offered == passed)
    );
    let shares: Vec<f64> = books[10..]
        .iter()
        .map(|(_, passed)| *passed as f64)
        .collect();
    let (sum, squares) = shares
        .iter()
        .fold((0.0, 0.0), |(s, q), n| (s + n, q + n * n));
    let jain = sum * sum / (10.0 * squares);
    assert!(jain > 0.99, "{jain}: {shares:?}");
}

#[test]
fn order_has_no_room_for_what_has_left_its_middle() {
    let mut lanes = Named::new();
    let (quiet, loud) = (lanes.lane(Some(b"quiet")), lanes.lane(Some(b"loud")));
    let record = |at, lane| Record {
        at,
        length: 10,
        lane,
        kept: false,
    };
    lanes.push(record(0, quiet));
    for at in 1..1_000_000 {
        lanes.push(record(at, loud));
        if lanes.records() > 100 {
            assert_eq!(
                lanes.shed_one(End::Oldest).map(|record| record.at),
                Some(at - 99)
            );
        }
    }
    assert!(lanes.memory() < 300_000, "{}", lanes.memory());
    let all: Vec<_> = std::iter::from_fn(|| lanes.pop())
        .map(|record| record.at)
        .collect();
    assert_eq!(all[..2], [0, 999_901]);
    assert_eq!(all.len(), 100);
}

#[test]
fn each_of_4096_keys_has_a_lane_and_a_million_cost_little() {
    let mut lanes = Named::new();
    let mut push = |key: u32| lanes.add(u64::from(key), 10, Some(&key.to_be_bytes()));
    let mut own: Vec<_> = (0..EXACT as u32).map(&mut push).collect();
    own.sort();
    own.dedup();
    assert_eq!(own.len(), EXACT);
    let mut shared: Vec<_> = (EXACT as u32..100_000).map(push).collect();
    shared.sort();
    shared.dedup();
    assert!(shared.len() > 4000 && shared.iter().all(|lane| own.binary_search(lane).is_err()));
    // Once they are empty and have lost nothing, their lanes are for others.
    while lanes.pop().is_some() {}
    let mut again: Vec<_> = (1_000_000..1_004_000u32)
        .map(|n| lanes.lane(Some(&n.to_be_bytes())))
        .collect();
    again.sort();
    again.dedup();
    assert!(again.len() == 4000 && own.binary_search(&again[3999]).is_ok());
    let books = lanes.memory();
    let long = vec![7; 2 * KEY_MOST];
    assert_eq!(lanes.lane(Some(&long)), lanes.lane(Some(&long[..KEY_MOST])));
    for n in 0..1_000_000u32 {
        lanes.lane(Some(&n.to_le_bytes()));
    }
    // A table in which there is much coming and going doubles once.
    assert!(
        lanes.memory() < books + 300_000,
        "{} after {books}",
        lanes.memory()
    );
}

#[test]
fn what_was_lost_is_told_most_first() {
    let mut lanes = Named::new();
    for (key, records) in [(Some("a"), 3), (None, 5), (Some("b"), 4)] {
        for at in 0..records {
            lanes.add(at, 10, key.map(str::as_bytes));
        }
    }
    for _ in 0..6 {
        lanes.shed_one(End::Newest);
    }
    let told: Vec<_> = lanes
        .names
        .losses(2)
        .into_iter()
        .map(|loss| (loss.key, loss.bytes, loss.records))
        .collect();
    assert_eq!(told, [(None, 30, 3), (Some(b"b"[..].into()), 20, 2)]);
}
