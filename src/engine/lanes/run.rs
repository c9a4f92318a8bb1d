//! Neighbours of one lane, which stand in the order as one, so that each further one costs little.
//!
//! Invariants: a run without records has left the order. The lengths of the records of a run of several stand one
//! behind the other; that of a record which is alone is its run's.

use std::collections::VecDeque;

use super::names::Lane;

/// Records in a run, at most.
pub(crate) const RUN_MOST: usize = u16::MAX as usize;
/// The bits that say which lane it is; the others say what there is to know besides.
const LANE: u16 = (1 << 14) - 1;
const KEPT: u16 = 1 << 14;
const GOING: u16 = 1 << 15;

/// A record that is held, or neighbours of one lane.
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

/// Which record of a lane goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The one that has been held longest.
    Oldest,
    /// The one that came last.
    Newest,
}

/// See the module's text. There may be as many as records, so it is small.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) at: u64,
    /// Bytes of all of it.
    pub(super) length: u64,
    /// Where the length of its first record stands, if there are several.
    first: u32,
    records: u16,
    about: u16,
}

impl Run {
    /// All of it as if it were one.
    pub(super) fn record(&self) -> Record {
        Record {
            at: self.at,
            length: self.length,
            lane: self.lane(),
            kept: self.is_kept(),
        }
    }

    pub(super) fn records(&self) -> usize {
        usize::from(self.records)
    }

    pub(super) fn lane(&self) -> Lane {
        Lane(u32::from(self.about & LANE))
    }

    pub(super) fn is_kept(&self) -> bool {
        self.about & KEPT != 0
    }

    /// All of it has left.
    pub(super) fn is_gone(&self) -> bool {
        self.records == 0
    }

    /// All of it is being taken out together with others.
    pub(super) fn is_going(&self) -> bool {
        self.about & GOING != 0
    }

    pub(super) fn set_going(&mut self) {
        self.about |= GOING;
    }

    pub(super) fn set_gone(&mut self) {
        self.records = 0;
        self.about &= !GOING;
    }

    /// Takes so many records off one end, whose length that is. They are a run, too.
    pub(super) fn split_off(&mut self, end: End, records: usize, length: u64) -> Run {
        let mut part = *self;
        part.records = records as u16;
        part.length = length;
        self.records -= part.records;
        self.length -= length;
        match end {
            End::Oldest => {
                self.at += length;
                self.first = self.first.wrapping_add(records as u32);
            }
            End::Newest => {
                part.at = self.at + self.length;
                part.first = self.first.wrapping_add(u32::from(self.records));
            }
        }
        part
    }
}

/// The lengths of records that are not alone in their runs.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    all: VecDeque<u32>,
    /// The place of the first of them, of which these bits tell one from another.
    begins: u32,
}

impl Lengths {
    fn end(&self) -> u32 {
        self.begins.wrapping_add(self.all.len() as u32)
    }

    /// A run of these records, with the length of each; `all`: all of them.
    pub(super) fn run_of(&mut self, all: Record, lengths: &[u32]) -> Run {
        let kept = if all.kept { KEPT } else { 0 };
        let first = self.end();
        if lengths.len() > 1 {
            self.all.extend(lengths);
        }
        Run {
            at: all.at,
            length: all.length,
            first,
            records: lengths.len() as u16,
            about: all.lane.0 as u16 | kept,
        }
    }

    /// Adds records to the last run, if they are its neighbours and of its kind.
    pub(super) fn extend(&mut self, run: &mut Run, all: Record, lengths: &[u32]) -> bool {
        let is_same = run.at + run.length == all.at
            && (run.lane(), run.is_kept()) == (all.lane, all.kept)
            && !run.is_gone()
            && run.records() + lengths.len() <= RUN_MOST;
        let fits = |length: u64, records: usize| records > 1 || u32::try_from(length).is_ok();
        if !is_same || !fits(run.length, run.records()) || !fits(all.length, lengths.len()) {
            return false;
        }
        if run.records == 1 {
            run.first = self.end();
            self.all.push_back(run.length as u32);
        } else if run.first.wrapping_add(u32::from(run.records)) != self.end() {
            // Between them stand those of others, which have gone.
            return false;
        }
        self.all.extend(lengths);
        run.length += all.length;
        run.records += lengths.len() as u16;
        true
    }

    /// The length of each record of a run, in order.
    pub(super) fn of(&self, run: &Run) -> impl DoubleEndedIterator<Item = u64> {
        let first = run.first.wrapping_sub(self.begins) as usize;
        let alone = (run.records == 1).then_some(run.length);
        let several = match run.records() {
            0 | 1 => self.all.range(0..0),
            n => self.all.range(first..first + n),
        };
        alone
            .into_iter()
            .chain(several.map(|length| u64::from(*length)))
    }

    /// How many records at one end of a run are together no longer than this, and how long they are.
    pub(super) fn within(&self, run: &Run, end: End, most: u64) -> (usize, u64) {
        let all = self.of(run);
        let (mut records, mut bytes) = (0, 0);
        let mut take = |length: u64| {
            let may = bytes + length <= most;
            if may {
                (records, bytes) = (records + 1, bytes + length);
            }
            may
        };
        match end {
            End::Oldest => all.take_while(|length| take(*length)).for_each(drop),
            End::Newest => all.rev().take_while(|length| take(*length)).for_each(drop),
        }
        (records, bytes)
    }

    /// The length of the record at one end of a run.
    pub(super) fn at_end(&self, run: &Run, end: End) -> u64 {
        let mut all = self.of(run);
        let length = match end {
            End::Oldest => all.next(),
            End::Newest => all.next_back(),
        };
        length.unwrap_or(0)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// `first` is the first run that is left.
    pub(super) fn forget_before(&mut self, first: Option<&Run>) {
        let gone = match first {
            None => self.all.len(),
            Some(run) if run.records > 1 => run.first.wrapping_sub(self.begins) as usize,
            Some(_) => 0,
        };
        if gone > 0 {
            self.all.drain(..gone);
            self.begins = self.begins.wrapping_add(gone as u32);
        }
    }

    /// Closes the gaps between those of these runs, which are all.
    pub(super) fn tidy<'a>(&mut self, runs: impl Iterator<Item = &'a mut Run>) {
        let before = std::mem::take(self);
        for run in runs.filter(|run| run.records > 1) {
            let first = self.end();
            let lengths = before.of(run).map(|length| length as u32);
            self.all.extend(lengths);
            run.first = first;
        }
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.all.capacity() * size_of::<u32>()
    }
}
