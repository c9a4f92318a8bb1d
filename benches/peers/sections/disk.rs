//! How fast does what is too much for memory go to the disk, and come back?

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::lab::{GIB, Lab, MIB};
use crate::pipeline::Pipeline;
use crate::spec::{Contender, Middle, Skip, Spec};
use crate::table::{Figures, Side, Table, pass};

const SPILL: &str = "weir --spill 64GiB";
const SPOOL: &str = "weir --spool DIR --spill 64GiB";
const SPOOL_OFF: &str = "weir --spool DIR --sync off";
const MBUFFER: &str = "mbuffer -m 64M -T FILE";
const DD: &str = "dd bs=1M";
const DD_SYNCED: &str = "dd bs=1M, a sync each 500 ms";
const NO_DISK: &str = "weir";

/// A spill and a spool beside dd and those who buffer on a disk.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    let bytes = lab.either(8192, 256) * MIB;
    let Ok(folder) = tempfile::tempdir_in("/var/tmp") else {
        return Vec::new();
    };
    let file = folder.path().join("file");
    let spool = folder.path().join("spool");
    let (at, q) = (file.display(), spool.display());
    let dd = format!("dd bs=1M iflag=fullblock status=none of={at}");
    let mut synced = Spec::new("sh", "-c");
    synced.args.push(format!(
        "exec 3<&0; {dd} <&3 & dd=$!; while sleep .5; do sync -d {at}; done & sync=$!; wait $dd; status=$?; kill $sync; \
         sync -d {at}; exit $status"
    ));
    let mut contenders = [
        lab.peer(&dd),
        Contender::other(DD_SYNCED, Middle::Via(synced)),
        lab.weir("-q --spill 64GiB"),
        lab.weir(&format!("-q --spool {q} --spill 64GiB --sync off")),
        lab.weir(&format!("-q --spool {q} --spill 64GiB")),
        lab.peer(&format!("mbuffer -q -m {}M -T {at}", bytes / MIB + 256)),
        lab.peer(&format!("pv -q -U {at}")),
    ];
    let labels = [
        DD,
        DD_SYNCED,
        SPILL,
        SPOOL_OFF,
        SPOOL,
        MBUFFER,
        "pv -U FILE",
    ];
    for (contender, label) in contenders.iter_mut().zip(labels) {
        contender.label = label.to_owned();
    }
    let columns = ["in, MiB/s", "out, MiB/s"];
    let runs = lab.either(lab.options.runs().min(5), 1);
    let mut table = Table::measure("Disk behind memory", &columns, &contenders, runs, |c| {
        let figures = fill_and_empty(lab, c, bytes, &file);
        let _ = std::fs::remove_file(&file);
        let _ = std::fs::remove_dir_all(&spool);
        figures
    })
    .how(format!(
        "{} MiB to a consumer that is stopped until all has been taken, then released, in /var/tmp. dd: to a file, and \
         that file to the consumer.",
        bytes / MIB
    ));
    table.at_least("spill in, over dd", table.ratio(SPILL, DD, 0), 0.9);
    table.at_least("spill out, over dd", table.ratio(SPILL, DD, 1), 0.9);
    let over = table.ratio_to_best(SPILL, &[MBUFFER], 0, Side::AtLeast);
    table.at_least("spill in, over mbuffer", over, 1.5);
    let over = table.ratio(SPOOL, DD_SYNCED, 0);
    table.at_least("spool in, over dd that syncs", over, 0.8);
    table.at_least("spool out, over dd", table.ratio(SPOOL, DD, 1), 0.8);
    vec![table, unspilled(lab), super::full_spool::table(lab)]
}

/// A consumer that keeps up: nothing goes there.
fn unspilled(lab: &Lab) -> Table {
    let bytes = lab.either(8 * GIB, GIB / 2);
    let size = bytes as f64 / GIB as f64;
    let mut contenders = [lab.weir(""), lab.weir("--spill 64GiB")];
    for (contender, label) in contenders.iter_mut().zip([NO_DISK, SPILL]) {
        label.clone_into(&mut contender.label);
    }
    let runs = lab.options.runs();
    let mut table = Table::measure(
        "A disk that is not needed",
        &["GiB/s"],
        &contenders,
        runs,
        |c| {
            let (wall, _) = pass(lab, c, bytes, "")?;
            Ok(vec![size / wall])
        },
    )
    .how(format!(
        "{size} GiB in 128 KiB writes, to a consumer that keeps up."
    ));
    let over = table.ratio(SPILL, NO_DISK, 0);
    table.at_least("speed with a disk behind memory", over, 0.98);
    table
}

fn fill_and_empty(
    lab: &Lab,
    contender: &Contender,
    bytes: u64,
    file: &Path,
) -> Result<Figures, Skip> {
    let producer = lab.helper(&format!("__gen bytes={bytes}"));
    let consumer = lab.helper("__sink");
    let specs = contender.between(producer, consumer.clone())?;
    let limit = lab.limit(4 * bytes);
    let mut pipeline = Pipeline::start(&specs, limit)?;
    pipeline.signal(2, Signal::STOP)?;
    pipeline.wait(0)?;
    let is_dd = contender.label.starts_with("dd");
    if is_dd {
        pipeline.wait(1)?;
    }
    let filled = pipeline.elapsed();
    pipeline.signal(2, Signal::CONT)?;
    let outcome = pipeline.finish()?;
    outcome.check(1, contender.is_weir, false)?;
    let mebibytes = bytes as f64 / MIB as f64;
    let fill = mebibytes / filled.as_secs_f64();
    let (emptied, arrived) = match is_dd {
        true => read_back(&consumer, file, limit)?,
        false => (outcome.wall - filled, outcome.output),
    };
    if arrived.trim() != bytes.to_string() {
        return Err(Skip::Failed(format!("{arrived} bytes of {bytes} arrived")));
    }
    Ok(vec![fill, mebibytes / emptied.as_secs_f64()])
}

fn read_back(
    consumer: &Spec,
    file: &Path,
    limit: std::time::Duration,
) -> Result<(std::time::Duration, String), Skip> {
    let name: PathBuf = file.to_owned();
    let words = format!("bs=1M status=none if={}", name.display());
    let specs = [Spec::new("dd", &words), consumer.clone()];
    let outcome = Pipeline::start(&specs, limit)?.finish()?;
    Ok((outcome.wall, outcome.output))
}
