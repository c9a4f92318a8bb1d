//! The consumer's turn: what may be written, and what came of it.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::action::{
    Action, Actor, CONSUMER, For, Obligation, Outcome, PARTS_MOST, Permit, Reason, Write,
};
use super::output::Room;
use super::plan::{Plan, earlier};
use super::scan::Run;
use super::segment::{Part, SEGMENT_MAX};
use super::state::Engine;

/// How long memory that a flood has left behind is kept for the next flood.
pub(crate) const TRIM_AFTER: Duration = Duration::from_secs(1);
/// Bytes claimed at a time where freshness rules, at most: what is claimed is not shed.
const CLAIM_MOST: u64 = 64 * 1024;
/// Pieces written at a time where they lie scattered, at most.
const PARTS_MOST_SCATTERED: usize = 128;
/// How soon to try again when a pipe cannot be made smaller because it holds too much.
const AGAIN: Duration = Duration::from_millis(1);
/// The same for a consumer that does not move: what lies in its pipe keeps it busy for a while.
const AGAIN_MOST: Duration = Duration::from_millis(64);

impl Engine {
    /// What the consumer's end is like: `blocks`: a write may although it is not meant to; `pipe`: the size
    /// that its pipe is to have when freshness does not rule, if that is ours to choose, and whether it has.
    pub(crate) fn on_output_begin(
        &mut self,
        blocks: bool,
        pipe: Option<(usize, bool)>,
        now: Instant,
    ) {
        (self.given.is_down, self.given.is_deaf) = (false, false);
        let output = &mut self.outputs[CONSUMER];
        output.blocks = blocks;
        output.pipe.usual = pipe.map(|(size, _)| size);
        output.pipe.size = pipe.filter(|(_, has)| *has).map(|(size, _)| size);
        output.pipe.again = None;
        self.update(now);
    }

    /// Bytes that are owed to this output and can be looked at.
    pub(super) fn reachable(&self, i: usize) -> u64 {
        let queue = &self.outputs[i].queue;
        if queue.queued() == 0 {
            return 0;
        }
        let readable = self.log.readable();
        let lent = queue.runs().rev().take_while(|run| run.end > readable);
        queue.queued()
            - lent
                .map(|run| run.end - run.start.max(readable))
                .sum::<u64>()
    }

    /// Whether there are such.
    pub(super) fn reaches_any(&self, i: usize) -> bool {
        let first = self.outputs[i].queue.first();
        first.is_some_and(|run| run.start < self.log.readable())
    }

    pub(super) fn plan_consumer(&self, now: Instant) -> Plan {
        if self.halted || self.is_finished() || self.given.is_down {
            return Plan::End(Reason::Over);
        }
        let expiry = self.next_expiry();
        if expiry.is_some_and(|at| at <= now) {
            return Plan::Expire;
        }
        if self.has_consumer_all() {
            return self.trim_or_wait(For::Others, expiry, now);
        }
        if self.paused || self.is_filling() {
            return Plan::wait(For::Release, expiry);
        }
        let output = &self.outputs[CONSUMER];
        if !self.is_fresh()
            && let Some(usual) = output.pipe.usual
            && let Some(plan) = output.pipe.plan(usual, now)
        {
            // It was made small while freshness ruled.
            return plan;
        }
        if !self.reaches_any(CONSUMER) {
            return self.trim_or_wait(For::Data, expiry, now);
        }
        if let Some(plan) = self.plan_fetch(CONSUMER, expiry, now) {
            return plan;
        }
        if let Err(at) = self.output.peek(output.cursor.is_inside(), now) {
            return Plan::wait(For::Cap, earlier(expiry, Some(at)));
        }
        if self.is_fresh() {
            return self.plan_fresh_write(expiry, now);
        }
        match output.room {
            Room::None(again) if again.is_none_or(|at| now < at) => {
                Plan::wait(For::Room, earlier(expiry, again))
            }
            _ => Plan::Write,
        }
    }

    /// Nothing can be written: memory that is not needed goes when its time has come.
    fn trim_or_wait(&self, what: For, expiry: Option<Instant>, now: Instant) -> Plan {
        match self.trim_at {
            Some(at) if now >= at => Plan::Trim,
            at => Plan::wait(what, earlier(at, expiry)),
        }
    }

    /// Where freshness rules nothing is claimed before there is room for it.
    fn plan_fresh_write(&self, expiry: Option<Instant>, now: Instant) -> Plan {
        let output = &self.outputs[CONSUMER];
        if self.deliverable() == 0 {
            return Plan::wait(For::Data, expiry);
        }
        // The rest of a record that is half gone can only go as well.
        let is_torn = output.cursor.is_inside();
        if !is_torn && let Some(plan) = output.pipe.plan(self.fitting_pipe(), now) {
            return plan.or_sooner(expiry);
        }
        match output.room {
            Room::There => Plan::Write,
            Room::Unknown if is_torn => Plan::Write,
            Room::None(Some(again)) if now >= again => Plan::Write,
            Room::None(again) => Plan::wait(For::Room, earlier(expiry, again)),
            Room::Unknown => Plan::wait(For::Room, expiry),
        }
    }

