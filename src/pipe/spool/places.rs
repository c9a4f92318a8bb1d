//! How far each of those has come who are owed a spool: remembered as they go on, and saved in order at the end.

use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::inherit::span;
use super::{Left, SpoolStore, UseBy, lock, report};
use crate::disk::dealt::Dealt;
use crate::disk::error::DiskError;
use crate::disk::journal::Journal;
use crate::disk::state::Place;
use crate::engine::scan::Run;
use crate::engine::ticket::Stretch;
use crate::pipe::event::Event;
use crate::pipe::holder::Holder;

/// A disk that fails at the very end is given so long to work again, and tried so often.
const LAST_TRIES: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(100);

impl SpoolStore {
    /// The output of this number has what lies before this offset: this was the last of it.
    pub(in crate::pipe) fn remember(&self, who: usize, to: u64, run: Run) -> Result<(), DiskError> {
        match self.holder(who) {
            Some(holder) => self.save(holder, holder.on_written(to, run)),
            None => Ok(()),
        }
    }

    /// One of those who take from the stream side by side was given this part of it.
    pub(in crate::pipe) fn remember_part(
        &self,
        who: usize,
        part: &Stretch,
    ) -> Result<(), DiskError> {
        let mut dealt = lock(&self.dealt);
        dealt.on_written(who, span(part));
        self.save_dealt(dealt)
    }

    /// One of them has left these parts of what it was given.
    pub(in crate::pipe) fn give_back(
        &self,
        who: usize,
        parts: &[Stretch],
    ) -> Result<(), DiskError> {
        let parts: Vec<_> = parts.iter().map(span).collect();
        let mut dealt = lock(&self.dealt);
        dealt.give_back(who, &parts);
        self.save_dealt(dealt)
    }

    /// Nobody changes it meanwhile, and nobody who looks for it waits for the disk.
    pub(super) fn save_dealt(&self, dealt: MutexGuard<'_, Box<Dealt>>) -> Result<(), DiskError> {
        self.spool
            .save_journal(&self.consumer.name, dealt.journal())?;
        drop(dealt);
        self.spool.changed();
        Ok(())
    }

