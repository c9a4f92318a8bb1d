//! How far those have come who take from one stream side by side, each whole records by a pipe of its own. Pure: places
//! in, a [journal](super::journal) out.
//!
//! What is behind `next` nobody has had. Before it each of the parts in `owed` is still to be delivered: somebody has it
//! in hand, or it was given back by one who fell. There are about as many as there are programs; where one falls whose
//! pipe held much that came from many places, there are more for a while.
//!
//! What is saved is a journal of what was never tried, so that a spool has one table for both, and whoever opens it next
//! may go on in whatever way. A record that has begun and not ended is owed from its beginning there, so that nobody
//! gets one without it, and in one part with its end; and where there are more parts than a journal has room for those are made one that have least
//! between them, which costs nothing but that this is repeated if weir is killed just then.
//!
//! Invariants: the parts in `owed` are not empty, in order, before `next`, and no two of them touch.

use std::collections::BTreeMap;

use super::journal::{BATCHES_MOST, Entry, Journal};
use super::place::Place;

/// A part of the stream: its first place, and the one behind it.
pub(crate) type Span = (Place, Place);

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Dealt {
    /// Number of the last batch, where there ever was one.
    last: u64,
    next: Place,
    /// By where they begin.
    owed: BTreeMap<u64, Span>,
    /// Who is inside of a record, where that begins, and how far of it was given.
    begun: BTreeMap<usize, Span>,
    /// What lies before this offset may have been let go of.
    let_go: u64,
}

impl Dealt {
    /// Goes on where an earlier run was: batches are nothing but parts that are owed. Nobody is owed what lies before
    /// `place`.
    pub(crate) fn after(journal: Option<Journal>, place: Place) -> Dealt {
        let journal = journal.unwrap_or_else(|| Journal::at(place));
        let later = |one: Place| if one.at < place.at { place } else { one };
        let mut dealt = Dealt {
            last: journal.last,
            next: later(journal.next),
            let_go: place.at,
            ..Dealt::default()
        };
        for entry in &journal.open {
            dealt.owe((later(entry.place), entry.whole()));
        }
        dealt
    }

    /// This one was given what lies between these places.
    pub(crate) fn on_written(&mut self, who: usize, (from, to): Span) {
        self.take((from, to));
        match to.begun {
            0 => self.begun.remove(&who),
            _ => self.begun.insert(who, (to.begun_anew(), to)),
        };
    }

    /// This one has fallen, and had not read these parts; that of a record which it was given and had not read to the
    /// end is among them.
    pub(crate) fn give_back(&mut self, who: usize, parts: &[Span]) {
        self.begun.remove(&who);
        parts.iter().for_each(|part| self.owe(*part));
    }

    /// What lies between these offsets is lost, with so many records; the number of what comes next, if it is known. The
    /// records that are lost of what was owed, if that is otherwise.
    pub(crate) fn lose(&mut self, from: u64, to: u64, records: u64, next: Option<u64>) {
        let before = self.record_before(from);
        let record = before.or(next.map(|it| it.saturating_sub(records)));
        let record = record.unwrap_or(self.next.record);
        let first = Place {
            at: from,
            record,
            begun: 0,
        };
        let behind = Place {
            at: to,
            record: next.unwrap_or(record + records).max(record),
            begun: 0,
        };
        self.take((first, behind));
    }

    /// The number of the record at this place, where somebody's place is known to be there.
    fn record_before(&self, at: u64) -> Option<u64> {
        let owed = self.owed.get(&at).map(|(from, _)| from.record);
        owed.or((self.next.at == at).then_some(self.next.record))
    }

    /// This is owed to nobody any more.
    fn take(&mut self, (from, to): Span) {
        if to.at <= from.at {
            return;
        }
        if self.next.at < to.at {
            let next = std::mem::replace(&mut self.next, to);
            if next.at < from.at {
                // It is in somebody's hands.
                self.owe((next, from));
            }
        }
        for at in self.touched(from.at + 1, to.at) {
            let Some((start, end)) = self.owed.remove(&at) else {
                continue;
            };
            if start.at < from.at {
                self.owed.insert(start.at, (start, from));
            }
            if to.at < end.at {
                self.owed.insert(to.at, (to, end));
            }
        }
    }

    /// This is owed, as far as it was not behind all the others anyhow.
    fn owe(&mut self, (mut from, mut to): Span) {
        if self.next.at < to.at {
            to = self.next;
        }
        if to.at <= from.at {
            return;
        }
        for at in self.touched(from.at, to.at + 1) {
            if let Some((start, end)) = self.owed.remove(&at) {
                from = if start.at < from.at { start } else { from };
                to = if to.at < end.at { end } else { to };
            }
        }
        self.owed.insert(from.at, (from, to));
    }

