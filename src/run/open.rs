//! Opens both ends of the pipeline, before anything is read.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::waiting::Waiting;
use crate::config::Config;
use crate::disk::format::Framing;
use crate::disk::schedule::Policy;
use crate::disk::spill::{Spill, SpillHome};
use crate::disk::spool::{Spool, SpoolOptions};
use crate::disk::sys;
use crate::engine::record;
use crate::pipe::Input;
use crate::pipe::append::Tail;
use crate::pipe::error::PipeError;
use crate::pipe::fd::Port;
use crate::pipe::holder::Tee;
use crate::pipe::spill::Store;
use crate::pipe::spool::{Outputs, SpoolStore, UseBy};
use crate::units::SyncTime;

/// What is read, in order: standard input where nothing is named.
pub(super) fn inputs(config: &Config) -> Vec<PathBuf> {
    if config.files.is_empty() {
        vec!["-".into()]
    } else {
        config.files.clone()
    }
}

/// Opens both ends, and gives their pipes the size that was asked for. The output is there where no program is run
/// as the consumer.
///
/// # Errors
/// When one of them cannot be used.
pub(super) fn open(
    config: &Config,
    files: &[PathBuf],
) -> Result<(Vec<Input>, Option<Port>), PipeError> {
    let output = config.command.is_none().then(Port::standard_output);
    let output = output.transpose()?;
    refuse_missing(files)?;
    let inputs = files
        .iter()
        .map(|file| input(file))
        .collect::<Result<Vec<_>, _>>()?;
    let standard_input = inputs.iter().filter_map(|input| match input {
        Input::Ready(port) => Some(port),
        Input::File(_) => None,
    });
    let sizes = config.pipe_sizes();
    if let Some(size) = sizes.from_producer {
        standard_input.for_each(|port| port.ask_pipe_size(size));
    }
    // Where freshness rules the pipe to the consumer is the sink thread's business.
    let output_too = output.iter().filter(|_| !config.is_kept_small());
    if let Some(size) = sizes.to_consumer {
        output_too.for_each(|port| port.ask_pipe_size(size));
    }
    Ok((inputs, output))
}

/// Segments of a spool whose files are open until they are forced to the disk, at most: twice as many as one has that is
/// full, of which none is to wait for the disk,
const HELD_MOST: usize = 32;
/// and the descriptors of each.
const HELD: usize = 2;

/// The disk behind memory, if one is asked for; `say` is told what is odd about it. Half of the `spare` descriptors are
/// for it.
///
/// # Errors
/// When no file can be made there, or a spool not be used.
pub(super) fn store(
    config: &Config,
    output: Option<&Port>,
    tees: Vec<Tee>,
    say: impl Fn(String),
    waiting: &mut Waiting<'_>,
    spare: usize,
) -> Result<Option<Store>, PipeError> {
    if let Some(spool) = &config.spool {
        let options = SpoolOptions {
            bound: spool.size,
            framing: match config.rules.framing {
                None => Framing::Bytes,
                Some(record::Framing::Terminator(0)) => Framing::Zero,
                Some(record::Framing::Terminator(_)) => Framing::Lines,
                Some(record::Framing::Fixed(size)) => Framing::Fixed(size.get()),
            },
            policy: match spool.sync {
                SyncTime::Within(time) => Policy::Within(time.duration()),
                SyncTime::Always => Policy::Always,
                SyncTime::Off => Policy::Off,
            },
            boot: sys::boot_id(),
            held_most: (spare / (2 * HELD)).min(HELD_MOST),
        };
        let open = |found: &mut _| Spool::open_again(&spool.directory, &options, found);
        let (opened, said) = waiting.until_there_is_room(output, open)?;
        let unsaid = opened.damages.iter().skip(said);
        unsaid.for_each(|damage| say(damage.to_string()));
        let sheds_to_file = config.shed_to.is_some();
        let use_by = match config.rules.batch {
            Some(_) => UseBy::Batches { sheds_to_file },
            None if config.rules.workers.is_some() => UseBy::Workers,
            None => UseBy::Stream,
        };
        let outputs = Outputs {
            use_by,
            // Whoever comes next appends to a file; behind anything else there is another reader then.
            lives_on: output.is_some_and(Port::is_file),
            tail: output.and_then(|output| Tail::of(output, Path::new("/dev/fd/1"))),
            tees,
        };
        let store = SpoolStore::new(opened, outputs, say)?;
        return Ok(Some(Store::Spool(store)));
    }
    let Some(bound) = config.spill else {
        return Ok(None);
    };
    let home = SpillHome::find(std::env::var_os("TMPDIR"))?;
    if home.in_memory {
        say(format!(
            "--spill: {} is itself in memory; set TMPDIR to a directory on a disk",
            home.path.display()
        ));
    }
    Ok(Some(Store::Spill(Spill::new(home, bound)?)))
}

/// Names every file that cannot be found, not only the first.
fn refuse_missing(files: &[PathBuf]) -> Result<(), PipeError> {
    let missing = files.iter().filter(|file| *file != Path::new("-"));
    let mut missing = missing.filter_map(|file| {
        let error = file.metadata().err()?;
        Some(PipeError::new("open", &file.display().to_string(), error))
    });
    match missing.next() {
        Some(first) => Err(first.and(missing.collect())),
        None => Ok(()),
    }
}

/// Looks at an input before the first byte is read, so that a misspelt name costs nothing.
fn input(file: &Path) -> Result<Input, PipeError> {
    if file == Path::new("-") {
        return Port::standard_input().map(Input::Ready);
    }
    let name = file.display().to_string();
    let kind = file
        .metadata()
        .map_err(|e| PipeError::new("open", &name, e))?
        .file_type();
    // Opening a FIFO waits for its writer, and opening another device may do anything.
    if kind.is_file() || kind.is_dir() || kind.is_block_device() {
        Port::open(file)?;
    }
    Ok(Input::File(file.to_owned()))
}
