//! Which lane a key has, what it is called, and what it has lost.
//!
//! Invariant: the memory is bounded whatever the keys are. Up to [`EXACT`] keys each have a lane of
//! their own; a lane that holds nothing and has lost nothing is another key's when one is needed. Where
//! none is left, keys share [`SHARED`] lanes by their hash. A key is told apart by its first
//! [`KEY_MOST`] bytes.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::{FixedState, RandomState};

use super::short::Short;
use crate::engine::status::LaneLoss;

/// Keys that have a lane of their own, as a rule.
pub(crate) const EXACT: usize = 4096;
/// Lanes for all other keys.
const SHARED: usize = 4096;
/// The bytes of a key that count.
pub(crate) const KEY_MOST: usize = 1024;
/// Short keys that are remembered, each at one place: two to this power.
const RECENT: u32 = 13;
/// The lane of records without a key.
pub(crate) const OTHERS: Lane = Lane(0);

/// A lane, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Lane(pub(super) u32);

impl Lane {
    /// None has this number.
    pub(crate) const NONE: Lane = Lane(0x7fff);

    /// Its place among all.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Short keys that had a lane of their own when they came last, and still have.
///
/// Each is remembered at one place: keys that are made to meet there are looked for as if nothing were remembered.
#[derive(Debug)]
pub(crate) struct Recent(Box<[(Short, Lane); 1 << RECENT]>);

impl Recent {
    pub(crate) fn new() -> Recent {
        // Not by way of the stack, of which whoever may call this would take as much, whether it does or not.
        let recent = vec![(Short::NONE, OTHERS); 1 << RECENT].into_boxed_slice();
        let recent = recent
            .try_into()
            .unwrap_or_else(|_| unreachable!("as many as are asked for"));
        Recent(recent)
    }

    #[inline]
    pub(crate) fn get(&self, key: Short) -> Option<Lane> {
        let (before, lane) = self.0[key.spread(RECENT)];
        (before == key).then_some(lane)
    }

    pub(crate) fn put(&mut self, key: Short, lane: Lane) {
        self.0[key.spread(RECENT)] = (key, lane);
    }

    /// This key has it no longer.
    fn forget(&mut self, key: Short) {
        let recent = &mut self.0[key.spread(RECENT)];
        if recent.0 == key {
            recent.0 = Short::NONE;
        }
    }

    /// None of them may have it any longer.
    pub(crate) fn clear(&mut self) {
        self.0.fill((Short::NONE, OTHERS));
    }
}

/// Lanes by their keys: short keys are looked for as numbers.
///
/// Keys come from outside: which of them collide must not be foreseen.
#[derive(Debug, Default)]
struct Keys {
    short: HashMap<Short, Lane, RandomState>,
    long: HashMap<Box<[u8]>, Lane, RandomState>,
}

impl Keys {
    fn get(&self, key: &[u8]) -> Option<Lane> {
        let lane = match Short::of(key) {
            Some(short) => self.short.get(&short),
            None => self.long.get(key),
        };
        lane.copied()
    }

    fn insert(&mut self, key: &[u8], lane: Lane) {
        match Short::of(key) {
            Some(short) => self.short.insert(short, lane),
            None => self.long.insert(key.into(), lane),
        };
    }

    fn remove(&mut self, key: &[u8]) {
        match Short::of(key) {
            Some(short) => self.short.remove(&short),
            None => self.long.remove(key),
        };
    }

    fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }

    /// Memory that they take, without the keys themselves.
    #[cfg(test)]
    fn memory(&self) -> usize {
        self.short.capacity() * (size_of::<(Short, Lane)>() + 1)
            + self.long.capacity() * (size_of::<(Box<[u8]>, Lane)>() + 1)
    }
}

