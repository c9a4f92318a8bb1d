//! Stretches of places, in order: a few as a rule, and very many where what is dropped lies scattered.
//!
//! A few are a list, which is quickest. From the first one on that is cut out of many, they are a tree, until they have
//! all gone.
//!
//! Invariant: they are not empty and do not overlap. In a tree the key of each is its start, or less where
//! something has been taken off it since.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Bound, Range};

/// Runs in a list at most when something is cut out of its middle.
const FEW: usize = 32;

/// See the module's text.
#[derive(Debug)]
pub(super) enum Runs {
    Few(VecDeque<Range<u64>>),
    Many(BTreeMap<u64, Range<u64>>),
}

impl Default for Runs {
    fn default() -> Runs {
        Runs::Few(VecDeque::new())
    }
}

impl Runs {
    pub(super) fn first(&self) -> Option<&Range<u64>> {
        match self {
            Runs::Few(list) => list.front(),
            Runs::Many(tree) => tree.first_key_value().map(|(_, run)| run),
        }
    }

    pub(super) fn last(&self) -> Option<&Range<u64>> {
        match self {
            Runs::Few(list) => list.back(),
            Runs::Many(tree) => tree.last_key_value().map(|(_, run)| run),
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Range<u64>> {
        let (few, many) = match self {
            Runs::Few(list) => (Some(list.iter()), None),
            Runs::Many(tree) => (None, Some(tree.values())),
        };
        let many = many.into_iter().flatten();
        few.into_iter().flatten().chain(many)
    }

    /// Those that reach into this range.
    pub(super) fn over(&self, range: &Range<u64>) -> impl Iterator<Item = &Range<u64>> {
        let end = range.end;
        let (few, many) = match self {
            Runs::Few(list) => {
                let first = list.partition_point(|run| run.end <= range.start);
                (Some(list.range(first..)), None)
            }
            Runs::Many(tree) => {
                let before = tree.range(..=range.start).next_back();
                let before = before.filter(|(_, run)| run.end > range.start);
                let from = before.map_or(range.start, |(key, _)| *key);
                (None, Some(tree.range(from..).map(|(_, run)| run)))
            }
        };
        let many = many.into_iter().flatten();
        let all = few.into_iter().flatten().chain(many);
        all.take_while(move |run| run.start < end)
    }

    /// Adds one behind all others.
    pub(super) fn push_back(&mut self, run: Range<u64>) {
        match self {
            Runs::Few(list) => match list.back_mut() {
                Some(last) if last.end == run.start => last.end = run.end,
                _ => list.push_back(run),
            },
            Runs::Many(tree) => match tree.last_entry() {
                Some(mut last) if last.get().end == run.start => last.get_mut().end = run.end,
                _ => {
                    tree.insert(run.start, run);
                }
            },
        }
    }

    /// Adds one before all others.
    pub(super) fn push_front(&mut self, mut run: Range<u64>) {
        match self {
            Runs::Few(list) => match list.front_mut() {
                Some(first) if first.start == run.end => first.start = run.start,
                _ => list.push_front(run),
            },
            Runs::Many(tree) => {
                if let Some(first) = tree.first_entry()
                    && first.get().start == run.end
                {
                    run.end = first.remove().end;
                }
                tree.insert(run.start, run);
            }
        }
    }

    /// Takes the first `n` places away, or as many as lie in the first run.
    pub(super) fn pop_front(&mut self, n: u64) -> Option<Range<u64>> {
        let take = |first: &mut Range<u64>| {
            let run = first.start..first.end.min(first.start.saturating_add(n));
            first.start = run.end;
            run
        };
        match self {
            Runs::Few(list) => {
                let first = list.front_mut()?;
                let run = take(first);
                if first.is_empty() {
                    list.pop_front();
                }
                Some(run)
            }
            Runs::Many(tree) => {
                let mut first = tree.first_entry()?;
                let run = take(first.get_mut());
                if first.get().is_empty() {
                    first.remove();
                    self.look_whether_few();
                }
                Some(run)
            }
        }
    }

    /// Takes the last `n` places away, or as many as lie in the last run.
    pub(super) fn pop_back(&mut self, n: u64) -> Option<Range<u64>> {
        let take = |last: &mut Range<u64>| {
            let run = last.start.max(last.end.saturating_sub(n))..last.end;
            last.end = run.start;
            run
        };
        match self {
            Runs::Few(list) => {
                let last = list.back_mut()?;
                let run = take(last);
                if last.is_empty() {
                    list.pop_back();
                }
                Some(run)
            }
            Runs::Many(tree) => {
                let mut last = tree.last_entry()?;
                let run = take(last.get_mut());
                if last.get().is_empty() {
                    last.remove();
                    self.look_whether_few();
                }
                Some(run)
            }
        }
    }

    /// Takes these places away, which are all there.
    ///
    /// # Panics
    /// When they do not lie in one run.
    pub(super) fn remove(&mut self, out: &Range<u64>) {
        match self {
            Runs::Few(list) => {
                let i = list.partition_point(|run| run.end <= out.start);
                if let Some(rest) = list.get_mut(i).and_then(|run| cut(run, out)) {
                    list.insert(i + 1, rest);
                    if list.len() > FEW {
                        let list = std::mem::take(list);
                        *self = Runs::Many(list.into_iter().map(|run| (run.start, run)).collect());
                    }
                } else if list.get(i).is_some_and(Range::is_empty) {
                    list.remove(i);
                }
            }
            Runs::Many(tree) => {
                let upto = (Bound::Unbounded, Bound::Included(out.start));
                let Some((key, run)) = tree.range_mut(upto).next_back() else {
                    unreachable!("what is dropped was there")
                };
                let key = *key;
                if let Some(rest) = cut(run, out) {
                    tree.insert(rest.start, rest);
                } else if run.is_empty() {
                    tree.remove(&key);
                    self.look_whether_few();
                }
            }
        }
    }

    fn look_whether_few(&mut self) {
        if let Runs::Many(tree) = self
            && tree.is_empty()
        {
            *self = Runs::default();
        }
    }
}

/// Takes places out of a run, and returns what is behind them, if something is before them, too.
fn cut(run: &mut Range<u64>, out: &Range<u64>) -> Option<Range<u64>> {
    assert!(
        run.start <= out.start && out.end <= run.end,
        "{out:?} of {run:?}"
    );
    let behind = out.end..run.end;
    if out.start == run.start {
        run.start = out.end;
        return None;
    }
    run.end = out.start;
    Some(behind).filter(|rest| !rest.is_empty())
}
