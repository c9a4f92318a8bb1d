//! What the main thread does about programs that take from one queue, each by a pipe of its own: how weir ends when
//! they do, and what signals mean to them.

use std::time::Instant;

use super::batches::WorkersState;
use super::beside::{GOES_ON, NOT_TAKEN_BACK};
use super::end::End;
use super::supervise::Run;
use super::with_jobs::LAST_WAIT;
use crate::command::child::Exit;
use crate::config::hook::Occasion;
use crate::control::signals::{Received, SIGINT, SIGQUIT, SIGTERM};
use crate::engine::stall::Side;
use crate::engine::task::Fate;

impl Run {
    fn workers(&mut self) -> Option<&mut WorkersState> {
        self.batches.as_mut()?.workers.as_mut()
    }

    /// One of them has ended.
    pub(super) fn on_worker_end(&mut self, exit: Exit, fate: Fate) -> Option<End> {
        let interrupted = self.batches.as_ref()?.interrupted;
        let workers = self.workers()?;
        workers.is_interrupted = workers.goes_on.is_some();
        if fate != Fate::None {
            workers.last = Some(exit);
        }
        if let Some(end) = End::by_interrupt(exit, interrupted, false) {
            return Some(end);
        }
        match fate {
            Fate::Again => {
                workers.stalled_for = None;
                self.run_hooks(Occasion::Restart);
                None
            }
            // The others may go on, and deal with what it has left.
            Fate::Held if exit.is_success() => None,
            Fate::Failed | Fate::Held => {
                workers.has_given_up = workers.is_run_again && fate == Fate::Failed;
                let end = End::of_command(exit, workers.is_interrupted);
                Some(self.signal.map_or(end, End::Signal))
            }
            Fate::Done if !exit.is_success() => {
                workers.failed = workers.failed.or(Some(exit));
                None
            }
            Fate::Done | Fate::Left | Fate::None => None,
        }
    }

    /// None of them has anything to do any more.
    pub(super) fn end_of_workers(&mut self) -> End {
        // Tees may be behind: they are waited for below.
        let (is_finished, is_held) = self
            .shared
            .update_and_wake(|engine, _| (engine.has_consumer_all(), engine.is_worker_held()));
        if let Some(signal) = self.signal.filter(|_| !is_finished) {
            return End::Signal(signal);
        }
        let interrupted = self.batches.as_ref().and_then(|it| it.interrupted);
        let told = self.workers();
        let (failed, last, is_interrupted) = told.map_or_else(Default::default, |it| {
            (it.failed, it.last, it.is_interrupted)
        });
        if !is_finished && self.failure.is_none() {
            // None of them has wanted any more.
            let exit = failed.or(last).unwrap_or(Exit::Status(0));
            let end = End::by_interrupt(exit, interrupted, is_held);
            return end.unwrap_or_else(|| End::of_command(exit, is_interrupted));
        }
        let end = self.delivered();
        match failed.filter(|_| end.is_good()) {
            Some(exit) => End::of_command(exit, is_interrupted),
            None => end,
        }
    }

    /// One of them does not read what lies in its pipe: it is ended where another one comes in its place, or weir ends.
    pub(super) fn on_worker_stalled(&mut self, job: usize) -> Option<End> {
        let limit = self
            .shared
            .update_and_wake(|engine, _| engine.worker_timeout());
        if !self.workers()?.is_run_again {
            let undelivered = super::end::undelivered(&self.status()).bytes;
            return Some(End::Stalled(Side::Sink, limit, undelivered));
        }
        let batches = self.batches.as_mut()?;
        let child = batches.jobs.program(job)?;
        if batches.tell_to_end(child, SIGTERM, Instant::now() + LAST_WAIT) {
            self.workers()?.stalled_for = Some(limit);
            self.tell_of_stall();
        }
        None
    }

    /// A signal that would end weir, if there were no programs to think of.
    pub(super) fn on_signal_with_workers(&mut self, signal: Received) -> Option<End> {
        let batches = self.batches.as_mut()?;
        // One that has ended a moment ago was sent it, too, maybe: its end is still to be heard of.
        let any_runs = self
            .shared
            .update_and_wake(|engine, _| engine.any_worker_runs());
        if !any_runs && !batches.jobs.any_runs() {
            return Some(self.end_by(signal.number));
        }
        self.shared
            .update_and_wake(|engine, now| engine.restart_no_more(now));
        if ![SIGINT, SIGQUIT].contains(&signal.number) {
            return self.on_termination(signal.number);
        }
        if batches.interrupted.is_some() && signal.is_from_terminal && !batches.jobs.hear_terminal()
        {
            // As with one of them alone.
            return Some(End::Signal(signal.number));
        }
        batches.jobs.pass_on(signal.number, signal.is_from_terminal);
        batches.interrupted = Some(signal.number);
        self.workers()?.goes_on = Instant::now().checked_add(GOES_ON);
        self.hold_input(true);
        None
    }

    /// The run is over, and they are put down: what they have not read was not delivered.
    pub(super) fn take_back_last_of_workers(&mut self) {
        let left = self.batches.iter().flat_map(|it| it.jobs.take_out());
        for (j, unread) in left.collect::<Vec<_>>() {
            match self.beside(None, move |shared| shared.give_back_of(j, unread)) {
                Some(Ok(())) => {}
                Some(Err(failure)) => self.reporter.complain(&failure.to_string()),
                None => self.reporter.complain(NOT_TAKEN_BACK),
            }
            self.shared
                .update_and_wake(|engine, now| engine.take_back_last(j, unread, now));
        }
    }

    /// When to see whether they go on after a signal from the terminal.
    pub(super) fn workers_due(&self) -> Option<Instant> {
        self.batches.as_ref()?.workers.as_ref()?.goes_on
    }

    /// They do, if it is time.
    pub(super) fn look_whether_workers_go_on(&mut self) {
        if self.workers_due().is_some_and(|at| at <= Instant::now()) {
            if let Some(workers) = self.workers() {
                workers.goes_on = None;
            }
            self.hold_input(false);
        }
    }

    /// One of them has failed so often that it was not run again.
    pub(super) fn have_workers_given_up(&self) -> bool {
        let workers = self.batches.as_ref().and_then(|it| it.workers.as_ref());
        workers.is_some_and(|it| it.has_given_up)
    }
}
