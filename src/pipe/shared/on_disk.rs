//! What the threads ask of the disk behind memory, and tell it; where there is none, that is nothing.

use std::io;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::bounded;

use super::super::error::PipeError;
use super::super::spool::Left;
use super::{Closing, Shared};
use crate::engine::on_disk::Load;
use crate::engine::scan::Run;
use crate::engine::ticket::{Settled, Stretch, Ticket, Untried};

impl Shared {
    /// Reads back from the disk what the output of this number asks for.
    ///
    /// # Errors
    /// When the disk fails, or there is none.
    pub(crate) fn fetch(&self, who: usize, load: &mut Load) -> io::Result<()> {
        match &self.disk {
            Some(disk) => disk.fetch(who, load),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// What lies before this offset on the disk has been written to the output of this number: this was the last of it.
    pub(in crate::pipe) fn remember(&self, who: usize, to: u64, run: Run) -> io::Result<()> {
        match &self.disk {
            Some(disk) => disk.remember(who, to, run),
            None => Ok(()),
        }
    }

    /// This part of a stream that outlives this run has been written to the program of this worker.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(crate) fn remember_part(&self, j: usize, part: &Stretch) -> io::Result<()> {
        match &self.disk {
            Some(disk) => disk.remember_part(j, part),
            None => Ok(()),
        }
    }

    /// The program of this worker is gone, or reads no more, and has left so much in its pipe: that is written down before
    /// anybody else can be given it.
    ///
    /// # Errors
    /// When it cannot be.
    pub(crate) fn give_back_of(&self, j: usize, unread: u64) -> Result<(), PipeError> {
        let Some(disk) = &self.disk else {
            return Ok(());
        };
        let left = self.update_and_wake(|engine, now| match engine.outlives() {
            true => engine.left_by(j, unread, now),
            false => None,
        });
        let saved = left.map(|parts| disk.give_back_of(j, &parts));
        Ok(saved.transpose().map(drop)?)
    }

    /// A program is about to be run with this batch. Says by which name it is known, where it outlives this run, and
    /// whether an earlier run has had it.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(crate) fn begin_batch(
        &self,
        ticket: &Ticket,
        ahead: &[Untried],
    ) -> Result<Option<(String, bool)>, PipeError> {
        let disk = self.disk.as_ref();
        let begun = disk.map(|disk| disk.begin_batch(ticket, ahead));
        Ok(begun.transpose()?.flatten())
    }

    /// That is what has become of this batch.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(crate) fn end_try(&self, number: u64, how: Settled) -> Result<(), PipeError> {
        let settled = self.disk.as_ref().map(|disk| disk.end_try(number, how));
        Ok(settled.transpose().map(drop)?)
    }

    /// The file for what is shed has what lies between these offsets of the disk.
    pub(in crate::pipe) fn on_shed_written(&self, from: u64, to: u64) -> io::Result<()> {
        let written = self
            .disk
            .as_ref()
            .map(|disk| disk.on_shed_written(from, to));
        written.transpose().map(drop).map_err(io::Error::other)
    }

    /// The output of this number has failed: nothing stays on the disk for it.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub(in crate::pipe) fn forget(&self, who: usize) -> Result<(), PipeError> {
        let forgotten = self.disk.as_ref().map(|disk| disk.forget(who));
        Ok(forgotten.transpose().map(drop)?)
    }

    /// Takes back what the consumer that is gone has left of what it was given, of which so much lay unread. Bytes that
    /// all consumers so far have read.
    ///
    /// # Errors
    /// When the place at which another one goes on cannot be saved.
    pub(crate) fn take_back(&self, unread: u64) -> (u64, Result<(), PipeError>) {
        let (back, dealt_with) = self.update_and_wake(|engine, now| {
            let back = engine.take_back(unread, now);
            (back, engine.dealt_with())
        });
        let disk = self.disk.as_ref().zip(back);
        let saved = disk.map(|(disk, (at, records))| disk.set_back(at, records));
        (dealt_with, saved.transpose().map(drop).map_err(Into::into))
    }

    /// Whether there is a disk behind memory.
    pub(crate) fn has_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// The run is over; `is_in_hurry`: there is no time to force what is to stay on the disk there.
    pub(crate) fn ends_on_disk(&self, is_in_hurry: bool) {
        if let Some(disk) = &self.disk {
            disk.ends(is_in_hurry);
        }
    }

    /// What is to stay on the disk is told so: nothing is written or delivered any more. That may take as long as the disk
    /// does, so it is another thread that does it.
    pub(crate) fn close_disk(self: &Arc<Self>, has_ended: bool) -> Closing {
        let (say_saved, saved) = bounded(1);
        let (say_done, done) = bounded(1);
        let shared = self.clone();
        let close = move || {
            let on_saved = |left| {
                let _ = say_saved.try_send(left);
            };
            let disk = shared.disk.as_ref();
            let left = disk.map_or(Left::IN_ORDER, |disk| disk.close(has_ended, &on_saved));
            let _ = say_done.try_send(left);
        };
        let is_begun = self.disk.is_some() && {
            let thread = thread::Builder::new().name("close".into());
            thread.spawn(close.clone()).is_ok()
        };
        if !is_begun {
            close();
        }
        Closing { saved, done }
    }
}
