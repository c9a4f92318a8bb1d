//! The simulator: the real drivers and the real state machine between a scripted producer and a
//! scripted consumer, with a made-up clock that jumps from event to event. Hours of its time pass in
//! seconds of ours, and the same scenario always runs the same way.
//!
//! It stands in for the kernel's two pipes, the two neighbours, the memory and the scheduler. A step is
//! one call of one driver, so anything may come between any two calls. After every step it checks what
//! must always hold; at the end it returns what the consumer got and when.

mod programs;
mod workers;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSliceMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) use workers::WorkerScript;

use super::text::records;
use crate::engine::action::{Actor, For, Path, Permit, Taker, Wait, Write};
use crate::engine::directive::Directive;
use crate::engine::disk::Inherited;
use crate::engine::drive::{Access, Driver, Edge, End, NoRoom, Passage, Turn};
use crate::engine::gate::Marks;
use crate::engine::limiter::Bursts;
use crate::engine::on_disk::{EXTENT_MOST, Load};
use crate::engine::record::Framing;
use crate::engine::scan::Run;
use crate::engine::segment::Segment;
use crate::engine::side::Role;
use crate::engine::sorter::Sorter;
use crate::engine::stall::{self, Timeouts, Watch};
use crate::engine::task::{Answer, Task};
use crate::engine::ticket::{Finish, Ticket};
use crate::engine::{Engine, Limits, OVERFLOW, Rules};

/// What the producer does: each burst of bytes is offered at its time, and waits for room.
pub(super) type Offers = Vec<(Duration, usize)>;
/// What the consumer does: from each time on it takes up to so many bytes.
pub(super) type Takes = Vec<(Duration, usize)>;
/// What happens to the process: at each time everything stands still for so long.
pub(super) type Stops = Vec<(Duration, Duration)>;

/// What the state machine is told while it runs.
pub(super) type Commands = Vec<(Duration, Directive)>;

/// One run to simulate.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
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
pub(super) struct Text(pub Vec<u8>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What reached the pipe to the consumer, and when each piece did.
    pub passed: Vec<(Duration, usize)>,
    /// The bytes that did.
    pub output: Vec<u8>,
    /// The state machine after the last step.
    pub engine: Engine,
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
    /// Each try of a batch: what it was told, when it began and ended, what it got, and what came of it.
    pub tries: Vec<Try>,
    /// What each run of a worker's program has dealt with.
    pub workers: Vec<Vec<u8>>,
    /// When each of them was run.
    pub starts: Vec<Duration>,
    /// When one got the end of what it reads.
    pub closed: Vec<Duration>,
    /// A worker has left although there was more.
    pub someone_left: bool,
    /// What each tee and tap got, once for each time that somebody was there to take it.
    pub sides: Vec<Vec<Vec<u8>>>,
    /// How often bytes went to several at once, around the log.
    pub fanned: usize,
    /// How often these were read, too, for somebody who was owed them.
    pub kept: usize,
    /// Where each tee and tap began in the stream that outlives the run.
    pub tee_bases: Vec<u64>,
    /// What lies where it outlives the run, and was not delivered by what is remembered.
    pub left: Left,
}

/// What a run leaves for the next one, where it outlives it.
#[derive(Debug, Default, Clone)]
pub(super) struct Left {
    /// All that was ever put on the disk, and how much of that has been given back.
    pub bytes: Vec<u8>,
    pub floor: u64,
    /// What of it somebody is still owed.
    pub inherited: Inherited,
}

/// A try of a batch.
#[derive(Debug, Clone)]
pub(super) struct Try {
    pub ticket: Ticket,
    pub began: Duration,
    pub ended: Option<Duration>,
    pub bytes: Vec<u8>,
    pub finish: Option<Finish>,
}

/// What a driver is about.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Doing {
    Something,
    /// A program runs until then.
    Running(Instant),
    Waiting(Wait),
    Nothing,
}

/// Blocking, all of the capacity in use, nothing capped.
pub(super) fn rules(capacity: usize) -> Rules {
    Rules {
        capacity,
        memory: None,
        outlives: false,
        marks: Marks {
            high: capacity,
            low: capacity - capacity / 8,
            prefill: 0,
        },
        may_bypass: true,
        keeps_given: false,
        batch: None,
        workers: None,
        framing: None,
        output: Limits::default(),
        input: Limits::default(),
        burst: Bursts::default(),
        shed: None,
        max_age: None,
        stop_at: None,
        patience: Timeouts::default(),
        recall: None,
    }
}

/// Takes everything, in time.
pub(super) fn glutton() -> Takes {
    vec![(Duration::ZERO, usize::MAX / 2)]
}

/// A producer and a consumer that are always ready.
pub(super) fn plain(rules: Rules, input: Vec<u8>) -> Scenario {
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

/// A tee or a tap.
#[derive(Debug, Clone, Copy)]
pub(super) struct SidePlan {
    pub role: Role,
    /// When somebody comes to read it, if not from the start.
    pub comes: Option<Duration>,
    /// Between these times it takes nothing.
    pub stalls: Option<(Duration, Duration)>,
    /// From then on it fails, and when somebody else comes: a tap may be read again.
    pub dies: Option<(Duration, Duration)>,
}

/// What else may happen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Adversity {
    /// Who gets the stream beside the consumer.
    pub sides: [Option<SidePlan>; 3],
    /// Who comes to look into it while it runs, and goes.
    pub lookers: [Option<SidePlan>; 3],
    /// How much of what has passed is kept for them.
    pub recall: Option<u64>,
    /// Between these times the system has no memory.
    pub short: Option<(Duration, Duration)>,
    /// From this time on the output fails.
    pub dies: Option<Duration>,
    /// At this time nothing is to move any more.
    pub halts: Option<Duration>,
    /// The consumer falls at the first of these times, and another one comes at the second, which gets what that
    /// one had not read.
    pub falls: [Option<(Duration, Duration)>; 3],
    /// A process is stopped between looking at the clock and telling the time.
    pub stale_clock: bool,
    /// The watchdog looks.
    pub watched: bool,
    /// The file for what is shed takes nothing until this time.
    pub slow_file: Option<Duration>,
    /// What the programs do that are run with batches.
    pub programs: Script,
    /// What workers do.
    pub workers: WorkerScript,
    /// The disk.
    pub disk: Disk,
    /// Which patterns tell the lanes of records apart, and which of them are to be kept.
    pub lanes: Option<(Option<&'static str>, Option<&'static str>)>,
}

