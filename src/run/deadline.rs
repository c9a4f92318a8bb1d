//! How long the disk is waited for, by the signals that come meanwhile.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, at, never};

use crate::control::signals::{self, Received, SIGINT, SIGQUIT};

/// For how long the disk is waited for.
#[derive(Debug, Default)]
pub(super) struct Deadline {
    /// A signal has told weir to end.
    pub is_told: bool,
    /// Until when; `None`: for as long as it takes.
    pub until: Option<Instant>,
    /// A second signal: nothing is waited for any more.
    pub is_used_up: bool,
    /// Whoever waits for the disk was let go: nothing can go on as before.
    pub is_let_go: bool,
    /// The run is over: what comes now concerns nothing but what is left to be done.
    pub is_last: bool,
    /// The last signal that came while what is last was waited for.
    pub heard: Option<i32>,
    /// The last one that came when the run was over, or was left over from before that.
    pub told_last: Option<i32>,
    /// Those that came before the run was over, which mean more than that.
    pub kept: Vec<Received>,
}

impl Deadline {
    /// A signal has come that ends weir. A second one, or Ctrl-C when there is nothing left to be delivered, is not to be
    /// kept waiting.
    fn hear(&mut self, signal: Received, grace: Duration) {
        let is_at_once = self.is_told || [SIGINT, SIGQUIT].contains(&signal.number) && self.is_last;
        if is_at_once {
            self.use_up();
        } else {
            // One that is beyond the end of time never comes.
            self.until = Instant::now().checked_add(grace);
        }
        self.is_told = true;
    }

    /// The same of any signal. Whether it ends weir.
    pub(super) fn heeds(&mut self, signal: Received, grace: Duration) -> bool {
        let is_end = signals::is_end(signal.number);
        if is_end {
            self.hear(signal, grace);
            self.told_last = Some(signal.number).filter(|_| self.is_last);
        }
        is_end
    }

    /// Nothing is waited for any more.
    pub(super) fn use_up(&mut self) {
        (self.is_used_up, self.until) = (true, Some(Instant::now()));
    }

    /// A moment more, unless somebody has said that not even that is left.
    pub(super) fn allow(&mut self, moment: Duration) {
        if !self.is_used_up {
            let least = Instant::now() + moment;
            self.until = self.until.map(|until| until.max(least));
        }
    }

    /// Whether there is none left.
    pub(super) fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }

    /// When there is none left.
    pub(super) fn alarm(&self) -> Receiver<Instant> {
        self.until.map_or_else(never, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::signals::{SIGTERM, SIGUSR1};

    #[test]
    fn the_last_signal_that_ends_it_is_known_where_the_run_is_over_whenever_that_was_heard() {
        for is_last in [false, true] {
            let mut deadline = Deadline {
                is_last,
                ..Deadline::default()
            };
            for number in [SIGINT, SIGTERM, SIGUSR1] {
                let signal = Received {
                    number,
                    is_from_terminal: false,
                };
                deadline.heeds(signal, Duration::ZERO);
            }
            assert_eq!(deadline.told_last, is_last.then_some(SIGTERM));
        }
    }
}
