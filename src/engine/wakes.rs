//! Who sleeps on which decision, and who is woken because it is another one now.
//!
//! Invariant: after every call each sleeper's decision is what [`Engine::plan`] says.

use std::time::Instant;

use super::action::{Actor, CONSUMER, OVERFLOW, SIDES};
use super::plan::{Sleeper, is_kept, is_wakeable};
use super::state::{Engine, Wakes};

impl Engine {
    /// `None` where nothing is on its way to the consumer by a decision that is no longer in force; else
    /// the number with which [`Wakes::quiet`] says when. An answer to an earlier question is none to this
    /// one, for something may have set out between them.
    pub(crate) fn ask_for_quiet(&mut self) -> Option<u64> {
        self.quiet_asked += 1;
        self.quiet_wanted = !self.is_quiet();
        self.quiet_wanted.then_some(self.quiet_asked)
    }

    fn is_quiet(&self) -> bool {
        // What is read meanwhile is told after a drain has begun, and is a part of what is drained.
        let is_last = (self.ended || self.input_looked_at) && !self.source.path.input_blocks;
        let reads = (self.halted || is_last) && self.source.is_reading;
        let sides = self.halted && self.sides().any(|(_, side)| side.is_writing_what_counts());
        let mut workers = self.workers.iter().flat_map(|workers| &workers.list);
        let is_writing = self.outputs[CONSUMER].is_writing || workers.any(|it| it.is_writing);
        !(reads || sides || self.source.is_passing || is_writing)
    }

    /// Wakes who writes to files beside the consumer, to look at something that the engine knows nothing of.
    pub(crate) fn wake_writers(&mut self) {
        for i in OVERFLOW..self.outputs.len() {
            let actor = Actor::Output(i);
            let asleep = self.sleeper(actor).asleep;
            if asleep.is_some_and(|sleep| is_wakeable(actor, sleep)) {
                self.wake_up(actor);
            }
        }
    }

    /// Whether records are kept apart.
    pub(crate) fn is_framed(&self) -> bool {
        self.framing.is_some()
    }

    /// Whether this output stands inside a record, of which it has got a part.
    pub(crate) fn is_inside_record(&self, i: usize) -> bool {
        self.outputs[i].cursor.is_inside()
    }

    /// Whether there is anybody to be woken.
    pub(crate) fn has_wakes(&self) -> bool {
        self.has_wakes || self.log.is_freed()
    }

    /// Whom to wake for what has changed since the last call.
    pub(crate) fn take_wakes(&mut self) -> Wakes {
        self.has_wakes = false;
        self.wakes.floor = self.log.take_floor();
        std::mem::take(&mut self.wakes)
    }

    #[inline]
    pub(super) fn sleeper(&mut self, actor: Actor) -> &mut Sleeper {
        match actor {
            Actor::Source => &mut self.source.sleeper,
            Actor::Output(i) => &mut self.outputs[i].sleeper,
            Actor::Job(j) if self.workers.is_some() => &mut self.worker_mut(j).sleeper,
            Actor::Job(j) => self.job_sleeper(j),
        }
    }

    /// What it means for those who sleep, but for the one who has just been told what to do.
    pub(super) fn announce(&mut self, told: Option<Actor>, now: Instant) {
        self.has_plain_rules = self.has_plain_rules || self.find_plain_rules();
        let is_plain = self.is_plain();
        if !is_plain {
            self.scale(now);
        }
        if told != Some(Actor::Source) {
            self.wake(Actor::Source, now);
        }
        for i in 0..self.outputs.len() {
            if told != Some(Actor::Output(i)) {
                self.wake(Actor::Output(i), now);
            }
        }
        if !is_plain {
            self.announce_to_jobs(told, now);
        }
        self.time_waits(now);
        self.look_for_quiet();
    }

    fn announce_to_jobs(&mut self, told: Option<Actor>, now: Instant) {
        // Whoever was given something last is woken last.
        let (count, first) = (
            self.job_count(),
            self.workers.as_ref().map_or(0, |it| it.next),
        );
        for j in (0..count).map(|n| (first + n) % count) {
            // What one was told may itself be what there is need of others for.
            if told != Some(Actor::Job(j)) || self.scales() {
                self.wake(Actor::Job(j), now);
            }
        }
    }

    #[inline]
    pub(super) fn look_for_quiet(&mut self) {
        if self.quiet_wanted && self.is_quiet() {
            self.quiet_wanted = false;
            self.wakes.quiet = Some(self.quiet_asked);
            self.has_wakes = true;
        }
    }

    /// Wakes this actor if it sleeps on a decision that is no longer the right one.
    #[inline]
    fn wake(&mut self, actor: Actor, now: Instant) {
        if let Some(sleep) = self.sleeper(actor).asleep
            && is_wakeable(actor, sleep)
            && !is_kept(sleep, self.plan(actor, now))
        {
            self.wake_up(actor);
        }
    }

    fn wake_up(&mut self, actor: Actor) {
        let sleeper = self.sleeper(actor);
        sleeper.asleep = None;
        sleeper.version += 1;
        let version = Some(sleeper.version);
        self.has_wakes = true;
        match actor {
            Actor::Source => self.wakes.source = version,
            Actor::Output(i @ SIDES..) => self.wakes.sides.extend(version.map(|v| (i, v))),
            Actor::Job(j) => self.wakes.jobs.extend(version.map(|v| (j, v))),
            Actor::Output(i) => self.wakes.outputs[i] = version,
        }
    }
}
