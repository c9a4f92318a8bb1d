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
//! Neighbours of one lane stand in the order as one [`Run`], which is taken apart where only some of its records go.
//!
//! Invariants: every record that was pushed leaves once, by [`Lanes::pop`], [`Lanes::shed_runs`] or [`Lanes::expire`];
//! the first in the order is held.

mod level;
mod names;
mod run;
mod short;

use std::cmp::Reverse;
use std::collections::VecDeque;

use level::{Candidate, level};
pub(crate) use names::{Lane, Names};
pub(crate) use run::{End, RUN_MOST, Record};
use run::{Lengths, Run};
pub(crate) use short::Short;

/// Runs that have left the middle of the order may stand in it until they are more than those that
/// are held, and than this.
const DEAD_MOST: usize = 4096;
/// So many runs are looked at rather than one sorted among others.
const SPAN: usize = 6;
/// Bytes that the books of one run take, about: an entry in the order, its place in its lane, and maybe a run of the queue;
/// what grows by doubling is three quarters full on average.
const RUN_BOOKS: usize = 64;
/// The same of one of several records of a run: its length.
const LENGTH_BOOKS: usize = 6;
/// The place of the first run in the order: others may come before it.
const MIDDLE: u64 = 1 << 63;

/// What is held of a lane: of records that are not kept, and of those that are.
#[derive(Debug, Clone, Default)]
struct Holding {
    bytes: [u64; 2],
    /// The places of their runs in the order, of which these bits tell one from another.
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
    order: VecDeque<Run>,
    lengths: Lengths,
    /// The place in the order of the first of them.
    begins: u64,
    /// The place of the first that is held and not kept, or the end.
    first_free: u64,
    /// How many records are held, and how many runs; the others have left before their turn.
    held: usize,
    runs: usize,
    /// Bytes of records that are not kept, and of those that are.
    bytes: [u64; 2],
    /// Room for the lanes of which something may go.
    candidates: Vec<Candidate>,
    /// Places in the order of runs that are being taken out, and what is of others.
    going: Vec<u64>,
    parts: Vec<Run>,
}

