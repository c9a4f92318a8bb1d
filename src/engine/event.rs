//! What happened to the flow, for those who listen: the buffer was filled, its occupancy rose past a mark,
//! shedding began.
//!
//! Invariant: each is told once when it begins, and again only after it has been over for good: the occupancy
//! has fallen to half of the low mark, which it does not while a slow consumer keeps it between the marks, and by a
//! tenth of the buffer; or nothing is shed any more. And never twice within [`APART`].

use std::time::{Duration, Instant};

/// Between two times that the same is told.
pub(crate) const APART: Duration = Duration::from_secs(1);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The occupancy has reached the high mark.
    Full,
    /// It has reached this percentage of the buffer.
    Above(u8),
    /// Shedding has begun.
    Shed,
}

/// Something that is looked for, and whether it is the case.
#[derive(Debug)]
struct Sought {
    event: Event,
    is_so: bool,
    told: Option<Instant>,
}

/// Those that somebody listens to.
#[derive(Debug, Default)]
pub(crate) struct Events {
    sought: Vec<Sought>,
    pub(super) happened: Vec<Event>,
}

/// How things stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub used: usize,
    pub high: usize,
    pub low: usize,
    pub capacity: usize,
    /// The buffer has been full for long enough, and is not relieved.
    pub sheds: bool,
}

impl Events {
    pub(super) fn new(events: impl IntoIterator<Item = Event>) -> Events {
        let sought = events.into_iter().map(|event| Sought {
            event,
            is_so: false,
            told: None,
        });
        Events {
            sought: sought.collect(),
            happened: Vec::new(),
        }
    }

    /// Notes what has begun since the last look. Says whether anything has.
    pub(super) fn look(&mut self, place: Place, now: Instant) -> bool {
        for sought in &mut self.sought {
            let (begins, is_over) = match sought.event {
                Event::Full => place.rises_to(place.high),
                Event::Above(percent) => {
                    place.rises_to(place.capacity / 100 * usize::from(percent))
                }
                Event::Shed => (place.sheds, !place.sheds),
            };
            let is_news = begins && !sought.is_so;
            let is_early = |told| now.saturating_duration_since(told) < APART;
            if is_news && sought.told.is_some_and(is_early) {
                // It is told later, if it is so then.
                continue;
            }
            if is_news {
                self.happened.push(sought.event);
                sought.told = Some(now);
            }
            sought.is_so = begins || sought.is_so && !is_over;
        }
        !self.happened.is_empty()
    }
}

impl Place {
    /// Whether the occupancy has reached this, and whether it is well below it.
    fn rises_to(self, mark: usize) -> (bool, bool) {
        let floor = mark.saturating_sub(self.capacity / 10).min(self.low / 2);
        (self.used >= mark.max(1), self.used <= floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(events: &mut Events, used: usize, sheds: bool, now: Instant) -> Vec<Event> {
        let place = Place {
            used,
            high: 900,
            low: 600,
            capacity: 1000,
            sheds,
        };
        events.look(place, now);
        std::mem::take(&mut events.happened)
    }

    #[test]
    fn each_is_told_when_it_begins_and_not_again_before_it_is_over() {
        let mut events = Events::new([Event::Full, Event::Above(50), Event::Shed]);
        let mut now = Instant::now();
        for (used, sheds, happens) in [
            (0, false, &[][..]),
            (499, false, &[]),
            (500, false, &[Event::Above(50)]),
            // It wavers.
            (450, false, &[]),
            (510, false, &[]),
            (900, false, &[Event::Full]),
            (900, true, &[Event::Shed]),
            (850, true, &[]),
            (900, true, &[]),
            (900, false, &[]),
            (900, true, &[Event::Shed]),
            // From one mark to the other.
            (600, true, &[]),
            (1000, true, &[]),
            // All at once.
            (300, false, &[]),
            (1000, true, &[Event::Full, Event::Above(50), Event::Shed]),
        ] {
            assert_eq!(
                told(&mut events, used, sheds, now),
                happens,
                "{used} {sheds}"
            );
            now += APART;
        }
    }

    #[test]
    fn what_comes_and_goes_all_the_time_is_told_once_a_second() {
        let mut events = Events::new([Event::Full]);
        let begin = Instant::now();
        let mut all = 0;
        for ms in 0..10_000 {
            let used = if ms % 2 == 0 { 1000 } else { 0 };
            let now = begin + Duration::from_millis(ms);
            all += told(&mut events, used, false, now).len();
        }
        assert_eq!(all, 10);
    }
}