    /// The pipe that fits what is written next, where freshness rules.
    fn fitting_pipe(&self) -> usize {
        let output = &self.outputs[CONSUMER];
        let usual = output.window.pipe(0);
        if self.framing.is_none() || self.deliverable() <= usual as u64 {
            return usual;
        }
        let Some(run) = output.queue.first() else {
            return usual;
        };
        let end = run.end.min(self.log.readable());
        let end = self.log.next_boundary(run.start, end).unwrap_or(end);
        output.window.pipe(end.saturating_sub(run.start))
    }

    pub(super) fn begin_write(&mut self, now: Instant) -> Action {
        let Some(permit) = self.permit(now) else {
            unreachable!("planned with a permit")
        };
        let n = if self.is_fresh() {
            self.fresh_claim(permit.allowance.bytes as u64)
        } else {
            self.claimable(CONSUMER).min(SEGMENT_MAX as u64)
        };
        let (n, place) = self.remembered(CONSUMER, n);
        let output = &mut self.outputs[CONSUMER];
        let claim = output.queue.begin_claim(n);
        let mut state = output.write.take().unwrap_or_default();
        let parts = self.log.parts(claim.clone()).take(PARTS_MOST);
        state.parts.extend(parts);
        let claim = self.claim_scattered(claim, permit, &mut state.parts);
        (state.permit, state.place) = (permit, place);
        state.looks = self.given.is_kept || self.is_fresh();
        let output = &mut self.outputs[CONSUMER];
        output.is_writing = true;
        output.is_cramped = false;
        output.claim_is_torn = !self.log.is_boundary(claim.end);
        let (n, more) = (output.queue.claimed() as usize, output.queue.queued() > 0);
        let is_bounded = state.parts.len() >= PARTS_MOST_SCATTERED;
        output.window.on_given(n, more, is_bounded);
        let obligation = Obligation::new(Actor::Output(CONSUMER));
        Action::Write(Write { state, obligation })
    }

    /// `unread`: bytes that lie in its pipe, where that matters and can be told.
    pub(super) fn end_write(&mut self, outcome: Outcome, unread: Option<u64>, now: Instant) {
        let again = self.watchdog.next_try(now);
        let output = &mut self.outputs[CONSUMER];
        output.is_writing = false;
        let run = match outcome {
            Outcome::Moved(run) => run,
            _ => Run::at(output.cursor),
        };
        output.window.on_moved(run.bytes, unread, now);
        let was_inside = output.cursor.is_inside();
        output.room = match outcome {
            Outcome::Full => Room::None(again),
            _ => Room::Unknown,
        };
        let (mut left, mut is_rest, mut done) = (run.bytes as u64, was_inside, None);
        while let Some(range) = self.outputs[CONSUMER].queue.deliver(left) {
            left -= range.end - range.start;
            // A record is as old as it was when it began to leave: its rest can only follow.
            let begun = if is_rest {
                self.log
                    .next_boundary(range.start, range.end)
                    .unwrap_or(range.end)
            } else {
                range.start
            };
            is_rest = false;
            self.timeline.deliver(&(begun..range.end), now);
            self.on_given(&range, unread.filter(|_| left == 0), now);
            done = Some(range.end);
        }
        let output = &mut self.outputs[CONSUMER];
        output.queue.give_back_claim();
        if let Some(lanes) = &mut output.lanes {
            lanes.on_delivered(done);
        }
        if run.bytes == 0 {
            return;
        }
        self.source.is_full = false;
        self.bypass.on_written(run.bytes);
        self.on_left(run, now);
        self.on_shrunk(now);
    }

    /// These have left for the consumer.
    pub(super) fn on_left(&mut self, run: Run, now: Instant) {
        let output = &mut self.outputs[CONSUMER];
        output.cursor = run.cursor;
        self.stats.on_written(now, run);
        self.output.on_passed(run.bytes, run.tally.begun, now);
        self.outputs[CONSUMER].taken += run.bytes as u64;
    }

    /// Less is owed to the consumer than before.
    pub(super) fn on_shrunk(&mut self, now: Instant) {
        let queue = &self.outputs[CONSUMER].queue;
        let head = queue.claim().or(queue.first()).map(|run| run.start);
        let batch = self.jobs.as_ref().and_then(|jobs| jobs.first_place());
        let hands = self.workers.as_ref().and_then(|it| it.first_place());
        let head = head.into_iter().chain(batch).chain(hands).min();
        self.timeline.forget_before(head.unwrap_or(self.log.end()));
        if self.used() == 0 {
            self.on_empty(now);
            self.plan_trim(now);
        }
    }

    /// Nobody who holds the flow up is owed anything, maybe: then bytes may pass around the log again.
    pub(super) fn on_empty(&mut self, now: Instant) {
        if self.occupancy() == 0 {
            self.bypass.on_empty(now);
        }
    }

