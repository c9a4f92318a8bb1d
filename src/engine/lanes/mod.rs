//! Who has to go: records that are held, in lanes, so that one that floods cannot push the others out.
//!
//! Records are delivered in the order in which they came. Where room must be made, the victim is the oldest record of
//! the fullest lane; records that are to be kept go only when nothing else is left, by the same rule.
//!
//! How full a lane is, is what it holds and what it got, so long as there was too much. While nothing is delivered
//! that is what it holds (longest-queue-drop). Only to equalise what lanes *hold* would not do, for the order is
//! not ours to change: of lanes that hold the same the louder holds the younger records, so that those at the front
//! are all of the least loud of them, and if that has enough for the consumer the others get nothing at all. (In the tests'
//! model of ten lanes that want more, Jain's index is 0.43 so.) To drop the *newest* of the lane that holds most
//! does share evenly, but what is delivered then is as old as a whole buffer before a slow consumer. With what a
//! lane got on its account both can be had: where all lanes that want more are as full, each has been let through the
//! same, and what they hold is what came last of all of them.
//!
//! An account is not for ever. A lane whose account is a whole buffer below the fullest ones is as good as one that got
//! nothing; and where the consumer takes several buffers before room must be made again, all begin anew.
//!
//! Room is made for many records at a time. There is no order of the lanes by what they hold to be kept up with each
//! record: it is found out then down to which level the fullest lanes have to be lowered, and each of them is, in one pass
//! over the records.
//!
//! Invariants: every record that was pushed leaves once, by [`Lanes::pop`], [`Lanes::shed`] or [`Lanes::expire`]; the
//! blocks are in order, and have memory for half as many records again as are held, and for a few more; beside records
//! that are alone in their block, which are long, for more.

mod block;
mod gone;
mod level;
mod names;
mod short;
mod victims;

use std::collections::VecDeque;

use block::{BLOCK, Block};
pub(crate) use block::{Begun, End, Noted, Record};
pub(crate) use gone::Gone;
use level::Candidate;
pub(crate) use names::{EXACT, Lane, Names, OTHERS, Recent};
pub(crate) use short::Short;

/// Bytes that the books of one record take, about: half as much again as an entry.
const BOOKS: usize = 12;
/// Blocks in which nothing need be left before gaps are closed.
const SLACK: usize = 8;

/// What is held of a lane: of records that are not kept, and of those that are.
#[derive(Debug, Clone, Default)]
struct Holding {
    bytes: [u64; 2],
    /// No such record lies before this place.
    first: [u64; 2],
    /// Bytes that it got since there is too much, or that it is taken to have got.
    got: u64,
    /// Bytes that have gone while it is being relieved, and how many records.
    lost: (u64, u64),
}

impl Holding {
    fn bytes(&self) -> u64 {
        self.bytes[0] + self.bytes[1]
    }

    /// How full it is.
    fn account(&self) -> u64 {
        self.got + self.bytes()
    }
}

/// The records that are held, by lanes.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    holdings: Vec<Holding>,
    /// Bytes of which each lane is being relieved. They stand by themselves, for they are looked at for every record
    /// that a pass comes by.
    quotas: Vec<u64>,
    blocks: VecDeque<Block>,
    /// Records for which the blocks have memory, or had before they ran empty.
    room: usize,
    /// No record that is not kept lies before this place.
    first_free: u64,
    /// How many records are held; none is shorter than this.
    held: usize,
    shortest: u64,
    /// How many have left since gaps were last closed.
    left: usize,
    /// Bytes of records that are not kept, and of those that are.
    bytes: [u64; 2],
    /// Bytes that were delivered since room was made.
    passed: u64,
    /// Down to where the fullest lanes were lowered then.
    level: u64,
    /// Room for the lanes of which something may go.
    candidates: Vec<Candidate>,
}

impl Lanes {
    /// No records.
    pub(crate) fn new() -> Lanes {
        Lanes::default()
    }

    /// Whether something is held of this lane.
    pub(crate) fn holds(&self, lane: Lane) -> bool {
        let holding = self.holdings.get(lane.index());
        holding.is_some_and(|holding| holding.bytes() > 0)
    }

    /// Nobody holds anything of this lane, which is another key's from now on: what it got is forgotten.
    pub(crate) fn vacate(&mut self, lane: Lane) {
        debug_assert!(!self.holds(lane), "it is not empty");
        if let Some(holding) = self.holdings.get_mut(lane.index()) {
            holding.got = 0;
        }
    }

