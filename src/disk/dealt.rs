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
<<<<<<< HEAD
mod tests;
=======
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Records have ten bytes.
    fn place(at: u64) -> Place {
        Place {
            at,
            record: at / 10,
            begun: at % 10,
        }
    }

    fn span(from: u64, to: u64) -> Span {
        (place(from), place(to))
    }

    fn parts(journal: &Journal) -> Vec<(u64, u64)> {
        journal
            .open
            .iter()
            .map(|it| (it.place.at, it.end))
            .collect()
    }

    #[test]
    fn what_others_have_in_hand_is_owed_and_what_falls_back_is_owed_again() {
        let mut dealt = Dealt::after(None, place(0));
        dealt.on_written(1, span(20, 40));
        dealt.on_written(2, span(60, 80));
        let journal = dealt.journal();
        assert_eq!(parts(&journal), [(0, 20), (40, 60)]);
        assert_eq!((journal.low(), journal.next), (place(0), place(80)));
        assert_eq!(journal.open[1].records, 2);
        dealt.on_written(0, span(0, 20));
        dealt.give_back(2, &[span(70, 80)]);
        assert_eq!(parts(&dealt.journal()), [(40, 60), (70, 80)]);
        dealt.on_written(0, span(40, 60));
        dealt.on_written(0, span(70, 80));
        assert!(dealt.has_all(80));
        assert_eq!(dealt.journal(), Journal::at(place(80)));
    }

    #[test]
    fn a_record_that_was_begun_is_owed_whole_unless_nothing_else_fits() {
        let mut dealt = Dealt::after(None, place(0));
        dealt.on_written(1, span(10, 25));
        dealt.on_written(0, span(0, 10));
        assert!(dealt.has_all(25));
        assert_eq!(dealt.journal(), Journal::at(place(20)));
        assert!(!dealt.lets_go_of_begun(30, 30), "there is more");
        assert!(
            !dealt.lets_go_of_begun(25, 20),
            "somebody else is in the way"
        );
        assert!(dealt.lets_go_of_begun(25, 25));
        assert_eq!(dealt.journal(), Journal::at(place(25)));
        dealt.on_written(1, span(25, 33));
        assert_eq!(dealt.journal(), Journal::at(place(30)));
        // It falls with what it has begun.
        dealt.give_back(1, &[span(30, 33)]);
        assert!(!dealt.has_all(33));
        assert_eq!(dealt.journal(), Journal::at(place(30)));
    }

    #[test]
    fn no_part_ends_inside_of_a_record_that_is_owed_from_its_beginning() {
        let mut dealt = Dealt::after(None, place(0));
        dealt.on_written(0, span(0, 6));
        dealt.on_written(1, span(10, 25));
        let journal = dealt.journal();
        assert_eq!((parts(&journal), journal.next), (vec![(0, 10)], place(20)));
        // What it has given back touches that.
        dealt.give_back(1, &[span(10, 25)]);
        let journal = dealt.journal();
        assert_eq!((parts(&journal), journal.next), (vec![(0, 20)], place(20)));
        assert_eq!(dealt.missing_in(&journal), 0);
        dealt.on_written(0, span(6, 10));
        dealt.on_written(1, span(10, 37));
        let journal = dealt.journal();
        assert_eq!(journal, Journal::at(place(30)));
        // Another one is behind it.
        dealt.on_written(0, span(40, 50));
        assert_eq!(parts(&dealt.journal()), [(30, 40)]);
    }

    #[test]
    fn what_is_lost_is_owed_to_nobody_and_what_follows_has_its_number() {
        let mut dealt = Dealt::after(None, place(0));
        dealt.on_written(1, span(60, 80));
        dealt.lose(0, 33, 3, None);
        dealt.lose(80, 120, 4, Some(12));
        let journal = dealt.journal();
        assert_eq!(parts(&journal), [(33, 60)]);
        assert_eq!((journal.open[0].place.record, journal.next.record), (3, 12));
    }

    #[test]
    fn batches_of_an_earlier_run_are_parts_that_are_owed_and_their_numbers_stay_theirs() {
        let mut journal = Journal::at(place(0));
        let batch = |number, from, to| Entry {
            number,
            opening: 2,
            tries: 3,
            is_open: true,
            ..untried(span(from, to))
        };
        journal.begin(batch(7, 20, 40));
        journal.begin(batch(8, 40, 60));
        let dealt = Dealt::after(Some(journal.clone()), place(10));
        let journal = dealt.journal();
        assert_eq!(parts(&journal), [(10, 60)]);
        assert_eq!((journal.last, journal.next), (8, place(60)));
    }

    #[test]
    fn there_are_never_more_parts_than_there_is_room_for_and_none_is_left_out() {
        let mut dealt = Dealt::after(None, place(0));
        let parts = BATCHES_MOST as u64 + 50;
        // Fifty of the gaps are short.
        for k in 0..parts {
            let to = if k % 9 == 4 { 50 } else { 90 };
            dealt.on_written(0, span(k * 100 + 10, k * 100 + to));
        }
        let journal = dealt.journal();
        assert_eq!(journal.open.len(), BATCHES_MOST);
        assert_eq!(journal.low(), place(0));
        let saved: u64 = journal.open.iter().map(|it| it.end - it.place.at).sum();
        let owed: u64 = dealt.owed.values().map(|(from, to)| to.at - from.at).sum();
        assert!(owed < saved && saved < owed + 50 * 81, "{owed} {saved}");
        assert_eq!(dealt.missing_in(&journal), 0);
        let records: u64 = journal.open.iter().map(|it| it.records).sum();
        assert_eq!(records, saved / 10);
    }

    proptest! {
        #[test]
        fn it_is_what_a_set_of_places_would_be(
            steps in prop::collection::vec((0usize..3, 0u64..300, 1u64..60, any::<bool>()), 1..80),
        ) {
            let (mut dealt, mut had) = (Dealt::after(None, place(0)), BTreeSet::new());
            let mut furthest = 0;
            for (who, from, n, is_given) in steps {
                // Records alone, so that what has begun does not matter.
                let (from, to) = (from / 10 * 10, (from + n).next_multiple_of(10));
                if is_given {
                    dealt.on_written(who, span(from, to));
                    had.extend(from..to);
                    furthest = to.max(furthest);
                } else {
                    dealt.give_back(who, &[span(from, to)]);
                    had.retain(|at| !(from..to).contains(at));
                }
                let journal = dealt.journal();
                let owed: BTreeSet<u64> = parts(&journal).into_iter().flat_map(|(a, b)| a..b).collect();
                let wanted: BTreeSet<u64> = (0..furthest).filter(|at| !had.contains(at)).collect();
                prop_assert_eq!(&owed, &wanted);
                prop_assert_eq!(journal.next, place(furthest));
                prop_assert!(journal.open.windows(2).all(|two| two[0].end < two[1].place.at));
                prop_assert!(journal.open.iter().all(|it| it.records * 10 == it.end - it.place.at));
                prop_assert_eq!(Dealt::after(Some(journal.clone()), journal.low()).journal(), journal);
            }
        }
    }
}
>>>>>>> full