    /// The consumer is owed nothing: memory that a flood has left behind is given back after a while.
    pub(super) fn plan_trim(&mut self, now: Instant) {
        let trim_at = self.trim_at.unwrap_or(now + TRIM_AFTER);
        self.trim_at = self.log.is_bloated().then_some(trim_at);
    }

    /// The consumer has been waited for; `ready`: it has room.
    pub(super) fn on_output_ready(&mut self, ready: bool, now: Instant) {
        let output = &mut self.outputs[CONSUMER];
        output.sleeper.asleep = None;
        if ready {
            output.window.on_room(now);
            output.room = Room::There;
        }
    }

    /// The pipe has this size now, or holds too much for another one.
    pub(super) fn on_fit(&mut self, actor: Actor, size: Option<usize>, now: Instant) {
        let pipe = match actor {
            Actor::Job(j) => &mut self.worker_mut(j).pipe,
            _ => &mut self.outputs[CONSUMER].pipe,
        };
        match size {
            Some(size) => (pipe.size, pipe.again) = (Some(size), None),
            None => {
                let before = pipe
                    .again
                    .map_or(AGAIN, |(_, time)| (time * 5 / 4).min(AGAIN_MOST));
                pipe.again = Some((now + before, before));
            }
        }
    }

    /// The consumer has taken something, though not enough to make room.
    pub(crate) fn on_sink_moved(&mut self, now: Instant) {
        if self.stats.sink.since().is_some() {
            self.stats.sink.run(false, now);
            self.stats.sink.run(true, now);
        }
    }

    /// Bytes to claim where freshness rules: whole records, as few as keep the consumer busy.
    fn fresh_claim(&self, most: u64) -> u64 {
        let output = &self.outputs[CONSUMER];
        let window = (output.window.bytes() as u64)
            .min(most)
            .clamp(1, CLAIM_MOST);
        let window = window.min((self.capacity as u64 / 4).max(1));
        let Some(run) = output.queue.first().filter(|_| self.framing.is_some()) else {
            return window.min(self.claimable(CONSUMER));
        };
        let end = run.end.min(self.log.here_to(run.start));
        let whole = self
            .log
            .last_boundary(run.start, end.min(run.start + window));
        let whole = whole.or_else(|| self.log.next_boundary(run.start, end));
        match whole {
            Some(to) => (to - run.start).min(CLAIM_MOST.max(window)),
            None => self.deliverable().min(end - run.start),
        }
    }

    /// Where records have left the middle of the queue what is next lies in many runs: claims more of them, up to what
    /// keeps the consumer busy. Returns the last of what is claimed.
    fn claim_scattered(
        &mut self,
        first: Range<u64>,
        permit: Permit,
        parts: &mut Vec<Part>,
    ) -> Range<u64> {
        let output = &mut self.outputs[CONSUMER];
        let Some(lanes) = &mut output.lanes else {
            return first;
        };
        let window = output.window.bytes().min(permit.allowance.bytes) as u64;
        let window = window.min(CLAIM_MOST).min(self.capacity as u64 / 4);
        let length: usize = parts.iter().map(|part| part.bytes().len()).sum();
        // Nothing may come behind a claim of which some pieces were left out.
        let is_complete = length as u64 == first.end - first.start;
        let mut last = first;
        while is_complete
            && parts.len() < PARTS_MOST_SCATTERED
            && let Some(left) = window.checked_sub(output.queue.claimed())
            && self.log.is_boundary(last.end)
            && let Some(run) = output.queue.first()
            && let end = run.end.min(self.log.readable()).min(run.start + left)
            && let Some(whole) = self.log.last_boundary(run.start, end)
            && let Some(run) = output.queue.extend_claim(whole - run.start)
        {
            parts.extend(self.log.parts(run.clone()));
            last = run;
        }
        lanes.on_claimed(last.end);
        last
    }

    /// Bytes at the head that may be given to the consumer where freshness rules: none of a record that is
    /// not complete, unless it never will be or blocks everything.
    pub(super) fn deliverable(&self) -> u64 {
        let output = &self.outputs[CONSUMER];
        let Some(run) = output.queue.first() else {
            return 0;
        };
        let end = run.end.min(self.log.readable());
        let piece = end.saturating_sub(run.start).min(CLAIM_MOST);
        let is_whole = self.framing.is_none() || self.is_last() || self.is_blocked();
        if output.cursor.is_inside() || is_whole {
            return piece;
        }
        self.log
            .next_boundary(run.start, end)
            .map_or(0, |to| to - run.start)
    }

    /// Whether the rest of a record that has begun cannot come before that has left. That a disk is full is not enough:
    /// what was given back since it was found so may be room for the rest.
    pub(super) fn is_blocked(&self) -> bool {
        let has_no_place = self.has_surely_no_place();
        let has_no_room = self.gate.is_closed() || has_no_place;
        let is_full = has_no_room || self.has_full_books();
        is_full && self.shedder.policy.is_none() || self.is_starved()
    }

    /// Whether what is held is all that will ever be.
    pub(super) fn is_last(&self) -> bool {
        self.ended && !self.source.is_reading
    }
}
