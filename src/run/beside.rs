//! What the main thread does about the program that it runs as its consumer: it gives it the end of the input, tells
//! it of signals, and waits for it, whatever ends weir.

use std::fs::File;
use std::time::{Duration, Instant};

use super::consumer::Consumer;
use super::end::End;
use super::supervise::Run;
use crate::command::child::Exit;
use crate::control::signals::{self, Received, SIGINT, SIGPIPE, SIGQUIT, SIGTERM};
use crate::engine::directive::Directive;
use crate::report::Ending;

/// A program that lives so long after Ctrl-C goes on, and so does weir.
const GOES_ON: Duration = Duration::from_millis(500);

impl Run {
    /// All has been written: the program is to see the end of it.
    pub(super) fn feed_end(&mut self) -> Option<End> {
        self.outlet.close();
        if let Some(consumer) = &mut self.consumer {
            consumer.is_fed = true;
        }
        self.finish_branches()
    }

    /// The program has closed its standard input. It may live on, and whoever writes to weir is to notice as if
    /// he wrote to the program.
    pub(super) fn stop_feeding(&mut self) {
        self.outlet.close();
        self.shared
            .tell(|engine, now| engine.command(now, Directive::Drain));
        if let Ok(nothing) = File::open("/dev/null") {
            let _ = rustix::stdio::dup2_stdin(nothing);
        }
    }

    /// The program has ended.
    pub(super) fn on_exit(&mut self, exit: Exit) -> Option<End> {
        let consumer = self.consumer.as_mut()?;
        consumer.has_ended = true;
        let is_interrupted = |n| consumer.interrupted == Some(n);
        if let Exit::Signal(n) = exit
            && is_interrupted(n)
        {
            return Some(End::Signal(n));
        }
        if let Some(signal) = self.signal {
            return Some(End::Signal(signal));
        }
        if let Some(failure) = self.failure.take() {
            return Some(End::Failed(failure));
        }
        let (is_fed, is_drained) = (consumer.is_fed, self.drained);
        Some(match exit.is_success() {
            true if is_fed && is_drained => End::Drained,
            true if is_fed => End::Command(exit, Ending::Eof),
            true => End::Command(exit, Ending::ConsumerGone),
            false => End::Command(exit, Ending::CommandFailed),
        })
    }

    /// A signal that would end weir, if there was no program to think of.
    pub(super) fn on_signal_beside(&mut self, signal: Received) -> Option<End> {
        let consumer = self.consumer.as_mut()?;
        if ![SIGINT, SIGQUIT].contains(&signal.number) {
            return self.on_termination(signal.number);
        }
        if !signal.is_from_terminal {
            consumer.child.signal(signal.number);
        }
        consumer.interrupted = Some(signal.number);
        consumer.goes_on = Instant::now().checked_add(GOES_ON);
        self.hold_input(true);
        None
    }

    /// The program goes on after a signal from the terminal, if it is time.
    pub(super) fn look_whether_it_goes_on(&mut self) {
        let is_due = |consumer: &mut Consumer| {
            let due = consumer.goes_on.filter(|at| *at <= Instant::now());
            due.inspect(|_| consumer.goes_on = None).is_some()
        };
        if self.consumer.as_mut().is_some_and(is_due) {
            self.hold_input(false);
        }
    }

    fn hold_input(&mut self, held: bool) {
        self.shared
            .tell(|engine, now| engine.command(now, Directive::HoldInput(held)));
    }

    /// No end of weir leaves the program behind.
    pub(super) fn put_down_consumer(&mut self, end: &End) {
        self.outlet.close();
        let by = match end {
            End::Signal(signal) if *signal != SIGPIPE => *signal,
            _ => SIGTERM,
        };
        if let Some(consumer) = &mut self.consumer {
            consumer.put_down(by, &self.signals, signals::is_end);
        }
    }
}