    /// Where those parts begin that end at this offset or behind it, and begin before that one.
    fn touched(&self, from: u64, before: u64) -> Vec<u64> {
        let parts = self.owed.range(..before).rev();
        let parts = parts.take_while(|(_, (_, end))| end.at >= from);
        parts.map(|(at, _)| *at).collect()
    }

    /// The input has ended: whoever was given all that there is of the last record is owed nothing more of it.
    pub(crate) fn forget_begun_to(&mut self, end: u64) {
        self.begun.retain(|_, (_, to)| to.at != end);
    }

    /// Whether all before this offset was delivered, as far as anybody is inside of a record.
    pub(crate) fn has_all(&self, end: u64) -> bool {
        self.owed.is_empty() && self.next.at == end
    }

    /// There is no room: where all that there is was delivered, and nobody else is owed what lies before this offset, the
    /// beginnings of records that go on are not kept. Whether that is so.
    pub(crate) fn lets_go_of_begun(&mut self, end: u64, floor: u64) -> bool {
        let mut begun = self.begun.values();
        let is_in_way = begun.any(|(from, _)| from.at < floor);
        let is_at_end = self.has_all(end) && is_in_way;
        if is_at_end {
            self.let_go = end;
        }
        is_at_end
    }

    /// What another run is to find.
    pub(crate) fn journal(&self) -> Journal {
        let mut saved = Dealt {
            begun: BTreeMap::new(),
            ..self.clone()
        };
        for (from, to) in self.begun.values() {
            if from.at >= self.let_go {
                saved.owe((*from, *to));
            }
        }
        saved.keep_together();
        let mut open: Vec<Entry> = saved.owed.into_values().map(untried).collect();
        join_nearest(&mut open);
        Journal {
            last: self.last,
            next: saved.next,
            open,
        }
    }

    /// Where the record that goes on at `next` is owed from its beginning on, it is behind all the others, as what will
    /// come of it is: who takes each of the parts by itself would have its two halves apart.
    fn keep_together(&mut self) {
        let anew = self.next.begun_anew();
        let last = self.owed.last_key_value().map(|(_, last)| *last);
        let ends_there = |(from, to): &Span| to.at == self.next.at && from.at <= anew.at;
        let Some((from, _)) = last.filter(ends_there).filter(|_| self.next.begun > 0) else {
            return;
        };
        self.next = anew;
        self.owed.remove(&from.at);
        if from.at < anew.at {
            self.owed.insert(from.at, (from, anew));
        }
    }

    /// Bytes that are owed, and are not in what is saved.
    pub(crate) fn missing_in(&self, saved: &Journal) -> u64 {
        let parts = self.owed.values();
        let all: u64 = parts.clone().map(|(from, to)| to.at - from.at).sum();
        let next = saved.next.at;
        let there = |(from, to): &Span| {
            let within = |a: u64, b: u64| b.min(to.at).saturating_sub(a.max(from.at));
            let open = saved.open.iter().map(|it| within(it.place.at, it.end));
            open.sum::<u64>() + within(next, u64::MAX)
        };
        all.saturating_sub(parts.map(there).sum())
    }
}

fn untried((place, to): Span) -> Entry {
    Entry {
        number: 0,
        opening: 0,
        tries: 0,
        interrupted: 0,
        is_open: false,
        is_shed: false,
        is_ended: false,
        records: to.record.saturating_sub(place.record),
        place,
        end: to.at,
        begun: to.begun,
    }
}

/// Makes neighbours one until there is room for all of them: always those with least between them.
fn join_nearest(open: &mut Vec<Entry>) {
    let Some(most) = open.len().checked_sub(BATCHES_MOST).filter(|n| *n > 0) else {
        return;
    };
    let mut gaps: Vec<(u64, usize)> = open
        .windows(2)
        .enumerate()
        .map(|(i, pair)| (pair[1].place.at - pair[0].end, i + 1))
        .collect();
    gaps.sort_unstable();
    let mut joined: Vec<usize> = gaps[..most].iter().map(|(_, i)| *i).collect();
    joined.sort_unstable();
    // The last first, so that what is before stays where it is.
    for i in joined.into_iter().rev() {
        let to = open.remove(i).behind();
        let from = open[i - 1].place;
        open[i - 1] = untried((from, to));
    }
}

#[cfg(test)]
mod tests;
