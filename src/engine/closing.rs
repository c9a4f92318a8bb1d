//! When a batch is closed: as soon as it has its records or its bytes, its first record has waited for long enough,
//! or nothing more can come.
//!
//! Invariant: where there are records, a batch is whole ones, but for the last of a stream, and for one that alone fills
//! all the room there is, which passes in pieces. What others have yet to give back is room.

use std::ops::Range;
use std::time::Instant;

use super::action::{CONSUMER, For, OVERFLOW};
use super::batch::Forming;
use super::on_disk::Nth;
use super::plan::{Plan, earlier};
use super::state::Engine;

/// Whether there is a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// There is one, up to this place.
    At(u64),
    /// Where it ends is in the extent at this place, which has to be read back from the disk.
    Away(u64),
    /// Not before then, if nothing more comes.
    Later(Option<Instant>),
}

impl Engine {
    /// Counts what has come for the next batch, as far as that is asked for.
    pub(super) fn form_batch(&mut self) {
        let Some(jobs) = &mut self.jobs else { return };
        let Some(limit) = jobs.rules.records else {
            return;
        };
        let queue = &self.outputs[CONSUMER].queue;
        let forming = &mut jobs.forming;
        let Some(head) = queue.first().map(|run| run.start) else {
            *forming = Forming::default();
            return;
        };
        let key = (head, self.stats.shed.bytes);
        if forming.key != key {
            (forming.key, forming.to) = (key, head);
            (forming.records, forming.full) = (0, None);
        }
        if matches!(forming.full, Some(Ok(_))) {
            return;
        }
        forming.full = None;
        let readable = self.log.readable();
        // What lies on the disk last may still grow, and can be counted from its beginning only.
        let on_disk = self.log.on_disk() > 0 && self.log.disk_to() >= readable;
        let firm = if on_disk {
            self.log.last_extent()
        } else {
            readable
        };
        let mut loose = 0;
        for run in queue.runs() {
            let rest = run.start.max(forming.to)..run.end.min(readable);
            let cut = firm.clamp(rest.start, rest.end.max(rest.start));
            for part in [rest.start..cut, cut..rest.end] {
                if part.is_empty() || forming.full.is_some() {
                    continue;
                }
                match self
                    .log
                    .nth_end(&part, limit.get() - forming.records - loose)
                {
                    Nth::Only(n) if part.start < firm => {
                        forming.records += n;
                        forming.to = part.end;
                    }
                    Nth::Only(n) => loose += n,
                    Nth::At(end) => forming.full = Some(Ok(end)),
                    Nth::Away(at) => forming.full = Some(Err(at)),
                }
            }
            if forming.full.is_some() {
                return;
            }
        }
    }

    /// The runs at the head that can be looked at.
    fn ahead(&self) -> impl Iterator<Item = Range<u64>> {
        let readable = self.log.readable();
        let runs = self.outputs[CONSUMER].queue.runs();
        let runs = runs.map(move |run| run.start..run.end.min(readable));
        runs.take_while(|run| !run.is_empty())
    }

    /// Whether there is a batch now, whose records can be counted.
    pub(super) fn closing(&self, now: Instant) -> Closing {
        match self.end_of_batch(now) {
            Closing::At(end) if self.log.away(end - 1).is_some() => Closing::Away(end - 1),
            closing => closing,
        }
    }

    fn end_of_batch(&self, now: Instant) -> Closing {
        let Some(jobs) = &self.jobs else {
            return Closing::Later(None);
        };
        let by_bytes = self.full_by_bytes();
        let readable = self.log.readable();
        let by_records = jobs.forming.full;
        // What is being filled up can be looked at in a moment.
        let by_records = by_records.filter(|end| end.is_err() || *end <= Ok(readable));
        match (by_records, by_bytes) {
            (Some(Ok(a)), Some(Closing::At(b))) => return Closing::At(a.min(b)),
            (Some(Ok(a)), Some(Closing::Away(b))) if a <= b => return Closing::At(a),
            (Some(Err(a)), Some(Closing::At(b) | Closing::Away(b))) if a < b => {
                return Closing::Away(a);
            }
            (_, Some(full)) => return full,
            (Some(Ok(a)), None) => return Closing::At(a),
            (Some(Err(away)), None) => return Closing::Away(away),
            (None, None) => {}
        }
        let Some(end) = self.ahead().last().map(|run| run.end) else {
            return Closing::Later(None);
        };
        if self.is_last() {
            return Closing::At(end);
        }
        let whole = self.last_whole();
        if self.gate.is_closed() || self.has_no_place() || self.is_starved() {
            let piece = self.may_tear().then_some(end);
            return whole.or(piece).map_or(Closing::Later(None), Closing::At);
        }
        let due = self.first_due();
        match whole.filter(|_| due.is_some_and(|at| at <= now)) {
            Some(whole) => Closing::At(whole),
            None => Closing::Later(due),
        }
    }

