//! Is a cap a cap, whatever happens around it?

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use crate::lab::{KIB, Lab, MIB};
use crate::pipeline::Pipeline;
use crate::spec::{Contender, Skip};
use crate::stats::{Arrival, arrivals, average, peak};
use crate::table::{Figures, Table};

const CAP: u64 = 10 * MIB;
const WEIR: &str = "weir -r 10MiB/s";
/// A silence that is no part of any pacing.
const PAUSE_NS: u64 = 1_000_000_000;

struct Scene {
    title: &'static str,
    producer: &'static str,
    consumer: &'static str,
    /// When to stop the one in the middle and for how long, milliseconds.
    stop: Option<(u64, u64)>,
    seconds: u64,
}

const SCENES: &[Scene] = &[
    Scene {
        title: "steady",
        producer: "",
        consumer: "",
        stop: None,
        seconds: 4,
    },
    Scene {
        title: "after 1 s of silence at the start",
        producer: "wait_ms=1000",
        consumer: "",
        stop: None,
        seconds: 5,
    },
    Scene {
        // Two seconds' worth, so that even a buffer has run empty when the silence begins.
        title: "after 3 s idle",
        producer: "idle_after=20971520 idle_until_ms=5000",
        consumer: "",
        stop: None,
        seconds: 8,
    },
    Scene {
        title: "stopped (SIGSTOP) for 2 s",
        producer: "",
        consumer: "",
        stop: Some((2000, 2000)),
        seconds: 7,
    },
    Scene {
        title: "consumer stops for 2 s",
        producer: "",
        consumer: "stop_at_ms=2000 stop_for_ms=2000",
        stop: None,
        seconds: 7,
    },
];

/// 10 MiB/s in every scene.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    // The first and the hardest.
    let scenes = SCENES.iter().enumerate();
    let scenes = scenes.filter(|(nth, _)| !lab.options.quick || [0, 3].contains(nth));
    scenes.map(|(_, scene)| table(lab, scene)).collect()
}

fn table(lab: &Lab, scene: &Scene) -> Table {
    let contenders = lab.timed([
        lab.weir("-r 10MiB/s"),
        lab.peer("pv -q -L 10M"),
        lab.peer("mbuffer -q -m 64M -R 10M"),
        lab.peer("mbuffer -q -m 64M -r 10M"),
        lab.peer("cstream -t 10485760"),
        lab.peer("cstream -t -10485760"),
    ]);
    let columns = [
        "100 ms / cap",
        "1 s / cap",
        "average error %",
        "left in the pipe, KiB",
    ];
    let runs = lab.either(lab.options.runs().min(3), 1);
    let title = format!("Pacing at 10 MiB/s: {}", scene.title);
    let mut table = Table::measure(title, &columns, &contenders, runs, |c| observe(lab, c, scene))
        .how(format!(
            "{} s of arrivals at the consumer: the most in any window, over the cap; the average while data \
             flows. What lay in the kernel's pipe when a stopped consumer came back counts apart.",
            scene.seconds
        ));
    table.at_most("100 ms window", table.median(WEIR, 0), 1.10);
    table.at_most("1 s window", table.median(WEIR, 1), 1.01);
    table.at_most("average off by, %", table.median(WEIR, 2).abs(), 0.1);
    table
}

fn observe(lab: &Lab, contender: &Contender, scene: &Scene) -> Result<Figures, Skip> {
    let producer = lab.helper(&format!("__gen {}", scene.producer));
    let consumer = lab.helper(&format!(
        "__meter for_ms={} {}",
        scene.seconds * 1000,
        scene.consumer
    ));
    let specs = contender.between(producer, consumer)?;
    let pipeline = Pipeline::start(&specs, Duration::from_secs(scene.seconds + 10))?;
    if let Some((at, long)) = scene.stop {
        sleep(Duration::from_millis(at));
        pipeline.signal(1, Signal::STOP)?;
        sleep(Duration::from_millis(long));
        pipeline.signal(1, Signal::CONT)?;
    }
    let outcome = pipeline.cut()?;
    outcome.check(1, contender.is_weir, true)?;
    let (held, log): (Vec<Arrival>, Vec<Arrival>) = arrivals(&outcome.output)
        .into_iter()
        .partition(|arrival| arrival.held);
    if log.len() < 2 {
        return Err(Skip::Failed("almost nothing arrived".to_owned()));
    }
    let cap = CAP as f64;
    let left: u64 = held.iter().map(|arrival| arrival.bytes).sum();
    Ok(vec![
        peak(&log, 100_000_000) as f64 / (cap / 10.0),
        peak(&log, 1_000_000_000) as f64 / cap,
        (average(&log, PAUSE_NS) / cap - 1.0) * 100.0,
        left as f64 / KIB as f64,
    ])
}
