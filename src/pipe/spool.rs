//! A spool, as the threads see it: all that comes lies there before anything else can happen to it, and how far the
//! consumer has come is saved there before it is given any more.
//!
//! Where a program is run with batches, what has become of each of them is saved instead, in a journal: before the
//! program is run, and when it has ended.
//!
//! With framing what is saved is the place where the record in progress begins, so that nobody gets a record without
//! its beginning. The exact place is saved where nobody would: when this ends in order, and what the consumer has is
//! in a file to which others append; and where the disk has no room to keep that beginning for.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam_channel::Sender;

use super::event::Event;
use super::fd::Port;
use super::read_back::{Lost, Part, Reader};
use crate::disk::damage::Damage;
use crate::disk::error::DiskError;
use crate::disk::journal::{Entry, Journal};
use crate::disk::recovery::Opened;
use crate::disk::room::Full;
use crate::disk::segments::Taken;
use crate::disk::spool::Spool;
use crate::disk::state::Place;
use crate::disk::sync::Syncer;
use crate::engine::disk::{Inherited, Owed};
use crate::engine::on_disk::Load;
use crate::engine::scan::Run;
use crate::engine::ticket::{Settled, Stretch, Ticket};

/// The consumer's name among the outputs whose places are saved; the others' are their paths.
const CONSUMER: &str = "-";

/// How what lies in a spool goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UseBy {
    /// As one stream.
    Stream,
    /// In batches; those that are given up go to a file, maybe.
    Batches {
        /// See there.
        sheds_to_file: bool,
    },
}

