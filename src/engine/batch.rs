//! Batches: what a program is given as a complete file, once for each try, until it has acknowledged it.
//!
//! A batch is closed by the first of its limits that is reached. From then on it is a fixed set of places in the log,
//! which stay pinned until it has been acknowledged, or shed because it was tried too often or can never succeed; so
//! each try gets the same bytes, under the same number.
//!
//! Invariants: no place is in two batches, nor in a batch and in the consumer's queue; `held` is the length of all
//! batches.

use std::collections::VecDeque;
use std::num::{NonZeroU32, NonZeroU64};
use std::ops::Range;
use std::time::{Duration, Instant};

use super::breaker::SharedBreaker;
use super::plan::Sleeper;
use super::scaler::{Scaler, Scaling};
use super::stall::{StallDetector, Timeouts};
use super::stats::{Stopwatch, Total};
use super::ticket::Stretch;

/// When a batch is closed, and what becomes of one that fails; checked by whoever makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchRules {
    /// It has so many records.
    pub records: Option<NonZeroU64>,
    /// Another record would make it longer than so many bytes.
    pub bytes: Option<NonZeroU64>,
    /// Its first record has waited for so long.
    pub age: Option<Duration>,
    /// How many programs run at a time.
    pub jobs: Scaling,
    /// The shortest and the longest wait after a failure.
    pub backoff: (Duration, Duration),
    /// After how many failures in a row a batch is shed.
    pub give_up: Option<NonZeroU32>,
    /// What makes waits differ.
    pub chance: u64,
}

/// What became of the batches so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// How many were acknowledged.
    pub acknowledged: u64,
    /// How often one was tried again, and what was in these.
    pub retried: (u64, Total),
    /// How many were shed, for they were tried too often or rejected, and what was in them.
    pub shed: (u64, Total),
    /// Programs that run.
    pub running: usize,
}

/// One batch.
#[derive(Debug)]
pub(super) struct Batch {
    pub number: u64,
    /// Where it lies.
    pub runs: Vec<Range<u64>>,
    pub total: Total,
    /// The number of its first record.
    pub first: u64,
    /// How often it was tried.
    pub tries: u32,
    /// Those of them that the end of an earlier run has cut short: they say nothing of it.
    pub interrupted: u32,
    /// How often in a row no program could be run with it: these are no tries.
    pub not_run: u32,
    /// How much of it is in its file.
    pub filled: u64,
    /// Its last record has no end, and is in its total all the same.
    pub counts_last: bool,
    /// Which part of the stream that is, with what was lost in it.
    pub stretch: Stretch,
    /// When it may be tried again.
    pub due: Option<Instant>,
}

impl Batch {
    /// Bytes and records that a program is given with it; one that goes on in the next batch is one, too.
    pub(super) fn handed_out(&self) -> (usize, u64) {
        let bytes = usize::try_from(self.total.bytes).unwrap_or(usize::MAX);
        let is_one_more = self.stretch.is_open && !self.counts_last;
        (bytes, self.total.records + u64::from(is_one_more))
    }

    /// How many of its tries have failed, if the last one has.
    pub(super) fn failures(&self) -> u32 {
        self.tries.saturating_sub(self.interrupted).max(1)
    }

    /// No program was run, so this was no try of it.
    pub(super) fn take_try_back(&mut self) {
        self.tries = self.tries.saturating_sub(1);
        self.not_run = self.not_run.saturating_add(1);
    }

    /// How often it has failed, or could not be tried: so long are the waits.
    pub(super) fn attempts(&self) -> u32 {
        let failed = self.tries.saturating_sub(self.interrupted);
        failed.saturating_add(self.not_run)
    }

    /// The places of what is not in its file yet, as far as they lie in one run.
    pub(super) fn rest(&self) -> Range<u64> {
        let mut skip = self.filled;
        for run in &self.runs {
            let length = run.end - run.start;
            if skip < length {
                return run.start + skip..run.end;
            }
            skip -= length;
        }
        0..0
    }

    /// These bytes, which are not in its file, are lost, as far as they are in it; which places that are.
    pub(super) fn lose(&mut self, lost: &Range<u64>) -> Vec<Range<u64>> {
        let mut gone = Vec::new();
        let overlaps = |run: &Range<u64>| run.start < lost.end && lost.start < run.end;
        for run in std::mem::take(&mut self.runs) {
            if !overlaps(&run) {
                self.runs.push(run);
                continue;
            }
            let cut = run.start.max(lost.start)..run.end.min(lost.end);
            let parts = [run.start..cut.start, cut.end..run.end];
            self.runs
                .extend(parts.into_iter().filter(|it| !it.is_empty()));
            self.total.bytes -= cut.end - cut.start;
            gone.push(cut);
        }
        gone
    }
}

/// What a job is about.
#[derive(Debug, Default)]
pub(super) enum Stage {
    /// It has no batch.
    #[default]
    Idle,
    /// Its batch is being written to its file.
    Filling(Batch),
    /// That is complete, and no program runs.
    Ready(Batch),
    /// One does.
    Running(Batch),
}

impl Stage {
    pub(super) fn batch(&self) -> Option<&Batch> {
        match self {
            Stage::Idle => None,
            Stage::Filling(batch) | Stage::Ready(batch) | Stage::Running(batch) => Some(batch),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self, Stage::Running(_))
    }
}

