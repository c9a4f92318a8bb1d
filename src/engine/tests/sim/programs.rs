//! The programs of the simulator: they get batches, and do with them as their script says.
//!
//! What is acknowledged joins the output in the order in which that happens. Where batches outlive the run, what has
//! become of each is kept, as a journal does it: before a program is run, and when it has ended.

use std::io;
use std::time::Duration;

use super::inherited::first_of;
use super::{Doing, JOBS, Left, Side, Sim, Try, World};
use crate::engine::OVERFLOW;
use crate::engine::action::Write;
use crate::engine::disk::{Inherited, Owed};
use crate::engine::drive::{End, Turn};
use crate::engine::record::Cursor;
use crate::engine::restart::Circuit;
use crate::engine::side::Role;
use crate::engine::ticket::{Finish, Settled, Stretch, Ticket, Tries, Untried};

/// A batch in the journal: which part of the stream, and who is still owed it.
pub(super) type Begun = (Stretch, Option<Owed>);

impl World {
    /// A piece of a batch goes to its file.
    pub(super) fn fill(&mut self, j: usize, write: &Write) -> io::Result<Option<usize>> {
        let piece = write.piece.expect("a piece of a batch");
        if self.files[j].0 != piece.batch {
            self.files[j] = (piece.batch, Vec::new());
        }
        let bytes: Vec<u8> = write.slices().collect::<Vec<_>>().concat();
        assert!(!bytes.is_empty(), "a permit to write nothing");
        let file = &mut self.files[j].1;
        file.extend_from_slice(&bytes);
        assert!(file.len() as u64 <= piece.bytes, "more than the batch");
        Ok(Some(bytes.len()))
    }

    /// The program is run, or still runs.
    pub(super) fn run_program(
        &mut self,
        j: usize,
        ticket: &Ticket,
        ahead: &[Untried],
    ) -> Option<Finish> {
        let (now, script) = (self.now - self.start, self.adversity.programs);
        let is_told = script.told.is_some_and(|at| at <= now);
        let Some(n) = self.running[j] else {
            assert_eq!(self.files[j].0, ticket.number, "the file of another batch");
            let bytes = self.files[j].1.clone();
            assert_eq!(bytes.len() as u64, ticket.bytes, "not all of it");
            let is_refused = script
                .refuses
                .is_some_and(|n| (self.random() >> 9).is_multiple_of(n));
            // Before that is written down, or after it.
            let is_unwritten = is_told || is_refused && self.random() >> 9 & 1 == 0;
            if is_unwritten {
                self.ordered.remove(&(ticket.number, ticket.trial));
                return Some(Finish::NotRun { is_over: is_told });
            }
            let next = self.inherited.next.0;
            for it in ahead.iter().filter(|it| it.stretch.from >= next) {
                // What lies before that an earlier run has tried; another may have begun, and ended, in the meantime.
                let owed = Owed::Batch(it.number, Tries::default());
                let entry = self.begun.entry(it.stretch.from);
                entry.or_insert((it.stretch, Some(owed)));
            }
            let tries = Tries {
                all: ticket.trial,
                interrupted: self.interrupted(ticket.number),
            };
            let owed = Owed::Batch(ticket.number, tries);
            let entry = (ticket.stretch, Some(owed));
            self.begun.insert(ticket.stretch.from, entry);
            if is_refused {
                let finish = Finish::NotRun { is_over: false };
                self.settle(ticket, finish);
                self.ordered.remove(&(ticket.number, ticket.trial));
                return Some(finish);
            }
            self.running[j] = Some(self.out.tries.len());
            self.out.tries.push(Try {
                ticket: *ticket,
                ordered: self.ordered[&(ticket.number, ticket.trial)],
                began: now,
                ended: None,
                bytes,
                finish: None,
            });
            let lasts = self.random() % (1 + script.lasts.as_nanos() as u64);
            let mut until = self.now + Duration::from_nanos(lasts);
            if let Some((from, to)) = script.hangs
                && (from..to).contains(&now)
            {
                until = until.max(self.start + to);
            }
            if let Some(at) = script.told {
                until = until.min(self.start + at);
            }
            self.doing = Doing::Running(until);
            return None;
        };
        self.running[j] = None;
        let roll = |n: Option<u64>, dice: u64| n.is_some_and(|n| dice.is_multiple_of(n));
        let (a, b) = (self.random() >> 9, self.random() >> 9);
        let finish = match () {
            () if now < script.outage || roll(script.fails, a) => Finish::Failed,
            () if roll(script.rejects, b) => Finish::Rejected,
            // The signal has ended it, unless it heeds none.
            () if is_told && a.is_multiple_of(2) => Finish::Failed,
            () => Finish::Acknowledged,
        };
        let finish = match is_told {
            true => finish.when_told_to_end(b.is_multiple_of(2)),
            false => finish,
        };
        self.settle(ticket, finish);
        let it = &mut self.out.tries[n];
        (it.ended, it.finish) = (Some(now), Some(finish));
        if finish == Finish::Acknowledged {
            let bytes = it.bytes.clone();
            self.out.passed.push((now, bytes.len()));
            self.out.output.extend_from_slice(&bytes);
        }
        Some(finish)
    }

