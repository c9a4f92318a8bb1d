//! The judge sees what is wrong, and kills leave something to be judged.

use crate::crowd::Crowd;
use crate::crowd_run;
use crate::plan::Plan;
use crate::stream::Framing;

use super::Rule;

/// Runs those of these seeds in which weir is killed, until something was left for those who go on.
fn leaves_something(seeds: impl Iterator<Item = u64>, run: impl Fn(u64) -> Option<usize>) {
    let left = seeds.filter_map(run).find(|left| *left > 0);
    assert!(left.is_some(), "no kill has left anything");
}

#[test]
fn those_who_go_on_have_something_to_deliver() {
    leaves_something((0..2000).filter(|seed| seed % 3 > 0), |seed| {
        let plan = Plan::draw(seed);
        let outcome = plan.is_killed().then(|| crate::run::run(&plan))?;
        let parts = outcome.expect("it ends").parts?;
        Some(parts.iter().map(|part| part.got.len()).sum())
    });
    leaves_something((0..2000).step_by(3), |seed| {
        let plan = Crowd::draw(seed);
        let outcome = plan.is_killed().then(|| crowd_run::run(&plan))?;
        let mut outcome = outcome.expect("it ends");
        let (rest, _) = outcome.got.pop()?;
        outcome.is_killed.then_some(rest.len())
    });
}

#[test]
fn what_is_missing_torn_or_comes_too_often_is_seen() {
    let rule = Rule {
        again: 4,
        unread: 0,
        lost: 0,
        framing: Framing::Lines,
        is_all: true,
    };
    let is_right = |rule: &Rule, first: usize, parts: &[&str]| {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        rule.check(b"one\ntwo\nsix\nten", first, &parts, "it")
            .is_ok()
    };
    assert!(is_right(&rule, 8, &["six\nten"]));
    assert!(is_right(&rule, 8, &["six\nten\n"]), "it is over");
    assert!(is_right(&rule, 8, &["two\nsix\nten"]), "a write again");
    assert!(is_right(&rule, 8, &["", "six\n", "six\nten"]), "each again");
    assert!(!is_right(&rule, 8, &["ten"]), "missing");
    assert!(!is_right(&rule, 8, &["six\nte"]), "missing at the end");
    assert!(!is_right(&rule, 8, &["six\ntwo\nten"]), "displaced");
    assert!(!is_right(&rule, 8, &["six\n\nten"]), "torn");
    assert!(!is_right(&rule, 8, &["one\ntwo\nsix\nten"]), "too much");
    let hole = Rule { lost: 5, ..rule };
    assert!(is_right(&hole, 3, &["two\n", "ten"]), "between two");
    assert!(is_right(&hole, 8, &["two\nten"]), "inside of one");
    assert!(is_right(&hole, 3, &["\nsi", "x\nten"]), "killed inside");
    assert!(is_right(&hole, 3, &["\ntwo\nt", "en"]), "and again");
    assert!(!is_right(&hole, 0, &["one\nten"]), "two reads");
    let some = Rule {
        is_all: false,
        ..rule
    };
    assert!(is_right(&some, 8, &["six\nt"]) && is_right(&some, 8, &["six\nt\n"]));
    assert!(!is_right(&some, 8, &["six\nx"]));
    let socket = Rule { lost: 4, ..some };
    let socket = Rule {
        is_all: true,
        ..socket
    };
    assert!(is_right(&socket, 4, &["two\nten"]), "one read is lost");
    assert!(!is_right(&socket, 4, &["ten"]), "two are");
}
