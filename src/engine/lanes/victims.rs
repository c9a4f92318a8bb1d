//! Which records go when room must be made: those of the fullest lanes, from one end.

use super::Lanes;
use super::block::{Begun, End, bit};
use super::gone::Gone;
use super::level::{Candidate, level};
use super::names::Lane;

/// The lanes are told apart by what they got no longer where so many times what is held was delivered between one time
/// that room had to be made and the next.
const FORGETS: u64 = 4;
/// With this in its quota a lane loses records until all of the rest is gone, or more; without it, no more than that.
const ROUND_UP: u64 = 1 << 63;

/// The lanes of which something may still go, as far as they have been come to.
struct Open {
    /// Those that have not: where their first record lies, the last one first.
    later: Vec<(u64, Lane)>,
    /// The others, by the last bits of their numbers.
    bits: u64,
    lanes: [u32; u64::BITS as usize],
}

impl Open {
    fn of(mut later: Vec<(u64, Lane)>) -> Open {
        later.sort_unstable_by(|one, other| other.cmp(one));
        Open {
            later,
            bits: 0,
            lanes: [0; u64::BITS as usize],
        }
    }

    /// Where the next one begins.
    fn next(&self) -> Option<u64> {
        self.later.last().map(|(first, _)| *first)
    }

    /// Those are come to that begin here or before.
    fn come_to(&mut self, place: u64) {
        while let Some((_, lane)) = self.later.pop_if(|(first, _)| *first <= place) {
            self.bits |= bit(lane);
            self.lanes[(lane.0 % u64::BITS) as usize] += 1;
        }
    }

    fn close(&mut self, lane: Lane) {
        let lanes = &mut self.lanes[(lane.0 % u64::BITS) as usize];
        *lanes -= 1;
        if *lanes == 0 {
            self.bits &= !bit(lane);
        }
    }
}

impl Lanes {
    /// Takes out records that have to go for others to have room, from this end of the fullest lanes, until
    /// `least` bytes are gone and about `need`, or all. `begun`, of which none is left if it has to go, goes before
    /// others when no lane holds as much: nobody is given it before it ends, and one that is longer than the buffer would
    /// push all others out. Returns how many bytes.
    pub(crate) fn shed(
        &mut self,
        end: End,
        least: u64,
        need: u64,
        begun: &mut Option<Begun>,
        gone: &mut Gone,
    ) -> u64 {
        let before = self.held;
        self.settle_accounts();
        let mut bytes = 0;
        while bytes < least && (self.held > 0 || begun.is_some()) {
            let less = self.lower(end, need - bytes, begun, gone);
            debug_assert!(less > 0, "something is held, and nothing goes");
            if less == 0 {
                break;
            }
            bytes += less;
        }
        gone.sort();
        if self.held < before {
            self.trim();
        }
        bytes
    }

    /// Lowers the fullest lanes. Something goes, if anything is held.
    fn lower(&mut self, end: End, need: u64, begun: &mut Option<Begun>, gone: &mut Gone) -> u64 {
        let kept = self.bytes[0] == 0 && begun.is_none_or(|it| it.kept);
        let mut all = std::mem::take(&mut self.candidates);
        self.find_candidates(kept, &mut all);
        let longest = all.iter().map(|it| it.most).max().unwrap_or(0);
        if let Some(begun) = begun.take_if(|it| it.kept == kept && it.length > longest) {
            self.candidates = all;
            return begun.length;
        }
        let level = level(&all, need);
        all.retain(|it| it.bytes > level);
        self.set_quotas(kept, level, &all);
        let bytes = self.sweep(end, kept, &all, gone);
        let account = |it: &Candidate| self.holdings[it.lane as usize].account();
        self.level = all.iter().map(account).max().unwrap_or(0);
        self.candidates = all;
        bytes
    }

    /// Each of these lanes is to be lowered to the level. Records go whole: most lose a little less than that; what is
    /// missing then some make up for, the first one at least, each with the record that reaches below the level.
    fn set_quotas(&mut self, kept: bool, level: u64, all: &[Candidate]) {
        let average = (self.bytes[usize::from(kept)] / self.held.max(1) as u64).max(1);
        let mut missing = average;
        for it in all {
            let quota = it.most.min(it.bytes - level);
            missing += quota % average;
            let rounds_up = missing >= average;
            if rounds_up {
                missing -= average;
            }
            self.quotas[it.lane as usize] = quota + if rounds_up { ROUND_UP } else { 0 };
        }
    }

    /// What lanes got counts no longer, or not all of it: see the text of [`super`].
    fn settle_accounts(&mut self) {
        let held = self.bytes.iter().sum();
        let is_over = self.passed > FORGETS.saturating_mul(held);
        self.passed = 0;
        if is_over {
            self.level = 0;
        }
        let floor = self.level.saturating_sub(held);
        for holding in &mut self.holdings {
            let held = holding.bytes();
            if is_over {
                holding.got = 0;
            } else if held > 0 {
                holding.got = holding.got.max(floor.saturating_sub(held));
            }
        }
    }

    /// The lanes of which something may go, and how full they are.
    fn find_candidates(&self, kept: bool, all: &mut Vec<Candidate>) {
        all.clear();
        for (lane, holding) in self.holdings.iter().enumerate() {
            let most = holding.bytes[usize::from(kept)];
            if most > 0 {
                let bytes = holding.account();
                let lane = lane as u32;
                all.push(Candidate { bytes, most, lane });
            }
        }
    }

