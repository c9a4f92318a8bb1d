//! What the main thread does about the program that it runs as its consumer: it gives it the end of the input, tells
//! it of signals, and waits for it, whatever ends weir.

mod heard;

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::never;

use super::consumer::Consumer;
use super::end::End;
use super::error::system;
use super::supervise::{HALT, Run};
use crate::command::child::Exit;
use crate::config::hook::Occasion;
use crate::engine::directive::Directive;
use crate::engine::restart::{CommandStatus, Verdict};
use crate::pipe::{Event, Shared};
use crate::report::Ending;

/// A program that lives so long after Ctrl-C goes on, and so does weir.
pub(super) const GOES_ON: Duration = Duration::from_millis(500);

/// What is said where there was no time for that.
pub(super) const NOT_TAKEN_BACK: &str =
    "there was no time to take back what COMMAND has left unread: the next one is not given it";

/// What comes after a program that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    None,
    /// Another run of it.
    Again,
    /// That would come, but nothing is started after a signal.
    AgainButForSignal,
}

impl Run {
    /// All has been written: the program is to see the end of it.
    pub(super) fn feed_end(&mut self) -> Option<End> {
        if let Some(consumer) = &mut self.consumer {
            consumer.feed_end(&self.consumer_port);
        }
        self.finish_branches()
    }

    /// The program has closed its standard input. It may live on: what it has not read is taken back at once, for nobody
    /// may be there to do so when it ends. Whoever writes to weir is to notice as if he wrote to the program.
    pub(super) fn stop_feeding(&mut self) {
        if self.consumer.as_ref().is_some_and(Consumer::keeps_given) {
            self.shared
                .update_and_wake(|engine, now| engine.on_consumer_deaf(now));
            if let Some(unread) = self.empty() {
                self.take_back(unread);
            }
        }
        if self
            .consumer
            .as_ref()
            .is_some_and(|it| it.restarts.is_some())
        {
            // Another one may read on.
            return;
        }
        self.look_whether_it_left_at_the_end();
        if let Some(consumer) = &mut self.consumer {
            consumer.close(&self.consumer_port);
        }
        self.shared
            .update_and_wake(|engine, now| engine.command(now, Directive::Drain));
        // What was just being read may have been the last of it.
        self.shared.await_quiet(HALT);
        self.look_whether_input_has_ended(self.deliver_until);
        if let Ok(nothing) = File::open("/dev/null") {
            let _ = rustix::stdio::dup2_stdin(nothing);
        }
    }

    /// A program that leaves at the last byte is no different from one that waits for the end. Where what it has left is
    /// taken back, that is known only after.
    fn look_whether_it_left_at_the_end(&mut self) {
        self.look_whether_input_has_ended(self.deliver_until);
        let has_all = self
            .shared
            .update_and_wake(|engine, _| engine.has_consumer_all());
        let is_open = self.consumer_port.port().is_some();
        if let Some(consumer) = &mut self.consumer {
            consumer.is_fed |= has_all && is_open && !consumer.keeps_given();
        }
    }

    /// The program has ended.
    pub(super) fn on_exit(&mut self, exit: Exit) -> Option<End> {
        let consumer = self.consumer.as_mut()?;
        consumer.has_ended = true;
        let interrupted = consumer.interrupted;
        let Some(next) = self.what_comes_next(exit) else {
            return self.end_let_go();
        };
        if next == Next::Again {
            return None;
        }
        let is_held = next == Next::AgainButForSignal && self.signal.is_none();
        if let Some(end) = End::by_interrupt(exit, interrupted, is_held) {
            return Some(end);
        }
        if let Some(signal) = self.signal {
            return Some(End::Signal(signal));
        }
        self.look_whether_it_left_at_the_end();
        let consumer = self.consumer.as_mut()?;
        if let Some(failure) = self.failure.take() {
            return Some(End::Failed(failure));
        }
        let is_drained = self.drained;
        // What it has left of what it was given was taken back, where that is kept.
        let has_all = self
            .shared
            .update_and_wake(|engine, _| engine.has_consumer_all());
        let is_fed = consumer.is_fed && has_all;
        Some(match exit.is_success() {
            true if is_fed && is_drained => End::Drained,
            true if is_fed => End::Command(exit, Ending::Eof),
            _ => End::of_command(exit, consumer.goes_on.is_some()),
        })
    }

