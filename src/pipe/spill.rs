//! The disk behind memory, as the threads see it: the source puts bytes there, outputs read them back, and a thread
//! of its own gives back what nobody is owed any more, for that may take as long as a disk does.
//!
//! A disk that is full or fails is said once, in whatever way it does; the flow goes on as far as memory goes.

mod taken;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::event::Event;
use super::fd::Port;
use super::kept::Kept;
use super::spool::{Left, SpoolStore};
use crate::disk::error::DiskError;
use crate::disk::room::Full;
use crate::disk::segments::Appended;
use crate::disk::spill::Spill;
use crate::engine::action::{FilledBy, NoRoom};
use crate::engine::disk::Inherited;
use crate::engine::drive as engine;
use crate::engine::on_disk::Load;
use crate::engine::scan::Run;
use crate::engine::ticket::{Settled, Stretch, Ticket, Untried};

/// Where on the disk it is put.
#[derive(Debug)]
pub(crate) enum Store {
    /// Files that are gone with this run.
    Spill(Spill),
    /// A directory that outlives it.
    Spool(SpoolStore),
}

/// The disk.
#[derive(Debug)]
pub(super) struct Disk {
    store: Store,
    /// Nobody is owed what lies before this offset; the thread is told of each.
    floor: AtomicU64,
    floors: Sender<u64>,
    events: Sender<Event>,
    /// What was said of it, that it is full or fails: each once.
    said: Mutex<Vec<(&'static str, String)>>,
    /// The spool had no room when somebody asked last.
    lacks_room: AtomicBool,
    /// Whether room is waited for that others have.
    awaits_others: AtomicBool,
    /// What was read and is in no file of the spool.
    kept: Kept,
    /// Where the input was seen to end when what had been kept was put there; more may have come behind it since.
    ended_at: AtomicU64,
}

impl Disk {
    /// The disk behind memory, and what its thread is to hear.
    pub(super) fn new(store: Store, events: Sender<Event>) -> (Disk, Receiver<u64>) {
        let (floors, heard) = unbounded();
        let floor = match &store {
            Store::Spill(_) => 0,
            Store::Spool(spool) => spool.inherited_from(),
        };
        let disk = Disk {
            store,
            floor: AtomicU64::new(floor),
            floors,
            events,
            said: Mutex::default(),
            lacks_room: AtomicBool::new(false),
            awaits_others: AtomicBool::new(true),
            kept: Kept::default(),
            ended_at: AtomicU64::new(u64::MAX),
        };
        (disk, heard)
    }

    /// Has what is put there forced to the disk, where that is wanted.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(&self) -> io::Result<()> {
        self.spool().map_or(Ok(()), |it| it.start(&self.events))
    }

    /// The tees and taps have these numbers, in the order in which they were named.
    pub(super) fn number_sides(&mut self, numbers: &[usize]) {
        if let Store::Spool(spool) = &mut self.store {
            spool.number_sides(numbers);
        }
    }

    /// What an earlier run has left there.
    pub(super) fn inherited(&self) -> Option<Inherited> {
        self.spool().map(SpoolStore::inherited)
    }

    /// Gives back what it is told of, until nobody is left to tell it.
    pub(super) fn give_back_all(&self, floors: &Receiver<u64>, mut on_room: impl FnMut()) {
        while floors.recv().is_ok() {
            // They only wake it: several threads send them, and the last one to come need not be the highest.
            floors.try_iter().for_each(drop);
            // Where nothing is given back for it something else may be in the way now: whoever wants room finds that.
            if self.give_back_to(self.floor()) || self.lacks_room.load(Ordering::Acquire) {
                on_room();
            }
        }
    }

    /// Nobody is owed what lies before this offset.
    pub(super) fn give_back(&self, floor: u64) {
        self.floor.fetch_max(floor, Ordering::AcqRel);
        let _ = self.floors.send(floor);
    }

    /// Whether there was any.
    fn give_back_to(&self, floor: u64) -> bool {
        match &self.store {
            Store::Spill(spill) => spill.release(floor),
            Store::Spool(spool) => self.given_back(spool.release(floor)),
        }
    }

    /// From now on room that others have is waited for, or not any more: then ours has all that there is.
    pub(super) fn await_others(&self, awaits: bool) {
        self.awaits_others.store(awaits, Ordering::Release);
    }

