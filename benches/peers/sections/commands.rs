//! What does it cost that weir runs the consumer itself: one, one for each batch, four side by side?

use std::path::Path;

use crate::lab::{GIB, Lab};
use crate::pipeline::{Outcome, Pipeline};
use crate::spec::{Contender, Middle, Skip, Spec};
use crate::stats::figure;
use crate::table::{Side, Table, pass};

const ONE: &str = "weir -- sink";
const PIPE: &str = "weir | sink";
const BATCH: &str = "weir -l --batch 1 -- true";
const XARGS: &str = "xargs -n1 true";
const FOUR: &str = "weir -l -j 4 -- wc -l";
const ALONE: &str = "wc -l";
const PARALLEL: &str = "parallel --pipe --round-robin -j4 wc -l";
const DEAL: &str = "a bare loop that deals blocks out";
/// Bytes of a line.
const LINE: u64 = 100;

pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    vec![
        one(lab),
        batches(lab),
        four(lab),
        super::workers::uneven(lab),
        super::workers::again(lab),
    ]
}

/// A program that weir runs, beside the same behind a pipe.
fn one(lab: &Lab) -> Table {
    let bytes = lab.either(8 * GIB, GIB / 2);
    let size = bytes as f64 / GIB as f64;
    let mut own = lab.weir("");
    if let Middle::Via(spec) = &mut own.middle {
        let sink = lab.helper("__sink");
        spec.args.push("--".to_owned());
        spec.args.push(name(&sink.program));
        spec.args.extend(sink.args);
    }
    ONE.clone_into(&mut own.label);
    let mut pipe = lab.weir("");
    PIPE.clone_into(&mut pipe.label);
    let contenders = [own, pipe];
    let runs = lab.options.runs();
    let mut table = Table::measure("A command", &["GiB/s"], &contenders, runs, |c| {
        if c.label == PIPE {
            let (wall, _) = pass(lab, c, bytes, "")?;
            return Ok(vec![size / wall]);
        }
        let outcome = last(lab, c, lab.helper(&format!("__gen bytes={bytes}")), bytes)?;
        if outcome.output.trim() != bytes.to_string() {
            let arrived = outcome.output.trim();
            return Err(Skip::Failed(format!("{arrived} bytes of {bytes} arrived")));
        }
        Ok(vec![size / outcome.wall.as_secs_f64()])
    })
    .how(format!("{size} GiB in 128 KiB writes."));
    let speed = table.ratio(ONE, PIPE, 0);
    table.at_least("speed over the pipe", speed, 0.98);
    table
}

/// One program for each record.
fn batches(lab: &Lab) -> Table {
    let count = lab.either(10_000_u64, 500);
    let columns = ["records/s"];
    let contenders = [lab.weir("-l --batch 1 -- true"), lab.peer(XARGS)];
    let runs = lab.options.runs();
    let mut table = Table::measure("Batches of one record", &columns, &contenders, runs, |c| {
        let lines = lab.helper(&format!("__lines count={count} len={LINE}"));
        let outcome = last(lab, c, lines, GIB)?;
        Ok(vec![count as f64 / outcome.wall.as_secs_f64()])
    })
    .how(format!("{count} lines, `true` for each."));
    let best = table.ratio_to_best(BATCH, &[XARGS], 0, Side::AtLeast);
    table.at_least("speed over `xargs`", best, 0.9);
    table
}

/// Four programs side by side.
fn four(lab: &Lab) -> Table {
    let count = lab.either(4 * GIB, GIB / 4) / LINE;
    let bytes = count * LINE;
    let size = bytes as f64 / GIB as f64;
    let contenders = [
        lab.weir("-l -j 4 -- wc -l"),
        lab.peer(PARALLEL),
        lab.peer(ALONE),
        lab.own(DEAL, "__deal jobs=4"),
    ];
    let runs = lab.options.runs();
    let mut table = Table::measure("Four at a time", &["GiB/s"], &contenders, runs, |c| {
        let lines = lab.helper(&format!("__gen bytes={bytes} line={LINE}"));
        let outcome = last(lab, c, lines, 8 * bytes)?;
        let counts = outcome.output.split_whitespace();
        let sum: u64 = counts.filter_map(|it| it.parse::<u64>().ok()).sum();
        if sum != count {
            return Err(Skip::Failed(format!("{sum} lines of {count} arrived")));
        }
        Ok(vec![size / outcome.wall.as_secs_f64()])
    })
    .how(format!(
        "{size:.1} GiB of lines of {LINE} bytes, `wc -l`; the limit is a program that does nothing but deal them out."
    ));
    let best = table.ratio_to_best(FOUR, &[PARALLEL], 0, Side::AtLeast);
    table.at_least("speed over `parallel`", best, 5.0);
    let over = |label| figure(table.ratio(label, PARALLEL, 0));
    let note = format!(
        "over `parallel`: the bare loop {}, `wc -l` alone {}; weir over the bare loop: {}",
        over(DEAL),
        over(ALONE),
        figure(table.ratio(FOUR, DEAL, 0))
    );
    table.notes.push(note);
    table
}

/// Runs the contender behind this producer, with nothing behind it; it must end well.
fn last(lab: &Lab, c: &Contender, producer: Spec, bytes: u64) -> Result<Outcome, Skip> {
    let spec = c.spec()?.clone();
    let outcome = Pipeline::start(&[producer, spec], lab.limit(bytes))?.finish()?;
    outcome.check(1, c.is_weir, false)?;
    Ok(outcome)
}

fn name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
