//! What an earlier run has left in a spool, in the words of the state machine, by how it goes out.

use crate::disk::dealt::Span;
use crate::disk::format::ENTRY_MOST;
use crate::disk::journal::{Entry, Journal};
use crate::disk::reader::{Cursor, Piece};
use crate::disk::spool::Spool;
use crate::disk::state::Place;
use crate::engine::disk::{Inherited, Owed};
use crate::engine::ticket::{Stretch, Tries};
use crate::pipe::append::Tail;
use crate::pipe::holder::Tee;

/// How what lies in a spool goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UseBy {
    /// As one stream.
    Stream,
    /// As one stream of which several take side by side.
    Workers,
    /// In batches; those that are given up go to a file, maybe.
    Batches {
        /// See there.
        sheds_to_file: bool,
    },
}

/// Where somebody goes on who has not had what came of a record before this place: where that begins, as far as it is there.
pub(super) fn from_its_beginning(place: Place, oldest: Place) -> Place {
    match place.begun_anew() {
        anew if anew.at >= oldest.at => anew,
        _ => place,
    }
}

/// Whether a file ends with what came of a record before this place, as far as that is still there.
pub(super) fn has_begun(spool: &Spool, place: Place, oldest: Place, tail: &Tail) -> bool {
    let anew = place.begun_anew();
    if place.begun == 0 || anew.at < oldest.at {
        return true;
    }
    let mut cursor = Cursor::default();
    let (mut ours, mut theirs) = (vec![0; ENTRY_MOST], vec![0; ENTRY_MOST]);
    let mut at = anew.at;
    while at < place.at {
        cursor.go_to(at);
        let Ok(Piece::Bytes { range, .. }) = spool.read(&mut cursor, &mut ours) else {
            // It is not to be had from its beginning.
            return true;
        };
        let left = usize::try_from(place.at - at).unwrap_or(usize::MAX);
        let length = range.len().min(left);
        let ours = &ours[range.start..][..length];
        if !tail.read(place.at - at, &mut theirs[..length]) || ours != &theirs[..length] {
            return false;
        }
        at += length as u64;
    }
    true
}

/// Where a tee goes on; one that is new there gets what the consumer gets, from the beginning of a record on.
pub(super) fn place_of_tee(spool: &Spool, tee: &Tee, consumer: Place, oldest: Place) -> Place {
    let anew = |place| from_its_beginning(place, oldest);
    match spool.place(&tee.name) {
        // What it had of a record has gone with the file.
        Some(place) if tee.is_empty => anew(place),
        Some(place) => place,
        None => anew(consumer),
    }
}

/// What somebody is still owed of what lies there.
pub(super) fn left(spool: &Spool, place: Place, use_by: UseBy) -> Inherited {
    let end = spool.end();
    let journal = spool.journal().unwrap_or_else(|| Journal::at(place));
    let tries = |entry: &Entry| Tries {
        all: entry.tries,
        interrupted: entry.interrupted,
    };
    let owner = |entry: &Entry| match use_by {
        UseBy::Stream | UseBy::Workers => Owed::Consumer,
        UseBy::Batches { .. } if entry.is_shed => Owed::Overflow,
        UseBy::Batches { .. } => Owed::Batch(entry.number, tries(entry)),
    };
    let mut parts: Vec<_> = journal
        .open
        .iter()
        .map(|entry| {
            let is_stream = !matches!(use_by, UseBy::Batches { .. });
            let is_begun = is_stream && entry.place.at < place.at;
            let from = if is_begun { place } else { entry.place };
            let stretch = match is_stream {
                true => stretch(from, entry.whole(), entry.is_open && !entry.is_ended),
                false => stretch(from, entry.behind(), entry.is_open),
            };
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

/// The places between which this lies.
pub(super) fn span(part: &Stretch) -> Span {
    let place = |at, record, begun| Place { at, record, begun };
    let first = place(part.from, part.before, part.depths[0]);
    let behind = place(part.to, part.before + part.records, part.depths[1]);
    (first, behind)
}

/// What the journal says of a batch.
pub(super) fn entry(number: u64, tries: u32, it: &Stretch, opening: u32) -> Entry {
    Entry {
        number,
        opening,
        tries,
        interrupted: 0,
        is_open: it.is_open,
        is_shed: false,
        is_ended: false,
        records: it.records,
        place: Place {
            at: it.from,
            record: it.before,
            begun: it.depths[0],
        },
        end: it.to,
        begun: it.depths[1],
    }
}

pub(super) fn stretch(from: Place, to: Place, is_open: bool) -> Stretch {
    Stretch {
        from: from.at,
        to: to.at,
        depths: [from.begun, to.begun],
        before: from.record,
        records: to.record.saturating_sub(from.record),
        is_open,
    }
}
