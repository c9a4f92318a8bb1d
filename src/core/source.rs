//! The side of the source thread: what it may read or pass around the ring, and what came of it.

use std::time::Instant;

use super::cut::Cut;
use super::pace::Grant;
use super::ring::Intake;
use super::steps::{ReadStep, Run};
use super::{SourceWaits, Weir, earlier};

impl Weir {
    /// An input begins; `direct` says whether the system can pass its bytes around the ring.
    pub fn on_input_begin(&mut self, direct: bool) {
        self.cut = Cut::new(direct && self.cut_through);
    }

    /// The source thread asks: what now?
    pub fn poll_read(&mut self, now: Instant, intake: &mut Intake) -> ReadStep {
        self.source_asleep = None;
        let step = self.next_read(now, intake);
        self.watch_cap(now);
        step
    }

    fn next_read(&mut self, now: Instant, intake: &mut Intake) -> ReadStep {
        if self.gate.is_closed() {
            // The sink thread may be waiting for a consumer that does not move.
            self.expire(now);
        }
        if self.ended || self.halted {
            return ReadStep::Done;
        }
        self.tune(now);
        let used = self.ring.used();
        let permit = match self.input.may_pass(false, now) {
            Ok(permit) => self.bytes_for(permit),
            Err(at) => return self.hold_source(now, SourceWaits::Cap, Some(at)),
        };
        let mut through = None;
        if self.shedder.is_on() || self.shedder.is_skipping() {
            return self.read_fresh(now, intake, permit);
        }
        if used == 0 && !self.paused && !self.gate.is_filling() {
            match self.output.may_pass(self.leaving.is_inside(), now) {
                Ok(mut grant) if self.cut.is_open() => {
                    grant.bytes = grant.bytes.min(permit);
                    return ReadStep::CutThrough(self.leave(grant));
                }
                Ok(grant) => through = Some(self.leave(grant)),
                Err(at) if self.cut.is_open() => {
                    if let Some(until) = self.cut.on_output_full(now) {
                        return self.hold_source(now, SourceWaits::Cap, Some(at.min(until)));
                    }
                }
                Err(_) => {}
            }
        } else if self.gate.marks().prefill == 0
            && let Some(until) = self.cut.rejoin(used, now)
        {
            return self.hold_source(now, SourceWaits::Empty, Some(until));
        }
        match self.gate.may_take(used).min(permit) {
            0 => self.hold_source(now, SourceWaits::Gate, None),
            room => {
                self.ring.lend(intake, room, true);
                self.reading = true;
                ReadStep::Read(through)
            }
        }
    }

    /// What was read into the intake (nothing also when there was nothing or it failed), and how
    /// much of it has been written already.
    pub fn on_read(&mut self, now: Instant, intake: &mut Intake, read: Run, written: Option<Run>) {
        let through = written.map_or(0, |run| run.bytes);
        let gone = through + self.sift(intake, &read);
        self.ring.commit(intake, read.bytes, gone);
        self.timeline.push(read.bytes - gone, now);
        intake.cursor = read.cursor;
        self.inside = read.cursor.is_inside();
        self.reading = false;
        let waited = self.meter.on_read(now, read, self.ring.used());
        self.cut.on_input(waited);
        self.input.on_passed(read.bytes, read.tally.ended, now);
        if let Some(run) = written {
            self.leave_with(now, run);
        }
        self.settle(now);
    }

    /// The system has no memory for another segment: the read is off, and the gate closes early.
    /// False when nothing is held whose delivery could make room.
    pub fn on_memory_short(&mut self, now: Instant, intake: &mut Intake) -> bool {
        self.ring.commit(intake, 0, 0);
        self.reading = false;
        self.gate.on_memory_short(self.ring.used());
        self.settle(now);
        self.ring.used() > 0
    }

    /// The source thread is about to wait for the producer.
    pub fn on_input_empty(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        if self.ring.used() == 0 {
            // What the consumer might have had no room for is not there any more.
            self.meter.sink.stop(now);
            self.cut.on_room(now);
        }
        self.meter.source.start(now);
        self.want(now);
    }

    /// No more input: what is held is still delivered. `inside`: the last record has no end.
    pub fn on_input_end(&mut self, now: Instant, inside: bool) {
        if self.halted {
            return;
        }
        self.inside = inside;
        self.end(now);
        self.settle(now);
    }

    /// The source thread is about to move bytes around the ring, and will say what came of it by
    /// [`Weir::on_passed`]. False when it may no longer.
    pub fn begin_pass(&mut self) -> bool {
        self.reading = !self.ended && !self.paused && !self.halted;
        self.reading
    }

    /// These bytes bypassed the ring; none where none could.
    pub fn on_passed(&mut self, now: Instant, intake: &mut Intake, run: Run) {
        self.reading = false;
        if run.bytes > 0 {
            intake.cursor = run.cursor;
            self.inside = run.cursor.is_inside();
            self.meter.spliced += run.bytes as u64;
            self.cut.on_passed(run.bytes, now);
            let waited = self.meter.on_read(now, run, self.ring.used());
            self.cut.on_input(waited);
            self.input.on_passed(run.bytes, run.tally.ended, now);
            self.leave_with(now, run);
        }
        self.settle(now);
    }

    /// The bypass found the output full: the instant until which to linger for room, or `None`
    /// when the ring takes over.
    pub fn on_output_full(&mut self, now: Instant) -> Option<Instant> {
        self.meter.source.stop(now);
        self.want(now);
        self.meter.sink.start(now);
        self.cut.on_output_full(now)
    }

    /// The bypass cannot be had here.
    pub fn on_cut_refused(&mut self) {
        self.cut.on_refused();
    }

    fn read_fresh(&mut self, now: Instant, intake: &mut Intake, permit: usize) -> ReadStep {
        let mut room = self.gate.may_take(self.ring.used());
        if room == 0 {
            // Patience that outlasts time itself is blocking.
            let due = self.shedder.due(now);
            let Some(policy) = self
                .shedder
                .policy
                .filter(|_| due.is_some_and(|due| due <= now))
            else {
                let until = earlier(due, self.next_expiry());
                return self.hold_source(now, SourceWaits::Gate, until);
            };
            room = self.shed_for_room(now, policy.which, intake.cursor);
            if room == 0 {
                return self.hold_source(now, SourceWaits::Change, None);
            }
        }
        // What is dropped is the beginning of what is read.
        let drops = self.shedder.drops_input();
        self.ring.lend(intake, room.min(permit), !drops);
        self.reading = true;
        ReadStep::Read(None)
    }

    /// Bytes to read for a permit: a read cannot stop at the end of a record, so a cap on records
    /// is translated by their average size so far, and what is too much is carried as a debt.
    fn bytes_for(&self, permit: Grant) -> usize {
        const GUESS: u64 = 64;
        let average = self.meter.read.bytes.checked_div(self.meter.read.records);
        let bytes = permit
            .records
            .saturating_mul(average.unwrap_or(GUESS).max(1));
        permit
            .bytes
            .min(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    fn hold_source(&mut self, now: Instant, what: SourceWaits, until: Option<Instant>) -> ReadStep {
        self.meter.source.stop(now);
        self.want(now);
        self.source_asleep = Some((what, until));
        ReadStep::Wait(until)
    }
}