impl Lanes {
    /// No records.
    pub(crate) fn new() -> Lanes {
        Lanes {
            holdings: Vec::new(),
            order: VecDeque::new(),
            lengths: Lengths::default(),
            begins: MIDDLE,
            first_free: MIDDLE,
            held: 0,
            runs: 0,
            bytes: [0; 2],
            candidates: Vec::new(),
            going: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Whether nothing is held of this lane.
    pub(crate) fn is_empty(&self, lane: Lane) -> bool {
        let holding = self.holdings.get(lane.0 as usize);
        holding.is_none_or(|holding| holding.bytes() == 0)
    }

    /// Records that are held.
    pub(crate) fn records(&self) -> usize {
        self.held
    }

    /// Bytes that the books take, about, those of the places in the queue among them.
    pub(crate) fn books(&self) -> usize {
        self.order.len() * RUN_BOOKS + self.lengths.len() * LENGTH_BOOKS
    }

    /// Takes in the newest records: `all` of them, which are neighbours, and the length of each.
    pub(crate) fn push_all(&mut self, all: Record, lengths: &[u32]) {
        let place = self.begins + self.order.len() as u64;
        self.add(all, lengths.len());
        let last = self.order.back_mut();
        if last.is_some_and(|last| self.lengths.extend(last, all, lengths)) {
            return;
        }
        self.places_of(all).push_back(place as u32);
        self.order.push_back(self.lengths.run_of(all, lengths));
        self.runs += 1;
        if all.kept && self.first_free == place {
            self.first_free += 1;
        }
    }

    /// Takes back a record that was [popped](Self::pop): it is the oldest again. Those popped last
    /// are given back first.
    pub(crate) fn give_back(&mut self, record: Record) {
        self.add(record, 1);
        self.begins -= 1;
        let place = self.begins;
        self.order.push_front(self.lengths.run_of(record, &[0]));
        self.places_of(record).push_front(place as u32);
        self.runs += 1;
        if !record.kept {
            self.first_free = place;
        }
    }

    /// So many records are held.
    fn add(&mut self, all: Record, records: usize) {
        let (lane, kept) = (all.lane.0 as usize, usize::from(all.kept));
        if lane >= self.holdings.len() {
            self.holdings.resize_with(lane + 1, Holding::default);
        }
        self.bytes[kept] += all.length;
        self.held += records;
        self.holdings[lane].bytes[kept] += all.length;
    }

    /// Where the place of a run of these belongs.
    fn places_of(&mut self, all: Record) -> &mut VecDeque<u32> {
        &mut self.holdings[all.lane.0 as usize].places[usize::from(all.kept)]
    }

    /// The oldest record, which is to be delivered next.
    pub(crate) fn first(&self) -> Option<Record> {
        self.first_of(self.order.front()?)
    }

    fn first_of(&self, run: &Run) -> Option<Record> {
        let length = self.lengths.at_end(run, End::Oldest);
        Some(Record {
            length,
            ..run.record()
        })
    }

    /// Takes out the oldest record, to deliver it.
    pub(crate) fn pop(&mut self) -> Option<Record> {
        self.first()?;
        let record = self.remove(self.begins);
        self.tidy();
        Some(record)
    }

    /// Takes out records that have to go for others to have room, from this end of the lanes that hold most, until
    /// `least` bytes are gone and about `need`, or all. They are handed over in the order in which they came: neighbours
    /// of a lane together, and how many they are. Returns how many bytes.
    pub(crate) fn shed_runs(
        &mut self,
        end: End,
        least: u64,
        need: u64,
        mut take: impl FnMut(Record, u64),
    ) -> u64 {
        self.shed_with(end, (least, need), |_, run| {
            take(run.record(), run.records() as u64)
        })
    }

    fn shed_with(
        &mut self,
        end: End,
        (least, need): (u64, u64),
        take: impl FnMut(&Lengths, &Run),
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
    fn hand_over(&mut self, mut take: impl FnMut(&Lengths, &Run)) {
        let mut parts = std::mem::take(&mut self.parts);
        parts.sort_unstable_by_key(|part| part.at);
        let mut left = parts.iter().peekable();
        let lengths = &self.lengths;
        let mut take_up_to = |run: &mut Run| {
            while let Some(part) = left.next_if(|part| part.at < run.at) {
                take(lengths, part);
            }
            take(lengths, run);
            run.set_gone();
        };
        let mut going = std::mem::take(&mut self.going);
        let first = going.iter().min().map_or(0, |first| first - self.begins) as usize;
        let end = going.iter().max().map_or(0, |last| last + 1 - self.begins) as usize;
        if end - first <= SPAN * going.len() {
            // It is quicker to look at all between the first and the last than to sort them.
            let all = self.order.range_mut(first..end);
            all.filter(|run| run.is_going()).for_each(&mut take_up_to);
        } else {
            // Those of each lane are in order already, one way or the other.
            going.sort();
            for place in &going {
                take_up_to(&mut self.order[(place - self.begins) as usize]);
            }
        }
        left.for_each(|part| take(lengths, part));
        going.clear();
        parts.clear();
        (self.going, self.parts) = (going, parts);
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
            let run = &mut self.order[index as usize];
            let held = holding.bytes[0] + holding.bytes[1];
            let (records, length) = match depth {
                Depth::Once => (1, self.lengths.at_end(run, end)),
                Depth::Level(level) if run.length <= held.saturating_sub(level) => {
                    (run.records(), run.length)
                }
                Depth::Level(level) => self.lengths.within(run, end, held.saturating_sub(level)),
            };
            let is_all = records == run.records();
            if is_all {
                match end {
                    End::Oldest => places.pop_front(),
                    End::Newest => places.pop_back(),
                };
                run.set_going();
                self.runs -= 1;
                self.going.push(self.begins + u64::from(index));
            } else if records > 0 {
                self.parts.push(run.split_off(end, records, length));
            }
            holding.bytes[kept] -= length;
            gone += length;
            self.held -= records;
            if !is_all || matches!(depth, Depth::Once) {
                break;
            }
        }
        self.bytes[kept] -= gone;
        gone
    }

    /// The oldest record that may expire: kept ones do not.
    pub(crate) fn first_to_expire(&self) -> Option<Record> {
        let first = self.first_free.checked_sub(self.begins)?;
        self.first_of(self.order.get(first as usize)?)
    }

    /// Takes out the record that [may expire](Self::first_to_expire).
    pub(crate) fn expire(&mut self) -> Option<Record> {
        self.first_to_expire()?;
        let record = self.remove(self.first_free);
        self.tidy();
        Some(record)
    }

    /// Takes out a record that is held, the first of a run that is the oldest of its lane and kind.
    fn remove(&mut self, place: u64) -> Record {
        let run = &mut self.order[(place - self.begins) as usize];
        let length = self.lengths.at_end(run, End::Oldest);
        let record = run.split_off(End::Oldest, 1, length).record();
        let is_gone = run.is_gone();
        let kept = usize::from(record.kept);
        let holding = &mut self.holdings[record.lane.0 as usize];
        if is_gone {
            holding.places[kept].pop_front();
            self.runs -= 1;
        }
        holding.bytes[kept] -= record.length;
        self.bytes[kept] -= record.length;
        self.held -= 1;
        if is_gone {
            self.trim();
        }
        record
    }

    /// Takes off the ends of the order what has left.
    fn trim(&mut self) {
        while self.order.front().is_some_and(Run::is_gone) {
            self.order.pop_front();
            self.begins += 1;
        }
        while self.order.back().is_some_and(Run::is_gone) {
            self.order.pop_back();
        }
        self.lengths.forget_before(self.order.front());
        self.look_for_free();
    }

    /// Nothing before the first that may expire may.
    fn look_for_free(&mut self) {
        let end = self.begins + self.order.len() as u64;
        self.first_free = self.first_free.clamp(self.begins, end);
        while let Some(run) = self.order.get((self.first_free - self.begins) as usize)
            && (run.is_gone() || run.is_kept())
        {
            self.first_free += 1;
        }
    }

    /// Closes the gaps in the order, and among the lengths, when there are more of them than of what is held: a pass over
    /// all, which as many calls have paid for.
    fn tidy(&mut self) {
        let has_gaps = |all: usize, held: usize| all - held > held + DEAD_MOST;
        if self.lengths.len() > 2 * self.held + DEAD_MOST {
            self.lengths.tidy(self.order.iter_mut());
        }
        if !has_gaps(self.order.len(), self.runs) {
            return;
        }
        self.order.retain(|run| !run.is_gone());
        if self.order.capacity() > 4 * (self.runs + DEAD_MOST) {
            self.order.shrink_to(2 * self.runs);
        }
        for places in self.holdings.iter_mut().flat_map(|it| &mut it.places) {
            places.clear();
        }
        for (place, run) in (self.begins..).zip(&self.order) {
            let holding = &mut self.holdings[run.lane().0 as usize];
            holding.places[usize::from(run.is_kept())].push_back(place as u32);
        }
        self.first_free = self.begins;
        self.look_for_free();
    }
}

#[cfg(test)]
impl Lanes {
    /// Takes in the newest record.
    pub(crate) fn push(&mut self, record: Record) {
        self.push_all(record, &[record.length as u32]);
    }

    /// See [`Lanes::shed_runs`]; one by one.
    pub(crate) fn shed(
        &mut self,
        end: End,
        least: u64,
        need: u64,
        take: impl FnMut(Record),
    ) -> u64 {
        let mut take = take;
        self.shed_with(end, (least, need), |lengths, run| {
            each(lengths, run).for_each(&mut take);
        })
    }

    /// All records, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = Record> {
        let held = self.order.iter().filter(|run| !run.is_gone());
        held.flat_map(|run| each(&self.lengths, run))
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.iter().sum()
    }

    /// Memory for the books, without the records themselves.
    pub(crate) fn memory(&self) -> usize {
        let places = self.holdings.iter().flat_map(|it| &it.places);
        let places: usize = places.map(VecDeque::capacity).sum();
        (self.order.capacity() + self.parts.capacity()) * size_of::<Run>()
            + self.lengths.memory()
            + self.holdings.capacity() * size_of::<Holding>()
            + places * size_of::<u32>()
            + self.candidates.capacity() * size_of::<Candidate>()
            + self.going.capacity() * size_of::<u64>()
    }
}

/// The records of a run.
#[cfg(test)]
fn each(lengths: &Lengths, run: &Run) -> impl Iterator<Item = Record> {
    let all = run.record();
    lengths.of(run).scan(run.at, move |at, length| {
        let record = Record {
            at: *at,
            length,
            ..all
        };
        *at += length;
        Some(record)
    })
}

#[cfg(test)]
mod tests;
