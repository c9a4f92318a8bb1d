//! The simulator: the real drivers and the real state machine between a scripted producer and a
//! scripted consumer, with a made-up clock that jumps from event to event. Hours of its time pass in
//! seconds of ours, and the same scenario always runs the same way.
//!
//! It stands in for the kernel's two pipes, the two neighbours, the memory and the scheduler. A step is
//! one call of one driver, so anything may come between any two calls. After every step it checks what
//! must always hold; at the end it returns what the consumer got and when.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::time::{Duration, Instant};

use pipeweir::core::command::Command;
use pipeweir::core::drive::{
    Access, Passage, SinkDriver, SinkEdge, SinkEnd, SourceDriver, SourceEdge, Turn,
};
use pipeweir::core::gate::Marks;
use pipeweir::core::pace::Bursts;
use pipeweir::core::ring::Segment;
use pipeweir::core::watch::{Patience, Watch};
use pipeweir::core::{Leave, Limits, Rules, Weir};

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
    /// How much of the input was taken.
    pub taken: usize,
    /// Somebody was accused of a stall.
    pub accused: bool,
    /// A driver went on and on, and nothing came of it.
    pub span: bool,
}

/// What a driver waits for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wait {
    Nothing,
    /// Its bell, or this time.
    Bell(Option<Instant>),
    /// The pipe from the producer.
    Input,
    /// The pipe to the consumer (and the sink its bell, too), or this time.
    Room(Option<Instant>),
    /// It is over.
    Over,
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

/// What else may happen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Adversity {
    /// From this time on the system has no memory.
    pub memory_until: Option<Duration>,
    /// A process is stopped between looking at the clock and telling the time.
    pub stale_clock: bool,
    /// The watchdog looks.
    pub watched: bool,
}

/// The state machine, without a lock.
struct Core {
    weir: RefCell<Weir>,
    now: Cell<Instant>,
}

impl Access for Core {
    fn tell<R>(&self, what: impl FnOnce(&mut Weir, Instant) -> R) -> R {
        what(&mut self.weir.borrow_mut(), self.now.get())
    }
}

/// Everything outside the state machine.
struct World {
    s: Scenario,
    start: Instant,
    now: Instant,
    /// How much of the input has been offered, has entered the pipe, and has left it.
    offered: usize,
    entered: usize,
    taken: usize,
    /// How much the consumer is willing to take, and how much lies in its pipe.
    appetite: usize,
    lying: usize,
    events: VecDeque<(Instant, Event)>,
    out: Outcome,
    rng: u64,
    memory_until: Option<Instant>,
    /// What was asked of the world in this step.
    wait: Wait,
    rung: [bool; 2],
}

/// The world as one of the two sees it.
struct Side<'a>(&'a mut World, usize);

struct Sim {
    core: Core,
    source: SourceDriver,
    sink: SinkDriver,
    waits: [Wait; 2],
    world: World,
    adversity: Adversity,
    closed_at: Option<usize>,
    /// What was held when a command was given: a mark that falls below it lets it be.
    held: usize,
    idle_steps: usize,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Offer(usize),
    Take(usize),
    Stop(Duration),
    Tell(Command),
}

const SOURCE: usize = 0;
const SINK: usize = 1;

/// Steps without any byte moved, after which a driver is taken for one that spins.
const SPINNING: usize = 10_000;

/// Runs a scenario to its end, or until nothing can happen any more.
pub fn run(s: Scenario) -> Outcome {
    run_through(s, Adversity::default())
}

