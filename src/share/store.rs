//! A cap that hosts share, through Redis or Valkey: what the limiter has of it, and the thread that keeps this member's lease.
//!
//! Invariant: the flow never waits for the network. The thread puts one question at a time, ten a
//! second at most, and what it learns changes the part that passes; a store that is slow, gone, full,
//! has been started anew, or talks nonsense costs the lease and nothing else, and is asked again until
//! it makes sense. That the lease was lost is said once each time.

mod common;
mod error;
mod member;
mod password;

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use super::lease::LeasedCap;
use super::rules::Rules;
use crate::engine::limiter::{Burst, SharedCap};
use crate::units::{Rate, Store};
use common::{Shared, State, wait};
pub(crate) use error::StoreError;
use member::{FAREWELL, Member};
use password::password;

/// One member's side of a cap that is shared through a store.
#[derive(Debug)]
pub(crate) struct StoreCap {
    shared: Arc<Shared>,
}

impl StoreCap {
    /// Joins those who share a cap. `say` is told, in one line, whenever the store is lost.
    ///
    /// # Errors
    /// Where the store cannot be reached or used.
    pub(crate) fn join(
        store: &Store,
        rules: Rules,
        say: impl Fn(&str) + Send + 'static,
    ) -> Result<StoreCap, StoreError> {
        StoreCap::with(store, password()?, rules, say)
    }

    fn with(
        store: &Store,
        password: Option<String>,
        rules: Rules,
        say: impl Fn(&str) + Send + 'static,
    ) -> Result<StoreCap, StoreError> {
        let mut member = Member::new(store, password, rules.rate.unit())?;
        let state = State {
            cap: LeasedCap::new(rules, Instant::now()),
            idle: false,
            leaves: false,
            has_left: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            wake: Condvar::new(),
        });
        let answer = member.ask(&shared);
        answer.map_err(|e| member.error(e))?;
        let ours = Arc::clone(&shared);
        thread::Builder::new()
            .name("share".to_owned())
            .spawn(move || member.run(&ours, say))
            .map_err(StoreError::Thread)?;
        Ok(StoreCap { shared })
    }

    /// What may pass; `lets_pass`: that may be on its way from now on.
    fn ask(&self, lets_pass: bool, now: Instant) -> Result<u64, Instant> {
        let mut state = self.shared.lock();
        let answer = state.cap.peek(now);
        match answer {
            Ok(_) if lets_pass => state.cap.let_pass(now),
            Err(_) if state.idle => {
                state.idle = false;
                self.shared.wake.notify_one();
            }
            _ => {}
        }
        answer
    }

    /// What tells of it, and ends it, while somebody else holds the cap.
    pub(crate) fn watch(&self) -> StoreWatch {
        StoreWatch {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl SharedCap for StoreCap {
    fn set(&mut self, rate: Rate, burst: Burst, _now: Instant) {
        let mut state = self.shared.lock();
        state.cap.set(Rules { rate, burst });
        state.idle = false;
        self.shared.wake.notify_one();
    }

    fn prepare(&mut self, now: Instant) {
        self.shared.lock().cap.prepare(now);
    }

    fn peek(&self, now: Instant) -> Result<u64, Instant> {
        self.ask(false, now)
    }

    fn may_pass(&mut self, now: Instant) -> Result<u64, Instant> {
        self.ask(true, now)
    }

    fn keep(&self) {
        self.shared.lock().cap.keep();
    }

    fn on_passed(&mut self, units: u64, now: Instant) {
        self.shared.lock().cap.on_passed(units, now);
    }

    fn give_back(&mut self, units: u64, now: Instant) {
        self.shared.lock().cap.give_back(units, now);
    }

    fn rate(&self) -> Rate {
        self.shared.lock().cap.rules().rate
    }
}

/// What tells of a membership, and ends it.
#[derive(Debug)]
pub(crate) struct StoreWatch {
    shared: Arc<Shared>,
}

impl StoreWatch {
    /// How many share the cap, and whether this one is cut off from the others.
    pub(crate) fn members(&self, now: Instant) -> (u64, bool) {
        let state = self.shared.lock();
        (state.cap.members(), state.cap.is_cut_off(now))
    }

    /// Gives back what was leased. A store that is slow does not hold up the end: the lease runs out
    /// by itself.
    pub(crate) fn leave(&self) {
        let mut state = self.shared.lock();
        state.leaves = true;
        self.shared.wake.notify_all();
        let until = Instant::now() + FAREWELL;
        drop(wait(&self.shared, state, until, |state| !state.has_left));
    }
}

#[cfg(test)]
mod tests;
