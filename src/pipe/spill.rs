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

use crossbeam_channel::{Receiver, Sender, after, bounded, select};

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

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut file = &self.file;
        append(&self.file, bytes, |rest| file.write(rest))
    }
}

/// Appends all of it by `write`, or none: half a record is worse than a missing one. What others
/// have appended meanwhile stays, and so does the half before it: it could not be cut out.
fn append(
    file: &File,
    bytes: &[u8],
    mut write: impl FnMut(&[u8]) -> io::Result<usize>,
) -> io::Result<()> {
    let length = || file.metadata().map(|m| (m.is_file(), m.len()));
    let before = length();
    let mut done = 0;
    let written = loop {
        if done == bytes.len() {
            break Ok(());
        }
        match write(&bytes[done..]) {
            Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => break Err(e),
        }
    };
    if let (Err(_), Ok((true, before)), Ok((_, now))) = (&written, before, length())
        && now == before.saturating_add(done as u64)
    {
        let _ = file.set_len(before);
    }
    written
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What the file holds after a disk has filled up halfway through a write, with `between`
    /// happening at that moment.
    fn after_half_a_write(between: impl FnOnce(&Path)) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shed");
        fs::write(&path, "before\n").expect("written");
        let spill = Spill::open(&path).expect("a file");
        let mut between = Some(between);
        let written = append(&spill.file, b"one\ntwo\n", |rest| match between.take() {
            Some(between) => {
                let done = (&spill.file).write(&rest[..6]);
                between(&path);
                done
            }
            None => Err(io::ErrorKind::StorageFull.into()),
        });
        assert!(written.is_err());
        fs::read_to_string(&path).expect("text")
    }

    #[test]
    fn half_of_what_was_to_be_written_is_taken_back() {
        assert_eq!(after_half_a_write(|_| ()), "before\n");
    }

    #[test]
    fn what_another_process_has_appended_meanwhile_stays() {
        let text = after_half_a_write(|path| {
            let mut other = Spill::open(path).expect("a file").file;
            other.write_all(b"theirs\n").expect("written");
        });
        assert_eq!(text, "before\none\ntwtheirs\n");
    }
}