/// One who runs programs, one at a time.
#[derive(Debug)]
pub(super) struct Job {
    pub sleeper: Sleeper,
    pub stage: Stage,
    /// There was no memory to read back into: when to try again.
    pub fetch_again: Option<Instant>,
    /// How long the program has been running.
    pub running: Stopwatch,
    /// Whether that is too long.
    pub watchdog: StallDetector,
}

/// How far the next batch has come, by the number of its records.
#[derive(Debug, Default)]
pub(super) struct Forming {
    /// What this is true for: the head of the queue, and what was shed so far.
    pub key: (u64, u64),
    /// Up to where records have been counted, and how many there are.
    pub to: u64,
    pub records: u64,
    /// It has all that it is to have: behind this place, or in the extent at this one, which is on the disk.
    pub full: Option<Result<u64, u64>>,
}

/// So many extents that were read back to find out where a batch ends are kept until that is known.
const LOOKED_AT_MOST: usize = 4;

/// All jobs, and what they have in common.
#[derive(Debug)]
pub(super) struct Jobs {
    pub rules: BatchRules,
    pub list: Vec<Job>,
    pub breaker: SharedBreaker,
    pub scaler: Scaler,
    pub forming: Forming,
    /// Places that were read back for it last.
    pub looked_at: VecDeque<u64>,
    /// Bytes in batches.
    pub held: u64,
    /// Batches so far, and records in them.
    pub last: u64,
    pub records: u64,
    /// Up to where the stream is in batches, and how far inside of a record that is.
    pub taken_to: (u64, u64),
    /// Batches that an earlier run has left.
    pub left: VecDeque<Batch>,
    /// Nothing is started any more.
    pub is_over: bool,
    pub counts: Counts,
}

impl Jobs {
    pub(super) fn new(rules: BatchRules, timeouts: Timeouts, now: Instant) -> Jobs {
        let sink = timeouts.sink;
        let job = || Job {
            sleeper: Sleeper::default(),
            stage: Stage::Idle,
            fetch_again: None,
            running: Stopwatch::default(),
            watchdog: StallDetector::new(Timeouts { source: None, sink }),
        };
        Jobs {
            rules,
            list: std::iter::repeat_with(job).take(rules.jobs.most).collect(),
            breaker: SharedBreaker::new(rules.backoff, rules.chance),
            scaler: Scaler::new(rules.jobs, now),
            forming: Forming::default(),
            looked_at: VecDeque::new(),
            held: 0,
            last: 0,
            records: 0,
            taken_to: (0, 0),
            left: VecDeque::new(),
            is_over: false,
            counts: Counts::default(),
        }
    }

    /// Nothing is started any more; this batch stays where it is.
    pub(super) fn stop_with(&mut self, j: usize, batch: Batch) {
        self.is_over = true;
        self.list[j].stage = Stage::Ready(batch);
    }

    /// How many have a batch.
    pub(super) fn busy(&self) -> usize {
        let has_one = |job: &&Job| !matches!(job.stage, Stage::Idle);
        self.list.iter().filter(has_one).count()
    }

    /// Whether this one, which has no batch, may take one. `Err`: whether it is the next, if there is one more.
    pub(super) fn may_take(&self, j: usize) -> Result<(), bool> {
        let is_idle = |job: &&Job| matches!(job.stage, Stage::Idle);
        let before = self.list[..j].iter().filter(is_idle).count();
        let free = self.scaler.count().saturating_sub(self.busy());
        match before < free {
            true => Ok(()),
            false => Err(before == free),
        }
    }

    /// The places that are next to go to files.
    pub(super) fn heads(&self) -> impl Iterator<Item = Range<u64>> {
        let filling = self.list.iter().filter_map(|job| match &job.stage {
            Stage::Filling(batch) => Some(batch.rest()),
            _ => None,
        });
        let places = filling
            .map(|rest| rest.start)
            .chain(self.looked_at.iter().copied());
        places.map(|place| place..place + 1)
    }

    /// This place is read back for this job.
    pub(super) fn on_fetch(&mut self, j: usize, place: u64) {
        if matches!(self.list[j].stage, Stage::Idle) {
            self.looked_at.push_back(place);
            if self.looked_at.len() > LOOKED_AT_MOST {
                self.looked_at.pop_front();
            }
        }
    }

    /// Whether the next batch needs to know what lies inside of these places: they were read back to find out where it
    /// ends, which would begin anew, or its records are counted up to there.
    pub(super) fn is_looking_in(&self, places: &Range<u64>) -> bool {
        let to = self.forming.to;
        let was_looked_at = self.looked_at.iter().any(|at| places.start < *at);
        was_looked_at || places.start < to && to < places.end
    }

    /// All batches.
    pub(super) fn batches(&self) -> impl Iterator<Item = &Batch> + Clone {
        let batches = self.list.iter().filter_map(|job| job.stage.batch());
        batches.chain(&self.left)
    }

    /// All that is in batches.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Range<u64>> {
        self.batches().flat_map(|batch| &batch.runs)
    }

    /// The first place that is in a batch.
    pub(super) fn first_place(&self) -> Option<u64> {
        let first = self.batches().flat_map(|it| it.runs.first());
        first.map(|run| run.start).min()
    }
}
