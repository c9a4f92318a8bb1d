//! One call of one of them, and what comes of it: what has moved, who has ended, and who is woken.

use super::*;

impl Sim {
    /// Lets everybody who is about to do something do it.
    pub(super) fn finish_calls(&mut self) {
        for who in 0..self.drivers.len() {
            for _ in 0..2 {
                if self.doing[who] == Doing::Something {
                    self.act(who);
                }
            }
        }
    }

    pub(super) fn can_act(&self, who: usize) -> bool {
        let slow = self.world.adversity.slow_file;
        let is_slow = slow.is_some_and(|until| self.world.now < self.world.start + until);
        self.world.can_act(who, self.doing[who]) && !(who == FILE && is_slow)
    }

    pub(super) fn act(&mut self, who: usize) {
        if who >= PROGRAMS {
            return self.act_as_program(who - PROGRAMS);
        }
        if who >= JOBS {
            return self.act_as_job(who - JOBS);
        }
        self.core.now.set(self.world.now);
        let moved = self.moved();
        self.world.doing = Doing::Something;
        let was_writing = self.core.engine.borrow().outputs[CONSUMER].is_writing;
        let turn = self.drivers[who].step(&self.core, &mut Side(&mut self.world, who));
        if who == SINK && !was_writing {
            self.check_age();
        }
        let mut is_found_deaf = false;
        self.doing[who] = match turn {
            Turn::On | Turn::Waits => self.world.doing,
            Turn::Over(end) if who >= SIDES => self.end_of_side(who, &end),
            Turn::Over(End::Write(_)) if who == SINK && self.world.is_deaf => {
                is_found_deaf = !self.world.out.is_over;
                Doing::Nothing
            }
            Turn::Over(end) => {
                self.failed |= matches!(end, End::Write(_) | End::Memory | End::Disk(_));
                if who == SOURCE {
                    self.end_of_input(&end);
                }
                Doing::Nothing
            }
        };
        if is_found_deaf {
            self.on_deaf();
        }
        if moved != self.moved() {
            self.idle_steps = 0;
            self.moved_at = self.world.now;
        }
        self.wake();
        self.note_turn();
    }

    /// What has moved so far.
    pub(super) fn moved(&self) -> (usize, usize, usize) {
        let out = &self.world.out;
        let sides: usize = out.sides.iter().flatten().map(Vec::len).sum();
        let files: usize = self.world.files.iter().map(|file| file.1.len()).sum();
        let tries =
            files + out.tries.len() + out.tries.iter().filter(|it| it.finish.is_some()).count();
        (
            self.world.taken,
            out.output.len() + tries + self.world.reads,
            sides + out.spilled.len(),
        )
    }

    /// Whoever reads the input has come to its end, which the main thread may have told already.
    fn end_of_input(&mut self, end: &End) {
        let has_ended = matches!(end, End::Input);
        let is_told = self.end_told.is_some();
        let books = self.core.update_and_wake(|engine, now| {
            let has_read = engine.status(now).read.bytes > 0;
            let is_seen = engine.source.is_over && has_read && !is_told;
            assert!(!is_seen, "the end, before it could be saved");
            let books = books(engine, now);
            let is_over = engine.is_input_over(has_ended);
            assert!(is_over || !is_told, "an end that was told is taken back");
            engine.on_input_end(is_over, now);
            books
        });
        if is_told {
            self.check_end(books);
        }
    }

    /// Once weir is told to end, the main thread looks whether the input has ended, and tells that.
    pub(super) fn look_at_input(&mut self) {
        let Some(n) = self.world.adversity.ends else {
            return;
        };
        let ends = |(_, it): &(_, Directive)| matches!(it, Directive::Finish | Directive::Drain);
        let is_over = self.world.out.is_over || self.core.engine.borrow().is_halted();
        if !(is_over || self.world.out.told.iter().any(ends)) {
            return;
        }
        self.steps_to_end += 1;
        // Not at each step: between two looks the others go on.
        if !self.steps_to_end.is_multiple_of(n + 1) {
            return;
        }
        if self.is_looked_at {
            return self.end_look();
        }
        // Nobody reads from here on, and who reads already is waited for, for a while.
        self.is_looked_at = true;
        self.hold_for_look();
    }

    fn hold_for_look(&mut self) {
        self.core.now.set(self.world.now);
        let is_looked_at = self.is_looked_at;
        self.core
            .update_and_wake(|engine, now| engine.hold_for_look(is_looked_at, now));
        self.wake();
    }

    /// It has been seen whether it has ended.
    pub(super) fn end_look(&mut self) {
        self.core.now.set(self.world.now);
        let is_reading = self.core.engine.borrow().is_reading();
        if !is_reading && self.world.has_input_ended() {
            self.tell_end();
        }
        self.is_looked_at = false;
        self.hold_for_look();
    }

    fn tell_end(&mut self) {
        let before = self.core.update_and_wake(|engine, now| {
            let was_over = engine.ended && engine.is_input_over(false);
            let books = books(engine, now);
            engine.on_input_end(true, now);
            was_over.then_some(books)
        });
        self.wake();
        if let Some(before) = before {
            self.check_end(before);
        }
        self.end_told = Some(self.core.update_and_wake(|engine, now| books(engine, now)));
    }

    /// To tell the end again has changed nothing, and it stays told.
    pub(super) fn check_end(&self, before: Books) {
        let after = self.core.update_and_wake(|engine, now| {
            assert!(engine.is_input_over(false), "the end is not told any more");
            books(engine, now)
        });
        assert_eq!(after, before, "the end is counted twice");
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
            self.core
                .update_and_wake(|engine, now| engine.remove_looker(i, now));
            return Doing::Nothing;
        }
        self.core
            .update_and_wake(|engine, now| match has_failed && is_tap {
                true => engine.on_side_left(i, now),
                false => engine.on_side_over(i, has_failed, now),
            });
        Doing::Nothing
    }

    /// Notes at which occupancies the source stops for the gate, and goes on.
    pub(super) fn note_turn(&mut self) {
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

    pub(super) fn wake(&mut self) {
        let wakes = self.core.engine.borrow_mut().take_wakes();
        let [sink, file] = wakes.outputs;
        self.quiet |= wakes.quiet.is_some();
        if let Some(asked) = wakes.quiet {
            self.world.promises.on_quiet(asked);
        }
        self.look_at_gate();
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
        self.world.told_floor = wakes.floor.unwrap_or(self.world.told_floor);
        if wakes.floor.is_some_and(|floor| self.world.give_back(floor)) {
            let now = self.world.now;
            self.core.engine.borrow_mut().on_disk_room(now);
            self.wake();
        }
    }

    /// As who asks the watchdog does: how much lies in the pipe tells of a consumer that takes less than a page.
    pub(super) fn look_for_stall(&mut self) {
        let (now, lying) = (self.world.now, self.world.lying);
        let mut engine = self.core.engine.borrow_mut();
        let mut look = engine.look_for_stall(now);
        if look != StallLook::Quiet(None) && std::mem::replace(&mut self.unread, lying) != lying {
            engine.on_sink_moved(now);
            look = engine.look_for_stall(now);
        }
        drop(engine);
        if let StallLook::Stalled(_, time) = look {
            self.world.out.accused = true;
            self.world.check_accused(time);
        }
    }
}

fn books(engine: &Engine, now: Instant) -> Books {
    let read = engine.status(now).read;
    (read.bytes, read.records, engine.half_left())
}
