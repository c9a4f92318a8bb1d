//! How many programs run follows need, and who is left for what another one leaves; in the simulator, whose time is made
//! up.

use std::num::NonZeroU64;
use std::time::Duration;

use super::sim::{
    Adversity, Outcome, Scenario, Script, Try, WorkerScript, plain, rules, run_through,
};
use crate::engine::Rules;
use crate::engine::batch::BatchRules;
use crate::engine::directive::Directive;
use crate::engine::record::Framing;
use crate::engine::restart::{RestartRules, When};
use crate::engine::scaler::Scaling;
use crate::engine::workers::WorkerRules;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const RECORD: usize = 10;
/// How long a program needs for one.
const NEEDS: Duration = Duration::from_millis(10);

fn one_to_four() -> Scaling {
    Scaling::between(1, 4)
}

/// For so long, so many tenths of what one program can do.
type Phase = (Duration, u32);

fn scenario(phases: &[Phase], rules: Rules) -> Scenario {
    let (mut offers, mut from) = (Vec::new(), Duration::ZERO);
    for (time, tenths) in phases {
        let n = time.as_micros() as u32 * tenths / 10 / NEEDS.as_micros() as u32;
        offers.extend((0..n).map(|k| (from + *time * k / n, RECORD)));
        from += *time;
    }
    let input = b"123456789\n".repeat(offers.len());
    Scenario {
        offers,
        ..plain(rules, input)
    }
}

fn workers(phases: &[Phase]) -> Outcome {
    workers_that(phases, None, None)
}

/// All of them fall at this time, and are run again.
fn workers_that(
    phases: &[Phase],
    dies: Option<Duration>,
    restart: Option<RestartRules>,
) -> Outcome {
    let rules = Rules {
        framing: Some(Framing::Terminator(b'\n')),
        workers: Some(WorkerRules {
            count: one_to_four(),
            restart,
            chance: 1,
        }),
        ..rules(100_000)
    };
    let adversity = Adversity {
        workers: WorkerScript {
            lasts: NEEDS,
            steady: Some(RECORD),
            dies,
            ..WorkerScript::default()
        },
        ..Adversity::default()
    };
    let outcome = run_through(scenario(phases, rules), adversity);
    assert!(outcome.finished);
    outcome
}

/// How many ran when this one began, it among them.
fn beside(outcome: &Outcome, it: &Try) -> usize {
    let at = it.began;
    let runs = |other: &&Try| other.began <= at && other.ended.is_none_or(|ended| at < ended);
    outcome.tries.iter().filter(runs).count()
}

/// How many ran at most, and how many ran at each end of one.
fn batches(phases: &[Phase]) -> (usize, Outcome) {
    batches_told(phases, Vec::new())
}

/// The same, with changes.
fn batches_told(phases: &[Phase], commands: Vec<(Duration, Directive)>) -> (usize, Outcome) {
    let rules = Rules {
        framing: Some(Framing::Terminator(b'\n')),
        batch: Some(BatchRules {
            records: NonZeroU64::new(1),
            bytes: None,
            age: None,
            jobs: one_to_four(),
            backoff: (MS, MS),
            give_up: None,
            chance: 1,
        }),
        ..rules(100_000)
    };
    let adversity = Adversity {
        programs: Script {
            // Half of that in the mean.
            lasts: NEEDS * 2,
            ..Script::default()
        },
        ..Adversity::default()
    };
    let scenario = Scenario {
        commands,
        ..scenario(phases, rules)
    };
    let outcome = run_through(scenario, adversity);
    assert!(outcome.finished);
    let most = outcome.tries.iter().map(|it| beside(&outcome, it)).max();
    (most.unwrap_or(0), outcome)
}

#[test]
fn workers_come_when_work_waits_and_go_when_there_is_little() {
    let outcome = workers(&[(SECOND * 20, 5), (SECOND * 5, 80), (SECOND * 80, 2)]);
    assert_eq!(outcome.starts.len(), 4, "{:?}", outcome.starts);
    let early = outcome.starts.iter().filter(|at| **at < SECOND * 20);
    assert_eq!(early.count(), 1, "half of what one can do needs one");
    let late = SECOND * 100;
    let sent = outcome.closed.iter().filter(|at| **at < late).count();
    assert_eq!(sent, 3, "{:?}", outcome.closed);
    assert!(outcome.closed.iter().all(|at| *at > SECOND * 25));
}

#[test]
fn at_a_steady_load_workers_neither_come_nor_go() {
    for tenths in [3, 8, 15, 25, 37] {
        let outcome = workers(&[(SECOND * 60, tenths)]);
        let needed = (tenths as usize).div_ceil(10);
        let starts = outcome.starts.len();
        // One at most was sent away before it was known that it is missed.
        let most = needed + usize::from(needed > 1);
        assert!(
            (needed..=most).contains(&starts),
            "{tenths} tenths: {:?} {:?}",
            outcome.starts,
            outcome.closed
        );
    }
}

#[test]
fn none_is_sent_away_while_it_is_tried_whether_they_fail() {
    let dies = Some(SECOND * 8);
    let again = RestartRules {
        when: When::OnFailure,
        backoff: (MS * 100, SECOND),
        give_up: None,
    };
    let late = SECOND * 25;
    let phases = [(SECOND * 5, 15), (SECOND * 20, 0), (SECOND, 5)];
    let outcome = workers_that(&phases, dies, Some(again));
    let starts = outcome.starts.iter().filter(|at| **at < late);
    assert_eq!(
        starts.count(),
        3,
        "one alone is tried: {:?}",
        outcome.starts
    );
    assert!(
        outcome.closed.iter().all(|at| *at > late),
        "{:?}",
        outcome.closed
    );
}

