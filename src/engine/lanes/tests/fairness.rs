//! What fairness means: what becomes of flows that want less than their share, and more, before a slow consumer.

use super::super::{End, Lane};
use super::Named;

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
