//! How much later does a small message arrive for having something in between?

use std::time::Duration;

use crate::lab::Lab;
use crate::pipeline::Pipeline;
use crate::spec::{Contender, Skip};
use crate::stats::percentile;
use crate::table::{Figures, Table};

/// Messages at the start that warm things up and do not count.
const WARM_UP: usize = 20;

/// 64 bytes every 2 ms, one way.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    let count = lab.either(1500, 250);
    let contenders = [
        lab.peer("cat"),
        lab.peer("pv -q"),
        lab.weir(""),
        lab.weir("--buffer 1GiB"),
        lab.weir("--no-splice"),
        lab.weir("-l --shed oldest"),
    ];
    let columns = ["p50 µs", "p99 µs"];
    let mut table = Table::measure("Latency", &columns, &contenders, lab.options.runs(), |c| {
        one_way(lab, c, count)
    })
    .how(format!(
        "{count} messages of 64 bytes, one every 2 ms, from before the write to after the read."
    ));
    for (weir, p50) in [
        ("weir", 1.1),
        ("weir --buffer 1GiB", 1.1),
        ("weir --no-splice", 1.1),
        ("weir -l --shed oldest", 1.3),
    ] {
        let over = |column| table.ratio(weir, "cat", column);
        let (median, tail) = (over(0), over(1));
        table.at_most(format!("{weir}: p50 over cat"), median, p50);
        table.at_most(format!("{weir}: p99 over cat"), tail, 1.3);
    }
    vec![table]
}

fn one_way(lab: &Lab, contender: &Contender, count: u64) -> Result<Figures, Skip> {
    let producer = lab.helper(&format!("__pingsend count={count} every_us=2000"));
    let specs = contender.between(producer, lab.helper("__pingrecv"))?;
    let limit = Duration::from_millis(20_000 + count * 2);
    let outcome = Pipeline::start(&specs, limit)?.finish()?;
    outcome.check(1, contender.is_weir, false)?;
    let ages: Vec<f64> = outcome
        .output
        .lines()
        .filter_map(|age| age.parse().ok())
        .collect();
    if ages.len() as u64 != count {
        return Err(Skip::Failed(format!(
            "{} messages of {count} arrived",
            ages.len()
        )));
    }
    let counted: Vec<f64> = ages[WARM_UP..].iter().map(|ns| ns / 1000.0).collect();
    Ok(vec![percentile(&counted, 50.0), percentile(&counted, 99.0)])
}
