//! The thread that writes down what was shed, where `--shed-to` asks for it.
//!
//! It must never hold the flow up: it takes what there is, in order, and writes it at the file's
//! own pace; what had to be dropped meanwhile, or could not be written, is counted and said once.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, after, bounded, never, select};

use super::append::Appended;
use super::error::PipeError;
use super::reopen::{Reopener, Successor};
use super::shared::{Event, Shared};
use crate::engine::OVERFLOW;
use crate::engine::action::{Actor, Wait, Write};
use crate::engine::drive::{Driver, Edge, End};
use crate::engine::on_disk::Load;
use crate::engine::record::Framing;
use crate::engine::scan::Run;

/// How long the end of a run waits for the file, at most.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Bytes of a record that are held until the rest of it is there: it goes out in one piece.
const BEGUN_MOST: usize = 8 << 20;

/// What names the file.
const OPTION: &str = "--shed-to";

/// The file, before the thread has it.
#[derive(Debug)]
pub(crate) struct OverflowFile {
    file: Appended,
    path: PathBuf,
    framing: Option<Framing>,
    next: Successor<Appended>,
}

/// The thread, as the others see it.
#[derive(Debug)]
pub(crate) struct OverflowThread {
    shared: Arc<Shared>,
    done: Receiver<()>,
    name: String,
}

impl OverflowFile {
    /// Opens the file for appending.
    ///
    /// # Errors
    /// When that cannot be done: before anything is read.
    pub(crate) fn open(path: &Path, framing: Option<Framing>) -> Result<OverflowFile, PipeError> {
        let file = Appended::open(path, framing).map_err(|e| e.of(OPTION))?;
        Ok(OverflowFile {
            file,
            path: path.to_owned(),
            framing,
            next: Successor::none(),
        })
    }

    /// What opens it anew.
    pub(crate) fn reopener(&self) -> Reopener {
        let framing = self.framing;
        let open = move |path: &Path| Appended::open(path, framing);
        self.next.reopener(OPTION, &self.path, open)
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses one.
    pub(crate) fn start(
        self,
        shared: &Arc<Shared>,
        events: Sender<Event>,
    ) -> io::Result<OverflowThread> {
        shared.update_and_wake(|engine, _| engine.open_overflow());
        let (say, done) = bounded(1);
        let (engine, name) = (shared.clone(), self.file.name().to_owned());
        thread::Builder::new()
            .name("overflow".into())
            .spawn(move || {
                self.run(&engine, events);
                let _ = say.send(());
            })?;
        Ok(OverflowThread {
            shared: shared.clone(),
            done,
            name,
        })
    }

    fn run(self, shared: &Arc<Shared>, events: Sender<Event>) {
        let mut edge = World {
            file: self.file,
            next: self.next,
            shared: shared.clone(),
            events: Some(events),
            begun: Vec::new(),
            is_inside: false,
        };
        let end = Driver::new(Actor::Output(OVERFLOW)).run(shared, &mut edge);
        if let End::Disk(e) = end {
            complain(&mut edge.events, Err(PipeError::disk(e)));
        }
        edge.flush();
        edge.look_for_losses();
        let World {
            file, events, next, ..
        } = edge;
        complain(&mut { events }, file.close());
        next.close();
    }
}

/// The world as the driver sees it.
struct World {
    file: Appended,
    /// What is to be written to instead.
    next: Successor<Appended>,
    shared: Arc<Shared>,
    /// Until something was complained of.
    events: Option<Sender<Event>>,
    /// The beginning of a record whose rest is still to be read back from the disk.
    begun: Vec<u8>,
    /// The file has a part of a record already.
    is_inside: bool,
}

impl World {
    /// Complains if the queue had to lose something for want of room.
    fn look_for_losses(&mut self) {
        let told = self
            .shared
            .update_and_wake(|engine, _| (engine.take_too_long(), engine.take_lost()));
        match told {
            (true, _) => complain(&mut self.events, Err(too_long(self.file.name()))),
            (false, 1..) => complain(&mut self.events, Err(too_slow(self.file.name()))),
            (false, 0) => {}
        }
    }

    /// The file was moved away: from the beginning of the next record on it is another one.
    fn go_on_with_next(&mut self) {
        if !self.is_inside
            && let Some((file, _asked)) = self.next.take()
        {
            let old = std::mem::replace(&mut self.file, file);
            complain(&mut self.events, old.close());
        }
    }

    /// The record that was begun has no end, or is too long to be waited for.
    fn flush(&mut self) {
        let begun = std::mem::take(&mut self.begun);
        self.is_inside |= !begun.is_empty();
        complain(&mut self.events, self.file.append(&begun));
    }

