//! Which lane a key has, what it is called, and what it has lost.
//!
//! Invariant: the memory is bounded whatever the keys are. Up to [`EXACT`] keys each have a lane of
//! their own; a lane that holds nothing and has lost nothing is another key's when one is needed. Where
//! none is left, keys share [`SHARED`] lanes by their hash. A key is told apart by its first
//! [`KEY_MOST`] bytes.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::{FixedState, RandomState};

use crate::engine::status::LaneLoss;

/// Keys that have a lane of their own.
pub(crate) const EXACT: usize = 4096;
/// Lanes for all other keys.
const SHARED: usize = 4096;
/// The bytes of a key that count.
pub(crate) const KEY_MOST: usize = 1024;
/// The lane of records without a key.
pub(crate) const OTHERS: Lane = Lane(0);

/// A lane, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Lane(pub(super) u32);

#[derive(Debug, Default)]
struct Name {
    key: Option<Box<[u8]>>,
    bytes: u64,
    records: u64,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Names {
    /// Keys come from outside: which of them collide must not be foreseen.
    lanes: HashMap<Box<[u8]>, Lane, RandomState>,
    hash: FixedState,
    /// By lane: that of records without a key, those of one key each, and the shared ones.
    names: Vec<Name>,
    /// Where the search for a lane that can be another's goes on.
    hand: usize,
}

impl Names {
    /// No lanes. `seed` decides which keys share one where there are too many of them.
    pub(crate) fn new(seed: u64) -> Names {
        Names {
            lanes: HashMap::default(),
            hash: FixedState::with_seed(seed),
            names: vec![Name::default()],
            hand: 0,
        }
    }

    /// The lane of records with this key; `is_empty`: whether nothing is held of one.
    pub(crate) fn lane(&mut self, key: Option<&[u8]>, is_empty: impl Fn(Lane) -> bool) -> Lane {
        let Some(key) = key else { return OTHERS };
        let key = &key[..key.len().min(KEY_MOST)];
        if let Some(lane) = self.lanes.get(key) {
            return *lane;
        }
        let new = self.lanes.len() < EXACT;
        let lane = if new {
            Some(Lane(self.lanes.len() as u32 + 1))
        } else {
            self.unused(is_empty)
        };
        let Some(lane) = lane else {
            return self.shared(key);
        };
        let index = lane.0 as usize;
        if index >= self.names.len() {
            self.names.resize_with(index + 1, Name::default);
        }
        let before = self.names[index].key.replace(key.into());
        if let Some(before) = before.filter(|_| !new) {
            self.lanes.remove(&before);
        }
        self.lanes.insert(key.into(), lane);
        lane
    }

    /// A lane that its key does not need: a few are looked at each time, so that the next ones are.
    fn unused(&mut self, is_empty: impl Fn(Lane) -> bool) -> Option<Lane> {
        const LOOKS: usize = 8;
        for _ in 0..LOOKS {
            self.hand = self.hand % EXACT + 1;
            let lane = Lane(self.hand as u32);
            if self.names[self.hand].records == 0 && is_empty(lane) {
                return Some(lane);
            }
        }
        None
    }

    fn shared(&mut self, key: &[u8]) -> Lane {
        let index = 1 + EXACT + (self.hash.hash_one(key) % SHARED as u64) as usize;
        if index >= self.names.len() {
            self.names.resize_with(index + 1, Name::default);
        }
        let name = &mut self.names[index];
        if name.key.is_none() {
            name.key = Some(key.into());
        }
        Lane(index as u32)
    }

    /// Records of this lane were dropped.
    pub(crate) fn on_lost(&mut self, lane: Lane, bytes: u64, records: u64) {
        let name = &mut self.names[lane.0 as usize];
        name.bytes += bytes;
        name.records += records;
    }

    /// The lanes that have lost most bytes, most first.
    pub(crate) fn losses(&self, most: usize) -> Vec<LaneLoss> {
        let lost = self.names.iter().enumerate();
        let mut lost: Vec<_> = lost.filter(|(_, name)| name.records > 0).collect();
        lost.sort_by(|(a, x), (b, y)| y.bytes.cmp(&x.bytes).then(a.cmp(b)));
        let loss = |(lane, name): (usize, &Name)| LaneLoss {
            key: name.key.clone(),
            shared: lane > EXACT,
            bytes: name.bytes,
            records: name.records,
        };
        lost.into_iter().take(most).map(loss).collect()
    }

    /// Memory that they take.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        let keys = self.names.iter().filter_map(|name| name.key.as_ref());
        2 * keys.map(|key| key.len()).sum::<usize>()
            + self.names.capacity() * size_of::<Name>()
            + self.lanes.capacity() * (size_of::<(Box<[u8]>, Lane)>() + 1)
    }
}
