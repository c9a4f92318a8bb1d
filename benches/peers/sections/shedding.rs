//! Does the producer stay free, does no line tear, who loses what, and is what arrives fresh?

use std::time::Duration;

use rustix::process::Signal;

use crate::lab::{GIB, Lab, MIB};
use crate::pipeline::{Outcome, Pipeline};
use crate::spec::{Contender, Middle, Skip, Spec};
use crate::stats::figure;
use crate::table::{Figures, Table};

const LEN: u64 = 100;
const SHED: &str = "weir -l --shed oldest";
const FREE: &str = "cat >/dev/null";

/// A consumer that sleeps, one that crawls, one that is fast; and the age of what it gets.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    let asleep = "the consumer reads nothing until the producer is done";
    let slow = "the consumer takes 10 MiB/s";
    let mut scenes = vec![
        (asleep, "block=131072", true),
        (slow, "block=4096 rate=10485760", false),
    ];
    // What is held at the end takes the second consumer six seconds, each time.
    scenes.truncate(lab.either(2, 1));
    let producer_speed = |&(scene, judge, asleep)| producer_speed(lab, scene, judge, asleep);
    let fair = |&(scene, judge, asleep)| fair(lab, scene, judge, asleep);
    let mut tables: Vec<Table> = scenes.iter().map(producer_speed).collect();
    tables.extend(scenes.iter().map(fair));
    tables.extend([fairness(lab), fast_consumer(lab), freshness(lab)]);
    tables
}

fn leaky(lab: &Lab) -> [Contender; 2] {
    [
        lab.own("O_NONBLOCK one-liner, by blocks", "__leaky"),
        lab.own("O_NONBLOCK one-liner, by lines", "__leaky lines=1"),
    ]
}

fn producer_speed(lab: &Lab, scene: &str, judge: &str, asleep: bool) -> Table {
    let count = lab.either(4 * GIB, GIB / 2) / LEN;
    let size = (count * LEN) as f64 / GIB as f64;
    let mut free = Spec::new("sh", "-c");
    free.args.push("exec cat >/dev/null".to_owned());
    let mut contenders = vec![
        Contender::other(FREE, Middle::Via(free)),
        lab.weir("-l --shed oldest"),
    ];
    contenders.extend(leaky(lab));
    let columns = [
        "producer GiB/s",
        "lines delivered",
        "torn",
        "out of order",
        "newest missing",
    ];
    let title = format!("Shedding: {scene}");
    let mut table = Table::measure(title, &columns, &contenders, lab.options.runs(), |c| {
        let producer = lab.helper(&format!("__lines count={count} len={LEN}"));
        let specs = c.between(producer, lab.helper(&format!("__judge len={LEN} {judge}")))?;
        let (outcome, seconds) = judged(lab, c, &specs, count * LEN, asleep)?;
        Ok([vec![size / seconds], judgement(&outcome, c.label == FREE, count)].concat())
    })
    .how(format!(
        "{size:.2} GiB in numbered lines of {LEN} bytes, as fast as they are taken; {scene}. `newest missing`: \
         lines between the last delivered and the last produced."
    ));
    table.at_least(
        "producer's speed over `cat >/dev/null`",
        table.ratio(SHED, FREE, 0),
        0.8,
    );
    table.at_most("torn lines", table.median(SHED, 2), 0.0);
    table.at_most("lines out of order", table.median(SHED, 3), 0.0);
    table.at_most("newest lines missing", table.median(SHED, 4), 0.0);
    table
}

/// Runs to the end, the consumer stopped until the producer is done if it is to be `asleep`.
/// Also returns the producer's time in seconds.
fn judged(
    lab: &Lab,
    c: &Contender,
    specs: &[Spec],
    bytes: u64,
    asleep: bool,
) -> Result<(Outcome, f64), Skip> {
    let mut pipeline = Pipeline::start(specs, lab.limit(bytes))?;
    if asleep {
        pipeline.signal(2, Signal::STOP)?;
        pipeline.wait(0)?;
        pipeline.signal(2, Signal::CONT)?;
    } else {
        pipeline.wait(0)?;
    }
    let outcome = pipeline.finish()?;
    outcome.check(1, c.is_weir, false)?;
    let ns = outcome
        .reported(0, "ns")
        .ok_or_else(|| Skip::Failed("the producer was cut off".to_owned()))?;
    Ok((outcome, ns / 1e9))
}