/// What programs do that are run with batches.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Script {
    /// One try in so many fails, and one in so many is rejected.
    pub fails: Option<u64>,
    pub rejects: Option<u64>,
    /// Until then all fail.
    pub outage: Duration,
    /// How long each runs, at most.
    pub lasts: Duration,
    /// From then on, and until then, programs do not end.
    pub hangs: Option<(Duration, Duration)>,
}

/// What the disk behind memory is like, if there is one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Disk {
    /// Bytes that it holds; it gives them back in pieces of a 16th of that.
    pub bound: u64,
    /// Between these times others fill it.
    pub full: Option<(Duration, Duration)>,
    /// One write in so many is cut short although there was room.
    pub tears: Option<u64>,
    /// From this time on nothing can be read back.
    pub fails: Option<Duration>,
    /// How long each of its calls takes.
    pub slow: Duration,
}

/// The state machine, without a lock.
struct Core {
    engine: RefCell<Engine>,
    now: Cell<Instant>,
}

impl Access for Core {
    fn tell<R>(&self, what: impl FnOnce(&mut Engine, Instant) -> R) -> R {
        what(&mut self.engine.borrow_mut(), self.now.get())
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
    offers_left: usize,
    /// How much the consumer is willing to take, and how much lies in its pipe.
    appetite: usize,
    lying: usize,
    events: VecDeque<(Instant, Event)>,
    out: Outcome,
    rng: u64,
    adversity: Adversity,
    /// What was asked of the world in this step.
    doing: Doing,
    /// The version that each sleeper's waker has.
    versions: Vec<u64>,
    job_versions: Vec<u64>,
    sides: Vec<SidePlan>,
    /// Those who are not there.
    away: Vec<bool>,
    /// The files of jobs: which batch, and its bytes so far; and the try that is under way.
    files: Vec<(u64, Vec<u8>)>,
    running: Vec<Option<usize>>,
    /// Workers, what they have read and been given, who has been found to read no more, who was emptied and nobody
    /// knows it yet, and whether one has left although there was more.
    workers: Vec<workers::Program>,
    reads: usize,
    deaf: Option<usize>,
    untold: Vec<usize>,
    left: bool,
    /// What an earlier run has left, and where that begins for the consumer.
    inherited: Inherited,
    base: u64,
    /// The journal of batches, by their first places.
    begun: BTreeMap<u64, programs::Begun>,
    /// What is remembered of how far the consumer has come: an offset, and how far that is inside of a record.
    remembered: (u64, u64),
    /// The same of each tee, and where it was at first; who has failed; and what was left for the consumer.
    tees: Vec<(u64, u64)>,
    tee_bases: Vec<(u64, u64)>,
    failed: Vec<bool>,
    came_before: u64,
    /// What was put on the disk, and how much of it has been given back.
    disk: Vec<u8>,
    floor: u64,
}

/// The world as one of them sees it.
struct Side<'a>(&'a mut World, usize);

struct Sim {
    core: Core,
    drivers: Vec<Driver>,
    doing: Vec<Doing>,
    jobs: Vec<Driver>,
    jobs_doing: Vec<Doing>,
    world: World,
    closed_at: Option<usize>,
    /// What was held when a command was given: a mark that falls below it lets it be.
    held: usize,
    idle_steps: usize,
    /// Bytes of the longest record.
    longest: usize,
    /// When a byte last moved.
    moved_at: Instant,
    /// Nothing was on its way to the consumer since that was asked for.
    quiet: bool,
    /// The output has failed.
    failed: bool,
    /// The consumer has fallen, and no other has come.
    fallen: bool,
    any_job_left: bool,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Offer(usize),
    Take(usize),
    Stop(Duration),
    Tell(Directive),
    Halt,
    Fall,
    Rise,
    /// Somebody comes to read this tee or tap.
    Come(usize),
    /// Somebody comes to look.
    Look(SidePlan),
    /// Something outside is as it was.
    Nothing,
}

const SOURCE: usize = 0;
const SINK: usize = 1;
const FILE: usize = 2;
/// The first of the tees and taps.
const SIDES: usize = 3;
/// The first of the jobs.
const JOBS: usize = 1000;

/// The first of the programs of workers.
const PROGRAMS: usize = 2000;

/// Steps without any byte moved, after which a driver is taken for one that spins.
const SPINNING: usize = 10_000;
/// Time without any byte moved, and with nothing to come, after which it is over.
const IN_VAIN: Duration = Duration::from_secs(50);

/// Runs a scenario to its end, or until nothing can happen any more.
pub(super) fn run(s: Scenario) -> Outcome {
    run_through(s, Adversity::default())
}

/// The same in a harder world.
pub(super) fn run_through(s: Scenario, adversity: Adversity) -> Outcome {
    run_after(Left::default(), s, adversity)
}