/// The same in a harder world.
pub fn run_through(s: Scenario, adversity: Adversity) -> Outcome {
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
    let out = Outcome {
        passed: Vec::new(),
        output: Vec::new(),
        weir: Weir::new(s.rules, start),
        end: Duration::ZERO,
        finished: false,
        turns: Vec::new(),
        spilled: Vec::new(),
        told: Vec::new(),
        taken: 0,
        accused: false,
        span: false,
    };
    let mut weir = Weir::new(s.rules, start);
    weir.want_spill();
    weir.on_input_begin(s.direct);
    let mut sim = Sim {
        core: Core {
            weir: RefCell::new(weir),
            now: Cell::new(start),
        },
        source: SourceDriver::new(s.rules.framing),
        sink: SinkDriver::default(),
        waits: [Wait::Nothing; 2],
        world: World {
            start,
            now: start,
            offered: 0,
            entered: 0,
            taken: 0,
            appetite: 0,
            lying: 0,
            events: events.into(),
            out,
            rng: s.seed | 1,
            memory_until: adversity.memory_until.map(|time| start + time),
            wait: Wait::Nothing,
            rung: [false; 2],
            s,
        },
        adversity,
        closed_at: None,
        held: 0,
        idle_steps: 0,
    };
    while sim.step() {
        sim.check();
    }
    sim.finish()
}

impl World {
    fn random(&mut self) -> u64 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        self.rng
    }

    fn producer_is_done(&self) -> bool {
        let more = self.events.iter().any(|e| matches!(e.1, Event::Offer(_)));
        !more && self.entered == self.offered
    }

    fn room(&self) -> usize {
        self.s.pipe - self.lying
    }

    fn waiting(&self) -> usize {
        self.entered - self.taken
    }

    fn has_input(&self) -> bool {
        self.waiting() > 0 || self.producer_is_done()
    }

    /// Puts bytes into the pipe to the consumer; as many as there is room for.
    fn put(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.room());
        self.lying += n;
        self.out.output.extend_from_slice(&bytes[..n]);
        if n > 0 {
            self.out.passed.push((self.now - self.start, n));
        }
        n
    }

    fn is_over(&self, who: usize, wait: Wait) -> bool {
        let due = |until: Option<Instant>| until.is_some_and(|at| self.now >= at);
        match wait {
            Wait::Nothing => true,
            Wait::Bell(until) => self.rung[who] || due(until),
            Wait::Input => self.has_input(),
            Wait::Room(until) => self.room() > 0 || due(until) || who == SINK && self.rung[who],
            Wait::Over => false,
        }
    }

    /// Lets the producer and the consumer do what they can by now.
    fn neighbours(&mut self) {
        let in_pipe = self.waiting();
        self.entered += (self.offered - self.entered).min(self.s.pipe - in_pipe);
        let eaten = self.appetite.min(self.lying);
        self.appetite -= eaten;
        self.lying -= eaten;
    }
}

impl Side<'_> {
    fn wait(&mut self, what: Wait) -> Option<()> {
        let over = self.0.is_over(self.1, what);
        self.0.wait = if over { Wait::Nothing } else { what };
        if over && !matches!(what, Wait::Input) {
            self.0.rung[self.1] = false;
        }
        over.then_some(())
    }
}

impl SourceEdge for Side<'_> {
    fn waits_before_passing(&self) -> bool {
        !self.0.s.seed.is_multiple_of(3)
    }

    fn input_may_block(&self) -> bool {
        false
    }

    fn output_may_block(&self) -> bool {
        false
    }

    fn segment(&mut self) -> io::Result<Segment> {
        if self.0.memory_until.is_some_and(|until| self.0.now >= until) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        // Nothing that a test does needs more in one piece.
        Segment::map(256 * 1024)
    }

    fn read(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<Option<usize>> {
        let world = &mut *self.0;
        let (from, waiting) = (world.taken, world.waiting());
        let mut n = 0;
        for slice in into {
            let m = slice.len().min(waiting - n);
            slice[..m].copy_from_slice(&world.s.input.0[from + n..][..m]);
            n += m;
        }
        world.taken += n;
        Ok((n > 0 || world.producer_is_done()).then_some(n))
    }

    fn is_short(&self, _: usize) -> bool {
        self.0.rng.is_multiple_of(2)
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        self.0.put(bytes)
    }

    fn pass(&mut self, leave: Leave) -> Passage {
        let world = &mut *self.0;
        let n = world.waiting().min(world.room());
        if world.waiting() == 0 && world.producer_is_done() {
            return Passage::End;
        } else if n == 0 {
            return Passage::Stuck;
        }
        let bytes = leave.cut(&world.s.input.0[world.taken..][..n]).to_vec();
        assert!(!bytes.is_empty(), "leave to pass nothing");
        world.put(&bytes);
        world.taken += bytes.len();
        Passage::Passed(leave.use_up(&bytes))
    }

    fn is_ahead(&self) -> bool {
        false
    }

    fn forget(&mut self) {}

    fn is_readable(&self) -> bool {
        self.0.has_input()
    }

    fn await_bell(&mut self, until: Option<Instant>) -> Option<()> {
        self.wait(Wait::Bell(until))
    }

    fn await_input(&mut self) -> Option<io::Result<()>> {
        self.wait(Wait::Input).map(Ok)
    }

    fn await_room(&mut self, until: Instant) -> Option<io::Result<bool>> {
        self.wait(Wait::Room(Some(until)))?;
        Some(Ok(self.0.room() > 0))
    }
}