    /// The program has ended, and maybe it is to be run again: what it has not read is taken back then. `None`: signals let
    /// nothing wait any more.
    fn what_comes_next(&mut self, exit: Exit) -> Option<Next> {
        let restarts = self.consumer.as_mut().and_then(|it| it.restarts.as_mut());
        let Some(restarts) = restarts else {
            return Some(Next::None);
        };
        restarts.kill_at = None;
        self.shared
            .update_and_wake(|engine, now| engine.on_consumer_down(now));
        let unread = self.empty()?;
        let consumer = self.consumer.as_ref();
        if consumer.is_some_and(|it| it.is_fed) && unread == 0 {
            return Some(Next::None);
        }
        let is_interrupted = consumer.is_some_and(|it| it.interrupted.is_some());
        let is_last = is_interrupted || self.signal.is_some();
        self.forget_consumer_s_events();
        let dealt_with = self.take_back(unread)?;
        let has_all = self
            .shared
            .update_and_wake(|engine, _| engine.has_consumer_all());
        let consumer = self.consumer.as_mut()?;
        if has_all {
            // It has read the last byte before it was told that this was it: there is nothing to run another one for.
            consumer.is_fed = true;
            return Some(Next::None);
        }
        let restarts = consumer.restarts.as_mut()?;
        let progress = dealt_with > restarts.before;
        restarts.before = dealt_with;
        let now = Instant::now();
        let verdict = restarts.breaker.on_end(exit.is_success(), progress, now);
        Some(match verdict {
            Verdict::Again(_) if is_last => Next::AgainButForSignal,
            Verdict::Again(at) => {
                restarts.due = Some(at);
                Next::Again
            }
            Verdict::Over => Next::None,
        })
    }

    /// Takes out of the program's pipe what it has not read, and says how much that was: nothing where that was done
    /// before. Who writes to it has been told to stop, and is waited for, so that this is all there is. `None`: signals let
    /// nobody wait for him any more.
    fn empty(&mut self) -> Option<u64> {
        let (sinks, threads) = self.consumer.as_mut()?.take_threads();
        self.spare_threads = sinks.or(self.spare_threads.take());
        if !threads.is_empty() {
            let join = move |_: &Arc<Shared>| threads.into_iter().for_each(|it| drop(it.join()));
            self.beside(self.deliver_until, join)?;
        }
        let consumer = self.consumer.as_mut()?;
        let unread = consumer.empty(&self.consumer_port);
        self.consumer_port.close();
        Some(unread)
    }

    /// Takes back what it has not read. What all so far have dealt with; `None`: as there.
    fn take_back(&mut self, unread: u64) -> Option<u64> {
        let taken = self.beside(self.deliver_until, move |shared| shared.take_back(unread));
        let (dealt_with, saved) = taken?;
        if let Err(failure) = saved {
            self.reporter.complain(&failure.to_string());
        }
        Some(dealt_with)
    }

    /// The run is over, and the program is put down: what it has not read stays in the spool, for another run.
    pub(super) fn take_back_last(&mut self) {
        if !self.consumer.as_ref().is_some_and(Consumer::keeps_given) {
            return;
        }
        let unread = self.empty();
        // Of one that has read all to the end no record is begun.
        let is_left = |unread| unread > 0 || self.consumer.as_ref().is_some_and(|it| !it.is_fed);
        let taken = match unread {
            Some(unread) if is_left(unread) => self.take_back(unread).map(drop),
            Some(_) => Some(()),
            None => None,
        };
        if taken.is_none() {
            self.reporter.complain(NOT_TAKEN_BACK);
        }
    }

    /// How much lies unread in its pipe, or whatever else is the output, as far as that can be told.
    pub(super) fn unread_bytes(&self) -> Option<u64> {
        let port = self.consumer_port.port();
        let unread = port.and_then(|port| port.unread());
        unread.or_else(|| self.consumer.as_ref()?.unread_bytes())
    }

    /// Looks how much of what it was given it has left unread, where that may be taken back. Whether it has stalled.
    pub(super) fn look_at_consumer(&self) -> bool {
        let is_kept = self.consumer.as_ref().is_some_and(Consumer::keeps_given);
        let look = || self.unread_bytes();
        is_kept
            && self
                .shared
                .update_and_wake(|engine, now| engine.look_at_consumer(look, now))
    }

    /// What the thread that wrote to the program had to say is of the past.
    fn forget_consumer_s_events(&mut self) {
        let events: Vec<Event> = self.events.try_iter().collect();
        for event in events {
            if !matches!(event, Event::Delivered | Event::ConsumerGone) {
                let _ = self.on_event(Some(event));
            }
        }
    }

    /// Whether it is run again when it has stalled for so long; it is told to end then.
    pub(super) fn is_run_again(&mut self, time: Duration) -> bool {
        let Some(consumer) = self.consumer.as_mut().filter(|it| it.restarts.is_some()) else {
            return false;
        };
        if consumer.end_stalled(time) {
            self.tell_of_stall();
        }
        self.shared
            .update_and_wake(|engine, now| engine.on_sink_moved(now));
        true
    }

    /// When the program is run again, unless somebody holds the output.
    pub(super) fn retry_due(&self) -> Option<Instant> {
        let due = self.consumer.as_ref()?.waits()?;
        let is_paused = self.shared.update_and_wake(|engine, _| engine.is_paused());
        (!is_paused).then_some(due)
    }

