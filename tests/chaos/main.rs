//! Random pipelines of the real binary: whatever is done to them, the books balance, nothing is
//! torn or displaced, the exit status is the one that the contract says, and nothing hangs.
//!
//! `CHAOS_SECONDS=600 cargo test --test chaos -- --nocapture` goes on for ten minutes.
//! `CHAOS_SEED=…` runs the pipeline of that seed, as a failure prints it; with `CHAOS_SECONDS`
//! again and again. `CHAOS_WITH="--restart always"` passes over the seeds whose pipelines have no such words in the line that a
//! failure prints. A seed says all that is chosen; how fast things happen is the machine's.

mod books;
mod crowd;
mod crowd_books;
mod crowd_run;
mod dice;
mod drawn;
mod dying;
mod falling;
mod files;
#[path = "../harness/mod.rs"]
#[allow(dead_code, reason = "it has a part of its own")]
mod harness;
mod killed;
mod mate;
mod options;
mod plan;
mod promises;
mod reports;
mod run;
mod sides;
mod store;
mod stream;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crowd::Crowd;
use plan::Plan;

/// Pipelines in the short run.
const FEW: u64 = 60;
/// Pipelines at a time: they sleep most of theirs.
const BESIDE: usize = 4;

#[test]
fn whatever_happens_the_books_balance_and_nothing_hangs() {
    let since = SystemTime::UNIX_EPOCH.elapsed().expect("a clock");
    let one = number("CHAOS_SEED");
    let first = one.unwrap_or(since.as_micros() as u64);
    let until = number("CHAOS_SECONDS").map(|s| Instant::now() + Duration::from_secs(s));
    println!("chaos from seed {first}");
    let with = std::env::var("CHAOS_WITH").ok();
    let (next, count) = (AtomicU64::new(0), AtomicU64::new(0));
    let wanted = |n: u64| match until {
        Some(until) => Instant::now() < until,
        None => n < if one.is_some() { 1 } else { FEW },
    };
    let work = || {
        let mut failures = Vec::new();
        loop {
            let n = next.fetch_add(1, Relaxed);
            if !wanted(n) {
                return failures;
            }
            let seed = one.unwrap_or(first + n);
            if with
                .as_ref()
                .is_none_or(|words| describe(seed).contains(words))
            {
                count.fetch_add(1, Relaxed);
                failures.extend(trouble(seed));
            }
        }
    };
    let failures: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..BESIDE).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|w| w.join().expect("a worker"));
        done.flatten().collect()
    });
    println!(
        "{} pipelines, in {} of which weir was killed",
        count.load(Relaxed),
        killed::KILLED.load(Relaxed)
    );
    assert!(
        failures.is_empty(),
        "{} failures, as printed",
        failures.len()
    );
}

/// One line for a person.
fn describe(seed: u64) -> String {
    match seed.is_multiple_of(3) {
        true => Crowd::draw(seed).describe(),
        false => Plan::draw(seed).describe(),
    }
}

/// Runs the pipeline of a seed; what is wrong with it, if anything, is printed at once.
fn trouble(seed: u64) -> Option<String> {
    if seed.is_multiple_of(3) {
        return crowd_books::trouble(seed);
    }
    let plan = Plan::draw(seed);
    let failure = run::run(&plan)
        .and_then(|outcome| books::check(&plan, &outcome))
        .err()?;
    let told = format!("{failure}\n{}\n", plan.describe());
    println!("{told}");
    Some(told)
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}: not a number: {text}")),
    )
}
