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
//! Invariant: every record that was pushed leaves once, by [`Lanes::pop`], [`Lanes::shed`] or [`Lanes::expire`]. Each
//! of these calls is O(1), but for the place of one lane among the lanes, which is O(log lanes) at worst and as a
//! rule a comparison.

mod fattest;
mod names;

use std::collections::VecDeque;

use fattest::Fattest;
pub(crate) use names::{Lane, Names};

/// No record.
const NONE: u32 = u32::MAX;
/// Records that have left the middle of the order may stand in it until they are more than those that
/// are held, and than this.
const DEAD_MOST: usize = 4096;

/// A record that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Where it lies; grows from each record to the next.
    pub(crate) at: u64,
    /// Its length in bytes.
    pub(crate) length: u64,
    /// The lane that it belongs to.
    pub(crate) lane: Lane,
    /// Whether it goes only when nothing else is left.
    pub(crate) kept: bool,
}

/// A record in its lane's queue.
#[derive(Debug, Clone, Copy)]
struct Entry {
    at: u64,
    length: u64,
    /// The next one of the lane, or of the free entries.
    next: u32,
    /// The one before it in the lane.
    previous: u32,
    /// Its place in the order, whatever has left the front since.
    place: u32,
}

/// Which record of a lane goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The one that has been held longest.
    Oldest,
    /// The one that came last.
    Newest,
}

/// The oldest and the newest record of a lane, kept ones or others.
#[derive(Debug, Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

const EMPTY: Ends = Ends {
    first: NONE,
    last: NONE,
};

/// What is held of a lane.
#[derive(Debug, Clone, Copy)]
struct Holding {
    bytes: u64,
    /// Those that are not kept, and those that are.
    ends: [Ends; 2],
}

/// Lanes in the order of their records.
#[derive(Debug, Default)]
struct Order {
    lanes: VecDeque<u32>,
    /// The place of the first of them.
    begins: u32,
    /// How many of the records are held; the others have left before their turn.
    held: usize,
}

/// The records that are held, by lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    holdings: Vec<Holding>,
    entries: Vec<Entry>,
    free: u32,
    orders: [Order; 2],
    /// Lanes by what they hold: those with records that are not kept, and those with kept ones.
    fattest: [Fattest; 2],
    bytes: u64,
}

impl Lanes {
    /// No records.
    pub(crate) fn new() -> Lanes {
        Lanes {
            holdings: Vec::new(),
            entries: Vec::new(),
            free: NONE,
            orders: Default::default(),
            fattest: Default::default(),
            bytes: 0,
        }
    }

    /// Whether nothing is held of this lane.
    pub(crate) fn is_empty(&self, lane: Lane) -> bool {
        let holding = self.holdings.get(lane.0 as usize);
        holding.is_none_or(|holding| holding.bytes == 0)
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Records that are held.
    pub(crate) fn records(&self) -> usize {
        self.orders.iter().map(|order| order.held).sum()
    }

    /// Memory for the books, without the records themselves.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        let orders = self.orders.iter().map(|order| order.lanes.capacity());
        let fattest: usize = self.fattest.iter().map(Fattest::memory).sum();
        self.entries.capacity() * size_of::<Entry>()
            + orders.sum::<usize>() * size_of::<u32>()
            + self.holdings.capacity() * size_of::<Holding>()
            + fattest
    }

    /// Takes in the newest record.
    pub(crate) fn push(&mut self, record: Record) {
        let (lane, kept) = (record.lane.0, usize::from(record.kept));
        let order = &mut self.orders[kept];
        let place = order.begins.wrapping_add(order.lanes.len() as u32);
        order.lanes.push_back(lane);
        order.held += 1;
        let entry = self.new_entry(record, place);
        let holding = self.holding(lane);
        let ends = &mut holding.ends[kept];
        let before = std::mem::replace(&mut ends.last, entry);
        if before == NONE {
            ends.first = entry;
        } else {
            self.entries[before as usize].next = entry;
            self.entries[entry as usize].previous = before;
        }
        self.account(lane, record.length as i64);
    }

    /// Takes back a record that was [popped](Self::pop): it is the oldest again. Those popped last
    /// are given back first.
    pub(crate) fn give_back(&mut self, record: Record) {
        let (lane, kept) = (record.lane.0, usize::from(record.kept));
        let order = &mut self.orders[kept];
        order.begins = order.begins.wrapping_sub(1);
        let place = order.begins;
        order.lanes.push_front(lane);
        order.held += 1;
        let entry = self.new_entry(record, place);
        let ends = &mut self.holding(lane).ends[kept];
        let after = std::mem::replace(&mut ends.first, entry);
        if after == NONE {
            ends.last = entry;
        } else {
            self.entries[after as usize].previous = entry;
        }
        self.entries[entry as usize].next = after;
        self.account(lane, record.length as i64);
    }

    /// The oldest record, which is to be delivered next.
    pub(crate) fn first(&self) -> Option<Record> {
        let [a, b] = [0, 1].map(|kept| self.front(kept));
        match (a, b) {
            (Some(a), Some(b)) => Some(if a.at < b.at { a } else { b }),
            (a, b) => a.or(b),
        }
    }

    /// Takes out the oldest record, to deliver it.
    pub(crate) fn pop(&mut self) -> Option<Record> {
        let first = self.first()?;
        Some(self.remove(first.lane.0, usize::from(first.kept), End::Oldest))
    }

