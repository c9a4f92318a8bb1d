//! How fast do bytes pass that must be copied, or looked at?

use crate::lab::{GIB, Lab};
use crate::table::{Table, pass};

const RING: &str = "two-thread ring in C";
const TEE: &str = "bare loop of tee, splice, read and count";

/// The ring beside a ring in C, and lines beside lines.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    vec![ring(lab), lines(lab)]
}

fn ring(lab: &Lab) -> Table {
    let bytes = lab.either(4 * GIB, GIB / 2);
    let size = bytes as f64 / GIB as f64;
    let contenders = [
        lab.weir("--no-splice"),
        lab.ring(),
        lab.peer("mbuffer -q -m 64M"),
    ];
    let columns = ["GiB/s", "CPU s/GiB of the middle"];
    let mut table = Table::measure(
        "Copied path",
        &columns,
        &contenders,
        lab.options.runs(),
        |c| {
            let (wall, cpu) = pass(lab, c, bytes, "")?;
            Ok(vec![size / wall, cpu / size])
        },
    )
    .how(format!(
        "{size} GiB, `gen | X | sink`, 128 KiB writes and reads."
    ));
    table.at_least(
        "speed over the ring in C",
        table.ratio("weir --no-splice", RING, 0),
        0.95,
    );
    table
}

fn lines(lab: &Lab) -> Table {
    let bytes = lab.either(4 * GIB, GIB / 2) / 100 * 100;
    let size = bytes as f64 / GIB as f64;
    let contenders = [
        lab.weir("-l"),
        lab.peer("pv -l -q"),
        lab.own(TEE, "__tee"),
        lab.weir("--no-splice"),
    ];
    let columns = ["GiB/s", "million lines/s", "CPU s/GiB of the middle"];
    let mut table = Table::measure("Lines", &columns, &contenders, lab.options.runs(), |c| {
        let (wall, cpu) = pass(lab, c, bytes, "line=100")?;
        Ok(vec![
            size / wall,
            bytes as f64 / 100.0 / wall / 1e6,
            cpu / size,
        ])
    })
    .how(format!(
        "{size:.2} GiB in lines of 100 bytes, `gen | X | sink`, writes of about 128 KiB."
    ));
    table.at_least(
        "speed over `pv -l`",
        table.ratio("weir -l", "pv -l -q", 0),
        2.0,
    );
    table.at_least(
        "speed over the bare loop",
        table.ratio("weir -l", TEE, 0),
        0.95,
    );
    table
}