    /// What was begun is all there is of its record, the last one of the input: another one comes behind it.
    fn end_begun(&mut self) {
        let is_begun = self.is_inside || !self.begun.is_empty();
        if let Some(end) = self.file.terminator().filter(|_| is_begun) {
            self.begun.push(end);
            self.flush();
        }
        self.is_inside = false;
    }
}

impl Edge for World {
    fn write(&mut self, write: &Write) -> io::Result<Option<usize>> {
        if write.begins_record {
            self.end_begun();
        }
        self.go_on_with_next();
        let taken = write.slices().map(<[u8]>::len).sum();
        let mut records = std::mem::take(&mut self.begun);
        write
            .slices()
            .for_each(|bytes| records.extend_from_slice(bytes));
        self.begun = records.split_off(self.file.whole(&records));
        self.is_inside &= records.is_empty();
        complain(&mut self.events, self.file.append(&records));
        if self.begun.len() > BEGUN_MOST {
            self.flush();
        }
        self.look_for_losses();
        // What the file has refused is lost: it will not be tried again.
        Ok(Some(taken))
    }

    fn fetch(&mut self, load: &mut Load) -> io::Result<()> {
        self.shared.fetch(OVERFLOW, load)
    }

    fn remember(&mut self, to: u64, run: Run) -> io::Result<()> {
        self.shared.on_shed_written(to - run.bytes as u64, to)
    }

    fn wait(&mut self, Wait { sleep, version }: Wait) -> Option<io::Result<bool>> {
        self.go_on_with_next();
        self.shared.overflow.wait(version, sleep.until);
        Some(Ok(false))
    }
}

/// Says what went wrong, the first time that something does.
fn complain(events: &mut Option<Sender<Event>>, failed: Result<(), PipeError>) {
    if let Err(failure) = failed
        && let Some(events) = events.take()
    {
        let _ = events.send(Event::OverflowFailed(failure));
    }
}

impl OverflowThread {
    /// Waits until all is written, but not for ever, nor when somebody is `impatient` with one of
    /// these signals while something is still to be written: that is a failure.
    ///
    /// # Errors
    /// When the file has taken too long. What it has refused is told by [`Event::OverflowFailed`].
    pub(crate) fn finish<T>(
        self,
        impatient: &Receiver<T>,
        with: impl FnMut(T) -> bool,
    ) -> Result<(), PipeError> {
        self.shared
            .update_and_wake(|engine, now| engine.close_overflow(now));
        let is_pending = || {
            self.shared
                .update_and_wake(|engine, _| engine.is_overflow_pending())
        };
        match is_over(&self.done, impatient, with, is_pending) {
            true => Ok(()),
            false => Err(too_slow(&self.name)),
        }
    }
}

/// Waits until it is `done`: not for longer than that may take, nor when something is pending that somebody is too
/// impatient for.
fn is_over<T>(
    done: &Receiver<()>,
    impatient: &Receiver<T>,
    mut with: impl FnMut(T) -> bool,
    is_pending: impl Fn() -> bool,
) -> bool {
    let late = after(LAST_WAIT);
    let mut impatient = impatient.clone();
    loop {
        select! {
            recv(done) -> _ => return true,
            recv(impatient) -> signal => match signal.map(&mut with) {
                Ok(true) if is_pending() => return false,
                Ok(_) => {}
                // Nobody is left who could send one: that is always ready.
                Err(_) => impatient = never(),
            },
            recv(late) -> _ => return false,
        }
    }
}

fn too_slow(name: &str) -> PipeError {
    PipeError::because("write", name, "too slow: some was discarded")
}

/// See [`BEGUN_MOST`], which the engine's own bound is as well.
fn too_long(name: &str) -> PipeError {
    PipeError::because("write", name, "a record longer than 8MiB was discarded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_while_the_file_is_closed_discards_nothing() {
        let (say, done) = bounded(1);
        let (signal, signals) = bounded(1);
        signal.send(1).expect("somebody listens");
        let is_pending = || {
            // That signal has been heard, and the thread ends.
            let _ = say.send(());
            false
        };
        assert!(is_over(&done, &signals, |signal| signal == 1, is_pending));
    }

    #[test]
    fn a_signal_while_something_is_to_be_written_is_the_end() {
        let (_say, done) = bounded(1);
        let (signal, signals) = bounded(2);
        signal.send(2).expect("somebody listens");
        signal.send(1).expect("somebody listens");
        assert!(!is_over(&done, &signals, |signal| signal == 1, || true));
    }

    #[test]
    fn a_file_is_waited_for_in_sleep_also_where_nobody_can_send_a_signal_any_more() {
        let (_say, done) = bounded(1);
        let (_, signals) = bounded::<i32>(1);
        let ticks = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let before = Duration::try_from(ticks()).expect("a time");
        assert!(!is_over(&done, &signals, |_| true, || true));
        let spent = Duration::try_from(ticks()).expect("a time") - before;
        assert!(spent < LAST_WAIT / 20, "{spent:?}");
    }
}
