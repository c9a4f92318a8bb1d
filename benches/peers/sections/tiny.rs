//! How fast do bytes pass that come in very small pieces?

use crate::lab::{Lab, MIB};
use crate::stats::figure;
use crate::table::{Table, pass};

/// A producer of 100-byte writes.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    let bytes = lab.either(512, 64) * MIB;
    let size = bytes as f64 / MIB as f64;
    let contenders = [
        lab.peer("cat"),
        lab.peer("pv -q"),
        lab.weir(""),
        lab.weir("--no-splice"),
    ];
    let columns = ["MiB/s", "CPU s/GiB of the middle"];
    let table = Table::measure(
        "Tiny writes",
        &columns,
        &contenders,
        lab.options.runs(),
        |c| {
            let (wall, cpu) = pass(lab, c, bytes, "block=100")?;
            Ok(vec![size / wall, cpu / size * 1024.0])
        },
    );
    let mut table = table.how(format!(
        "{size} MiB in writes of 100 bytes, `gen | X | sink`."
    ));
    table.at_least("speed over pv", table.ratio("weir", "pv -q", 0), 1.0);
    table.at_most("CPU over pv", table.ratio("weir", "pv -q", 1), 1.0);
    let over = figure(table.ratio("weir", "cat", 0));
    table.notes.push(format!("speed over cat {over}"));
    vec![table]
}
