//! The disk behind memory, as the threads see it: the source puts bytes there, outputs read them back, and a thread
//! of its own gives back what nobody is owed any more, for that may take as long as a disk does.
//!
//! A disk that is full or fails is said once; the flow goes on as far as memory goes.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::event::Event;
use super::fd::Port;
use super::spool::{Left, SpoolStore};
use crate::disk::error::DiskError;
use crate::disk::room::Full;
use crate::disk::segments::Taken;
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
    /// It was said that it is full, or fails.
    said: AtomicBool,
    /// The beginning of a record that has as many bytes does not wait for room that others must make: memory has none for
    /// it either.
    long: u64,
    /// The spool had no room when somebody asked last.
    lacks_room: AtomicBool,
}

impl Disk {
    /// The disk behind this much memory, and what its thread is to hear.
    pub(super) fn new(store: Store, memory: u64, events: Sender<Event>) -> (Disk, Receiver<u64>) {
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
            said: AtomicBool::new(false),
            long: memory,
            lacks_room: AtomicBool::new(false),
        };
        (disk, heard)
    }

    /// Has what is put there forced to the disk, where that is wanted.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(&self) -> io::Result<()> {
        match &self.store {
            Store::Spill(_) => Ok(()),
            Store::Spool(spool) => spool.start(&self.events),
        }
    }

    /// The tees and taps have these numbers, in the order in which they were named.
    pub(super) fn number_sides(&mut self, numbers: &[usize]) {
        if let Store::Spool(spool) = &mut self.store {
            spool.number_sides(numbers);
        }
    }

    /// What an earlier run has left there.
    pub(super) fn inherited(&self) -> Option<Inherited> {
        match &self.store {
            Store::Spill(_) => None,
            Store::Spool(spool) => Some(spool.inherited()),
        }
    }

    /// Gives back what it is told of, until nobody is left to tell it.
    pub(super) fn give_back_all(&self, floors: &Receiver<u64>, mut on_room: impl FnMut()) {
        while let Ok(floor) = floors.recv() {
            let floor = floors.try_iter().last().unwrap_or(floor);
            // Where nothing is given back for it something else may be in the way now: whoever wants room finds that.
            if self.give_back_to(floor) || self.lacks_room.load(Ordering::Acquire) {
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
                    FilledBy::Others
                }
            };
            return Err(NoRoom { by, floor });
        }
    }

    /// There is no room: gives back what nobody is owed, for something would be shed if that waited for the thread. Where
    /// there is none all the same, the beginning of a record goes that is in the way, but not where others fill the disk
    /// and it would have a place. Whether there may be some now.
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
                let least = match self.whose(full) {
                    FilledBy::Bound | FilledBy::Ours => 0,
                    FilledBy::Others => self.long,
                };
                self.given_back(spool.release_begun(floor, least))
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

    /// See [`Edge::store`](crate::engine::drive::Edge::store).
    pub(super) fn store(&self, bytes: &[u8]) -> Option<u64> {
        let put = match &self.store {
            Store::Spill(spill) => spill.append(bytes),
            Store::Spool(spool) => {
                let put = spool.append(bytes);
                spool.tell_untold(&self.events);
                put
            }
        };
        match put {
            Ok(Ok(at)) => Some(at),
            Ok(Err(full)) => {
                self.filled_by(full);
                None
            }
            Err(failure) => {
                self.failed(failure);
                None
            }
        }
    }

    /// Takes what lies in a pipe straight to the disk, and then into memory. `None`: that cannot be. What the disk does not
    /// take although it had room stays in the pipe.
    pub(super) fn take_from(&self, input: &Port, into: &mut [u8]) -> Option<engine::Taken> {
        let Store::Spool(spool) = &self.store else {
            return None;
        };
        let mut has_released = false;
        let taken = loop {
            let taken = spool.take_from(input, into);
            spool.tell_untold(&self.events);
            match taken {
                Ok((Taken::Full(full), _))
                    if self.makes_room(full, self.floor(), &mut has_released) => {}
                taken => break taken,
            }
        };
        let by = match taken {
            Ok((Taken::Bytes(n), at)) => return Some(Ok(Some((n, Some(at))))),
            Ok((Taken::Empty, _)) => return Some(Ok(None)),
            Ok((Taken::End, _)) => return Some(Ok(Some((0, None)))),
            Ok((Taken::Refused, _)) => return None,
            Ok((Taken::Full(full), _)) => self.filled_by(full),
            Err(failure) => {
                self.failed(failure);
                FilledBy::Others
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
        match &self.store {
            Store::Spill(_) => Ok(()),
            Store::Spool(spool) => spool.remember(who, to, run).map_err(io::Error::other),
        }
    }

    /// See [`Edge::remember_part`](crate::engine::drive::Edge::remember_part).
    pub(super) fn remember_part(&self, who: usize, part: &Stretch) -> io::Result<()> {
        match &self.store {
            Store::Spill(_) => Ok(()),
            Store::Spool(spool) => spool.remember_part(who, part).map_err(io::Error::other),
        }
    }

    /// One of those who take from the stream side by side has left these parts of what it was given.
    pub(super) fn give_back_of(&self, who: usize, parts: &[Stretch]) -> Result<(), DiskError> {
        match &self.store {
            Store::Spill(_) => Ok(()),
            Store::Spool(spool) => spool.give_back(who, parts),
        }
    }

    /// The output of this number has failed.
    pub(super) fn forget(&self, who: usize) -> Result<(), DiskError> {
        match &self.store {
            Store::Spill(_) => Ok(()),
            Store::Spool(spool) => spool.forget(who),
        }
    }

    /// The consumer is owed again what lies from this offset on, and so many records more than before.
    pub(super) fn set_back(&self, at: u64, records: u64) -> Result<(), DiskError> {
        match &self.store {
            Store::Spill(_) => Ok(()),
            Store::Spool(spool) => spool.set_back(at, records),
        }
    }

    /// A program is about to be run with this batch; by which name it is known, where it outlives this run, and whether
    /// an earlier run has had it.
    pub(super) fn begin_batch(
        &self,
        ticket: &Ticket,
        ahead: &[Untried],
    ) -> Result<Option<(String, bool)>, DiskError> {
        match &self.store {
            Store::Spill(_) => Ok(None),
            Store::Spool(spool) => spool.begin_batch(ticket, ahead).map(Some),
        }
    }

    /// That is what has become of this batch.
    pub(super) fn settle_batch(&self, number: u64, how: Settled) -> Result<(), DiskError> {
        match &self.store {
            Store::Spill(_) => Ok(()),
            Store::Spool(spool) => spool.settle_batch(number, how),
        }
    }

    /// The file for what is shed has what lies between these offsets.
    pub(super) fn on_shed_written(&self, from: u64, to: u64) -> Result<(), DiskError> {
        match &self.store {
            Store::Spill(_) => Ok(()),
            Store::Spool(spool) => spool.on_shed_written(from, to),
        }
    }

    /// The input has ended, and all of it is there: what goes on with its last record never comes.
    pub(super) fn end_input(&self) {
        if let Store::Spool(spool) = &self.store
            && let Err(failure) = spool.end_input()
        {
            self.failed(failure);
        }
    }

    /// Nothing is put there or read any more; `has_ended`: the input has. Says how what stays there is left.
    /// `wait` says whether a disk that fails has still time after this.
    pub(super) fn close(&self, has_ended: bool, wait: &dyn Fn(Duration) -> bool) -> Left {
        match &self.store {
            Store::Spill(_) => Left::IN_ORDER,
            Store::Spool(spool) => spool.close(has_ended, &self.events, wait),
        }
    }

    /// It had room, and did not take what was to go there.
    pub(super) fn fails_to_take(&self) -> NoRoom {
        NoRoom {
            by: FilledBy::Others,
            floor: self.floor(),
        }
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
        if has_most {
            FilledBy::Ours
        } else {
            FilledBy::Others
        }
    }

    fn full(&self) {
        let (what, home) = match &self.store {
            Store::Spill(spill) => ("spill to", spill.home()),
            Store::Spool(spool) => ("spool to", spool.home()),
        };
        let why = "the disk is full: what it has no room for waits for some";
        self.failed(DiskError::because(what, home, why));
    }

    fn failed(&self, failure: DiskError) {
        if !self.said.swap(true, Ordering::Relaxed) {
            let _ = self.events.send(Event::DiskFailed(failure.into()));
        }
    }
}
