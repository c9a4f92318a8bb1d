//! The command line of a pipeline, and the files that it names: what lies there before weir begins, and what weir has put
//! there.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::dying::Dying;
use crate::falling::TAKES;
use crate::harness::{DEADLINE, WEIR, output};
use crate::plan::{Link, Plan, Producer};
use crate::store::Store;
use crate::stream::Framing;

/// What the command line of every pipeline begins with.
pub(crate) fn weir(options: &[String], dir: &Path, spills: bool, spools: bool) -> Command {
    let mut weir = Command::new(WEIR);
    weir.args(options).arg("--log").arg(dir.join("log"));
    if spills {
        weir.arg("--shed-to").arg(dir.join("spill"));
    }
    if spools {
        weir.arg("--spool").arg(dir.join("spool"));
    }
    weir.env("XDG_RUNTIME_DIR", dir);
    weir
}

/// Its cap is shared through this, if that is there.
pub(crate) fn share(weir: &mut Command, store: Option<&Store>) {
    let alone = || "chaos".to_owned();
    weir.args(["--share", &store.map_or_else(alone, Store::share)]);
}

/// Another weir, which delivers what one of this framing has left in its spool.
pub(crate) fn next(framing: Framing, dir: &Path) -> Command {
    let mut weir = Command::new(WEIR);
    weir.arg("-q").arg("--spool").arg(dir.join("spool"));
    frame(&mut weir, framing);
    weir
}

/// It is told what a record is.
pub(crate) fn frame(weir: &mut Command, framing: Framing) {
    match framing {
        Framing::None => weir,
        Framing::Lines => weir.arg("--lines"),
        Framing::Null => weir.arg("--null"),
        Framing::Fixed(size) => weir.arg("--record-size").arg(size.to_string()),
    };
}

/// The command line; `store`: what the cap is shared through, if that is there.
pub(crate) fn command(plan: &Plan, dir: &Path, store: Option<&Store>) -> Command {
    let mut weir = weir(&plan.options, dir, plan.spills, plan.spools);
    if plan.tees {
        weir.arg("--tee").arg(dir.join("copy"));
    }
    match plan.dying {
        Some(Dying::Full) => drop(weir.args(["--tee", "/dev/full"])),
        Some(Dying::Leaves(_)) => drop(weir.arg("--tee").arg(dir.join("dying"))),
        None => {}
    }
    if plan.adds() {
        weir.arg("--append");
    }
    if plan.store {
        share(&mut weir, store);
    }
    if plan.recalls {
        weir.args(["--recall", "64KiB"]);
    }
    if plan.charts {
        weir.arg("--chart").arg(dir.join("chart"));
    }
    if plan.taps {
        weir.arg("--tap").arg(dir.join("tap"));
        weir.args(["--tap-buffer", "64KiB"]);
    }
    if plan.pipes {
        weir.arg("--tap").arg(dir.join("fifo"));
    }
    if plan.metrics {
        weir.arg("--metrics").arg(dir.join("metrics"));
    }
    if let Producer::Files(count) = plan.producer {
        let count = plan.input.chunks(part(plan, count)).len();
        weir.args((0..count).map(|n| dir.join(format!("input{n}"))));
    }
    run_command(plan, &mut weir);
    weir
}

/// What weir runs, if anything.
pub(crate) fn run_command(plan: &Plan, weir: &mut Command) {
    // It reads that much and no more, so that nothing is lost with it.
    let take = |much: usize| format!("dd bs={much} count=1 iflag=fullblock status=none");
    let then = |much, what| {
        let script = take(much) + "; exec </dev/null; " + what;
        ["--", "sh", "-c", &script].map(String::from).to_vec()
    };
    match plan.behind {
        Link::Falls => {
            weir.arg("--").args(take(TAKES).split(' '));
        }
        Link::FallsDeaf => drop(weir.args(then(TAKES, "sleep 0.02"))),
        Link::Deaf(much, status) => {
            weir.args(then(much, &format!("sleep 0.1; exit {status}")));
        }
        _ if plan.has_command() => drop(weir.args(["--", "cat"])),
        _ => {}
    }
}

/// What the log holds before weir begins.
pub(crate) const BEFORE: &str = "before\n";

/// Something lies already where weir is to write to.
pub(crate) fn leave_before(plan: &Plan, dir: &Path) {
    let given = [
        ("copy", plan.tees),
        ("tap", plan.taps),
        ("spill", plan.spills),
    ];
    for (name, _) in given.iter().filter(|(_, is_given)| *is_given) {
        fs::write(dir.join(name), plan.framing.foreign()).expect("write a file");
    }
    fs::write(dir.join("log"), BEFORE).expect("write a file");
    if let Producer::Files(count) = plan.producer {
        // Records go on from one to the next.
        for (n, part) in plan.input.chunks(part(plan, count)).enumerate() {
            fs::write(dir.join(format!("input{n}")), part).expect("write a file");
        }
    }
}

/// How much of the input is in each of so many files.
fn part(plan: &Plan, files: usize) -> usize {
    plan.input.len().div_ceil(files)
}

/// What weir has written to this file: behind what was there before, if it `is_kept`.
pub(crate) fn added(plan: &Plan, dir: &Path, name: &str, is_kept: bool) -> Result<Vec<u8>, String> {
    let Ok(all) = fs::read(dir.join(name)) else {
        return Ok(Vec::new());
    };
    if !is_kept {
        return Ok(all);
    }
    let added = all.strip_prefix(&plan.framing.foreign()[..]);
    let gone = || format!("what lay in the file of {name} before is gone");
    added.map(<[u8]>::to_vec).ok_or_else(gone)
}

/// What was run at the end has left a line, or will soon: nobody waits for that but this.
pub(crate) fn line_of_end(dir: &Path) -> String {
    let until = Instant::now() + DEADLINE;
    loop {
        let line = fs::read_to_string(dir.join("done")).unwrap_or_default();
        if line.ends_with('\n') || Instant::now() >= until {
            return line;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// What was shown to the taps, and to each that looked.
pub(crate) fn shown(dir: &Path, looks: usize) -> Vec<Vec<u8>> {
    let names = (0..looks)
        .map(|n| format!("look{n}"))
        .chain(["piped".to_owned()]);
    names
        .filter_map(|name| fs::read(dir.join(name)).ok())
        .collect()
}

/// What another weir delivers of what this one has left.
pub(crate) fn left_in_spool(plan: &Plan, dir: &Path) -> Vec<u8> {
    let mut weir = next(plan.framing, dir);
    if plan.tees {
        weir.arg("--tee").arg(dir.join("copy"));
    }
    let output = output(&mut weir).expect("another weir");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}