    /// See [`Edge::disk_room`](crate::engine::drive::Edge::disk_room).
    pub(super) fn room(&self, most: usize) -> Result<usize, NoRoom> {
        let mut has_released = false;
        loop {
            let floor = self.floor();
            let ready = match &self.store {
                Store::Spill(spill) => spill.ready(most),
                Store::Spool(spool) => spool.ready(most),
            };
            let by = match ready {
                Ok(Ok(room)) => {
                    self.lacks_room.store(false, Ordering::Release);
                    return Ok(room);
                }
                Ok(Err(full)) if self.makes_room(full, floor, &mut has_released) => continue,
                Ok(Err(full)) => self.filled_by(full),
                Err(failure) => {
                    self.failed(failure);
                    FilledBy::Unknown
                }
            };
            return Err(NoRoom { by, floor });
        }
    }

    /// There is no room: gives back what nobody is owed, for something would be shed if that waited for the thread. Where
    /// there is none all the same, the beginning of a record goes that is in the way, but not where others fill the disk,
    /// who may make room for its rest, as long as they are waited for. Whether there may be some now.
    fn makes_room(&self, full: Full, floor: u64, has_released: &mut bool) -> bool {
        match &self.store {
            Store::Spill(spill) => spill.release(floor),
            Store::Spool(_) if !std::mem::replace(has_released, true) => {
                self.lacks_room.store(true, Ordering::Release);
                // The thread may have done so just now.
                self.give_back_to(floor);
                true
            }
            Store::Spool(spool) => {
                *has_released = false;
                let is_others = self.whose(full) == FilledBy::Others;
                !is_others && self.given_back(spool.release_begun(floor))
            }
        }
    }

    fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    fn given_back(&self, released: Result<bool, DiskError>) -> bool {
        released.unwrap_or_else(|failure| {
            self.failed(failure);
            false
        })
    }

    fn spool(&self) -> Option<&SpoolStore> {
        match &self.store {
            Store::Spill(_) => None,
            Store::Spool(spool) => Some(spool),
        }
    }

    fn home(&self) -> &Path {
        match &self.store {
            Store::Spill(spill) => spill.home(),
            Store::Spool(spool) => spool.home(),
        }
    }

    /// Takes what lies in a pipe straight to the disk, and then into memory. `None`: that cannot be. What the disk does not
    /// take although it had room stays in the pipe.
    pub(super) fn take_from(&self, input: &Port, into: &mut [u8]) -> Option<engine::Taken> {
        let spool = self.spool()?;
        let mut has_released = false;
        let taken = loop {
            match spool.take_from(input, into) {
                Ok((Appended::Full(full), _))
                    if self.makes_room(full, self.floor(), &mut has_released) => {}
                taken => break taken,
            }
        };
        let by = match taken {
            Ok((Appended::Bytes(n), at)) => {
                spool.changed();
                return Some(Ok(Some((n, Some(at)))));
            }
            Ok((Appended::Empty, _)) => return Some(Ok(None)),
            Ok((Appended::End, _)) => return Some(Ok(Some((0, None)))),
            Ok((Appended::Refused, _)) => return None,
            Ok((Appended::Full(full), _)) => self.filled_by(full),
            Err(failure) => {
                self.failed(failure);
                FilledBy::Unknown
            }
        };
        let floor = self.floor();
        Some(Err(NoRoom { by, floor }))
    }

    /// See [`Edge::fetch`](crate::engine::drive::Edge::fetch).
    pub(super) fn fetch(&self, who: usize, load: &mut Load) -> io::Result<()> {
        match &self.store {
            Store::Spill(spill) => {
                let (at, n) = (load.offset, load.length);
                let read = spill.read(at, &mut load.bytes()[..n]);
                read.map_err(io::Error::other)?;
                load.read(0..n);
                Ok(())
            }
            Store::Spool(spool) => spool.fetch(who, load, &self.events),
        }
    }

    /// See [`Edge::remember`](crate::engine::drive::Edge::remember).
    pub(super) fn remember(&self, who: usize, to: u64, run: Run) -> io::Result<()> {
        let known = self.spool().map(|it| it.remember(who, to, run));
        known.unwrap_or(Ok(())).map_err(io::Error::other)
    }

