//! How far a worker's program has read: what of what it was given is done with, and whether it stalls.

use std::time::{Duration, Instant};

use super::action::CONSUMER;
use super::plan::earlier;
use super::state::Engine;
use super::workers::{Life, Worker, Workers};

/// More than any pipe holds that is not asked for by name.
const PIPE_MOST: u64 = 1 << 20;
/// How often it is looked at, at least and at most, where others linger for what it may leave.
const LINGER_LOOKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_secs(1));
/// How often up to ten of them are looked at while the disk is full; more of them are seldomer, for each look goes over all.
const IN_WAY_LOOKS: Duration = Duration::from_millis(20);

impl Engine {
    /// When to look how much it has read, if nothing else tells.
    pub(super) fn look_due(&self, workers: &Workers, j: usize) -> Option<Instant> {
        let it = &workers.list[j];
        let has_some = it.given.bytes() > 0;
        let may_stall = has_some && it.given.unread.bytes() > 0 || workers.is_missed(j);
        let stalls = workers.stall_timeout.filter(|_| may_stall);
        let stalls = stalls.and_then(|time| it.given.unread.due(time));
        let is_tried = it.failures > 0 && (has_some || it.has_progressed);
        // So often, until it has made up for its failures.
        let again = is_tried.then(|| {
            let step = it.waited.max(Duration::from_millis(1));
            let again = it.given.unread.looked_at().checked_add(step);
            again.max(it.since.checked_add(step + Duration::from_nanos(1)))
        });
        // What it was given may be what keeps a record that goes on from having room.
        let is_in_way = has_some && self.outlives() && self.has_no_place();
        let step = IN_WAY_LOOKS * u32::try_from(workers.list.len().div_ceil(10)).unwrap_or(1);
        let room = is_in_way.then(|| it.given.unread.looked_at() + step);
        let may_go = it.is_wanted() && it.queue.owed() == 0;
        let busy = workers.scaler.look_again_at(it.busy.looked_at());
        let known = earlier(stalls, again.flatten());
        let known = earlier(known, self.lingers_until(workers, j));
        let known = earlier(known, room);
        earlier(busy.filter(|_| may_go), known)
    }

    /// When to look whether this one has read all, so that others need not linger; seldom, where it has long read
    /// nothing.
    fn lingers_until(&self, workers: &Workers, j: usize) -> Option<Instant> {
        let it = &workers.list[j];
        let is_lingered_for = self.is_last()
            && self.outputs[CONSUMER].queue.owed() == 0
            && it.life == Life::Up
            && it.given.unread.bytes() > 0
            && workers.others(j).any(Worker::is_open);
        let (least, most) = LINGER_LOOKS;
        let since = it.given.unread.since();
        let last = it.given.unread.looked_at().max(since);
        let step = ((last - since) / 4).clamp(least, most);
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

    /// The disk is full, and this one has read all that it was given: where nobody has more to get, and nobody else is
    /// behind it who will make room, the beginning of a record whose rest has none is not kept.
    fn keep_none_begun(&mut self, j: usize) {
        let Some(first) = self.worker(j).given.runs().next() else {
            return;
        };
        let from = first.start;
        let mut theirs =
            (self.workers.iter()).flat_map(|it| it.others(j).flat_map(|it| it.given.runs()));
        let are_behind = theirs.any(|run| run.start < from) || self.lags(from);
        drop(theirs);
        let may_wait = are_behind || !self.has_surely_no_place();
        if may_wait || self.used() > 0 {
            return;
        }
        while let Some(run) = self.worker_mut(j).given.pop_back() {
            self.log.unpin(&run);
        }
    }

    /// Whether somebody beside the consumer who holds the flow up has not come to this place.
    pub(super) fn lags(&self, place: u64) -> bool {
        let mut sides = self.holders().filter(|(i, _)| *i != CONSUMER);
        sides.any(|(_, it)| it.head().is_some_and(|head| head < place))
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
        workers.list[j].given.unread.on_known(unread, now);
        workers.look_at_success(j, now);
    }

    /// It was looked at, for nothing else tells how it fares.
    pub(super) fn on_worker_looked(&mut self, j: usize, unread: u64, now: Instant) {
        let before = self.worker(j).given.unread.looked_at();
        self.on_worker_read(j, unread, now);
        self.worker_mut(j).busy.on_looked(now);
        self.on_busy_known(j, unread > 0, now);
        if unread == 0 && self.outlives() && self.has_no_place() {
            self.keep_none_begun(j);
        }
        let is_owed = self.outputs[CONSUMER].queue.owed() > 0;
        let Some(workers) = &mut self.workers else {
            return;
        };
        let is_missed = workers.is_missed(j);
        let Some(time) = workers.stall_timeout.filter(|_| unread > 0 || is_missed) else {
            return;
        };
        let it = &mut workers.list[j];
        if is_missed && !is_owed {
            // There is nothing that it could take.
            it.given.unread.begin_anew(now);
        }
        it.is_accused = it.given.unread.stalled(before, time, now).is_some();
    }
}