    /// The output of this number has failed: nothing is kept for it any more.
    pub(in crate::pipe) fn forget(&self, who: usize) -> Result<(), DiskError> {
        match self.holder(who) {
            Some(holder) => {
                // Nobody saves it meanwhile.
                let place = holder.place();
                holder.fail();
                self.spool.forget_place(&holder.name)?;
                // Who looks for it does not wait for the disk.
                drop(place);
                self.spool.changed();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The consumer is owed again what lies from this offset on, and so many records more than before. Whoever says so has
    /// signals to listen to, and does not wait for the disk: what a power cut undoes of it was lost with the consumer's pipe.
    pub(in crate::pipe) fn set_back(&self, at: u64, records: u64) -> Result<(), DiskError> {
        self.save_alone(&self.consumer, self.consumer.set_back(at, records))?;
        self.spool.note_change();
        Ok(())
    }

    /// The run is over; `is_in_hurry`: there is no time to force anything to the disk.
    pub(in crate::pipe) fn ends(&self, is_in_hurry: bool) {
        self.spool.ends();
        if is_in_hurry {
            self.spool.hurry();
        }
    }

    /// Saves how far this one has come. Who looks for that does not wait for the disk.
    pub(super) fn save(
        &self,
        holder: &Holder,
        place: MutexGuard<'_, Place>,
    ) -> Result<(), DiskError> {
        self.save_alone(holder, place)?;
        self.spool.changed();
        Ok(())
    }

    /// The same, without forcing it to the disk.
    fn save_alone(
        &self,
        holder: &Holder,
        mut place: MutexGuard<'_, Place>,
    ) -> Result<(), DiskError> {
        if holder.has_failed() {
            return Ok(());
        }
        let mut next = holder.to_be_saved(*place);
        if holder.nth.is_none() {
            next = self.spool.pass_batches(next);
            if next.at > place.at {
                // What comes in between was acknowledged in batches.
                *place = next;
            }
        }
        self.spool.save_place(&holder.name, next)
    }

    /// The input has ended, and all of it is there: what goes on with its last record never comes. Whether it is on the disk
    /// is waited for, or not.
    pub(in crate::pipe) fn end_input(&self, is_waited_for: bool) -> Result<(), DiskError> {
        match self.spool.end_input()? {
            true if is_waited_for => self.spool.changed(),
            true => self.spool.note_change(),
            false => {}
        }
        Ok(())
    }

    /// Leaves it in order, or says how it is left. `on_saved` is called when the places are, or cannot be: what comes then
    /// may take as long as the disk does.
    pub(in crate::pipe) fn close(
        &self,
        has_ended: bool,
        events: &Sender<Event>,
        on_saved: &dyn Fn(Left),
    ) -> Left {
        self.spool.ends();
        let end = self.spool.end();
        let is_all = has_ended
            && match self.use_by {
                UseBy::Stream => self.consumer.place().at == end.at,
                UseBy::Workers => lock(&self.dealt).has_all(end.at),
                // What was lost at the very end is in no batch.
                UseBy::Batches { .. } => {
                    let journal = self.spool.journal().unwrap_or_default();
                    journal.open.is_empty()
                }
            };
        // What a program was given and has not read is kept for the next one only where that is saved, too.
        let until = Instant::now() + LAST_TRIES;
        let mut closed = self.save_last_places(is_all);
        while closed.is_err() && Instant::now() < until && self.spool.pause(AGAIN) {
            closed = self.save_last_places(is_all);
        }
        on_saved(Left {
            is_in_order: false,
            forgone: closed.as_ref().map_or_else(|_| self.forgone(), |()| 0),
        });
        drop(lock(&self.syncer).take());
        let closed = closed.and_then(|()| self.spool.close(is_all, self.last_floor(is_all)));
        let is_good = closed.is_ok();
        // Nobody else is left to tell what came of forcing something there, be it by whoever it was.
        self.tell_untold(events);
        report(&[], closed.err(), events);
        Left {
            is_in_order: is_good && !self.spool.is_damaged(),
            forgone: if is_good { 0 } else { self.forgone() },
        }
    }

    /// By how much the place of the consumer as it is saved lies behind what it has had. A batch is saved before it is
    /// given.
    fn forgone(&self) -> u64 {
        if self.use_by == UseBy::Workers {
            let saved = self.spool.saved_journal(&self.consumer.name);
            return saved.map_or(0, |saved| lock(&self.dealt).missing_in(&saved));
        }
        if self.use_by != UseBy::Stream || self.consumer.has_failed() {
            return 0;
        }
        let saved = self.spool.saved_place(&self.consumer.name);
        saved.map_or(0, |saved| saved.at.saturating_sub(self.consumer.place().at))
    }

    /// What lies before this offset nobody needs who comes next.
    fn last_floor(&self, is_all: bool) -> u64 {
        match is_all || self.spool.is_over_at(self.spool.end().at) {
            // No record is open.
            true => u64::MAX,
            false => self.begun_from(),
        }
    }

    fn save_last_places(&self, is_all: bool) -> Result<(), DiskError> {
        let end = self.spool.end();
        // Whoever has all that there is has all of the last record.
        let is_over = is_all || self.spool.is_over_at(end.at);
        for tee in self.tees.iter().filter(|tee| !tee.has_failed()) {
            let place = tee.last_place(end, is_over);
            self.spool.set_place(&tee.name, place)?;
        }
        if self.use_by == UseBy::Stream {
            let place = self.consumer.last_place(end, is_over);
            return self.spool.set_place(&self.consumer.name, place);
        }
        if self.use_by == UseBy::Workers {
            return match is_all {
                // What another run takes in begins with a record.
                true => {
                    let all = Journal::at(end.between_records());
                    self.spool.set_journal(&self.consumer.name, all)
                }
                false => {
                    let mut dealt = lock(&self.dealt);
                    if is_over {
                        dealt.forget_begun_to(end.at);
                    }
                    self.save_dealt(dealt)
                }
            };
        }
        self.spool.change_journal(&self.consumer.name, |journal| {
            if is_all {
                journal.next = end.between_records();
            }
        })
    }
}
