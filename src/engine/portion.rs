//! What a worker is given next: whole records at the head of the queue, or what goes on with the one that it has begun;
//! and what it gives back that it has not begun.

use std::ops::Range;

use super::action::CONSUMER;
use super::record::Cursor;
use super::state::Engine;
use super::workers::Worker;

/// What a worker may be given next.
pub(super) enum Portion {
    /// What lies before this place.
    To(u64),
    /// The extent at this place has to be read back from the disk first.
    Away(u64),
    /// Nothing yet.
    None,
}

impl Engine {
    /// Whole records at the head of the queue, about so many bytes of them.
    pub(super) fn portion(&self, window: u64) -> Portion {
        let Some(run) = self.outputs[CONSUMER].queue.first() else {
            return Portion::None;
        };
        if self.log.away(run.start).is_some() {
            return Portion::Away(run.start);
        }
        let end = run
            .end
            .min(self.log.readable())
            .min(self.log.here_to(run.start));
        if end <= run.start {
            return Portion::None;
        }
        let window = window.min(self.capacity as u64 / 4).max(1);
        let limit = end.min(run.start + window);
        let whole = self.log.last_boundary(run.start, limit);
        if let Some(to) = whole.or_else(|| self.log.next_boundary(run.start, end)) {
            return Portion::To(to);
        }
        let is_torn = self.outputs[CONSUMER].cursor.is_inside();
        // Its end is there, on the disk.
        let has_end = || self.log.last_boundary(run.start, run.end).is_some();
        // Nobody else is behind who will make room for it.
        let must_tear = self.is_blocked() && (self.is_starved() || !self.others_make_room());
        match is_torn || must_tear || self.is_last() || has_end() {
            true => Portion::To(end),
            false => Portion::None,
        }
    }

    /// What lies before this place is this worker's from now on.
    pub(super) fn take_portion(&mut self, j: usize, end: u64) {
        let output = &mut self.outputs[CONSUMER];
        let head = output.queue.first().map_or(end, |run| run.start);
        let Some(run) = output.queue.pop_front(end - head) else {
            return;
        };
        let cursor = output.cursor;
        let is_torn = !self.log.is_boundary(run.end);
        if let Some(workers) = &mut self.workers {
            workers.held += run.end - run.start;
            workers.next = (j + 1) % workers.list.len();
            let it = &mut workers.list[j];
            it.torn_at = is_torn.then_some(run.end);
            it.cursor = cursor;
            it.queue.push(run);
        }
        self.look_at_head();
    }

    /// Whether what is next in the queue goes on with a record whose beginning is nobody's any more.
    pub(super) fn look_at_head(&mut self) {
        let head = self.outputs[CONSUMER].queue.first().map(|run| run.start);
        let depth = match head {
            Some(head) if self.log.is_boundary(head) => 0,
            Some(head) => self.log.depth_of(head).max(1),
            // What comes may go on with a record that an earlier run has begun.
            None if self.outlives() => self.log.depth_of(self.log.end()),
            None => 0,
        };
        self.outputs[CONSUMER].cursor = Cursor::at(self.framing, depth);
    }

    /// What has come of records that workers have begun is those workers'.
    pub(super) fn go_on_with_torn(&mut self) {
        let count = self.workers.as_ref().map_or(0, |it| it.list.len());
        (0..count).for_each(|j| self.go_on_with_torn_of(j));
    }

    /// Where that record ends is known of what came in this run; of what an earlier one has left only while it is here.
    fn go_on_with_torn_of(&mut self, j: usize) {
        while let Some(rest) = self.rest_of_torn(self.worker(j)) {
            let readable = self.log.readable().min(self.log.here_to(rest.start));
            let here = match self.outlives() {
                true => rest.end.min(readable),
                // It is not left where it could be shed.
                false => rest.end,
            };
            if here <= rest.start {
                return;
            }
            let end = self.log.next_boundary(rest.start, here);
            let run = rest.start..end.unwrap_or(here);
            self.outputs[CONSUMER].queue.remove(&run);
            if let Some(workers) = &mut self.workers {
                workers.held += run.end - run.start;
                let it = &mut workers.list[j];
                it.torn_at = end.is_none().then_some(run.end);
                it.queue.push(run);
            }
            self.look_at_head();
        }
    }

    /// What is in the queue that goes on with the record which this worker has begun.
    pub(super) fn rest_of_torn(&self, it: &Worker) -> Option<Range<u64>> {
        let at = it.torn_at?;
        let first = self.outputs[CONSUMER].queue.over(&(at..at + 1)).next();
        first.filter(|run| run.start == at).cloned()
    }

    /// What it has, and has not begun, is anybody's again.
    pub(super) fn give_back_rest(&mut self, j: usize) {
        let it = self.worker(j);
        let Some(rest) = it.queue.first().cloned() else {
            return;
        };
        let keep = match it.cursor.is_inside() {
            true => self.log.next_boundary(rest.start, rest.end),
            false => Some(rest.start),
        };
        let back = keep.unwrap_or(rest.end)..rest.end;
        if back.is_empty() {
            return;
        }
        if let Some(workers) = &mut self.workers {
            workers.held -= back.end - back.start;
            workers.list[j].queue.remove(&back);
            let it = &mut workers.list[j];
            it.torn_at = it.torn_at.filter(|at| *at != back.end);
        }
        self.outputs[CONSUMER].queue.insert(back);
        self.look_at_head();
    }
}