    /// What has become of a batch is written down.
    fn settle(&mut self, ticket: &Ticket, finish: Finish) {
        let Some(how) = finish.settles(ticket) else {
            return;
        };
        let before = self.interrupted(ticket.number);
        let batch = |all, interrupted| {
            let tries = Tries { all, interrupted };
            Some(Owed::Batch(ticket.number, tries))
        };
        let owed = match how {
            Settled::Acknowledged => None,
            Settled::Shed => Some(Owed::Overflow),
            Settled::Interrupted => batch(ticket.trial, before + 1),
            Settled::GivenBack(tries) => batch(tries, before),
        };
        let entry = (ticket.stretch, owed);
        self.begun.insert(ticket.stretch.from, entry);
    }

    /// Tries of this batch that ends of earlier runs have cut short.
    fn interrupted(&self, batch: u64) -> u32 {
        let mut known = self.inherited.parts.iter();
        let tries = known.find_map(|(_, owed)| match owed {
            Owed::Batch(number, tries) if *number == batch => Some(tries.interrupted),
            _ => None,
        });
        tries.unwrap_or(0)
    }
}

impl World {
    /// The file for what is shed has what lies between these offsets.
    pub(super) fn on_shed_written(&mut self, from: u64, to: u64) {
        let inherited = self.inherited.parts.iter();
        let known = inherited.filter(|(_, owed)| *owed == Owed::Overflow);
        for (part, _) in known {
            self.begun
                .entry(part.from)
                .or_insert((*part, Some(Owed::Overflow)));
        }
        for (part, owed) in self.begun.values_mut() {
            if *owed == Some(Owed::Overflow) && from < part.to && part.to <= to {
                *owed = None;
            }
        }
    }

    /// Before this place nobody is owed anything.
    pub(super) fn owed_from(&self) -> u64 {
        let tees = self.tee_places().map(|(_, at, _)| at).min();
        let consumer = match self.s.rules.batch {
            None if self.s.rules.workers.is_some() => self.undelivered[0].start,
            None => self.remembered.0,
            Some(_) => self.first_in_batches(),
        };
        tees.map_or(consumer, |at| at.min(consumer))
    }

    /// The first place of which is owed to a program, or has not come into a batch: as [`World::left`] has it, which is
    /// too much to be made at each step.
    fn first_in_batches(&self) -> u64 {
        let is_batch = |owed: &Owed| !matches!(owed, Owed::Consumer | Owed::Tee(_));
        let mut begun = self.begun.values();
        let begun = begun.find_map(|(part, owed)| owed.map(|_| part.from));
        let inherited = || self.inherited.parts.iter().filter(|it| is_batch(&it.1));
        let known = |part: &Stretch| self.begun.contains_key(&part.from);
        let waits = inherited().find(|(part, _)| !known(part));
        let owed = begun.into_iter().chain(waits.map(|(part, _)| part.from));
        owed.min().unwrap_or_else(|| {
            let last = self.begun.values().next_back().map(|(part, _)| part.to);
            let ends = inherited().map(|(part, _)| part.to).chain(last);
            ends.fold(self.inherited.next.0, u64::max)
        })
    }

    /// How far each tee has come that has not failed: its number among the tees and taps, its place, and how far inside
    /// of a record that is.
    fn tee_places(&self) -> impl Iterator<Item = (usize, u64, u64)> {
        let plans = self.sides.iter().zip(&self.tees).enumerate();
        let tees = plans.filter(|(k, (plan, _))| plan.role == Role::Tee && !self.failed[*k]);
        tees.map(|(k, (_, place))| (k, place.0, place.1))
    }

    /// What is left for the next run, for tees too: one that has failed is a new one then.
    pub(super) fn left_for_all(&self, inside: u64) -> Left {
        let mut left = self.left(inside);
        if self.s.rules.workers.is_some() {
            left = self.leave_to_workers(left);
        }
        let (at, depth) = first_of(&left.inherited);
        let new = (at - depth, 0);
        let tees = (0..self.failed.len()).filter(|k| self.sides[*k].role == Role::Tee);
        for k in tees {
            let (from, depth) = if self.failed[k] { new } else { self.tees[k] };
            let end = self.disk.len() as u64;
            let mut before = Cursor::new(self.s.rules.framing);
            let before = before.pass(&self.disk[..from as usize]).ended;
            let mut cursor = Cursor::at(self.s.rules.framing, depth);
            let part = Stretch {
                from,
                to: end,
                depths: [depth, inside],
                before,
                records: cursor.pass(&self.disk[from as usize..]).ended,
                is_open: false,
            };
            if from < end {
                let owed = Owed::Tee(k + OVERFLOW + 1);
                left.inherited.parts.push((part, owed));
            }
            left.floor = left.floor.min(from);
        }
        left
    }

