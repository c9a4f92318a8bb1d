//! What does a chart of the run cost?

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use wait4::Wait4;

use crate::lab::{KIB, Lab, MIB};
use crate::pipeline::Pipeline;
use crate::spec::{Contender, Skip};
use crate::table::Table;

const OFF: &str = "weir -q";
const CHART: &str = "weir -q --chart FILE";
/// How often the weir gets something to pass on.
const BEAT: Duration = Duration::from_millis(100);

/// CPU time with a chart and without, and the size of one that is as full as they get.
pub(super) fn table(lab: &Lab) -> Table {
    let watched = Duration::from_secs(lab.either(20, 2));
    let contenders = [OFF, CHART].map(|label| {
        let mut weir = lab.weir("-q");
        label.clone_into(&mut weir.label);
        weir
    });
    let columns = ["CPU %", "KB of a full chart"];
    let runs = lab.either(lab.options.runs(), 1);
    let mut table = Table::measure("Chart", &columns, &contenders, runs, |c| {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("chart.svg");
        if c.label == OFF {
            return Ok(vec![used(c, None, watched)?, f64::NAN]);
        }
        let cpu = used(c, Some(&file), watched)?;
        Ok(vec![cpu, full(lab, &file)?])
    })
    .how(format!(
        "CPU: 1,000 bytes each 100 ms for {} s, user and system time from start to end, the drawing included. Size: \
         an uneven flow that is looked at each 10 ms, more than 400 times, which is when a chart halves its points.",
        watched.as_secs()
    ));
    let more = table.median(CHART, 0) - table.median(OFF, 0);
    table.at_most("% of a CPU more", more, 0.1);
    table.at_most("KB", table.median(CHART, 1), 100.0);
    table
}

/// Its share of a CPU in percent.
fn used(c: &Contender, chart: Option<&Path>, time: Duration) -> Result<f64, Skip> {
    let spec = c.spec()?;
    let mut command = Command::new(&spec.program);
    command.args(&spec.args);
    if let Some(file) = chart {
        command.arg("--chart").arg(file);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().ok_or(Skip::NotBuilt)?;
    let until = Instant::now() + time;
    while Instant::now() < until {
        // One that has ended says so by its status.
        if input.write_all(&[b'x'; 1000]).is_err() {
            break;
        }
        sleep(BEAT);
    }
    drop(input);
    let used = child.wait4()?;
    match used.status.code() {
        Some(0) => drawn(chart)?,
        Some(2) => return Err(Skip::NotBuilt),
        _ => return Err(Skip::Failed(format!("{}", used.status))),
    };
    let cpu = used.rusage.utime + used.rusage.stime;
    Ok(100.0 * cpu.as_secs_f64() / time.as_secs_f64())
}

/// KB of a chart of many points, all different.
fn full(lab: &Lab, file: &Path) -> Result<f64, Skip> {
    let words = format!("-b 4MiB --display plain -i 10ms --chart {}", file.display());
    let specs = [
        lab.helper(&format!(
            "__tide rate={} on_ms=300 period_ms=700 bytes={}",
            50 * MIB,
            110 * MIB
        )),
        lab.weir(&words).spec()?.clone(),
        lab.helper(&format!("__mill rate={} block={}", 20 * MIB, 16 * KIB)),
    ];
    let outcome = Pipeline::start(&specs, Duration::from_secs(60))?.finish()?;
    outcome.check(1, true, false)?;
    Ok(drawn(Some(file))? / 1000.0)
}

/// The bytes of a picture that must be there.
fn drawn(chart: Option<&Path>) -> Result<f64, Skip> {
    let Some(file) = chart else { return Ok(0.0) };
    let text = std::fs::read_to_string(file)?;
    match text.trim_end().ends_with("</svg>") {
        true => Ok(text.len() as f64),
        false => Err(Skip::Failed("no whole picture was drawn".to_owned())),
    }
}
