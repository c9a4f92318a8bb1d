//! The simulator: the real drivers and the real state machine between a scripted producer and a
//! scripted consumer, with a made-up clock that jumps from event to event. Hours of its time pass in
//! seconds of ours, and the same scenario always runs the same way.
//!
//! It stands in for the kernel's two pipes, the two neighbours, the memory and the scheduler. A step is
//! one call of one driver, so anything may come between any two calls. After every step it checks what
//! must always hold; at the end it returns what the consumer got and when.

mod check;
mod dealt;
mod edge;
mod events;
mod inherited;
mod programs;
mod promises;
mod scenario;
mod start;
mod turn;
mod workers;
mod world;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) use scenario::*;
pub(super) use workers::{WorkerScript, whole};

use start::start;

use super::text::records;
use crate::engine::action::{
    Actor, CONSUMER, FilledBy, For, NoRoom, Pass, Path, Permit, Taker, Wait, Write,
};
use crate::engine::directive::Directive;
use crate::engine::disk::Inherited;
use crate::engine::drive::{Access, Driver, Edge, End, Passage, Taken, Turn};
use crate::engine::gate::Marks;
use crate::engine::limiter::Bursts;
use crate::engine::on_disk::{EXTENT_MOST, Load};
use crate::engine::record::Framing;
use crate::engine::scan::Run;
use crate::engine::segment::Segment;
use crate::engine::side::Role;
use crate::engine::sorter::Sorter;
use crate::engine::stall::{self, StallLook, Timeouts};
use crate::engine::task::{Answer, Task};
use crate::engine::ticket::{Finish, Stretch, Ticket, Untried};
use crate::engine::{Engine, Limits, OVERFLOW, Rules};

/// What a driver is about.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Doing {
    Something,
    /// A program runs until then.
    Running(Instant),
    Waiting(Wait),
    Nothing,
}

/// The state machine, without a lock.
struct Core {
    engine: RefCell<Engine>,
    now: Cell<Instant>,
}

impl Access for Core {
    fn update_and_wake<R>(&self, what: impl FnOnce(&mut Engine, Instant) -> R) -> R {
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
    /// Bytes that fit into that.
    pipe: usize,
    /// It has closed its standard input.
    is_deaf: bool,
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
    /// When it was decided that a batch is tried: its number, and for which time.
    ordered: BTreeMap<(u64, u32), Duration>,
    left: bool,
    /// What an earlier run has left, and where that begins for the consumer.
    inherited: Inherited,
    base: u64,
    /// The journal of batches, by their first places.
    begun: BTreeMap<u64, programs::Begun>,
    /// What is remembered of how far the consumer has come: an offset, and how far that is inside of a record.
    remembered: (u64, u64),
    /// What workers are still owed of a stream that outlives the run: parts of it, the last of which has no end; and who
    /// was emptied just now, and how much of what it had was not dealt with.
    undelivered: Vec<Range<u64>>,
    emptied: Option<(usize, u64, u64)>,
    /// Bytes of records that one had begun and that could not be kept.
    forgone: u64,
    /// The same of each tee, and where it was at first; who has failed; and what was left for the consumer.
    tees: Vec<(u64, u64)>,
    tee_bases: Vec<(u64, u64)>,
    failed: Vec<bool>,
    came_before: u64,
    /// What was put on the disk, and how much of it has been given back.
    disk: Vec<u8>,
    floor: u64,
    /// Before which of it nobody is owed anything.
    told_floor: u64,
    promises: promises::Promises,
    /// When the consumer last took something, when everything last stood still, and when it last did so for long.
    ate_at: Instant,
    stood_at: [Instant; 2],
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
    /// What lay in the consumer's pipe when the watchdog was asked last.
    unread: usize,
    /// When a byte last moved.
    moved_at: Instant,
    /// Nothing was on its way to the consumer since that was asked for.
    quiet: bool,
    /// The output has failed.
    failed: bool,
    /// The consumer has fallen, and no other has come.
    fallen: bool,
    any_job_left: bool,
    /// Steps since weir was told to end, and what had been read when the main thread told that the input has ended.
    steps_to_end: u64,
    end_told: Option<Books>,
    /// The main thread looks at the input, or waits for who reads it.
    is_looked_at: bool,
    /// Until when programs were last not to be run, and which of them ran then.
    opened: (Option<Instant>, Vec<(u64, u32)>),
}

/// What nobody may change who tells that the input has ended, where another has told that: bytes and records that were
/// read, and bytes of the record that is left.
type Books = (u64, Option<u64>, u64);

#[derive(Debug, Clone, Copy)]
enum Event {
    Offer(usize),
    Take(usize),
    Stop(Duration),
    Tell(Directive),
    Halt,
    Fall,
    Rise,
    /// The consumer closes its standard input, and lives on.
    Deafen,
    /// The consumer is gone for good.
    Over,
    /// Somebody comes to read this tee or tap.
    Come(usize),
    /// Somebody comes to look.
    Look(SidePlan),
    /// Something outside is as it was.
    Nothing,
}

/// Bytes of a page of a pipe.
const PAGE: usize = 4096;

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
/// What is under way when somebody asks for quiet has ended when everybody has had so many turns.
const ROUNDS: usize = 1000;
/// Whatever has changed is seen by then by all whom it concerns.
const SOON: Duration = Duration::from_millis(1);
/// Whoever stands still for so long can tell.
const LONG: Duration = Duration::from_secs(1);
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
    let mut sim = start(left, s, adversity);
    while sim.step() {
        sim.check();
    }
    sim.finish()
}

impl Sim {
    /// One call of somebody, or a jump to the next thing that happens. False when nothing will.
    fn step(&mut self) -> bool {
        self.happen();
        self.world.neighbours();
        self.look_at_consumer();
        self.look_at_input();
        let can = (0..self.drivers.len()).filter(|who| self.can_act(*who));
        let jobs =
            (0..self.jobs.len()).filter(|j| self.world.can_act(JOBS + j, self.jobs_doing[*j]));
        let now = self.world.now;
        let programs = (0..self.world.workers.len())
            .filter(|j| self.world.program_due(*j).is_some_and(|at| at <= now));
        let can = can.chain(jobs.map(|j| JOBS + j));
        let can: Vec<usize> = can.chain(programs.map(|j| PROGRAMS + j)).collect();
        if can.is_empty() && self.is_looked_at {
            self.end_look();
            return true;
        }
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
            self.look_for_stall();
        }
        true
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
        let is_halted = self.core.engine.borrow().is_halted();
        let is_there = !self.world.out.is_over;
        if is_there && is_halted && self.world.s.rules.keeps_given && !self.fallen && !self.failed {
            // The consumer is put down. What it was given it was given all the same.
            let given = self.world.out.output.clone();
            self.take_back();
            self.world.out.output = given;
        }
        let inside = self.core.engine.borrow().source.cursor.depth();
        if is_halted {
            self.take_back_last();
        }
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