    /// What is left for the next run, whose stream ends so far inside of a record.
    pub(super) fn left(&self, inside: u64) -> Left {
        let end = self.disk.len() as u64;
        let mut next = Stretch {
            from: self.remembered.0,
            to: end,
            depths: [self.remembered.1, inside],
            ..Stretch::default()
        };
        let mut last = self.inherited.last_batch;
        let mut parts = Vec::new();
        if self.s.rules.batch.is_some() {
            (next.from, next.before, next.depths[0]) = self.inherited.next;
            let mut journal = self.begun.clone();
            for (part, owed) in &self.inherited.parts {
                if !matches!(owed, Owed::Consumer | Owed::Tee(_)) {
                    journal.entry(part.from).or_insert((*part, Some(*owed)));
                }
            }
            let tries = self.out.tries.iter().map(|it| it.ticket.number);
            last = last.max(tries.max().unwrap_or(0));
            for (part, owed) in journal.values() {
                if let Some(Owed::Batch(number, _)) = owed {
                    last = last.max(*number);
                }
                assert!(
                    part.from <= next.from,
                    "a batch before that one is not known"
                );
                parts.extend(owed.map(|owed| (*part, owed)));
                if next.from < part.to {
                    next.from = part.to;
                    next.before = part.before + part.records;
                    next.depths[0] = part.depths[1];
                }
            }
        }
        if self.s.rules.batch.is_none() {
            let mut before = Cursor::new(self.s.rules.framing);
            next.before = before.pass(&self.disk[..next.from as usize]).ended;
        }
        let mut cursor = Cursor::at(self.s.rules.framing, next.depths[0]);
        next.records = cursor.pass(&self.disk[next.from as usize..]).ended;
        if next.from < end {
            parts.push((next, Owed::Consumer));
        }
        Left {
            bytes: self.disk.clone(),
            floor: self.floor,
            inherited: Inherited {
                parts,
                end,
                end_depth: inside,
                last_batch: last,
                next: (next.from, next.before, next.depths[0]),
            },
        }
    }
}

impl Sim {
    pub(super) fn act_as_job(&mut self, j: usize) {
        self.core.now.set(self.world.now);
        let moved = self.moved();
        let was_told = self.world.untold.contains(&j);
        self.world.doing = Doing::Something;
        let turn = self.jobs[j].step(&self.core, &mut Side(&mut self.world, JOBS + j));
        self.give_back_what_was_left();
        self.jobs_doing[j] = match turn {
            Turn::On | Turn::Waits => self.world.doing,
            Turn::Over(End::Disk(_)) => {
                // Which ends the run.
                self.failed = true;
                self.core.engine.borrow_mut().halt(self.world.now);
                Doing::Nothing
            }
            Turn::Over(_) => Doing::Nothing,
        };
        if moved != self.moved() {
            self.idle_steps = 0;
            self.moved_at = self.world.now;
        }
        self.wake();
        self.look_at_tries();
        self.after_worker(j, was_told);
        self.note_turn();
    }

    /// Notes when each try was ordered. Until the circuit is closed again one program at most runs that did not run when it was opened.
    fn look_at_tries(&mut self) {
        let Some((circuit, tries)) = self.core.engine.borrow().tries_under_way() else {
            return;
        };
        for it in &tries {
            let at = self.world.now - self.world.start;
            self.world.ordered.entry(*it).or_insert(at);
        }
        match circuit {
            Circuit::Closed => {}
            Circuit::Open(at) if self.opened.0 != Some(at) => self.opened = (Some(at), tries),
            Circuit::Open(_) | Circuit::HalfOpen => {
                let others = tries.iter().filter(|it| !self.opened.1.contains(it));
                assert!(others.count() <= 1, "somebody else tries, too");
            }
        }
    }

    /// Whether somebody has something to do with batches.
    pub(super) fn any_job(&self) -> bool {
        self.jobs_doing.iter().any(|doing| *doing != Doing::Nothing)
    }

    /// Whether there are jobs, and somebody is still owed something: tees may be, when all jobs are over.
    pub(super) fn any_left(&self) -> bool {
        let is_finished = self.core.engine.borrow().is_finished();
        self.any_job() || !self.jobs.is_empty() && !is_finished
    }

    /// Those that still run are ended.
    pub(super) fn end_programs(&mut self) {
        for j in 0..self.jobs.len() {
            if let Doing::Running(until) = self.jobs_doing[j] {
                self.world.now = self.world.now.max(until);
                self.act_as_job(j);
            }
            for _ in 0..2 {
                if self.jobs_doing[j] == Doing::Something {
                    self.act_as_job(j);
                }
            }
        }
    }

    /// No two programs have the same record, and none runs beyond what the circuit allows.
    pub(super) fn check_jobs(&self) {
        let running = self.world.running.iter().flatten();
        let mut places: Vec<_> = running
            .map(|n| self.world.out.tries[*n].ticket.number)
            .collect();
        let all = places.len();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), all, "a batch is being tried twice at a time");
        self.core.engine.borrow().check_batches();
    }
}