    /// Runs the program again, if it is time. The end, where that is it.
    pub(super) fn look_whether_to_retry(&mut self) -> Option<End> {
        if self.retry_due().is_none_or(|due| due > Instant::now()) {
            return None;
        }
        let records = self
            .shared
            .update_and_wake(|engine, now| engine.books(now).written.records);
        let consumer = self.consumer.as_mut()?;
        let started = consumer.start_again(&self.consumer_port, records.unwrap_or(0));
        self.exits = consumer.exits.clone();
        let restarts = consumer.restarts.as_mut()?;
        restarts.due = None;
        let now = Instant::now();
        restarts.breaker.on_start(now);
        let failure = match started {
            Ok(()) => {
                restarts.cannot_be_run = false;
                let threads = self.spare_threads.take()?;
                return match threads.start(false) {
                    Ok(thread) => {
                        restarts.threads = Some((threads, thread));
                        self.run_hooks(Occasion::Restart);
                        None
                    }
                    Err(e) => Some(End::Failed(system(e))),
                };
            }
            Err(failure) => failure,
        };
        self.exits = never();
        consumer.has_ended = true;
        let status = Exit::Status(failure.status.unwrap_or(u8::MAX));
        let is_news = !std::mem::replace(&mut restarts.cannot_be_run, true);
        match restarts.breaker.on_end(false, false, now) {
            Verdict::Again(at) => restarts.due = Some(at),
            Verdict::Over => return Some(End::Command(status, Ending::CommandFailed)),
        }
        if is_news {
            self.reporter.complain(&failure.failure.to_string());
        }
        None
    }

    /// Whether it has failed so often that it is not run again.
    pub(super) fn has_given_up(&self) -> bool {
        let restarts = self.consumer.as_ref().and_then(|it| it.restarts.as_ref());
        restarts.is_some_and(|it| it.breaker.has_given_up()) || self.have_workers_given_up()
    }

    /// How long it had taken nothing, where it has failed so often by that.
    pub(super) fn has_given_up_on_stall(&self) -> Option<Duration> {
        let consumer = self.consumer.as_ref().and_then(|it| it.stalled_for);
        let workers = self.batches.as_ref().and_then(|it| it.workers.as_ref());
        let time = consumer.or(workers.and_then(|it| it.stalled_for));
        time.filter(|_| self.has_given_up())
    }

    /// Somebody does not want to wait. False where there is nothing to be tried.
    pub(super) fn retry_now(&mut self) -> bool {
        if let Some(batches) = &self.batches {
            self.shared
                .update_and_wake(|engine, now| engine.retry_batches(now));
            batches.jobs.hurry_all();
            return batches.workers.as_ref().is_none_or(|it| it.is_run_again);
        }
        let restarts = self.consumer.as_mut().and_then(|it| it.restarts.as_mut());
        if let Some(restarts) = restarts {
            let now = Instant::now();
            restarts.due = restarts.due.map(|_| now);
            restarts.breaker.retry(now);
            return true;
        }
        false
    }

    /// How the program fares, for reports.
    pub(super) fn command_status(&mut self) -> Option<CommandStatus> {
        if let Some(batches) = &self.batches {
            let mut told = self
                .shared
                .update_and_wake(|engine, now| engine.job_status(now))?;
            // What an earlier run has started is none of ours.
            let outlived = batches.jobs.outlived();
            told.running = told.running.saturating_sub(outlived.len());
            told.waits_for = outlived.first().copied();
            return Some(told);
        }
        let told = self
            .shared
            .update_and_wake(|engine, _| (engine.dealt_with(), engine.taken_back()));
        let consumer = self.consumer.as_mut()?;
        let running = usize::from(consumer.runs());
        let restarts = consumer.restarts.as_mut();
        let (dealt_with, [taken_back, repeated]) = told;
        let Some(restarts) = restarts else {
            return Some(CommandStatus {
                running,
                ..CommandStatus::default()
            });
        };
        let now = Instant::now();
        restarts.breaker.look(dealt_with > restarts.before, now);
        let circuit = restarts.breaker.circuit();
        Some(CommandStatus {
            circuit,
            retry_in: circuit.retry_in(now),
            failures: restarts.breaker.failures(),
            restarts: restarts.breaker.restarts(),
            running,
            taken_back,
            repeated,
            batches: None,
            waits_for: None,
        })
    }

    /// Programs that are reported as running were just ended.
    pub(super) fn note_put_down(&mut self) {
        let command = self.command_status();
        self.reporter.note_command(command);
    }

    /// No end of weir leaves the program behind.
    pub(super) fn put_down_consumer(&mut self, end: &End) {
        match &mut self.consumer {
            Some(consumer) => consumer.close(&self.consumer_port),
            None => self.consumer_port.close(),
        }
        if let Some(consumer) = &mut self.consumer {
            let by = end.signal_for_command(consumer.interrupted);
            let (deadline, grace) = (&mut self.deadline, self.signal_grace);
            consumer.put_down(by, &self.signals, |signal| deadline.heeds(signal, grace));
        }
    }
}
