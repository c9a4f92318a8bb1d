//! What is written beside standard error: the log, and pages that are kept up to date.

use std::path::Path;

use crossbeam_channel::Sender;

use super::atomic_file::AtomicFile;
use super::log::Log;
use super::writer::Writer;
use crate::pipe::error::PipeError;
use crate::pipe::reopen::Reopener;

/// The way to the log, and what opens it anew.
pub(super) type LogWriter = (Writer<String>, Reopener);

pub(super) fn open_log(path: &Path, errors: &Sender<String>) -> Result<LogWriter, PipeError> {
    let mut log = Log::open(path, errors.clone())?;
    let reopener = log.reopener(path);
    Ok((Writer::new("log", move |line| log.write(line)), reopener))
}

/// The way to a page that this option names, by a thread of this name.
pub(super) fn open_page(
    what: &'static str,
    option: &'static str,
    path: &Path,
    pid: u32,
    errors: &Sender<String>,
) -> Result<Writer<String>, PipeError> {
    let name = path.display().to_string();
    let failed = |e| PipeError::new("write", &name, e).of(option);
    let file = AtomicFile::new(path, pid).map_err(failed)?;
    let errors = errors.clone();
    Ok(Writer::new(
        what,
        once(errors, name, move |page: String| file.keep(&page)),
    ))
}

/// Work that goes on whatever comes of it, and complains the first time that it fails.
fn once(
    errors: Sender<String>,
    name: String,
    mut work: impl FnMut(String) -> std::io::Result<()> + Send + 'static,
) -> impl FnMut(String) + Send + 'static {
    let mut errors = Some(errors);
    move |message| {
        if let Err(e) = work(message)
            && let Some(errors) = errors.take()
        {
            let _ = errors.send(format!("weir: {}", PipeError::new("write", &name, e)));
        }
    }
}
