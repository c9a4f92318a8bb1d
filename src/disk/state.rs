//! The state of a spool: how far each output has come, and what is known of the whole.
//!
//! The file is made and filled before it is needed, so that a full disk cannot keep a place from
//! being saved. It has four slots of 32 KiB, and the valid one with the highest number counts.
//! A save never touches the slot of the save before it, so that a process killed in the middle has
//! the one before; nor the slot that was last forced to the disk or is being forced, so that a power
//! cut finds one that is whole.
//!
//! A slot, little-endian:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | `weir.sta` |
//! | 8 | 4 | version |
//! | 12 | 4 | length of all of it, the checksum at the end included |
//! | 16 | 8 | number of the save |
//! | 24 | 8 | the spool's identity |
//! | 32 | 16 | `boot_id` of the last opening |
//! | 48 | 4 | how many times the spool has been opened |
//! | 52 | 4 | framing: 0 none, 1 lines, 2 zero bytes, 3 a fixed size |
//! | 56 | 8 | that size; with 1 and 2 the offset at which the last input ended inside of a record, 0 where that is not so |
//! | 64 | 8 | offset up to which the stream has been forced to the disk |
//! | 72 | 8 | offset behind the stream's last byte, at least |
//! | 80 | 8 | number of the record that comes there, at least |
//! | 88 | 8 | bytes of that record that have come already |
//! | 96 | 8 | bytes lost to damage so far |
//! | 104 | 8 | records lost to damage so far; with all bits set nobody knows how many |
//! | 112 | 4 | outputs; then for each: offset (8), record (8), bytes of that record that it has had (8), length of its name (2), the name: `-` is the consumer's, a path a tee's |
//! | | | the batches that are under way, see [`journal`](super::journal) |
//! | | 4 | crc of all that is before |

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use super::format::{Framing, Read, VERSION, checksum, u32_at, u64_at};
use super::journal::Journal;
pub(crate) use super::place::Place;

pub(crate) const MAGIC: [u8; 8] = *b"weir.sta";

/// The consumer's name among the outputs; those of the others are paths, which begin otherwise.
pub(crate) const CONSUMER: &str = "-";

/// Bytes of a slot.
pub(crate) const SLOT: usize = 32 << 10;
const FIXED: usize = 116;

/// So many records are lost that nobody knows how many.
pub(crate) const UNCOUNTED: u64 = u64::MAX;

/// What a slot says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub saves: u64,
    pub spool: u64,
    pub boot: [u8; 16],
    pub opening: u32,
    pub framing: Framing,
    pub synced: u64,
    pub end: Place,
    pub lost_bytes: u64,
    pub lost_records: u64,
    /// Where the input has ended inside of a record, which gets its end at the next opening. Where a byte ends records.
    pub ended: Option<NonZeroU64>,
    pub places: BTreeMap<String, Place>,
    /// Where a program is run with batches, or was.
    pub journal: Option<Journal>,
}

