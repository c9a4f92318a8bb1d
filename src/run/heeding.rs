//! What is waited for that may take as long as a disk does: signals are heard all the while.
//!
//! Invariant: the main thread waits neither for the disk nor for anybody who may wait for it without listening. A second
//! signal, or the end of the time that a first one leaves, lets all of them go; what they were about to write down is
//! then as a kill would leave it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvError, bounded, never, select};

use super::deadline::Deadline;
use super::end::End;
use super::last::LAST_SAVE;
use super::supervise::Run;
use crate::control::signals::{self, Received, SIGTERM};
use crate::pipe::Shared;

impl Run {
    /// The run is over, and ends so: how long what is to stay on the disk may take from now on.
    pub(super) fn begin_end(&mut self, end: &End) {
        let kept = std::mem::take(&mut self.deadline.kept);
        let is_let_go = self.deadline.is_let_go;
        self.deadline = Deadline {
            is_told: self.is_told(end),
            // One that was let go has had its time.
            until: match is_let_go {
                true => Some(Instant::now()),
                false => self.forces_until(end),
            },
            is_used_up: self.deadline.is_used_up,
            is_let_go,
            is_last: true,
            heard: None,
            told_last: None,
            kept: Vec::new(),
        };
        for signal in kept {
            self.deadline.heeds(signal, self.signal_grace);
        }
        self.shared.ends_on_disk(self.deadline.is_used_up);
    }

    /// What came while something was waited for, and means more than that.
    fn next_kept(&mut self) -> Option<Received> {
        let kept = &mut self.deadline.kept;
        (!kept.is_empty()).then(|| kept.remove(0))
    }

    /// What was heard while something was waited for is dealt with now. The end, where that is it.
    pub(super) fn end_by_kept(&mut self) -> Option<End> {
        if let Some(end) = self.end_let_go() {
            return Some(end);
        }
        while let Some(signal) = self.next_kept() {
            let ended = self.on_signal(Some(signal));
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    /// Those who waited for the disk had to be let go while the run was not over: that is its end.
    pub(super) fn end_let_go(&mut self) -> Option<End> {
        if !self.deadline.is_let_go {
            return None;
        }
        let kept = std::mem::take(&mut self.deadline.kept);
        let mut ends = kept.iter().map(|it| it.number);
        let first = ends.find(|number| signals::is_end(*number));
        Some(End::Signal(self.signal.or(first).unwrap_or(SIGTERM)))
    }

    /// A signal comes while something is waited for. Whether it is one that ends weir.
    pub(super) fn hear(&mut self, signal: Result<Received, RecvError>) -> bool {
        let Ok(signal) = signal else {
            self.signals = never();
            return false;
        };
        if !self.deadline.is_last {
            self.deadline.kept.push(signal);
        }
        self.deadline.heeds(signal, self.signal_grace)
    }

    /// Waits for this. `None`: there is no time left for it, and whoever waits for the disk was let go; `then` is for how
    /// long that is waited for after all.
    pub(super) fn wait_for<T>(&mut self, what: &Receiver<T>, then: Duration) -> Option<T> {
        if self.deadline.is_last {
            self.deadline.allow(LAST_SAVE);
        }
        while !self.deadline.is_over() {
            select! {
                recv(what) -> it => return it.ok(),
                recv(self.deadline.alarm()) -> _ => {}
                recv(self.signals) -> signal => {
                    if self.hear(signal) {
                        self.deadline.heard = signal.ok().map(|it| it.number);
                    }
                }
            }
        }
        self.shared.ends_on_disk(true);
        self.deadline.is_let_go = true;
        what.recv_timeout(then).ok()
    }

    /// Has this done by another thread where there is a disk that may have to be waited for, until then at most where the
    /// run is not over, and what came of it.
    pub(super) fn beside<T: Send + 'static>(
        &mut self,
        until: Option<Instant>,
        work: impl FnOnce(&Arc<Shared>) -> T + Send + 'static,
    ) -> Option<T> {
        if !self.shared.has_disk() {
            return Some(work(&self.shared));
        }
        let (say, said) = bounded(1);
        let work = Arc::new(Mutex::new(Some(work)));
        let (shared, given) = (self.shared.clone(), work.clone());
        let take = |work: &Mutex<Option<_>>| {
            let mut work = work.lock().unwrap_or_else(PoisonError::into_inner);
            work.take()
        };
        let thread = thread::Builder::new().name("disk".into());
        let thread = thread.spawn(move || {
            if let Some(work) = take(&given) {
                let _ = say.send(work(&shared));
            }
        });
        if thread.is_err() {
            return take(&work).map(|work| work(&self.shared));
        }
        if self.deadline.is_last {
            return self.wait_for(&said, LAST_SAVE);
        }
        self.deadline.until = until;
        self.deadline.is_told |= self.signal.is_some();
        let done = self.wait_for(&said, LAST_SAVE);
        if !self.deadline.is_let_go {
            // What was heard meanwhile is dealt with as if it came now.
            (self.deadline.until, self.deadline.is_told) = (None, false);
        }
        done
    }

    /// A signal that comes when all has been delivered.
    pub(super) fn on_late_signal(&mut self, signal: Option<Received>) -> Option<End> {
        match signal {
            Some(end) if self.consumer.is_none() && signals::is_end(end.number) => {
                Some(self.end_as_told(end.number))
            }
            signal => self.on_signal(signal),
        }
    }
}
