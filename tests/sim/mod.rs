//! The simulator: the real state machine between a scripted producer and a scripted consumer, with
//! a made-up clock that jumps from event to event. Hours of its time pass in seconds of ours, and
//! the same scenario always runs the same way.
//!
//! It stands in for the two I/O threads, the kernel's two pipes and the two neighbours. After every
//! step it checks what must always hold; at the end it returns what the consumer got and when.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use pipeweir::core::command::Command;
use pipeweir::core::gate::Marks;
use pipeweir::core::pace::Bursts;
use pipeweir::core::ring::{Hand, Intake, Segment};
use pipeweir::core::watch::Patience;
use pipeweir::core::{Leave, Limits, ReadStep, Rules, Run, Weir, WriteStep};

/// What the producer does: each burst of bytes is offered at its time, and waits for room.
pub type Offers = Vec<(Duration, usize)>;
/// What the consumer does: from each time on it takes up to so many bytes.
pub type Takes = Vec<(Duration, usize)>;
/// What happens to the process: at each time everything stands still for so long.
pub type Stops = Vec<(Duration, Duration)>;

/// What the state machine is told while it runs.
pub type Commands = Vec<(Duration, Command)>;

/// One run to simulate.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub rules: Rules,
    /// Whether the system has a zero-copy path for these neighbours.
    pub direct: bool,
    pub input: Text,
    pub offers: Offers,
    pub takes: Takes,
    pub stops: Stops,
    pub commands: Commands,
    /// Capacity of each of the kernel's pipes, in bytes.
    pub pipe: usize,
    /// Decides who of those who can act acts first, and how long each step takes.
    pub seed: u64,
}

/// Bytes that are not printed when a property fails.
#[derive(Clone, PartialEq)]
pub struct Text(pub Vec<u8>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What reached the pipe to the consumer, and when each piece did.
    pub passed: Vec<(Duration, usize)>,
    /// The bytes that did.
    pub output: Vec<u8>,
    /// The state machine after the last step.
    pub weir: Weir,
    /// The time of the last step.
    pub end: Duration,
    /// Everything that was offered was delivered.
    pub finished: bool,
    /// Occupancies at which reading stopped, and at which it started again.
    pub turns: Vec<(usize, usize)>,
    /// What was shed, in order.
    pub spilled: Vec<u8>,
    /// When each command was given.
    pub told: Commands,
}

/// What one of the two threads is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Doing {
    Ready,
    /// Until its bell, or until this time.
    Sleeping(Option<Instant>),
    /// For the pipe from the producer.
    AwaitingInput,
    /// For the pipe to the consumer, or until this time.
    AwaitingRoom(Option<Instant>),
    Gone,
}

/// Blocking, all of the capacity in use, nothing capped.
pub fn rules(capacity: usize) -> Rules {
    Rules {
        capacity,
        marks: Marks {
            high: capacity,
            low: capacity - capacity / 8,
            prefill: 0,
        },
        cut_through: true,
        framing: None,
        output: Limits::default(),
        input: Limits::default(),
        burst: Bursts::default(),
        shed: None,
        max_age: None,
        patience: Patience::default(),
    }
}

/// Takes everything, in time.
pub fn glutton() -> Takes {
    vec![(Duration::ZERO, usize::MAX / 2)]
}

/// A producer and a consumer that are always ready.
pub fn plain(rules: Rules, input: Vec<u8>) -> Scenario {
    Scenario {
        rules,
        direct: false,
        offers: vec![(Duration::ZERO, input.len())],
        input: Text(input),
        takes: glutton(),
        stops: Vec::new(),
        commands: Vec::new(),
        pipe: 4096,
        seed: 7,
    }
}

