//! Whether chaos knows every option: each that the help tells of is drawn by some seed, or is named here with the reason
//! why not. And whether it kills weir, whatever that does.

use std::collections::BTreeSet;
use std::path::Path;

use crate::crowd::{Act, Crowd};
use crate::dying::Dying;
use crate::files;
use crate::harness::weir;
use crate::plan::{Action, Link, Plan};
use crate::stream::Framing;

/// What is no option of a pipeline that ends.
const OTHERS: [&str; 8] = [
    "--help",
    "--version",
    "--generate",
    "--top",
    "--all-users",
    // They are what other weirs are run with, meanwhile.
    "--remote",
    "--query",
    "--look",
];
/// It leaves nothing that could be checked.
const SILENT: [&str; 1] = ["--quiet"];
/// Seeds that are looked at.
const SEEDS: u64 = 2000;

/// The options that the help tells of.
fn known() -> BTreeSet<String> {
    let help = weir(&["--help"]).output().expect("run weir --help");
    let help = String::from_utf8(help.stdout).expect("text");
    let lines = help.lines().map(str::trim_start);
    let options = lines.filter_map(|line| {
        let long = line.strip_prefix("--").or_else(|| {
            let rest = line.strip_prefix('-')?;
            Some(rest.split_once(", --")?.1).filter(|_| rest.find(',') == Some(1))
        })?;
        let end = long.find(|c: char| !c.is_ascii_lowercase() && c != '-');
        Some(format!("--{}", &long[..end.unwrap_or(long.len())]))
    });
    options.collect()
}

/// What a seed draws.
fn drawn(seed: u64) -> Vec<String> {
    let dir = Path::new("/");
    let (command, told) = if seed.is_multiple_of(3) {
        let crowd = Crowd::draw(seed);
        let told = crowd.acts.iter().filter_map(|act| match act {
            Act::Remote(told) => Some(told.clone()),
            _ => None,
        });
        (crowd.command(dir, None), told.flatten().collect())
    } else {
        let plan = Plan::draw(seed);
        let told = plan.actions.iter().filter_map(|action| match action {
            Action::Remote(told) => Some(told.clone()),
            _ => None,
        });
        let told: Vec<String> = told.flatten().collect();
        (files::command(&plan, dir, None), told)
    };
    let given = command
        .get_args()
        .map(|arg| arg.to_string_lossy().into_owned());
    let given = given.take_while(|arg| arg != "--");
    given.chain(told).collect()
}

#[test]
fn each_option_is_drawn() {
    let mut missing = known();
    assert!(missing.len() > 50, "{missing:?}");
    let short = [("-j", "--jobs")];
    for option in OTHERS.iter().chain(&SILENT) {
        assert!(missing.remove(*option), "there is no {option}");
    }
    for seed in 0..SEEDS {
        for word in drawn(seed) {
            let long = short.iter().find(|(short, _)| *short == word);
            missing.remove(long.map_or(&word[..], |(_, long)| long));
        }
        if missing.is_empty() {
            return;
        }
    }
    panic!("chaos never draws {missing:?}");
}

#[test]
fn weir_is_killed_whatever_stands_beside_it() {
    let mut killed: BTreeSet<&str> = BTreeSet::new();
    for seed in 0..SEEDS {
        if seed.is_multiple_of(3) {
            let crowd = Crowd::draw(seed);
            if crowd.is_killed() {
                killed.insert(if crowd.is_batch {
                    "batches side by side"
                } else {
                    "workers"
                });
            }
            continue;
        }
        let plan = Plan::draw(seed);
        if !plan.is_killed() {
            continue;
        }
        killed.insert(match plan.before {
            Link::Socket => "from a socket",
            Link::Cat => "from a cat",
            _ if plan.is_of_files() => "from files",
            _ => "from a pipe",
        });
        killed.extend(plan.tees.then_some("with a tee"));
        let has_records = plan.framing != Framing::None;
        killed.extend(
            (plan.falls() && has_records).then_some("whose program falls inside of a record"),
        );
        killed.extend(plan.stop.map(|_| "where the input was to end"));
        killed.extend(plan.dying.map(|_| "with a tee that fails"));
        killed.extend((!plan.kills.is_empty()).then_some("more than once"));
        killed.extend(match plan.behind {
            Link::Command => Some("with a program"),
            Link::Batches => Some("with batches"),
            Link::Deaf(..) => Some("with a program that hears no more"),
            _ => None,
        });
    }
    assert_eq!(killed.len(), 14, "{killed:?}");
}

#[test]
fn tees_fail_in_both_ways() {
    let plans = (0..SEEDS).filter(|seed| seed % 3 > 0).map(Plan::draw);
    let plans: Vec<Plan> = plans.filter(|plan| plan.dying.is_some()).collect();
    assert!(plans.iter().any(|plan| plan.sheds) && plans.iter().any(Plan::falls));
    let dying: Vec<Dying> = plans.iter().filter_map(|plan| plan.dying).collect();
    let leave = |it: &&Dying| matches!(it, Dying::Leaves(_));
    let leaves = dying.iter().filter(leave).count();
    assert!(
        0 < leaves && leaves < dying.len(),
        "{leaves} of {}",
        dying.len()
    );
}

#[test]
fn batches_are_given_up_and_kept_without_being_rejected() {
    let crowds = (0..SEEDS).step_by(3).map(Crowd::draw);
    let gives_up = |crowd: &Crowd| {
        let command = crowd.command(Path::new("/"), None);
        let has = |option: &str| command.get_args().any(|arg| arg == option);
        has("--give-up") && has("--shed-to") && !has("--reject")
    };
    assert!(crowds.filter(gives_up).count() > 5);
}

#[test]
fn those_who_share_are_stopped_and_killed() {
    let plans = (0..SEEDS).filter(|seed| seed % 3 > 0).map(Plan::draw);
    let beside = plans.filter(|plan| plan.mate.is_some());
    let mut seen: BTreeSet<(bool, &str)> = BTreeSet::new();
    for plan in beside {
        seen.extend(plan.actions.iter().filter_map(|action| match action {
            Action::Mate(name) => Some((plan.store, *name)),
            Action::Kill => Some((plan.store, "weir itself")),
            _ => None,
        }));
    }
    assert_eq!(seen.len(), 8, "{seen:?}");
}