/// The same behind what an earlier run has left.
pub(super) fn run_after(left: Left, s: Scenario, adversity: Adversity) -> Outcome {
    let start = Instant::now();
    let mut events: Vec<_> = s
        .offers
        .iter()
        .map(|&(t, n)| (start + t, Event::Offer(n)))
        .collect();
    events.extend(s.takes.iter().map(|&(t, n)| (start + t, Event::Take(n))));
    events.extend(s.stops.iter().map(|&(t, d)| (start + t, Event::Stop(d))));
    events.extend(s.commands.iter().map(|&(t, c)| (start + t, Event::Tell(c))));
    for (falls, rises) in adversity.falls.into_iter().flatten() {
        events.push((start + falls, Event::Fall));
        events.push((start + rises, Event::Rise));
    }
    events.extend(adversity.halts.map(|t| (start + t, Event::Halt)));
    let ends = [
        adversity.short.map(|s| s.1),
        adversity.dies,
        adversity.slow_file,
        adversity.disk.full.map(|full| full.1),
    ];
    events.extend(
        ends.into_iter()
            .flatten()
            .map(|t| (start + t, Event::Nothing)),
    );
    let recall = adversity.recall.map(|share| SidePlan {
        role: Role::Recall(share),
        comes: None,
        stalls: None,
        dies: None,
    });
    let sides = adversity.sides.into_iter().chain([recall]).flatten();
    let sides: Vec<SidePlan> = sides.collect();
    for looker in adversity.lookers.into_iter().flatten() {
        let comes = looker.comes.map(|t| (start + t, Event::Look(looker)));
        events.extend(comes);
        let ends = looker.stalls.map(|s| s.1).into_iter();
        let ends = ends.chain(looker.dies.map(|dies| dies.0));
        events.extend(ends.map(|t| (start + t, Event::Nothing)));
    }
    for (i, side) in sides.iter().enumerate() {
        let is_tap = matches!(side.role, Role::Tap(_));
        let back = side.dies.filter(|_| is_tap).map(|dies| dies.1);
        let comes = side.comes.into_iter().chain(back);
        events.extend(comes.map(|t| (start + t, Event::Come(SIDES + i))));
        let dies = side.dies.map(|dies| dies.0);
        let ends = side.stalls.map(|s| s.1).into_iter().chain(dies);
        events.extend(ends.map(|t| (start + t, Event::Nothing)));
    }
    events.sort_by_key(|e| e.0);
    let out = Outcome {
        passed: Vec::new(),
        output: Vec::new(),
        engine: Engine::new(s.rules, start),
        end: Duration::ZERO,
        finished: false,
        turns: Vec::new(),
        spilled: Vec::new(),
        told: Vec::new(),
        taken: 0,
        accused: false,
        span: false,
        tries: Vec::new(),
        starts: Vec::new(),
        closed: Vec::new(),
        someone_left: false,
        workers: Vec::new(),
        sides: vec![Vec::new(); sides.len()],
        fanned: 0,
        kept: 0,
        tee_bases: Vec::new(),
        left: Left::default(),
    };
    let mut engine = Engine::new(s.rules, start);
    engine.want_overflow();
    if let Some((key, keep)) = adversity.lanes {
        let key = key.map(|text| text.parse().expect("a key"));
        let keep = keep.map(|text| text.parse().expect("a pattern"));
        engine.sort_by(Sorter { key, keep }, s.seed, start);
    }
    if s.rules.memory.is_some() {
        engine.give_reserve(Segment::map(engine.segment_size()).expect("memory"));
    }
    let mut drivers = [Actor::Source, Actor::Output(0), Actor::Output(OVERFLOW)].to_vec();
    let mut doing = vec![Doing::Something; 3];
    for side in &sides {
        let is_vacant = side.comes.is_some();
        let is_read = !matches!(side.role, Role::Recall(_)) && !is_vacant;
        let i = engine.add_side(side.role, is_vacant);
        if is_read && is_pipe(s.seed, i) {
            engine.let_side_pass(i, start);
        }
        drivers.push(Actor::Output(i));
        doing.push(if is_read {
            Doing::Something
        } else {
            Doing::Nothing
        });
    }
    if s.rules.outlives {
        engine.inherit(&left.inherited, start);
    }
    let workers = s.rules.workers.map_or(0, |workers| workers.count.most);
    let jobs = s.rules.batch.map_or(workers, |batch| batch.jobs.most);
    if jobs > 0 {
        doing[SINK] = Doing::Nothing;
    }
    engine.on_input_begin(Path {
        direct: s.direct,
        fans_out: s.direct,
        waits_first: !s.seed.is_multiple_of(3),
        ..Path::default()
    });
    let longest = match s.rules.framing {
        None => 1,
        framing => {
            let all = records(framing, &s.input.0);
            all.iter().map(|it| it.len()).max().unwrap_or(0)
        }
    };
    let held = programs::most_owed(&left.inherited, sides.len());
    let tees = programs::tees_of(&left.inherited, sides.len());
    let remembered = programs::first_of(&left.inherited);
    let mut sim = Sim {
        core: Core {
            engine: RefCell::new(engine),
            now: Cell::new(start),
        },
        drivers: drivers.into_iter().map(Driver::new).collect(),
        doing,
        jobs: (0..jobs).map(|j| Driver::new(Actor::Job(j))).collect(),
        jobs_doing: vec![Doing::Something; jobs],

        world: World {
            start,
            now: start,
            offered: 0,
            entered: 0,
            taken: 0,
            offers_left: s.offers.len(),
            appetite: 0,
            lying: 0,
            events: events.into(),
            out,
            rng: s.seed | 1,
            adversity,
            doing: Doing::Something,
            versions: vec![0; SIDES + sides.len()],
            away: vec![true; sides.len()],
            sides,
            files: vec![(0, Vec::new()); jobs],
            running: vec![None; jobs],
            workers: std::iter::repeat_with(Default::default)
                .take(workers)
                .collect(),
            reads: 0,
            deaf: None,
            untold: Vec::new(),
            left: false,
            job_versions: vec![0; jobs],
            base: remembered.0,
            remembered,
            tee_bases: tees.clone(),
            failed: vec![false; tees.len()],
            tees,
            came_before: programs::of_consumer(&left.inherited),
            disk: left.bytes,
            // What nobody is owed is given back by whoever finds the spool full.
            floor: left.floor.max(programs::lowest(&left.inherited)),
            inherited: left.inherited,
            begun: BTreeMap::new(),
            s,
        },
        closed_at: None,
        held,
        idle_steps: 0,
        longest,
        moved_at: start,
        quiet: false,
        failed: false,
        fallen: false,
        any_job_left: false,
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

    fn is_dead(&self) -> bool {
        let dies = self.adversity.dies;
        dies.is_some_and(|at| self.now >= self.start + at)
    }

    fn producer_is_done(&self) -> bool {
        self.offers_left == 0 && self.entered == self.offered
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

    /// Whether this tee or tap has room now.
    fn has_room(&self, who: usize) -> bool {
        let now = self.now - self.start;
        let stalls = self.sides[who - SIDES].stalls;
        self.is_gone(who) || !stalls.is_some_and(|(from, to)| (from..to).contains(&now))
    }

    /// Whether it has died, and nobody else has come.
    fn is_gone(&self, who: usize) -> bool {
        let now = self.now - self.start;
        let dies = self.sides[who - SIDES].dies;
        dies.is_some_and(|(from, to)| (from..to).contains(&now))
    }

    /// What this tee or tap takes.
    fn take_side(&mut self, who: usize, write: &Write) -> io::Result<Option<usize>> {
        if self.is_gone(who) {
            return Err(io::ErrorKind::BrokenPipe.into());
        } else if !self.has_room(who) {
            return Ok(None);
        }
        let bytes: Vec<u8> = write.slices().collect::<Vec<_>>().concat();
        let n = 1 + self.random() as usize % bytes.len();
        self.give_side(who, &bytes[..n]);
        Ok(Some(n))
    }

    fn give_side(&mut self, who: usize, bytes: &[u8]) {
        if std::mem::take(&mut self.away[who - SIDES]) {
            self.out.sides[who - SIDES].push(Vec::new());
        }
        let got = self.out.sides[who - SIDES].last_mut().expect("it is there");
        got.extend_from_slice(bytes);
    }

    /// Whether it has come to look, and has gone.
    fn has_left(&self, who: usize) -> bool {
        let is_looker = |plan: &SidePlan| matches!(plan.role, Role::Looker(_));
        who >= SIDES && is_looker(&self.sides[who - SIDES]) && self.is_gone(who)
    }

    /// Bytes that there is room for on the disk.
    fn disk_room(&self) -> Result<usize, NoRoom> {
        let now = self.now - self.start;
        let disk = &self.adversity.disk;
        if disk
            .full
            .is_some_and(|(from, to)| (from..to).contains(&now))
        {
            return Err(NoRoom::Others);
        }
        let left = (disk.bound + self.floor).saturating_sub(self.disk.len() as u64);
        match left as usize {
            0 => Err(NoRoom::Ours),
            room => Ok(room),
        }
    }

    /// What is before this offset is given back, in whole pieces. Says whether there was anything.
    fn give_back(&mut self, floor: u64) -> bool {
        assert!(floor <= self.disk.len() as u64, "a floor that is not there");
        let floor = match self.s.rules.outlives {
            // What is lost to the file for what is shed stays there for another run.
            true => floor.min(self.owed_from()).max(self.floor),
            false => floor,
        };
        assert!(floor >= self.floor, "the floor goes back");
        let piece = (self.adversity.disk.bound / 16).max(1);
        let before = std::mem::replace(&mut self.floor, floor / piece * piece);
        self.floor > before
    }

    /// Whether who is about this can act.
    fn can_act(&self, who: usize, doing: Doing) -> bool {
        let wait = match doing {
            Doing::Something => return true,
            Doing::Running(until) => return self.now >= until,
            Doing::Waiting(wait) => wait,
            Doing::Nothing => return false,
        };
        let is_due = wait.sleep.until.is_some_and(|at| self.now >= at);
        let is_woken = match who.checked_sub(JOBS) {
            Some(j) => {
                let has_room = wait.sleep.what == For::Room && self.workers[j].has_room();
                return is_due || has_room || self.job_versions[j] != wait.version;
            }
            None => self.versions[who] != wait.version,
        };
        match (wait.sleep.what, who) {
            (For::Input, _) => self.has_input(),
            (For::Room, SOURCE) => self.room() > 0 || is_due,
            (For::Room, SIDES..) => self.has_room(who),
            (For::Room, _) => self.room() > 0 || is_due || is_woken,
            _ => is_due || is_woken || self.has_left(who),
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

/// Whether bytes can go to a tee or tap of this number around the log: most can.
fn is_pipe(seed: u64, i: usize) -> bool {
    !(seed + i as u64).is_multiple_of(5)
}

impl Edge for Side<'_> {
    fn segment(&mut self, size: usize) -> io::Result<Arc<Segment>> {
        let now = self.0.now - self.0.start;
        let short = self.0.adversity.short;
        if short.is_some_and(|(from, to)| (from..to).contains(&now)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Segment::map(size)
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

    fn pass_on(&mut self, bytes: &[u8], permit: Permit) -> usize {
        if self.0.random().is_multiple_of(2) || self.0.is_dead() {
            return 0;
        }
        self.0.put(permit.within(bytes))
    }

    fn bypass(&mut self, permit: Permit) -> Passage {
        let world = &mut *self.0;
        let n = world.waiting().min(world.room());
        if world.waiting() == 0 && world.producer_is_done() {
            return Passage::End;
        } else if n == 0 {
            return Passage::Stuck;
        } else if world.is_dead() {
            return Passage::Failed(stall::Side::Sink, io::ErrorKind::BrokenPipe.into());
        }
        let bytes = permit.within(&world.s.input.0[world.taken..][..n]).to_vec();
        assert!(!bytes.is_empty(), "a permit to pass nothing");
        world.put(&bytes);
        world.taken += bytes.len();
        Passage::Passed(permit.use_up(&bytes))
    }

    fn fan_out(&mut self, permit: Permit, takers: &mut [Taker], is_owed: bool) -> Passage {
        let world = &mut *self.0;
        let n = world.waiting().min(world.room());
        if world.waiting() == 0 && world.producer_is_done() {
            return Passage::End;
        } else if n == 0 {
            return Passage::Stuck;
        } else if world.is_dead() {
            return Passage::Failed(stall::Side::Sink, io::ErrorKind::BrokenPipe.into());
        }
        let bytes = permit.within(&world.s.input.0[world.taken..][..n]).to_vec();
        world.put(&bytes);
        let is_whole = !permit.use_up(&bytes).cursor.is_inside();
        for taker in &mut *takers {
            let who = taker.i - OVERFLOW - 1 + SIDES;
            // As a rule all of it.
            let most = match world.random() % 4 {
                0 => world.random() as usize % (bytes.len() + 1),
                _ => bytes.len(),
            };
            let takes = world.has_room(who) && !world.is_gone(who);
            if takes && (is_whole || !taker.only_whole) && most > 0 {
                taker.had = most;
                world.give_side(who, &bytes[..most]);
            }
        }
        world.out.fanned += 1;
        world.out.kept += usize::from(is_owed);
        if is_owed || takers.iter().any(|taker| taker.had < bytes.len()) {
            return Passage::Uneven(bytes.len());
        }
        world.taken += bytes.len();
        Passage::Passed(permit.use_up(&bytes))
    }

    fn is_readable(&mut self) -> bool {
        self.0.has_input()
    }

    fn write(&mut self, write: &Write) -> io::Result<Option<usize>> {
        if self.1 == FILE {
            let records: Vec<u8> = write.slices().collect::<Vec<_>>().concat();
            self.0.out.spilled.extend_from_slice(&records);
            return Ok(Some(records.len()));
        }
        if self.1 >= JOBS && !self.0.workers.is_empty() {
            return Ok(self.0.give(self.1 - JOBS, write));
        }
        if self.1 >= JOBS {
            return self.0.fill(self.1 - JOBS, write);
        }
        if self.1 >= SIDES {
            return self.0.take_side(self.1, write);
        }
        if self.0.is_dead() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut done = 0;
        let mut all = 0;
        for bytes in write.slices() {
            let n = self.0.put(bytes);
            (done, all) = (done + n, all + bytes.len());
            if n < bytes.len() {
                break;
            }
        }
        assert!(all > 0, "a permit to write nothing");
        Ok((done > 0).then_some(done))
    }

    fn disk_room(&mut self, most: usize) -> Result<usize, NoRoom> {
        self.0.now += self.0.adversity.disk.slow;
        self.0.disk_room().map(|room| room.min(most))
    }

    fn store(&mut self, bytes: &[u8]) -> Option<u64> {
        let world = &mut *self.0;
        world.now += world.adversity.disk.slow;
        let at = world.disk.len() as u64;
        let random = world.random();
        if let Some(n) = world
            .adversity
            .disk
            .tears
            .filter(|n| random.is_multiple_of(*n))
        {
            let cut = (n as usize * 7) % bytes.len();
            world.disk.extend_from_slice(&bytes[..cut]);
            return None;
        }
        world.disk.extend_from_slice(bytes);
        Some(at)
    }

    fn fetch(&mut self, load: &mut Load) -> io::Result<()> {
        let world = &mut *self.0;
        world.now += world.adversity.disk.slow;
        let now = world.now - world.start;
        if world.adversity.disk.fails.is_some_and(|at| now >= at) {
            return Err(io::ErrorKind::Other.into());
        }
        let from = load.offset as usize;
        let n = if world.s.rules.outlives {
            // As much as is in one piece there.
            1 + world.random() as usize % load.length.min(EXTENT_MOST)
        } else {
            load.length
        };
        let into = &mut load.bytes()[..n];
        match from as u64 >= world.floor {
            true => into.copy_from_slice(&world.disk[from..from + n]),
            // Nobody is owed it any more.
            false => into.fill(b'?'),
        }
        load.read(0..n);
        Ok(())
    }

    fn run(&mut self, ticket: &Ticket) -> Option<Finish> {
        self.0.run_program(self.1 - JOBS, ticket)
    }

    fn remember(&mut self, to: u64, run: Run) -> io::Result<()> {
        if self.1 == FILE {
            self.0.on_shed_written(to - run.bytes as u64, to);
            return Ok(());
        }
        let place = match self.1 {
            SIDES..JOBS => &mut self.0.tees[self.1 - SIDES],
            _ => &mut self.0.remembered,
        };
        let follows = place.0 + run.bytes as u64;
        assert_eq!(to, follows, "a place that does not follow");
        *place = (to, run.cursor.depth());
        Ok(())
    }

    fn order(&mut self, task: Task) -> Option<Answer> {
        Some(self.0.obey(self.1 - JOBS, task))
    }

    fn unread(&mut self) -> Option<u64> {
        let j = self
            .1
            .checked_sub(JOBS)
            .filter(|_| !self.0.workers.is_empty());
        j.map(|j| self.0.lies_with(j))
    }

    fn fit(&mut self, size: usize) -> bool {
        if self.1 >= JOBS {
            return self.0.fit_worker(self.1 - JOBS, size);
        }
        self.0.random().is_multiple_of(2)
    }

    fn wait(&mut self, wait: Wait) -> Option<io::Result<bool>> {
        let doing = Doing::Waiting(wait);
        let is_over = self.0.can_act(self.1, doing);
        self.0.doing = if is_over { Doing::Something } else { doing };
        let ready = match wait.sleep.what {
            For::Input => true,
            For::Room if self.1 >= JOBS => self.0.workers[self.1 - JOBS].has_room(),
            For::Room if self.1 >= SIDES => self.0.has_room(self.1),
            For::Room => self.0.room() > 0,
            _ => false,
        };
        if is_over && self.1 < JOBS && self.0.has_left(self.1) {
            return Some(Err(io::ErrorKind::BrokenPipe.into()));
        }
        is_over.then_some(Ok(ready))
    }
}

impl Sim {
    /// One call of somebody, or a jump to the next thing that happens. False when nothing will.
    fn step(&mut self) -> bool {
        self.happen();
        self.world.neighbours();
        let can = (0..self.drivers.len()).filter(|who| self.can_act(*who));
        let jobs =
            (0..self.jobs.len()).filter(|j| self.world.can_act(JOBS + j, self.jobs_doing[*j]));
        let now = self.world.now;
        let programs = (0..self.world.workers.len())
            .filter(|j| self.world.program_due(*j).is_some_and(|at| at <= now));
        let can = can.chain(jobs.map(|j| JOBS + j));
        let can: Vec<usize> = can.chain(programs.map(|j| PROGRAMS + j)).collect();
        if can.is_empty() {
            return self.jump();
        }
        let lasts = 1 + self.world.random() % 5_000;
        self.world.now += Duration::from_nanos(lasts);
        let who = can[self.world.random() as usize % can.len()];
        self.act(who);
        self.idle_steps += 1;
        if self.idle_steps > SPINNING {
            self.world.out.span = true;
            // What they have in hand is given back, so that it is this that is told of.
            self.finish_calls();
            return false;
        }
        if self.world.adversity.watched {
            self.watch();
        }
        true
    }

    /// Lets everybody who is about to do something do it.
    fn finish_calls(&mut self) {
        for who in 0..self.drivers.len() {
            for _ in 0..2 {
                if self.doing[who] == Doing::Something {
                    self.act(who);
                }
            }
        }
    }

    fn can_act(&self, who: usize) -> bool {
        let slow = self.world.adversity.slow_file;
        let is_slow = slow.is_some_and(|until| self.world.now < self.world.start + until);
        self.world.can_act(who, self.doing[who]) && !(who == FILE && is_slow)
    }

    fn act(&mut self, who: usize) {
        if who >= PROGRAMS {
            return self.act_as_program(who - PROGRAMS);
        }
        if who >= JOBS {
            return self.act_as_job(who - JOBS);
        }
        self.core.now.set(self.world.now);
        let moved = self.moved();
        self.world.doing = Doing::Something;
        let turn = self.drivers[who].step(&self.core, &mut Side(&mut self.world, who));
        self.doing[who] = match turn {
            Turn::On | Turn::Waits => self.world.doing,
            Turn::Over(end) if who >= SIDES => self.end_of_side(who, &end),
            Turn::Over(end) => {
                self.failed |= matches!(end, End::Write(_) | End::Memory | End::Disk(_));
                if who == SOURCE {
                    self.core.tell(|engine, now| engine.on_input_end(now));
                }
                Doing::Nothing
            }
        };
        if moved != self.moved() {
            self.idle_steps = 0;
            self.moved_at = self.world.now;
        }
        self.wake();
        self.note_turn();
    }

    /// What has moved so far.
    fn moved(&self) -> (usize, usize, usize) {
        let out = &self.world.out;
        let sides: usize = out.sides.iter().flatten().map(Vec::len).sum();
        let files: usize = self.world.files.iter().map(|file| file.1.len()).sum();
        let tries =
            files + out.tries.len() + out.tries.iter().filter(|it| it.finish.is_some()).count();
        (
            self.world.taken,
            out.output.len() + tries + self.world.reads,
            sides,
        )
    }

    fn end_of_side(&mut self, who: usize, end: &End) -> Doing {
        let is_tap = matches!(self.world.sides[who - SIDES].role, Role::Tap(_));
        let i = who - SIDES + OVERFLOW + 1;
        let has_failed = matches!(end, End::Write(_) | End::Disk(_));
        if let Some(failed) = self.world.failed.get_mut(who - SIDES) {
            *failed |= has_failed && !is_tap;
        }
        let was_away = std::mem::replace(&mut self.world.away[who - SIDES], true);
        if matches!(self.world.sides[who - SIDES].role, Role::Looker(_)) {
            let written = self.core.engine.borrow().written_to(i);
            let got = self.world.out.sides[who - SIDES].last();
            let got = got.filter(|_| !was_away).map_or(0, Vec::len);
            assert_eq!(written, got as u64, "what a looker got");
            self.core.tell(|engine, now| engine.remove_looker(i, now));
            return Doing::Nothing;
        }
        self.core.tell(|engine, now| match has_failed && is_tap {
            true => engine.on_side_left(i, now),
            false => engine.on_side_over(i, has_failed, now),
        });
        Doing::Nothing
    }

    fn come(&mut self, who: usize) {
        if self.doing[who] != Doing::Nothing || self.world.is_gone(who) {
            return;
        }
        let i = who - SIDES + OVERFLOW + 1;
        let is_over = self.core.engine.borrow().is_finished();
        if is_over {
            return;
        }
        self.drivers[who] = Driver::new(Actor::Output(i));
        self.doing[who] = Doing::Something;
        self.core.now.set(self.world.now);
        self.core.tell(|engine, now| engine.on_side_open(i, now));
        if is_pipe(self.world.s.seed, i) {
            self.core.tell(|engine, now| engine.let_side_pass(i, now));
        }
        self.wake();
    }

    /// Somebody comes to look.
    fn look(&mut self, plan: SidePlan) {
        let share = plan.role.share().unwrap_or(0);
        self.core.now.set(self.world.now);
        let i = self.core.tell(|engine, now| engine.add_looker(share, now));
        let who = i - OVERFLOW - 1 + SIDES;
        if who == self.drivers.len() {
            self.drivers.push(Driver::new(Actor::Output(i)));
            self.doing.push(Doing::Nothing);
            self.world.versions.push(0);
            self.world.away.push(true);
            self.world.sides.push(plan);
            self.world.out.sides.push(Vec::new());
        }
        self.drivers[who] = Driver::new(Actor::Output(i));
        self.doing[who] = Doing::Something;
        self.world.versions[who] = 0;
        self.world.sides[who - SIDES] = plan;
        self.wake();
    }

    /// Notes at which occupancies the source stops for the gate, and goes on.
    fn note_turn(&mut self) {
        let waits = match self.doing[SOURCE] {
            Doing::Waiting(wait) => wait.sleep.what == For::Gate,
            _ => false,
        };
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
        let wakes = self.core.engine.borrow_mut().take_wakes();
        let [sink, file] = wakes.outputs;
        self.quiet |= wakes.quiet.is_some();
        for (j, version) in wakes.jobs {
            self.world.job_versions[j] = version;
        }
        for (i, version) in wakes.sides {
            self.world.versions[i - OVERFLOW - 1 + SIDES] = version;
        }
        for (who, version) in [wakes.source, sink, file].into_iter().enumerate() {
            if let Some(version) = version {
                self.world.versions[who] = version;
            }
        }
        if wakes.floor.is_some_and(|floor| self.world.give_back(floor)) {
            let now = self.world.now;
            self.core.engine.borrow_mut().on_disk_room(now);
            self.wake();
        }
    }

    fn watch(&mut self) {
        let watch = self.core.engine.borrow_mut().watch(self.world.now);
        self.world.out.accused |= matches!(watch, Watch::Stalled(..));
    }

    fn jump(&mut self) -> bool {
        let timers = self
            .doing
            .iter()
            .chain(&self.jobs_doing)
            .map(|doing| match doing {
                Doing::Waiting(wait) => wait.sleep.until,
                Doing::Running(until) => Some(*until),
                _ => None,
            });
        let event = self.world.events.front().map(|e| e.0);
        let programs = (0..self.world.workers.len()).map(|j| self.world.program_due(j));
        let timers = timers.chain(programs);
        let next = timers.chain([event]).flatten();
        let next = next.filter(|at| *at > self.world.now).min();
        match next {
            // Who tries again and again in vain does so for ever.
            Some(at) if event.is_none() && at > self.moved_at + IN_VAIN => false,
            Some(at) if self.doing[SINK] != Doing::Nothing || self.fallen || self.any_left() => {
                self.world.now = at;
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
                    self.world.offers_left -= 1;
                    let all = self.world.s.input.0.len();
                    self.world.offered = (self.world.offered + n).min(all);
                }
                Some((_, Event::Take(n))) => self.world.appetite += n,
                Some((_, Event::Stop(time))) => self.stand_still(time),
                Some((_, Event::Tell(command))) => self.told(command),
                Some((_, Event::Halt)) => {
                    self.core.engine.borrow_mut().halt(self.world.now);
                    self.wake();
                }
                Some((_, Event::Fall)) => self.fall(),
                Some((_, Event::Rise)) => self.rise(),
                Some((_, Event::Come(who))) => self.come(who),
                Some((_, Event::Look(plan))) => self.look(plan),
                Some((_, Event::Nothing)) | None => {}
            }
        }
    }

    /// The consumer ends; what lies in its pipe is taken back, and the record that it had begun with it.
    fn fall(&mut self) {
        if self.fallen || self.failed || self.core.engine.borrow().is_halted() {
            return;
        }
        self.fallen = true;
        self.core.now.set(self.world.now);
        self.core.tell(|engine, now| engine.on_consumer_down(now));
        self.wake();
        while self.doing[SINK] != Doing::Nothing {
            assert!(self.can_act(SINK), "it sleeps on");
            self.act(SINK);
        }
        let unread = std::mem::take(&mut self.world.lying);
        self.core
            .tell(|engine, now| engine.take_back(unread as u64, now));
        self.wake();
        let engine = self.core.engine.borrow();
        let read = self.world.out.output.len() - unread;
        let delivered = engine.books(self.world.now).written.bytes as usize;
        assert!(delivered <= read, "what was not read counts as delivered");
        if let Some(Framing::Terminator(end)) = self.world.s.rules.framing {
            let begun = &self.world.out.output[delivered..read];
            assert!(!begun.contains(&end), "a whole record is given twice");
        } else if self.world.s.rules.framing.is_none() {
            assert_eq!(delivered, read, "bytes are given twice");
        }
        drop(engine);
        self.world.out.output.truncate(delivered);
        // What is being read was given room before that.
        let reading = self.core.engine.borrow().segment_size();
        self.held = self.held.max(self.used() + reading);
    }

    /// Another one comes.
    fn rise(&mut self) {
        if std::mem::take(&mut self.fallen) {
            self.drivers[SINK] = Driver::new(Actor::Output(0));
            self.doing[SINK] = Doing::Something;
            self.core.now.set(self.world.now);
            self.core
                .tell(|engine, now| engine.on_output_begin(false, None, now));
            self.wake();
        }
    }

    /// The process is stopped, with the lock in somebody's hand who has just looked at the clock.
    fn stand_still(&mut self, time: Duration) {
        let then = self.world.now;
        if self.world.adversity.stale_clock {
            for who in [SOURCE, SINK] {
                if self.doing[who] == Doing::Something {
                    self.act(who);
                }
            }
        }
        self.world.now = then + time;
    }

    fn told(&mut self, command: Directive) {
        // What may be read already may come on top, and so may what is being passed.
        self.held = self.used() + 256 * 1024;
        self.core
            .engine
            .borrow_mut()
            .command(self.world.now, command);
        self.wake();
        // What changes the caps is in force when nothing is on its way any more.
        self.quiet = self.core.engine.borrow_mut().want_quiet().is_none();
        while !self.quiet {
            for who in (0..self.drivers.len()).filter(|who| *who != FILE) {
                if self.doing[who] == Doing::Something {
                    self.act(who);
                }
            }
            for j in 0..self.world.workers.len() {
                if self.jobs_doing[j] == Doing::Something {
                    self.act_as_job(j);
                }
            }
        }
        let at = self.world.now - self.world.start;
        self.world.out.told.push((at, command));
        // Every call takes time: what is told at this instant comes before it.
        self.world.now += Duration::from_nanos(1);
    }

    fn finish(mut self) -> Outcome {
        let now = self.world.now;
        self.core.engine.borrow_mut().close_overflow(now);
        self.wake();
        self.world.adversity.slow_file = None;
        while self.can_act(FILE) {
            self.act(FILE);
        }
        // What taps are still owed they get while they take it.
        for who in SIDES..self.drivers.len() {
            while self.can_act(who) {
                self.act(who);
                self.check();
            }
        }
        self.end_programs();
        self.world.out.end = self.world.now - self.world.start;
        self.world.out.taken = self.world.taken;
        self.world.out.someone_left = self.world.left;
        // What was given, and nobody has asked for any more.
        for program in &self.world.workers {
            self.world.out.output.extend(program.held_bytes());
        }
        self.any_job_left = self.any_job();
        let inside = self.core.engine.borrow().source.cursor.depth();
        if self.world.s.rules.outlives {
            self.world.out.left = self.world.left_for_all(inside);
        }
        self.world.out.tee_bases = self.world.tee_bases.iter().map(|it| it.0).collect();
        let engine = self.core.engine.into_inner();
        let is_over = self.doing[SINK] == Doing::Nothing && !self.any_job_left;
        self.world.out.finished = is_over && engine.is_finished();
        self.world.out.engine = engine;
        self.world.out
    }

    fn used(&self) -> usize {
        self.core.engine.borrow().books(self.world.now).buffer.used
    }

    /// What holds after every step, but for what is between a call of the system and its telling.
    fn check(&self) {
        let engine = self.core.engine.borrow();
        let status = engine.books(self.world.now);
        let used = status.buffer.used as u64;
        let owed = status.read.bytes - status.written.bytes - status.shed.total.bytes;
        let is_alone = self.world.sides.is_empty();
        assert!(owed == used || owed < used && !is_alone, "the books");
        for (side, plan) in engine
            .side_status(self.world.now)
            .iter()
            .zip(&self.world.sides)
        {
            let gone = side.written.bytes + side.dropped.bytes;
            let read = status.read.bytes - self.world.came_before + side.inherited.bytes;
            assert_eq!(read, gone + side.owed, "the books of {plan:?}");
            if let Role::Tap(share) = plan.role {
                // What has begun to leave is what was claimed, or passed at once.
                let rest = self.longest.min(self.world.s.pipe) as u64;
                let most = 2 * share + rest;
                assert!(side.owed <= most, "{} are owed to {plan:?}", side.owed);
            }
        }
        let came = self.world.inherited.end as usize + self.world.taken;
        assert!(status.read.bytes <= came as u64);
        if self.world.s.rules.outlives {
            let place = self.world.owed_from();
            let is_stream = self.world.s.rules.batch.is_none();
            let written = self.world.base + self.world.out.output.len() as u64;
            let remembered = self.world.remembered.0;
            assert!(!is_stream || remembered == written, "what is remembered");
            for (k, plan) in self.world.sides.iter().enumerate() {
                let got: usize = self.world.out.sides[k].iter().map(Vec::len).sum();
                let written = self.world.tee_bases.get(k).map_or(0, |it| it.0) + got as u64;
                let is_it = || self.world.tees[k].0 == written;
                assert!(plan.role != Role::Tee || is_it(), "a tee is remembered");
            }
            assert_eq!(
                self.world.disk.len(),
                came,
                "what has come lies on the disk"
            );
            assert!(
                self.world.floor <= place,
                "given back before it was delivered"
            );
        }
        let is_told = self.world.untold.is_empty();
        assert!(!is_told || status.written.bytes <= self.world.handed() as u64);
        engine.check_workers();
        self.check_jobs();
        assert!(
            status.buffer.used <= status.buffer.high.max(self.held),
            "held more than the high mark"
        );
        if let Err(e) = engine.check_sleepers(self.world.now) {
            panic!("{e}");
        }
        engine.check_memory();
        engine.check_lanes(self.world.rng.is_multiple_of(61));
        engine.check_lookers();
        // What those who look held is the buffer's for a while when they have gone.
        let looks = &self.world.adversity.lookers;
        if looks.iter().all(Option::is_none) {
            // What fills its pipe, what is being written, and the record that it has begun.
            let capacity = self.world.s.rules.capacity;
            engine.check_places(self.world.s.pipe + capacity + self.longest);
        }
    }
}

/// The most that passed in any window of this length.
pub(super) fn peak(passed: &[(Duration, u64)], window: Duration) -> u64 {
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
