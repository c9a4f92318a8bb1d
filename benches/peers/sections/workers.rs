//! Does a slow one of four workers cost more than what it is slow by; and how late is a program run again?

use std::time::Duration;

use crate::lab::{Lab, MIB};
use crate::pipeline::Pipeline;
use crate::spec::{Contender, Middle, Skip};
use crate::stats::percentile;
use crate::table::{Figures, Table};

const FOUR: &str = "weir -l -j 4 -- three and a slow one";
const ALONE: &str = "one of the three alone";
const AGAIN: &str = "weir --restart on-failure --backoff 50ms";
/// What one can take, in bytes per second; the slow one a tenth of that.
const RATE: u64 = 20 * MIB;
/// What all of them can, in times of that.
const ALL: f64 = 3.1;
const LINE: u64 = 100;
const BACKOFF: Duration = Duration::from_millis(50);

/// Four workers, one of which is ten times slower.
pub(super) fn uneven(lab: &Lab) -> Table {
    let bytes = lab.either(300 * MIB, 90 * MIB) / LINE * LINE;
    let mut weir = lab.weir("-q");
    weir.label = FOUR.to_owned();
    let contenders = [weir, Contender::other(ALONE, Middle::Bare)];
    let runs = lab.options.runs();
    let title = "Workers, one of four ten times slower";
    let mut table = Table::measure(title, &["MiB/s"], &contenders, runs, |c| {
        let (size, seconds) = match c.label == FOUR {
            true => (bytes, work(lab, c, bytes)?),
            false => (bytes / 3, alone(lab, bytes / 3)?),
        };
        Ok(vec![size as f64 / MIB as f64 / seconds])
    })
    .how(format!(
        "Lines of {LINE} bytes to four programs that take 20 MiB/s each, one of them 2 MiB/s; together that is {ALL} \
         times what one of the fast ones takes alone."
    ));
    let over = table.ratio(FOUR, ALONE, 0) / ALL;
    table.at_least("speed over the sum of what they can", over, 0.95);
    table
}

fn mill(rate: u64) -> String {
    format!("__mill rate={rate}")
}

/// Seconds that one takes, without a weir.
fn alone(lab: &Lab, bytes: u64) -> Result<f64, Skip> {
    let producer = lab.helper(&format!("__gen bytes={bytes}"));
    let specs = [producer, lab.helper(&mill(RATE))];
    let outcome = Pipeline::start(&specs, lab.limit(8 * bytes))?.finish()?;
    match outcome.output.trim() == bytes.to_string() {
        true => Ok(outcome.wall.as_secs_f64()),
        false => Err(Skip::Failed(format!("{} arrived", outcome.output.trim()))),
    }
}

/// Seconds until all has been taken.
fn work(lab: &Lab, c: &Contender, bytes: u64) -> Result<f64, Skip> {
    // Whoever makes this directory is the slow one.
    let folder = tempfile::tempdir()?;
    let chosen = folder.path().join("slow");
    let run = |rate| {
        let it = lab.helper(&mill(rate));
        format!("exec '{}' {}", it.program.display(), it.args.join(" "))
    };
    let (slow, fast) = (run(RATE / 10), run(RATE));
    let script = format!(
        "if mkdir '{}' 2>/dev/null; then {slow}; else {fast}; fi",
        chosen.display()
    );
    let mut weir = c.spec()?.clone();
    let words = ["-l", "-j", "4", "--", "sh", "-c", &script];
    weir.args.extend(words.map(str::to_owned));
    let producer = lab.helper(&format!("__gen bytes={bytes} line={LINE}"));
    let outcome = Pipeline::start(&[producer, weir], lab.limit(8 * bytes))?.finish()?;
    outcome.check(1, c.is_weir, false)?;
    let counts: Vec<u64> = outcome
        .output
        .lines()
        .filter_map(|it| it.parse().ok())
        .collect();
    let sum: u64 = counts.iter().sum();
    match sum == bytes && counts.len() == 4 && chosen.is_dir() {
        true => Ok(outcome.wall.as_secs_f64()),
        false => Err(Skip::Failed(format!("{counts:?} arrived, of {bytes}"))),
    }
}

/// A program that fails each time.
pub(super) fn again(lab: &Lab) -> Table {
    let tries = lab.either(41, 11);
    let mut weir = lab.weir("-q --restart on-failure --backoff 50ms..50ms --");
    weir.label = AGAIN.to_owned();
    let columns = ["late by, ms, p50", "at most"];
    let runs = lab.options.runs();
    let mut table = Table::measure("Restart", &columns, &[weir], runs, |c| {
        failing(lab, c, tries)
    })
    .how(format!(
        "A program that fails as soon as it runs, {} times: from its last line to the first one of the next, less the \
         back-off; so its end and its start are in it. Shortest and longest back-off are the same, and leave nothing \
         to chance.",
        tries - 1
    ));
    table.at_most("ms late", table.median(AGAIN, 1), 5.0);
    table
}

fn failing(lab: &Lab, c: &Contender, tries: usize) -> Result<Figures, Skip> {
    let mut weir = c.spec()?.clone();
    let program = lab.helper(&format!("__again tries={tries}"));
    weir.args.push(program.program.display().to_string());
    weir.args.extend(program.args);
    let producer = lab.helper("__gen bytes=1000 hold=1");
    let outcome = Pipeline::start(&[producer, weir], Duration::from_secs(60))?.cut()?;
    outcome.check(1, c.is_weir, false)?;
    let times = |line: &str| {
        let (began, ended) = line.split_once(' ')?;
        Some((began.parse::<u64>().ok()?, ended.parse::<u64>().ok()?))
    };
    let runs: Vec<_> = outcome.output.lines().filter_map(times).collect();
    if runs.len() != tries {
        return Err(Skip::Failed(format!("it was run {} times", runs.len())));
    }
    let late = |pair: &[(u64, u64)]| {
        let waited = pair[1].0 as f64 - pair[0].1 as f64;
        waited / 1e6 - BACKOFF.as_secs_f64() * 1000.0
    };
    let late: Vec<f64> = runs.windows(2).map(late).collect();
    if late.iter().any(|ms| *ms < 0.0) {
        return Err(Skip::Failed("it was run too early".to_owned()));
    }
    Ok(vec![percentile(&late, 50.0), percentile(&late, 100.0)])
}