struct Sim {
    s: Scenario,
    weir: Weir,
    intake: Intake,
    hand: Hand,
    /// The source thread may read, and has not yet.
    is_reading: bool,
    /// What the sink thread may write, and has not yet.
    writing: Option<(Leave, Option<Instant>)>,
    start: Instant,
    now: Instant,
    source: Doing,
    sink: Doing,
    /// How much of the input has been offered, has entered the pipe, and has left it.
    offered: usize,
    entered: usize,
    taken: usize,
    /// How much the consumer is willing to take, and how much lies in its pipe.
    appetite: usize,
    lying: usize,
    events: VecDeque<(Instant, Event)>,
    out: Outcome,
    closed_at: Option<usize>,
    /// What was held when a command was given: a mark that falls below it lets it be.
    held: usize,
    rng: u64,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Offer(usize),
    Take(usize),
    Stop(Duration),
    Tell(Command),
}

/// Runs a scenario to its end, or until nothing can happen any more.
pub fn run(s: Scenario) -> Outcome {
    let start = Instant::now();
    let mut events: Vec<_> = s
        .offers
        .iter()
        .map(|&(t, n)| (start + t, Event::Offer(n)))
        .collect();
    events.extend(s.takes.iter().map(|&(t, n)| (start + t, Event::Take(n))));
    events.extend(s.stops.iter().map(|&(t, d)| (start + t, Event::Stop(d))));
    events.extend(s.commands.iter().map(|&(t, c)| (start + t, Event::Tell(c))));
    events.sort_by_key(|e| e.0);
    let weir = Weir::new(s.rules, start);
    let mut sim = Sim {
        intake: Intake::new(s.rules.framing),
        hand: Hand::default(),
        is_reading: false,
        writing: None,
        start,
        now: start,
        source: Doing::Ready,
        sink: Doing::Ready,
        offered: 0,
        entered: 0,
        taken: 0,
        appetite: 0,
        lying: 0,
        events: events.into(),
        out: Outcome {
            passed: Vec::new(),
            output: Vec::new(),
            weir: Weir::new(s.rules, start),
            end: Duration::ZERO,
            finished: false,
            turns: Vec::new(),
            spilled: Vec::new(),
            told: Vec::new(),
        },
        closed_at: None,
        held: 0,
        rng: s.seed | 1,
        weir,
        s,
    };
    sim.weir.want_spill();
    sim.weir.on_input_begin(sim.s.direct);
    while sim.step() {
        sim.check();
    }
    sim.out.spilled.extend(sim.weir.take_spill(true).0);
    sim.out.end = sim.now - sim.start;
    sim.out.finished = sim.sink == Doing::Gone && sim.weir.is_finished();
    sim.out.weir = sim.weir;
    sim.out
}

