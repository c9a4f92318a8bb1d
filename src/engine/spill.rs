//! The disk behind memory: new bytes go there while memory is full, and until it has run empty; queues, marks and
//! shedding never notice. Whoever acts for the engine puts them there and reads them back.
//!
//! A disk that has no room is no failure: then memory is all there is, and where that is full too the source waits as
//! it does for a full buffer. It tries again as soon as some of ours has been given back, and every now and then, for
//! others may have made room.
//!
//! Invariant: what is in memory alone is no more than its part of the buffer, taps' shares, what waits for
//! the file of what was shed, what may have to be given again, and one read apart.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::action::{FilledBy, NoRoom, OVERFLOW, ReadState};
use super::disk::{Full, Spill};
use super::on_disk::EXTENT_MOST;
use super::output::Output;
use super::overflow::MOST;
use super::plan::earlier;
use super::segment::Segment;
use super::state::Engine;
use super::status::Places;

/// How soon to try again whether a full disk has room: room that others make is to be used within a second.
const DISK_AGAIN: Duration = Duration::from_millis(500);
/// How long room is waited for that others have on a full disk, while none comes: who waits for each other's has no end.
const OTHERS_WAIT: Duration = Duration::from_secs(10);
/// How soon to ask a system that had no memory again.
pub(super) const MEMORY_AGAIN: Duration = Duration::from_millis(50);
/// Bytes of an extent, at most, of which some may grow too old before the others.
const AGING_MOST: usize = 16 * 1024;
/// One who may be behind by a share of its own loses its oldest by extents where they lie on the disk alone: so many make
/// up that share, or more.
const SHARE_PARTS: u64 = 8;

impl Engine {
    /// Memory to read into what goes to the disk, whatever the system has left.
    pub(crate) fn give_reserve(&mut self, segment: Arc<Segment>) {
        self.log.give_reserve(segment);
    }

    /// Room has been made on the disk.
    pub(crate) fn on_disk_room(&mut self, now: Instant) {
        if let Some(spill) = &mut self.spill {
            spill.full = None;
            self.update(now);
        }
    }

    /// Bytes that fit into memory beside what is there.
    fn memory_room(&self, spill: &Spill) -> u64 {
        if spill.short.is_some() {
            return 0;
        }
        if self.occupancy() == 0 {
            // What is there is apart, and may keep more than its own bytes: nobody would ever make room of it.
            return spill.memory;
        }
        let room = (spill.memory + self.apart()).saturating_sub(self.log.in_memory());
        // What is there for others beside the buffer is no room for those who hold the flow up.
        let held = (self.occupancy() as u64).saturating_sub(self.log.on_disk());
        room.min(spill.memory.saturating_sub(held))
    }

    /// Bytes that are not the buffer's: those that taps may hold, what waits for the file of what was shed, and
    /// what the consumer has been given and may have to be given again.
    pub(super) fn apart(&self) -> u64 {
        let overflow = self.outputs[OVERFLOW].queue.owed() + self.overflow.unfinished_bytes();
        // As much as was in memory, and what may wait beside that; the rest of it lies on the disk.
        let memory = self.spill.as_ref().map_or(u64::MAX, |spill| spill.memory);
        let overflow = overflow.min(memory.saturating_add(MOST));
        self.tap_shares() + overflow + self.given.bytes()
    }

    /// Whether one who holds the flow up is still owed something that lies on the disk. What is there for others, such
    /// as what is kept for those who look, is no reason to go on there.
    fn is_read_from_disk(&self) -> bool {
        let to = self.log.disk_to();
        let is_behind = |output: &Output| {
            let head = output.queue.claim().or(output.queue.first());
            head.is_some_and(|run| run.start < to)
        };
        self.log.on_disk() > 0 && self.holders().any(|(_, output)| is_behind(output))
    }

    /// Whether what is read next goes to the disk.
    pub(super) fn goes_to_disk(&self) -> bool {
        self.spill.as_ref().is_some_and(|spill| {
            if spill.outlives {
                return true;
            }
            // What a disk fails to take although it had room must have a place in memory.
            let most = spill.memory + self.apart() + self.segment_size() as u64;
            let is_wanted = self.is_read_from_disk() || self.memory_room(spill) == 0;
            is_wanted && spill.full.is_none() && self.log.in_memory() <= most
        })
    }

    /// Bytes for which there is a place, in memory or on the disk.
    pub(super) fn place_room(&self) -> usize {
        match &self.spill {
            Some(spill) if spill.outlives && spill.full.is_some() => 0,
            Some(spill) if !self.goes_to_disk() => {
                usize::try_from(self.memory_room(spill)).unwrap_or(usize::MAX)
            }
            _ => usize::MAX,
        }
    }

    /// Whether memory is full and the disk is, too.
    #[inline]
    pub(super) fn has_no_place(&self) -> bool {
        self.spill.is_some() && self.place_room() == 0
    }

