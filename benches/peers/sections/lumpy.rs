//! Does a buffer make up for two sides that do not work at the same time?

use crate::lab::{Lab, MIB};
use crate::pipeline::Pipeline;
use crate::spec::{Contender, Middle, Skip, Spec};
use crate::stats::figure;
use crate::table::{Figures, Table};

/// While they work, 400 MiB/s: far below what any pipe can do, so that only the turns matter.
const RATE: u64 = 400 * MIB;
const WEIR: &str = "weir --buffer 256MiB";

struct Tide {
    title: &'static str,
    producer: &'static str,
    consumer: &'static str,
    rate: u64,
}

const TIDES: &[Tide] = &[
    Tide {
        title: "Lumpy: both 50 ms on, 50 ms off, a quarter period apart",
        producer: "on_ms=50 period_ms=100",
        consumer: "on_ms=50 period_ms=100 shift_ms=25",
        rate: RATE,
    },
    Tide {
        title: "Lumpy: both 50 ms on, 50 ms off, in turns",
        producer: "on_ms=50 period_ms=100",
        consumer: "on_ms=50 period_ms=100 shift_ms=50",
        rate: RATE,
    },
    Tide {
        title: "Lumpy: producer 50 ms on, 50 ms off; consumer steady, half as fast",
        producer: "on_ms=50 period_ms=100",
        consumer: "on_ms=100 period_ms=100",
        rate: RATE / 2,
    },
];

/// Total time beside that of the slower side alone.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    TIDES.iter().map(|tide| table(lab, tide)).collect()
}

fn table(lab: &Lab, tide: &Tide) -> Table {
    let bytes = lab.either(512, 100) * MIB;
    let producer = lab.helper(&format!(
        "__tide bytes={bytes} rate={RATE} {}",
        tide.producer
    ));
    let consumer = lab.helper(&format!("__mill rate={} {}", tide.rate, tide.consumer));
    let free_producer = lab.helper(&format!("__gen bytes={bytes}"));
    let contenders = [
        Contender::other("producer alone", Middle::Bare),
        Contender::other("consumer alone", Middle::Bare),
        Contender::bare(),
        lab.weir("--buffer 256MiB"),
        lab.peer("mbuffer -q -m 256M"),
    ];
    let runs = lab.options.runs();
    let mut table = Table::measure(tide.title, &["seconds"], &contenders, runs, |c| {
        let specs = match c.label.as_str() {
            "producer alone" => vec![producer.clone(), lab.helper("__sink")],
            "consumer alone" => vec![free_producer.clone(), consumer.clone()],
            _ => c.between(producer.clone(), consumer.clone())?,
        };
        total_time(lab, c, &specs, bytes)
    })
    .how(format!(
        "{} MiB; {} MiB/s while the producer works, {} while the consumer does. Perfect is the time of the \
         slower side alone.",
        bytes / MIB,
        RATE / MIB,
        tide.rate / MIB
    ));
    let slower = ["producer alone", "consumer alone"].map(|side| table.median(side, 0));
    let slower = slower[0].max(slower[1]);
    for row in ["bare pipe", WEIR, "mbuffer -q -m 256M"] {
        let over = figure(table.median(row, 0) / slower);
        table
            .notes
            .push(format!("{row}: {over} times the slower side alone"));
    }
    table
}

fn total_time(lab: &Lab, c: &Contender, specs: &[Spec], bytes: u64) -> Result<Figures, Skip> {
    let limit = std::time::Duration::from_secs(lab.either(25, 2));
    let outcome = Pipeline::start(specs, limit)?.finish()?;
    if outcome.expired {
        return Err(Skip::Absent(format!(
            "more than {} s: stopped",
            limit.as_secs()
        )));
    }
    if specs.len() == 3 {
        outcome.check(1, c.is_weir, false)?;
    }
    let arrived = outcome.output.trim();
    if arrived != bytes.to_string() {
        return Err(Skip::Failed(format!("{arrived} bytes of {bytes} arrived")));
    }
    Ok(vec![outcome.wall.as_secs_f64()])
}