    /// Whether the beginning of a record goes without its rest, which cannot come before: it is all that is held, and
    /// there was no room for more when it was all.
    fn may_tear(&self) -> bool {
        let has_begun = self.outputs[CONSUMER].cursor.is_inside();
        let is_starved = self.is_starved();
        let is_blocked = self.shedder.policy.is_none() || is_starved || has_begun;
        let has_no_place = self.has_surely_no_place();
        let is_full = is_starved || self.gate.is_closed() || has_no_place;
        let is_all = self.jobs.as_ref().is_some_and(|jobs| jobs.held == 0);
        let is_all = is_all && (is_starved || !self.others_make_room());
        is_blocked && is_full && is_all && !self.awaits_rest()
    }

    /// Whether somebody else has yet to give back what lies before all that is queued.
    pub(super) fn others_make_room(&self) -> bool {
        let Some(head) = self.outputs[CONSUMER].head() else {
            return false;
        };
        let is_filed = |file: u64| file < head && self.outlives();
        self.lags(head) || self.outputs[OVERFLOW].head().is_some_and(is_filed)
    }

    /// Whether there is nothing but the beginning of a record that fits: then who takes whole ones takes nothing until
    /// its rest is there, so that occupancy never falls to a low mark that is below it.
    pub(super) fn awaits_rest(&self) -> bool {
        let takes_whole = self.jobs.is_some() || self.workers.is_some();
        self.gate.is_closed()
            && takes_whole
            && self.in_batches() == 0
            && self.framing.is_some()
            && !self.outputs[CONSUMER].cursor.is_inside()
            && self.occupancy() < self.gate.marks().high
            && self.used() == self.occupancy()
            && self.last_whole().is_none()
    }

    /// The place behind the last whole record that can be looked at.
    pub(super) fn last_whole(&self) -> Option<u64> {
        let mut whole = None;
        for run in self.ahead() {
            whole = match self.framing {
                None => Some(run.end),
                Some(_) => self.log.last_boundary(run.start, run.end).or(whole),
            };
        }
        whole
    }

    /// When the first record will have waited for long enough.
    fn first_due(&self) -> Option<Instant> {
        let age = self.jobs.as_ref()?.rules.age?;
        let run = self.ahead().next()?;
        let first = match self.framing {
            None => run.start + 1,
            Some(_) => self.log.next_boundary(run.start, run.end)?,
        };
        self.timeline.arrival(first - 1)?.checked_add(age)
    }

    /// Bytes in a batch, at most.
    fn bytes_most(&self) -> u64 {
        let Some(jobs) = &self.jobs else {
            return u64::MAX;
        };
        let asked = jobs.rules.bytes.map_or(u64::MAX, |most| most.get());
        if self.is_fresh() {
            // What is in a batch is not shed; something has to be left that is.
            let half = self.gate.marks().high / 2 / jobs.list.len();
            return asked.min((half as u64).max(1));
        }
        asked
    }

    /// Where a batch ends for which another record would be too much, if there is so much.
    fn full_by_bytes(&self) -> Option<Closing> {
        let most = self.bytes_most();
        if most == u64::MAX {
            return None;
        }
        let (mut left, mut whole) = (most, None);
        for run in self.ahead() {
            let length = run.end - run.start;
            if length < left {
                left -= length;
                whole = self.log.last_boundary(run.start, run.end).or(whole);
                continue;
            }
            let limit = run.start + left;
            if self.framing.is_none() {
                return Some(Closing::At(limit));
            }
            if self.log.away(limit - 1).is_some() {
                return Some(Closing::Away(limit - 1));
            }
            let fits = self.log.last_boundary(run.start, limit).or(whole);
            // A record that is longer is a batch by itself.
            let end = fits.or_else(|| self.log.next_boundary(limit, run.end));
            return end.map(Closing::At);
        }
        None
    }

    /// What an idle job is to do about the next batch.
    pub(super) fn plan_batch(&self, j: usize, expiry: Option<Instant>, now: Instant) -> Plan {
        match self.closing(now) {
            Closing::At(end) => match self.plan_start(j, now) {
                Some(wait) => wait.or_sooner(expiry),
                None => Plan::Take(end),
            },
            Closing::Away(place) => self.plan_fetch_for(j, place, now).or_sooner(expiry),
            Closing::Later(_) if self.trim_at.is_some_and(|at| now >= at) => Plan::Trim,
            Closing::Later(due) => {
                Plan::wait(For::Data, earlier(due, earlier(self.trim_at, expiry)))
            }
        }
    }
}
