//! Signals that concern the program, too: what it makes of them decides what weir does.
//!
//! Invariant: nothing more is read while it is not known whether the program goes on after one.

use std::time::Instant;

use super::super::consumer::Consumer;
use super::super::end::End;
use super::super::supervise::Run;
use super::GOES_ON;
use crate::control::signals::{Received, SIGINT, SIGQUIT};
use crate::engine::directive::Directive;

impl Run {
    /// A signal that would end weir, if there was no program to think of.
    pub(in crate::run) fn on_signal_beside(&mut self, signal: Received) -> Option<End> {
        let consumer = self.consumer.as_mut()?;
        if consumer.waits().is_some() {
            // Nothing is started any more.
            return Some(self.end_by(signal.number));
        }
        if ![SIGINT, SIGQUIT].contains(&signal.number) {
            return self.on_termination(signal.number);
        }
        if consumer.interrupted.is_some()
            && signal.is_from_terminal
            && !consumer.child.hears_terminal()
        {
            // It has been passed one on, and goes on. Nobody talks with one that is not in the foreground.
            return Some(End::Signal(signal.number));
        }
        consumer
            .child
            .pass_on(signal.number, signal.is_from_terminal);
        consumer.interrupted = Some(signal.number);
        consumer.goes_on = Instant::now().checked_add(GOES_ON);
        self.hold_input(true);
        None
    }

    /// The program goes on after a signal from the terminal, or has stalled for too long, if it is time.
    pub(in crate::run) fn look_whether_it_goes_on(&mut self) {
        self.look_whether_workers_go_on();
        if let Some(consumer) = &mut self.consumer {
            consumer.look_whether_it_stalls();
        }
        let is_due = |consumer: &mut Consumer| {
            let due = consumer.goes_on.filter(|at| *at <= Instant::now());
            due.inspect(|_| consumer.goes_on = None).is_some()
        };
        if self.consumer.as_mut().is_some_and(is_due) {
            self.hold_input(false);
        }
    }

    pub(in crate::run) fn hold_input(&mut self, held: bool) {
        self.shared
            .update_and_wake(|engine, now| engine.command(now, Directive::HoldInput(held)));
    }
}