    /// Records that are held.
    pub(crate) fn records(&self) -> usize {
        self.held
    }

    /// Bytes that the books take, about.
    pub(crate) fn books(&self) -> usize {
        self.held * BOOKS
    }

    /// Takes in the newest records, which are neighbours, from this place on; so long is the `first` of them.
    pub(crate) fn push_all(&mut self, mut at: u64, first: u64, mut records: &[Noted]) {
        let mut length = first;
        while let Some((next, rest)) = records.split_first() {
            let n = self.extend_last(&mut at, records);
            records = &records[n..];
            if n == 0 {
                // It is too long, or there is no room.
                let record = next.record(at, length);
                self.add(record, 1);
                self.shortest = self.shortest.min(length);
                let block = Block::of(record);
                self.room += block.room();
                self.blocks.push_back(block);
                at += length;
                records = rest;
            }
            length = records.first().map_or(0, Noted::length);
        }
    }

    /// The same of as many as the last block takes: returns how many.
    fn extend_last(&mut self, at: &mut u64, records: &[Noted]) -> usize {
        let Some(last) = self.blocks.back_mut() else {
            return 0;
        };
        if self.held == 0 {
            self.shortest = u64::MAX;
        }
        let most = last.spare(*at).min(records.len());
        let (mut taken, mut bytes, mut shortest) = (0, [0; 2], self.shortest);
        for it in &records[..most] {
            let Some(record) = it.short_record(*at) else {
                break;
            };
            let (lane, kept) = (record.lane.0 as usize, usize::from(record.kept));
            let holding = match self.holdings.get_mut(lane) {
                Some(holding) => holding,
                None => {
                    grow(&mut self.holdings, &mut self.quotas, lane);
                    &mut self.holdings[lane]
                }
            };
            if holding.bytes[kept] == 0 {
                holding.first[kept] = *at;
            }
            holding.bytes[kept] += record.length;
            bytes[kept] += record.length;
            shortest = shortest.min(record.length);
            last.push(record);
            *at += record.length;
            taken += 1;
        }
        self.held += taken;
        self.shortest = shortest;
        self.bytes[0] += bytes[0];
        self.bytes[1] += bytes[1];
        taken
    }

    /// Takes back a record that was [popped](Self::pop): it is the oldest again. Those popped last
    /// are given back first.
    pub(crate) fn give_back(&mut self, record: Record) {
        self.add(record, 1);
        self.shortest = self.shortest.min(record.length);
        let holding = &mut self.holdings[record.lane.0 as usize];
        holding.first[usize::from(record.kept)] = record.at;
        holding.got = holding.got.saturating_sub(record.length);
        self.passed = self.passed.saturating_sub(record.length);
        if !record.kept {
            self.first_free = record.at;
        }
        let first = self.blocks.front_mut();
        if !first.is_some_and(|first| first.push_front(record)) {
            let block = Block::up_to(record);
            self.room += block.room();
            self.blocks.push_front(block);
        }
    }

    /// So many records are held.
    #[inline]
    fn add(&mut self, all: Record, records: usize) {
        let (lane, kept) = (all.lane.0 as usize, usize::from(all.kept));
        if self.held == 0 {
            self.shortest = u64::MAX;
        }
        if lane >= self.holdings.len() {
            grow(&mut self.holdings, &mut self.quotas, lane);
        }
        let holding = &mut self.holdings[lane];
        if holding.bytes[kept] == 0 {
            holding.first[kept] = all.at;
        }
        holding.bytes[kept] += all.length;
        self.bytes[kept] += all.length;
        self.held += records;
    }

    /// The oldest record, which is to be delivered next.
    pub(crate) fn first(&self) -> Option<Record> {
        self.blocks.front()?.records().next()
    }

    /// Takes out the oldest record, to deliver it.
    pub(crate) fn pop(&mut self) -> Option<Record> {
        let block = self.blocks.front_mut()?;
        let record = block.pop()?;
        let is_over = block.len() == 0;
        let holding = &mut self.holdings[record.lane.0 as usize];
        holding.bytes[usize::from(record.kept)] -= record.length;
        holding.got += record.length;
        self.bytes[usize::from(record.kept)] -= record.length;
        self.passed += record.length;
        self.held -= 1;
        self.left += 1;
        if is_over {
            self.trim();
        }
        Some(record)
    }

    /// The block that holds this place, or the next one.
    fn index(&self, at: u64) -> usize {
        self.blocks.partition_point(|block| block.last_at() < at)
    }

