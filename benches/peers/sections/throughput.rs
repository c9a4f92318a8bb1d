//! How fast do bytes pass, and what does the one in the middle spend on it?

use crate::lab::{GIB, Lab};
use crate::pipeline::Pipeline;
use crate::spec::{Contender, Skip};
use crate::table::{Side, Table, pass};

const SPLICE: &str = "bare splice loop, 1 MiB pipes";
const PEERS: &[&str] = &[
    "cat",
    "pv -q",
    "mbuffer -q -m 64M",
    "buffer",
    "dd bs=128k status=none",
];

/// Default options beside everybody, and beside the limit.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    let bytes = lab.either(4 * GIB, GIB / 2);
    let size = bytes as f64 / GIB as f64;
    let mut contenders = vec![Contender::bare()];
    contenders.extend(PEERS.iter().map(|command| lab.peer(command)));
    contenders.extend([lab.weir(""), lab.own(SPLICE, "__splice")]);
    let columns = ["GiB/s", "CPU s/GiB of the middle"];
    let mut table = Table::measure(
        "Throughput",
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
    let best = table.ratio_to_best("weir", PEERS, 0, Side::AtLeast);
    let cheapest = table.ratio_to_best("weir", PEERS, 1, Side::AtMost);
    // A peer may come near the limit itself.
    table.at_least("speed over the best peer", best, 1.0);
    table.at_least(
        "speed over the splice loop",
        table.ratio("weir", SPLICE, 0),
        0.95,
    );
    table.at_most(
        "CPU over the splice loop",
        table.ratio("weir", SPLICE, 1),
        1.2,
    );
    table.at_most("CPU over the cheapest peer", cheapest, 1.0 / 3.0);
    table
        .notes
        .push(probe(lab, bytes).unwrap_or_else(|skip| format!("who is waited for: {skip}")));
    vec![table]
}

/// Which side does the splice loop wait for?
fn probe(lab: &Lab, bytes: u64) -> Result<String, Skip> {
    let specs = [
        lab.helper(&format!("__gen bytes={bytes}")),
        lab.helper("__splice probe=1"),
        lab.helper("__sink"),
    ];
    let outcome = Pipeline::start(&specs, lab.limit(bytes))?.finish()?;
    outcome.check(1, false, false)?;
    let figure = |key| outcome.reported(1, key).unwrap_or(f64::NAN);
    Ok(format!(
        "a splice loop that never blocks in `splice`: {:.0} moves of {:.0} KiB on average; found the input \
         empty {:.0} times, the output full {:.0} times",
        figure("moved"),
        figure("bytes") / figure("moved") / 1024.0,
        figure("empty"),
        figure("full"),
    ))
}