impl State {
    /// The bytes of a slot; `None` when they are more than it has.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let ended = self.ended.map_or(0, NonZeroU64::get);
        let (framing, size) = match self.framing {
            Framing::Bytes => (0u32, 0),
            Framing::Lines => (1, ended),
            Framing::Zero => (2, ended),
            Framing::Fixed(size) => (3, size),
        };
        let mut slot = Vec::with_capacity(256);
        slot.extend_from_slice(&MAGIC);
        slot.extend_from_slice(&VERSION.to_le_bytes());
        slot.extend_from_slice(&[0; 4]);
        slot.extend_from_slice(&self.saves.to_le_bytes());
        slot.extend_from_slice(&self.spool.to_le_bytes());
        slot.extend_from_slice(&self.boot);
        slot.extend_from_slice(&self.opening.to_le_bytes());
        slot.extend_from_slice(&framing.to_le_bytes());
        for number in [
            size,
            self.synced,
            self.end.at,
            self.end.record,
            self.end.begun,
            self.lost_bytes,
            self.lost_records,
        ] {
            slot.extend_from_slice(&number.to_le_bytes());
        }
        slot.extend_from_slice(&u32::try_from(self.places.len()).ok()?.to_le_bytes());
        for (name, place) in &self.places {
            slot.extend_from_slice(&place.at.to_le_bytes());
            slot.extend_from_slice(&place.record.to_le_bytes());
            slot.extend_from_slice(&place.begun.to_le_bytes());
            slot.extend_from_slice(&u16::try_from(name.len()).ok()?.to_le_bytes());
            slot.extend_from_slice(name.as_bytes());
        }
        Journal::encode(self.journal.as_ref(), &mut slot);
        let len = slot.len() + 4;
        slot[12..16].copy_from_slice(&u32::try_from(len).ok()?.to_le_bytes());
        let crc = checksum(0, &slot);
        slot.extend_from_slice(&crc.to_le_bytes());
        (len <= SLOT).then_some(slot)
    }

    /// Whether nobody is owed anything of what lies before this offset.
    pub(super) fn all_have(&self, at: u64) -> bool {
        let mut places = self.places.values();
        let is_owed = |it: &Journal| it.next.at < at || !it.open.is_empty();
        places.all(|it| it.at >= at) && !self.journal.as_ref().is_some_and(is_owed)
    }

    /// The record in which the last input ended, at this offset, is over: what comes next begins another one, at `behind`.
    /// Whoever has had all of it goes on there.
    pub(crate) fn end_record(&mut self, at: u64, behind: Place) {
        for place in self.places.values_mut().filter(|it| it.at == at) {
            *place = behind;
        }
        if let Some(journal) = &mut self.journal {
            journal.end_record(at, behind);
        }
        (self.end, self.ended) = (behind, None);
    }

    pub(crate) fn decode(slot: &[u8]) -> Read<State> {
        if slot.len() < FIXED + 4 || slot[..8] != MAGIC {
            return Read::Damaged;
        }
        let len = u32_at(slot, 12) as usize;
        if len < 20 || len > slot.len() || checksum(0, &slot[..len - 4]) != u32_at(slot, len - 4) {
            return Read::Damaged;
        }
        match u32_at(slot, 8) {
            VERSION => State::fields(&slot[..len - 4]).map_or(Read::Damaged, Read::Good),
            other => Read::Unknown(other),
        }
    }

    fn fields(slot: &[u8]) -> Option<State> {
        if slot.len() < FIXED {
            return None;
        }
        let mut boot = [0; 16];
        boot.copy_from_slice(&slot[32..48]);
        let mut state = State {
            saves: u64_at(slot, 16),
            spool: u64_at(slot, 24),
            boot,
            opening: u32_at(slot, 48),
            framing: match u32_at(slot, 52) {
                0 => Framing::Bytes,
                1 => Framing::Lines,
                2 => Framing::Zero,
                3 => Framing::Fixed(u64_at(slot, 56)),
                _ => return None,
            },
            synced: u64_at(slot, 64),
            end: Place {
                at: u64_at(slot, 72),
                record: u64_at(slot, 80),
                begun: u64_at(slot, 88),
            },
            lost_bytes: u64_at(slot, 96),
            lost_records: u64_at(slot, 104),
            ended: None,
            places: BTreeMap::new(),
            journal: None,
        };
        if matches!(state.framing, Framing::Lines | Framing::Zero) {
            state.ended = NonZeroU64::new(u64_at(slot, 56));
        }
        let mut rest = &slot[FIXED..];
        for _ in 0..u32_at(slot, 112) {
            let (head, behind) = rest.split_at_checked(26)?;
            let len = usize::from(u16::from_le_bytes([head[24], head[25]]));
            let (name, behind) = behind.split_at_checked(len)?;
            let place = Place {
                at: u64_at(head, 0),
                record: u64_at(head, 8),
                begun: u64_at(head, 16),
            };
            let name = std::str::from_utf8(name).ok()?;
            state.places.insert(name.to_owned(), place);
            rest = behind;
        }
        state.journal = Journal::decode(rest)?;
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::Entry;
    use super::*;

    fn place(at: u64, record: u64, begun: u64) -> Place {
        Place { at, record, begun }
    }

    fn state(framing: Framing, ended: u64) -> State {
        State {
            saves: 3,
            spool: 4,
            boot: [5; 16],
            opening: 6,
            framing,
            synced: 7,
            end: place(25, 2, 5),
            lost_bytes: 0,
            lost_records: 0,
            ended: NonZeroU64::new(ended),
            places: BTreeMap::new(),
            journal: None,
        }
    }

    #[test]
    fn that_the_input_has_ended_inside_of_a_record_is_kept_where_a_byte_ends_records() {
        for (framing, ended, kept) in [
            (Framing::Lines, 25, 25),
            (Framing::Zero, u64::MAX, u64::MAX),
            (Framing::Lines, 0, 0),
            (Framing::Bytes, 25, 0),
            (Framing::Fixed(25), 0, 0),
            (Framing::Fixed(7), 25, 0),
        ] {
            let slot = state(framing, ended).encode().expect("it fits");
            let wanted = state(framing, kept);
            assert_eq!(State::decode(&slot), Read::Good(wanted), "{framing}");
        }
    }

    #[test]
    fn what_those_wrote_who_did_not_know_where_an_input_ends_is_read_as_ever() {
        for framing in [Framing::Lines, Framing::Zero] {
            let slot = state(framing, 0).encode().expect("it fits");
            // They have left this field alone, and never read it.
            assert_eq!(u64_at(&slot, 56), 0);
            let marked = state(framing, 25).encode().expect("it fits");
            let differs = |at: &usize| slot[*at] != marked[*at];
            let behind = slot.len() - 4;
            assert!((0..behind).filter(differs).all(|at| (56..64).contains(&at)));
        }
    }

    #[test]
    fn whoever_has_had_the_record_that_is_over_goes_on_behind_its_end_and_others_where_they_were() {
        let mut state = state(Framing::Lines, 25);
        for (name, at) in [
            ("all", place(25, 2, 5)),
            ("had it as it was", place(25, 3, 0)),
            ("part", place(22, 2, 2)),
            ("none", place(0, 0, 0)),
        ] {
            state.places.insert(name.to_owned(), at);
        }
        let behind = place(26, 3, 0);
        state.end_record(25, behind);
        let now = |name: &str| state.places[name];
        assert_eq!([now("all"), now("had it as it was")], [behind; 2]);
        assert_eq!([now("part").at, now("none").at], [22, 0]);
        assert_eq!((state.end, state.ended), (behind, None));
    }

    #[test]
    fn a_batch_that_was_tried_stays_as_it_is_and_one_that_was_not_gets_the_end() {
        let batch = |number, tries, from, end: Place| Entry {
            number,
            opening: 1,
            tries,
            interrupted: 0,
            is_open: true,
            is_shed: false,
            is_ended: false,
            records: end.record - from / 10,
            place: place(from, from / 10, 0),
            end: end.at,
            begun: end.begun,
        };
        let (at, behind) = (place(25, 2, 5), place(26, 3, 0));
        for tries in [0, 1, 7] {
            let open = vec![batch(1, 2, 0, place(10, 1, 0)), batch(2, tries, 10, at)];
            let mut journal = Journal {
                last: 2,
                next: at,
                open,
            };
            let before = journal.clone();
            journal.end_record(25, behind);
            assert_eq!((journal.next, journal.open[0]), (behind, before.open[0]));
            let now = journal.open[1];
            assert_eq!(now.whole(), behind, "as a part of a stream it has its end");
            match tries {
                0 => assert_eq!((now.behind(), now.is_open), (behind, false)),
                _ => {
                    let same = Entry {
                        is_ended: true,
                        ..before.open[1]
                    };
                    assert_eq!(now, same);
                }
            }
            let mut bytes = Vec::new();
            Journal::encode(Some(&journal), &mut bytes);
            assert_eq!(Journal::decode(&bytes), Some(Some(journal)));
        }
    }
}
