//! Stretches of places, in order: a few as a rule, and very many where what is dropped lies scattered.
//!
//! They stand in blocks, so that what leaves the middle moves the runs of its own block only; what leaves it together,
//! each of these blocks once.
//!
//! Invariant: runs are not empty, and do not overlap; no block is empty, but where it is the only one.

use std::collections::VecDeque;
use std::ops::Range;

/// Runs in a block, about; so few in tests that there are several blocks.
const BLOCK: usize = if cfg!(test) { 4 } else { 256 };

/// So few runs that their room is not worth giving back.
const SLACK: usize = 16;

type Block = VecDeque<Range<u64>>;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Runs {
    blocks: VecDeque<Block>,
    /// How many there are in all blocks.
    count: usize,
    /// Room for those of a block of which some are taken.
    before: Vec<Range<u64>>,
}

impl Runs {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn first(&self) -> Option<&Range<u64>> {
        self.blocks.front()?.front()
    }

    pub(super) fn last(&self) -> Option<&Range<u64>> {
        self.blocks.back()?.back()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Range<u64>> {
        self.blocks.iter().flatten()
    }

    /// Those that reach into this range.
    pub(super) fn over(&self, range: &Range<u64>) -> impl Iterator<Item = &Range<u64>> {
        let end = range.end;
        let mut blocks = self.blocks.range(self.block_of(range.start)..);
        let first = blocks.next().into_iter().flat_map(|block| {
            let from = block.partition_point(|run| run.end <= range.start);
            block.range(from..)
        });
        let all = first.chain(blocks.flatten());
        all.take_while(move |run| run.start < end)
    }

    /// The block that holds this place, or the next one.
    fn block_of(&self, place: u64) -> usize {
        let is_before = |block: &Block| block.back().is_none_or(|run| run.end <= place);
        self.blocks.partition_point(is_before)
    }

    /// Adds one behind all others.
    pub(super) fn push_back(&mut self, run: Range<u64>) {
        let Some(block) = self.blocks.back_mut() else {
            self.count += 1;
            return self.blocks.push_back([run].into());
        };
        if let Some(last) = block.back_mut()
            && last.end == run.start
        {
            last.end = run.end;
            return;
        }
        self.count += 1;
        if block.len() < BLOCK {
            block.push_back(run);
        } else {
            self.blocks.push_back([run].into());
        }
    }

    /// Adds one before all others.
    pub(super) fn push_front(&mut self, run: Range<u64>) {
        let Some(block) = self.blocks.front_mut() else {
            self.count += 1;
            return self.blocks.push_front([run].into());
        };
        if let Some(first) = block.front_mut()
            && first.start == run.end
        {
            first.start = run.start;
            return;
        }
        self.count += 1;
        if block.len() < BLOCK {
            block.push_front(run);
        } else {
            self.blocks.push_front([run].into());
        }
    }

    /// Takes the first `n` places away, or as many as lie in the first run.
    pub(super) fn pop_front(&mut self, n: u64) -> Option<Range<u64>> {
        let block = self.blocks.front_mut()?;
        let first = block.front_mut()?;
        let run = first.start..first.end.min(first.start.saturating_add(n));
        first.start = run.end;
        if first.is_empty() {
            block.pop_front();
            self.count -= 1;
            self.tidy(0);
        }
        Some(run)
    }

    /// Takes the last `n` places away, or as many as lie in the last run.
    pub(super) fn pop_back(&mut self, n: u64) -> Option<Range<u64>> {
        let block = self.blocks.back_mut()?;
        let last = block.back_mut()?;
        let run = last.start.max(last.end.saturating_sub(n))..last.end;
        last.end = run.start;
        if last.is_empty() {
            block.pop_back();
            self.count -= 1;
            self.tidy(self.blocks.len() - 1);
        }
        Some(run)
    }

    /// Takes these places away, which are all there, in order, each range in one run.
    ///
    /// # Panics
    /// When one of them does not lie in one run.
    pub(super) fn remove_all(&mut self, mut out: &[Range<u64>]) {
        while let Some(first) = out.first().cloned() {
            let before = out.len();
            let i = self.block_of(first.start);
            let Some(block) = self.blocks.get_mut(i) else {
                unreachable!("what is dropped was there")
            };
            let untouched = block.partition_point(|run| run.end <= first.start);
            let touched = block.range(untouched..);
            let n = touched.len();
            let mut last = i;
            self.count -= block.len();
            if out.get(..n).is_some_and(|whole| touched.eq(whole)) {
                // The oldest go as a rule, from one end on.
                block.truncate(untouched);
                self.count += untouched;
                out = &out[n..];
            } else {
                self.before.extend(block.drain(untouched..));
                last = self.put_back(i, &mut out);
            }
            self.tidy(last);
            if last > i {
                self.tidy(i);
            }
            assert!(out.len() < before, "{first:?} is not there");
        }
    }

    /// Puts the runs that were taken off the end of this block back there, but for those of these places that lie in them.
    /// There may be very many more of them now, which get blocks of their own at once. Returns which block is the last of them.
    fn put_back(&mut self, mut i: usize, out: &mut &[Range<u64>]) -> usize {
        let mut most = 2 * BLOCK;
        let mut block = Vec::from(std::mem::take(&mut self.blocks[i]));
        for run in self.before.drain(..) {
            let mut from = run.start;
            while from < run.end {
                let (mut to, mut then) = (run.end, run.end);
                if let Some((gap, rest)) = out.split_first()
                    && gap.start < run.end
                {
                    assert!(
                        from <= gap.start && gap.end <= run.end,
                        "{gap:?} of {run:?}"
                    );
                    (to, then, *out) = (gap.start, gap.end, rest);
                }
                if from < to {
                    if block.len() == most {
                        self.count += block.len();
                        self.blocks[i] = block.into();
                        block = Vec::with_capacity(BLOCK);
                        i += 1;
                        most = BLOCK;
                        self.blocks.insert(i, Block::new());
                    }
                    block.push(from..to);
                }
                from = then;
            }
        }
        self.count += block.len();
        self.blocks[i] = block.into();
        i
    }

    /// Sees to it that a block of which something was taken is neither empty nor much too short, nor takes much
    /// more memory than it needs.
    fn tidy(&mut self, i: usize) {
        let length = self.blocks[i].len();
        if length == 0 && self.blocks.len() > 1 {
            self.blocks.remove(i);
        } else if let Some(next) = self.blocks.get(i + 1)
            && length + next.len() <= BLOCK / 2
            && let Some(next) = self.blocks.remove(i + 1)
        {
            self.blocks[i].extend(next);
        }
        if let Some(block) = self.blocks.get_mut(i)
            && block.capacity() > SLACK.max(2 * block.len())
        {
            block.shrink_to(block.len() + block.len() / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_middle_of_a_long_run_leaves_the_others_in_blocks_that_are_not_too_long() {
        for (gap, step) in [(1, 3), (2, 3), (3, 3), (5, 50)] {
            let mut runs = Runs::default();
            runs.push_back(0..5);
            runs.push_back(10..310);
            runs.push_back(400..405);
            let out: Vec<_> = (0..300 / step).map(|i| 10 + i * step).collect();
            let out: Vec<_> = out.iter().map(|at| *at..at + gap).collect();
            runs.remove_all(&out);
            let left = (0..5).chain(10..310).chain(400..405);
            let left = left.filter(|place| out.iter().all(|it| !it.contains(place)));
            let there: Vec<u64> = runs.iter().cloned().flatten().collect();
            assert_eq!(there, left.collect::<Vec<_>>(), "{gap} of {step}");
            assert_eq!(runs.iter().count(), runs.len());
            let is_right = |block: &Block| !block.is_empty() && block.len() <= 2 * BLOCK;
            assert!(runs.blocks.iter().all(is_right), "{:?}", runs.blocks);
        }
    }
}
