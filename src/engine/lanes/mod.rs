//! Who has to go: records that are held, in lanes, so that one that floods cannot push the others out.
//!
//! Records are delivered in the order in which they came. Where room must be made, the victim is a record of the
//! lane that holds most bytes (longest-queue-drop); records that are to be kept go only when nothing else is left, by
//! the same rule.
//!
//! From which end of that lane it goes is for the caller to say, and decides what fairness means. To equalise what
//! lanes hold is to equalise what they get only if what a lane holds is delivered some day: so it is the newest. Were
//! it the oldest, as in fair queueing, where each lane is served in its turn, the records of the louder of two
//! loud lanes would all be gone before they reached the front of a queue whose order is not ours to change, and it
//! would get nothing at all. (In the tests' model of ten lanes that want more, Jain's index is 0.43 with the
//! oldest and above 0.99 with the newest.) Only while the consumer takes nothing nobody gets anything, and the oldest may
//! go, so that it finds recent data when it goes on.
//!
//! Room is made for many records at a time. There is no order of the lanes by what they hold to be kept up with each
//! record: it is found out then down to which level the fullest lanes have to be lowered, and each of them is.
//!
//! Invariants: every record that was pushed leaves once, by [`Lanes::pop`], [`Lanes::shed`] or [`Lanes::expire`]; the
//! first in the order is held.

mod level;
mod names;

use std::cmp::Reverse;
use std::collections::VecDeque;

use level::{Candidate, level};
pub(crate) use names::{Lane, Names};

/// Records that have left the middle of the order may stand in it until they are more than those that
/// are held, and than this.
const DEAD_MOST: usize = 4096;
/// So many records are looked at rather than one sorted among others.
const SPAN: usize = 6;
/// The place of the first record in the order: others may come before it.
const MIDDLE: u64 = 1 << 63;

/// A record that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Where it lies; grows from each record to the next.
    pub(crate) at: u64,
    /// Its length in bytes, which is not zero.
    pub(crate) length: u64,
    /// The lane that it belongs to.
    pub(crate) lane: Lane,
    /// Whether it goes only when nothing else is left.
    pub(crate) kept: bool,
}

/// A record in the order.
#[derive(Debug, Clone, Copy)]
struct Entry {
    at: u64,
    length: u64,
    lane: Lane,
    kept: bool,
    state: State,
}

/// What has become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    /// It is being taken out together with others.
    Going,
    /// It has left before its turn.
    Gone,
}

impl Entry {
    fn of(record: Record) -> Entry {
        Entry {
            at: record.at,
            length: record.length,
            lane: record.lane,
            kept: record.kept,
            state: State::Held,
        }
    }

    fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    fn record(&self) -> Record {
        Record {
            at: self.at,
            length: self.length,
            lane: self.lane,
            kept: self.kept,
        }
    }
}

/// Which record of a lane goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The one that has been held longest.
    Oldest,
    /// The one that came last.
    Newest,
}

/// What is held of a lane: of records that are not kept, and of those that are.
#[derive(Debug, Clone, Default)]
struct Holding {
    bytes: [u64; 2],
    /// Their places in the order, of which these bits tell one from another.
    places: [VecDeque<u32>; 2],
}

impl Holding {
    fn bytes(&self) -> u64 {
        self.bytes[0] + self.bytes[1]
    }
}

/// How far lanes are lowered.
#[derive(Debug, Clone, Copy)]
enum Depth {
    /// As far as each stays at this level or above.
    Level(u64),
    /// By one record.
    Once,
}

/// The records that are held, by lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    holdings: Vec<Holding>,
    order: VecDeque<Entry>,
    /// The place in the order of the first of them.
    begins: u64,
    /// The place of the first that is held and not kept, or the end.
    first_free: u64,
    /// How many records are held; the others have left before their turn.
    held: usize,
    /// Bytes of records that are not kept, and of those that are.
    bytes: [u64; 2],
    /// Room for the lanes of which something may go.
    candidates: Vec<Candidate>,
    /// Places in the order of records that are being taken out.
    going: Vec<u64>,
}

impl Lanes {
    /// No records.
    pub(crate) fn new() -> Lanes {
        Lanes {
            holdings: Vec::new(),
            order: VecDeque::new(),
            begins: MIDDLE,
            first_free: MIDDLE,
            held: 0,
            bytes: [0; 2],
            candidates: Vec::new(),
            going: Vec::new(),
        }
    }

