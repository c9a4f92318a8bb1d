//! A backlog on the disk costs memory by who is where in it, and not by how long it is.

use std::time::Duration;

use super::sim::{Adversity, Disk, Scenario, SidePlan, plain, rules, run_through};
use super::text::lines;
use crate::engine::record::Framing;
use crate::engine::side::Role;

const LENGTH: usize = 1_000_000;
const SHARE: u64 = 16 * 1024;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What comes in lines of about so many bytes, and piece by piece, outlives the run, and is for a consumer that takes
/// nothing after a while.
fn scenario(framing: Option<Framing>, line: usize) -> Scenario {
    let mut s = plain(rules(4 << 20), lines(LENGTH, line));
    s.rules.framing = framing;
    (s.rules.memory, s.rules.outlives) = (Some(s.rules.capacity), true);
    s.offers = (0..1000).map(|n| (ms(n), LENGTH / 1000)).collect();
    s.takes = vec![(ms(0), 100_000)];
    s
}

fn side(role: Role) -> SidePlan {
    SidePlan {
        role,
        comes: None,
        stalls: None,
        dies: None,
    }
}

/// How many extents there are when all lies there.
fn extents(scenario: Scenario, adversity: Adversity) -> usize {
    let adversity = Adversity {
        halts: Some(ms(3000)),
        disk: Disk {
            bound: 64 << 20,
            ..Disk::default()
        },
        ..adversity
    };
    let outcome = run_through(scenario, adversity);
    assert_eq!(outcome.taken, LENGTH, "all lies there");
    outcome.engine.log.extents()
}

#[test]
fn a_long_backlog_is_few_extents_whoever_has_passed_it() {
    let stuck = SidePlan {
        stalls: Some((ms(200), ms(1_000_000))),
        ..side(Role::Tap(SHARE))
    };
    let (tee, tap) = (side(Role::Tee), side(Role::Tap(SHARE)));
    let lines = Some(Framing::Terminator(b'\n'));
    // A record that is longer than a share is skipped by those who have one, be it that it ends or not.
    for (framing, line) in [
        (None, 80),
        (lines, 80),
        (lines, 100_000),
        (lines, 10 * LENGTH),
    ] {
        for (recall, sides) in [
            (Some(SHARE), [None; 3]),
            (Some(SHARE), [Some(tee), None, None]),
            (None, [Some(tee), None, None]),
            (None, [Some(stuck), None, None]),
            (None, [Some(tap), None, None]),
            (Some(SHARE / 2), [Some(tee), Some(stuck), Some(tap)]),
        ] {
            let adversity = Adversity {
                recall,
                sides,
                ..Adversity::default()
            };
            let n = extents(scenario(framing, line), adversity);
            let names = sides.map(|it| it.map(|it| it.role));
            // Those of the shares, which are small where somebody has come with what was read.
            assert!(
                n <= 300,
                "{n} extents: {framing:?} {line} {recall:?} {names:?}"
            );
        }
    }
}
