//! The source's turn: what it is given to read, and what came of that.

use std::time::{Duration, Instant};

use super::action::{
    Action, Actor, CONSUMER, FilledBy, For, NoRoom, Obligation, Pass, Path, Permit, Read,
    ReadOutcome, Sleep,
};
use super::bypass::Bypass;
use super::limiter::Allowance;
use super::log::Entry;
use super::output::Room;
use super::pack::{FILLED, FILLED_LANES, LOOSE};
use super::plan::ReadPlan;
use super::rules::StopAt;
use super::scan::{Run, Scan};
use super::state::Engine;

impl Engine {
    /// An input begins.
    pub(crate) fn on_input_begin(&mut self, path: Path) {
        // What several are owed goes through the log, where it is held once.
        self.bypass = Bypass::new(path.direct && self.may_bypass);
        self.source.path = path;
        self.look_at_suspension();
        self.source.waits_first = false;
    }

    /// The source's thread waits for an input to be opened.
    pub(crate) fn on_input_opening(&mut self, now: Instant) {
        self.source.is_waiting = true;
        self.time_waits(now);
    }

    /// Bytes that may be read before the run has all that it is to read.
    pub(super) fn left(&self) -> usize {
        self.source.left.map_or(usize::MAX, StopAt::bytes)
    }

    /// This was read. With the last of what is to be read the input has ended, but nobody sees that before the source's
    /// thread says it: by then it is saved where a stream outlives the run.
    pub(super) fn on_taken(&mut self, run: Run) {
        let left = self.source.left;
        self.source.left = left.map(|left| left.less(run.bytes, run.tally.ended));
    }

    pub(super) fn begin_read(&mut self, plan: ReadPlan, now: Instant) -> Action {
        self.let_join(now);
        let drops = plan.discard || self.shedder.skipped.is_some();
        let mut state = self.source.read.take().unwrap_or_default();
        // What is passed on at once is looked for in the fresh segment.
        let may_extend = !drops && !plan.pass && self.can_spare_last();
        let extend = may_extend.then_some(self.source.cursor);
        let sorts = self.has_lanes();
        if let (Some(sorting), Some(fairness)) = (&mut state.sorting, &self.fairness) {
            if !std::mem::replace(&mut state.sorts, sorts) {
                sorting.begin(self.begun(), self.source.cursor.depth());
            }
            sorting.renew(&fairness.names);
        }
        if plan.to_disk {
            self.log.lend_for_disk(&mut state.buffer, plan.most);
        } else {
            self.log.lend(&mut state.buffer, plan.most, extend);
        }
        let _ = self.input.may_pass(false, now);
        self.source.is_reading = true;
        self.source.is_short = false;
        self.source.is_waiting |= self.source.path.input_blocks;
        let permit = if plan.pass { self.permit(now) } else { None };
        let is_fresh = self.is_fresh();
        let pass = permit.map(|mut permit| {
            if is_fresh {
                // One at a time: the next one may not be the one that has to go then.
                permit.allowance.records = u64::from(!permit.cursor.is_inside());
            }
            Pass { permit, is_fresh }
        });
        self.source.is_passing = pass.is_some();
        (state.pass, state.cursor, state.discard) = (pass, self.source.cursor, plan.discard);
        (state.to_disk, state.stored) = (plan.to_disk, None);
        state.awaits_others = plan.to_disk && self.look_at_others(now);
        if sorts {
            self.log.give_up(self.over_memory(), &mut state.unneeded);
        }
        let thinned = if state.sorts { self.begin_thin() } else { None };
        let filled = match self.has_lanes() {
            true => Some(FILLED_LANES),
            false => self.may_scatter().then_some(FILLED),
        };
        if thinned.is_some() {
            state.pack = thinned;
        } else if let Some(filled) = filled {
            state.pack = self.log.begin_pack(LOOSE, filled);
        }
        let obligation = Obligation::new(Actor::Source);
        Action::Read(Read { state, obligation })
    }