fn judgement(outcome: &Outcome, nobody: bool, count: u64) -> Figures {
    if nobody {
        return vec![f64::NAN; 4];
    }
    let printed = |key| outcome.printed(key).unwrap_or(f64::NAN);
    let missing = count as f64 - 1.0 - printed("last");
    vec![
        printed("lines"),
        printed("torn"),
        printed("disorder"),
        missing,
    ]
}

/// Who floods, and how long the lines are.
const FLOODS: [(&str, &str, u64); 7] = [
    ("bursts, 64 B", "keys=100 loud=100", 64),
    ("bursts, 100 B", "keys=100 loud=100", LEN),
    ("bursts, 200 B", "keys=100 loud=100", 200),
    ("bursts, 1000 B", "keys=100 loud=100", 1000),
    ("mixed, 100 B", "keys=100 loud=100 stride=79", LEN),
    ("mixed, 200 B", "keys=100 loud=100 stride=79", 200),
    ("1,000 keys, 100 B", "keys=1000", LEN),
];

/// What it costs to tell lanes apart: for one key at a hundredfold beside 99, and for a thousand in turn.
fn fair(lab: &Lab, scene: &str, judge: &str, asleep: bool) -> Table {
    const FAIR: &str = "weir -l --shed fair --key 3";
    let bytes = lab.either(GIB, GIB / 8);
    let contenders = [
        lab.weir("-l --shed oldest"),
        lab.weir("-l --shed fair --key 3"),
    ];
    let columns = [
        &FLOODS.map(|(name, ..)| name)[..],
        &["torn", "out of order"],
    ]
    .concat();
    let title = format!("Shedding fairly: {scene}");
    let mut table = Table::measure(title, &columns, &contenders, lab.options.runs(), |c| {
        let (mut speeds, mut faults) = (Vec::new(), [0.0, 0.0]);
        for (_, keys, len) in FLOODS {
            let count = bytes / len;
            let producer = lab.helper(&format!("__lines count={count} len={len} {keys}"));
            let consumer = lab.helper(&format!("__judge len={len} {keys} {judge}"));
            let specs = c.between(producer, consumer)?;
            let (outcome, seconds) = judged(lab, c, &specs, count * len, asleep)?;
            speeds.push((count * len) as f64 / GIB as f64 / seconds);
            let judgement = judgement(&outcome, false, count);
            faults = [faults[0] + judgement[1], faults[1] + judgement[2]];
        }
        speeds.extend(faults);
        Ok(speeds)
    })
    .how(format!(
        "GiB/s; {} MiB in numbered lines of so many bytes, as fast as they are taken; {scene}. One of 100 keys has a hundred \
         lines to one of each other, in bursts or mixed with theirs; or 1,000 keys have one each in turn.",
        bytes / MIB
    ));
    for (nth, (name, keys, _)) in FLOODS.iter().enumerate() {
        let over = table.ratio(FAIR, SHED, nth);
        match keys.contains("loud") {
            true => table.at_least(format!("speed over `--shed oldest`, {name}"), over, 0.8),
            false => {
                let over = figure(over);
                table.notes.push(format!(
                    "no goal is set for {name}; over `--shed oldest`: {over}"
                ));
            }
        }
    }
    let faults = FLOODS.len();
    table.at_most("torn lines", table.median(FAIR, faults), 0.0);
    table.at_most("lines out of order", table.median(FAIR, faults + 1), 0.0);
    table
}

