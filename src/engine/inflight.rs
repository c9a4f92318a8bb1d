//! How much may be under way to the consumer, where freshness rules.
//!
//! What has been written to the consumer's pipe can no longer be shed, so it should be little: what
//! the consumer takes in a moment, by its own recent speed. On a pipe of one page, room means that
//! the pipe is empty; so a slow consumer gets one record at a time, each as fresh as can be, and a
//! fast one gets a wider and wider window until throughput is what it would be without shedding.
//!
//! A consumer that takes all that there is with each read, and works then, takes two records in the time of one. Of
//! that there is no sign but the time itself: so what lies in the pipe is timed from when it is written until all of it
//! has been taken, and twice as much is tried now and then. Where that takes no longer, it stays.
//!
//! Invariants: what lies in the pipe has been taken in two [`MOMENT`]s, or in half as much again as one record alone takes,
//! whichever is longer; what took longer makes the window as much narrower. And it is little beside the buffer, whatever is
//! tried: until a pipe that was made too large has been taken nothing is given, and the buffer has to bridge that.

use std::time::{Duration, Instant};

/// What a slow consumer is given at a time, as its own time.
const MOMENT: Duration = Duration::from_millis(2);
/// The widest window, in bytes: the kernel pipe that serves throughput best.
const WIDEST: usize = 256 * 1024;
/// The pipe takes at most this part of what the buffer does.
const OF_BUFFER: usize = 8;
/// The smallest pipe that the system has.
const PAGE: usize = 4096;
/// A window that turned out too wide is not tried again before so many that were not, at most.
const PAUSE_MOST: u32 = 32;

/// The window, in bytes.
#[derive(Debug)]
pub(crate) struct InFlightWindow {
    bytes: usize,
    /// It may become so wide.
    widest: usize,
    /// The time in which it takes one record alone, or more.
    least: Duration,
    /// What was given last.
    given: Given,
    /// What lies in the pipe and is being timed.
    mark: Option<Mark>,
    /// Since when we wait for room.
    asked: Option<Instant>,
    /// When there was room for what is being written.
    room: Option<Instant>,
    /// As often as this it stays as wide as it is before more is tried.
    pause: u32,
    /// The pause after the next time that it is too wide.
    next_pause: u32,
    /// It was made wider, and whether that is too much is not known yet: what was fine.
    trial: Option<Given>,
}

/// What was given.
#[derive(Debug, Clone, Copy, Default)]
struct Given {
    bytes: usize,
    /// Others wait behind it.
    has_more: bool,
    /// The window that it was given by.
    window: usize,
    /// It was all that the window allows, or half of it, and nothing else bounds it.
    fills: bool,
    /// It could not have been less.
    is_least: bool,
}

/// What lay in the pipe at some time.
#[derive(Debug)]
struct Mark {
    at: Instant,
    given: Given,
    /// All that lay there then.
    lies: usize,
    /// Bytes that were written since.
    since: u64,
}

impl Default for InFlightWindow {
    fn default() -> InFlightWindow {
        InFlightWindow {
            bytes: 1,
            widest: WIDEST,
            least: Duration::ZERO,
            given: Given::default(),
            mark: None,
            asked: None,
            room: None,
            pause: 0,
            next_pause: 1,
            trial: None,
        }
    }
}

impl InFlightWindow {
    /// One for a buffer of so many bytes.
    #[must_use]
    pub(crate) fn beside(buffer: usize) -> InFlightWindow {
        let most = (buffer / OF_BUFFER).clamp(PAGE, WIDEST);
        InFlightWindow {
            widest: 1 << most.ilog2(),
            ..InFlightWindow::default()
        }
    }

    /// Bytes that may be given at a time; one record may be longer.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The pipe that fits the window, and a record that is longer, in bytes: one that is passed in pieces is as old as
    /// all of them when the last is taken.
    #[must_use]
    pub(crate) fn pipe(&self, record: u64) -> usize {
        let record = usize::try_from(record).unwrap_or(WIDEST).min(WIDEST);
        self.bytes.max(record).next_power_of_two().max(PAGE)
    }

    /// We begin to wait for room, unless we did already.
    pub(crate) fn on_wait(&mut self, now: Instant) {
        self.asked.get_or_insert(now);
    }

