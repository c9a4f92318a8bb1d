//! How an actor goes about it: one driver, the same under the threads, the simulator and the tests.
//!
//! A driver asks what to do, does it, and says what came of it when it asks again. A step of it is one of
//! these: a call to the state machine, or a call to the edge, which is the world. Whoever drives it may
//! therefore stop between every pair of calls and let others come first, as the system does with threads.

use std::io;
use std::time::Instant;

use super::action::{
    Action, Actor, Done, Fan, Fetch, FetchOutcome, For, Outcome, Read, ReadOutcome, ReadState,
    Reason, Transfer, Write,
};
pub(crate) use super::edge::{Edge, Passage, Taken};
use super::on_disk::EXTENT_MOST;
use super::segment::Segment;
use super::stall::Side;
use super::state::Engine;

/// The way to the state machine: behind a lock, or not. The clock is looked at behind the lock.
pub(crate) trait Access {
    /// Tells it something, or asks it something; wakes whom that concerns.
    fn update_and_wake<R>(&self, what: impl FnOnce(&mut Engine, Instant) -> R) -> R;
}

/// How it ends for an actor.
#[derive(Debug)]
pub(crate) enum End {
    /// This input has ended.
    Input,
    /// Nothing more is to be done.
    Over,
    /// The system has no memory, and nothing is held whose delivery could make room.
    Memory,
    /// Reading failed.
    Read(io::Error),
    /// Writing failed.
    Write(io::Error),
    /// What was put on the disk cannot be read back.
    Disk(io::Error),
}

/// What a step came to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// There is more to do.
    On,
    /// What is waited for is not there yet: the same step again, later.
    Waits,
    /// It is over, and this is why.
    Over(End),
}

/// How far something has come. What came of it is large, and is put down where it is asked for.
enum Did {
    /// It is done.
    All,
    /// It was the last.
    Last(End),
    /// It is not over: the same again.
    Again(Action),
}

/// The next call.
#[derive(Debug)]
enum Next {
    /// To the state machine: this came of the last action.
    Ask(Option<Done>),
    /// To the edge.
    Act(Action),
    /// To the state machine, for the last time.
    Last(Done, End),
}

/// What a call came to, and the one after it.
enum Made {
    On(Next),
    /// What is waited for is not there yet.
    Waits(Next),
    Over(End),
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Driver {
    actor: Actor,
    next: Next,
    /// Room was waited for, and there was some, and nothing has passed since.
    had_room: bool,
}

impl Driver {
    /// For this actor.
    #[must_use]
    pub(crate) fn new(actor: Actor) -> Driver {
        Driver {
            actor,
            next: Next::Ask(None),
            had_room: false,
        }
    }

    /// Makes one call after the other, to the end: those of [`Driver::step`], with nothing put away between them.
    pub(crate) fn run(mut self, engine: &impl Access, edge: &mut impl Edge) -> End {
        let mut done = None;
        loop {
            let mut action = self.ask(&mut done, engine);
            loop {
                match self.act(action, edge, &mut done) {
                    Did::All => break,
                    Did::Again(same) => action = same,
                    Did::Last(end) => {
                        done.into_iter().for_each(|done| leave(done, engine));
                        return end;
                    }
                }
            }
        }
    }

    /// Makes the next call alone.
    pub(crate) fn step(&mut self, engine: &impl Access, edge: &mut impl Edge) -> Turn {
        let next = std::mem::replace(&mut self.next, Next::Ask(None));
        let (turn, then) = match self.make(next, engine, edge) {
            Made::On(then) => (Turn::On, then),
            Made::Waits(then) => (Turn::Waits, then),
            Made::Over(end) => return Turn::Over(end),
        };
        self.next = then;
        turn
    }

    fn make(&mut self, next: Next, engine: &impl Access, edge: &mut impl Edge) -> Made {
        let mut done = None;
        match next {
            Next::Ask(mut done) => Made::On(Next::Act(self.ask(&mut done, engine))),
            Next::Act(action) => match (self.act(action, edge, &mut done), done) {
                (Did::All, done) => Made::On(Next::Ask(done)),
                (Did::Last(end), None) => Made::Over(end),
                (Did::Last(end), Some(done)) => Made::On(Next::Last(done, end)),
                (Did::Again(action), _) => Made::Waits(Next::Act(action)),
            },
            Next::Last(done, end) => {
                leave(done, engine);
                Made::Over(end)
            }
        }
    }

