//! A spool, as the threads see it: all that comes lies there before anything else can happen to it, and how far the
//! consumer has come is saved there before it is given any more.
//!
//! With framing a process that is killed leaves the place where the record in progress begins, so that nobody gets a
//! record without its beginning; one that ends in order leaves the exact place.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam_channel::Sender;

use super::event::Event;
use super::fd::Port;
use crate::disk::damage::Damage;
use crate::disk::error::DiskError;
use crate::disk::reader::{Cursor, Piece};
use crate::disk::recovery::Opened;
use crate::disk::room::Full;
use crate::disk::segments::Taken;
use crate::disk::spool::Spool;
use crate::disk::state::Place;
use crate::disk::sync::Syncer;
use crate::engine::disk::Inherited;
use crate::engine::on_disk::Load;
use crate::engine::scan::Run;

/// The consumer's name among the outputs whose places are saved; the others' are their paths.
const CONSUMER: &str = "-";

/// A spool that is in use.
#[derive(Debug)]
pub(crate) struct SpoolStore {
    spool: Arc<Spool>,
    /// How far the consumer has come.
    place: Mutex<Place>,
    /// What an earlier run has left.
    inherited: Inherited,
    cursor: Mutex<Cursor>,
    syncer: Mutex<Option<Syncer>>,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SpoolStore {
    /// Goes on with a spool that has been opened.
    ///
    /// # Errors
    /// When the consumer's place cannot be saved.
    pub(crate) fn new(opened: Opened) -> Result<SpoolStore, DiskError> {
        let Opened { spool, oldest, .. } = opened;
        let place = spool.place(CONSUMER).unwrap_or(oldest);
        spool.set_place(CONSUMER, place)?;
        spool.keep_places(&[CONSUMER])?;
        let end = spool.end();
        let inherited = Inherited {
            from: place.at.min(end.at),
            to: end.at,
            records: end.record.saturating_sub(place.record),
            depths: [place.begun, end.begun],
        };
        Ok(SpoolStore {
            spool: Arc::new(spool),
            place: Mutex::new(place),
            inherited,
            cursor: Mutex::default(),
            syncer: Mutex::default(),
        })
    }

    /// Has what is put there forced to the disk when that is due.
    pub(super) fn start(&self, events: &Sender<Event>) -> io::Result<()> {
        let events = events.clone();
        let say = move |outcome| tell(outcome, &events);
        *lock(&self.syncer) = Some(Syncer::start(self.spool.clone(), say)?);
        Ok(())
    }

    pub(super) fn inherited(&self) -> Inherited {
        self.inherited
    }

    pub(super) fn home(&self) -> &Path {
        self.spool.home()
    }

    pub(super) fn ready(&self, most: usize) -> Result<Result<usize, Full>, DiskError> {
        self.spool.room_for(most, now())
    }

    /// Gives back what everybody has; whether there was any.
    pub(super) fn release(&self) -> Result<bool, DiskError> {
        self.spool.release()
    }

    /// Appends all of this, and says where it begins.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<Result<u64, Full>, DiskError> {
        let begun = self.spool.end().at;
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.spool.append(rest, now())? {
                Taken::Bytes(n) => rest = &rest[n..],
                Taken::Full(full) => return Ok(Err(full)),
                Taken::Empty | Taken::End | Taken::Refused => return Ok(Err(Full::Disk)),
            }
        }
        Ok(Ok(begun))
    }

    /// Takes what lies in a pipe, and says where it begins.
    pub(super) fn take_from(
        &self,
        input: &Port,
        into: &mut [u8],
    ) -> Result<(Taken, u64), DiskError> {
        let at = self.spool.end().at;
        let taken = self.spool.append_pipe(input.as_fd(), into, now())?;
        Ok((taken, at))
    }

    /// Tells what has come of forcing something to the disk.
    pub(super) fn tell_untold(&self, events: &Sender<Event>) {
        if let Some(outcome) = self.spool.take_untold() {
            tell(outcome, events);
        }
    }

    /// Reads back what is asked for, or the first part of it. What is damaged is said.
    pub(super) fn fetch(&self, load: &mut Load, events: &Sender<Event>) -> io::Result<()> {
        let mut cursor = lock(&self.cursor);
        cursor.go_to(load.offset);
        let piece = self.spool.read(&mut cursor, load.bytes());
        match piece.map_err(io::Error::other)? {
            Piece::Bytes { range, damage } => {
                tell(Ok(damage.into_iter().collect()), events);
                load.read(range);
            }
            Piece::Gap(damage) => {
                load.lose(damage.bytes, damage.records);
                self.skip(&damage)?;
                tell(Ok(vec![damage]), events);
            }
            Piece::End => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    /// What is lost is nothing that the consumer still waits for, and is not found to be lost again.
    fn skip(&self, lost: &Damage) -> io::Result<()> {
        let mut place = lock(&self.place);
        if place.at != lost.at {
            return Ok(());
        }
        *place = Place {
            at: lost.at + lost.bytes,
            record: place.record + lost.records,
            begun: 0,
        };
        let saved = self.spool.set_place(CONSUMER, *place);
        saved.map_err(io::Error::other)
    }

    /// The consumer has what lies before this offset: this was the last of it.
    pub(super) fn remember(&self, to: u64, run: Run) -> Result<(), DiskError> {
        let mut place = lock(&self.place);
        place.at = to;
        place.record += run.tally.ended;
        place.begun = run.cursor.depth();
        // A record that takes up much of the spool cannot be kept until it is over.
        let keeps = place.begun <= self.spool.bound() / 4;
        let saved = if keeps { place.begun_anew() } else { *place };
        self.spool.set_place(CONSUMER, saved)
    }

    /// Leaves it in order: the exact place of the consumer is saved.
    pub(super) fn close(&self, has_ended: bool, events: &Sender<Event>) {
        drop(lock(&self.syncer).take());
        let mut place = *lock(&self.place);
        let is_all = place.at == self.spool.end().at;
        if has_ended && is_all {
            // What another run takes in begins with a record.
            place.record += u64::from(place.begun > 0);
            place.begun = 0;
        }
        let closed = self.spool.set_place(CONSUMER, place);
        tell(
            closed.and_then(|()| self.spool.close(has_ended && is_all)),
            events,
        );
    }
}

/// Says what is wrong.
fn tell(outcome: Result<Vec<Damage>, DiskError>, events: &Sender<Event>) {
    match outcome {
        Ok(damages) => {
            for damage in damages.iter().filter(|damage| !damage.known) {
                let _ = events.send(Event::Damaged(damage.to_string()));
            }
        }
        Err(failure) => {
            let _ = events.send(Event::DiskFailed(failure.into()));
        }
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}
