//! The thread that writes down what was shed, where `--shed-to` asks for it.
//!
//! It must never hold the flow up: it takes what there is, in order, and writes it at the file's
//! own pace; what had to be dropped meanwhile, or could not be written, is counted and said once.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::error::Failure;
use super::{Event, Shared};

/// How long the end of a run waits for the file, at most.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// The file, before the thread has it.
#[derive(Debug)]
pub struct Spill {
    path: PathBuf,
    file: File,
}

/// The thread, as the others see it.
#[derive(Debug)]
pub struct Spiller {
    shared: Arc<Shared>,
    done: Receiver<()>,
    close: Sender<()>,
    name: String,
}

impl Spill {
    /// Opens the file for appending.
    ///
    /// # Errors
    /// When that cannot be done: before anything is read.
    pub fn open(path: &Path) -> Result<Spill, Failure> {
        let open = OpenOptions::new().append(true).create(true).open(path);
        let file = open.map_err(|e| Failure::new("open", &path.display().to_string(), e))?;
        Ok(Spill {
            path: path.to_owned(),
            file,
        })
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses one.
    pub fn start(self, shared: &Arc<Shared>, events: Sender<Event>) -> io::Result<Spiller> {
        shared.tell(|core, _| core.want_spill());
        let ((close, closing), (say, done)) = (bounded(1), bounded(1));
        let (core, name) = (shared.clone(), self.name());
        thread::Builder::new().name("spill".into()).spawn(move || {
            self.run(&core, &closing, &events);
            let _ = say.send(());
        })?;
        Ok(Spiller {
            shared: shared.clone(),
            done,
            close,
            name,
        })
    }

    fn run(mut self, shared: &Shared, closing: &Receiver<()>, events: &Sender<Event>) {
        let mut complained = false;
        let mut last = false;
        loop {
            let (bytes, lost) = shared.tell(|core, _| core.take_spill(last));
            let written = self.write(&bytes);
            let failed = written
                .err()
                .map(|e| Failure::new("write", &self.name(), e));
            let slow = || too_slow(&self.name());
            if let Some(failure) = failed.or_else(|| (lost > 0).then(slow))
                && !complained
            {
                complained = true;
                let _ = events.send(Event::SpillFailed(failure));
            }
            if last {
                return;
            }
            if bytes.is_empty() {
                shared.spill_bell.wait(None);
            }
            last = closing.try_recv().is_ok();
        }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Writes all of it, or none: half a record is worse than a missing one.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let before = self.file.metadata().map(|m| (m.is_file(), m.len()));
        let written = self.file.write_all(bytes);
        if let (Err(_), Ok((true, length))) = (&written, before) {
            let _ = self.file.set_len(length);
        }
        written
    }
}

impl Spiller {
    /// Waits until all is written, but not for ever: what is not is a failure.
    ///
    /// # Errors
    /// When the file has taken too long. What it has refused is told by [`Event::SpillFailed`].
    pub fn finish(self) -> Result<(), Failure> {
        let _ = self.close.send(());
        self.shared.spill_bell.ring();
        match self.done.recv_timeout(LAST_WAIT) {
            Err(RecvTimeoutError::Timeout) => Err(too_slow(&self.name)),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(()),
        }
    }
}

fn too_slow(name: &str) -> Failure {
    Failure::because("write", name, "too slow: some was discarded")
}
