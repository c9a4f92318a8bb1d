//! How many programs run side by side, where that follows need: one more when work has waited for a while that none of
//! them could take, one fewer when they have had little to do for long.
//!
//! Time is an argument. What work waits, and who is busy, others tell.
//!
//! Invariants: the number stays within its bounds, and moves by one at a time; whoever was sent away and is missed soon
//! makes the next departure twice as late, so that under a steady load, of whatever shape, changes become rarer and
//! rarer.

use std::time::{Duration, Instant};

/// Work has to wait for so long before there is one more: shorter waits are gone before it has started.
const RISE: Duration = Duration::from_millis(250);
/// So long there has to be little to do before there is one fewer.
const QUIET: Duration = Duration::from_secs(5);
/// By how much that grows at most, and whoever is missed within the longest of these times should have stayed.
const QUIETS_MOST: u32 = 120;
/// Those who would be left are to be busy for so many hundredths of their time at most.
const LEFT_BUSY: u32 = 70;
/// How often in that time to look how busy one is who could be sent away.
const LOOKS: u32 = 10;

/// How many programs, and how soon that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scaling {
    /// How many without need.
    pub least: usize,
    /// How many at most.
    pub most: usize,
    /// Work has to wait for so long before there is one more.
    pub rise: Duration,
    /// So long there has to be little to do before there is one fewer.
    pub quiet: Duration,
}

impl Scaling {
    /// Between these two numbers.
    pub(crate) fn between(least: usize, most: usize) -> Scaling {
        let (rise, quiet) = (RISE, QUIET);
        Scaling {
            least,
            most,
            rise,
            quiet,
        }
    }

    /// The same, but for no more than there are places for.
    pub(super) fn within(self, places: usize) -> Scaling {
        Scaling {
            least: self.least.min(places),
            most: self.most.min(places),
            ..self
        }
    }

    /// Whether there is anything to be decided.
    pub(super) fn is_range(self) -> bool {
        self.least < self.most
    }
}

/// See the module's text.
#[derive(Debug, Clone)]
pub(super) struct Scaler {
    rules: Scaling,
    count: usize,
    /// Work waits that nobody can take.
    is_pressed: bool,
    /// When that was not so last, or there was one more.
    calm_at: Instant,
    /// How many are busy, and since when this is known.
    load: (u32, Instant),
    /// Since when it is added up how busy they are, and the sum.
    since: Instant,
    busy: Duration,
    /// How long there has to be little to do.
    wait: Duration,
    /// When one was sent away last, who has not been missed since.
    sent_at: Option<Instant>,
    /// Another one was sent away, and none has come since.
    is_falling: bool,
}

impl Scaler {
    /// As few as may be.
    pub(super) fn new(rules: Scaling, now: Instant) -> Scaler {
        Scaler {
            rules,
            count: rules.least,
            is_pressed: false,
            calm_at: now,
            load: (0, now),
            since: now,
            busy: Duration::ZERO,
            wait: rules.quiet,
            sent_at: None,
            is_falling: false,
        }
    }

    /// How many there are to be.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether one could be sent away, if there is little to do.
    pub(super) fn is_above_least(&self) -> bool {
        self.count > self.rules.least
    }

    /// When to look how busy one is who could be sent away, and was looked at then.
    pub(super) fn look_again_at(&self, looked_at: Instant) -> Option<Instant> {
        let step = self.rules.quiet / LOOKS;
        looked_at
            .checked_add(step)
            .filter(|_| self.is_above_least())
    }

    /// It is to stay within these bounds from now on.
    pub(super) fn set_bounds(&mut self, rules: Scaling, now: Instant) {
        (self.rules, self.wait) = (rules, rules.quiet);
        self.count = self.count.clamp(rules.least, rules.most);
        (self.sent_at, self.is_falling) = (None, false);
        self.calm_at = now;
        self.look_anew(now);
    }

    /// There are so many, for some have gone of their own accord.
    pub(super) fn set(&mut self, count: usize) {
        self.count = count;
    }

    /// Whether work waits that nobody can take; `None`: as before.
    pub(super) fn press(&mut self, is_pressed: Option<bool>, now: Instant) {
        let is_pressed = is_pressed.unwrap_or(self.is_pressed);
        if !is_pressed || !self.is_pressed {
            self.calm_at = now;
        }
        self.is_pressed = is_pressed;
    }

