//! A spool, as the threads see it: all that comes lies there before anything else can happen to it, and how far the
//! consumer and each tee have come is saved there before they are given any more.
//!
//! Where a program is run with batches, what has become of each of them is saved instead, in a journal: before the
//! program is run, and when it has ended. Where several take from one stream side by side, what each of them has been given
//! is, and what it has left.

mod batches;
mod fetch;
mod inherit;
mod places;

use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam_channel::Sender;

use super::append::Tail;
use super::event::Event;
use super::fd::Port;
use super::holder::{Holder, Tee};
use super::read_back::Reader;
use crate::disk::damage::Damage;
use crate::disk::dealt::Dealt;
use crate::disk::error::DiskError;
use crate::disk::ready::Opened;
use crate::disk::room::Full;
use crate::disk::segments::Appended;
use crate::disk::spool::Spool;
use crate::disk::state::Place;
use crate::disk::sync::Syncer;
use crate::engine::disk::{Inherited, Owed};
use crate::units::printable;
pub(crate) use inherit::UseBy;
use inherit::{from_its_beginning, has_begun, left, place_of_tee, stretch};

/// How a spool was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// All was saved, and nothing was lost.
    pub is_in_order: bool,
    /// Bytes that the consumer has not had, and no other run will give it: that they are owed again could not be saved.
    pub forgone: u64,
}

impl Left {
    /// That was not waited for.
    pub(crate) const UNKNOWN: Left = Left {
        is_in_order: false,
        forgone: 0,
    };
    /// As it should be.
    pub(super) const IN_ORDER: Left = Left {
        is_in_order: true,
        forgone: 0,
    };
}

/// A spool that is in use.
#[derive(Debug)]
pub(crate) struct SpoolStore {
    spool: Arc<Spool>,
    /// The spool's identity, and how many times it has been opened.
    opening: (u64, u32),
    use_by: UseBy,
    /// Those for whom what lies there is kept: the consumer, and the tees.
    consumer: Holder,
    /// How far those have come who take from one stream side by side.
    dealt: Mutex<Box<Dealt>>,
    tees: Vec<Holder>,
    /// What an earlier run has left.
    inherited: Inherited,
    reader: Mutex<Box<Reader>>,
    syncer: Mutex<Option<Syncer>>,
}

/// Who is to have what lies in a spool.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub use_by: UseBy,
    /// What the consumer has of a record is there when this run is over.
    pub lives_on: bool,
    /// The end of the file that it is, where that can be read.
    pub tail: Option<Tail>,
    pub tees: Vec<Tee>,
}