    /// Whether the consumer has enough to do without the last extent: while that is filled up nobody can write
    /// from it.
    pub(super) fn can_spare_last(&self) -> bool {
        let last = self.log.last_extent();
        if self.given.end().is_some_and(|end| end > last) {
            // Where its records end may be asked at any moment.
            return false;
        }
        if !self.jobs_can_spare(last) && self.workers.is_some() {
            return false;
        }
        let first = self.outputs[CONSUMER].queue.first();
        if first.is_none() && self.has_sides() {
            // What is left is there for others.
            return self.sides_can_spare(last) && self.jobs_can_spare(last);
        }
        let waits_for_end = self.is_fresh() && self.framing.is_some() && !self.is_inside_consumer();
        let has_enough = first.is_some_and(|run| {
            let has_end = |to| self.log.next_boundary(run.start, to).is_some();
            if waits_for_end {
                // Where no record has ended there is nothing to be written, from whatever extent. Each of
                // its pieces in a segment of its own would take many times the memory.
                run.start < last && (has_end(last) || !has_end(self.log.end()))
            } else {
                run.start < last
            }
        });
        has_enough && self.sides_can_spare(last)
    }

    fn is_inside_consumer(&self) -> bool {
        self.outputs[CONSUMER].cursor.is_inside()
    }

    /// What may leave for the consumer now.
    pub(super) fn permit(&mut self, now: Instant) -> Option<Permit> {
        let cursor = self.outputs[CONSUMER].cursor;
        let allowance = self.output.may_pass(cursor.is_inside(), now).ok()?;
        Some(Permit { allowance, cursor })
    }

    pub(super) fn end_read(&mut self, mut read: Read, outcome: ReadOutcome, now: Instant) {
        let all = read.scans[0].bytes + read.scans[1].bytes;
        let has_emptied = self.has_emptied(all, read.buffer.most());
        self.source.is_reading = false;
        self.source.is_passing = false;
        if read.pack.is_some()
            && let Some(pack) = read.pack.take()
        {
            self.log.end_pack(pack);
        }
        if let Some(why) = self.is_without_room(&read, outcome) {
            self.on_disk_full(why, now);
        } else if read.to_disk && matches!(outcome, ReadOutcome::Empty) {
            self.on_disk_ready();
        }
        match outcome {
            ReadOutcome::Moved => {
                self.take_in(&mut read, now);
                self.bound_overflow();
                if read.passed.bytes > 0 {
                    self.on_left(read.passed, now);
                    // It may have taken the room that there was.
                    self.outputs[CONSUMER].room = Room::Unknown;
                    if self.used() == 0 {
                        self.on_empty(now);
                    }
                }
                self.source.waits_first = has_emptied;
            }
            other => {
                let nothing = Scan::over(read.cursor, &[]);
                self.log.append(&mut read.buffer, nothing, Entry::default());
                match other {
                    ReadOutcome::Empty => self.source.waits_first = true,
                    ReadOutcome::Short => self.on_memory_short(now),
                    _ => {}
                }
            }
        }
        let Read {
            mut state,
            obligation,
        } = read;
        if state.to_disk {
            self.log.keep_reserve(&mut state.buffer);
        }
        self.source.read = Some(state);
        obligation.meet();
    }

    /// Whether what comes next is to be waited for: so many bytes were just read, of these at most. What was short has as a
    /// rule emptied the pipe. So has what is less than was asked for; where it was not there for a while before it came,
    /// neither is, as a rule, what comes next.
    pub(super) fn has_emptied(&mut self, bytes: usize, most: usize) -> bool {
        let came_at = self.source.came_at.take();
        let since = self.stats.source.since();
        let waited = came_at.zip(since).map(|(at, since)| at - since);
        let has_waited = waited.is_some_and(|waited| waited >= PAUSE);
        self.source.path.waits_first && (bytes <= SHORT || has_waited && bytes < most)
    }

