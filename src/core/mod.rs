//! The state machine that the two I/O threads drive. Pure: no clock, no input or output, no
//! thread, no lock; time comes in as an argument, so the same calls at the same instants give the
//! same decisions.
//!
//! The source thread repeats: [`Weir::poll_read`], then as it is told. The sink thread repeats:
//! [`Weir::poll_write`], then as it is told. A thread that is told to wait sleeps until the instant
//! named or until its bell; [`Weir::take_wakes`] says whose bell to ring after each call.
//!
//! Invariant: `read = written + shed + buffered`, and `buffered <= high mark`.

pub mod age;
pub mod command;
pub mod cut;
pub mod frame;
pub mod fresh;
pub mod gate;
pub mod meter;
pub mod pace;
pub mod ring;
pub mod shed;
pub mod status;
pub mod steps;
pub mod watch;

use std::time::{Duration, Instant};

use age::Timeline;
use command::Command;
use cut::Cut;
use frame::{Cursor, Framing};
use gate::Gate;
use meter::Meter;
use pace::{Bursts, Grant, Throttles};
use ring::{Hand, Intake, Ring};
use shed::Shedder;
pub use steps::{Leave, Limits, ReadStep, Rules, Run, WriteStep};
use watch::{Patience, Watch};

/// How long memory that a flood has left behind is kept for the next flood.
pub const TRIM_AFTER: Duration = Duration::from_secs(1);

/// Whose bell to ring.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Wakes {
    /// The source thread's.
    pub source: bool,
    /// The sink thread's.
    pub sink: bool,
    /// That of whoever writes down what was shed.
    pub spill: bool,
}

/// What a sleeping source thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SourceWaits {
    /// That the gate opens.
    Gate,
    /// That the ring runs empty.
    Empty,
    /// That its time has come.
    Cap,
    /// That anything changes.
    Change,
}

/// What a sleeping sink thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SinkWaits {
    /// Something to write.
    Data,
    /// That its time has come, or that somebody lets it go.
    Leave,
}

/// Bounded buffer, gates, pacers and books. See the module's text.
#[derive(Debug)]
pub struct Weir {
    ring: Ring,
    gate: Gate,
    /// Whether the bypass is wanted.
    cut_through: bool,
    cut: Cut,
    meter: Meter,
    patience: Patience,
    input: Throttles,
    output: Throttles,
    burst: Bursts,
    capacity: usize,
    framing: Option<Framing>,
    /// Where in its record the output stands.
    leaving: Cursor,
    shedder: Shedder,
    timeline: Timeline,
    /// The sink thread holds a segment that may end inside a record.
    segment_claimed: bool,
    /// Somebody holds the output.
    paused: bool,
    /// A thread was waiting for the consumer when that began, and still is.
    was_full: bool,
    /// Nothing more will be read: end of input, or told to drain.
    ended: bool,
    /// What was read ends inside a record.
    inside: bool,
    /// No read is under way after the end: a last record without terminator has been counted.
    last_counted: bool,
    /// The source thread has been told to read and has not said yet what came of it.
    reading: bool,
    source_asleep: Option<SourceWaits>,
    sink_asleep: Option<SinkWaits>,
    wakes: Wakes,
    trim_at: Option<Instant>,
    started: Instant,
}

impl Weir {
    /// An empty weir.
    #[must_use]
    pub fn new(rules: Rules, now: Instant) -> Weir {
        let mut weir = Weir {
            ring: Ring::new(rules.capacity),
            gate: Gate::new(rules.marks),
            cut_through: rules.cut_through,
            cut: Cut::new(false),
            meter: Meter::default(),
            patience: rules.patience,
            input: Throttles::default(),
            output: Throttles::default(),
            burst: rules.burst,
            capacity: rules.capacity,
            framing: rules.framing,
            leaving: Cursor::new(rules.framing),
            shedder: Shedder::default(),
            timeline: Timeline::default(),
            segment_claimed: false,
            paused: false,
            was_full: false,
            ended: false,
            inside: false,
            last_counted: false,
            reading: false,
            source_asleep: None,
            sink_asleep: None,
            wakes: Wakes::default(),
            trim_at: None,
            started: now,
        };
        for command in [
            Command::RateOfBytes(rules.output.bytes),
            Command::RateOfRecords(rules.output.records),
            Command::InputRateOfBytes(rules.input.bytes),
            Command::InputRateOfRecords(rules.input.records),
            Command::Shed(rules.shed),
            Command::MaxAge(rules.max_age),
        ] {
            weir.command(now, command);
        }
        weir
    }

