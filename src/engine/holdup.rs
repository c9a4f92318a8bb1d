//! Who holds the flow up: the stopwatches, and what the watchdog makes of them.

use std::time::Instant;

use super::action::{CONSUMER, For, SIDES};
use super::stall::{Side, Watch};
use super::state::Engine;

impl Engine {
    /// Asks the watchdog.
    pub(crate) fn watch(&mut self, now: Instant) -> Watch {
        if self.given.is_down && !self.given.is_deaf {
            // Nobody is there to be accused.
            self.on_sink_moved(now);
        }
        if let Some(time) = self.given.stalled.take() {
            return Watch::Stalled(Side::Sink, time);
        }
        let (source, sink) = (&mut self.stats.source, &mut self.stats.sink);
        self.watchdog.look(source, sink, now)
    }

    /// Runs the stopwatches of those who hold the flow up, and stops the others.
    pub(super) fn watch_waits(&mut self, now: Instant) {
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
        self.stats.cap.run(capped, now);
        self.stats.room.run(no_room, now);
        // Where nothing is read before a tee is, whatever an earlier run has left for the consumer is not what holds.
        let awaited = self.awaited_tee().filter(|_| no_room);
        let awaited = awaited.map(|i| i - SIDES);
        let full = full && awaited.is_none();
        let tee = awaited.or_else(|| self.tee_that_holds().filter(|_| !full));
        self.stats.slow_tee = tee.or(self.stats.slow_tee);
        self.stats.tee.run(tee.is_some(), now);
        self.stats.sink.run(full && !self.paused, now);
        self.stats.source.run(source, now);
        self.stats.starved.run(source && nothing, now);
    }
}
