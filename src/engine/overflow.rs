//! The queue for `--shed-to`: it is fed by what the consumer's queue forgets, and a file is its endpoint.
//!
//! It must never hold the flow up: what is too much for it is lost, counted, and said by whoever asks. The
//! bytes stay where they are; being owed to this queue is what keeps them there.
//!
//! Invariant: only whole records are queued, but for the last one of a stream. A record that is dropped
//! while it still comes waits beside the queue until it is complete, for others may be dropped meanwhile; one that is too
//! long for that is lost.

use std::ops::Range;
use std::time::Instant;

use super::action::{Action, Actor, For, OVERFLOW, Obligation, Outcome, Permit, Reason, Write};
use super::limiter::Allowance;
use super::plan::Plan;
use super::record::Cursor;
use super::state::Engine;

/// Bytes that may wait for the file, beside as many as the buffer has room for, before more are refused.
pub(super) const MOST: u64 = 8 << 20;
/// Bytes written at a time, at most, unless a record is longer.
const PIECE: u64 = 1 << 20;

impl Engine {
    /// Asks for what is dropped to be kept for a file.
    pub(crate) fn open_overflow(&mut self) {
        self.overflow.is_wanted = true;
    }

    /// Bytes that were lost to the file since the last call.
    pub(crate) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.overflow.lost)
    }

    /// Whether a record that was dropped while it still came was too long to be kept, since the last call.
    pub(crate) fn take_too_long(&mut self) -> bool {
        std::mem::take(&mut self.overflow.was_too_long)
    }

    pub(super) fn plan_overflow(&self, now: Instant) -> Plan {
        if let Some(plan) = self.plan_fetch(OVERFLOW, None, now) {
            return plan;
        }
        let queue = &self.outputs[OVERFLOW].queue;
        let first = queue.first();
        if first.is_some_and(|run| run.start < self.log.readable()) {
            return Plan::Write;
        }
        if first.is_none() && self.overflow.is_closing && self.overflow.unfinished.is_none() {
            return Plan::End(Reason::Over);
        }
        Plan::wait(For::Data, None)
    }

    /// Nothing more will be dropped: a record that has not ended never will.
    pub(crate) fn close_overflow(&mut self, now: std::time::Instant) {
        self.overflow.is_closing = true;
        self.overflow_finish();
        self.update(now);
    }

    /// Whether the file does not have all that is kept for it.
    pub(crate) fn is_overflow_pending(&self) -> bool {
        self.outputs[OVERFLOW].queue.owed() > 0
    }

    pub(super) fn begin_overflow(&mut self) -> Action {
        let output = &mut self.outputs[OVERFLOW];
        let run = output.queue.first().cloned().unwrap_or_default();
        let all = run.end.min(self.log.here_to(run.start));
        let most = all.min(run.start + PIECE);
        let whole = self.log.last_boundary(run.start, most);
        let whole = whole.or_else(|| self.log.next_boundary(run.start, all));
        let end = match self.framing {
            None => most,
            Some(_) => whole.unwrap_or(all),
        };
        let is_part = self.framing.is_some() && whole.is_none();
        let begun = std::mem::replace(&mut self.overflow.begun, is_part.then_some(end));
        let claim = output.queue.begin_claim(end - run.start);
        let place = self.outlives().then_some(claim.start);
        let permit = Permit {
            allowance: Allowance::ALL,
            cursor: Cursor::new(None),
        };
        let mut state = self.outputs[OVERFLOW].write.take().unwrap_or_default();
        state.parts.extend(self.log.parts(claim));
        (state.permit, state.place) = (permit, place);
        state.begins_record = begun != Some(run.start);
        let obligation = Obligation::new(Actor::Output(OVERFLOW));
        Action::Write(Write { state, obligation })
    }

    /// What the file has taken is done with, and what it has refused is, too.
    pub(super) fn end_overflow(&mut self, outcome: Outcome) {
        let queue = &mut self.outputs[OVERFLOW].queue;
        let all = queue.claimed();
        let done = queue.end_claim(all);
        let _ = outcome;
        self.overflow.is_full = false;
        self.log.unpin(&done);
    }

    /// These whole records are dropped, all at once: all of them are kept, or none. A rule that has changed, or time, may
    /// drop all that the buffer held, in many pieces, before the file can take any of it: that it has not is no sign of a
    /// slow one, and nothing is held that was not held before. Where some were too much, the next ones are, too, until
    /// the file has taken something: single records out of many would each keep all the memory that they lie in.
    pub(super) fn overflow_whole(&mut self, run: &Range<u64>) {
        if !self.overflow.is_wanted || run.is_empty() {
            return;
        }
        let n = run.end - run.start;
        // What is dropped has left the consumer's queue before it comes here.
        let most = self.overflow_room();
        let queue = &mut self.outputs[OVERFLOW].queue;
        let is_too_much = self.overflow.is_full || queue.owed() + n > most;
        if queue.owed() > 0 && is_too_much {
            self.overflow.lost += n;
            self.overflow.is_full = true;
        } else {
            self.overflow.is_full = false;
            queue.push(run.clone());
            self.log.pin(run);
        }
    }

    /// This is dropped, too, and goes on with the record in progress.
    pub(super) fn overflow_part(&mut self, run: &Range<u64>) {
        if !self.overflow.is_wanted || run.is_empty() {
            return;
        }
        let overflow = &mut self.overflow;
        let begun = overflow.unfinished.take().unwrap_or(run.start..run.start);
        let is_next = begun.end == run.start;
        let length = begun.end - begun.start + run.end - run.start;
        if overflow.is_refusing || !is_next || length > MOST {
            overflow.was_too_long |= length > MOST;
            overflow.is_refusing = true;
            overflow.lost += length;
            self.log.unpin(&begun);
        } else {
            overflow.unfinished = Some(begun.start..run.end);
            self.log.pin(run);
        }
    }

    /// The record in progress is complete.
    pub(super) fn overflow_finish(&mut self) {
        self.overflow.is_refusing = false;
        if let Some(run) = self.overflow.unfinished.take() {
            self.overflow_whole(&run);
            self.log.unpin(&run);
        }
    }

    /// Bytes that may wait for the file in memory: what is not held, and a few.
    fn overflow_room(&self) -> u64 {
        (self.capacity as u64 + MOST).saturating_sub(self.used() as u64)
    }

    /// More was read: what waits for the file beyond what may always wait is lost where the buffer needs its room, the
    /// oldest first.
    pub(super) fn bound_overflow(&mut self) {
        if self.outputs[OVERFLOW].queue.owed() <= MOST || self.goes_to_disk() {
            return;
        }
        let most = self.overflow_room().max(MOST);
        while let Some(excess) = self.outputs[OVERFLOW]
            .queue
            .owed()
            .checked_sub(most)
            .filter(|n| *n > 0)
            && let Some(run) = self.outputs[OVERFLOW].queue.first().cloned()
        {
            let least = (run.start + excess).min(run.end);
            let whole = self.framing.map(|_| {
                let end = self.log.next_boundary(least - 1, run.end);
                end.unwrap_or(run.end)
            });
            let n = whole.unwrap_or(least) - run.start;
            if let Some(lost) = self.outputs[OVERFLOW].queue.pop_front(n) {
                self.lose_for_file(&lost);
            }
        }
    }

    /// This has come off the queue, and the file will never have it.
    pub(super) fn lose_for_file(&mut self, run: &Range<u64>) {
        self.log.unpin(run);
        self.overflow.lost += run.end - run.start;
    }

    /// Memory is short: what waits for the file is lost. Says whether there was anything.
    pub(super) fn lose_overflow(&mut self) -> bool {
        if !self.overflow.is_wanted {
            return false;
        }
        let before = self.overflow.lost;
        while let Some(run) = self.outputs[OVERFLOW].queue.pop_front(u64::MAX) {
            self.lose_for_file(&run);
        }
        self.overflow.lost > before
    }
}