#[derive(Debug, Default)]
struct Name {
    key: Option<Box<[u8]>>,
    bytes: u64,
    records: u64,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Names {
    lanes: Keys,
    hash: FixedState,
    /// So many keys have a lane of their own.
    exact: usize,
    /// By lane: that of records without a key, those of one key each, and the shared ones.
    names: Vec<Name>,
    /// Where the search for a lane that can be another's goes on.
    hand: usize,
    recent: Recent,
    /// How many lanes have become another key's.
    moved: u64,
}

impl Names {
    /// No lanes. `exact` keys have one of their own; `seed` decides which keys share one where there are more.
    pub(crate) fn new(seed: u64, exact: usize) -> Names {
        Names {
            lanes: Keys::default(),
            hash: FixedState::with_seed(seed),
            exact,
            names: vec![Name::default()],
            hand: 0,
            recent: Recent::new(),
            moved: 0,
        }
    }

    /// The lane of records with this short key, as [below](Names::lane).
    #[inline]
    pub(crate) fn lane_of_short(&mut self, key: Short, vacate: impl FnMut(Lane) -> bool) -> Lane {
        match self.recent.get(key) {
            Some(lane) => lane,
            None => self.find_short(key, vacate),
        }
    }

    /// It did not come last.
    #[inline(never)]
    fn find_short(&mut self, key: Short, vacate: impl FnMut(Lane) -> bool) -> Lane {
        let lane = match self.lanes.short.get(&key) {
            Some(lane) => *lane,
            None => key.with_bytes(|key| self.new_lane(key, vacate)),
        };
        if self.is_own(lane) {
            self.recent.put(key, lane);
        }
        lane
    }

    /// Whether it is of one key alone.
    pub(crate) fn is_own(&self, lane: Lane) -> bool {
        lane.0 as usize <= self.exact
    }

    /// How many lanes have become another key's so far: what was known of them before does not hold when this grows.
    pub(crate) fn moved(&self) -> u64 {
        self.moved
    }

    /// The lane of records with this key; `vacate`: whether nothing is held of one, which then is another key's.
    pub(crate) fn lane(&mut self, key: Option<&[u8]>, vacate: impl FnMut(Lane) -> bool) -> Lane {
        let Some(key) = key else { return OTHERS };
        let key = &key[..key.len().min(KEY_MOST)];
        let lane = self.lanes.get(key);
        lane.unwrap_or_else(|| self.new_lane(key, vacate))
    }

    /// The lane of a key that has none of its own yet.
    fn new_lane(&mut self, key: &[u8], vacate: impl FnMut(Lane) -> bool) -> Lane {
        let new = self.lanes.len() < self.exact;
        let lane = if new {
            Some(Lane(self.lanes.len() as u32 + 1))
        } else {
            self.unused(vacate)
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
            self.moved += 1;
            self.lanes.remove(&before);
            if let Some(short) = Short::of(&before) {
                self.recent.forget(short);
            }
        }
        self.lanes.insert(key, lane);
        lane
    }

    /// A lane that its key does not need: a few are looked at each time, so that the next ones are.
    fn unused(&mut self, mut vacate: impl FnMut(Lane) -> bool) -> Option<Lane> {
        const LOOKS: usize = 2;
        for _ in 0..LOOKS {
            self.hand = self.hand % self.exact + 1;
            let lane = Lane(self.hand as u32);
            if self.names[self.hand].records == 0 && vacate(lane) {
                return Some(lane);
            }
        }
        None
    }

    fn shared(&mut self, key: &[u8]) -> Lane {
        let index = 1 + self.exact + (self.hash.hash_one(key) % SHARED as u64) as usize;
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
            shared: lane > self.exact,
            bytes: name.bytes,
            records: name.records,
        };
        lost.into_iter().take(most).map(loss).collect()
    }

    /// Whether records with this key may be in this lane.
    #[cfg(test)]
    pub(crate) fn fits(&self, lane: Lane, key: Option<&[u8]>) -> bool {
        let key = key.map(|key| &key[..key.len().min(KEY_MOST)]);
        lane.index() > self.exact || self.names[lane.index()].key.as_deref() == key
    }

    /// Memory that they take.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        let keys = self.names.iter().filter_map(|name| name.key.as_ref());
        2 * keys.map(|key| key.len()).sum::<usize>()
            + self.names.capacity() * size_of::<Name>()
            + self.lanes.memory()
            + size_of_val(&*self.recent.0)
    }
}
