//! What the machine says of itself at one instant.

use std::time::Instant;

use super::state::Engine;
use super::status::{Buffer, Caps, Shed, State, Status, Waits};

impl Engine {
    /// The books, and the ages of the data.
    #[must_use]
    pub(crate) fn status(&self, now: Instant) -> Status {
        Status {
            ages: self.timeline.ages(now),
            ..self.books(now)
        }
    }

    /// The books alone, which cost next to nothing.
    #[must_use]
    pub(crate) fn books(&self, now: Instant) -> Status {
        let marks = self.gate.marks();
        Status {
            elapsed: now.saturating_duration_since(self.started),
            state: self.state(now),
            buffer: Buffer {
                capacity: self.capacity,
                // What is left for another run is held, though nobody waits for it.
                used: self
                    .occupancy()
                    .max(self.used() + self.half_left() as usize),
                peak: self.stats.peak,
                low: marks.low,
                high: marks.high,
                places: self.places(),
            },
            read: self.stats.read.counting(self.framing.is_some()),
            written: self.stats.written.counting(self.framing.is_some()),
            spliced: self.stats.spliced,
            shed: Shed {
                total: self.stats.shed.counting(self.framing.is_some()),
                oversized: self.stats.shed_oversized,
                expired: self.stats.shed_expired,
            },
            caps: Caps {
                bytes: self.output.bytes.per_second(),
                records: self.output.records.per_second(),
            },
            share: None,
            waits: Waits {
                source: self.stats.starved.total(now),
                sink: self.stats.sink.total(now) + self.stats.tee.total(now),
                tee: self.stats.tee.total(now),
                cap: self.stats.cap.total(now),
                room: self.stats.room.total(now),
            },
            slow_tee: self.stats.slow_tee,
            ages: None,
        }
    }

    fn state(&self, now: Instant) -> State {
        match () {
            () if self.is_finished() => State::Done,
            () if self.paused => State::Paused,
            () if self.ended => State::Draining,
            () if self.awaited_tee().is_some() => State::Waiting,
            () if self.is_disk_full() && self.shedder.policy.is_none() => State::DiskFull,
            () if self.shedder.is_shedding(now) => State::Shedding,
            () if self.is_filling() => State::Filling,
            () if self.stats.cap.since().is_some() => State::Capped,
            () if self.gate.is_closed() || self.has_no_place() => State::Blocked,
            () if self.stats.sink.since().is_some() => State::Blocked,
            () if self.used() == 0 && self.stats.source.since().is_some() => State::Starved,
            () => State::Flowing,
        }
    }
}
