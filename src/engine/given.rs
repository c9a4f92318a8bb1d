//! What was given to a consumer that may have to be replaced by another one, and may lie unread in its pipe.
//!
//! It stays pinned until it is known to have been read, by whole records: so giving it back is setting the queue's
//! place, and nothing is copied. The record that the consumer has begun to read is given back whole.
//!
//! Invariants: the runs are the last that were taken off the queue, in order; the first begins with a record, unless
//! one record alone is more than may be kept; `bytes` is their length, and they are pinned.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::log::Log;
use super::stats::Total;
use super::unread::Unread;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Given {
    /// Whether anything is kept.
    pub(super) is_kept: bool,
    /// Nobody is there to be given anything.
    pub(super) is_down: bool,
    /// That is since it has closed its standard input: it lives on.
    pub(super) is_deaf: bool,
    /// Nobody comes in its place, and tees alone are given anything.
    pub(super) is_over: bool,
    /// What lies in its pipe.
    pub(super) unread: Unread,
    /// For how long it has lain there, which is too long, and nobody was told yet.
    pub(super) stalled: Option<Duration>,
    runs: VecDeque<Range<u64>>,
    bytes: u64,
    /// What was taken back.
    pub(super) taken_back: Total,
    /// What of that was given once more, because it had been begun.
    pub(super) repeated: Total,
    /// What will be when something is given again.
    pub(super) begun: u64,
}

impl Given {
    /// Nothing yet; `is_kept`: whether anything is to be kept.
    pub(super) fn new(is_kept: bool, now: Instant) -> Given {
        Given {
            is_kept,
            is_down: false,
            is_deaf: false,
            is_over: false,
            unread: Unread::new(now),
            stalled: None,
            runs: VecDeque::new(),
            bytes: 0,
            taken_back: Total::default(),
            repeated: Total::default(),
            begun: 0,
        }
    }

    /// Bytes that are kept.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where they are.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Range<u64>> {
        self.runs.iter()
    }

    pub(super) fn push(&mut self, run: Range<u64>) {
        self.bytes += run.end - run.start;
        let begun = std::mem::take(&mut self.begun);
        self.repeated.bytes += begun;
        self.repeated.records += u64::from(begun > 0);
        match self.runs.back_mut() {
            Some(last) if last.end == run.start => last.end = run.end,
            _ => self.runs.push_back(run),
        }
    }

    /// The place behind the last of them.
    pub(super) fn end(&self) -> Option<u64> {
        self.runs.back().map(|run| run.end)
    }

    /// Takes the last of the runs back.
    pub(super) fn pop_back(&mut self) -> Option<Range<u64>> {
        let run = self.runs.pop_back()?;
        self.bytes -= run.end - run.start;
        Some(run)
    }

    /// Takes up to `n` bytes off the front, which have been read and dealt with.
    pub(super) fn pop(&mut self, n: u64) -> Option<Range<u64>> {
        let first = self.runs.front_mut()?;
        let run = first.start..(first.start + n).min(first.end);
        first.start = run.end;
        if first.is_empty() {
            self.runs.pop_front();
        }
        self.bytes -= run.end - run.start;
        Some(run)
    }

    /// Of the bytes at the front of which so many have been read, those that are whole records.
    pub(super) fn whole(&self, read: u64, log: &Log) -> u64 {
        let Some(first) = self.runs.front() else {
            return 0;
        };
        let to = first.end.min(first.start + read);
        if !log.has_records() {
            return to - first.start;
        }
        let end = log.last_boundary(first.start, to);
        end.map_or(0, |end| end - first.start)
    }
}