#[test]
fn batches_run_side_by_side_only_where_work_waits() {
    let (most, _) = batches(&[(SECOND * 20, 3)]);
    assert_eq!(most, 1, "one has time for all");
    let (most, outcome) = batches(&[(SECOND * 5, 60), (SECOND * 50, 3)]);
    assert_eq!(most, 4);
    let late = outcome.tries.iter().filter(|it| it.began > SECOND * 50);
    let late: Vec<_> = late.collect();
    let alone = late
        .windows(2)
        .all(|two| two[0].ended <= Some(two[1].began));
    assert!(!late.is_empty() && alone, "one is left");
}

/// The number is another one from then on.
fn told(at: Duration, count: Scaling) -> (Duration, Directive) {
    (at, Directive::Jobs(count))
}

#[test]
fn the_number_of_workers_can_be_changed_and_who_is_too_many_ends_when_it_has_read_what_it_holds() {
    let rules = Rules {
        framing: Some(Framing::Terminator(b'\n')),
        workers: Some(WorkerRules {
            count: Scaling::between(4, 4),
            restart: None,
            chance: 1,
        }),
        ..rules(100_000)
    };
    let mut scenario = scenario(&[(SECOND * 20, 80)], rules);
    scenario.commands = vec![
        told(SECOND * 5, Scaling::between(1, 1)),
        told(SECOND * 10, Scaling::between(3, 3)),
        // There are places for four.
        told(SECOND * 15, Scaling::between(4, 9)),
    ];
    let length = scenario.input.0.len();
    let adversity = Adversity {
        workers: WorkerScript {
            lasts: NEEDS,
            steady: Some(RECORD),
            ..WorkerScript::default()
        },
        ..Adversity::default()
    };
    let outcome = run_through(scenario, adversity);
    assert!(outcome.finished);
    assert_eq!(outcome.output.len(), length);
    let within = |all: &[Duration], from: u32, to: u32| {
        let is_in = |at: &&Duration| SECOND * from <= **at && **at < SECOND * to;
        all.iter().filter(is_in).count()
    };
    let (starts, closed) = (&outcome.starts, &outcome.closed);
    assert_eq!(within(starts, 0, 5), 4, "{starts:?}");
    assert_eq!(within(closed, 5, 6), 3, "{closed:?}");
    assert_eq!(within(starts, 5, 10), 0, "{starts:?}");
    assert_eq!(within(starts, 10, 11), 2, "{starts:?}");
    assert_eq!(within(starts, 15, 16), 1, "{starts:?}");
    assert_eq!(within(closed, 6, 20), 0, "{closed:?}");
}

#[test]
fn the_number_of_batches_at_a_time_can_be_changed() {
    let phases = [(SECOND * 30, 60)];
    let changes = vec![
        told(SECOND * 10, Scaling::between(2, 2)),
        told(SECOND * 20, Scaling::between(1, 3)),
    ];
    let (_, outcome) = batches_told(&phases, changes);
    let most = |from: u32, to: u32| {
        let tries = outcome.tries.iter();
        let within = tries.filter(|it| SECOND * from <= it.began && it.began < SECOND * to);
        within.map(|it| beside(&outcome, it)).max()
    };
    assert_eq!(most(5, 10), Some(4));
    assert_eq!(most(11, 20), Some(2));
    assert_eq!(most(25, 30), Some(3));
}

#[test]
fn the_last_one_lingers_for_what_another_may_leave() {
    let rules = Rules {
        framing: Some(Framing::Terminator(b'\n')),
        workers: Some(WorkerRules {
            count: Scaling::between(2, 2),
            restart: None,
            chance: 1,
        }),
        ..rules(100_000)
    };
    let adversity = Adversity {
        workers: WorkerScript {
            // The second one reads nothing for a while, and ends then.
            hangs: Some((1, Duration::ZERO, SECOND / 2)),
            leaves: Some(1),
            lasts: NEEDS,
            until: SECOND * 2,
            ..WorkerScript::default()
        },
        ..Adversity::default()
    };
    let mut had_some = 0;
    for seed in 1..=20 {
        let mut scenario = plain(rules, b"123456789\n".repeat(40));
        scenario.seed = seed;
        let outcome = run_through(scenario, adversity);
        assert!(outcome.finished, "{seed}: something is left to nobody");
        assert_eq!(outcome.output.len(), 400, "{seed}");
        had_some += usize::from(outcome.someone_left);
    }
    assert!(had_some > 0, "the second one was never given anything");
}

#[test]
fn one_who_was_sent_away_comes_back_when_the_others_leave() {
    let rules = Rules {
        framing: Some(Framing::Terminator(b'\n')),
        workers: Some(WorkerRules {
            count: Scaling {
                rise: MS,
                quiet: MS * 3,
                ..Scaling::between(1, 2)
            },
            restart: None,
            chance: 1,
        }),
        ..rules(100_000)
    };
    // The second one leaves sooner or later; the first one never does, but may have been sent away before.
    let adversity = Adversity {
        workers: WorkerScript {
            leaves: Some(80),
            lasts: MS / 2,
            until: SECOND,
            ..WorkerScript::default()
        },
        ..Adversity::default()
    };
    let phases = [(SECOND / 50, 900), (SECOND / 2, 200)];
    let mut left = 0;
    for seed in 1..=200 {
        let mut scenario = scenario(&phases, rules);
        scenario.seed = seed;
        let outcome = run_through(scenario, adversity);
        assert!(outcome.finished, "{seed}: something is left to nobody");
        left += usize::from(outcome.someone_left);
    }
    assert!(left > 0, "nobody ever left");
}
