//! A worker's program ends: what it has not read goes back into the queue, and what its end means is decided.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::action::{CONSUMER, Order};
use super::restart::{CommandStatus, RestartRules, When};
use super::state::Engine;
use super::stats::Total;
use super::task::{Answer, Fate, Task};
use super::workers::{Life, Worker};

impl Engine {
    /// What came of what a worker was told to do with its program.
    pub(super) fn end_order(&mut self, j: usize, task: Task, answer: Answer, now: Instant) {
        let framing = self.framing;
        let can_do_without = self.can_do_without(j);
        let it = self.worker_mut(j);
        it.is_busy = false;
        match task {
            Task::Start(_) if answer.done => {
                let is_again = it.fate == Fate::Again;
                it.begin(framing, now);
                if let Some(workers) = &mut self.workers {
                    workers.restarts += u64::from(is_again);
                }
            }
            Task::Start(_) if can_do_without => {
                (it.life, it.fate) = (Life::Over, Fate::None);
                self.conclude_worker(j);
            }
            Task::Start(_) => {
                it.is_due = false;
                it.has_progressed = false;
                self.decide(j, false, now);
                self.conclude_worker(j);
            }
            Task::Close => it.is_fed = true,
            Task::Look => self.on_worker_looked(j, answer.unread, now),
            Task::Accuse => it.is_accused = false,
            Task::Empty => self.on_emptied(j, answer.unread, now),
        }
    }

    /// One more was not run, though there was need of it, and nothing is tried again: others run.
    fn can_do_without(&self, j: usize) -> bool {
        self.workers.as_ref().is_some_and(|it| {
            let is_one_more = it.rules.restart.is_none() && !it.list[j].is_due;
            is_one_more && it.list.iter().any(Worker::is_open)
        })
    }

    /// Its program has ended, and whether well.
    pub(crate) fn on_worker_exit(&mut self, j: usize, success: bool, now: Instant) {
        self.worker_mut(j).exit = Some(success);
        self.update(now);
    }

    /// Nobody reads its pipe any more, though its program may go on.
    pub(crate) fn on_worker_deaf(&mut self, j: usize, now: Instant) {
        let it = self.worker_mut(j);
        it.is_deaf = true;
        it.given.unread.begin_anew(now);
        self.update(now);
    }

    /// How long what lies in the pipe of a worker may lie there.
    pub(crate) fn worker_timeout(&self) -> Duration {
        let timeout = self.workers.as_ref().and_then(|it| it.stall_timeout);
        timeout.unwrap_or_default()
    }

    /// What the end of its program means, once, as soon as that is decided.
    pub(crate) fn take_worker_end(&mut self, j: usize) -> Option<Fate> {
        let workers = self.workers.as_mut()?;
        workers.list[j].ended.take()
    }

    fn conclude_worker(&mut self, j: usize) {
        let it = self.worker_mut(j);
        it.ended = Some(it.fate);
    }

    /// What is in its pipe was taken out of that.
    fn on_emptied(&mut self, j: usize, unread: u64, now: Instant) {
        let has_read_all = self.settle_given(j, unread, now);
        if self.halted {
            // What its end means does not matter any more.
            let it = self.worker_mut(j);
            it.life = Life::Over;
            it.ended = it.exit.take().map(|_| Fate::None);
            return;
        }
        let it = self.worker_mut(j);
        let Some(success) = it.exit.take() else {
            return;
        };
        if has_read_all {
            it.fate = Fate::Done;
            it.life = match it.leaves_at.is_some() {
                true => Life::Sent,
                false => Life::Over,
            };
            if let Some(workers) = &mut self.workers {
                workers.list[j].torn_at = None;
                // Nobody waits for one that is not tried again.
                workers.breaker.on_success(j);
            }
        } else {
            self.decide(j, success, now);
        }
        self.conclude_worker(j);
    }

