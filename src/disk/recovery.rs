//! Opening a spool after whatever ended the last weir that used it.
//!
//! If the system has not been started anew since, nothing that was written is lost: the length of
//! the last file is the truth, and what had not been entered is entered now. If it has, what is known to have been forced
//! to the disk counts, and is entered where a full disk had kept that out; of the rest only what is entered and matches
//! its checksum does. But for such a rest, no payload is read, and nothing of the size of the spool is
//! kept in memory but one small value for each segment.

use std::num::NonZeroU64;
use std::path::Path;

use super::damage::{Cause, Damage, each_once};
use super::directory::Directory;
use super::error::DiskError;
use super::file::read_at;
use super::format::{Framing, IndexHeader, Read, names};
use super::index::{Index, IndexWriter};
use super::lock::Lock;
use super::mend::Mender;
use super::orphans::Orphans;
use super::over;
use super::ready::{Opened, Ready};
use super::records::Records;
use super::spool::{Spool, SpoolOptions};
use super::state::{Place, State};
use super::state_file::{self, StateFile};
use super::survey::{Seen, Survey};

/// The least that a spool can do with.
pub(crate) const BOUND_LEAST: u64 = 1 << 20;

impl Spool {
    /// Opens a spool, and makes it if there is none.
    #[cfg(test)]
    pub(crate) fn open(path: &Path, options: &SpoolOptions) -> Result<Opened, DiskError> {
        Spool::open_again(path, options, &mut Vec::new())
    }

    /// Opens a spool, and makes it if there is none. It may have been tried before: what that has `found`, and cut out, is
    /// not found again, and belongs to what this finds.
    ///
    /// # Errors
    /// When another weir has it, a later weir wrote it, it was written with other framing and still
    /// holds something, or the system refuses. Nothing has then been changed in it, but on a full disk: what has been cut
    /// out before that was met is among what was `found`.
    pub(crate) fn open_again(
        path: &Path,
        options: &SpoolOptions,
        found: &mut Vec<Damage>,
    ) -> Result<Opened, DiskError> {
        if options.bound < BOUND_LEAST {
            let reason = "a spool needs at least 1MiB; give --spill more";
            return Err(DiskError::because("open the spool", path, reason));
        }
        let directory = Directory::make(path)?;
        Survey::refuse_foreign(&directory)?;
        let lock = Lock::take(&directory)?;
        let survey = Survey::of(&directory)?;
        let ready = Opening {
            directory: &directory,
            options,
            survey: &survey,
            damages: found,
            old_state: false,
        }
        .run();
        each_once(found);
        let ready = ready?;
        Ok(ready.assemble(directory, lock, options, std::mem::take(found)))
    }
}

struct Opening<'a> {
    directory: &'a Directory,
    options: &'a SpoolOptions,
    survey: &'a Survey,
    damages: &'a mut Vec<Damage>,
    /// The newest save could not be read.
    old_state: bool,
}

