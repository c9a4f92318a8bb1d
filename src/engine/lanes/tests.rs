//! The lanes beside a list that does the same in the plainest way, and what fairness means.

use std::collections::BTreeMap;
use std::ops::Range;

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
            names: Names::new(0, EXACT),
        }
    }

    fn lane(&mut self, key: Option<&[u8]>) -> Lane {
        self.names.lane(key, |lane| {
            let is_empty = !self.lanes.holds(lane);
            if is_empty {
                self.lanes.vacate(lane);
            }
            is_empty
        })
    }

    fn shed(&mut self, end: End, least: u64, need: u64) -> Vec<Record> {
        let bytes = |victims: &[Record]| victims.iter().map(|it| it.length).sum::<u64>();
        let mut shed = 0;
        let victims =
            self.take_out(|lanes, gone| shed = lanes.shed(end, least, need, &mut None, gone));
        assert_eq!(shed, bytes(&victims));
        victims
    }

    /// What leaves the lanes, which is what they say.
    fn take_out(&mut self, take: impl FnOnce(&mut Lanes, &mut Gone)) -> Vec<Record> {
        let mut victims: Vec<_> = self.lanes.all().collect();
        let mut gone = Gone::default();
        take(&mut self.lanes, &mut gone);
        let mut left = self.lanes.all().peekable();
        victims.retain(|record| left.next_if_eq(record).is_none());
        assert_eq!(left.next(), None, "what is left was there, in order");
        let mut runs: Vec<std::ops::Range<u64>> = Vec::new();
        for it in &victims {
            match runs.last_mut() {
                Some(run) if run.end == it.at => run.end += it.length,
                _ => runs.push(it.at..it.at + it.length),
            }
        }
        assert_eq!(gone.runs, runs);
        assert_eq!(gone.records, victims.len() as u64);
        for (lane, bytes, records) in gone.lost {
            self.names.on_lost(lane, bytes, records);
        }
        victims
    }

    /// As little as possible. Returns where it lay.
    fn shed_one(&mut self, end: End) -> Option<u64> {
        self.shed_ones(end).first().map(|run| run.start)
    }

    /// Of lanes that hold the same each may lose one.
    fn shed_ones(&mut self, end: End) -> Vec<Range<u64>> {
        let mut gone = Gone::default();
        self.lanes.shed(end, 1, 1, &mut None, &mut gone);
        for (lane, bytes, records) in gone.lost {
            self.names.on_lost(lane, bytes, records);
        }
        gone.runs
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
    fn settle(&mut self) {
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
                    plain.settle();
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

/// What became of a flow.
#[derive(Debug, Default, Clone, PartialEq)]
struct Flow {
    offered: u64,
    /// Delivered, or held at the end.
    passed: u64,
    /// The longest that a record of it was held, in records of all flows that came meanwhile.
    age: u64,
}

/// A full buffer before a slow consumer: each round every flow offers its records of 100 bytes, and
/// the consumer takes some.
fn flood(offers: &[u64], takes: u64, capacity: u64, rounds: u64) -> Vec<Flow> {
    let mut lanes = Named::new();
    let mut flows = vec![Flow::default(); offers.len()];
    let mut at = 0;
    for _ in 0..rounds {
        for turn in 0..offers.iter().copied().max().unwrap_or(0) {
            for (flow, _) in offers.iter().enumerate().filter(|(_, n)| turn < **n) {
                lanes.add(100 * at, 100, Some(&flow.to_le_bytes()));
                at += 1;
                flows[flow].offered += 1;
                while lanes.bytes() > capacity {
                    lanes.shed_one(End::Oldest).expect("something is held");
                }
            }
        }
        for _ in 0..takes {
            let Some(record) = lanes.pop() else { break };
            let flow = &mut flows[record.lane.0 as usize - 1];
            flow.passed += 1;
            flow.age = flow.age.max(at - record.at / 100);
        }
    }
    while let Some(record) = lanes.pop() {
        flows[record.lane.0 as usize - 1].passed += 1;
    }
    flows
}

/// How even these are: 1 where they are the same (Jain's index).
fn evenness(flows: &[Flow]) -> f64 {
    let sums = flows.iter().map(|flow| flow.passed as f64);
    let (sum, squares) = sums.fold((0.0, 0.0), |(s, q), n| (s + n, q + n * n));
    sum * sum / (flows.len() as f64 * squares)
}

#[test]
fn a_key_at_a_hundredfold_takes_nothing_from_99_that_stay_below_their_share() {
    let mut offers = vec![1; 99];
    offers.push(100);
    let flows = flood(&offers, 150, 100 * 1000, 200);
    for flow in &flows[..99] {
        assert_eq!(flow.offered, flow.passed);
    }
    // What they leave is all its own: 51 each round, and what the buffer holds of it at the end.
    let passed = flows[99].passed;
    assert!((51 * 200..51 * 200 + 1000).contains(&passed), "{passed}");
}

#[test]
fn while_nothing_is_taken_each_lane_holds_what_came_last() {
    let mut lanes = Named::new();
    let rounds = 10_000;
    for at in 0..rounds {
        lanes.add(100 * at, 100, Some(if at % 5 == 0 { b"a" } else { b"b" }));
        while lanes.bytes() > 100 * 100 {
            lanes.shed_one(End::Oldest).expect("something is held");
        }
    }
    let held: Vec<_> = std::iter::from_fn(|| lanes.pop())
        .map(|record| record.at / 100)
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
    let flows = flood(&offers, 200, 100 * 2000, 300);
    assert!(flows[..10].iter().all(|flow| flow.offered == flow.passed));
    let evenness = evenness(&flows[10..]);
    assert!(evenness > 0.99, "{evenness}: {flows:?}");
}

#[test]
fn what_is_delivered_is_no_older_than_what_the_buffer_holds_of_all() {
    // Were the newest dropped, a record would stand behind a whole buffer: some 10,000 records would come meanwhile.
    let flows = flood(&[90, 10], 10, 100 * 1000, 3000);
    let evenness = evenness(&flows);
    assert!(evenness > 0.99, "{evenness}: {flows:?}");
    let settled = flood(&[90, 10], 10, 100 * 1000, 300);
    for flow in &settled {
        assert!(flow.age < 2000, "{settled:?}");
    }
}

#[test]
fn a_flood_of_another_time_is_forgotten() {
    let mut lanes = Named::new();
    let mut at = 0;
    let mut push = |lanes: &mut Named, key: &[u8]| {
        at += 100;
        lanes.add(at, 100, Some(key));
    };
    // Only one wants anything, and gets it, for a long time.
    for _ in 0..10_000 {
        push(&mut lanes, b"a");
        lanes.pop();
    }
    // Then both want more than there is.
    for _ in 0..1000 {
        push(&mut lanes, b"a");
        push(&mut lanes, b"b");
        while lanes.bytes() > 100 * 100 {
            lanes.shed_one(End::Oldest);
        }
    }
    let of_a = std::iter::from_fn(|| lanes.pop()).filter(|it| it.lane == Lane(1));
    assert_eq!(of_a.count(), 50);
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
        lanes.push(record(10 * at, loud));
        if lanes.records() > 100 {
            assert_eq!(lanes.shed_one(End::Oldest).map(|at| at / 10), Some(at - 99));
        }
    }
    assert!(lanes.memory() < 300_000, "{}", lanes.memory());
    let all: Vec<_> = std::iter::from_fn(|| lanes.pop())
        .map(|record| record.at / 10)
        .collect();
    assert_eq!(all[..2], [0, 999_901]);
    assert_eq!(all.len(), 100);
}

#[test]
fn each_of_4096_keys_has_a_lane_and_a_million_cost_little() {
    let mut lanes = Named::new();
    let mut push = |key: u32| lanes.add(10 * u64::from(key), 10, Some(&key.to_be_bytes()));
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
    let mut at = 0;
    for (key, records) in [(Some("a"), 3), (None, 5), (Some("b"), 4)] {
        for _ in 0..records {
            lanes.add(at, 10, key.map(str::as_bytes));
            at += 10;
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

proptest! {
    #[test]
    fn a_record_that_has_not_ended_goes_before_those_of_lanes_that_hold_less(
        lanes_of in prop::collection::vec((0..6u8, 1..50u64, prop::bool::weighted(0.3)), 0..60),
        delivered in 0..30usize,
        length in 1..400u64,
        kept: bool,
        need in 1..600u64,
    ) {
        let mut lanes = Named::new();
        let mut at = 0;
        for (key, length, kept) in lanes_of {
            let lane = lanes.lane(Some(&[key]));
            lanes.push(Record { at, length, lane, kept });
            at += length;
        }
        // What lanes got before does not make it the shorter one.
        for _ in 0..delivered {
            lanes.pop();
        }
        let before: Vec<_> = lanes.all().collect();
        let mut begun = Some(Begun { length, kept });
        let mut gone = Gone::default();
        let bytes = lanes.lanes.shed(End::Oldest, need.div_ceil(2), need, &mut begun, &mut gone);
        let went = begun.is_none();
        let left: Vec<_> = lanes.all().collect();
        let lost: u64 = gone.lost.iter().map(|it| it.1).sum();
        prop_assert_eq!(bytes, lost + if went { length } else { 0 });
        prop_assert!(bytes >= need.div_ceil(2) || left.is_empty() && went);
        let held = |lane: Lane, all: &[Record]| -> u64 {
            let own = all.iter().filter(|it| it.lane == lane && it.kept == kept);
            own.map(|it| it.length).sum()
        };
        let longest = before.iter().map(|it| held(it.lane, &before)).max().unwrap_or(0);
        let frees = before.iter().filter(|it| !it.kept).count();
        if kept && frees > 0 {
            let some_left = left.iter().any(|it| !it.kept);
            prop_assert!(!went || !some_left, "it is kept, and others were left");
        } else if length > longest {
            prop_assert!(went);
            prop_assert!(length < need.div_ceil(2) || lost == 0, "others went beside it");
        }
        if !kept && !went {
            let mut kept = before.iter().filter(|it| it.kept);
            prop_assert!(kept.all(|it| left.contains(it)), "a kept one went before it");
        }
        lanes.check();
    }
}

#[test]
fn neighbours_that_are_too_long_for_an_entry_or_for_four_bytes_keep_their_length() {
    let mut lanes = Lanes::new();
    let groups: [(u64, &[u32]); 4] = [
        (70_130, &[10, 70_000, 100, 20]),
        (5 << 30, &[u32::MAX]),
        (u64::from(u32::MAX), &[u32::MAX]),
        (3, &[1, 2]),
    ];
    let mut at = 0;
    for (length, lengths) in groups {
        let first = if lengths.len() == 1 {
            length
        } else {
            u64::from(lengths[0])
        };
        let noted = lengths
            .iter()
            .map(|n| Noted::new(u64::from(*n), Lane(0), false));
        lanes.push_all(at, first, &noted.collect::<Vec<_>>());
        lanes.check();
        at += length;
    }
    let mut popped = Vec::new();
    while let Some(record) = lanes.pop() {
        lanes.check();
        popped.push(record.length);
    }
    let most = u64::from(u32::MAX);
    assert_eq!(popped, [10, 70_000, 100, 20, 5 << 30, most, 1, 2]);
}
