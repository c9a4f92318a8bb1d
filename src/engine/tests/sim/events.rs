//! What happens at its time: neighbours come, fall and rise, the process stands still, somebody gives a command.

use super::world::is_pipe;
use super::*;

impl Sim {
    pub(super) fn come(&mut self, who: usize) {
        // A tee is opened for good, though whoever reads it may be gone before anything is written.
        let is_tap = self.world.sides[who - SIDES].role != Role::Tee;
        if self.doing[who] != Doing::Nothing || is_tap && self.world.is_gone(who) {
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
        self.core
            .update_and_wake(|engine, now| engine.on_side_open(i, now));
        if is_pipe(self.world.s.seed, i) {
            self.core
                .update_and_wake(|engine, now| engine.let_side_pass(i, now));
        }
        self.wake();
    }

    /// Somebody comes to look.
    pub(super) fn look(&mut self, plan: SidePlan) {
        let share = plan.role.share().unwrap_or(0);
        self.core.now.set(self.world.now);
        let i = self
            .core
            .update_and_wake(|engine, now| engine.add_looker(share, now));
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

    pub(super) fn jump(&mut self) -> bool {
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
        // Another one comes.
        let is_gone = self.fallen || self.world.is_deaf;
        match next {
            // Who tries again and again in vain does so for ever.
            Some(at) if event.is_none() && at > self.moved_at + IN_VAIN => false,
            Some(at) if self.doing[SINK] != Doing::Nothing || is_gone || self.any_left() => {
                self.world.now = at;
                self.idle_steps = 0;
                true
            }
            _ => false,
        }
    }

    /// Lets happen what is due.
    pub(super) fn happen(&mut self) {
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
                    let asked = self.core.engine.borrow_mut().halt(self.world.now);
                    self.world.promises.on_halt(asked);
                    self.wake();
                }
                Some((_, Event::Fall)) => self.fall(),
                Some((_, Event::Over)) => self.go_for_good(),
                Some((_, Event::Deafen)) => self.world.is_deaf = !self.fallen,
                Some((_, Event::Rise)) => self.rise(),
                Some((_, Event::Come(who))) => self.come(who),
                Some((_, Event::Look(plan))) => self.look(plan),
                Some((_, Event::Nothing)) | None => {}
            }
        }
    }

    /// The consumer ends; what lies in its pipe is taken back, and the record that it had begun with it.
    pub(super) fn fall(&mut self) {
        if self.fallen || self.failed || self.core.engine.borrow().is_halted() {
            return;
        }
        self.fallen = true;
        self.core.now.set(self.world.now);
        self.core
            .update_and_wake(|engine, now| engine.on_consumer_down(now));
        self.wake();
        self.take_back();
        self.world.is_deaf = false;
    }

    /// The consumer ends of itself, and what was read is for tees alone.
    fn go_for_good(&mut self) {
        if self.failed || self.core.engine.borrow().is_halted() {
            return;
        }
        let has_workers = self.world.s.rules.workers.is_some();
        (self.world.is_deaf, self.world.out.is_over) = (!has_workers, true);
        self.world.promises.on_over();
        self.core.now.set(self.world.now);
        if has_workers {
            let finish = Directive::Finish;
            self.core
                .update_and_wake(|engine, now| engine.command(now, finish));
            self.world.put_down_programs();
        }
        self.core
            .update_and_wake(|engine, now| engine.on_consumer_over(now));
        self.wake();
    }

    /// What the consumer that is gone, reads no more or is put down has left is taken back.
    pub(super) fn take_back(&mut self) {
        while self.doing[SINK] != Doing::Nothing {
            assert!(self.can_act(SINK), "it sleeps on");
            self.act(SINK);
        }
        let unread = std::mem::take(&mut self.world.lying);
        self.core
            .update_and_wake(|engine, now| engine.take_back(unread as u64, now));
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

    /// Somebody looks how much lies unread in the consumer's pipe.
    pub(super) fn look_at_consumer(&mut self) {
        // Where nobody looks nothing is drawn, so that everything else comes as it would.
        let n = self.world.adversity.looks;
        if n.is_some_and(|n| (self.world.random() >> 9).is_multiple_of(n)) {
            let lying = self.world.lying as u64;
            self.core.now.set(self.world.now);
            self.core
                .update_and_wake(|engine, now| engine.look_at_consumer(|| Some(lying), now));
            self.wake();
        }
    }

    /// The consumer has closed its standard input, as who wrote to it has found: that is told, and what it has left is
    /// taken back while it lives on.
    pub(super) fn on_deaf(&mut self) {
        self.core
            .update_and_wake(|engine, now| engine.on_consumer_deaf(now));
        if self.world.s.rules.keeps_given {
            self.take_back();
        }
    }

    /// Another one comes.
    pub(super) fn rise(&mut self) {
        if std::mem::take(&mut self.fallen) {
            self.drivers[SINK] = Driver::new(Actor::Output(0));
            self.doing[SINK] = Doing::Something;
            self.core.now.set(self.world.now);
            self.core
                .update_and_wake(|engine, now| engine.on_output_begin(false, None, now));
            self.wake();
        }
    }

    /// The process is stopped, with the lock in somebody's hand who has just looked at the clock.
    pub(super) fn stand_still(&mut self, time: Duration) {
        let then = self.world.now;
        if self.world.adversity.stale_clock {
            for who in [SOURCE, SINK] {
                if self.doing[who] == Doing::Something {
                    self.act(who);
                }
            }
        }
        self.world.now = then + time;
        self.world.stood_at[0] = self.world.now;
        if time >= LONG {
            self.world.stood_at[1] = self.world.now;
        }
    }

    pub(super) fn told(&mut self, command: Directive) {
        // What may be read already may come on top, and so may what is being passed.
        self.held = self.used() + 256 * 1024;
        self.world.promises.on_command(command);
        self.core
            .engine
            .borrow_mut()
            .command(self.world.now, command);
        self.wake();
        // What changes the caps is in force when nothing is on its way any more.
        self.quiet = self.core.engine.borrow_mut().ask_for_quiet().is_none();
        let mut rounds = 0..ROUNDS;
        while !self.quiet {
            assert!(rounds.next().is_some(), "it never falls quiet");
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
        self.world.promises.on_acknowledged(command);
        let is_paused = self.core.engine.borrow().is_paused();
        assert!(command != Directive::Drain || !is_paused, "held for ever");
        let at = self.world.now - self.world.start;
        self.world.out.told.push((at, command));
        // Every call takes time: what is told at this instant comes before it.
        self.world.now += Duration::from_nanos(1);
    }
}
