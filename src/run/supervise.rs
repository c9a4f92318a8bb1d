//! The main thread while a run goes on: it listens to everybody, and decides how the run ends.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, at, never, select};
use jiff::Zoned;

use super::batches::Batches;
use super::consumer::Consumer;
use super::deadline::Deadline;
use super::end::{Awaits, End, undelivered};
use super::hooks::Hooks;
use super::measure::Measured;
use super::reopening::Reopening;
use super::timetable::Schedules;
use crate::command::child::Exit;
use crate::command::jobs::News;
use crate::config::hook::Occasion;
use crate::config::live::LiveConfig;
use crate::control::server::Control;
use crate::control::signals::{self, Received, SIGINT, SIGPIPE};
use crate::engine::event;
use crate::engine::stall::{Side, StallLook};
use crate::engine::status::Status;
use crate::pipe::consumer_port::ConsumerPort;
use crate::pipe::error::PipeError;
use crate::pipe::fan_out::Branches;
use crate::pipe::parting::Parting;
use crate::pipe::reopen::Reopener;
use crate::pipe::{Event, Shared, Sinks};
use crate::report::Reporter;
use crate::share::Membership;

/// How long a read or write that is under way may take before the books are closed without it.
pub(super) const HALT: Duration = Duration::from_millis(20);
/// How soon after the consumer has left the input must end for that to be a success, if no write
/// is refused meanwhile.
const GRACE: Duration = Duration::from_millis(50);

/// Everybody whom the main thread listens to, and what it has heard.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    pub(super) events: Receiver<Event>,
    /// What happens to the flow, and what is run then.
    pub(super) happenings: Receiver<event::Event>,
    pub(super) hooks: Hooks,
    pub(super) signals: Receiver<Received>,
    /// What those with whom a cap is shared have to say.
    pub(super) noticed: Receiver<String>,
    pub(super) membership: Membership,
    pub(super) schedules: Schedules,
    pub(super) reporter: Reporter,
    /// The expected total, while it is not known yet.
    pub(super) measured: Receiver<Measured>,
    /// What opens the files that are written to anew.
    pub(super) reopeners: Vec<Reopener>,
    /// Somebody waits for them to be gone on with.
    pub(super) reopening: Option<Reopening>,
    /// The output, to look how much of it lies unread.
    pub(super) consumer_port: ConsumerPort,
    /// The program that is the consumer, where there is one, and how it ends.
    pub(super) consumer: Option<Consumer>,
    pub(super) exits: Receiver<Exit>,
    /// Who runs programs with batches, where that is the consumer, and what they have to say.
    pub(super) batches: Option<Batches>,
    pub(super) news: Receiver<News>,
    /// How to have another thread for it, while there is none.
    pub(super) spare_threads: Option<Sinks>,
    pub(super) unread: Option<u64>,
    /// The source thread could not read on: what is held is still delivered.
    pub(super) failure: Option<PipeError>,
    /// It was said that something could not be written down.
    pub(super) overflow_failed: bool,
    /// It was said that a tee or a tap has failed.
    pub(super) output_failed: bool,
    /// What was last said of the disk.
    pub(super) disk_failure: Option<String>,
    pub(super) branches: Branches,
    /// How to have the consumer see the end before that of the run.
    pub(super) parting: Option<Parting>,
    /// It has seen it: what becomes of it then is nobody's business.
    pub(super) has_parted: bool,
    /// Somebody has asked for no more to be read.
    pub(super) drained: bool,
    /// This signal ends the run when all is delivered.
    pub(super) signal: Option<i32>,
    /// For how long what is held is delivered after such a signal, and until when that is.
    pub(super) signal_grace: Duration,
    pub(super) deliver_until: Option<Instant>,
    /// The run is over when tees have had what was read: nothing else can end it then but a signal, and time.
    pub(super) awaits: Option<Awaits>,
    /// For how long the disk is waited for, and what was heard meanwhile.
    pub(super) deadline: Deadline,
    /// The consumer has left: until then the end of input makes that a success.
    pub(super) grace: Option<Instant>,
    pub(super) control: Control,
    /// What can be changed, as it is in force.
    pub(super) live: LiveConfig,
}

impl Run {
    /// Listens until something ends the run.
    pub(super) fn supervise(&mut self) -> End {
        let end = self.listen();
        let end = self.with_signal(end);
        self.look_whether_input_ended_with(&end);
        match self.let_tees_finish(end) {
            Some(end) => end,
            None => self.listen(),
        }
    }

    /// A signal that ends who writes to weir may have been sent to weir, too, and be heard a moment later: it ends both.
    fn with_signal(&mut self, end: End) -> End {
        if !matches!(end, End::Delivered) {
            return end;
        }
        signals::await_sent();
        while let Ok(heard) = self.signals.try_recv() {
            let ended = self.on_signal(Some(heard));
            if signals::is_end(heard.number) {
                return ended.unwrap_or(End::Signal(heard.number));
            }
        }
        end
    }

