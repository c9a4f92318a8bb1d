//! The place at an offset: what the index says of the records before it.

use super::damage::Damage;
use super::format::{Entry, names};
use super::index::{Found, Index};
use super::records::Records;
use super::spool::Spool;
use super::state::Place;

impl Spool {
    /// The place at this offset, if an entry begins or ends there, or the stream of a run.
    pub(crate) fn place_at(&self, at: u64) -> Option<Place> {
        let ends = [self.end(), self.opened_at];
        if let Some(end) = ends.into_iter().find(|end| end.at == at) {
            return Some(end);
        }
        let begins = self.entry_of(at).filter(|it| it.at == at && !it.damaged);
        let begins = begins.map(|entry| Place {
            at,
            record: entry.first_record,
            begun: entry.begun,
        });
        begins.or_else(|| {
            let before = self.entry_of(at.checked_sub(1)?)?;
            // Who does not say how it ends may not have counted, either.
            before.at_record.filter(|_| before.end() == at)?;
            let framing = self.state().state.framing;
            let records = Records::behind(framing, &before, Vec::new);
            Some(Place {
                at,
                record: records.next(),
                begun: records.begun(),
            })
        })
    }

    /// The entry that has this byte.
    fn entry_of(&self, at: u64) -> Option<Entry> {
        let segment = self.segments.holder(at)?;
        let file = self.directory.read_file(&names(segment.base()).1).ok()?;
        let mut index = Index::open(file).ok()?;
        match index.find(at, segment.base(), segment.entered()).ok()? {
            Found::Entry(_, entry) => Some(entry),
            Found::Hole { .. } => None,
        }
    }

    /// Number of the record that the byte at this offset belongs to, if that is known.
    fn record_at(&self, at: u64) -> Option<u64> {
        let place = self.place_at(at).or_else(|| self.counted_at(at));
        place.map(|place| place.record)
    }

    /// The place at this offset, if an output has come so far, or is given that record anew from there: that has counted.
    fn counted_at(&self, at: u64) -> Option<Place> {
        let state = &self.state().state;
        let journal = state.journal.iter();
        let batches = journal.flat_map(|it| it.open.iter().map(|batch| batch.place));
        let places = state.places.values().copied().chain(batches);
        let mut places = places.flat_map(|place| [place, place.begun_anew()]);
        places.find(|place| place.at == at)
    }

    /// Counts the records that end in it by what is known before and behind it.
    pub(super) fn count_records(&self, damage: &mut Damage) {
        let from = self.record_at(damage.at);
        let to = self.record_at(damage.at + damage.bytes);
        damage.count(from.zip(to).and_then(|(from, to)| to.checked_sub(from)));
    }

    /// Counts the records that end in it, which is this entry, or the rest of it behind what somebody has had.
    pub(super) fn count_rest(&self, damage: &mut Damage, entry: &Entry) {
        let from = match damage.at == entry.at {
            true => Some(entry.first_record),
            false => self.counted_at(damage.at).map(|place| place.record),
        };
        let to = entry.first_record + u64::from(entry.records);
        damage.count(from.and_then(|from| to.checked_sub(from)));
    }
}