    /// Takes out the record that has to go for others to have room, from this end of the lane that holds most.
    pub(crate) fn shed(&mut self, end: End) -> Option<Record> {
        let (lane, kept) = match self.fattest[0].first() {
            Some(lane) => (lane, 0),
            None => (self.fattest[1].first()?, 1),
        };
        Some(self.remove(lane, kept, end))
    }

    /// The oldest record that may expire: kept ones do not.
    pub(crate) fn first_to_expire(&self) -> Option<Record> {
        self.front(0)
    }

    /// Takes out the record that [may expire](Self::first_to_expire).
    pub(crate) fn expire(&mut self) -> Option<Record> {
        let record = self.front(0)?;
        Some(self.remove(record.lane.0, 0, End::Oldest))
    }

    fn holding(&mut self, lane: u32) -> &mut Holding {
        let index = lane as usize;
        if index >= self.holdings.len() {
            let empty = Holding {
                bytes: 0,
                ends: [EMPTY; 2],
            };
            self.holdings.resize(index + 1, empty);
        }
        &mut self.holdings[index]
    }

    fn new_entry(&mut self, record: Record, place: u32) -> u32 {
        let entry = Entry {
            at: record.at,
            length: record.length,
            next: NONE,
            previous: NONE,
            place,
        };
        if self.free == NONE {
            self.entries.push(entry);
            return (self.entries.len() - 1) as u32;
        }
        let slot = &mut self.entries[self.free as usize];
        let index = std::mem::replace(&mut self.free, slot.next);
        *slot = entry;
        index
    }

    /// Takes out the oldest or the newest record of a lane.
    fn remove(&mut self, lane: u32, kept: usize, end: End) -> Record {
        let ends = &mut self.holdings[lane as usize].ends[kept];
        let index = match end {
            End::Oldest => ends.first,
            End::Newest => ends.last,
        };
        let entry = self.entries[index as usize];
        match self.entries.get_mut(entry.previous as usize) {
            Some(previous) => previous.next = entry.next,
            None => ends.first = entry.next,
        }
        match self.entries.get_mut(entry.next as usize) {
            Some(next) => next.previous = entry.previous,
            None => ends.last = entry.previous,
        }
        self.entries[index as usize].next = self.free;
        self.free = index;
        self.orders[kept].held -= 1;
        self.account(lane, -(entry.length as i64));
        self.clean(kept);
        self.tidy(kept);
        Record {
            at: entry.at,
            length: entry.length,
            lane: Lane(lane),
            kept: kept == 1,
        }
    }

    /// A lane holds so much more, or less.
    fn account(&mut self, lane: u32, change: i64) {
        self.bytes = self.bytes.wrapping_add_signed(change);
        let holding = &mut self.holdings[lane as usize];
        holding.bytes = holding.bytes.wrapping_add_signed(change);
        for (ends, fattest) in holding.ends.iter().zip(&mut self.fattest) {
            match ends.first {
                NONE => fattest.remove(lane),
                _ => fattest.set(lane, holding.bytes),
            }
        }
    }

    /// The oldest record of those that are kept, or of the others.
    fn front(&self, kept: usize) -> Option<Record> {
        let lane = *self.orders[kept].lanes.front()?;
        let first = self.holdings[lane as usize].ends[kept].first;
        let entry = self.entries.get(first as usize)?;
        Some(Record {
            at: entry.at,
            length: entry.length,
            lane: Lane(lane),
            kept: kept == 1,
        })
    }

    /// Takes off the front of the order what has left before its turn.
    fn clean(&mut self, kept: usize) {
        let order = &mut self.orders[kept];
        if order.held == 0 {
            order.lanes.clear();
        }
        while let Some(lane) = order.lanes.front() {
            let first = self.holdings[*lane as usize].ends[kept].first;
            // Only the oldest of a lane can stand before all others: where it is not this one, this one has left.
            let entry = self.entries.get(first as usize);
            if entry.is_some_and(|entry| entry.place == order.begins) {
                break;
            }
            order.lanes.pop_front();
            order.begins = order.begins.wrapping_add(1);
        }
    }

    /// Closes the gaps in the order when there are more of them than records: a pass over all, which
    /// as many calls have paid for.
    fn tidy(&mut self, kept: usize) {
        let Lanes {
            orders,
            holdings,
            entries,
            ..
        } = self;
        let order = &mut orders[kept];
        if order.lanes.len() - order.held <= order.held + DEAD_MOST {
            return;
        }
        let mut next: Vec<u32> = holdings.iter().map(|h| h.ends[kept].first).collect();
        let (mut place, mut new) = (order.begins, order.begins);
        order.lanes.retain(|lane| {
            let next = &mut next[*lane as usize];
            let entry = entries.get_mut(*next as usize);
            let here = entry.filter(|entry| entry.place == place);
            place = place.wrapping_add(1);
            let Some(entry) = here else { return false };
            entry.place = new;
            new = new.wrapping_add(1);
            *next = entry.next;
            true
        });
    }
}

#[cfg(test)]
impl Lanes {
    /// All records, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = Record> {
        let mut all = Vec::new();
        for (lane, holding) in self.holdings.iter().enumerate() {
            for (kept, ends) in holding.ends.iter().enumerate() {
                let mut next = ends.first;
                while let Some(entry) = self.entries.get(next as usize) {
                    all.push(Record {
                        at: entry.at,
                        length: entry.length,
                        lane: Lane(lane as u32),
                        kept: kept == 1,
                    });
                    next = entry.next;
                }
            }
        }
        all.sort_by_key(|record| record.at);
        all.into_iter()
    }
}

#[cfg(test)]
mod tests;
