//! Faults of the first state machine, which the one driver met when anything could come between any
//! two of its calls: at the seeds named here, and at many others. Each scenario is wholly made from its seed.

use std::time::Duration;

use super::sim::{Adversity, Outcome, Scenario, plain, rules, run_through};
use crate::engine::Rules;
use crate::engine::directive::Directive;
use crate::engine::gate::Marks;
use crate::engine::policy::{Policy, Which};
use crate::engine::stall::Timeouts;

const KIB: usize = 1024;

fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

fn policy(which: Which, patience: u64) -> Option<Policy> {
    let patience = Duration::from_millis(patience);
    Some(Policy { which, patience })
}

fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |most| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % most
    }
}

/// Shedding is switched on while both sides wait for a consumer that never moves.
fn switched_on(seed: u64) -> bool {
    let mut dice = dice(seed);
    let mut s = plain(rules(16 * KIB), vec![b'x'; 100_000]);
    s.seed = seed;
    s.takes = vec![(us(0), 1 + dice(3000) as usize)];
    s.commands = vec![(us(dice(200)), Directive::Shed(policy(Which::Oldest, 0)))];
    let outcome = run_through(s, Adversity::default());
    outcome.taken < 100_000
}

/// The last record grows too old just before its consumer is waited for.
fn last_one_shed(seed: u64) -> bool {
    let mut dice = dice(seed);
    let age = Duration::from_millis(1);
    let rules = Rules {
        max_age: Some(age),
        ..rules(16 * KIB)
    };
    let mut s = plain(rules, vec![b'x'; 100 + dice(5000) as usize]);
    s.seed = seed;
    s.takes = Vec::new();
    s.stops = vec![(us(dice(100)), age * 2)];
    !run_through(s, Adversity::default()).finished
}

/// There is no memory to read into what is to be shed.
fn without_memory(seed: u64) -> Outcome {
    let mut dice = dice(seed);
    let rules = Rules {
        shed: policy(Which::Newest, 0),
        ..rules(4096 * KIB)
    };
    let mut s = plain(rules, vec![b'x'; 6_000_000]);
    s.seed = seed;
    s.pipe = 64 * KIB;
    s.takes = Vec::new();
    let short = us(200 + dice(800));
    run_through(
        s,
        Adversity {
            short: Some((short, Duration::from_secs(999))),
            ..Adversity::default()
        },
    )
}

/// A consumer that takes 4096 bytes at a time, and then nothing more.
fn all_claimed(seed: u64) -> bool {
    let mut dice = dice(seed);
    let marks = Marks {
        high: 64 * KIB,
        low: 32 * KIB,
        prefill: 0,
    };
    let rules = Rules {
        marks,
        shed: policy(Which::Oldest, 100),
        ..rules(64 * KIB)
    };
    let mut s = plain(rules, vec![b'x'; 1_000_000]);
    s.seed = seed;
    s.pipe = 4 * KIB;
    s.takes = (0..dice(80)).map(|n| (us(20 * n), 4096)).collect();
    run_through(s, Adversity::default()).taken < 1_000_000
}

/// The process is stopped between a look at the clock and the telling of it.
fn accused(seed: u64) -> bool {
    let mut dice = dice(seed);
    let timeouts = Timeouts {
        source: Some(Duration::from_secs(2)),
        sink: Some(Duration::from_secs(2)),
    };
    let mut s: Scenario = plain(
        Rules {
            timeouts,
            ..rules(64 * KIB)
        },
        vec![b'x'; 50_000],
    );
    s.seed = seed;
    s.offers = (0..20).map(|n| (us(100 * n), 2500)).collect();
    s.stops = vec![(us(dice(2000)), Duration::from_secs(10))];
    let adversity = Adversity {
        stale_clock: true,
        watched: true,
        ..Adversity::default()
    };
    run_through(s, adversity).accused
}

/// Neither at the seeds at which it was met, nor at any of so many others.
fn is_gone(fault: impl Fn(u64) -> bool, seeds: [u64; 5], others: u64) {
    for seed in seeds.into_iter().chain(1..others) {
        assert!(!fault(seed), "met at {seed}");
    }
}

#[test]
fn no_wake_up_is_lost_when_shedding_is_switched_on() {
    is_gone(switched_on, [16, 23, 38, 39, 47], 200);
}

#[test]
fn no_wake_up_is_lost_when_the_last_record_is_shed() {
    is_gone(last_one_shed, [2, 7, 41, 74, 145], 200);
}

#[test]
fn a_lack_of_memory_neither_spins_nor_blocks_the_producer() {
    let fault = |seed| {
        let outcome = without_memory(seed);
        outcome.span || outcome.taken < 6_000_000
    };
    // Each moves megabytes.
    is_gone(fault, [1, 7, 9, 10, 11], 20);
}

#[test]
fn a_claim_of_all_does_not_block_the_producer() {
    is_gone(all_claimed, [31, 44, 46, 167, 201], 200);
}

#[test]
fn nobody_is_accused_of_the_time_that_weir_was_stopped() {
    is_gone(accused, [57, 65, 139, 149, 184], 200);
}
