//! Caps that are very low, very high, or in lines.

use std::time::Duration;

use crate::lab::{GIB, Lab, MIB};
use crate::pipeline::Pipeline;
use crate::spec::{Contender, Skip};
use crate::stats::{Arrival, arrivals, average, figure, percentile};
use crate::table::{Figures, Table, pass};

const LINE: u64 = 20;

/// 100 B/s, a million lines a second, 1 GiB/s.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    vec![low(lab), lines(lab), high(lab)]
}

fn record(
    lab: &Lab,
    contender: &Contender,
    gen_words: &str,
    ms: u64,
) -> Result<Vec<Arrival>, Skip> {
    let producer = lab.helper(&format!("__gen {gen_words}"));
    let specs = contender.between(producer, lab.helper(&format!("__meter for_ms={ms}")))?;
    let outcome = Pipeline::start(&specs, Duration::from_millis(ms + 10_000))?.cut()?;
    outcome.check(1, contender.is_weir, true)?;
    let log = arrivals(&outcome.output);
    if log.len() < 3 {
        return Err(Skip::Failed("almost nothing arrived".to_owned()));
    }
    Ok(log)
}

fn low(lab: &Lab) -> Table {
    let ms = lab.either(6000, 2000);
    let contenders = lab.timed([
        lab.weir("-r 100"),
        lab.peer("pv -q -L 100"),
        lab.peer("cstream -b 1 -t 100"),
        lab.peer("mbuffer -q -m 64M -R 100"),
    ]);
    let columns = ["gap p50 ms", "gap p99 ms", "largest piece, bytes"];
    let runs = lab.either(lab.options.runs().min(3), 1);
    let mut table = Table::measure("Low rate: 100 B/s", &columns, &contenders, runs, |c| {
        let log = record(lab, c, "", ms)?;
        let gaps: Vec<f64> = log
            .windows(2)
            .map(|pair| (pair[1].at - pair[0].at) as f64 / 1e6)
            .collect();
        let largest = log.iter().map(|arrival| arrival.bytes).max().unwrap_or(0);
        Ok(vec![
            percentile(&gaps, 50.0),
            percentile(&gaps, 99.0),
            largest as f64,
        ])
    })
    .how(format!(
        "An eager producer, {ms} ms; one byte every 10 ms would be even."
    ));
    table.at_most("gap p99, ms", table.median("weir -r 100", 1), 12.0);
    table.at_most("largest piece, bytes", table.median("weir -r 100", 2), 2.0);
    table
}

fn lines(lab: &Lab) -> Table {
    const WEIR: &str = "weir -l -r 1000000/s";
    let contenders = [lab.weir("-l -r 1000000/s"), lab.peer("pv -q -l -L 1000000")];
    let contenders = lab.timed(contenders);
    let ms = lab.either(4000, 2000);
    let columns = ["lines/s", "average error %"];
    let runs = lab.either(lab.options.runs().min(3), 1);
    let mut table = Table::measure(
        "A million lines a second",
        &columns,
        &contenders,
        runs,
        |c| {
            let log = record(lab, c, &format!("line={LINE}"), ms)?;
            let lines = average(&log, 1_000_000_000) / LINE as f64;
            Ok(vec![lines, (lines / 1e6 - 1.0) * 100.0])
        },
    )
    .how(format!(
        "Lines of {LINE} bytes from an eager producer, {ms} ms."
    ));
    table.at_most("average off by, %", table.median(WEIR, 1).abs(), 0.1);
    table
}

fn high(lab: &Lab) -> Table {
    const SPLICE: &str = "bare splice loop";
    const CAPPED: &str = "the same, sleeping each ms";
    let bytes = lab.either(4 * GIB, 256 * MIB);
    let size = bytes as f64 / GIB as f64;
    let per_ms = GIB / 1000;
    let contenders = [
        lab.weir(""),
        lab.weir("-r 1GiB/s"),
        lab.own(SPLICE, "__splice"),
        lab.own(CAPPED, &format!("__splice per_ms={per_ms}")),
        lab.peer("pv -q -L 1g"),
    ];
    let columns = ["GiB/s", "CPU s/GiB"];
    let mut table = Table::measure(
        "Capped at 1 GiB/s",
        &columns,
        &contenders,
        lab.options.runs(),
        |c| {
            let (wall, cpu): (f64, f64) = pass(lab, c, bytes, "")?;
            Ok::<Figures, Skip>(vec![size / wall, cpu / size])
        },
    )
    .how(format!("{size} GiB, `gen | X | sink`."));
    let over = table.ratio("weir -r 1GiB/s", "weir", 1);
    table.at_most("CPU over uncapped", over, 1.1);
    let over = table.ratio("weir -r 1GiB/s", CAPPED, 1);
    table.at_most("CPU over the splice loop that sleeps", over, 1.1);
    let limit = figure(table.ratio(CAPPED, SPLICE, 1));
    table.notes.push(format!(
        "the splice loop that sleeps has {limit} of the CPU of the one that does not"
    ));
    table
}