    /// Whether there is no place because the disk is full.
    pub(super) fn is_disk_full(&self) -> bool {
        let full = self.spill.as_ref().and_then(|spill| spill.full);
        full.is_some_and(|full| full.why.by != FilledBy::Bound) && self.has_no_place()
    }

    /// Whether the rest of the record that has begun had no place although all had been given back that nobody is owed, and
    /// no others are to make room for it: however long it is already, they may make enough.
    pub(super) fn has_surely_no_place(&self) -> bool {
        let full = self.spill.as_ref().and_then(|spill| spill.full);
        let may_come =
            full.is_some_and(|full| !self.log.is_floor(full.why.floor) || full.why.by.may_yield());
        self.has_no_place() && !may_come
    }

    /// When to try again whether there is a place, where there is none.
    pub(super) fn place_again(&self) -> Option<Instant> {
        let spill = self.spill.as_ref()?;
        earlier(spill.full.map(|full| full.again), spill.short)
    }

    /// The source is about to decide.
    pub(super) fn look_at_disk(&mut self, now: Instant) {
        let Some(spill) = &mut self.spill else {
            return;
        };
        let before = (spill.full.is_some(), spill.short.is_some());
        spill.full = spill.full.filter(|full| now < full.again);
        spill.short = spill.short.filter(|again| now < *again);
        if before != (spill.full.is_some(), spill.short.is_some()) {
            self.update(now);
        }
    }

    pub(super) fn on_disk_full(&mut self, why: NoRoom, now: Instant) {
        if let Some(spill) = &mut self.spill {
            let again = now + DISK_AGAIN;
            spill.full = Some(Full { again, why });
            if why.by == FilledBy::Others {
                spill.held_by_others.get_or_insert(now);
            }
        }
    }

    /// Whether others are waited for who fill the disk: not for a record for which that was in vain.
    pub(super) fn look_at_others(&mut self, now: Instant) -> bool {
        let has_begun = self.source.cursor.is_inside();
        let Some(spill) = &mut self.spill else {
            return true;
        };
        let since = spill.held_by_others;
        let is_in_vain =
            since.is_some_and(|since| now.saturating_duration_since(since) >= OTHERS_WAIT);
        // Where none has begun there is none to be torn, and the next one is waited for anew.
        spill.awaits_none |= is_in_vain && has_begun;
        !spill.awaits_none
    }

    /// The disk has room, whether or not something has come that could have some of it: nobody is waited for.
    pub(super) fn on_disk_ready(&mut self) {
        if let Some(spill) = &mut self.spill {
            spill.held_by_others = None;
        }
    }

    /// Something has come, and this many records have ended in it.
    pub(super) fn on_place_found(&mut self, ended: u64) {
        if let Some(spill) = &mut self.spill {
            spill.held_by_others = None;
            // What is torn already is not kept waiting again.
            spill.awaits_none &= ended == 0;
        }
    }

    /// Something was shed to make room: there may be a place, or will be if this happens often enough.
    pub(super) fn on_place_shed(&mut self) {
        let has_free = self.log.has_free();
        if let Some(spill) = &mut self.spill {
            spill.full = None;
            spill.short = spill.short.filter(|_| !has_free);
        }
    }

    /// Whether the system has no memory to read into for the moment.
    pub(super) fn lacks_memory(&self) -> bool {
        self.spill
            .as_ref()
            .is_some_and(|spill| spill.short.is_some())
    }

    /// The system has no more memory: what comes goes to the disk. Says whether there is one.
    pub(super) fn spills_early(&mut self, now: Instant) -> bool {
        let Some(spill) = &mut self.spill else {
            return false;
        };
        spill.short = Some(now + MEMORY_AGAIN);
        self.source.is_short = false;
        true
    }

    /// Bytes of an extent that what was read may join.
    pub(super) fn extent_most(&self, read: &ReadState) -> usize {
        // What is about to be cut, other than at its ends, stays by itself.
        let is_cut = read.discard || self.shedder.skipped.is_some() || self.is_side_skipping();
        match self.shedder.max_age {
            _ if is_cut => 0,
            Some(_) => AGING_MOST,
            None if self.outlives() && self.are_behind(self.log.last_extent()) => usize::MAX,
            None => (self.capacity / 64).clamp(1, EXTENT_MOST),
        }
    }

    /// The same where somebody may be behind by a share only: what lies on the disk alone is lost to it by extents.
    pub(super) fn shared_extent_most(&self) -> Option<usize> {
        if !self.has_sides() {
            return None;
        }
        let roles = self.sides().filter_map(|(_, output)| output.side.as_ref());
        let least = roles.filter_map(|side| side.role.share()).min()?;
        let part = usize::try_from(least / SHARE_PARTS).unwrap_or(usize::MAX);
        Some(part.clamp(1, EXTENT_MOST))
    }

