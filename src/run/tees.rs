//! What the end of a run waits for beside the consumer: tees, which are owed everything; taps and those who look, for a
//! moment, if they take something.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, at, never, select};

use super::end::{Awaits, End};
use super::supervise::Run;
use crate::control::signals::{SIGINT, SIGQUIT};
use crate::engine::directive::Directive;
use crate::engine::side::Role;
use crate::report::timeout::Timeout;

/// How long the end of a run waits for taps that are behind and take something, at most.
const LAST_WAIT: Duration = Duration::from_secs(2);
/// A tap whose reader takes nothing for so long is not waited for. (A pipe says that it has room by pages only, but how
/// much lies in it tells of one who reads less. What lies there at the end stays there for him.)
const IDLE: Duration = Duration::from_millis(500);
/// Nor is one who only looks for longer than this, for nobody is to feel him. Time in which weir does not run does not count:
/// a machine that stands still for a moment is no reason to take his last word from him.
const LAST_LOOK: Duration = Duration::from_millis(100);

/// For how long those who look are waited for.
struct LastLook {
    timeout: Timeout,
    /// A part of it is over.
    over: Receiver<Instant>,
}

impl LastLook {
    fn new() -> LastLook {
        let timeout = Timeout::of(LAST_LOOK);
        let over = timeout.look().map_or_else(never, after);
        LastLook { timeout, over }
    }

    /// A part of it is over. Whether there is another one.
    fn goes_on(&mut self) -> bool {
        let next = self.timeout.spend();
        self.over = next.map_or_else(never, after);
        next.is_some()
    }
}

impl Run {
    /// Waits until tees have all that they are owed and are closed, and for a moment for taps. The signal that
    /// has ended that, if one has.
    pub(super) fn finish_branches(&mut self) -> Option<End> {
        if self.is_any_pending(|role| matches!(role, Role::Tee | Role::Tap(_))) {
            self.part_from_consumer();
        }
        let moment = after(LAST_WAIT);
        let late = self.deliver_until.map_or_else(never, at);
        let mut last_look = LastLook::new();
        let mut idle = after(IDLE);
        let (mut taps, mut lookers) = (true, true);
        let mut taken = self.taken_by_taps();
        loop {
            let is_waited_for = |role| match role {
                Role::Tee => true,
                Role::Tap(_) => taps,
                Role::Looker(_) => lookers,
                Role::Recall(_) => false,
            };
            if !self.is_any_pending(is_waited_for) {
                return None;
            }
            if let Some(end) = self.end_by_kept() {
                return Some(end);
            }
            select! {
                recv(self.branches.over) -> _ => {}
                recv(moment) -> _ => taps = false,
                recv(last_look.over) -> _ => lookers = last_look.goes_on(),
                recv(idle) -> _ => {
                    let before = std::mem::replace(&mut taken, self.taken_by_taps());
                    taps &= taken > before;
                    idle = if taps { after(IDLE) } else { never() };
                }
                recv(late) -> _ => return self.signal.map(End::Signal),
                recv(self.signals) -> signal => {
                    if let Some(end) = self.on_late_signal(signal.ok()) {
                        return Some(end);
                    }
                }
            }
        }
    }

    /// The consumer has had all, and sees its end where it can: it is not to feel that others have not.
    pub(super) fn part_from_consumer(&mut self) {
        if let Some(consumer) = &mut self.consumer {
            // One of which anything may be taken back may have to be given it again.
            if !consumer.keeps_given() {
                consumer.feed_end(&self.consumer_port);
            }
        } else if let Some(parting) = self.parting.take() {
            // Of its pipe there may be another description of our own.
            self.consumer_port.close();
            parting.part();
            // One that has left after the last byte is no different from one that stays.
            (self.grace, self.has_parted) = (None, true);
        } else if self.consumer_port.port().is_some_and(|it| it.is_terminal()) {
            // Nor is a terminal, which sees no end before that of the run.
            (self.grace, self.has_parted) = (None, true);
        }
    }

    fn is_any_pending(&self, is_waited_for: impl Fn(Role) -> bool) -> bool {
        self.shared
            .update_and_wake(|engine, _| engine.is_side_pending(is_waited_for))
    }

    /// What taps have taken, and whoever reads them has not left in their pipes.
    fn taken_by_taps(&self) -> u64 {
        let taken = self
            .shared
            .update_and_wake(|engine, _| engine.taken_by_taps());
        taken.saturating_sub(self.shared.unread_of_taps())
    }