    /// So much of what it was given was taken out of its pipe, unread; whether it has read all there was for it.
    fn settle_given(&mut self, j: usize, unread: u64, now: Instant) -> bool {
        let it = self.worker_mut(j);
        let has_read_all = it.is_fed && unread == 0 && !it.is_deaf;
        if has_read_all {
            it.has_progressed |= it.given.bytes() > 0;
            while let Some(run) = self.worker_mut(j).given.pop_back() {
                self.log.unpin(&run);
            }
        } else if !self.worker(j).is_empty {
            self.take_back_from(j, unread, now);
        }
        self.worker_mut(j).is_empty = true;
        has_read_all
    }

    /// The run is over, and its program with it, which has left so much unread: that was not delivered.
    pub(crate) fn take_back_last(&mut self, j: usize, unread: u64, now: Instant) {
        let it = self.worker(j);
        if it.life == Life::Up && !it.is_writing {
            self.settle_given(j, unread, now);
            self.worker_mut(j).life = Life::Over;
            self.update(now);
        }
    }

    /// Whether it is run again, and when.
    fn decide(&mut self, j: usize, success: bool, now: Instant) {
        let Some(workers) = &mut self.workers else {
            return;
        };
        workers.look_at_success(j, now);
        let it = &mut workers.list[j];
        it.leaves_at = None;
        let again = workers.rules.restart;
        let again = again.filter(|rules| !success || rules.when == When::Always);
        let Some(RestartRules { give_up, .. }) = again.filter(|_| !workers.is_over) else {
            it.life = Life::Over;
            workers.is_held |= again.is_some() && success;
            it.fate = match success {
                _ if again.is_some() => Fate::Held,
                true => Fate::Left,
                false => Fate::Failed,
            };
            workers.breaker.on_success(j);
            return;
        };
        it.fate = Fate::Again;
        if success && it.has_progressed {
            it.waited = Default::default();
            it.life = Life::Down(Some(now));
            workers.breaker.on_success(j);
            return;
        }
        it.failures = it.failures.saturating_add(1);
        let due = workers.breaker.on_failure(j, it.failures, now);
        it.waited = due.map_or_else(Default::default, |at| at.saturating_duration_since(now));
        it.life = Life::Down(due);
        if due.is_none() || give_up.is_some_and(|most| it.failures >= most.get()) {
            (it.life, it.fate) = (Life::Over, Fate::Failed);
        }
    }

    /// Takes back what a program that is gone, or reads no more, has left of what it was given: so many bytes, and the
    /// record that it had begun.
    fn take_back_from(&mut self, j: usize, unread: u64, now: Instant) {
        self.on_worker_read(j, unread, now);
        let end = self.log.end();
        let (mut back, mut reaches_end) = (Total::default(), false);
        while let Some(run) = self.worker_mut(j).given.pop_back() {
            reaches_end |= run.end == end;
            back.bytes += run.end - run.start;
            back.records += self.log.records(&run);
            self.outputs[CONSUMER].queue.insert(run);
        }
        let begun = back.bytes.saturating_sub(unread);
        let mut rest = 0;
        while let Some(run) = self.worker_mut(j).queue.pop_back(u64::MAX) {
            rest += run.end - run.start;
            reaches_end |= run.end == end;
            self.outputs[CONSUMER].queue.insert(run);
        }
        let is_open =
            reaches_end && self.source.cursor.is_inside() && self.shedder.skipped.is_none();
        let used = self.used();
        let is_open = self.last_counted && is_open;
        self.stats.on_taken_back(back, is_open, used);
        if let Some(workers) = &mut self.workers {
            workers.held -= rest;
            workers.taken_back.add_all(back);
            workers.repeated.bytes += begun;
            workers.repeated.records += u64::from(begun > 0);
            workers.list[j].torn_at = None;
        }
        self.look_at_head();
    }

