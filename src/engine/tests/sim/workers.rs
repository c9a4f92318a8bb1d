//! The workers of the simulator: programs that read from pipes of their own, some slowly, some not at all, and fall.
//!
//! What one has read of whole records is dealt with, and joins the output when it has ended; what it had begun is lost
//! with it, and has to come again.

use std::time::{Duration, Instant};

use super::{Sim, World};
use crate::engine::action::Write;
use crate::engine::drive::Access;
use crate::engine::record::Framing;
use crate::engine::task::{Answer, Task};
use crate::engine::ticket::Origin;

/// What workers do.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct WorkerScript {
    /// One act in so many is a fall.
    pub falls: Option<u64>,
    /// One act in so many is an end without need, but never of the first.
    pub leaves: Option<u64>,
    /// One act in so many closes the pipe, and a fall comes later.
    pub closes: Option<u64>,
    /// One start in so many fails.
    pub refuses: Option<u64>,
    /// How long each needs for what it has read, at most.
    pub lasts: Duration,
    /// From then on, and until then, this one reads nothing.
    pub hangs: Option<(usize, Duration, Duration)>,
    /// The first of these reads nothing while the other one runs.
    pub follows: Option<(usize, usize)>,
    /// Each reads so many bytes at a time, and needs just as long for these.
    pub steady: Option<usize>,
    /// Until then they fall.
    pub until: Duration,
    /// All fall at this time.
    pub dies: Option<Duration>,
}

impl WorkerScript {
    /// Whether none of them need be there at the end.
    pub(in super::super) fn may_all_go(&self) -> bool {
        let goes = [self.falls, self.closes, self.refuses];
        self.dies.is_some() || goes.into_iter().any(|one_in| one_in.is_some())
    }
}

/// One program, and its pipe.
#[derive(Debug, Default)]
pub(super) struct Program {
    is_alive: bool,
    /// It falls then, whatever there is to do.
    dies: Option<Instant>,
    is_closed: bool,
    is_fed: bool,
    size: usize,
    lying: Vec<u8>,
    read: Vec<u8>,
    next: Option<Instant>,
    is_accused: bool,
    /// Bytes that it was given in all.
    given: usize,
    /// Where in these it was given another part of a stream that outlives the run, how far inside of a record that began,
    /// and which place would go on with it.
    parts: Vec<(usize, u64, u64)>,
}

impl Program {
    pub(super) fn has_room(&self) -> bool {
        // A pipe of one page has room when it is empty.
        let has_room = self.lying.is_empty() || self.size > 4096 && self.lying.len() < self.size;
        has_room || self.is_closed || !self.is_alive
    }

    pub(super) fn held(&self) -> usize {
        self.lying.len() + self.read.len()
    }

    /// It was given so many bytes that lie there.
    fn on_given(&mut self, origin: Origin, n: usize) {
        match self.parts.last_mut() {
            Some((.., next)) if *next == origin.at => *next += n as u64,
            _ => (self.parts).push((self.given, origin.depth, origin.at + n as u64)),
        }
    }

    /// The length of what it has read but for the record that it has begun.
    fn read_whole(&self, framing: Option<Framing>) -> usize {
        let has_begun = |it: &&(usize, u64, u64)| it.0 <= self.read.len();
        let part = self.parts.iter().rev().find(has_begun);
        let (from, depth) = part.map_or((0, 0), |(from, depth, _)| (*from, *depth));
        from + whole_behind(framing, depth, &self.read[from..])
    }

    pub(super) fn held_bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.read.iter().chain(&self.lying).copied()
    }
}

/// The length of what of these bytes is whole records.
pub(in super::super) fn whole(framing: Option<Framing>, bytes: &[u8]) -> usize {
    whole_behind(framing, 0, bytes)
}

/// The same where the first of them goes on with a record of which there was so much.
fn whole_behind(framing: Option<Framing>, depth: u64, bytes: &[u8]) -> usize {
    match framing {
        None => bytes.len(),
        Some(Framing::Fixed(size)) => {
            let begun = (depth + bytes.len() as u64) % size;
            bytes.len().saturating_sub(begun as usize)
        }
        Some(Framing::Terminator(end)) => {
            let last = bytes.iter().rposition(|byte| *byte == end);
            last.map_or(0, |at| at + 1)
        }
    }
}

impl World {
    /// What was ever put into pipes, and not taken back.
    pub(super) fn handed(&self) -> usize {
        self.out.output.len() + self.workers.iter().map(Program::held).sum::<usize>()
    }

    pub(super) fn give(&mut self, j: usize, write: &Write) -> Option<usize> {
        let it = &mut self.workers[j];
        let bytes: Vec<u8> = write.slices().collect::<Vec<_>>().concat();
        assert!(!bytes.is_empty(), "a permit to write nothing");
        assert!(!it.is_fed, "something comes behind the end");
        if it.is_closed || !it.is_alive {
            self.deaf = Some(j);
            return None;
        }
        let n = bytes.len().min(it.size.saturating_sub(it.lying.len()));
        it.lying.extend_from_slice(&bytes[..n]);
        if let Some(origin) = write.origin {
            it.on_given(origin, n);
            let lies = &self.disk[origin.at as usize..][..n];
            assert!(bytes[..n] == *lies, "what is given is not what came");
        }
        it.given += n;
        self.reads += n;
        if n > 0 {
            self.promises.on_given();
            self.out.passed.push((self.now - self.start, n));
        }
        (n > 0).then_some(n)
    }

    pub(super) fn lies_with(&self, j: usize) -> u64 {
        self.workers[j].lying.len() as u64
    }

    pub(super) fn fit_worker(&mut self, j: usize, size: usize) -> bool {
        let fits = self.workers[j].lying.len() <= size && !self.random().is_multiple_of(4);
        if fits {
            self.workers[j].size = size;
        }
        fits
    }

