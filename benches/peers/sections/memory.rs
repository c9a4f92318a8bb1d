//! How much memory is touched while the consumer keeps up?

use std::thread::sleep;
use std::time::Duration;

use crate::lab::{GIB, Lab, MIB};
use crate::pipeline::{Pipeline, high_water, own_memory};
use crate::spec::{Contender, Skip};
use crate::table::{Figures, Table};

const WEIR: &str = "weir --buffer 1GiB";

/// Peak resident memory after a little, and after a lot.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    let lot = lab.either(4 * GIB, GIB / 2);
    let contenders = [
        lab.weir("--buffer 1GiB"),
        lab.weir("--buffer 1GiB --no-splice"),
        lab.peer("mbuffer -q -m 1G"),
        lab.peer("pv -q"),
        lab.peer("cat"),
    ];
    let columns = [
        "after 1 MiB, MB",
        "of it its own",
        "after the lot, MB",
        "of it its own",
    ];
    let mut table = Table::measure("Memory", &columns, &contenders, lab.options.runs(), |c| {
        Ok([peak(lab, c, MIB, false)?, peak(lab, c, lot, true)?].concat())
    })
    .how(format!(
        "Peak resident memory (VmHWM, 10^6 bytes) while the pipeline is idle after 1 MiB, and after {} GiB at \
         full speed with a consumer that keeps up; and what of it is not the program's pages (RssAnon).",
        lot as f64 / GIB as f64
    ));
    for (when, column) in [("idle", 0), ("after the lot", 2)] {
        table.at_most(
            format!("{WEIR}: {when}, MB"),
            table.median(WEIR, column),
            5.0,
        );
    }
    vec![table]
}

fn peak(lab: &Lab, contender: &Contender, bytes: u64, arrive: bool) -> Result<Figures, Skip> {
    let producer = lab.helper(&format!("__gen bytes={bytes} hold=1"));
    let consumer = lab.helper(&format!("__sink mark={bytes}"));
    let specs = contender.between(producer, consumer)?;
    let mut pipeline = Pipeline::start(&specs, lab.limit(bytes))?;
    if arrive && pipeline.line()? != "mark\n" {
        return Err(early_end(pipeline, contender));
    }
    // A tool that fills blocks holds a little back for ever: it is given a moment, not waited for.
    sleep(Duration::from_millis(500));
    let pid = pipeline.pid(1);
    match high_water(pid).zip(own_memory(pid)) {
        Some((all, own)) => Ok(vec![all, own]),
        None => Err(early_end(pipeline, contender)),
    }
}

fn early_end(pipeline: Pipeline, contender: &Contender) -> Skip {
    let judged = pipeline
        .cut()
        .and_then(|outcome| outcome.check(1, contender.is_weir, false));
    judged
        .err()
        .unwrap_or_else(|| Skip::Failed("ended early".to_owned()))
}
