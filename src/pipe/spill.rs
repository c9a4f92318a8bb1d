//! The thread that writes down what was shed, where `--shed-to` asks for it.
//!
//! It must never hold the flow up: it takes what there is, in order, and writes it at the file's
//! own pace; what had to be dropped meanwhile, or could not be written, is counted and said once.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, after, bounded, select};

use super::append::Appended;
use super::error::Failure;
use super::{Event, Shared};
use crate::core::frame::Framing;

/// How long the end of a run waits for the file, at most.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// The file, before the thread has it.
#[derive(Debug)]
pub struct Spill {
    file: Appended,
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
    pub fn open(path: &Path, framing: Option<Framing>) -> Result<Spill, Failure> {
        let file = Appended::open(path, framing)?;
        Ok(Spill { file })
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses one.
    pub fn start(self, shared: &Arc<Shared>, events: Sender<Event>) -> io::Result<Spiller> {
        shared.tell(|core, _| core.want_spill());
        let ((close, closing), (say, done)) = (bounded(1), bounded(1));
        let (core, name) = (shared.clone(), self.file.name().to_owned());
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
        let mut events = Some(events);
        let mut complain = |failed: Result<(), Failure>| {
            if let Err(failure) = failed
                && let Some(events) = events.take()
            {
                let _ = events.send(Event::SpillFailed(failure));
            }
        };
        let mut last = false;
        loop {
            let (bytes, lost) = shared.tell(|core, _| core.take_spill(last));
            if !bytes.is_empty() {
                complain(self.file.append(&bytes));
            }
            if lost > 0 {
                complain(Err(too_slow(self.file.name())));
            }
            if last {
                return complain(self.file.close());
            }
            if bytes.is_empty() {
                shared.spill_bell.wait(None);
            }
            last = closing.try_recv().is_ok();
        }
    }
}

impl Spiller {
    /// Waits until all is written, but not for ever, nor when somebody is `impatient` with one of
    /// these signals: what is not written is a failure.
    ///
    /// # Errors
    /// When the file has taken too long. What it has refused is told by [`Event::SpillFailed`].
    pub fn finish(
        self,
        impatient: &Receiver<i32>,
        with: impl Fn(i32) -> bool,
    ) -> Result<(), Failure> {
        let _ = self.close.send(());
        self.shared.spill_bell.ring();
        let late = after(LAST_WAIT);
        loop {
            select! {
                recv(self.done) -> _ => return Ok(()),
                recv(impatient) -> signal => if !signal.is_ok_and(&with) { continue },
                recv(late) -> _ => {}
            }
            return Err(too_slow(&self.name));
        }
    }
}

fn too_slow(name: &str) -> Failure {
    Failure::because("write", name, "too slow: some was discarded")
}