    fn ask(&self, done: &mut Option<Done>, engine: &impl Access) -> Action {
        engine.update_and_wake(|engine, now| match done.take() {
            Some(done) => engine.turn(done, self.actor, now),
            None => engine.poll(self.actor, now),
        })
    }

    /// Does it, and puts down what came of it.
    fn act(&mut self, action: Action, edge: &mut impl Edge, done: &mut Option<Done>) -> Did {
        let end = match action {
            Action::Read(read) => self.read(read, edge, done),
            Action::Transfer(bypass) => self.bypass(bypass, edge, done),
            Action::Write(write) => write_out(write, edge, done),
            Action::Fetch(fetch) => read_back(fetch, edge, done),
            Action::Run(order) => match edge.run(&order.ticket, &order.ahead) {
                None => return Did::Again(Action::Run(order)),
                Some(finish) => put(done, Done::Run(order, finish)),
            },
            Action::Order(order) => match edge.order(order.task()) {
                None => return Did::Again(Action::Order(order)),
                Some(answer) => put(done, Done::Order(order, answer)),
            },
            Action::Fit(size) => {
                let size = edge.fit(size).then_some(size);
                put(done, Done::Fit(self.actor, size))
            }
            Action::Wait(wait) => match edge.wait(wait) {
                None => return Did::Again(Action::Wait(wait)),
                Some(Ok(ready)) => {
                    self.had_room = ready;
                    put(done, Done::Wait(self.actor, ready))
                }
                Some(Err(e)) => {
                    self.had_room = false;
                    *done = Some(Done::Wait(self.actor, false));
                    Some(match self.actor {
                        Actor::Source if wait.sleep.what == For::Input => End::Read(e),
                        _ => End::Write(e),
                    })
                }
            },
            Action::Trim(memory) => {
                drop(memory);
                return Did::All;
            }
            Action::End(Reason::Memory) => Some(End::Memory),
            Action::End(Reason::Over) => Some(End::Over),
        };
        match end {
            None => Did::All,
            Some(end) => Did::Last(end),
        }
    }

    /// Reads into the log, and writes what may be written of it at once.
    fn read(
        &mut self,
        mut read: Read,
        edge: &mut impl Edge,
        done: &mut Option<Done>,
    ) -> Option<End> {
        self.had_room = false;
        if read.to_disk {
            match edge.disk_room(read.buffer.most(), read.awaits_others) {
                Ok(room) => read.buffer.limit(room),
                Err(why) => return put(done, Done::Read(read, ReadOutcome::NoRoom(why))),
            }
        }
        if read.buffer.wants_segment() {
            match edge.segment(read.buffer.size) {
                Ok(segment) => read.buffer.give(segment),
                Err(_) => return put(done, Done::Read(read, ReadOutcome::Short)),
            }
        }
        read.unneeded.clear();
        pack_together(&mut read, edge);
        let came = if read.to_disk {
            let [_, mut into] = read.buffer.slices();
            match edge.take(&mut into) {
                Ok(Err(why)) => return put(done, Done::Read(read, ReadOutcome::NoRoom(why))),
                Ok(Ok(came)) => Ok(came),
                Err(e) => Err(e),
            }
        } else {
            let came = edge.read(&mut read.buffer.slices());
            came.map(|n| n.map(|n| (n, None)))
        };
        let (outcome, end) = match came {
            Ok(Some((n @ 1.., stored))) => {
                read.scan(n);
                read.stored = stored;
                if let Some(pass) = read.pass {
                    let passed = edge.pass_on(read.buffer.read(n)[1], pass);
                    read.pass(pass.permit, passed);
                }
                (ReadOutcome::Moved, None)
            }
            Ok(Some((0, _))) => (ReadOutcome::Ended, Some(End::Input)),
            Ok(None) => (ReadOutcome::Empty, None),
            Err(e) => (ReadOutcome::Failed, Some(End::Read(e))),
        };
        *done = Some(Done::Read(read, outcome));
        end
    }

