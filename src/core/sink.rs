//! The side of the sink thread: what it may write, and what came of it.

use std::time::Instant;

use super::ring::Hand;
use super::steps::{Run, WriteStep};
use super::{SinkWaits, TRIM_AFTER, Weir, earlier};

impl Weir {
    /// The sink thread asks: what now? `room`: it has just waited for room, as it was told.
    pub fn poll_write(&mut self, now: Instant, hand: &mut Hand, room: bool) -> WriteStep {
        self.sink_asleep = None;
        let step = self.next_write(now, hand, room);
        self.writing = matches!(step, WriteStep::Write(..));
        self.watch_cap(now);
        step
    }

    fn next_write(&mut self, now: Instant, hand: &mut Hand, room: bool) -> WriteStep {
        if self.segment_claimed && self.shedder.takes_records() {
            // Claimed under other rules: nothing behind it could be shed.
            self.ring.unclaim(hand);
            self.segment_claimed = false;
            self.settle(now);
        }
        self.expire(now);
        if self.halted || self.is_finished() {
            return WriteStep::Done;
        }
        if self.paused || self.gate.is_filling() {
            self.was_full = false;
            let until = self.next_expiry();
            return self.hold_sink(SinkWaits::Leave, until);
        }
        if self.trim_at.is_some_and(|at| now >= at) {
            self.trim_at = None;
            return WriteStep::Trim(self.ring.trim());
        }
        let empty = hand.bytes().is_empty();
        if empty && self.ring.queued() == 0 {
            self.meter.sink.stop(now);
            return self.hold_sink(SinkWaits::Data, self.trim_at);
        }
        self.tune(now);
        let grant = match self.output.may_pass(self.leaving.is_inside(), now) {
            Ok(grant) => grant,
            Err(at) => {
                let until = earlier(self.next_expiry(), Some(at));
                return self.hold_sink(SinkWaits::Cap, until);
            }
        };
        if empty && self.shedder.takes_records() {
            if let Some(step) = self.claim_fresh(now, hand, room, grant) {
                return step;
            }
        } else if empty {
            self.segment_claimed = self.ring.claim(hand);
        }
        let until = earlier(self.next_expiry(), self.watchdog.next_try(now));
        WriteStep::Write(self.leave(grant), until)
    }

    /// The sink thread is about to wait for the consumer.
    pub fn on_sink_full(&mut self, now: Instant) {
        self.sink_asleep = Some((SinkWaits::Room, None));
        if self.paused {
            // It had leave before that began.
            self.was_full = true;
        } else {
            self.meter.sink.start(now);
        }
    }

    /// The first bytes in the hand were written; none, where there was no room.
    pub fn on_written(&mut self, now: Instant, hand: &mut Hand, written: Run) {
        self.writing = false;
        self.ring.release(hand, written.bytes);
        self.cut.on_written(written.bytes);
        if self.segment_claimed {
            self.timeline.deliver(written.bytes, now);
            self.segment_claimed = !hand.bytes().is_empty();
        }
        self.leave_with(now, written);
        if self.ring.used() == 0 {
            self.cut.on_ring_empty(now);
            let trim_at = self.trim_at.unwrap_or(now + TRIM_AFTER);
            self.trim_at = self.ring.is_bloated().then_some(trim_at);
        }
        self.settle(now);
    }

    /// The consumer has taken something, though not enough to make room.
    pub fn on_sink_moved(&mut self, now: Instant) {
        if self.meter.sink.since().is_some() {
            self.meter.sink.stop(now);
            self.meter.sink.start(now);
        }
    }

    pub(super) fn hold_sink(&mut self, what: SinkWaits, until: Option<Instant>) -> WriteStep {
        self.sink_asleep = Some((what, until));
        WriteStep::Wait(until)
    }
}
