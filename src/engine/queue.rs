//! What one output is still owed: runs of places in the log, in the order in which it gets them.
//!
//! A claim takes places off the head while somebody writes them out; what was not written is given back to
//! the head. So what is claimed is never dropped, and what is dropped was never claimed, because it is
//! in one place only.
//!
//! Invariants: the runs are not empty, and `owed` is their length and that of the claim. Who drops takes care
//! that a run behind another one begins with a record.

use std::collections::VecDeque;
use std::ops::Range;

use super::runs::Runs;

/// Bytes that a run takes beside others, about: itself, and maybe where its bytes were moved to.
const RUN_BOOKS: u64 = 48;

/// The queue of one output. Pinning in the log is its owner's business.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    runs: Runs,
    /// Bytes in the runs.
    queued: u64,
    /// Runs of it, too, as a rule one.
    claim: VecDeque<Range<u64>>,
    /// Bytes in these.
    claimed: u64,
}

fn length(run: &Range<u64>) -> u64 {
    run.end - run.start
}

impl Queue {
    /// Bytes owed, those that are claimed included.
    #[must_use]
    pub(crate) fn owed(&self) -> u64 {
        self.queued + self.claimed
    }

    /// Bytes that the books of its runs take, about.
    #[must_use]
    pub(crate) fn books(&self) -> u64 {
        self.runs.len() as u64 * RUN_BOOKS
    }

    /// Bytes that nobody has claimed.
    #[must_use]
    pub(crate) fn queued(&self) -> u64 {
        self.queued
    }

    /// Bytes that are claimed.
    #[must_use]
    pub(crate) fn claimed(&self) -> u64 {
        self.claimed
    }

    /// What is claimed, or the first run of it.
    #[must_use]
    pub(crate) fn claim(&self) -> Option<&Range<u64>> {
        self.claim.front()
    }

