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
pub mod drive;
pub mod frame;
pub mod fresh;
pub mod gate;
pub mod meter;
pub mod pace;
pub mod ring;
pub mod shed;
mod sink;
mod source;
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
use pace::{Bursts, Grant, QUANTUM, Throttles};
use ring::Ring;
use shed::Shedder;
pub use steps::{Leave, Limits, ReadStep, Rules, Run, WriteStep};
use watch::{Watch, Watchdog};

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
    /// That of whoever waits for a halt.
    pub halt: bool,
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
    /// That nothing holds the output any more.
    Leave,
    /// That its time has come.
    Cap,
    /// That the consumer makes room.
    Room,
}

/// For what a thread sleeps, and until when at most.
type Asleep<W> = Option<(W, Option<Instant>)>;

/// Bounded buffer, gates, pacers and books. See the module's text.
#[derive(Debug)]
pub struct Weir {
    ring: Ring,
    gate: Gate,
    /// Whether the bypass is wanted.
    cut_through: bool,
    cut: Cut,
    meter: Meter,
    watchdog: Watchdog,
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
    /// The sink thread has been told to write and has not said yet what came of it.
    writing: bool,
    /// Nothing is to move any more.
    halted: bool,
    source_asleep: Asleep<SourceWaits>,
    sink_asleep: Asleep<SinkWaits>,
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
            watchdog: Watchdog::new(rules.patience),
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
            writing: false,
            halted: false,
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
        self.wake_all(now);
    }

    fn wake_all(&mut self, now: Instant) {
        self.wakes.source |= self.source_asleep.take().is_some();
        self.wakes.sink |= self.sink_asleep.take().is_some();
        self.watch_cap(now);
    }

    /// Nothing is read or written from now on, whatever is held. False while a call to the system
    /// is under way whose bytes are still to be counted.
    pub fn halt(&mut self, now: Instant) -> bool {
        self.halted = true;
        self.wake_all(now);
        !self.reading && !self.writing
    }

    fn want(&mut self, now: Instant) {
        let nothing = self.ring.used() == 0 || self.gate.is_filling();
        self.meter.on_want(now, nothing);
    }

    /// Asks the watchdog.
    pub fn watch(&mut self, now: Instant) -> Watch {
        let (source, sink) = (&mut self.meter.source, &mut self.meter.sink);
        self.watchdog.look(source, sink, now)
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
        self.shedder.taken += run.bytes as u64;
    }

    /// Draws the conclusions of a change: moves the gate, and wakes a sleeper that may now move.
    fn settle(&mut self, now: Instant) {
        // Told to drain, the source thread may never come to say that the input has ended.
        if self.ended && !self.reading && !std::mem::replace(&mut self.last_counted, true) {
            let skipped = self.shedder.is_skipping();
            self.meter.on_last_record(self.inside, skipped);
            let length = self.shedder.skipped;
            self.meter.shed_oversized +=
                u64::from(self.inside && skipped && self.is_oversized(length));
        }
        let used = self.ring.used();
        if !self.ring.is_bloated() {
            self.trim_at = None;
        }
        self.gate.on_occupancy(used, !self.ended);
        self.shedder
            .on_occupancy(used, self.gate.is_closed(), self.gate.marks(), now);
        self.want(now);
        let source = self.source_asleep.is_some_and(|(what, until)| {
            self.ended
                || match what {
                    SourceWaits::Gate => self.gate.may_take(used) > 0,
                    SourceWaits::Empty => used == 0,
                    SourceWaits::Cap => self.input_cap_moved(until, now),
                    SourceWaits::Change => true,
                }
        });
        let sink = self.sink_asleep.is_some_and(|(what, until)| {
            self.is_finished()
                || match what {
                    SinkWaits::Data => used > 0,
                    // What came meanwhile may grow too old.
                    SinkWaits::Leave if self.paused || self.gate.is_filling() => {
                        until.is_none() && self.next_expiry().is_some()
                    }
                    SinkWaits::Leave => true,
                    SinkWaits::Cap => self.output_cap_moved(until, now),
                    SinkWaits::Room => false,
                }
        });
        if source {
            self.source_asleep = None;
            self.wakes.source = true;
        }
        if sink {
            self.sink_asleep = None;
            self.wakes.sink = true;
        }
        self.watch_cap(now);
        self.wakes.halt |= self.halted && !self.reading && !self.writing;
    }

    /// Whether a cap that follows the occupancy need not be waited for until then any more.
    fn output_cap_moved(&mut self, until: Option<Instant>, now: Instant) -> bool {
        self.output.moves() && {
            self.tune(now);
            is_sooner(self.output.may_pass(self.leaving.is_inside(), now), until)
        }
    }

    fn input_cap_moved(&mut self, until: Option<Instant>, now: Instant) -> bool {
        self.input.moves() && {
            self.tune(now);
            is_sooner(self.input.may_pass(false, now), until)
        }
    }

    /// The cap holds the flow up while somebody sleeps for it.
    fn watch_cap(&mut self, now: Instant) {
        let source = matches!(self.source_asleep, Some((SourceWaits::Cap, _)));
        let sink = matches!(self.sink_asleep, Some((SinkWaits::Cap, _)));
        if source || sink {
            self.meter.cap.start(now);
        } else {
            self.meter.cap.stop(now);
        }
    }
}

/// Whether that is worth waking a thread that sleeps `until` then.
fn is_sooner(passes: Result<Grant, Instant>, until: Option<Instant>) -> bool {
    match passes {
        Ok(_) => true,
        Err(at) => until.is_none_or(|until| at + QUANTUM < until),
    }
}

/// The earlier one of those that there are.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
