//! How fast do bytes pass to three pipes at once?

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::lab::{GIB, Lab};
use crate::spec::{Contender, Middle, Skip};
use crate::table::{Side, Table, pass};

const FAN: &str = "bare loop of tee and splice";
const TEE: &str = "tee ONE TWO";
const PEE: &str = "pee 'cat >ONE' 'cat >TWO' cat";
const WEIR: &str = "weir --tee ONE --tee TWO";

/// weir beside `tee(1)` and `pee(1)`, and beside the limit.
pub(super) fn tables(lab: &Lab) -> Vec<Table> {
    let bytes = lab.either(4 * GIB, GIB / 2);
    let size = bytes as f64 / GIB as f64;
    let Ok(folder) = tempfile::tempdir() else {
        return Vec::new();
    };
    let paths = ["one", "two"].map(|name| folder.path().join(name));
    let is_made =
        |path: &PathBuf| mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).is_ok();
    if !paths.iter().all(is_made) {
        return Vec::new();
    }
    let [one, two] = paths.each_ref().map(|path| path.display());
    let mut contenders = [
        lab.weir(&format!("--tee {one} --tee {two}")),
        lab.peer(&format!("tee {one} {two}")),
        pee(lab, &paths),
        lab.own(FAN, &format!("__fan one={one} two={two}")),
    ];
    for (contender, label) in contenders.iter_mut().zip([WEIR, TEE, PEE, FAN]) {
        contender.label = label.to_owned();
    }
    let columns = ["GiB/s", "CPU s/GiB of the middle"];
    let runs = lab.options.runs();
    let mut table = Table::measure("Fan-out to three pipes", &columns, &contenders, runs, |c| {
        let readers = paths
            .clone()
            .map(|path| thread::spawn(move || discard(&path)));
        let (wall, cpu) = pass(lab, c, bytes, "")?;
        for reader in readers {
            let read = reader.join().unwrap_or(Ok(0));
            match read {
                // The limit may do without some.
                Ok(n) if n == bytes || c.label == FAN => {}
                Ok(n) => return Err(Skip::Failed(format!("{n} bytes reached a pipe"))),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(vec![size / wall, cpu / size])
    })
    .how(format!(
        "{size} GiB, `gen | X | sink` and two FIFOs, 128 KiB writes and reads."
    ));
    let best = table.ratio_to_best(WEIR, &[TEE, PEE], 0, Side::AtLeast);
    table.at_least("speed over the better of `tee` and `pee`", best, 2.0);
    table.at_least("speed over the bare loop", table.ratio(WEIR, FAN, 0), 0.9);
    vec![table]
}

/// `pee(1)`, whose arguments have blanks in them.
fn pee(lab: &Lab, paths: &[PathBuf; 2]) -> Contender {
    let mut pee = lab.peer("pee");
    if let Middle::Via(spec) = &mut pee.middle {
        let copies = paths
            .iter()
            .map(|path| format!("cat >'{}'", path.display()));
        spec.args = copies.chain(["cat".to_owned()]).collect();
    }
    pee
}

/// Reads all that comes from this FIFO; how much that was.
fn discard(path: &Path) -> io::Result<u64> {
    let mut from = File::open(path)?;
    let mut buffer = vec![0; 128 * 1024];
    let mut all = 0;
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(all),
            n => all += n as u64,
        }
    }
}