/// A spool that is in use.
#[derive(Debug)]
pub(crate) struct SpoolStore {
    spool: Arc<Spool>,
    /// The spool's identity, and how many times it has been opened.
    opening: (u64, u32),
    use_by: UseBy,
    /// What the consumer has of a record is there when this run is over.
    lives_on: bool,
    /// How far the consumer has come.
    place: Mutex<Place>,
    /// What lies before this offset may have been let go of.
    let_go: AtomicU64,
    /// What an earlier run has left.
    inherited: Inherited,
    reader: Mutex<Box<Reader>>,
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
    pub(crate) fn new(
        opened: Opened,
        use_by: UseBy,
        lives_on: bool,
    ) -> Result<SpoolStore, DiskError> {
        let Opened { spool, oldest, .. } = opened;
        let mut place = spool.place(CONSUMER).unwrap_or(oldest);
        let opening = spool.opening();
        if use_by == UseBy::Stream {
            place = spool.pass_batches(place);
        }
        spool.set_place(CONSUMER, place)?;
        spool.keep_places(&[CONSUMER])?;
        if let UseBy::Batches { sheds_to_file } = use_by {
            spool.change_journal(CONSUMER, |journal| {
                journal.forget_before(oldest);
                journal.adopt(opening.1);
                if !sheds_to_file {
                    journal.shed_none();
                }
            })?;
        }
        let inherited = left(&spool, place, use_by);
        Ok(SpoolStore {
            spool: Arc::new(spool),
            opening,
            use_by,
            lives_on,
            let_go: AtomicU64::new(place.at),
            place: Mutex::new(place),
            inherited,
            reader: Mutex::default(),
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
        self.inherited.clone()
    }

    /// A program is about to be run with this batch. Says by which name it is known, and whether an earlier run of weir
    /// has had it.
    pub(super) fn begin_batch(&self, ticket: &Ticket) -> Result<(String, bool), DiskError> {
        let (identity, opening) = self.opening;
        let Stretch {
            from, to, depths, ..
        } = ticket.stretch;
        let mut entry = Entry {
            number: ticket.number,
            opening,
            tries: ticket.trial,
            is_open: ticket.stretch.is_open,
            is_shed: false,
            records: ticket.stretch.records,
            place: Place {
                at: from,
                record: ticket.stretch.before,
                begun: depths[0],
            },
            end: to,
            begun: depths[1],
        };
        self.spool.change_journal(CONSUMER, |journal| {
            entry = journal.begin(entry);
        })?;
        let name = format!("{identity:016x}-{}-{}", entry.opening, entry.number);
        Ok((name, entry.opening != opening))
    }

    /// That is what has become of this batch.
    pub(super) fn settle_batch(&self, number: u64, how: Settled) -> Result<(), DiskError> {
        let UseBy::Batches { sheds_to_file } = self.use_by else {
            return Ok(());
        };
        self.spool.change_journal(CONSUMER, |journal| match how {
            Settled::Shed if sheds_to_file => journal.shed(number),
            _ => journal.settle(number),
        })
    }

    /// The file for what is shed has what lies between these offsets.
    pub(super) fn on_shed_written(&self, from: u64, to: u64) -> Result<(), DiskError> {
        let change = |journal: &mut Journal| journal.on_shed_written(from, to);
        self.spool.change_journal(CONSUMER, change)
    }

    /// Before this offset nobody is owed anything of what was left.
    pub(super) fn inherited_from(&self) -> u64 {
        let first = self.inherited.parts.first();
        first.map_or(self.inherited.end, |(part, _)| part.from)
    }

    pub(super) fn home(&self) -> &Path {
        self.spool.home()
    }

    pub(super) fn ready(&self, most: usize) -> Result<Result<usize, Full>, DiskError> {
        self.spool.room_for(most, now())
    }

    /// Gives back what everybody has, and what lies before this offset; whether there was any.
    pub(super) fn release(&self, floor: u64) -> Result<bool, DiskError> {
        let is_any = self.spool.release(floor)?;
        if let Ok(mut reader) = self.reader.try_lock() {
            // The disk has the room of a file only when nobody has it open.
            reader.let_go(&self.spool, floor);
        }
        Ok(is_any)
    }

    /// There is no room: where the consumer has all there is, the beginning of a record that goes on is not kept.
    pub(super) fn release_begun(&self, floor: u64) -> Result<bool, DiskError> {
        let place = *lock(&self.place);
        if place.begun > 0 && place.at == self.spool.end().at && self.use_by == UseBy::Stream {
            self.let_go.fetch_max(place.at, Ordering::AcqRel);
            self.save(lock(&self.place))?;
        }
        self.release(floor)
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
        let mut reader = lock(&self.reader);
        let part = reader.read(&self.spool, load);
        tell(Ok(reader.take_said()), events);
        drop(reader);
        match part.map_err(io::Error::other)? {
            Part::Bytes(range) => load.read(range),
            Part::Lost(lost) => {
                let is_first = load.offset == lost.range.start;
                let known = if is_first { lost.records } else { 0 };
                let records = self.skip(&lost)?.unwrap_or(known);
                load.lose(lost.range.end - load.offset, records);
            }
            Part::End => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    /// What is lost is nothing that the consumer still waits for, and is not found to be lost again. The records that are
    /// lost to it, if it is about to pass them.
    fn skip(&self, lost: &Lost) -> io::Result<Option<u64>> {
        let mut place = lock(&self.place);
        if place.at != lost.range.start {
            return Ok(None);
        }
        let next = lost.next.filter(|next| *next >= place.record);
        let records = next.map_or(lost.records, |next| next - place.record);
        *place = Place {
            at: lost.range.end,
            record: place.record + records,
            begun: 0,
        };
        let saved = self.spool.set_place(CONSUMER, *place);
        saved.map_err(io::Error::other)?;
        Ok(Some(records))
    }

    /// The consumer has what lies before this offset: this was the last of it.
    pub(super) fn remember(&self, to: u64, run: Run) -> Result<(), DiskError> {
        let mut place = lock(&self.place);
        place.at = to;
        place.record += run.tally.ended;
        place.begun = run.cursor.depth();
        self.save(place)
    }

    /// The consumer is owed again what lies from this offset on, and so many records more than before.
    pub(super) fn set_back(&self, at: u64, records: u64) -> Result<(), DiskError> {
        let mut place = lock(&self.place);
        let back = place.at.saturating_sub(at);
        *place = Place {
            at,
            record: place.record.saturating_sub(records),
            // Only a record that is longer than all that is kept is not given back from its beginning.
            begun: match records {
                0 => place.begun.saturating_sub(back),
                _ => 0,
            },
        };
        self.save(place)
    }

    /// Saves how far the consumer has come.
    fn save(&self, mut place: MutexGuard<'_, Place>) -> Result<(), DiskError> {
        let next = self.spool.pass_batches(self.to_be_saved(*place));
        if next.at > place.at {
            // What comes in between was acknowledged in batches.
            *place = next;
        }
        self.spool.set_place(CONSUMER, next)
    }

    /// Where another consumer is to go on.
    fn to_be_saved(&self, place: Place) -> Place {
        let anew = place.begun_anew();
        // A record that takes up much of the spool cannot be kept until it is over.
        let is_kept = place.begun <= self.spool.bound() / 4;
        match is_kept && anew.at >= self.let_go.load(Ordering::Acquire) {
            true => anew,
            false => place,
        }
    }

    /// Leaves it in order. Says whether that has worked.
    pub(super) fn close(&self, has_ended: bool, events: &Sender<Event>) -> bool {
        drop(lock(&self.syncer).take());
        if self.use_by != UseBy::Stream {
            return self.close_batches(has_ended, events);
        }
        let mut place = *lock(&self.place);
        let is_all = place.at == self.spool.end().at;
        if has_ended && is_all {
            // What another run takes in begins with a record.
            let end = self.spool.end();
            place.record = end.record + u64::from(end.begun > 0);
            place.begun = 0;
        } else if !self.lives_on {
            place = self.to_be_saved(place);
        }
        let closed = self.spool.set_place(CONSUMER, place);
        let closed = closed.and_then(|()| self.spool.close(has_ended && is_all));
        let is_good = closed.is_ok();
        tell(closed, events);
        is_good
    }

    fn close_batches(&self, has_ended: bool, events: &Sender<Event>) -> bool {
        let end = self.spool.end();
        let journal = self.spool.journal().unwrap_or_default();
        // What was lost at the very end is in no batch.
        let is_all = has_ended && journal.open.is_empty();
        let closed = self.spool.change_journal(CONSUMER, |journal| {
            if is_all {
                journal.next = Place {
                    record: end.record + u64::from(end.begun > 0),
                    begun: 0,
                    ..end
                };
            }
        });
        let closed = closed.and_then(|()| self.spool.close(is_all));
        let is_good = closed.is_ok();
        tell(closed, events);
        is_good
    }
}

/// What somebody is still owed of what lies there.
fn left(spool: &Spool, place: Place, use_by: UseBy) -> Inherited {
    let end = spool.end();
    let journal = spool.journal().unwrap_or_else(|| Journal::at(place));
    let owner = |entry: &Entry| match use_by {
        UseBy::Stream => Owed::Consumer,
        UseBy::Batches { .. } if entry.is_shed => Owed::Overflow,
        UseBy::Batches { .. } => Owed::Batch(entry.number, entry.tries),
    };
    let mut parts: Vec<_> = journal
        .open
        .iter()
        .map(|entry| {
            let is_begun = use_by == UseBy::Stream && entry.place.at < place.at;
            let from = if is_begun { place } else { entry.place };
            let stretch = stretch(from, entry.behind(), entry.is_open);
            (stretch, owner(entry))
        })
        .collect();
    let next = if journal.next.at < place.at {
        place
    } else {
        journal.next
    };
    parts.push((stretch(next, end, false), Owed::Consumer));
    parts.retain(|(it, _)| it.from < it.to);
    Inherited {
        parts,
        end: end.at,
        end_depth: end.begun,
        last_batch: journal.last,
        next: (next.at, next.record, next.begun),
    }
}

fn stretch(from: Place, to: Place, is_open: bool) -> Stretch {
    Stretch {
        from: from.at,
        to: to.at,
        depths: [from.begun, to.begun],
        before: from.record,
        records: to.record.saturating_sub(from.record),
        is_open,
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
