//! The lanes by themselves: what leaves them is what they say, and what they are called and take of memory.

mod fairness;
mod model;

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
