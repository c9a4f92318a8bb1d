//! How soon does a spool deliver that holds far more than memory does?
//!
//! The spool is made here, as the format in weir's source is documented: payload that takes no room on the disk, for it
//! is all zeros, and all entries of its indexes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::lab::{GIB, KIB, Lab, MIB};
use crate::pipeline::high_water;
use crate::spec::{Contender, Skip};
use crate::table::{Figures, Table};

const FULL: &str = "weir --spool DIR, 100 GiB in it";
const SMALL: &str = "weir --spool DIR, 1 GiB in it";
/// Bytes of a segment and of an entry.
const SEGMENT: u64 = 64 * MIB;
const ENTRY: u64 = 64 * KIB;
/// Bytes of a row of an index.
const ROW: usize = 64;
/// Bytes of a slot of the state, of which there are four.
const SLOT: usize = 32 << 10;
/// Any number will do.
const IDENTITY: u64 = 0x7065_6572_7300_0001;
/// What is read before memory is looked at.
const READ: usize = 16 << 20;

/// A spool that holds much beside one that holds little.
pub(super) fn table(lab: &Lab) -> Table {
    let contenders = [FULL, SMALL].map(|label| {
        let mut weir = lab.weir("-q --spill 128GiB --spool");
        label.clone_into(&mut weir.label);
        weir
    });
    let columns = ["ms to the first byte", "peak memory, MB"];
    let title = "Spool: restart over 100 GiB";
    let runs = lab.options.runs();
    let mut table = Table::measure(title, &columns, &contenders, runs, |c| {
        let folder = tempfile::tempdir_in("/var/tmp")?;
        let bytes = match c.label == FULL {
            true => 100 * GIB,
            false => GIB,
        };
        make(folder.path(), bytes)?;
        open(c, folder.path())
    })
    .how(format!(
        "Segments of 64 MiB, an entry for each 64 KiB: 1.6 million; the payload is sparse. From the start of weir, \
         with a silent producer; memory after {} MiB have come.",
        READ as u64 / MIB
    ));
    let more = table.median(FULL, 1) - table.median(SMALL, 1);
    table.at_most("ms to the first byte", table.median(FULL, 0), 50.0);
    table.at_most("MB more than with little in it", more, 5.0);
    table
}

/// Starts weir over the spool and reads from it.
fn open(c: &Contender, spool: &Path) -> Result<Figures, Skip> {
    let spec = c.spec()?;
    let mut command = Command::new(&spec.program);
    command.args(&spec.args).arg(spool);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let begun = Instant::now();
    let mut weir = Ended(command.stderr(Stdio::piped()).spawn()?);
    let mut output = weir.0.stdout.take().ok_or(Skip::NotBuilt)?;
    let first = output.read(&mut [0])?;
    let time: Duration = begun.elapsed();
    let mut rest = vec![1; READ];
    if first == 0 || output.read_exact(&mut rest).is_err() {
        return Err(early_end(&mut weir.0)?);
    }
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Skip::Failed("something else came out of it".to_owned()));
    }
    let memory = high_water(weir.0.id()).unwrap_or(f64::NAN);
    Ok(vec![time.as_secs_f64() * 1000.0, memory])
}

fn early_end(weir: &mut Child) -> io::Result<Skip> {
    let status = weir.wait()?;
    let mut said = String::new();
    if let Some(stderr) = &mut weir.stderr {
        stderr.read_to_string(&mut said)?;
    }
    Ok(match status.code() {
        Some(2) => Skip::NotBuilt,
        _ => Skip::Failed(format!("{status}: {}", said.trim())),
    })
}

/// Killed with its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes a spool that holds so many zeros.
fn make(folder: &Path, bytes: u64) -> io::Result<()> {
    let boot = boot_id()?;
    let crc = crc32fast::hash(&[0; ENTRY as usize]);
    for base in (0..bytes).step_by(SEGMENT as usize) {
        let stream = File::create(folder.join(format!("{base:020}.stream")))?;
        stream.set_len(SEGMENT)?;
        let mut index = header(base, boot).to_vec();
        for at in (base..base + SEGMENT).step_by(ENTRY as usize) {
            index.extend_from_slice(&entry(at, crc));
        }
        File::create(folder.join(format!("{base:020}.index")))?.write_all(&index)?;
    }
    let mut state = state(bytes, boot);
    state.resize(4 * SLOT, 0);
    File::create(folder.join("state"))?.write_all(&state)
}

fn boot_id() -> io::Result<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let digits = text.trim().replace('-', "");
    let number = u128::from_str_radix(&digits, 16).map_err(io::Error::other)?;
    Ok(number.to_le_bytes())
}

/// The first row of an index.
fn header(base: u64, boot: [u8; 16]) -> [u8; ROW] {
    let mut row = [0; ROW];
    put(&mut row, 0, b"weir.idx");
    put(&mut row, 8, &1u32.to_le_bytes());
    put(&mut row, 12, &1u32.to_le_bytes());
    put(&mut row, 16, &base.to_le_bytes());
    put(&mut row, 24, &IDENTITY.to_le_bytes());
    put(&mut row, 32, &boot);
    seal(row)
}

/// Another row.
fn entry(at: u64, crc: u32) -> [u8; ROW] {
    let mut row = [0; ROW];
    put(&mut row, 0, &at.to_le_bytes());
    // In the year 2025.
    put(&mut row, 16, &1_750_000_000_000_000_000_u64.to_le_bytes());
    put(&mut row, 24, &(ENTRY as u32).to_le_bytes());
    put(&mut row, 32, &crc.to_le_bytes());
    seal(row)
}

fn seal(mut row: [u8; ROW]) -> [u8; ROW] {
    let crc = crc32fast::hash(&row[..ROW - 4]);
    put(&mut row, ROW - 4, &crc.to_le_bytes());
    row
}

/// A slot of the state: nothing has been delivered, and all has been forced to the disk.
fn state(bytes: u64, boot: [u8; 16]) -> Vec<u8> {
    // What is fixed, no outputs, no batches, a checksum.
    const LENGTH: usize = 116 + 4 + 4;
    let mut slot = vec![0; LENGTH];
    put(&mut slot, 0, b"weir.sta");
    put(&mut slot, 8, &1u32.to_le_bytes());
    put(&mut slot, 12, &(LENGTH as u32).to_le_bytes());
    put(&mut slot, 16, &1u64.to_le_bytes());
    put(&mut slot, 24, &IDENTITY.to_le_bytes());
    put(&mut slot, 32, &boot);
    put(&mut slot, 48, &1u32.to_le_bytes());
    put(&mut slot, 64, &bytes.to_le_bytes());
    put(&mut slot, 72, &bytes.to_le_bytes());
    let crc = crc32fast::hash(&slot[..LENGTH - 4]);
    put(&mut slot, LENGTH - 4, &crc.to_le_bytes());
    slot
}

fn put(row: &mut [u8], at: usize, bytes: &[u8]) {
    row[at..at + bytes.len()].copy_from_slice(bytes);
}