    /// Takes out of each of these lanes what its quota says. Returns how many bytes.
    fn sweep(&mut self, end: End, kept: bool, all: &[Candidate], gone: &mut Gone) -> u64 {
        let k = usize::from(kept);
        let lanes = all.iter().map(|it| Lane(it.lane));
        let mut open = Open::of(match end {
            End::Oldest => lanes
                .map(|it| (self.holdings[it.0 as usize].first[k], it))
                .collect(),
            End::Newest => lanes.map(|it| (0, it)).collect(),
        });
        let n = self.blocks.len();
        let mut next = 0;
        // The last one of which something has gone, and the one that is filled with what is left of others.
        let mut swept = None;
        while next < n {
            if open.bits == 0 {
                match open.next() {
                    None => break,
                    Some(_) if end == End::Newest => {}
                    Some(first) => next = next.max(self.index(first)),
                }
            }
            let i = match end {
                End::Oldest => next.min(n - 1),
                End::Newest => n - 1 - next,
            };
            next += 1;
            open.come_to(self.blocks[i].last_at());
            if self.blocks[i].may_have(open.bits, kept) {
                self.sweep_block(i, end, k, &mut open, gone);
                if end == End::Oldest {
                    let into = swept.filter(|(last, _)| last + 1 == i);
                    let into = into.map_or(i, |(_, into)| self.close_up(into, i));
                    swept = Some((i, into));
                }
            }
        }
        self.book(kept, all, gone)
    }

    /// What is left of a block goes on filling one before it, while both are at hand; nothing is left of those between them.
    /// Returns which block may be filled with what comes next.
    fn close_up(&mut self, into: usize, i: usize) -> usize {
        if self.blocks[into].len() == 0 {
            return i;
        }
        let mut next = std::mem::take(&mut self.blocks[i]);
        let filled = &mut self.blocks[into];
        filled.fill_from(&mut next);
        let last = filled.last_at();
        let is_over = next.len() == 0;
        self.blocks[i] = next;
        let over_to = if is_over { i + 1 } else { i };
        let between = self.blocks.range_mut(into + 1..over_to);
        between.for_each(|block| block.stands_at(last));
        if is_over { into } else { i }
    }

    /// The same of one block.
    fn sweep_block(&mut self, i: usize, end: End, k: usize, open: &mut Open, gone: &mut Gone) {
        let (holdings, quotas) = (&mut self.holdings, &mut self.quotas);
        let shortest = self.shortest;
        self.blocks[i].retain(end, |record| {
            let quota = &mut quotas[record.lane.0 as usize];
            if *quota == 0 || usize::from(record.kept) != k {
                return true;
            }
            let holding = &mut holdings[record.lane.0 as usize];
            let goes = record.length <= *quota;
            let least = match *quota > ROUND_UP {
                true => ROUND_UP + 1,
                false => shortest,
            };
            let left = if goes { *quota - record.length } else { 0 };
            *quota = if left < least { 0 } else { left };
            if goes {
                holding.lost.0 += record.length;
                holding.lost.1 += 1;
                gone.add(record, end);
            }
            if *quota == 0 {
                open.close(record.lane);
                if end == End::Oldest {
                    let length = if goes { record.length } else { 0 };
                    holding.first[k] = record.at + length;
                }
            }
            !goes
        });
    }

    /// Books what each of these lanes has lost. Returns how many bytes.
    fn book(&mut self, kept: bool, all: &[Candidate], gone: &mut Gone) -> u64 {
        let k = usize::from(kept);
        let mut all_bytes = 0;
        for it in all {
            let holding = &mut self.holdings[it.lane as usize];
            self.quotas[it.lane as usize] = 0;
            let (bytes, records) = std::mem::take(&mut holding.lost);
            if records > 0 {
                holding.bytes[k] -= bytes;
                self.held -= records as usize;
                self.left += records as usize;
                all_bytes += bytes;
                gone.lost.push((Lane(it.lane), bytes, records));
            }
        }
        self.bytes[k] -= all_bytes;
        all_bytes
    }

    /// Where the first record that may expire ends: kept ones do not.
    pub(crate) fn next_to_expire(&self) -> Option<u64> {
        let mut blocks = self.blocks.range(self.index(self.first_free)..);
        let block = blocks.find(|block| block.is_free())?;
        let first = block.records().find(|record| !record.kept)?;
        Some(first.at + first.length)
    }

    /// Takes out the records that were complete before this place, but for those that are kept.
    pub(crate) fn expire(&mut self, old: u64, gone: &mut Gone) {
        let before = gone.records;
        for i in self.index(self.first_free)..self.blocks.len() {
            let (block, holdings) = (&mut self.blocks[i], &mut self.holdings);
            let mut is_young = false;
            let (mut bytes, mut records) = (0, 0);
            if block.is_free() {
                block.retain(End::Oldest, |record| {
                    is_young |= !record.kept && record.at + record.length > old;
                    if record.kept || is_young {
                        return true;
                    }
                    (bytes, records) = (bytes + record.length, records + 1);
                    holdings[record.lane.0 as usize].bytes[0] -= record.length;
                    gone.lost.push((record.lane, record.length, 1));
                    gone.add(record, End::Oldest);
                    false
                });
            }
            self.bytes[0] -= bytes;
            self.held -= records;
            self.left += records;
            if is_young {
                break;
            }
        }
        if gone.records > before {
            self.trim();
        }
    }
}