impl Opening<'_> {
    fn run(mut self) -> Result<Ready, DiskError> {
        let found = self.read_state()?;
        let known = found.as_ref().map(|(_, state)| state.clone());
        let boot = self.options.boot.unwrap_or_default();
        let same_boot = self.options.boot.is_some()
            && match &known {
                Some(state) => state.boot == boot,
                None => self.last_header()?.is_some_and(|h| h.boot == boot),
            };
        if let Some(state) = &known {
            self.check_framing(state)?;
        }
        let synced = known.as_ref().map_or(0, |state| state.synced);
        let ended = known.as_ref().and_then(|state| state.ended);
        let ended = ended.map(NonZeroU64::get);
        // A save that is not the newest one knows nothing of what has come since.
        let ended = ended.filter(|at| !self.old_state || self.may_end_at(*at));
        let (mut seen, mut next) = self.mend(known.as_ref(), same_boot, (synced, ended))?;
        let mut is_due = false;
        if let Some(last) = seen.last_mut().filter(|last| Some(last.end()) == ended)
            && let Some(open) = next.filter(|next| next.begun() > 0)
            && known
                .as_ref()
                .is_some_and(|state| state.framing == self.options.framing)
        {
            match self.mender().end_record(last, open)? {
                Ok(behind) => next = Some(behind),
                // Nobody makes room by what it is owed, and whoever was given that end would take it for a record.
                Err(full) if known.as_ref().is_some_and(|it| it.all_have(last.end())) => {
                    return Err(full);
                }
                Err(_) => is_due = true,
            }
        }
        let opening = known.as_ref().map_or(0, |state| state.opening) + 1;
        let spool = known.as_ref().map_or_else(new_identity, |s| s.spool);
        let mut end = end_of(&seen, next, known.as_ref());
        let orphans = Orphans::look(self.directory, self.options.framing, self.survey, spool)?;
        if let Some(gone) = orphans.end.filter(|gone| gone.at > end.at)
            && same_boot
            && known.is_some()
        {
            end = gone;
        }
        let ended = ended.filter(|at| *at == end.at || at + 1 == end.at);
        is_due &= ended == Some(end.at);
        if ended.is_some() && !is_due {
            // What it ended in is not there any more, or ends there, whatever ends records now.
            end = end.between_records();
        }
        let oldest = self.oldest(&seen, end)?;
        let mut state = known.unwrap_or_else(|| State {
            saves: 0,
            spool,
            boot,
            opening: 0,
            framing: self.options.framing,
            synced: 0,
            end,
            lost_bytes: 0,
            lost_records: 0,
            ended: None,
            places: Default::default(),
            journal: None,
        });
        (state.opening, state.boot, state.end) = (opening, boot, end);
        state.framing = self.options.framing;
        state.ended = None;
        match ended {
            Some(at) if is_due => state.ended = NonZeroU64::new(at),
            Some(at) => state.end_record(at, end),
            None => {}
        }
        if !same_boot {
            // What was not on the disk has been forced there, or cut out.
            state.synced = end.at;
        }
        if !same_boot || self.old_state {
            self.take_back_places(&mut state, oldest, synced);
        }
        let trusted = if same_boot { end.at } else { synced };
        let header = IndexHeader {
            opening,
            base: 0,
            spool: state.spool,
            boot,
        };
        if found.is_none() {
            self.adopt(&seen, spool);
        }
        let state = StateFile::take(self.directory, found.map(|(file, _)| file), state)?;
        // Only now: what they tell has been saved.
        self.remove(&orphans.ours);
        self.damages.extend(orphans.set_aside(self.directory));
        let places = (end, trusted, oldest);
        let mut ready = Ready::new(self.directory, self.options, state, &seen, header, places)?;
        ready.end_is_due = is_due;
        Ok(ready)
    }

    /// Whether what is behind this offset, if that is one byte, may be the end of a record.
    fn may_end_at(&self, at: u64) -> bool {
        let Some(last) = self.survey.segments.last().filter(|it| it.end() == at + 1) else {
            return true;
        };
        let mut byte = [0];
        let file = self.directory.read_file(&names(last.base).0);
        let file = file.map_err(std::io::Error::from);
        let got = file.and_then(|file| read_at(&file, &mut byte, at - last.base));
        got.is_ok_and(|got| got == 1) && over::end_of(self.options.framing) == Some(byte[0])
    }

    fn read_state(&mut self) -> Result<state_file::Found, DiskError> {
        if !self.survey.has_state && !self.survey.ours {
            return Ok(None);
        }
        let (found, damage) = state_file::find(self.directory)?;
        self.old_state = damage.as_ref().is_some_and(|d| d.cause == Cause::OldState);
        self.damages.extend(damage);
        Ok(found)
    }

    /// A first segment that is missing has been delivered, for places are saved before segments are
    /// given back; but that may have reached the disk in another order, or the segment never.
    fn take_back_places(&mut self, state: &mut State, oldest: Place, synced: u64) {
        let first = state.places.values().map(|place| place.at).min();
        let from = first.unwrap_or(oldest.at).max(synced);
        if from < oldest.at {
            let name = self.directory.path().display().to_string();
            let damage = Damage::new(Cause::Uncertain, &name, from, oldest.at - from, 0);
            self.damages.push(damage);
        }
        for place in state.places.values_mut().filter(|p| p.at < oldest.at) {
            *place = oldest;
        }
    }

    /// Nothing says of which spool they were: they are of this one from now on, and so is an index that is left alone. Where
    /// that cannot be written it will be said not to be.
    fn adopt(&self, seen: &[Seen], spool: u64) {
        for it in seen {
            let Ok(file) = self.directory.open_file(&names(it.base).1) else {
                continue;
            };
            let header = file.try_clone().and_then(Index::open);
            let header = header.and_then(|mut index| index.header());
            if let Ok(Read::Good(header)) = header {
                let _ = IndexWriter::begin(file, &IndexHeader { spool, ..header });
            }
        }
    }

    /// One that stays is in nobody's way.
    fn remove(&self, names: &[String]) {
        for name in names {
            let _ = self.directory.remove(name);
        }
    }

    fn last_header(&self) -> Result<Option<IndexHeader>, DiskError> {
        let Some(last) = self.survey.segments.last() else {
            return Ok(None);
        };
        let name = names(last.base).1;
        let path = self.directory.path_of(&name);
        let Some(file) = self.directory.read_if_there(&name)? else {
            return Ok(None);
        };
        let header = Index::open(file).and_then(|mut index| index.header());
        match header.map_err(|error| DiskError::new("read", &path, error))? {
            Read::Good(header) => Ok(Some(header)),
            Read::Unknown(version) => Err(DiskError::unknown_version(version, &path)),
            Read::Damaged => Ok(None),
        }
    }

    /// What is still owed to somebody has the framing that it was written with.
    fn check_framing(&self, state: &State) -> Result<(), DiskError> {
        if state.framing == self.options.framing {
            return Ok(());
        }
        let end = self.survey.segments.last().map_or(0, Seen::end);
        // Where its last record has just got its end, that is nothing that is owed.
        let end = state.ended.map_or(end, |ended| end.min(ended.get()));
        let oldest = state.places.values().map(|p| p.at).min().unwrap_or(0);
        if oldest >= end {
            return Ok(());
        }
        let said = |framing| match framing {
            Framing::Bytes => "without framing".to_owned(),
            framing => format!("with {framing}"),
        };
        let reason = format!(
            "it holds {} bytes that were written {}, not {}; deliver those first, or name another directory",
            end - oldest,
            said(state.framing),
            said(self.options.framing)
        );
        Err(DiskError::because(
            "open the spool",
            self.directory.path(),
            reason,
        ))
    }

    /// Puts right what the end of the last weir has left: the segments, and the next record's number.
    fn mend(
        &mut self,
        state: Option<&State>,
        same_boot: bool,
        (synced, ended): (u64, Option<u64>),
    ) -> Result<(Vec<Seen>, Option<Records>), DiskError> {
        self.remove(&self.survey.unfinished);
        let mut seen = self.survey.segments.clone();
        while let Some(last) = seen.pop_if(|last| last.len == 0 && last.index_len <= 64) {
            let (stream, index) = names(last.base);
            let gone = self.directory.remove(&stream);
            let gone = gone.and_then(|()| self.directory.remove(&index));
            gone.map_err(|e| DiskError::new("remove", &self.directory.path_of(&stream), e))?;
        }
        let is_behind =
            |last: &&mut Seen| ended.is_some_and(|at| at <= last.end() && last.end() <= at + 1);
        if !same_boot && let Some((last, at)) = seen.last_mut().filter(is_behind).zip(ended) {
            self.mender().take_end_back(last, at)?;
        }
        let first_unsure = if same_boot || state.is_none() {
            seen.len().saturating_sub(1)
        } else {
            // The last entry of one that ends just there may have been kept out by a full disk.
            let sure = seen.partition_point(|seen| seen.end() < synced);
            sure.min(seen.len().saturating_sub(1))
        };
        let mut mender = self.mender();
        let mut next = match first_unsure.checked_sub(1) {
            Some(before) => mender.records_behind(&seen[before])?,
            None => None,
        };
        for n in first_unsure..seen.len() {
            let seen = &mut seen[n];
            let places = state.iter().flat_map(|s| s.places.values());
            let first = places.min_by_key(|place| place.at);
            let start = match (next, first) {
                (Some(next), _) => next,
                (None, Some(place)) => mender.records_before(seen, *place)?,
                (None, None) => Records::new(mender.framing, 0, 0),
            };
            next = Some(if same_boot {
                mender.enter_rest(seen, start, synced)?
            } else {
                mender.cut_unsynced(seen, start, synced)?
            });
        }
        if !same_boot && let Some(open) = next.filter(|next| next.begun() > 0) {
            let places = state.iter().flat_map(|s| s.places.values());
            let from = places.map(|place| place.at).min().unwrap_or(0);
            if mender.cut_begun(&seen, from)? {
                next = Some(open.anew());
            }
        }
        Ok((seen, next))
    }

    fn mender(&mut self) -> Mender<'_> {
        Mender {
            directory: self.directory,
            framing: self.options.framing,
            damages: self.damages,
        }
    }

    fn oldest(&self, seen: &[Seen], end: Place) -> Result<Place, DiskError> {
        let Some(first) = seen.first() else {
            return Ok(end);
        };
        let name = names(first.base).1;
        let path = self.directory.path_of(&name);
        let entry = match self.directory.read_if_there(&name)? {
            Some(file) => Index::open(file)
                .and_then(|mut index| index.entry(1))
                .map_err(|error| DiskError::new("read", &path, error))?,
            None => None,
        };
        Ok(Place {
            at: first.base,
            record: entry.map_or(0, |entry| entry.first_record),
            begun: entry.map_or(0, |entry| entry.begun),
        })
    }
}

/// Where the next byte goes: behind all that has ever been said to be there.
fn end_of(seen: &[Seen], next: Option<Records>, state: Option<&State>) -> Place {
    let mut end = Place {
        at: seen.last().map_or(0, Seen::end),
        record: next.map_or(0, |next| next.next()),
        begun: next.map_or(0, |next| next.begun()),
    };
    let said = state.iter().flat_map(|s| s.places.values().chain([&s.end]));
    for place in said {
        if place.at > end.at || seen.is_empty() && place.at == end.at {
            end = Place {
                record: end.record.max(place.record),
                ..*place
            };
        }
    }
    end
}

/// A number that no other spool has.
fn new_identity() -> u64 {
    use std::hash::BuildHasher;
    std::hash::RandomState::new().hash_one(std::process::id())
}