    fn bypass(
        &mut self,
        mut bypass: Transfer,
        edge: &mut impl Edge,
        done: &mut Option<Done>,
    ) -> Option<End> {
        let had_room = std::mem::take(&mut self.had_room);
        let permit = bypass.permit;
        let passage = match &mut bypass.fan {
            None => edge.bypass(permit),
            Some(fan) => {
                let buffer = &mut fan.read.buffer;
                if buffer.wants_segment() {
                    match edge.segment(buffer.size) {
                        Ok(segment) => buffer.give(segment),
                        Err(_) => return put(done, Done::Transfer(bypass, Outcome::Short)),
                    }
                }
                pack_together(&mut fan.read, edge);
                edge.fan_out(permit, &mut fan.takers, fan.is_owed)
            }
        };
        let (outcome, end) = match passage {
            Passage::Passed(run) => (Outcome::Moved(run), None),
            Passage::Uneven(n) => match bypass.fan.as_mut().map(|fan| read_passed(fan, n, edge)) {
                Some(Err(e)) => (Outcome::Nothing, Some(End::Read(e))),
                _ => (Outcome::Uneven, None),
            },
            // There was room: somebody else may have taken what there was.
            Passage::Stuck if had_room && !edge.is_readable() => (Outcome::Nothing, None),
            Passage::Stuck => (Outcome::Full, None),
            Passage::Refused => (Outcome::Refused, None),
            Passage::End => (Outcome::Nothing, Some(End::Input)),
            Passage::Failed(Side::Source, e) => (Outcome::Nothing, Some(End::Read(e))),
            Passage::Failed(Side::Sink, e) => (Outcome::Nothing, Some(End::Write(e))),
        };
        *done = Some(Done::Transfer(bypass, outcome));
        end
    }
}

/// Puts down what came of it, which was not the last.
fn put(done: &mut Option<Done>, what: Done) -> Option<End> {
    *done = Some(what);
    None
}

/// Says for the last time what came of it.
fn leave(done: Done, engine: &impl Access) {
    engine.update_and_wake(|engine, now| engine.done(done, now));
}

/// Moves what lies scattered together, if that is to be done on the way.
fn pack_together(read: &mut ReadState, edge: &mut impl Edge) {
    if let Some(pack) = &mut read.pack {
        if pack.wants_memory()
            && let Ok(memory) = edge.segment(pack.size)
        {
            pack.give(memory);
        }
        pack.copy();
    }
}

/// Reads what has passed to the consumer, for those who have not had it.
fn read_passed(fan: &mut Fan, n: usize, edge: &mut impl Edge) -> io::Result<()> {
    fan.read.buffer.limit(n);
    let read = edge.read_passed(&mut fan.read.buffer.slices())?;
    // It was there; if it is not, somebody else reads this input, too.
    fan.read.scan(read.unwrap_or(0));
    Ok(())
}

/// Reads what is to be written next back from the disk.
fn read_back(mut fetch: Fetch, edge: &mut impl Edge, done: &mut Option<Done>) -> Option<End> {
    if fetch.load.wants_segment() {
        match Segment::map(EXTENT_MOST) {
            Ok(segment) => fetch.load.give(segment),
            Err(_) => return put(done, Done::Fetch(fetch, FetchOutcome::Short)),
        }
    }
    let (outcome, end) = match edge.fetch(&mut fetch.load) {
        Ok(()) => (FetchOutcome::Here, None),
        Err(e) => (FetchOutcome::Failed, Some(End::Disk(e))),
    };
    *done = Some(Done::Fetch(fetch, outcome));
    end
}

fn write_out(mut write: Write, edge: &mut impl Edge, done: &mut Option<Done>) -> Option<End> {
    let (outcome, end) = match edge.write(&write) {
        Ok(Some(n)) => {
            let run = write.run(n);
            let known = write.place.map(|at| edge.remember(at + n as u64, run));
            let part = write.origin.map(|origin| origin.stretch(run));
            let known = known.or_else(|| part.map(|part| edge.remember_part(part)));
            let failed = known.and_then(Result::err);
            (Outcome::Moved(run), failed.map(End::Disk))
        }
        Ok(None) => (Outcome::Full, None),
        Err(e) => (Outcome::Nothing, Some(End::Write(e))),
    };
    write.unread = if write.looks { edge.unread() } else { None };
    *done = Some(Done::Write(write, outcome));
    end
}