    /// Tees still get what was read, where a program that is the consumer has ended before they had all, or a first
    /// signal has ended weir when it had: nobody else is listened to then, and what other programs run is put down. The
    /// end, where there is nothing to wait for. With a spool their rest stays there, as that of the consumer does.
    pub(super) fn let_tees_finish(&mut self, end: End) -> Option<End> {
        let now = Instant::now();
        let is_early = match end {
            End::Command(..) => true,
            // It may have been given its end before they had all.
            End::Drained | End::Failed(_) => self.consumer.as_ref().is_some_and(|it| it.has_ended),
            End::Signal(n) if self.consumer.is_some() || self.batches.is_some() => {
                self.signal == Some(n) && self.deliver_until.is_none_or(|at| now < at)
            }
            _ => false,
        };
        let is_kept = self.shared.update_and_wake(|engine, _| engine.outlives());
        if !is_early || is_kept || !self.is_any_tee_pending() {
            return Some(end);
        }
        if self.batches.is_some() {
            self.shared
                .update_and_wake(|engine, now| engine.command(now, Directive::Finish));
        }
        self.shared
            .update_and_wake(|engine, now| engine.on_consumer_over(now));
        self.tell_jobs_to_end(&end);
        let is_fed = self.consumer.as_ref().is_some_and(|it| it.is_fed);
        if self.signal.is_none() && !is_fed {
            // One that is beyond the end of time never comes.
            self.deliver_until = now.checked_add(self.signal_grace);
        }
        self.awaits = Some(Awaits::Early(end));
        None
    }

    /// None of several programs has anything to do any more. The end, where there is nothing to wait for.
    pub(super) fn end_of_programs(&mut self) -> Option<End> {
        let has_all = self
            .shared
            .update_and_wake(|engine, _| engine.has_consumer_all());
        let batches = self.batches.as_ref()?;
        let is_cut = self.signal.is_some() && batches.workers.is_none();
        let is_over = (has_all || is_cut) && batches.interrupted.is_none();
        if is_over && self.is_any_tee_pending() {
            // What is left is for tees alone, and it is them that everybody waits for.
            self.shared
                .update_and_wake(|engine, now| engine.on_consumer_over(now));
            self.awaits = Some(Awaits::Programs);
            return None;
        }
        Some(self.end_of_jobs())
    }

    /// The end that was put off for tees, when they have had what was read, or there is no more time for that.
    pub(super) fn end_that_was_put_off(&mut self) -> Option<End> {
        self.awaits.as_ref()?;
        let is_late = self.deliver_until.is_some_and(|at| at <= Instant::now());
        if !is_late && self.is_any_tee_pending() {
            return None;
        }
        Some(match self.awaits.take()? {
            Awaits::Early(end) => self.signal.map_or(end, End::Signal),
            Awaits::Programs => self.end_of_jobs(),
        })
    }

    fn is_any_tee_pending(&self) -> bool {
        self.is_any_pending(|role| role == Role::Tee)
    }

    /// Begins the time that tees have after a first signal, where there is nobody else to wait for. The end, which is
    /// then put off for them.
    pub(super) fn end_by(&mut self, signal: i32) -> End {
        if ![SIGINT, SIGQUIT].contains(&signal) && self.signal.is_none() {
            self.signal = Some(signal);
            self.deliver_until = Instant::now().checked_add(self.signal_grace);
        }
        End::Signal(signal)
    }

    /// A second signal: nothing is waited for any more.
    pub(super) fn end_at_once(&mut self, signal: i32) -> End {
        self.deliver_until = Some(Instant::now());
        self.deadline.use_up();
        End::Signal(signal)
    }

    /// A signal while only tees are waited for.
    pub(super) fn on_signal_to_tees(&mut self, signal: i32) -> Option<End> {
        let until = self.deliver_until;
        match [SIGINT, SIGQUIT].contains(&signal) {
            true => Some(self.end_at_once(signal)),
            false => {
                let end = self.on_termination(signal);
                // It gives them no more time than they had.
                self.deliver_until = self.deliver_until.into_iter().chain(until).min();
                end
            }
        }
    }

    /// Nothing is shown any more: those who look are told so, if that takes no longer than a moment.
    pub(super) fn part_from_lookers(&self) {
        let mut last_look = LastLook::new();
        while self.is_any_pending(|role| matches!(role, Role::Looker(_))) {
            select! {
                recv(self.branches.over) -> _ => {}
                recv(last_look.over) -> _ => {
                    if !last_look.goes_on() {
                        return;
                    }
                }
            }
        }
    }
}