impl Sim {
    fn random(&mut self) -> u64 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        self.rng
    }

    /// One step of somebody, or a jump to the next thing that happens. False when nothing will.
    fn step(&mut self) -> bool {
        self.neighbours();
        let source = self.may_act(self.source);
        let sink = self.may_act(self.sink);
        if !source && !sink {
            return self.jump();
        }
        let lasts = 1 + self.random() % 20_000;
        self.now += Duration::from_nanos(lasts);
        if source && (!sink || self.random().is_multiple_of(2)) {
            self.source = self.source_step();
        } else {
            self.sink = self.sink_step();
        }
        self.wake();
        true
    }

    fn wake(&mut self) {
        let wakes = self.weir.take_wakes();
        if wakes.spill {
            let (bytes, lost) = self.weir.take_spill(false);
            assert_eq!(lost, 0);
            self.out.spilled.extend(bytes);
        }
        if wakes.source && matches!(self.source, Doing::Sleeping(_)) {
            self.source = Doing::Ready;
        }
        if wakes.sink && matches!(self.sink, Doing::Sleeping(_) | Doing::AwaitingRoom(_)) {
            self.sink = Doing::Ready;
        }
    }

    fn may_act(&self, doing: Doing) -> bool {
        let due = |until: Option<Instant>| until.is_some_and(|at| self.now >= at);
        match doing {
            Doing::Ready => true,
            Doing::Sleeping(until) => due(until),
            Doing::AwaitingInput => self.entered > self.taken || self.producer_is_done(),
            Doing::AwaitingRoom(until) => self.room() > 0 || due(until),
            Doing::Gone => false,
        }
    }

    fn jump(&mut self) -> bool {
        let timer = |doing| match doing {
            Doing::Sleeping(until) | Doing::AwaitingRoom(until) => until,
            _ => None,
        };
        let event = self.events.front().map(|e| e.0);
        let next = [timer(self.source), timer(self.sink), event]
            .into_iter()
            .flatten()
            .min();
        match next {
            Some(at) if self.sink != Doing::Gone => {
                self.now = self.now.max(at);
                true
            }
            _ => false,
        }
    }

    fn producer_is_done(&self) -> bool {
        let more = self.events.iter().any(|e| matches!(e.1, Event::Offer(_)));
        !more && self.entered == self.offered
    }

    fn room(&self) -> usize {
        self.s.pipe - self.lying
    }

    /// Lets the producer and the consumer do what they can by now.
    fn neighbours(&mut self) {
        while self.events.front().is_some_and(|e| e.0 <= self.now) {
            match self.events.pop_front() {
                Some((_, Event::Offer(n))) => {
                    self.offered = (self.offered + n).min(self.s.input.0.len());
                }
                Some((_, Event::Take(n))) => self.appetite += n,
                Some((_, Event::Stop(time))) => self.now += time,
                Some((_, Event::Tell(command))) => {
                    if let Some((leave, until)) = self.writing.take() {
                        // What has leave by one cap may pass after that has changed.
                        self.sink = self.write_on(leave, until);
                    }
                    // What may be read already may come on top.
                    self.held = self.used() + self.intake.room();
                    self.weir.command(self.now, command);
                    self.out.told.push((self.now - self.start, command));
                    self.wake();
                }
                None => {}
            }
        }
        let in_pipe = self.entered - self.taken;
        self.entered += (self.offered - self.entered).min(self.s.pipe - in_pipe);
        let eaten = self.appetite.min(self.lying);
        self.appetite -= eaten;
        self.lying -= eaten;
    }

    /// Puts bytes into the pipe to the consumer; as many as there is room for.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.room());
        self.lying += n;
        self.out.output.extend_from_slice(&bytes[..n]);
        if n > 0 {
            self.out.passed.push((self.now - self.start, n));
        }
        n
    }

    fn source_step(&mut self) -> Doing {
        if std::mem::take(&mut self.is_reading) {
            return self.read(None);
        }
        let step = self.weir.poll_read(self.now, &mut self.intake);
        match (&step, self.closed_at) {
            (ReadStep::Wait(None), None) => self.closed_at = Some(self.used()),
            (ReadStep::Read(_) | ReadStep::CutThrough(_), Some(high)) => {
                self.out.turns.push((high, self.used()));
                self.closed_at = None;
            }
            _ => {}
        }
        match step {
            // What has leave to be written as well must not come after a change of the cap.
            ReadStep::Read(None) if self.dawdles() => {
                self.is_reading = true;
                Doing::Ready
            }
            ReadStep::Read(leave) => self.read(leave),
            ReadStep::CutThrough(leave) => self.pass(leave),
            ReadStep::Wait(until) => Doing::Sleeping(until),
            ReadStep::Done => Doing::Gone,
        }
    }

    fn read(&mut self, leave: Option<Leave>) -> Doing {
        if self.intake.wants_segment() {
            let size = self.weir.segment_size();
            self.intake
                .give(Segment::map(size).expect("memory for a test"));
        }
        let waiting = self.taken..self.entered;
        let mut n = 0;
        for slice in &mut self.intake.slices() {
            let m = slice.len().min(waiting.len() - n);
            slice[..m].copy_from_slice(&self.s.input.0[waiting.start + n..][..m]);
            n += m;
        }
        let bytes = self.s.input.0[waiting.start..][..n].to_vec();
        let read = Run::over(self.intake.cursor, &bytes);
        let written = leave
            .filter(|_| n > 0 && self.random().is_multiple_of(2))
            .map(|leave| {
                let m = self.write(leave.cut(&bytes));
                leave.use_up(&bytes[..m])
            });
        self.taken += n;
        self.weir.on_read(self.now, &mut self.intake, read, written);
        self.after_input(n)
    }

    fn after_input(&mut self, n: usize) -> Doing {
        if n > 0 {
            return Doing::Ready;
        }
        if self.producer_is_done() && self.entered == self.taken {
            self.weir
                .on_input_end(self.now, self.intake.cursor.is_inside());
            return Doing::Gone;
        }
        self.weir.on_input_empty(self.now);
        Doing::AwaitingInput
    }

    fn pass(&mut self, leave: Leave) -> Doing {
        let waiting = self.entered - self.taken;
        let n = waiting.min(self.room());
        if n == 0 && waiting > 0 {
            return match self.weir.on_output_full(self.now) {
                Some(until) => Doing::AwaitingRoom(Some(until)),
                None => Doing::Ready,
            };
        }
        if n > 0 {
            let bytes = leave.cut(&self.s.input.0[self.taken..][..n]).to_vec();
            assert!(!bytes.is_empty(), "leave to pass nothing");
            assert_eq!(self.used(), 0, "bytes overtook what is held");
            self.write(&bytes);
            self.taken += bytes.len();
            assert!(self.weir.begin_pass());
            let run = leave.use_up(&bytes);
            self.weir.on_passed(self.now, &mut self.intake, run);
        }
        self.after_input(n)
    }

    /// Whether others may come first before what is to be done now is done.
    fn dawdles(&mut self) -> bool {
        self.random().is_multiple_of(4)
    }

    fn write_on(&mut self, leave: Leave, until: Option<Instant>) -> Doing {
        let bytes = leave.cut(self.hand.bytes()).to_vec();
        assert!(!bytes.is_empty(), "leave to write nothing");
        let n = self.write(&bytes);
        let run = leave.use_up(&bytes[..n]);
        self.weir.on_written(self.now, &mut self.hand, run);
        if n > 0 {
            return Doing::Ready;
        }
        self.weir.on_sink_full(self.now);
        Doing::AwaitingRoom(until)
    }

    fn sink_step(&mut self) -> Doing {
        if let Some((leave, until)) = self.writing.take() {
            return self.write_on(leave, until);
        }
        let room = matches!(self.sink, Doing::AwaitingRoom(_)) && self.room() > 0;
        match self.weir.poll_write(self.now, &mut self.hand, room) {
            WriteStep::AwaitRoom(until, _) => {
                self.weir.on_sink_full(self.now);
                Doing::AwaitingRoom(until)
            }
            WriteStep::Write(leave, until) if self.dawdles() => {
                self.writing = Some((leave, until));
                Doing::Ready
            }
            WriteStep::Write(leave, until) => self.write_on(leave, until),
            WriteStep::Wait(until) => Doing::Sleeping(until),
            WriteStep::Trim(memory) => {
                drop(memory);
                Doing::Ready
            }
            WriteStep::Done => Doing::Gone,
        }
    }

    fn used(&self) -> usize {
        self.weir.books(self.now).buffer.used
    }

    /// What holds after every step.
    fn check(&self) {
        let status = self.weir.books(self.now);
        let used = status.buffer.used as u64;
        assert_eq!(
            status.read.bytes,
            status.written.bytes + status.shed.total.bytes + used
        );
        assert_eq!(status.read.bytes, self.taken as u64);
        assert_eq!(status.written.bytes, self.out.output.len() as u64);
        assert!(
            status.buffer.used <= status.buffer.high.max(self.held),
            "held more than the high mark"
        );
    }
}

/// The most that passed in any window of this length.
pub fn peak(passed: &[(Duration, u64)], window: Duration) -> u64 {
    let (mut first, mut sum, mut most) = (0, 0, 0);
    for (i, (at, n)) in passed.iter().enumerate() {
        sum += n;
        while passed[first].0 + window <= *at && first < i {
            sum -= passed[first].1;
            first += 1;
        }
        most = most.max(sum);
    }
    most
}
