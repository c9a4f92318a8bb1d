//! What the limiter and the thread that asks the store have in common.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::share::lease::LeasedCap;

/// What the limiter and the thread have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) wake: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) cap: LeasedCap,
    /// The thread sleeps for longer, since nothing was wanted.
    pub(super) idle: bool,
    pub(super) leaves: bool,
    pub(super) has_left: bool,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn wait<'a>(
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
    until: Instant,
    while_: impl FnMut(&mut State) -> bool,
) -> MutexGuard<'a, State> {
    let time = until.saturating_duration_since(Instant::now());
    let waited = shared.wake.wait_timeout_while(state, time, while_);
    waited.unwrap_or_else(PoisonError::into_inner).0
}