    /// When there is to be one more, if it goes on like this.
    pub(super) fn more_at(&self) -> Option<Instant> {
        let is_wanted = self.is_pressed && self.count < self.rules.most;
        self.calm_at
            .checked_add(self.rules.rise)
            .filter(|_| is_wanted)
    }

    /// Whether it is time for one more, who is counted from now on.
    pub(super) fn grow(&mut self, now: Instant) -> bool {
        if self.more_at().is_none_or(|at| now < at) {
            return false;
        }
        if let Some(at) = self.sent_at.take() {
            let (quiet, most) = (self.rules.quiet, self.rules.quiet * QUIETS_MOST);
            self.wait = match now.saturating_duration_since(at) < most {
                true => (self.wait * 2).min(most),
                false => quiet,
            };
        }
        self.count += 1;
        self.is_falling = false;
        self.calm_at = now;
        self.look_anew(now);
        true
    }

    /// So many are busy from now on.
    pub(super) fn on_load(&mut self, busy: usize, now: Instant) {
        let (load, from) = self.load;
        self.busy += now.saturating_duration_since(from) * load;
        self.load = (u32::try_from(busy).unwrap_or(u32::MAX), now);
    }

    /// One was busy for so long.
    pub(super) fn add_busy(&mut self, time: Duration) {
        self.busy += time;
    }

    /// Whether there is one too many.
    pub(super) fn is_one_too_many(&mut self, now: Instant) -> bool {
        let time = now.saturating_duration_since(self.since);
        let wait = match self.is_falling {
            true => self.rules.quiet,
            false => self.wait,
        };
        if !self.is_above_least() || self.is_pressed || time < wait {
            return false;
        }
        let left = u32::try_from(self.count - 1).unwrap_or(u32::MAX);
        let is_low = self.busy <= time * left * LEFT_BUSY / 100;
        if !is_low {
            self.look_anew(now);
        }
        is_low
    }

    /// When one who gets nothing from now on is to end, if nobody misses it.
    pub(super) fn leaves_at(&self, now: Instant) -> Option<Instant> {
        now.checked_add(self.wait)
    }

    /// That one is sent away.
    pub(super) fn shrink(&mut self, now: Instant) {
        self.count -= 1;
        self.sent_at = Some(now);
        self.is_falling = true;
        self.look_anew(now);
    }

    fn look_anew(&mut self, now: Instant) {
        (self.since, self.busy) = (now, Duration::ZERO);
        self.load.1 = now;
    }
}

/// How long one who is given something by a pipe was busy: as long as the pipe was full, or was not read empty.
#[derive(Debug, Clone)]
pub(super) struct BusyTime {
    /// Up to when that is known.
    to: Instant,
    /// When it was looked at for its own sake.
    looked_at: Instant,
    /// Since when the pipe is waited for, and how long it was since then.
    waits_from: Option<Instant>,
    waited: Duration,
}

impl BusyTime {
    pub(super) fn new(now: Instant) -> BusyTime {
        BusyTime {
            to: now,
            looked_at: now,
            waits_from: None,
            waited: Duration::ZERO,
        }
    }

    /// When it was looked at last, and not because it was given something.
    pub(super) fn looked_at(&self) -> Instant {
        self.looked_at
    }

    /// It is looked at.
    pub(super) fn on_looked(&mut self, now: Instant) {
        self.looked_at = now;
    }

    /// Its pipe is waited for from now on.
    pub(super) fn on_wait(&mut self, now: Instant) {
        self.waits_from.get_or_insert(now);
    }

    /// It is not any more.
    pub(super) fn on_wait_over(&mut self, now: Instant) {
        if let Some(from) = self.waits_from.take() {
            self.waited += now.saturating_duration_since(from);
        }
    }

    /// It was looked at; `lay`: something of what lay there before still does. How long it was busy since the last time.
    pub(super) fn look(&mut self, lay: bool, now: Instant) -> Duration {
        let waited = std::mem::take(&mut self.waited);
        let from = std::mem::replace(&mut self.to, now);
        match lay {
            true => now.saturating_duration_since(from),
            false => waited,
        }
    }
}

#[cfg(test)]
mod tests;