    /// Takes off the ends what has left, and closes the gaps when there are many: a pass over all, which a third as many
    /// that have left since the last one have paid for.
    fn trim(&mut self) {
        let is_over = |block: Option<&Block>| block.is_some_and(|block| block.len() == 0);
        while is_over(self.blocks.front()) {
            self.room -= self.blocks.pop_front().map_or(0, |block| block.room());
        }
        while is_over(self.blocks.back()) {
            self.room -= self.blocks.pop_back().map_or(0, |block| block.room());
        }
        if self.is_loose() {
            self.blocks.retain(|block| block.len() > 0);
            self.room = self.blocks.iter().map(Block::room).sum();
        }
        let is_paid = 3 * self.left >= self.held;
        if is_paid && self.is_loose() {
            self.pack();
        }
        let mut i = self.index(self.first_free);
        while let Some(block) = self.blocks.get(i).filter(|block| !block.is_free()) {
            self.first_free = block.last_at() + 1;
            i += 1;
        }
    }

    /// Whether the blocks have much more room than there are records.
    fn is_loose(&self) -> bool {
        2 * self.room > 3 * self.held + 2 * SLACK * BLOCK
    }

    /// All records move together into as few blocks as there can be.
    fn pack(&mut self) {
        self.room = 0;
        for mut block in std::mem::take(&mut self.blocks) {
            if let Some(last) = self.blocks.back_mut() {
                last.fill_from(&mut block);
            }
            if block.len() > 0 {
                block.close_front();
                self.room += block.room();
                self.blocks.push_back(block);
            }
        }
        self.left = 0;
    }
}

/// There is this lane, too.
#[inline(never)]
fn grow(holdings: &mut Vec<Holding>, quotas: &mut Vec<u64>, lane: usize) {
    holdings.resize_with(lane + 1, Holding::default);
    quotas.resize(lane + 1, 0);
}

#[cfg(test)]
impl Lanes {
    /// Takes in the newest record.
    pub(crate) fn push(&mut self, record: Record) {
        let noted = Noted::new(record.length, record.lane, record.kept);
        self.push_all(record.at, record.length, &[noted]);
    }

    /// All records, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = Record> {
        self.blocks.iter().flat_map(Block::records)
    }

    /// How full a lane is.
    pub(crate) fn account(&self, lane: Lane) -> u64 {
        let holding = self.holdings.get(lane.0 as usize);
        holding.map_or(0, Holding::account)
    }

    /// All is in order.
    ///
    /// # Panics
    /// When it is not.
    pub(crate) fn check(&self) {
        let mut at = 0;
        let mut bytes = [0; 2];
        let mut lanes = vec![Holding::default(); self.holdings.len()];
        for (i, block) in self.blocks.iter().enumerate() {
            let frees = block.records().filter(|it| !it.kept).count();
            assert_eq!(block.is_free(), frees > 0, "{block:?}");
            for record in block.records() {
                let (lane, kept) = (record.lane.0 as usize, usize::from(record.kept));
                assert!(at <= record.at, "{record:?} is out of order");
                assert_eq!(self.index(record.at), i, "{record:?} is not found");
                assert!(self.holdings[lane].first[kept] <= record.at, "{record:?}");
                assert!(record.kept || self.first_free <= record.at, "{record:?}");
                assert!(block.may_have(block::bit(record.lane), record.kept));
                at = record.at + record.length;
                bytes[kept] += record.length;
                lanes[lane].bytes[kept] += record.length;
            }
        }
        assert_eq!(bytes, self.bytes);
        for (holding, other) in self.holdings.iter().zip(&lanes) {
            assert_eq!(holding.bytes, other.bytes);
            assert_eq!(holding.lost, (0, 0));
        }
        assert!(self.quotas.iter().all(|quota| *quota == 0));
        assert_eq!(self.all().count(), self.held);
        assert_eq!(
            self.blocks.iter().map(Block::room).sum::<usize>(),
            self.room
        );
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.iter().sum()
    }

    /// Memory for the books, without the records themselves.
    pub(crate) fn memory(&self) -> usize {
        self.room * 8
            + self.blocks.capacity() * size_of::<Block>()
            + self.holdings.capacity() * size_of::<Holding>()
            + self.quotas.capacity() * 8
            + self.candidates.capacity() * size_of::<Candidate>()
    }
}

#[cfg(test)]
mod tests;