/// Bytes of the names of tees, at most, where batches have to fit into the state, too.
const NAMES_MOST: usize = 4096;

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SpoolStore {
    /// Goes on with a spool that has been opened. What is kept there for nobody any more is said.
    ///
    /// # Errors
    /// When the places of the outputs cannot be saved.
    pub(crate) fn new(
        opened: Opened,
        outputs: Outputs,
        say: impl Fn(String),
    ) -> Result<SpoolStore, DiskError> {
        let Opened { spool, oldest, .. } = opened;
        let Outputs {
            use_by,
            lives_on,
            tail,
            tees,
        } = outputs;
        let names: usize = tees.iter().map(|tee| tee.name.len()).sum();
        if names > NAMES_MOST && use_by != UseBy::Stream {
            let reason = "the paths of --tee are too long together to be kept there beside batches; name fewer";
            return Err(DiskError::because("save places in", spool.home(), reason));
        }
        let opening = spool.opening();
        let name = Holder::consumer(oldest, lives_on).name;
        let mut place = spool.place(&name).unwrap_or(oldest);
        let goes_on = lives_on && tail.is_none_or(|tail| has_begun(&spool, place, oldest, &tail));
        if !goes_on && spool.journal().is_none() {
            // A file that had the beginning of a record is not what goes on now.
            place = from_its_beginning(place, oldest);
        }
        if use_by == UseBy::Stream {
            place = spool.pass_batches(place);
        }
        let journal = spool.journal().map(|mut journal| {
            journal.forget_before(oldest);
            journal
        });
        let dealt = Dealt::after(journal, place);
        if use_by == UseBy::Workers {
            let journal = dealt.journal();
            // All that was owed before it may have gone with the first segments.
            place = journal.low();
            spool.set_journal(&name, journal)?;
        } else {
            spool.set_place(&name, place)?;
        }
        let consumer = Holder::consumer(place, lives_on).keeps_begun(oldest);
        let places: Vec<Place> = tees
            .iter()
            .map(|tee| place_of_tee(&spool, tee, place, oldest))
            .collect();
        for (tee, place) in tees.iter().zip(&places) {
            spool.set_place(&tee.name, *place)?;
        }
        let names = tees.iter().map(|tee| tee.name.as_str());
        let names: Vec<&str> = names.chain([name.as_str()]).collect();
        for (name, place) in spool.keep_places(&names)? {
            let left = spool.end().at.saturating_sub(place.at.max(oldest.at));
            if left > 0 {
                let (home, name) = (spool.home().display().to_string(), printable(&name));
                say(format!(
                    "--spool {}: {name} is not named again: {left} bytes that it has not had are not kept for it",
                    printable(&home)
                ));
            }
        }
        if let UseBy::Batches { sheds_to_file } = use_by {
            spool.change_journal(&name, |journal| {
                journal.forget_before(oldest);
                journal.adopt(opening.1);
                if !sheds_to_file {
                    journal.shed_none();
                }
            })?;
        }
        let mut inherited = left(&spool, place, use_by);
        let end = spool.end();
        let parts = tees.iter().zip(&places);
        let parts = parts.map(|(tee, at)| (stretch(*at, end, false), Owed::Tee(tee.nth)));
        inherited
            .parts
            .extend(parts.filter(|(it, _)| it.from < it.to));
        let tees = tees.iter().zip(places);
        let tees = tees.map(|(tee, place)| Holder::tee(tee, place).keeps_begun(oldest));
        let tees = tees.collect();
        Ok(SpoolStore {
            spool: Arc::new(spool),
            opening,
            use_by,
            consumer,
            dealt: Mutex::new(Box::new(dealt)),
            tees,
            inherited,
            reader: Mutex::default(),
            syncer: Mutex::default(),
        })
    }

    /// The byte that ends the record in which an earlier input has ended, and that is to come before all others.
    pub(crate) fn due_end(&self) -> Option<u8> {
        self.spool.due_end()
    }

    /// Whether the nth of the tees and taps is a tee that has had something, and goes on with the beginning of a record:
    /// what it has may end inside of one.
    pub(crate) fn begins_record(&self, nth: usize) -> bool {
        let tee = self.tees.iter().find(|tee| tee.nth == Some(nth));
        tee.is_some_and(begins_record)
    }

    /// The same of the consumer.
    pub(crate) fn begins_record_to_consumer(&self) -> bool {
        begins_record(&self.consumer)
    }

    /// The tees and taps have these numbers, in the order in which they were named.
    pub(super) fn number_sides(&mut self, numbers: &[usize]) {
        let number = |nth: usize| numbers.get(nth).copied().unwrap_or(nth);
        for tee in &mut self.tees {
            tee.number = tee.nth.map_or(tee.number, number);
        }
        for (_, owed) in &mut self.inherited.parts {
            if let Owed::Tee(nth) = owed {
                *nth = number(*nth);
            }
        }
    }

    fn holders(&self) -> impl Iterator<Item = &Holder> {
        std::iter::once(&self.consumer).chain(&self.tees)
    }

    fn holder(&self, number: usize) -> Option<&Holder> {
        self.holders().find(|it| it.number == number)
    }

    /// Has what is put there forced to the disk when that is due.
    pub(super) fn start(&self, events: &Sender<Event>) -> io::Result<()> {
        // There was nobody else to tell it when it was opened.
        self.tell_untold(events);
        let events = events.clone();
        let say = move |found: Vec<_>, failure| report(&found, failure, &events);
        *lock(&self.syncer) = Some(Syncer::start(self.spool.clone(), say)?);
        Ok(())
    }

    pub(super) fn inherited(&self) -> Inherited {
        self.inherited.clone()
    }

    /// Before this offset nobody is owed anything of what was left.
    pub(super) fn inherited_from(&self) -> u64 {
        let first = self.inherited.parts.iter().map(|(part, _)| part.from);
        first.min().unwrap_or(self.inherited.end)
    }

    pub(super) fn has_most_of_disk(&self) -> bool {
        self.spool.has_most_of_disk()
    }

    pub(super) fn home(&self) -> &Path {
        self.spool.home()
    }

    /// Where the stream ends.
    pub(super) fn end(&self) -> u64 {
        self.spool.end().at
    }

    pub(super) fn ready(&self, most: usize) -> Result<Result<usize, Full>, DiskError> {
        self.spool.room_for(most, now())
    }

    /// Gives back what everybody has, and what lies before this offset; whether there was any.
    pub(super) fn release(&self, floor: u64) -> Result<bool, DiskError> {
        let floor = floor.min(self.begun_from());
        let is_any = self.spool.release(floor)?;
        if let Ok(mut reader) = self.reader.try_lock() {
            // The disk has the room of a file only when nobody has it open.
            reader.let_go(&self.spool, floor);
        }
        Ok(is_any)
    }

    /// Where what is kept for those begins who take a stream: a file goes on inside of a record, but whoever comes in its
    /// place gets that from its beginning.
    fn begun_from(&self) -> u64 {
        let is_stream = self.use_by == UseBy::Stream;
        let holders = self.holders().filter(|it| is_stream || it.nth.is_some());
        let holders = holders.filter(|it| !it.has_failed());
        let begun = holders.map(|it| it.to_be_saved(*it.place()).at);
        begun.min().unwrap_or(u64::MAX)
    }

    /// There is no room: where somebody has all there is, the beginning of a record that goes on is not kept.
    pub(super) fn release_begun(&self, floor: u64) -> Result<bool, DiskError> {
        let end = self.spool.end().at;
        if self.use_by == UseBy::Workers {
            let mut dealt = lock(&self.dealt);
            if dealt.lets_go_of_begun(end, floor) {
                self.save_dealt(dealt)?;
            }
        }
        for holder in self.holders() {
            let is_stream = holder.nth.is_some() || self.use_by == UseBy::Stream;
            if is_stream && holder.lets_go_of_begun(end, floor) {
                self.save(holder, holder.place())?;
            }
        }
        self.release(floor)
    }

    /// Something has come, and whoever is told of it is told when it is on the disk, where that is wanted: waits for that.
    pub(super) fn changed(&self) {
        self.spool.changed();
    }

    /// Appends as much of this as there is room for in one piece, and says where that lies. It is not forced to the disk:
    /// [`SpoolStore::changed`] sees to that.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<Result<Range<u64>, Full>, DiskError> {
        self.spool.append(bytes, now())
    }

    /// Takes what lies in a pipe, and says where it begins; the same goes for it.
    pub(super) fn take_from(
        &self,
        input: &Port,
        into: &mut [u8],
    ) -> Result<(Appended, u64), DiskError> {
        let at = self.spool.end().at;
        let taken = self.spool.append_pipe(input.as_fd(), into, now())?;
        Ok((taken, at))
    }

    /// Tells what has come of forcing something to the disk.
    pub(super) fn tell_untold(&self, events: &Sender<Event>) {
        report(&self.spool.take_found(), self.spool.take_untold(), events);
    }
}

/// Says what is wrong: that there is no more time for something is not.
fn report(damages: &[Damage], failure: Option<DiskError>, events: &Sender<Event>) {
    for damage in damages.iter().filter(|damage| !damage.known) {
        let _ = events.send(Event::Damaged(damage.to_string()));
    }
    if let Some(failure) = failure.filter(|it| !it.is_out_of_time) {
        let _ = events.send(Event::DiskFailed(failure.into()));
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

fn begins_record(holder: &Holder) -> bool {
    let place = *holder.place();
    place.begun == 0 && place.at > 0
}

#[cfg(test)]
mod tests;