    /// Bytes in a segment of the ring.
    #[must_use]
    pub fn segment_size(&self) -> usize {
        self.ring.segment_size()
    }

    /// Whether nothing is held and nothing more will come.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.ended && self.ring.used() == 0 && !self.reading
    }

    /// Changes how a running weir works.
    pub fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::RateOfBytes(cap) => self.output.bytes.set(cap),
            Command::RateOfRecords(cap) => self.output.records.set(cap),
            Command::InputRateOfBytes(cap) => self.input.bytes.set(cap),
            Command::InputRateOfRecords(cap) => self.input.records.set(cap),
            Command::Burst(burst) => self.burst = burst,
            Command::Marks(marks) => self.gate.set(marks, self.ring.used()),
            Command::Shed(policy) => self.shedder.policy = policy,
            Command::MaxAge(age) => self.shedder.max_age = age,
            Command::Pause => self.pause(now),
            Command::Resume => self.resume(now),
            Command::Drain => {
                // What nobody may deliver would keep it from ending.
                self.resume(now);
                self.end(now);
            }
        }
        self.tune(now);
        self.settle(now);
        // Whatever anybody was waiting for may have changed.
        self.wakes.source |= self.source_asleep.take().is_some();
        self.wakes.sink |= self.sink_asleep.take().is_some();
    }

    /// An input begins; `direct` says whether the system can pass its bytes around the ring.
    pub fn on_input_begin(&mut self, direct: bool) {
        self.cut = Cut::new(direct && self.cut_through);
    }

    /// The source thread asks: what now?
    pub fn poll_read(&mut self, now: Instant, intake: &mut Intake) -> ReadStep {
        if self.ended {
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
                    self.meter.cap.stop(now);
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
                self.ring.lend(intake, room);
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
        if self.ring.used() == 0 {
            // What the consumer might have had no room for is not there any more.
            self.meter.sink.stop(now);
            self.cut.on_room(now);
        }
        self.meter.source.start(now);
        self.want(now);
    }

    fn want(&mut self, now: Instant) {
        let nothing = self.ring.used() == 0 || self.gate.is_filling();
        self.meter.on_want(now, nothing);
    }

    /// No more input: what is held is still delivered. `inside`: the last record has no end.
    pub fn on_input_end(&mut self, now: Instant, inside: bool) {
        self.inside = inside;
        self.end(now);
        self.settle(now);
    }

    /// The source thread is about to move bytes around the ring, and will say what came of it by
    /// [`Weir::on_passed`]. False when it may not: told to drain, it reads nothing more.
    pub fn begin_pass(&mut self) -> bool {
        self.reading = !self.ended;
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

    /// The sink thread asks: what now? `room`: it has just waited for room, as it was told.
    pub fn poll_write(&mut self, now: Instant, hand: &mut Hand, room: bool) -> WriteStep {
        self.expire(now);
        if self.is_finished() {
            return WriteStep::Done;
        }
        if self.paused || self.gate.is_filling() {
            self.was_full = false;
            return self.hold_sink(SinkWaits::Leave, self.next_expiry());
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
                self.meter.cap.start(now);
                let at = self.next_expiry().map_or(at, |due| due.min(at));
                return self.hold_sink(SinkWaits::Leave, Some(at));
            }
        };
        self.meter.cap.stop(now);
        if empty && self.shedder.takes_records() {
            if let Some(step) = self.claim_fresh(now, hand, room, grant) {
                return step;
            }
        } else if empty {
            self.segment_claimed = self.ring.claim(hand);
        }
        WriteStep::Write(self.leave(grant))
    }

    /// The sink thread is about to wait for the consumer.
    pub fn on_sink_full(&mut self, now: Instant) {
        self.meter.sink.start(now);
    }

    /// The first bytes in the hand were written.
    pub fn on_written(&mut self, now: Instant, hand: &mut Hand, written: Run) {
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

    /// Asks the watchdog.
    #[must_use]
    pub fn watch(&self, now: Instant) -> Watch {
        self.patience.look(self.meter.source, self.meter.sink, now)
    }

    /// The bells to ring for what has changed since the last call.
    pub fn take_wakes(&mut self) -> Wakes {
        let spill = self.shedder.spill.is_waiting();
        Wakes {
            spill,
            ..std::mem::take(&mut self.wakes)
        }
    }

    /// The consumer is not to blame for what we hold back.
    fn pause(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.paused, true) {
            self.was_full = self.meter.sink.since().is_some();
            self.meter.sink.stop(now);
            self.meter.cap.stop(now);
        }
    }

    fn resume(&mut self, now: Instant) {
        self.paused = false;
        if std::mem::take(&mut self.was_full) {
            self.meter.sink.start(now);
        }
    }

    fn end(&mut self, now: Instant) {
        self.meter.source.stop(now);
        self.ended = true;
    }

    /// Lets the caps follow the occupancy.
    fn tune(&mut self, now: Instant) {
        let (used, marks) = (self.ring.used(), self.gate.marks());
        self.input.tune(used, marks, self.burst, now);
        self.output.tune(used, marks, self.burst, now);
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

    fn read_fresh(&mut self, now: Instant, intake: &mut Intake, permit: usize) -> ReadStep {
        let mut room = self.gate.may_take(self.ring.used());
        if room == 0 {
            let Some(policy) = self.shedder.policy else {
                return self.hold_source(now, SourceWaits::Gate, None);
            };
            // Patience that outlasts time itself is blocking.
            match self.shedder.due(now) {
                Some(due) if due <= now => {}
                due => return self.hold_source(now, SourceWaits::Gate, due),
            }
            room = self.shed_for_room(now, policy.which, intake.cursor);
            if room == 0 {
                return self.hold_source(now, SourceWaits::Change, None);
            }
        }
        self.ring.lend_fresh(intake, room.min(permit));
        self.reading = true;
        ReadStep::Read(None)
    }

    fn leave(&self, grant: Grant) -> Leave {
        Leave {
            grant,
            cursor: self.leaving,
        }
    }

    fn leave_with(&mut self, now: Instant, run: Run) {
        self.leaving = run.cursor;
        self.meter.on_written(now, run);
        self.output.on_passed(run.bytes, run.tally.begun, now);
    }

    fn hold_source(&mut self, now: Instant, what: SourceWaits, until: Option<Instant>) -> ReadStep {
        self.meter.source.stop(now);
        self.want(now);
        if what == SourceWaits::Cap {
            self.meter.cap.start(now);
        }
        self.source_asleep = Some(what);
        ReadStep::Wait(until)
    }

    fn hold_sink(&mut self, what: SinkWaits, until: Option<Instant>) -> WriteStep {
        self.sink_asleep = Some(what);
        WriteStep::Wait(until)
    }

    /// Draws the conclusions of a change: moves the gate, and wakes a sleeper that may now move.
    fn settle(&mut self, now: Instant) {
        // Told to drain, the source thread may never come to say that the input has ended.
        if self.ended && !self.reading && !std::mem::replace(&mut self.last_counted, true) {
            let skipped = self.shedder.is_skipping();
            self.meter.on_last_record(self.inside, skipped);
        }
        let used = self.ring.used();
        if !self.ring.is_bloated() {
            self.trim_at = None;
        }
        let marks = self.gate.marks();
        if used >= marks.high {
            self.shedder.full_since.get_or_insert(now);
        } else if used <= marks.low {
            self.shedder.full_since = None;
        }
        let was_filling = self.gate.is_filling();
        self.gate.on_occupancy(used, !self.ended);
        let let_go = was_filling && !self.gate.is_filling();
        self.want(now);
        let source = match self.source_asleep {
            None => false,
            Some(SourceWaits::Gate) => self.ended || self.gate.may_take(used) > 0,
            Some(SourceWaits::Empty) => self.ended || used == 0,
            Some(SourceWaits::Cap) => self.ended,
            Some(SourceWaits::Change) => true,
        };
        let sink = match self.sink_asleep {
            None => false,
            Some(SinkWaits::Data) => used > 0 || self.is_finished(),
            Some(SinkWaits::Leave) => let_go || self.is_finished(),
        };
        if source {
            self.source_asleep = None;
            self.wakes.source = true;
        }
        if sink {
            self.sink_asleep = None;
            self.wakes.sink = true;
        }
    }
}
