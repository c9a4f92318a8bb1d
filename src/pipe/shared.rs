//! The engine behind its lock, and the wakers of its threads. The lock is held for arithmetic only.

mod on_disk;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

pub(crate) use super::event::Event;
use super::fd::Port;
use super::last_input::LastInput;
use super::spill::Disk;
use super::spool::Left;
use super::waker::Waker;
use crate::engine::action::Wait;
use crate::engine::drive::Access;
use crate::engine::event;
use crate::engine::limiter::SharedCap;
use crate::engine::segment::Segment;
use crate::engine::side::Role;
use crate::engine::{Engine, Rules};
use crate::units::Unit;

/// The engine, with its lock and the wakers of those who sleep until it has changed.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) engine: Mutex<Engine>,
    pub(super) source: Waker,
    pub(super) sink: Waker,
    pub(super) overflow: Waker,
    /// Those of tees and taps, and of those who look, by their numbers.
    sides: RwLock<Vec<(usize, Arc<Waker>)>>,
    /// Those of jobs.
    jobs: Vec<Waker>,
    pub(super) quiet: (Mutex<u64>, Condvar),
    pub(super) last_input: LastInput,
    /// Where what has happened to the flow is told.
    happened: Sender<event::Event>,
    /// The disk behind memory.
    pub(super) disk: Option<Disk>,
    /// Those tees and taps, by their numbers, that are pipes, so that bytes can go to them around the log. While bytes
    /// do this is locked, so that one that was taken out is in nobody's hands.
    pub(super) pipes: Mutex<Vec<SidePipe>>,
}

/// What is to stay on the disk is being left in order.
#[derive(Debug)]
pub(crate) struct Closing {
    /// What is to be known of it is written down, but not forced to the disk yet: how it is left if it never is.
    pub saved: Receiver<Left>,
    /// How it is left.
    pub done: Receiver<Left>,
}

/// A tee or tap that is a pipe.
#[derive(Debug)]
pub(super) struct SidePipe {
    /// Its number.
    pub i: usize,
    /// Which of those it is who came to it.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "tee(2) is Linux's")
    )]
    pub visit: u64,
    pub port: Port,
    /// It is a tee, which gets everything.
    pub is_waited_for: bool,
}

impl Shared {
    pub(super) fn new(
        rules: Rules,
        sides: impl IntoIterator<Item = (Role, bool)>,
        caps: Vec<(Unit, Box<dyn SharedCap>)>,
        happened: Sender<event::Event>,
        mut disk: Option<Disk>,
    ) -> io::Result<Shared> {
        let now = Instant::now();
        let mut engine = Engine::new(rules, now);
        let jobs = rules.batch.map_or(0, |batch| batch.jobs.most);
        let workers = rules.workers.map_or(0, |workers| workers.count.most);
        let wakers = std::iter::repeat_with(|| Ok(Waker::default())).take(jobs);
        let workers = std::iter::repeat_with(Waker::beside_stream).take(workers);
        let jobs = wakers.chain(workers).collect::<io::Result<_>>()?;
        if disk.is_some() {
            engine.give_reserve(Segment::map(engine.segment_size())?);
        }
        for (unit, cap) in caps {
            engine.share(unit, cap, now);
        }
        let mut wakers = Vec::new();
        for (role, is_vacant) in sides {
            let waker = match role {
                Role::Tap(_) => Waker::beside_stream()?,
                _ => Waker::default(),
            };
            wakers.push((engine.add_side(role, is_vacant), Arc::new(waker)));
        }
        if let Some(disk) = &mut disk {
            disk.number_sides(&wakers.iter().map(|(i, _)| *i).collect::<Vec<_>>());
            if let Some(left) = disk.inherited() {
                engine.inherit(&left, now);
            }
        }
        Ok(Shared {
            sides: RwLock::new(wakers),
            engine: Mutex::new(engine),
            source: Waker::default(),
            sink: Waker::beside_stream()?,
            overflow: Waker::default(),
            jobs,
            quiet: Default::default(),
            last_input: LastInput::default(),
            happened,
            disk,
            pipes: Mutex::default(),
        })
    }

    /// Those to which bytes can go around the log.
    pub(super) fn pipes(&self) -> MutexGuard<'_, Vec<SidePipe>> {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is read for this tee or tap can go around the log to it, if it is a pipe.
    pub(super) fn let_pass(&self, pipe: SidePipe) {
        if pipe.port.is_pipe() {
            let i = pipe.i;
            self.pipes().push(pipe);
            self.update_and_wake(|engine, now| engine.let_side_pass(i, now));
        }
    }

    /// Bytes that lie in the pipes of taps, unread.
    pub(crate) fn unread_of_taps(&self) -> u64 {
        let pipes = self.pipes();
        let taps = pipes.iter().filter(|pipe| !pipe.is_waited_for);
        taps.filter_map(|pipe| pipe.port.unread()).sum()
    }

    /// It cannot any more.
    pub(super) fn let_none_pass(&self, i: usize) {
        self.pipes().retain(|pipe| pipe.i != i);
    }