impl SinkEdge for Side<'_> {
    fn may_block(&self) -> bool {
        false
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        assert!(!bytes.is_empty(), "leave to write nothing");
        let n = self.0.put(bytes);
        Ok((n > 0).then_some(n))
    }

    fn fit(&mut self, _: usize) -> Option<Instant> {
        None
    }

    fn await_bell(&mut self, until: Option<Instant>) -> Option<()> {
        self.wait(Wait::Bell(until))
    }

    fn await_room(&mut self, until: Option<Instant>) -> Option<io::Result<bool>> {
        self.wait(Wait::Room(until))?;
        Some(Ok(self.0.room() > 0))
    }
}

impl Sim {
    /// One call of somebody, or a jump to the next thing that happens. False when nothing will.
    fn step(&mut self) -> bool {
        self.happen();
        self.world.neighbours();
        let can = [SOURCE, SINK].map(|who| self.world.is_over(who, self.waits[who]));
        if can == [false, false] {
            return self.jump();
        }
        let lasts = 1 + self.world.random() % 5_000;
        self.world.now += Duration::from_nanos(lasts);
        let who = match can {
            [true, true] => (self.world.random() % 2) as usize,
            [source, _] => usize::from(!source),
        };
        self.act(who);
        self.idle_steps += 1;
        if self.idle_steps > SPINNING {
            self.world.out.span = true;
            return false;
        }
        if self.adversity.watched {
            self.watch();
        }
        true
    }

    fn act(&mut self, who: usize) {
        self.core.now.set(self.world.now);
        let moved = (self.world.taken, self.world.out.output.len());
        self.world.wait = Wait::Nothing;
        let over = if who == SOURCE {
            let turn = self
                .source
                .step(&self.core, &mut Side(&mut self.world, SOURCE));
            match turn {
                Turn::Over(_) => {
                    let inside = self.source.intake.cursor.is_inside();
                    self.core.tell(|weir, now| weir.on_input_end(now, inside));
                    true
                }
                Turn::On | Turn::Waits => false,
            }
        } else {
            let turn = self.sink.step(&self.core, &mut Side(&mut self.world, SINK));
            matches!(turn, Turn::Over(SinkEnd::Delivered))
        };
        self.waits[who] = if over { Wait::Over } else { self.world.wait };
        if moved != (self.world.taken, self.world.out.output.len()) {
            self.idle_steps = 0;
        }
        self.note_turn();
        self.wake();
    }

    /// Notes at which occupancies the source stops and goes on.
    fn note_turn(&mut self) {
        let waits = matches!(self.waits[SOURCE], Wait::Bell(None));
        match self.closed_at {
            None if waits => self.closed_at = Some(self.used()),
            Some(high) if !waits => {
                self.world.out.turns.push((high, self.used()));
                self.closed_at = None;
            }
            _ => {}
        }
    }

