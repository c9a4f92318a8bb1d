//! How far a worker's program has read: what of what it was given is done with, and whether it stalls.

use std::time::{Duration, Instant};

use super::action::CONSUMER;
use super::plan::earlier;
use super::state::Engine;
use super::workers::{Life, Worker, Workers};

/// More than any pipe holds that is not asked for by name.
const PIPE_MOST: u64 = 1 << 20;
/// How often it is looked at in the time that what lies in its pipe may lie there.
const LOOKS: u32 = 8;
/// How often it is looked at, at least and at most, where others linger for what it may leave.
const LINGER_LOOKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_secs(1));
/// A look that comes later than it should by more than this, and by more than there is between two, tells that it was
/// we who stood still.
const LATE: Duration = Duration::from_millis(500);

impl Engine {
    /// When to look how much it has read, if nothing else tells.
    pub(super) fn look_due(&self, workers: &Workers, j: usize) -> Option<Instant> {
        let it = &workers.list[j];
        let has_some = it.given.bytes() > 0;
        let stalls = workers.patience.filter(|_| has_some && it.looked.0 > 0);
        let stalls = stalls.and_then(|time| {
            let end = it.looked.1.checked_add(time)?;
            Some(end.min(it.looked_at.checked_add(time / LOOKS)?))
        });
        let is_tried = it.failures > 0 && (has_some || it.has_progressed);
        // So often, until it has made up for its failures.
        let again = is_tried.then(|| {
            let step = it.waited.max(Duration::from_millis(1));
            let again = it.looked_at.checked_add(step);
            again.max(it.since.checked_add(step + Duration::from_nanos(1)))
        });
        let may_go = it.is_wanted() && it.queue.owed() == 0;
        let busy = workers.scaler.look_again_at(it.busy.looked_at());
        let known = earlier(stalls, again.flatten());
        let known = earlier(known, self.lingers_until(workers, j));
        earlier(busy.filter(|_| may_go), known)
    }

    /// When to look whether this one has read all, so that others need not linger; seldom, where it has long read
    /// nothing.
    fn lingers_until(&self, workers: &Workers, j: usize) -> Option<Instant> {
        let it = &workers.list[j];
        let is_lingered_for = self.is_last()
            && self.outputs[CONSUMER].queue.owed() == 0
            && it.life == Life::Up
            && it.looked.0 > 0
            && workers.others(j).any(Worker::is_open);
        let (least, most) = LINGER_LOOKS;
        let last = it.looked_at.max(it.looked.1);
        let step = ((last - it.looked.1) / 4).clamp(least, most);
        is_lingered_for.then(|| last + step)
    }

    /// A record that is longer than everything is not kept for its own sake.
    pub(super) fn keep_no_more(&mut self, j: usize) {
        let count = self.workers.as_ref().map_or(1, |it| it.list.len()) as u64;
        let most = self.capacity as u64 / count + PIPE_MOST;
        loop {
            let given = &mut self.worker_mut(j).given;
            let Some(excess) = given.bytes().checked_sub(most).filter(|n| *n > 0) else {
                return;
            };
            let Some(run) = given.pop(excess) else { return };
            self.log.unpin(&run);
        }
    }

    /// So much of what it was given lies unread.
    pub(super) fn on_worker_read(&mut self, j: usize, unread: u64, now: Instant) {
        loop {
            let Some(workers) = &mut self.workers else {
                return;
            };
            let it = &mut workers.list[j];
            let read = it.given.bytes().saturating_sub(unread);
            let whole = match read {
                0 => 0,
                read => it.given.whole(read, &self.log),
            };
            let Some(run) = it.given.pop(whole).filter(|run| !run.is_empty()) else {
                break;
            };
            it.has_progressed = true;
            self.log.unpin(&run);
        }
        let Some(workers) = &mut self.workers else {
            return;
        };
        let it = &mut workers.list[j];
        if unread < it.looked.0 {
            it.looked.1 = now;
        }
        it.looked.0 = unread;
        it.looked_at = now;
        workers.look_at_success(j, now);
    }

    /// It was looked at, for nothing else tells how it fares.
    pub(super) fn on_worker_looked(&mut self, j: usize, unread: u64, now: Instant) {
        let before = self.worker(j).looked_at;
        self.on_worker_read(j, unread, now);
        self.worker_mut(j).busy.on_looked(now);
        self.on_busy_known(j, unread > 0, now);
        let patience = self.workers.as_ref().and_then(|workers| workers.patience);
        let it = self.worker_mut(j);
        let Some(time) = patience.filter(|_| it.looked.0 > 0) else {
            return;
        };
        let step = time / LOOKS;
        let late = now.saturating_duration_since(before).saturating_sub(step);
        let stood_still = late > LATE.max(step);
        let has_stalled = now.saturating_duration_since(it.looked.1) >= time;
        if stood_still || has_stalled {
            // It has as long again, to be made to end where it has stalled.
            it.looked.1 = now;
            it.is_accused = has_stalled && !stood_still;
        }
    }
}