    /// These places, which this worker has or would have been given next, cannot be read back.
    pub(super) fn lose_for_worker(&mut self, j: usize, lost: &Range<u64>, now: Instant) {
        let part = |run: &Range<u64>| run.start.max(lost.start)..run.end.min(lost.end);
        let own: Vec<_> = self.worker(j).queue.over(lost).map(part).collect();
        for part in &own {
            self.worker_mut(j).queue.remove(part);
            if let Some(workers) = &mut self.workers {
                workers.held -= part.end - part.start;
            }
        }
        let queue = &mut self.outputs[CONSUMER].queue;
        let queued: Vec<_> = queue.over(lost).map(part).collect();
        queued.iter().for_each(|part| queue.remove(part));
        for part in own.iter().chain(&queued) {
            self.stats.shed.bytes += part.end - part.start;
            self.stats.shed.records += self.log.records(part);
            self.on_shed(part);
            self.log.unpin(part);
        }
        self.look_at_head();
        self.on_shrunk(now);
    }

    /// Nothing is run again any more.
    pub(crate) fn restart_no_more(&mut self, now: Instant) {
        if let Some(workers) = &mut self.workers {
            let waits = |it: &Worker| matches!(it.life, Life::Down(_)) && it.fate == Fate::Again;
            workers.is_held |= workers.list.iter().any(waits);
            workers.is_over = true;
        }
        self.update(now);
    }

    /// Somebody does not want to wait until what has failed is tried again.
    pub(super) fn retry_workers(&mut self, now: Instant) {
        if let Some(workers) = &mut self.workers {
            workers.breaker.retry(now);
            for it in &mut workers.list {
                if let Life::Down(due) = &mut it.life {
                    *due = None;
                }
            }
        }
    }

    /// Whether one would be run again, but for [that](Engine::restart_no_more), and has given no reason not to.
    pub(crate) fn is_worker_held(&self) -> bool {
        self.workers.as_ref().is_some_and(|it| it.is_held)
    }

    /// Whether a program runs, or one has ended and nobody has dealt with that yet.
    pub(crate) fn any_worker_runs(&self) -> bool {
        let workers = self.workers.as_ref();
        workers.is_some_and(|it| it.list.iter().any(|it| it.life == Life::Up))
    }

    /// How the programs fare, where there are several.
    pub(super) fn worker_status(&self, now: Instant) -> Option<CommandStatus> {
        let workers = self.workers.as_ref()?;
        let circuit = workers.breaker.circuit();
        let is_framed = self.framing.is_some();
        Some(CommandStatus {
            circuit,
            retry_in: circuit.retry_in(now),
            failures: workers.breaker.failures(),
            restarts: workers.restarts,
            running: workers.running(),
            taken_back: workers.taken_back.counting(is_framed),
            repeated: workers.repeated.counting(is_framed),
            batches: None,
            waits_for: None,
        })
    }
}

#[cfg(test)]
impl Engine {
    /// No place is in two workers' hands, nor in one's and in the queue.
    ///
    /// # Panics
    /// When one is.
    pub(crate) fn check_workers(&self) {
        let Some(workers) = &self.workers else { return };
        let mut runs: Vec<_> = workers.runs().cloned().collect();
        let held: u64 = runs.iter().map(|run| run.end - run.start).sum();
        assert_eq!(held, workers.held, "bytes in hands");
        runs.extend(workers.given().cloned());
        runs.extend(self.outputs[CONSUMER].queue.runs().cloned());
        let queued: Vec<_> = self.outputs[CONSUMER].queue.runs().collect();
        let in_order = queued.windows(2).all(|two| two[0].end <= two[1].start);
        assert!(in_order, "the queue is out of order: {queued:?}");
        runs.sort_by_key(|run| run.start);
        let apart = runs.windows(2).all(|two| two[0].end <= two[1].start);
        assert!(apart, "a place is held twice: {runs:?}");
    }
}

impl Order {
    /// What is to be done.
    pub(crate) fn task(&self) -> Task {
        self.task
    }
}
