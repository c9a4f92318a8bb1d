//! The disk behind memory, as the threads see it: the source puts bytes there, outputs read them back, and a thread
//! of its own gives back what nobody is owed any more, for that may take as long as a disk does.
//!
//! A disk that is full or fails is said once; the flow goes on as far as memory goes.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::event::Event;
use crate::disk::error::DiskError;
use crate::disk::room::Full;
use crate::disk::spill::Spill;
use crate::engine::drive::NoRoom;

/// The disk.
#[derive(Debug)]
pub(super) struct Disk {
    spill: Spill,
    /// Nobody is owed what lies before this offset; the thread is told of each.
    floor: AtomicU64,
    floors: Sender<u64>,
    events: Sender<Event>,
    /// It was said that it is full, or fails.
    said: AtomicBool,
}

impl Disk {
    /// The disk, and what its thread is to hear.
    pub(super) fn new(spill: Spill, events: Sender<Event>) -> (Disk, Receiver<u64>) {
        let (floors, heard) = unbounded();
        let disk = Disk {
            spill,
            floor: AtomicU64::new(0),
            floors,
            events,
            said: AtomicBool::new(false),
        };
        (disk, heard)
    }

    /// Gives back what it is told of, until nobody is left to tell it.
    pub(super) fn give_back_all(&self, floors: &Receiver<u64>, mut on_room: impl FnMut()) {
        while let Ok(floor) = floors.recv() {
            if self
                .spill
                .release(floors.try_iter().last().unwrap_or(floor))
            {
                on_room();
            }
        }
    }

    /// Nobody is owed what lies before this offset.
    pub(super) fn give_back(&self, floor: u64) {
        self.floor.fetch_max(floor, Ordering::AcqRel);
        let _ = self.floors.send(floor);
    }

    /// See [`Edge::disk_room`](crate::engine::drive::Edge::disk_room).
    pub(super) fn room(&self, most: usize) -> Result<usize, NoRoom> {
        loop {
            return match self.spill.ready(most) {
                Ok(Ok(room)) => Ok(room),
                // What waits for the thread need not be waited for: something would be shed for it.
                Ok(Err(Full::Bound)) if self.release() => continue,
                Ok(Err(Full::Bound)) => Err(NoRoom::Ours),
                Ok(Err(Full::Disk)) => Err(self.full()),
                Err(failure) => Err(self.failed(failure)),
            };
        }
    }

    fn release(&self) -> bool {
        self.spill.release(self.floor.load(Ordering::Acquire))
    }

    /// See [`Edge::store`](crate::engine::drive::Edge::store).
    pub(super) fn store(&self, bytes: &[u8]) -> Option<u64> {
        match self.spill.append(bytes) {
            Ok(Ok(at)) => Some(at),
            Ok(Err(Full::Bound)) => None,
            Ok(Err(Full::Disk)) => {
                self.full();
                None
            }
            Err(failure) => {
                self.failed(failure);
                None
            }
        }
    }

    /// See [`Edge::fetch`](crate::engine::drive::Edge::fetch).
    pub(super) fn fetch(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.spill.read(at, into).map_err(io::Error::other)
    }

    fn full(&self) -> NoRoom {
        let home = self.spill.home();
        let why = "the disk is full: what it has no room for waits for some";
        self.failed(DiskError::because("spill to", home, why))
    }

    fn failed(&self, failure: DiskError) -> NoRoom {
        if !self.said.swap(true, Ordering::Relaxed) {
            let _ = self.events.send(Event::SpillFailed(failure.into()));
        }
        NoRoom::Others
    }
}