    /// The same where the run ends like this.
    pub(super) fn look_whether_input_ended_with(&mut self, end: &End) {
        if !matches!(end, End::Signal(signal) if *signal != SIGPIPE) {
            self.look_whether_input_has_ended(self.forces_until(end));
        }
    }

    /// The run ends, or nobody reads on: whether its input has ended, too. What ends when weir was told to end, and whoever
    /// writes to it with it, maybe, may be no end of it. A disk is waited for until then.
    pub(super) fn look_whether_input_has_ended(&mut self, until: Option<Instant>) {
        let is_interrupted = |it: &Consumer| it.goes_on.is_some();
        let is_interrupted = self.consumer.as_ref().is_some_and(is_interrupted);
        if self.signal.is_none() && !self.drained && !is_interrupted {
            self.beside(until, |shared| shared.look_whether_input_has_ended(HALT));
        }
    }

    fn listen(&mut self) -> End {
        loop {
            if let Some(end) = self.end_by_kept() {
                return end;
            }
            // What has happened already counts before what is only late.
            while let Ok(event) = self.events.try_recv() {
                if let Some(end) = self.on_event(Some(event)).filter(|_| self.awaits.is_none()) {
                    return end;
                }
                if let Some(end) = self.end_by_kept() {
                    return end;
                }
            }
            for command in self.schedules.poll(Instant::now(), Zoned::now) {
                self.shared
                    .update_and_wake(|engine, now| engine.command(now, command));
            }
            if let Some(end) = self.end_that_was_put_off() {
                return end;
            }
            let mut look = self.look_for_stall();
            if let StallLook::Stalled(Side::Sink, time) = look
                && self.is_run_again(time)
            {
                // The next one has as much time, however soon it comes.
                look = self.look_for_stall();
            }
            let look = match look {
                StallLook::Quiet(due) => due,
                StallLook::Stalled(..) if self.awaits.is_some() => None,
                StallLook::Stalled(side, time) => {
                    return End::Stalled(side, time, undelivered(&self.status()).bytes);
                }
            };
            if self.awaits.is_none() && self.grace.is_some_and(|until| until <= Instant::now()) {
                return self.gone();
            }
            if let Some(signal) = self.signal
                && self
                    .deliver_until
                    .is_some_and(|until| until <= Instant::now())
            {
                return End::Signal(signal);
            }
            self.look_whether_it_goes_on();
            if self.awaits.is_none()
                && let Some(end) = self.look_whether_to_retry()
            {
                return end;
            }
            let (reopened_by, reopened) = self.look_whether_reopened();
            let due = [
                look,
                reopened_by,
                self.look_whether_jobs_stall(),
                self.consumer.as_ref().and_then(Consumer::due),
                self.retry_due(),
                self.workers_due(),
                self.schedules.due(),
                self.reporter.next_tick(),
                self.control.due(),
                self.grace,
                self.deliver_until,
            ];
            let alarm = due.into_iter().flatten().min().map_or_else(never, at);
            let decided = select! {
                recv(self.events) -> event => self.on_event(event.ok()),
                recv(self.happenings) -> event => {
                    if let Ok(event) = event {
                        self.run_hooks(Occasion::Flow(event));
                    }
                    None
                }
                recv(self.exits) -> exit => match self.after_signals(|run| run.on_exits(exit.ok())) {
                    Ok(ended) => ended,
                    Err(end) => return end,
                },
                // What it means is looked at above.
                recv(self.branches.over) -> _ => None,
                recv(reopened) -> _ => None,
                recv(self.news) -> news => match self.after_signals(|run| run.on_news(news.ok())) {
                    Ok(ended) => ended,
                    Err(end) => return end,
                },
                recv(self.signals) -> signal => match self.on_signal(signal.ok()) {
                    Some(end) => return end,
                    None => None,
                },
                recv(self.control.questions) -> question => {
                    question.into_iter().for_each(|question| self.on_question(question));
                    None
                }
                recv(self.measured) -> measured => {
                    self.measured = never();
                    measured.into_iter().for_each(|it| self.on_measured(it));
                    None
                }
                recv(self.noticed) -> what => {
                    match what {
                        Ok(what) => self.reporter.complain(&what),
                        // Nobody has anything to say any more.
                        Err(_) => self.noticed = never(),
                    }
                    None
                }
                recv(alarm) -> _ => {
                    self.control.poll(Instant::now());
                    self.report();
                    None
                }
            };
            // While only tees are waited for nothing else is an end.
            if let Some(end) = decided.filter(|_| self.awaits.is_none()) {
                return end;
            }
        }
    }

    /// This has happened: what is to be run then is, or it is said why not.
    pub(super) fn run_hooks(&mut self, on: Occasion) {
        let status = self.status();
        if let Some(what) = self.hooks.run(on, &status) {
            self.reporter.complain(&what);
        }
    }