    /// Whether nothing is held of this lane.
    pub(crate) fn is_empty(&self, lane: Lane) -> bool {
        let holding = self.holdings.get(lane.0 as usize);
        holding.is_none_or(|holding| holding.bytes() == 0)
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.iter().sum()
    }

    /// Records that are held.
    pub(crate) fn records(&self) -> usize {
        self.held
    }

    #[cfg(test)]
    fn places(&self) -> usize {
        let places = self.holdings.iter().flat_map(|it| &it.places);
        places.map(VecDeque::capacity).sum()
    }

    /// Memory for the books, without the records themselves.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.order.capacity() * size_of::<Entry>()
            + self.holdings.capacity() * size_of::<Holding>()
            + self.places() * size_of::<u32>()
            + self.candidates.capacity() * size_of::<Candidate>()
            + self.going.capacity() * size_of::<u64>()
    }

    /// Takes in the newest record.
    pub(crate) fn push(&mut self, record: Record) {
        let place = self.begins + self.order.len() as u64;
        self.order.push_back(Entry::of(record));
        self.add(record).push_back(place as u32);
        self.look_for_free();
    }

    /// Takes back a record that was [popped](Self::pop): it is the oldest again. Those popped last
    /// are given back first.
    pub(crate) fn give_back(&mut self, record: Record) {
        self.begins -= 1;
        let place = self.begins;
        self.order.push_front(Entry::of(record));
        self.add(record).push_front(place as u32);
        if !record.kept {
            self.first_free = place;
        }
    }

    /// This record is held. Returns where its place in the order belongs.
    fn add(&mut self, record: Record) -> &mut VecDeque<u32> {
        let (lane, kept) = (record.lane.0 as usize, usize::from(record.kept));
        if lane >= self.holdings.len() {
            self.holdings.resize_with(lane + 1, Holding::default);
        }
        self.bytes[kept] += record.length;
        self.held += 1;
        let holding = &mut self.holdings[lane];
        holding.bytes[kept] += record.length;
        &mut holding.places[kept]
    }

    /// The oldest record, which is to be delivered next.
    pub(crate) fn first(&self) -> Option<Record> {
        self.order.front().map(Entry::record)
    }

    /// Takes out the oldest record, to deliver it.
    pub(crate) fn pop(&mut self) -> Option<Record> {
        self.first()?;
        let record = self.remove(self.begins);
        self.tidy();
        Some(record)
    }

    /// Takes out records that have to go for others to have room, from this end of the lanes that hold most, until
    /// `least` bytes are gone and about `need`, or all. They are handed over in the order in which they came. Returns how
    /// many bytes.
    pub(crate) fn shed(
        &mut self,
        end: End,
        least: u64,
        need: u64,
        take: impl FnMut(Record),
    ) -> u64 {
        let mut gone = 0;
        while gone < least && self.held > 0 {
            gone += self.lower(end, need - gone);
        }
        self.hand_over(take);
        self.trim();
        self.tidy();
        gone
    }

    /// Hands over what is being taken out, in order.
    fn hand_over(&mut self, mut take: impl FnMut(Record)) {
        let mut going = std::mem::take(&mut self.going);
        let first = going.iter().min().map_or(0, |first| first - self.begins) as usize;
        let end = going.iter().max().map_or(0, |last| last + 1 - self.begins) as usize;
        if end - first <= SPAN * going.len() {
            // It is quicker to look at all between the first and the last than to sort them.
            for entry in self.order.range_mut(first..end) {
                if entry.state == State::Going {
                    entry.state = State::Gone;
                    take(entry.record());
                }
            }
        } else {
            // Those of each lane are in order already, one way or the other.
            going.sort();
            for place in &going {
                let entry = &mut self.order[(place - self.begins) as usize];
                entry.state = State::Gone;
                take(entry.record());
            }
        }
        going.clear();
        self.going = going;
    }

    /// Lowers the lanes that hold most. Something goes, if anything is held.
    fn lower(&mut self, end: End, need: u64) -> u64 {
        let kept = self.bytes[0] == 0;
        let mut all = std::mem::take(&mut self.candidates);
        all.clear();
        for (lane, holding) in self.holdings.iter().enumerate() {
            let most = holding.bytes[usize::from(kept)];
            if most > 0 {
                let bytes = holding.bytes();
                let lane = lane as u32;
                all.push(Candidate { bytes, most, lane });
            }
        }
        let level = level(&all, need);
        all.retain(|it| it.bytes > level);
        let mut gone = 0;
        for lane in &all {
            gone += self.lower_one(lane.lane, end, kept, Depth::Level(level));
        }
        if gone == 0 {
            // No record of any of them is so short: those that hold most lose one each.
            all.sort_unstable_by_key(|lane| Reverse(lane.bytes));
            for lane in &all {
                gone += self.lower_one(lane.lane, end, kept, Depth::Once);
                if gone >= need {
                    break;
                }
            }
        }
        self.candidates = all;
        gone
    }

    /// Takes records out of a lane, so far.
    fn lower_one(&mut self, lane: u32, end: End, kept: bool, depth: Depth) -> u64 {
        let holding = &mut self.holdings[lane as usize];
        let kept = usize::from(kept);
        let mut gone = 0;
        loop {
            let places = &mut holding.places[kept];
            let next = match end {
                End::Oldest => places.front(),
                End::Newest => places.back(),
            };
            let Some(place) = next else { break };
            let index = place.wrapping_sub(self.begins as u32);
            let entry = &mut self.order[index as usize];
            let rest = holding.bytes[0] + holding.bytes[1] - entry.length;
            if matches!(depth, Depth::Level(level) if rest < level) {
                break;
            }
            match end {
                End::Oldest => places.pop_front(),
                End::Newest => places.pop_back(),
            };
            entry.state = State::Going;
            holding.bytes[kept] -= entry.length;
            gone += entry.length;
            self.held -= 1;
            self.going.push(self.begins + u64::from(index));
            if matches!(depth, Depth::Once) {
                break;
            }
        }
        self.bytes[kept] -= gone;
        gone
    }

    /// The oldest record that may expire: kept ones do not.
    pub(crate) fn first_to_expire(&self) -> Option<Record> {
        let first = self.first_free.checked_sub(self.begins)?;
        self.order.get(first as usize).map(Entry::record)
    }

    /// Takes out the record that [may expire](Self::first_to_expire).
    pub(crate) fn expire(&mut self) -> Option<Record> {
        self.first_to_expire()?;
        let record = self.remove(self.first_free);
        self.tidy();
        Some(record)
    }

    /// Takes out a record that is held, the oldest of its lane and kind.
    fn remove(&mut self, place: u64) -> Record {
        let entry = &mut self.order[(place - self.begins) as usize];
        let record = entry.record();
        entry.state = State::Gone;
        let kept = usize::from(record.kept);
        let holding = &mut self.holdings[record.lane.0 as usize];
        holding.places[kept].pop_front();
        holding.bytes[kept] -= record.length;
        self.bytes[kept] -= record.length;
        self.held -= 1;
        self.trim();
        record
    }

    /// Takes off the ends of the order what has left.
    fn trim(&mut self) {
        while self.order.front().is_some_and(Entry::is_gone) {
            self.order.pop_front();
            self.begins += 1;
        }
        while self.order.back().is_some_and(Entry::is_gone) {
            self.order.pop_back();
        }
        self.look_for_free();
    }

    /// Nothing before the first that may expire may.
    fn look_for_free(&mut self) {
        let end = self.begins + self.order.len() as u64;
        self.first_free = self.first_free.clamp(self.begins, end);
        while let Some(entry) = self.order.get((self.first_free - self.begins) as usize)
            && (entry.is_gone() || entry.kept)
        {
            self.first_free += 1;
        }
    }

    /// Closes the gaps in the order when there are more of them than records: a pass over all, which
    /// as many calls have paid for.
    fn tidy(&mut self) {
        if self.order.len() - self.held <= self.held + DEAD_MOST {
            return;
        }
        self.order.retain(|entry| !entry.is_gone());
        if self.order.capacity() > 4 * (self.held + DEAD_MOST) {
            self.order.shrink_to(2 * self.held);
        }
        for places in self.holdings.iter_mut().flat_map(|it| &mut it.places) {
            places.clear();
        }
        for (place, entry) in (self.begins..).zip(&self.order) {
            let holding = &mut self.holdings[entry.lane.0 as usize];
            holding.places[usize::from(entry.kept)].push_back(place as u32);
        }
        self.first_free = self.begins;
        self.look_for_free();
    }
}

#[cfg(test)]
impl Lanes {
    /// All records, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = Record> {
        let held = self.order.iter().filter(|entry| !entry.is_gone());
        held.map(Entry::record)
    }
}

#[cfg(test)]
mod tests;