    /// Tells the engine something, or asks it something, and wakes whom that concerns.
    pub(crate) fn update_and_wake<R>(&self, what: impl FnOnce(&mut Engine, Instant) -> R) -> R {
        let (said, wakes) = {
            // A thread that panics ends the process, so a poisoned lock is never met for long.
            let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
            // Behind the lock: nobody tells a time that somebody else has left behind.
            let now = Instant::now();
            let said = what(&mut engine, now);
            if !engine.has_wakes() {
                return said;
            }
            (said, engine.take_wakes())
        };
        if let Some(version) = wakes.source {
            self.source.wake(version);
        }
        for (waker, version) in [&self.sink, &self.overflow].into_iter().zip(wakes.outputs) {
            if let Some(version) = version {
                waker.wake(version);
            }
        }
        for (i, version) in wakes.sides {
            self.side(i).wake(version);
        }
        for (j, version) in wakes.jobs {
            self.jobs[j].wake(version);
        }
        for event in wakes.events {
            // Who does not listen any more need not be told.
            let _ = self.happened.send(event);
        }
        if let (Some(floor), Some(disk)) = (wakes.floor, &self.disk) {
            disk.give_back(floor);
        }
        if let Some(number) = wakes.quiet {
            let mut quiet = self.quiet.0.lock().unwrap_or_else(PoisonError::into_inner);
            *quiet = number.max(*quiet);
            self.quiet.1.notify_all();
        }
        said
    }

    /// The job of this number sleeps.
    pub(crate) fn sleep_as_job(&self, j: usize, wait: Wait) {
        self.jobs[j].wait(wait.version, wait.sleep.until);
    }

    /// The same, or until there is room in this pipe: says whether there is.
    ///
    /// # Errors
    /// As `poll(2)`.
    pub(crate) fn sleep_beside_pipe(&self, j: usize, wait: Wait, pipe: &Port) -> io::Result<bool> {
        let ready = self.jobs[j].wait_writable(wait.version, pipe, wait.sleep.until);
        ready.map_err(Into::into)
    }

    /// The numbers of tees and taps.
    pub(super) fn sides(&self) -> Vec<usize> {
        let sides = self.sides.read().unwrap_or_else(PoisonError::into_inner);
        sides.iter().map(|(i, _)| *i).collect()
    }

    /// The waker of the one of this number.
    pub(super) fn side(&self, i: usize) -> Arc<Waker> {
        let sides = self.sides.read().unwrap_or_else(PoisonError::into_inner);
        let found = sides.iter().find(|(number, _)| *number == i);
        // One that has just gone does not sleep.
        found.map_or_else(Arc::default, |(_, waker)| waker.clone())
    }

    /// The one of this number, which was another one's before, maybe, sleeps on this waker.
    pub(super) fn add_waker(&self, i: usize, waker: Arc<Waker>) {
        let mut sides = self.sides.write().unwrap_or_else(PoisonError::into_inner);
        sides.retain(|(number, _)| *number != i);
        sides.push((i, waker));
    }

    /// Nobody sleeps on this waker any more.
    pub(super) fn remove_waker(&self, waker: &Arc<Waker>) {
        let mut sides = self.sides.write().unwrap_or_else(PoisonError::into_inner);
        sides.retain(|(_, other)| !Arc::ptr_eq(waker, other));
    }

    /// The run ends: looks whether its input has, and tells that as who reads it would have. Of what is read already but
    /// not in the books this waits no longer than so.
    pub(crate) fn look_whether_input_has_ended(&self, timeout: Duration) {
        let is_quiet = self.update_and_wake(|engine, now| engine.hold_for_look(true, now));
        if !is_quiet {
            self.await_quiet(timeout);
        }
        let is_reading = self.update_and_wake(|engine, _| engine.is_reading());
        if !is_reading && self.last_input.has_ended() {
            self.end_of_input_was_seen();
        }
        self.update_and_wake(|engine, now| engine.hold_for_look(false, now));
    }

    fn end_of_input_was_seen(&self) {
        if let Some(disk) = &self.disk {
            if disk.ends_with_kept() {
                return;
            }
            // Whoever looks has signals to listen to.
            disk.end_input(false);
        }
        self.update_and_wake(|engine, now| engine.on_input_end(true, now));
    }

    /// Nothing moves any more when this returns, so that what the books say is final. Who is
    /// stuck in a call to the system is not waited for longer than this.
    pub(crate) fn halt(&self, timeout: Duration) {
        self.until_quiet(timeout, Engine::halt);
    }

    /// What a change forbids is not on its way any more when this returns. Who is stuck in a call to
    /// the system is not waited for longer than this.
    pub(crate) fn await_quiet(&self, timeout: Duration) {
        self.until_quiet(timeout, |engine, _| engine.ask_for_quiet());
    }

    fn until_quiet(
        &self,
        timeout: Duration,
        what: impl FnOnce(&mut Engine, Instant) -> Option<u64>,
    ) {
        if let Some(number) = self.update_and_wake(what) {
            let (quiet, changed) = (&self.quiet.0, &self.quiet.1);
            let quiet = quiet.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = changed.wait_timeout_while(quiet, timeout, |quiet| *quiet < number);
        }
    }
}

impl Access for Arc<Shared> {
    fn update_and_wake<R>(&self, what: impl FnOnce(&mut Engine, Instant) -> R) -> R {
        Shared::update_and_wake(self, what)
    }
}
