//! Who holds the flow up: the stopwatches, and what the watchdog makes of them.

use std::time::Instant;

use super::action::{CONSUMER, For, SIDES};
use super::stall::{Side, StallLook};
use super::state::Engine;
use super::stats::Stopwatch;

/// Who holds the flow up.
#[derive(Debug, PartialEq, Eq)]
struct Waits {
    /// A cap does.
    cap: bool,
    /// The producer, since there is no room.
    room: bool,
    /// This tee, by its number among the tees and taps.
    tee: Option<usize>,
    /// The consumer.
    sink: bool,
    /// The producer is waited for, and there is nothing to deliver meanwhile.
    source: bool,
    starved: bool,
}

impl Engine {
    /// Asks the watchdog.
    pub(crate) fn look_for_stall(&mut self, now: Instant) -> StallLook {
        if self.given.is_down && !self.given.is_deaf {
            // Nobody is there to be accused.
            self.on_sink_moved(now);
        }
        if let Some(time) = self.given.stalled.take() {
            return StallLook::Stalled(Side::Sink, time);
        }
        let (source, sink) = (&mut self.stats.source, &mut self.stats.sink);
        self.watchdog.look(source, sink, now)
    }

    /// Runs the stopwatches of those who hold the flow up, and stops the others.
    pub(super) fn time_waits(&mut self, now: Instant) {
        let waits = if self.is_plain() {
            self.plain_waits()
        } else {
            self.waits()
        };
        self.run_stopwatches(&waits, now);
    }

    /// The same where nothing is held, and nobody else has to do with what comes.
    #[inline]
    pub(super) fn time_flow(&mut self, now: Instant) {
        let waits = Waits {
            cap: false,
            room: self.source.sleeper.is_for(For::Gate),
            tee: None,
            sink: self.source.is_full && !self.paused,
            source: self.source.is_waiting,
            starved: self.source.is_waiting,
        };
        self.run_stopwatches(&waits, now);
    }

    /// Whether those are timed who hold the flow up, and nobody else.
    pub(super) fn is_watched(&self) -> bool {
        let stats = &self.stats;
        let run = |watch: &Stopwatch| watch.since().is_some();
        let runs = [
            run(&stats.cap),
            run(&stats.room),
            run(&stats.tee),
            run(&stats.sink),
            run(&stats.source),
            run(&stats.starved),
        ];
        let it = self.waits();
        runs == [
            it.cap,
            it.room,
            it.tee.is_some(),
            it.sink,
            it.source,
            it.starved,
        ]
    }

    #[inline]
    fn run_stopwatches(&mut self, waits: &Waits, now: Instant) {
        debug_assert_eq!(*waits, self.waits());
        self.stats.cap.run(waits.cap, now);
        self.stats.room.run(waits.room, now);
        self.stats.slow_tee = waits.tee.or(self.stats.slow_tee);
        self.stats.tee.run(waits.tee.is_some(), now);
        self.stats.sink.run(waits.sink, now);
        self.stats.source.run(waits.source, now);
        self.stats.starved.run(waits.starved, now);
    }

    /// What [`Engine::waits`] comes to where nobody but the consumer is there to be waited for.
    #[inline]
    fn plain_waits(&self) -> Waits {
        let output = &self.outputs[CONSUMER];
        let is_owed = output.queue.owed() > 0;
        let is_full = (output.is_full() || self.given.is_down) && !self.given.is_over;
        let source = self.source.is_waiting && !self.ended;
        Waits {
            cap: false,
            room: self.source.sleeper.is_for(For::Gate),
            tee: None,
            sink: (is_owed && is_full || self.source.is_full) && !self.paused,
            source,
            starved: source && (!is_owed || self.is_filling()),
        }
    }

    fn waits(&self) -> Waits {
        let output = &self.outputs[CONSUMER];
        let capped = [&self.source.sleeper, &output.sleeper];
        let capped = capped.iter().any(|sleeper| sleeper.is_for(For::Cap)) || self.is_job_capped();
        let is_full = (output.is_full() || self.given.is_down) && !self.given.is_over;
        let full = is_full && output.queue.owed() > 0 || self.source.is_full;
        // What lies unread in the pipe of one from which it may be taken back is owed, too.
        let is_stuck = self.given.unread.is_stuck();
        let awaits = !self.given.is_over && (self.awaits_jobs() || self.awaits_workers());
        let full = full || is_stuck || awaits;
        let nothing = self.used() == 0 && !is_stuck || self.is_filling() || self.is_batch_forming();
        let source = self.source.is_waiting && !self.ended;
        let no_room = self.source.sleeper.is_for(For::Gate);
        // Where nothing is read before a tee is, whatever an earlier run has left for the consumer is not what holds.
        let awaited = self.awaited_tee().filter(|_| no_room);
        let awaited = awaited.map(|i| i - SIDES);
        let full = full && awaited.is_none();
        let tee = awaited.or_else(|| self.tee_that_holds().filter(|_| !full));
        Waits {
            cap: capped,
            room: no_room,
            tee,
            sink: full && !self.paused,
            source,
            starved: source && nothing,
        }
    }
}