    /// All that is claimed.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &Range<u64>> {
        self.claim.iter()
    }

    /// The places that are next.
    #[must_use]
    pub(crate) fn first(&self) -> Option<&Range<u64>> {
        self.runs.first()
    }

    /// The places that are last.
    #[must_use]
    pub(crate) fn last(&self) -> Option<&Range<u64>> {
        self.runs.last()
    }

    /// The last stretch that is owed without a gap, what is claimed included.
    pub(crate) fn tail(&self) -> Option<Range<u64>> {
        let claim = self.claim.back();
        let Some(last) = self.runs.last() else {
            return claim.cloned();
        };
        let is_first = self.runs.first() == Some(last);
        let before = claim.filter(|claim| is_first && claim.end == last.start);
        Some(before.map_or(last.start, |claim| claim.start)..last.end)
    }

    /// All runs that nobody has claimed.
    pub(crate) fn runs(&self) -> impl DoubleEndedIterator<Item = &Range<u64>> {
        self.runs.iter()
    }

    /// The runs that nobody has claimed that reach into this range.
    pub(crate) fn over(&self, range: &Range<u64>) -> impl Iterator<Item = &Range<u64>> {
        self.runs.over(range)
    }

    /// These are owed, too.
    pub(crate) fn push(&mut self, run: Range<u64>) {
        if run.is_empty() {
            return;
        }
        self.queued += length(&run);
        self.runs.push_back(run);
    }

    /// These, which are before all others, are owed again.
    pub(crate) fn give_back(&mut self, run: Range<u64>) {
        if !run.is_empty() {
            self.queued += length(&run);
            self.runs.push_front(run);
        }
    }

    /// These, wherever they belong among the others, are owed again.
    pub(crate) fn insert(&mut self, run: Range<u64>) {
        let mut before = Vec::new();
        while let Some(first) = self.runs.first().filter(|first| first.start < run.start) {
            let n = length(first);
            before.extend(self.runs.pop_front(n));
        }
        if !run.is_empty() {
            self.queued += length(&run);
            self.runs.push_front(run);
        }
        for run in before.into_iter().rev() {
            self.runs.push_front(run);
        }
    }

    /// Claims the first `n` places, or as many as lie in one run.
    ///
    /// # Panics
    /// When something is claimed already, or there is nothing.
    pub(crate) fn begin_claim(&mut self, n: u64) -> Range<u64> {
        assert!(self.claim.is_empty(), "claimed twice");
        let run = self
            .pop_front(n)
            .unwrap_or_else(|| unreachable!("nothing to claim"));
        self.claimed += length(&run);
        self.claim.push_back(run.clone());
        run
    }

    /// Claims the next `n` places, too, or as many as lie in one run.
    pub(crate) fn extend_claim(&mut self, n: u64) -> Option<Range<u64>> {
        let run = self.pop_front(n)?;
        self.claimed += length(&run);
        match self.claim.back_mut() {
            Some(last) if last.end == run.start => last.end = run.end,
            _ => self.claim.push_back(run.clone()),
        }
        Some(run)
    }

    /// Of the claim the first `n` bytes were delivered: returns the places, or as many as lie in one run.
    pub(crate) fn deliver(&mut self, n: u64) -> Option<Range<u64>> {
        let first = self.claim.front_mut().filter(|_| n > 0)?;
        let done = first.start..first.end.min(first.start + n);
        first.start = done.end;
        self.claimed -= length(&done);
        if first.is_empty() {
            self.claim.pop_front();
        }
        Some(done)
    }

    /// What is left of the claim is owed as before.
    pub(crate) fn give_back_claim(&mut self) {
        while let Some(run) = self.claim.pop_back() {
            self.claimed -= length(&run);
            self.give_back(run);
        }
    }

    /// Ends a claim of one run: its first `n` bytes were delivered, and the others are owed as before. Returns the
    /// places that were delivered.
    ///
    /// # Panics
    /// When nothing is claimed, or less.
    pub(crate) fn end_claim(&mut self, n: u64) -> Range<u64> {
        let claim = self
            .claim
            .pop_front()
            .unwrap_or_else(|| unreachable!("nothing is claimed"));
        self.claimed -= length(&claim);
        let done = claim.start..claim.start + n;
        assert!(done.end <= claim.end, "more was delivered than was claimed");
        self.give_back(done.end..claim.end);
        done
    }

    /// Takes the first `n` places off the queue, or as many as lie in one run.
    pub(crate) fn pop_front(&mut self, n: u64) -> Option<Range<u64>> {
        let run = self.runs.pop_front(n)?;
        self.queued -= length(&run);
        Some(run)
    }

    /// Takes these places off the queue, which lie in one run.
    pub(crate) fn remove(&mut self, run: &Range<u64>) {
        if !run.is_empty() {
            self.remove_all(std::slice::from_ref(run));
        }
    }

    /// Takes these places off the queue, in order, each range of which lies in one run and is not empty.
    pub(crate) fn remove_all(&mut self, runs: &[Range<u64>]) {
        self.runs.remove_all(runs);
        self.queued -= runs.iter().map(length).sum::<u64>();
    }

    /// Takes the last `n` places off the queue, or as many as lie in its last run.
    pub(crate) fn pop_back(&mut self, n: u64) -> Option<Range<u64>> {
        let run = self.runs.pop_back(n)?;
        self.queued -= length(&run);
        Some(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The places that are owed, one by one.
    fn places(queue: &Queue) -> Vec<u64> {
        let claim = queue.claims().cloned();
        claim.chain(queue.runs().cloned()).flatten().collect()
    }

    proptest! {
        #[test]
        fn it_is_what_a_list_of_places_would_be(
            steps in prop::collection::vec((0u8..9, 0u64..20, 1u64..20), 1..300),
        ) {
            let (mut queue, mut list, mut claimed) = (Queue::default(), VecDeque::new(), 0usize);
            let mut end = 0;
            for (what, a, n) in steps {
                let queued = list.len() - claimed;
                match what {
                    0 | 1 => {
                        let from = end + a % 2;
                        end = from + 5 * n;
                        queue.push(from..end);
                        list.extend(from..end);
                    }
                    2 if queued > 0 && claimed == 0 => {
                        claimed = queue.begin_claim(n).count();
                        claimed += queue.extend_claim(a).map_or(0, Iterator::count);
                    }
                    3 if queue.claim().is_some() => {
                        let n = a.min(claimed as u64);
                        let mut done = Vec::new();
                        while let Some(run) = queue.deliver(n - done.len() as u64) {
                            done.extend(run);
                        }
                        queue.give_back_claim();
                        let wanted: Vec<_> = list.drain(..n as usize).collect();
                        prop_assert_eq!(done, wanted);
                        claimed = 0;
                    }
                    4 | 6.. if queued > 0 => {
                        // A few places behind the head, or before the end.
                        let skip = (a as usize * 31 + n as usize * 7) % queued;
                        let from = list[claimed + skip];
                        let run = queue.runs().find(|run| run.contains(&from));
                        let run = run.cloned().expect("it is queued");
                        let out = from..run.end.min(from + n);
                        queue.remove(&out);
                        list.retain(|place| !out.contains(place));
                    }
                    5 if queued > 0 => {
                        let out: Vec<u64> = queue.pop_back(n).into_iter().flatten().collect();
                        let from = list.len() - out.len();
                        let wanted: Vec<_> = list.drain(from..).collect();
                        prop_assert_eq!(out, wanted);
                    }
                    _ => {}
                }
                prop_assert_eq!(places(&queue), Vec::from(list.clone()));
                prop_assert_eq!(queue.owed(), list.len() as u64);
                prop_assert_eq!(queue.claimed(), claimed as u64);
                prop_assert!(queue.runs().all(|run| !run.is_empty()));
                prop_assert_eq!(queue.books(), queue.runs().count() as u64 * RUN_BOOKS);
                prop_assert_eq!(queue.first().map(|run| run.start), list.get(claimed).copied());
                prop_assert_eq!(queue.last().map(|run| run.end - 1), list.iter().skip(claimed).next_back().copied());
            }
        }
    }
}