    /// Takes in what was read, but for what has been passed on already.
    fn take_in(&mut self, read: &mut Read, now: Instant) {
        let run = Scan::sum(read.scans);
        let begun =
            self.has_lanes() && self.owed_up_to(CONSUMER, self.log.end(), read.cursor.depth());
        let counts = self.has_lanes() || self.shedder.leeway > 0;
        let before = counts.then(|| self.all_books());
        self.name_lanes(read);
        let kept = self.admit(read, now);
        // What nobody with a share is owed, since it is in the middle of a record that is too long for that, is in nobody's way.
        self.join_behind(self.log.end());
        if self.has_lanes() {
            self.enter_lanes(CONSUMER, read, &kept, begun);
        }
        self.timeline.push(&kept, now);
        self.source.cursor = run.cursor;
        self.source.is_waiting = false;
        if run.bytes > 0 {
            self.on_place_found(run.tally.ended);
        }
        if let Some(before) = before {
            let books = self.all_books().saturating_sub(before);
            self.shedder.leeway = self.shedder.leeway.saturating_sub(run.bytes as u64 + books);
        }
        self.stats.on_read(run, self.occupancy());
        self.note_places();
        self.source.coalescing.on_piece(run.bytes, now);
        self.bypass.on_input(self.stats.source.run(false, now));
        self.input.on_passed(run.bytes, run.tally.ended, now);
        self.on_taken(run);
    }

    /// The system has no memory for another segment: the gate closes early, and what can be done without goes.
    pub(super) fn on_memory_short(&mut self, now: Instant) {
        self.source.is_short = true;
        if self.spills_early(now) || self.lose_overflow() | self.lose_taps(now) {
            return;
        }
        self.gate.on_memory_short(self.occupancy());
    }

    /// The source has waited for input, or for room; `ready`: it is there.
    pub(super) fn on_source_ready(&mut self, ready: bool, now: Instant) {
        match self.source.sleeper.asleep.take().map(|sleep| sleep.what) {
            Some(For::Input) => self.source.on_input_there(now),
            // To stay away is not to find the producer silent.
            Some(For::More) => (self.source.waits_first, self.source.is_waiting) = (false, false),
            Some(For::Room) if ready => {
                self.source.is_full = false;
            }
            _ => {}
        }
    }

    /// Somebody goes to sleep.
    pub(super) fn on_sleep(&mut self, actor: Actor, sleep: Sleep, now: Instant) {
        if sleep.what == For::Cap {
            // What a cap holds up waits for a quantum's worth.
            let inside = self.outputs[CONSUMER].cursor.is_inside();
            let _ = self.output.may_pass(inside, now);
            let _ = self.input.may_pass(false, now);
        }
        match actor {
            Actor::Source => {
                self.source.is_waiting = matches!(sleep.what, For::Input | For::More);
                if sleep.what == For::Input && self.used() == 0 {
                    // What the consumer might have had no room for is not there any more.
                    self.source.is_full = false;
                    self.bypass.on_room(now);
                }
            }
            Actor::Output(i) => self.outputs[i].on_sleep(sleep.what, now),
            Actor::Job(j) if self.workers.is_some() => {
                self.on_worker_sleep(j, sleep.what, now);
            }
            Actor::Job(_) => {}
        }
    }

    /// Bytes to read for a permit: a read cannot stop at the end of a record, so a cap on records
    /// is translated by their average size so far, and what is too much is carried as a debt.
    pub(super) fn bytes_for(&self, permit: Allowance) -> usize {
        const GUESS: u64 = 64;
        if permit.records == u64::MAX {
            return permit.bytes;
        }
        let average = self.stats.read.bytes.checked_div(self.stats.read.records);
        let bytes = permit
            .records
            .saturating_mul(average.unwrap_or(GUESS).max(1));
        permit
            .bytes
            .min(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// Whether a read has found no room on the disk, and why. What is known only when it was read stays in memory.
    fn is_without_room(&self, read: &Read, outcome: ReadOutcome) -> Option<NoRoom> {
        // Looked for only then: it is found by way of all that lies in memory.
        let due_to = |by| {
            let floor = self.log.floor();
            Some(NoRoom { by, floor })
        };
        match outcome {
            ReadOutcome::NoRoom(why) => Some(why),
            // There is not even memory to read into what would go there.
            ReadOutcome::Short if read.to_disk => due_to(FilledBy::Bound),
            ReadOutcome::Moved if read.to_disk && read.stored.is_none() => {
                due_to(FilledBy::Unknown)
            }
            _ => None,
        }
    }
}

/// What takes longer than this to come was not there: several times what it takes to ask.
const PAUSE: Duration = Duration::from_micros(5);
/// Bytes up to which a read has as a rule taken all that there was.
const SHORT: usize = 4096;