    /// See [`Edge::remember_part`](crate::engine::drive::Edge::remember_part).
    pub(super) fn remember_part(&self, who: usize, part: &Stretch) -> io::Result<()> {
        let known = self.spool().map(|it| it.remember_part(who, part));
        known.unwrap_or(Ok(())).map_err(io::Error::other)
    }

    /// One of those who take from the stream side by side has left these parts of what it was given.
    pub(super) fn give_back_of(&self, who: usize, parts: &[Stretch]) -> Result<(), DiskError> {
        self.spool().map_or(Ok(()), |it| it.give_back(who, parts))
    }

    /// The output of this number has failed.
    pub(super) fn forget(&self, who: usize) -> Result<(), DiskError> {
        self.spool().map_or(Ok(()), |it| it.forget(who))
    }

    /// The consumer is owed again what lies from this offset on, and so many records more than before.
    pub(super) fn set_back(&self, at: u64, records: u64) -> Result<(), DiskError> {
        self.spool().map_or(Ok(()), |it| it.set_back(at, records))
    }

    /// A program is about to be run with this batch; by which name it is known, where it outlives this run, and whether
    /// an earlier run has had it.
    pub(super) fn begin_batch(
        &self,
        ticket: &Ticket,
        ahead: &[Untried],
    ) -> Result<Option<(String, bool)>, DiskError> {
        let begun = self.spool().map(|it| it.begin_batch(ticket, ahead));
        begun.transpose()
    }

    /// That is what has become of this batch.
    pub(super) fn end_try(&self, number: u64, how: Settled) -> Result<(), DiskError> {
        self.spool().map_or(Ok(()), |it| it.end_try(number, how))
    }

    /// The file for what is shed has what lies between these offsets.
    pub(super) fn on_shed_written(&self, from: u64, to: u64) -> Result<(), DiskError> {
        self.spool()
            .map_or(Ok(()), |it| it.on_shed_written(from, to))
    }

    /// The input has ended, and all of it is there: what goes on with its last record never comes. Whether it is on the disk
    /// is waited for, where that is wanted at all, or not.
    pub(super) fn end_input(&self, is_waited_for: bool) {
        if let Store::Spool(spool) = &self.store
            && let Err(failure) = spool.end_input(is_waited_for)
        {
            self.failed(failure);
        }
    }

    /// The run is over; `is_in_hurry`: there is no time to force anything to the disk.
    pub(super) fn ends(&self, is_in_hurry: bool) {
        if let Some(spool) = self.spool() {
            spool.ends(is_in_hurry);
        }
    }

    /// Nothing is put there or read any more; `has_ended`: the input has. Says how what stays there is left.
    /// `on_saved` is called when all is written down, and not forced to the disk yet.
    pub(super) fn close(&self, has_ended: bool, on_saved: &dyn Fn(Left)) -> Left {
        let Some(spool) = self.spool() else {
            return Left::IN_ORDER;
        };
        let has_all = self.put_kept();
        if spool.end() == self.ended_at.load(Ordering::Acquire) {
            self.end_input(false);
        }
        let mut left = spool.close(has_ended, &self.events, on_saved);
        left.is_in_order &= has_all;
        left
    }

    /// Says what is in the way, and to the user, once, that the disk is full.
    fn filled_by(&self, full: Full) -> FilledBy {
        if full == Full::Disk {
            self.full();
        }
        self.whose(full)
    }

    fn whose(&self, full: Full) -> FilledBy {
        if full == Full::Bound {
            return FilledBy::Bound;
        }
        let has_most = match &self.store {
            Store::Spill(spill) => spill.has_most_of_disk(),
            Store::Spool(spool) => spool.has_most_of_disk(),
        };
        if has_most || !self.awaits_others.load(Ordering::Acquire) {
            FilledBy::Ours
        } else {
            FilledBy::Others
        }
    }

    fn full(&self) {
        let what = match &self.store {
            Store::Spill(_) => "spill to",
            Store::Spool(_) => "spool to",
        };
        let why = "the disk is full: what it has no room for waits for some";
        self.failed(DiskError::because(what, self.home(), why));
    }

    fn failed(&self, failure: DiskError) {
        // To which of its files is no news.
        let what = (failure.what, failure.reason.clone());
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.contains(&what) {
            said.push(what);
            let _ = self.events.send(Event::DiskFailed(failure.into()));
        }
    }
}