    fn wake(&mut self) {
        let mut weir = self.core.weir.borrow_mut();
        let wakes = weir.take_wakes();
        if wakes.spill {
            let (bytes, lost) = weir.take_spill(false);
            assert_eq!(lost, 0);
            self.world.out.spilled.extend(bytes);
        }
        self.world.rung[SOURCE] |= wakes.source;
        self.world.rung[SINK] |= wakes.sink;
    }

    fn watch(&mut self) {
        let watch = self.core.weir.borrow_mut().watch(self.world.now);
        self.world.out.accused |= matches!(watch, Watch::Stalled(..));
    }

    fn jump(&mut self) -> bool {
        let timer = |wait| match wait {
            Wait::Bell(until) | Wait::Room(until) => until,
            _ => None,
        };
        let event = self.world.events.front().map(|e| e.0);
        let next = [timer(self.waits[SOURCE]), timer(self.waits[SINK]), event];
        match next.into_iter().flatten().min() {
            Some(at) if self.waits[SINK] != Wait::Over => {
                self.world.now = self.world.now.max(at);
                self.idle_steps = 0;
                true
            }
            _ => false,
        }
    }

    /// Lets happen what is due.
    fn happen(&mut self) {
        while self
            .world
            .events
            .front()
            .is_some_and(|e| e.0 <= self.world.now)
        {
            match self.world.events.pop_front() {
                Some((_, Event::Offer(n))) => {
                    let all = self.world.s.input.0.len();
                    self.world.offered = (self.world.offered + n).min(all);
                }
                Some((_, Event::Take(n))) => self.world.appetite += n,
                Some((_, Event::Stop(time))) => self.stand_still(time),
                Some((_, Event::Tell(command))) => self.told(command),
                None => {}
            }
        }
    }

    /// The process is stopped, maybe just when somebody had looked at the clock.
    fn stand_still(&mut self, time: Duration) {
        let then = self.world.now;
        self.world.now += time;
        if self.adversity.stale_clock {
            self.watch();
            for who in [SOURCE, SINK] {
                let about = [self.source.is_about_to_tell(), self.sink.is_about_to_tell()][who];
                if about && self.waits[who] == Wait::Nothing {
                    let now = std::mem::replace(&mut self.world.now, then);
                    self.act(who);
                    self.world.now = now;
                }
            }
            self.watch();
        }
    }

    fn told(&mut self, command: Command) {
        // What has leave by one cap may pass after that has changed.
        while self.sink.holds_leave() {
            self.act(SINK);
        }
        while self.source.holds_leave() {
            self.act(SOURCE);
        }
        // What may be read already may come on top.
        self.held = self.used() + self.source.intake.room();
        self.core.weir.borrow_mut().command(self.world.now, command);
        let at = self.world.now - self.world.start;
        self.world.out.told.push((at, command));
        self.wake();
        // Every call takes time: what is told at this instant comes before it.
        self.world.now += Duration::from_nanos(1);
    }

    fn finish(mut self) -> Outcome {
        let spilled = self.core.weir.borrow_mut().take_spill(true).0;
        self.world.out.spilled.extend(spilled);
        self.world.out.end = self.world.now - self.world.start;
        self.world.out.taken = self.world.taken;
        let weir = self.core.weir.into_inner();
        self.world.out.finished = self.waits[SINK] == Wait::Over && weir.is_finished();
        self.world.out.weir = weir;
        self.world.out
    }

    fn used(&self) -> usize {
        self.core.weir.borrow().books(self.world.now).buffer.used
    }

    /// What holds after every step, but for what is between a call of the system and its telling.
    fn check(&self) {
        let status = self.core.weir.borrow().books(self.world.now);
        let used = status.buffer.used as u64;
        assert_eq!(
            status.read.bytes,
            status.written.bytes + status.shed.total.bytes + used
        );
        assert!(status.read.bytes <= self.world.taken as u64);
        assert!(status.written.bytes <= self.world.out.output.len() as u64);
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
