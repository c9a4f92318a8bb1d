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
    let over = |peer| figure(table.ratio("weir", peer, 0));
    let note = format!(
        "no goal is set; speed over cat {}, over pv {}",
        over("cat"),
        over("pv -q")
    );
    table.notes.push(note);
    vec![table]
}
