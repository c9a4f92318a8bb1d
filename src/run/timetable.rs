//! Caps that change with the time of day: timetables turned into commands as time goes by.
//!
//! Local time is asked anew at least once a minute, so a change of the system's clock or zone is
//! followed; the pacing itself never looks at that clock.

use std::time::{Duration, Instant};

use jiff::Zoned;

use crate::config::cap_command;
use crate::engine::directive::Directive;
use crate::engine::limiter::Cap;
use crate::engine::stall::Side;
use crate::units::Timetable;

/// The longest time between two looks at the clock on the wall.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// One timetable, and what it has said last.
#[derive(Debug)]
struct Schedule {
    side: Side,
    table: Timetable,
    last: Option<Directive>,
}

impl Schedule {
    /// What is in force at `wall`, and how long it stays so, as far as can be said in advance.
    fn at(&self, wall: &Zoned) -> (Directive, Duration) {
        let (rate, next) = self.table.at(wall);
        let command = cap_command(self.side, self.table.unit(), rate.map(Cap::Fixed));
        let left = Duration::try_from(wall.duration_until(&next));
        (command, left.unwrap_or_default().min(LOOK_EVERY))
    }
}

/// All timetables of a run, and when to look at them again.
#[derive(Debug)]
pub(super) struct Schedules {
    all: Vec<Schedule>,
    due: Option<Instant>,
}

impl Schedules {
    /// None of them has been looked at yet.
    pub(super) fn new(
        tables: impl IntoIterator<Item = (Side, Timetable)>,
        now: Instant,
    ) -> Schedules {
        let mut schedules = Schedules {
            all: Vec::new(),
            due: None,
        };
        schedules.replace(tables, now);
        schedules
    }

    /// From now on there are these. One that there was already goes on.
    pub(super) fn replace(
        &mut self,
        tables: impl IntoIterator<Item = (Side, Timetable)>,
        now: Instant,
    ) {
        let old = std::mem::take(&mut self.all);
        self.all = tables
            .into_iter()
            .map(|(side, table)| Schedule {
                last: old
                    .iter()
                    .find(|old| old.side == side && old.table == table)
                    .and_then(|old| old.last),
                side,
                table,
            })
            .collect();
        self.due = (!self.all.is_empty()).then_some(now);
    }

    /// When to call [`Schedules::poll`] again; `None`: never.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The commands to give now: those that have changed since the last time.
    pub(super) fn poll(&mut self, now: Instant, wall: impl FnOnce() -> Zoned) -> Vec<Directive> {
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        let wall = wall();
        let mut news = Vec::new();
        let mut soonest = LOOK_EVERY;
        for schedule in &mut self.all {
            let (command, left) = schedule.at(&wall);
            soonest = soonest.min(left);
            if schedule.last.replace(command) != Some(command) {
                news.push(command);
            }
        }
        self.due = Some(now + soonest);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> (Side, Timetable) {
        (Side::Sink, text.parse().expect(text))
    }

    #[test]
    fn a_timetable_that_stays_is_not_told_again_beside_one_that_comes() {
        let now = Instant::now();
        let wall: Zoned = "2025-06-04T12:00:00+02:00[Europe/Berlin]"
            .parse()
            .expect("a time");
        let bytes = table("08:00,1MB/s 18:00,off");
        let mut schedules = Schedules::new([bytes.clone()], now);
        assert_eq!(schedules.poll(now, || wall.clone()).len(), 1);
        schedules.replace([bytes.clone(), table("08:00,5/s")], now);
        let news = schedules.poll(now, || wall.clone());
        assert!(
            matches!(news[..], [Directive::RateOfRecords(Some(_))]),
            "{news:?}"
        );
        schedules.replace([bytes], now);
        assert_eq!(schedules.poll(now, || wall.clone()), []);
    }
}
