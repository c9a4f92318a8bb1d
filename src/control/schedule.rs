//! Caps that change with the time of day: a timetable turned into commands as time goes by.
//!
//! Local time is asked anew at least once a minute, so a change of the system's clock or zone is
//! followed; the pacing itself never looks at that clock.

use std::time::{Duration, Instant};

use jiff::Zoned;

use crate::core::command::Command;
use crate::core::pace::Cap;
use crate::core::watch::Side;
use crate::units::{Timetable, Unit};

/// The longest time between two looks at the clock on the wall.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// One timetable, and the cap that it rules.
#[derive(Debug, Clone)]
pub struct Schedule {
    side: Side,
    table: Timetable,
}

impl Schedule {
    /// `table` rules the cap on this side.
    #[must_use]
    pub fn new(side: Side, table: Timetable) -> Schedule {
        Schedule { side, table }
    }

    /// What is in force at `wall`, and how long it stays so, as far as can be said in advance.
    #[must_use]
    pub fn at(&self, wall: &Zoned) -> (Command, Duration) {
        let (rate, next) = self.table.at(wall);
        let cap = rate.map(Cap::Fixed);
        let command = match (self.side, self.table.unit()) {
            (Side::Sink, Unit::Records) => Command::RateOfRecords(cap),
            (Side::Sink, Unit::Bytes) => Command::RateOfBytes(cap),
            (Side::Source, Unit::Records) => Command::InputRateOfRecords(cap),
            (Side::Source, Unit::Bytes) => Command::InputRateOfBytes(cap),
        };
        let left = wall.duration_until(&next);
        (
            command,
            Duration::try_from(left).unwrap_or_default().min(LOOK_EVERY),
        )
    }
}

/// All timetables of a run, and when to look at them again.
#[derive(Debug)]
pub struct Schedules {
    all: Vec<Schedule>,
    last: Vec<Command>,
    due: Option<Instant>,
}

impl Schedules {
    /// None of them has been looked at yet.
    #[must_use]
    pub fn new(all: Vec<Schedule>, now: Instant) -> Schedules {
        let due = (!all.is_empty()).then_some(now);
        Schedules {
            all,
            last: Vec::new(),
            due,
        }
    }

    /// When to call [`Schedules::poll`] again; `None`: never.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The commands to give now: those that have changed since the last time.
    pub fn poll(&mut self, now: Instant, wall: impl FnOnce() -> Zoned) -> Vec<Command> {
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        let wall = wall();
        let (commands, left): (Vec<_>, Vec<_>) = self.all.iter().map(|s| s.at(&wall)).unzip();
        self.due = left.into_iter().min().map(|left| now + left);
        let news = commands
            .iter()
            .filter(|c| !self.last.contains(c))
            .copied()
            .collect();
        self.last = commands;
        news
    }
}