    /// Whether all that is read is put where it outlives this run.
    #[inline]
    pub(crate) fn outlives(&self) -> bool {
        self.spill.as_ref().is_some_and(|spill| spill.outlives)
    }

    /// Whether all outputs are still owed what lies at this place, and nothing before it was read back.
    fn are_behind(&self, place: u64) -> bool {
        let end = self.log.end();
        let heads = self.outputs.iter().map(|output| {
            let head = output.queue.claim().or(output.queue.first());
            head.map_or(end, |run| run.start)
        });
        // The file of what was shed is not there.
        let mut heads = heads.enumerate().filter(|(i, _)| *i != OVERFLOW);
        heads.all(|(_, head)| head <= place)
    }

    /// What lies before this place on the disk alone is one extent where it can be: it came in smaller ones for those who
    /// may be behind by a share only, or was read back by one of several, and is needed like that by nobody any more.
    /// Otherwise memory would be that of what lies on the disk.
    #[inline]
    pub(super) fn join_behind(&mut self, place: u64) {
        // What is on the disk behind memory may be shed, as much at once as an extent has.
        if self.outlives() {
            self.join_all_behind(place);
        }
    }

    fn join_all_behind(&mut self, place: u64) {
        while let Some(places) = self.log.joinable(place)
            && self.is_one_for_all(&places)
        {
            self.log.join(&places);
        }
    }

    /// Whether nobody's places begin or end inside of these, and nobody is owed them who may lose them by extents.
    fn is_one_for_all(&self, places: &Range<u64>) -> bool {
        let is_one = |run: &Range<u64>| {
            let is_inside = |place| places.start < place && place < places.end;
            !is_inside(run.start) && !is_inside(run.end)
        };
        let is_over = |run: &Range<u64>| run.end <= places.start || places.end <= run.start;
        if self
            .jobs
            .as_ref()
            .is_some_and(|jobs| jobs.is_looking_in(places))
        {
            return false;
        }
        let mut outputs = self.outputs.iter();
        outputs.all(|output| {
            let side = output.side.as_ref();
            let is_shared = side.is_some_and(|it| it.role.share().is_some());
            let mut runs = output.queue.claims().chain(output.queue.over(places));
            runs.all(|run| is_one(run) && (!is_shared || is_over(run)))
        }) && self.pinned_runs().all(is_one)
    }

    /// Places that are pinned for somebody and are in no output's queue any more: given and maybe to be taken back, on
    /// their way to the file of what is shed, left for another run, in batches, with workers. What lies behind the first of
    /// them on the disk stays there for it.
    pub(super) fn pinned_runs(&self) -> impl Iterator<Item = &Range<u64>> {
        let jobs = self.jobs.iter().flat_map(|jobs| jobs.runs());
        let workers = self.workers.iter();
        let workers = workers.flat_map(|it| it.runs().chain(it.given()));
        let given = self.given.runs().chain(&self.overflow.unfinished);
        let given = given.chain(&self.half);
        given.chain(jobs).chain(workers)
    }

    /// Of so many bytes to be claimed those that lie in one piece, where what is written is remembered; and where that
    /// is.
    pub(super) fn remembered(&self, i: usize, n: u64) -> (u64, Option<u64>) {
        let first = self.outputs[i].queue.first().filter(|_| self.outlives());
        match first.and_then(|run| self.log.stored_at(run.start)) {
            Some((at, most)) => (n.min(most), Some(at)),
            None => (n, None),
        }
    }

    /// What is in memory is no more than it may be, where the consumer is given so much at most.
    #[cfg(test)]
    pub(crate) fn check_places(&self, given: usize) {
        self.log.check_disk();
        if let Some(spill) = &self.spill {
            // With shedding each holder has books of its own, and what they hold may have nothing in common.
            let mut memory = spill.memory * self.holders().count() as u64;
            if self.given.is_kept || self.workers.is_some() {
                // What may have had to be given again, and was read meanwhile, was the buffer's for a while.
                memory += given as u64;
            }
            let most = memory + self.apart() + 2 * self.segment_size() as u64;
            let held = self.log.owed_in_memory();
            assert!(held <= most, "{held} bytes in memory");
        }
    }

    /// What is where.
    pub(super) fn places(&self) -> Option<Places> {
        let spill = self.spill.as_ref()?;
        Some(Places {
            memory: if spill.outlives { 0 } else { spill.memory },
            memory_peak: spill.memory_peak,
            disk: self.log.on_disk(),
            disk_peak: spill.disk_peak,
        })
    }

    /// Keeps the most that was held of memory and disk: of the buffer, as `used` is, and not what is apart from it.
    pub(super) fn note_places(&mut self) {
        if self.spill.is_none() {
            return;
        }
        let used = (self.occupancy() as u64).saturating_sub(self.log.on_disk());
        if let Some(spill) = &mut self.spill {
            spill.memory_peak = spill.memory_peak.max(used);
            spill.disk_peak = spill.disk_peak.max(self.log.on_disk());
        }
    }
}