    /// We wait for something else: what time passes is not the consumer's.
    pub(crate) fn forget_wait(&mut self) {
        (self.asked, self.room, self.mark) = (None, None, None);
    }

    /// There is room.
    pub(crate) fn on_room(&mut self, now: Instant) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        self.room = Some(now);
        let (since, lies) = match &self.mark {
            // How long that took altogether shows when it is known that all has been taken.
            Some(mark) if mark.given.is_least => return,
            Some(mark) => (mark.at, mark.lies),
            None => (asked, self.bytes),
        };
        let time = now.saturating_duration_since(since);
        if time > self.bound() {
            self.narrow(lies, time);
            self.mark = None;
        }
    }

    /// `n` bytes are given; `more` says whether others wait behind them, `is_bounded`, whether it could be no more for
    /// another reason than the window.
    pub(crate) fn on_given(&mut self, n: usize, more: bool, is_bounded: bool) {
        self.given = Given {
            bytes: n,
            has_more: more,
            window: self.bytes,
            fills: more && !is_bounded && n * 2 >= self.bytes,
            is_least: n > self.bytes || self.bytes == 1,
        };
    }

    /// `n` bytes of that were taken by the pipe, in which so many lie `unread` now. Where that cannot be told, room
    /// is taken to mean that nothing lay there.
    pub(crate) fn on_moved(&mut self, n: usize, unread: Option<u64>, now: Instant) {
        let was_room = self.room.take().unwrap_or(now);
        if n == 0 {
            return;
        }
        let n = n as u64;
        let lay = unread.map_or(0, |unread| unread.saturating_sub(n));
        match self.mark.take() {
            Some(mark) if lay <= mark.since => self.on_taken(&mark, was_room),
            Some(mark) => {
                self.mark = Some(Mark {
                    since: mark.since + n,
                    ..mark
                });
            }
            None => {}
        }
        if !self.given.has_more {
            // The consumer may be waited for no more.
            self.mark = None;
        } else if self.mark.is_none() {
            let is_least = self.given.is_least && lay == 0;
            self.mark = Some(Mark {
                at: now,
                given: Given {
                    is_least,
                    ..self.given
                },
                lies: (lay + n) as usize,
                since: 0,
            });
        }
    }

    /// What lay there has been taken by now.
    fn on_taken(&mut self, mark: &Mark, now: Instant) {
        let time = now.saturating_duration_since(mark.at);
        let given = mark.given;
        if given.is_least {
            self.least = time;
        } else if given.fills {
            self.least = self.least.min(time);
        }
        if time > self.bound() {
            self.narrow(mark.lies, time);
        } else if given.fills && given.window == self.bytes {
            match self.trial {
                // No more was given for it: another record did not fit.
                Some(before) if given.bytes <= before.bytes => return self.widen(given),
                Some(_) => (self.trial, self.next_pause) = (None, 1),
                None => {}
            }
            match self.pause {
                0 => {
                    self.trial = Some(given);
                    self.widen(given);
                }
                _ => self.pause -= 1,
            }
        }
    }

    /// More than this is tried: twice as much, or a little where that was too much.
    fn widen(&mut self, given: Given) {
        let now = given.window.max(given.bytes);
        let more = if self.next_pause == 1 {
            now
        } else {
            now / 4 + 1
        };
        self.bytes = (now + more).min(self.widest);
    }

    /// The time that what lies in the pipe may take.
    fn bound(&self) -> Duration {
        (2 * MOMENT).max(self.least * 3 / 2)
    }

    /// So much lay there, and has taken so long, which is too long.
    fn narrow(&mut self, lies: usize, time: Duration) {
        let share = MOMENT.max(self.least).as_secs_f64() / time.as_secs_f64();
        let bytes = (lies as f64 * share) as usize;
        let before = self.trial.take().filter(|_| time <= 2 * self.bound());
        let fine = before.map_or(1, |given| given.window);
        self.bytes = self.bytes.min(bytes.max(fine)).max(1);
        self.pause = self.next_pause;
        self.next_pause = (self.next_pause * 2).min(PAUSE_MOST);
    }
}

#[cfg(test)]
mod tests;