    pub(super) fn status(&mut self) -> Status {
        self.look_at_consumer();
        let told = self.shared.update_and_wake(|engine, now| {
            let losses = engine.lane_losses();
            (engine.status(now), engine.side_status(now), losses)
        });
        self.reporter.note_outputs(told.1);
        self.reporter.note_lanes(&told.2);
        let command = self.command_status();
        self.reporter.note_command(command);
        let mut status = told.0;
        status.share = self.membership.status(Instant::now());
        status
    }

    /// Asks the watchdog. A pipe says that it has room only when a whole page of it has been read;
    /// how much lies unread in it tells of a consumer that takes less.
    fn look_for_stall(&mut self) -> StallLook {
        let look = self
            .shared
            .update_and_wake(|engine, now| engine.look_for_stall(now));
        if look != StallLook::Quiet(None) {
            let unread = self.unread_bytes();
            let has_stalled = self.look_at_consumer();
            let has_moved = mem::replace(&mut self.unread, unread) != unread;
            if has_moved {
                self.shared
                    .update_and_wake(|engine, now| engine.on_sink_moved(now));
            }
            if has_stalled || has_moved {
                return self
                    .shared
                    .update_and_wake(|engine, now| engine.look_for_stall(now));
            }
        }
        look
    }

    fn report(&mut self) {
        let now = Instant::now();
        if self.reporter.next_tick().is_some_and(|due| due <= now) {
            let status = self.status();
            self.reporter.tick(now, &status);
        }
    }

    pub(super) fn on_event(&mut self, event: Option<Event>) -> Option<End> {
        match event {
            Some(Event::SourceFailed(failure)) => self.failure = Some(failure),
            Some(Event::OverflowFailed(failure)) => self.on_overflow_failed(&failure),
            Some(Event::DiskFailed(failure)) => self.on_disk_failed(&failure),
            Some(Event::Damaged(what)) => self.reporter.complain(&what),
            Some(Event::OutputFailed(failure)) => {
                self.output_failed = true;
                self.reporter.complain(&failure.to_string());
            }
            Some(Event::SinkFailed(failure)) => return Some(End::Failed(failure)),
            // One that leaves after the last byte is no different from one that stays. Nor is one
            // that has all it wants when the producer is just about to end: tar is such a pair.
            Some(Event::ConsumerLeft) if self.has_parted => {}
            Some(Event::ConsumerLeft) => self.grace = Some(Instant::now() + GRACE),
            Some(Event::ConsumerHasAll) => self.part_from_consumer(),
            Some(Event::ConsumerGone) if self.consumer.is_some() => self.stop_feeding(),
            Some(Event::ConsumerGone) => return Some(self.gone()),
            Some(Event::Delivered) if self.awaits.is_some() => {}
            Some(Event::Delivered) if self.consumer.is_some() => return self.feed_end(),
            // Nobody has anything to say any more.
            None if self.consumer.is_some() || self.batches.is_some() => self.events = never(),
            Some(Event::Delivered) | None => {
                return Some(self.delivered());
            }
        }
        None
    }

    fn on_exits(&mut self, exit: Option<Exit>) -> Option<End> {
        self.exits = never();
        self.on_exit(exit?)
    }

    /// What goes wrong each time that the disk is forced is said once.
    fn on_disk_failed(&mut self, failure: &PipeError) {
        let text = failure.to_string();
        if self.disk_failure.as_ref() != Some(&text) {
            self.reporter.complain(&text);
            self.disk_failure = Some(text);
        }
    }

    pub(super) fn on_overflow_failed(&mut self, failure: &PipeError) {
        if !mem::replace(&mut self.overflow_failed, true) {
            self.reporter.complain(&failure.to_string());
        }
    }

    /// What was sent to weir and COMMAND came before what COMMAND has made of it.
    /// `Err`: it is the end, whatever that was.
    fn after_signals(
        &mut self,
        then: impl FnOnce(&mut Run) -> Option<End>,
    ) -> Result<Option<End>, End> {
        signals::await_sent();
        let mut heard = None;
        while heard.is_none()
            && let Ok(signal) = self.signals.try_recv()
        {
            heard = self.on_signal(Some(signal));
        }
        let ended = then(self);
        heard.map_or(Ok(ended), Err)
    }

    pub(super) fn on_signal(&mut self, signal: Option<Received>) -> Option<End> {
        match signal {
            Some(signal) if !signals::is_end(signal.number) => {
                let status = self.status();
                self.reporter.on_demand(&status);
                None
            }
            Some(signal) if self.awaits.is_some() => self.on_signal_to_tees(signal.number),
            Some(signal) if self.consumer.is_some() => self.on_signal_beside(signal),
            Some(signal) if self.batches.is_some() => self.on_signal_with_jobs(signal),
            Some(signal) if signal.number != SIGINT => self.on_termination(signal.number),
            signal => Some(self.end_as_told(signal.map_or(SIGINT, |signal| signal.number))),
        }
    }

    /// This signal ends it without more ado; where it is a second one, nothing is waited for any more.
    pub(super) fn end_as_told(&mut self, signal: i32) -> End {
        match self.signal {
            Some(_) => self.end_at_once(signal),
            None => End::Signal(signal),
        }
    }
}