    pub(super) fn obey(&mut self, j: usize, task: Task) -> Answer {
        let random = self.random() >> 9;
        let refuses = self.adversity.workers.refuses;
        let is_refused = refuses.is_some_and(|n| random.is_multiple_of(n)) && self.may_fall();
        self.reads += 1;
        let time = self.now - self.start;
        match task {
            Task::Start(_) if !is_refused => self.out.starts.push(time),
            Task::Close => self.out.closed.push(time),
            _ => {}
        }
        let framing = self.s.rules.framing;
        let dies = self.adversity.workers.dies.filter(|at| time < *at);
        let dies = dies.map(|at| self.start + at);
        let it = &mut self.workers[j];
        let (mut done, mut unread) = (true, it.lying.len() as u64);
        match task {
            Task::Start(_) => {
                assert!(!it.is_alive && it.held() == 0, "two at a time");
                done = !is_refused;
                *it = Program {
                    is_alive: done,
                    dies,
                    size: 65_536,
                    ..Program::default()
                };
            }
            Task::Close => it.is_fed = true,
            Task::Look => {}
            Task::Accuse => it.is_accused = true,
            Task::Empty => {
                let is_all = it.is_fed && unread == 0 && !it.is_closed;
                let end = match is_all {
                    true => it.read.len(),
                    false => it.read_whole(framing),
                };
                self.out.output.extend_from_slice(&it.read[..end]);
                self.out.workers.push(it.read[..end].to_vec());
                let lost = (it.read.len() - end) as u64 + unread;
                self.emptied = Some((j, unread, lost));
                it.lying.clear();
                it.read.clear();
                it.is_closed = true;
                self.untold.push(j);
            }
        }
        if task != Task::Empty && task != Task::Look {
            unread = 0;
        }
        Answer { done, unread }
    }

    /// Those that run are told to end, which takes each its time.
    pub(super) fn put_down_programs(&mut self) {
        for j in 0..self.workers.len() {
            let time = Duration::from_nanos(self.random() % 100_000_000);
            self.workers[j].dies = Some(self.now + time);
        }
    }

    fn may_fall(&self) -> bool {
        self.now - self.start < self.adversity.workers.until
    }

    /// When this program does something next, if it does.
    pub(super) fn program_due(&self, j: usize) -> Option<Instant> {
        let it = &self.workers[j];
        let has_some = !it.lying.is_empty() || it.is_fed || it.is_closed || it.is_accused;
        let follows = self.adversity.workers.follows;
        let follows = follows.filter(|(who, _)| *who == j && !it.is_accused && !it.is_closed);
        let waits = follows.is_some_and(|(_, leader)| {
            let mut others = self.workers.iter().enumerate();
            others.any(|(n, other)| n == leader && n != j && other.is_alive)
        });
        if !it.is_alive || !has_some || waits {
            return it.dies.filter(|_| it.is_alive);
        }
        let hangs = self.adversity.workers.hangs.filter(|(who, ..)| *who == j);
        let now = self.now - self.start;
        let hangs = hangs.filter(|(_, from, to)| (*from..*to).contains(&now));
        let until = hangs
            .filter(|_| !it.is_accused)
            .map(|(.., to)| self.start + to);
        let due = it.next.max(until).unwrap_or(self.now);
        Some(it.dies.map_or(due, |at| due.min(at)))
    }
}

impl Sim {
    /// A program reads, ends, or falls.
    pub(super) fn act_as_program(&mut self, j: usize) {
        let script = self.world.adversity.workers;
        let may_fall = self.world.may_fall();
        let mut roll = |n: Option<u64>| {
            let random = self.world.random() >> 9;
            may_fall && n.is_some_and(|n| random.is_multiple_of(n))
        };
        let (falls, leaves, closes) =
            (roll(script.falls), roll(script.leaves), roll(script.closes));
        let (a, b) = (self.world.random() >> 9, self.world.random() >> 9);
        let lasts = match script.steady {
            None => b % (1 + script.lasts.as_nanos() as u64),
            Some(_) => script.lasts.as_nanos() as u64,
        };
        let now = self.world.now;
        self.world.reads += 1;
        let it = &mut self.world.workers[j];
        let exit = match () {
            () if it.dies.is_some_and(|at| at <= now) => Some(false),
            () if falls || it.is_accused || it.is_closed => Some(false),
            () if leaves && j > 0 => Some(true),
            () if it.lying.is_empty() => Some(true),
            () => None,
        };
        if let Some(success) = exit {
            it.is_alive = false;
            self.world.left |= success && !(it.is_fed && it.lying.is_empty());
            self.core.now.set(now);
            self.core
                .update_and_wake(|engine, now| engine.on_worker_exit(j, success, now));
            self.wake();
            return;
        }
        it.is_closed = closes;
        if !closes {
            let all = it.lying.len();
            let n = script.steady.map_or(1 + a as usize % all, |n| n.min(all));
            it.read.extend(it.lying.drain(..n));
        }
        it.next = Some(now + Duration::from_nanos(lasts));
        self.idle_steps = 0;
        self.moved_at = now;
    }

    /// What the turn of this worker has brought about; `was_told`: that it was emptied before.
    pub(super) fn after_worker(&mut self, j: usize, was_told: bool) {
        if let Some(j) = self.world.deaf.take() {
            self.core
                .update_and_wake(|engine, now| engine.on_worker_deaf(j, now));
            self.wake();
        }
        if was_told {
            self.world.untold.retain(|other| *other != j);
            // What is taken back comes on top, and what is being read was given room before that.
            let reading = self.core.engine.borrow().segment_size();
            self.held = self.held.max(self.used() + reading);
        }
    }
}
