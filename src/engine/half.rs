//! The record that has come in half when weir is told to end, beside a stream that outlives the run: its rest comes to
//! another run, and so does all of it, unless somebody has its beginning already.
//!
//! Invariant: it is in no queue, so that nobody waits for it, and stays pinned, so that the stream still has it.

use std::time::Instant;

use super::action::CONSUMER;
use super::state::Engine;

impl Engine {
    /// Whether what goes on with the last record may still come to another run: nothing more is read in this one, though
    /// the input goes on.
    fn may_go_on(&self) -> bool {
        self.is_last() && !self.is_input_over(false) && self.outlives() && self.framing.is_some()
    }

    /// What of the last record has come, and was given to nobody, is nobody's in this run then.
    pub(super) fn leave_half(&mut self, now: Instant) {
        let end = self.log.end();
        let last = self.outputs[CONSUMER].queue.last();
        let Some(run) = last.filter(|run| run.end == end && self.may_go_on()) else {
            return;
        };
        let whole = self.log.last_boundary(run.start, end);
        let is_begun = || !self.log.is_boundary(run.start);
        let from = match whole {
            Some(to) => to,
            None if is_begun() => return,
            None => run.start,
        };
        if from < end {
            self.outputs[CONSUMER].queue.remove(&(from..end));
            self.half = Some(from..end);
            self.on_shrunk(now);
        }
    }

    /// Bytes of it.
    pub(crate) fn half_left(&self) -> u64 {
        self.half.as_ref().map_or(0, |half| half.end - half.start)
    }
}