/// Who loses: the quiet beside a loud one, and those who all want more than there is.
fn fairness(lab: &Lab) -> Table {
    const FAIR: &str = "weir -l -b 256KiB --shed fair --key 3";
    const CYCLE: u64 = 99 + 100;
    let seconds = lab.either(8, 2);
    let contenders = [
        lab.weir("-l -b 256KiB --shed oldest"),
        lab.weir("-l -b 256KiB --shed fair --key 3"),
    ];
    let columns = ["lines of the quiet lost", "Jain's index"];
    let runs = lab.either(lab.options.runs().min(3), 1);
    let mut table = Table::measure("Fairness", &columns, &contenders, runs, |c| {
        let ask = |keys: &str, count: u64, rate: u64, key: &str| {
            let producer = lab.helper(&format!("__lines len={LEN} block=4096 rate=10000000 count={count} {keys}"));
            let consumer = lab.helper(&format!("__judge len={LEN} block=4096 rate={rate} {keys}"));
            let specs = c.between(producer, consumer)?;
            let outcome = Pipeline::start(&specs, lab.limit(count * LEN))?.finish()?;
            outcome.check(1, c.is_weir, false)?;
            Ok::<_, Skip>(outcome.printed(key).unwrap_or(f64::NAN))
        };
        let cycles = seconds * 10_000_000 / LEN / CYCLE;
        let quiet = ask("keys=100 loud=100 stride=79", cycles * CYCLE, 6_000_000, "quiet")?;
        let jain = ask("keys=10 skew=1 stride=23", seconds * 10_000_000 / LEN, 1_000_000, "jain")?;
        Ok(vec![(cycles * 99) as f64 - quiet, jain])
    })
    .how(format!(
        "10 MB/s in lines of {LEN} bytes for {seconds} s. First into a consumer that takes 6 MB/s: one of 100 keys has a hundred lines \
         to one of each other, and these want less than their share. Then into one that takes 1 MB/s: the second of ten \
         keys has two lines to one of the first, the third three, and so on, and all want more than a tenth. What a key \
         got is compared: 1 is all the same, 0.1 all to one."
    ));
    table.at_most(
        "lines lost of those below their share",
        table.median(FAIR, 0),
        0.0,
    );
    table.at_least(
        "Jain's index of those that want more",
        table.median(FAIR, 1),
        0.99,
    );
    table
}

fn fast_consumer(lab: &Lab) -> Table {
    let count = lab.either(4 * GIB, GIB / 2) / LEN;
    let bytes = count * LEN;
    let contenders = [lab.weir("-l"), lab.weir("-l --shed oldest")];
    let columns = ["GiB/s", "delivered %"];
    let title = "Shedding: the consumer is fast";
    let mut table = Table::measure(title, &columns, &contenders, lab.options.runs(), |c| {
        let producer = lab.helper(&format!("__lines count={count} len={LEN}"));
        let specs = c.between(producer, lab.helper("__sink"))?;
        let outcome = Pipeline::start(&specs, lab.limit(bytes))?.finish()?;
        outcome.check(1, c.is_weir, false)?;
        let arrived: f64 = outcome.output.trim().parse().unwrap_or(f64::NAN);
        Ok(vec![
            bytes as f64 / GIB as f64 / outcome.wall.as_secs_f64(),
            arrived / bytes as f64 * 100.0,
        ])
    })
    .how(format!("{} MiB in lines of {LEN} bytes.", bytes / MIB));
    let over = figure(table.ratio(SHED, "weir -l", 0));
    table
        .notes
        .push(format!("no goal is set; speed over `weir -l`: {over}"));
    table
}

fn freshness(lab: &Lab) -> Table {
    const AGED: [&str; 2] = ["weir -l --max-age 1s", "weir -l --shed oldest --max-age 1s"];
    let ms = lab.either(12_000, 2_000);
    let mut contenders = vec![
        lab.weir("-l --max-age 1s"),
        lab.weir("-l --shed oldest --max-age 1s"),
    ];
    contenders.push(lab.weir("-l --shed oldest --buffer 64KiB"));
    contenders.extend(leaky(lab));
    let contenders = lab.timed(contenders);
    let columns = ["age p50 ms", "age p99 ms", "lines delivered", "torn"];
    let runs = lab.either(lab.options.runs().min(3), 1);
    let mut table = Table::measure("Freshness", &columns, &contenders, runs, |c| {
        let producer = lab.helper("__lines len=25 block=25 rate=50000");
        let consumer = lab.helper(&format!("__judge len=25 block=25 rate=500 for_ms={ms}"));
        let specs = c.between(producer, consumer)?;
        let outcome = Pipeline::start(&specs, Duration::from_millis(ms + 10_000))?.cut()?;
        outcome.check(1, c.is_weir, true)?;
        let printed = |key| outcome.printed(key).unwrap_or(f64::NAN);
        Ok(vec![printed("p50") / 1000.0, printed("p99") / 1000.0, printed("lines"), printed("torn")])
    })
    .how(format!(
        "2,000 lines of 25 bytes a second into a consumer that takes 20 a second, {ms} ms: how old is a line when \
         it is read? Where nothing is shed in time the age grows as long as the run lasts: a pipe alone holds 64 KiB."
    ));
    for weir in AGED {
        table.at_most(
            format!("{weir}: age p99, ms"),
            table.median(weir, 1),
            1100.0,
        );
        table.at_most(format!("{weir}: torn lines"), table.median(weir, 3), 0.0);
    }
    table
}
