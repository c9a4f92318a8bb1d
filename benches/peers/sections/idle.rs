//! What does it do while there is nothing to do?

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use crate::lab::Lab;
use crate::pipeline::Pipeline;
use crate::spec::{Contender, Skip, Spec};
use crate::table::{Figures, Table};

const SPOOLED: &str = "weir -q --spool DIR";
/// A spool that has just been opened is forced to the disk once.
const SETTLED: Duration = Duration::from_millis(1500);

/// System calls while the producer is silent.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    let Ok(folder) = tempfile::tempdir_in("/var/tmp") else {
        return Vec::new();
    };
    let spool = folder.path().join("q");
    let mut spooled = lab.weir(&format!("-q --spool {}", spool.display()));
    spooled.label = SPOOLED.to_owned();
    let seconds = lab.either(5, 1);
    let contenders = lab.timed([
        lab.weir("-q"),
        spooled,
        lab.weir("-q -r 10MiB/s"),
        lab.peer("cat"),
        lab.peer("pv -q"),
        lab.peer("mbuffer -q -m 64M"),
    ]);
    let runs = lab.either(lab.options.runs().min(3), 1);
    let mut table = Table::measure("Idle", &["system calls"], &contenders, runs, |c| {
        count(lab, c, Duration::from_secs(seconds))
    })
    .how(format!(
        "A silent producer; strace attached one and a half seconds after start-up, for {seconds} s."
    ));
    table.at_most("system calls of weir -q", table.median("weir -q", 0), 0.0);
    table.at_most("with a spool", table.median(SPOOLED, 0), 0.0);
    vec![table]
}

fn count(lab: &Lab, contender: &Contender, watched_for: Duration) -> Result<Figures, Skip> {
    if !lab.has("strace") {
        return Err(Skip::Absent("strace is not installed".to_owned()));
    }
    let specs = contender.between(lab.helper("__gen bytes=0 hold=1"), lab.helper("__sink"))?;
    let limit = SETTLED + watched_for * 4;
    let mut watched = Pipeline::start(&specs, limit)?;
    sleep(SETTLED);
    let words = format!("-f -c -p {}", watched.pid(1));
    let mut strace = Pipeline::start(&[Spec::new("strace", &words)], limit)?;
    sleep(watched_for);
    let _ = strace.signal(0, Signal::INT);
    strace.wait(0)?;
    let said = strace.finish()?.stderr.remove(0);
    if !said.contains("attached") {
        watched.signal(2, Signal::KILL)?;
        watched.wait(2)?;
        watched.cut()?.check(1, contender.is_weir, false)?;
        return Err(Skip::Absent(
            said.lines().next().unwrap_or("strace failed").to_owned(),
        ));
    }
    Ok(vec![total(&said)])
}

/// The number of calls in strace's last line; it prints no table when there were none.
fn total(said: &str) -> f64 {
    let line = said
        .lines()
        .find(|line| line.trim_end().ends_with(" total"));
    let calls = line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    calls.unwrap_or(0.0)
}
