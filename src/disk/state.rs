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
//! | 56 | 8 | that size |
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
    pub places: BTreeMap<String, Place>,
    /// Where a program is run with batches, or was.
    pub journal: Option<Journal>,
}

impl State {
    /// The bytes of a slot; `None` when they are more than it has.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let (framing, size) = match self.framing {
            Framing::Bytes => (0u32, 0),
            Framing::Lines => (1, 0),
            Framing::Zero => (2, 0),
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
            places: BTreeMap::new(),
            journal: None,
        };
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
