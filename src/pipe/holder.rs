//! An output whose place in a spool is saved, so that what it has not had is there for it when weir runs again: the
//! consumer, and each tee.
//!
//! With framing what is saved is the place where the record in progress begins, so that nobody gets a record without its
//! beginning. The exact place is saved where nobody would: when this ends in order, and what the output has is in a file
//! to which others append; and where the disk has no room to keep that beginning for.

use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::read_back::Lost;
use crate::disk::state::{self, Place};
use crate::engine::CONSUMER;
use crate::engine::scan::Run;

/// A tee, as it is to be known in a spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tee {
    /// Which one it is among the tees and taps, in the order in which they were named.
    pub nth: usize,
    /// Its path.
    pub name: String,
    /// What it has of a record is there when this run is over.
    pub lives_on: bool,
    /// It is a file in which nothing is.
    pub is_empty: bool,
}

/// The name of a path: it is the same wherever weir is started.
pub(super) fn name_of(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = without_detours(path);
    match path.to_str() {
        Some(name) => name.to_owned(),
        // It is no text, and no text looks like that.
        None => format!("\\{}", path.as_os_str().as_encoded_bytes().escape_ascii()),
    }
}

/// The same path without `..`: only the directory that it leads up to is looked up for that.
fn without_detours(path: PathBuf) -> PathBuf {
    let all: Vec<Component> = path.components().collect();
    let last = all.iter().rposition(|it| *it == Component::ParentDir);
    let Some((up, down)) = last.and_then(|last| all.split_at_checked(last + 1)) else {
        return path;
    };
    let home = up.iter().collect::<PathBuf>().canonicalize();
    home.map_or(path.clone(), |home| {
        home.join(down.iter().collect::<PathBuf>())
    })
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) name: String,
    /// Its number among the outputs.
    pub(super) number: usize,
    /// Which one it is among the tees and taps, if it is one of them.
    pub(super) nth: Option<usize>,
    lives_on: bool,
    place: Mutex<Place>,
    /// What lies before this offset may have been let go of.
    let_go: AtomicU64,
    has_failed: AtomicBool,
}

impl Holder {
    pub(super) fn consumer(place: Place, lives_on: bool) -> Holder {
        Holder {
            name: state::CONSUMER.to_owned(),
            number: CONSUMER,
            nth: None,
            lives_on,
            let_go: AtomicU64::new(place.at),
            place: Mutex::new(place),
            has_failed: AtomicBool::new(false),
        }
    }

    pub(super) fn tee(tee: &Tee, place: Place) -> Holder {
        Holder {
            name: tee.name.clone(),
            nth: Some(tee.nth),
            ..Holder::consumer(place, tee.lives_on)
        }
    }

    /// The beginning of the record that it is inside of is kept, where that is still there.
    pub(super) fn keeps_begun(self, oldest: Place) -> Holder {
        let anew = self.place().begun_anew().at;
        if anew >= oldest.at {
            self.let_go.store(anew, Ordering::Release);
        }
        self
    }

    /// It gets nothing more, and is forgotten.
    pub(super) fn fail(&self) {
        self.has_failed.store(true, Ordering::Release);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// How far it has come.
    pub(super) fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has what lies before this offset: this was the last of it.
    pub(super) fn on_written(&self, to: u64, run: Run) -> MutexGuard<'_, Place> {
        let mut place = self.place();
        place.at = to;
        place.record += run.tally.ended;
        place.begun = run.cursor.depth();
        place
    }

    /// It is owed again what lies from this offset on, and so many records more than before.
    pub(super) fn set_back(&self, at: u64, records: u64) -> MutexGuard<'_, Place> {
        let mut place = self.place();
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
        place
    }

    /// What is lost is nothing that it still waits for, and is not found to be lost again: its place then, and the
    /// records that are lost to it, if it is about to pass them.
    pub(super) fn skip(&self, lost: &Lost) -> Option<(Place, u64)> {
        let mut place = self.place();
        if place.at != lost.range.start {
            return None;
        }
        let next = lost.next.filter(|next| *next >= place.record);
        let records = next.map_or(lost.records, |next| next - place.record);
        *place = Place {
            at: lost.range.end,
            record: place.record + records,
            begun: 0,
        };
        Some((*place, records))
    }

    /// Where another one is to go on in its place.
    pub(super) fn to_be_saved(&self, place: Place) -> Place {
        let anew = place.begun_anew();
        match anew.at >= self.let_go.load(Ordering::Acquire) {
            true => anew,
            false => place,
        }
    }

    /// There is no room: where it has all that there is, and nobody else is owed what lies before this offset, the
    /// beginning of a record that goes on is not kept. Whether that is so.
    pub(super) fn lets_go_of_begun(&self, end: u64, floor: u64) -> bool {
        let place = *self.place();
        let is_in_way = place.begun_anew().at < floor;
        let is_at_end = place.begun > 0 && place.at == end && is_in_way;
        if is_at_end {
            self.let_go.fetch_max(place.at, Ordering::AcqRel);
        }
        is_at_end
    }

    /// Its last place; `end`: where the stream ends; `is_over`: nothing goes on with the record that ends there.
    pub(super) fn last_place(&self, end: Place, is_over: bool) -> Place {
        let place = *self.place();
        if is_over && place.at == end.at {
            // What another run takes in begins with a record.
            return end.between_records();
        }
        match self.lives_on {
            true => place,
            false => self.to_be_saved(place),
        }
    }
}
