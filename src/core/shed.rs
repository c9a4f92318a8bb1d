//! What goes over the top: the oldest or the newest, after some patience, or what is too old.
//!
//! Invariant: the output is the input with whole records removed. What is claimed by the sink is
//! never shed; the queue begins at the start of a record whenever something is shed from its head;
//! and a record of which a part was shed is shed to its end.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::frame::{Cursor, Framing};
use super::fresh::Window;
use super::gate::Marks;
use super::pace::Grant;
use super::ring::{Hand, Intake};
use super::steps::{Run, WriteStep};
use super::{SinkWaits, Weir, earlier};
use crate::units::Reject;

/// What to drop when the buffer is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// What has been held longest.
    Oldest,
    /// What has just come.
    Newest,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Which::Oldest => "oldest",
            Which::Newest => "newest",
        })
    }
}

impl FromStr for Which {
    type Err = Reject;

    fn from_str(text: &str) -> Result<Which, Reject> {
        match text {
            "oldest" => Ok(Which::Oldest),
            "newest" => Ok(Which::Newest),
            _ => Err(Reject::new(
                "nothing that can be shed",
                &["oldest", "newest"],
            )),
        }
    }
}

/// When the buffer is full, and the producer has been blocked for this long: drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What to drop.
    pub which: Which,
    /// How long to block first, each time the buffer fills.
    pub patience: Duration,
}

/// Bytes that were shed and wait to be written to a file, in whole records.
#[derive(Debug, Default)]
pub struct Spill {
    wanted: bool,
    pending: Vec<u8>,
    /// The beginning of a record whose rest is still to come.
    unfinished: Vec<u8>,
    /// That record is too much.
    refusing: bool,
    lost: u64,
}

/// Bytes that may wait for the file before more are refused.
const SPILL_MOST: usize = 8 << 20;
/// Bytes copied into the hand at a time, at most: bounds the time under the lock.
const COPY_MOST: usize = 64 * 1024;
/// Bytes for which room is made at a time, at most.
const ROOM_MOST: usize = 256 * 1024;

impl Spill {
    /// Whether anything waits for the file.
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty() || self.lost > 0
    }

    /// Takes whole records, `n` bytes in pieces: all of them, or none. Where nothing is waiting for
    /// the file it is not too slow, and they may be as many as the buffer held.
    fn push<'a>(&mut self, n: usize, records: impl Iterator<Item = &'a [u8]>) {
        if !self.wanted {
        } else if !self.pending.is_empty() && self.pending.len() + n > SPILL_MOST {
            self.lost += n as u64;
        } else {
            records.for_each(|piece| self.pending.extend_from_slice(piece));
        }
    }

    /// Takes `bytes` that go on where the last such ended, the last `depth` of them (or more
    /// before) being the beginning of a record.
    fn push_on(&mut self, bytes: &[u8], depth: u64) {
        if !self.wanted {
            return;
        }
        let depth = usize::try_from(depth).unwrap_or(usize::MAX);
        let (end, begin) = bytes.split_at(bytes.len() - depth.min(bytes.len()));
        self.keep(end);
        if !end.is_empty() {
            self.finish();
        }
        self.keep(begin);
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.refusing |= self.unfinished.len() + bytes.len() > SPILL_MOST;
        if self.refusing {
            self.lost += (self.unfinished.len() + bytes.len()) as u64;
            self.unfinished.clear();
        } else {
            self.unfinished.extend_from_slice(bytes);
        }
    }

    /// The record in progress is complete.
    fn finish(&mut self) {
        let record = std::mem::take(&mut self.unfinished);
        self.push(record.len(), std::iter::once(&record[..]));
        self.refusing = false;
    }
}

/// State of the shedding.
#[derive(Debug, Default)]
pub struct Shedder {
    pub(super) policy: Option<Policy>,
    pub(super) max_age: Option<Duration>,
    pub(super) spill: Spill,
    pub(super) window: Window,
    /// Where in its record the queue begins, while something is in the hand.
    claimed: Cursor,
    /// Since when the buffer has been full, but for what was shed.
    full_since: Option<Instant>,
    /// What the consumer has taken since.
    pub(super) taken: u64,
    /// What is read now is the newest and too much.
    discarding: bool,
    /// The record in progress at the input is being shed.
    skipping: bool,
    /// How much of it has been.
    pub(super) skipped: u64,
}

impl Shedder {
    /// Whether freshness rules: everything goes through the ring, in small claims.
    pub(super) fn is_on(&self) -> bool {
        self.policy.is_some() || self.max_age.is_some()
    }

    /// Whether the record in progress at the input is being shed.
    pub(super) fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Whether the beginning of what is read next may be dropped.
    pub(super) fn drops_input(&self) -> bool {
        self.skipping || self.discarding
    }

    /// Whether the sink must leave a record that has not ended alone: it may be shed.
    pub(super) fn takes_records(&self) -> bool {
        self.is_on() || self.discarding
    }

    /// Tells the occupancy after each change of it, and whether the gate is `closed`. A buffer that
    /// is only not full because some was shed is as good as full: it takes the consumer to make
    /// patience begin anew.
    pub(super) fn on_occupancy(&mut self, used: usize, closed: bool, marks: Marks, now: Instant) {
        if closed {
            if self.full_since.is_none() {
                (self.full_since, self.taken) = (Some(now), 0);
            }
        } else if used == 0 || used <= marks.low && self.taken >= (marks.high - marks.low) as u64 {
            self.full_since = None;
        }
    }

    /// Whether the buffer has been full for longer than patience lasts.
    pub(super) fn is_shedding(&self, now: Instant) -> bool {
        self.full_since.is_some() && self.due(now).is_some_and(|due| due <= now)
    }

    /// When blocking ends and shedding begins.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let policy = self.policy?;
        self.full_since.unwrap_or(now).checked_add(policy.patience)
    }
}

impl Weir {
    /// Asks for what is shed to be kept for a file.
    pub fn want_spill(&mut self) {
        self.shedder.spill.wanted = true;
    }

    /// What was shed since the last call, and how many bytes of it were lost for want of room.
    /// The `last` call gets a record that has no end, too.
    pub fn take_spill(&mut self, last: bool) -> (Vec<u8>, u64) {
        let spill = &mut self.shedder.spill;
        if last {
            spill.finish();
        }
        (
            std::mem::take(&mut spill.pending),
            std::mem::take(&mut spill.lost),
        )
    }

    /// The buffer is full and patience is at its end: makes room. Returns how much may be read
    /// now, at this place in the input, be it only to be discarded.
    pub(super) fn shed_for_room(&mut self, now: Instant, which: Which, place: Cursor) -> usize {
        if which == Which::Newest {
            let is_torn = place.depth() > self.ring.queued() as u64 && !self.shedder.skipping;
            if is_torn && self.framing.is_some() {
                // What is next belongs to a record whose beginning has left.
                return 0;
            }
            self.shedder.discarding = true;
            return self.ring.segment_size();
        }
        if self.head_is_torn() {
            return 0;
        }
        let need = (self.capacity / 8).clamp(1, ROOM_MOST);
        let mut n = self.ring.cut(self.framing, need);
        let torn = n == 0;
        if torn {
            // One record fills the buffer and has not ended yet.
            n = self.ring.queued();
            if n == 0 {
                return 0;
            }
            self.shedder.skipping = true;
            self.shedder.skipped = n as u64;
        }
        self.drop_front(n, torn);
        self.gate.on_shed(self.ring.used());
        self.settle(now);
        self.gate.may_take(self.ring.used())
    }

    /// Sheds what has waited too long.
    pub(super) fn expire(&mut self, now: Instant) {
        let Some(then) = self.shedder.max_age.and_then(|age| now.checked_sub(age)) else {
            return;
        };
        if self.head_is_torn() {
            return;
        }
        // What the source thread is about to add to is not in the queue.
        let old = self.timeline.older_than(then).min(self.ring.queued());
        if old == 0 {
            return;
        }
        let n = match self.framing {
            _ if self.is_last() && old >= self.ring.queued() => self.ring.queued(),
            Some(Framing::Terminator(end)) => self.ring.find_last(end, old),
            Some(Framing::Fixed(size)) => old - (old as u64 % size.get()) as usize,
            None => old,
        };
        if n > 0 {
            let before = self.meter.shed;
            self.drop_front(n, false);
            let shed = self.meter.shed;
            self.meter.shed_expired += match self.framing {
                Some(_) => shed.records - before.records,
                None => shed.bytes - before.bytes,
            };
            self.settle(now);
        }
    }

    /// When the next record will have waited too long, if nothing happens before.
    pub(super) fn next_expiry(&mut self) -> Option<Instant> {
        let age = self.shedder.max_age?;
        let first = match self.ring.cut(self.framing, 1) {
            0 if self.is_last() => self.ring.queued(),
            n => n,
        };
        if first == 0 || self.head_is_torn() {
            return None;
        }
        self.timeline.arrival(first)?.checked_add(age)
    }

    /// Takes in what was read where shedding may drop some of it. Returns how much of its
    /// beginning was dropped.
    pub(super) fn sift(&mut self, intake: &Intake, read: &Run) -> usize {
        if read.bytes == 0 {
            self.shedder.discarding = false;
        }
        if !self.shedder.drops_input() {
            return 0;
        }
        let [_, bytes] = intake.read(read.bytes);
        let mut cursor = intake.cursor;
        let mut gone = 0;
        if self.shedder.discarding && !self.shedder.skipping && cursor.is_inside() {
            self.drop_unfinished(cursor);
        }
        if self.shedder.skipping {
            let rest = &bytes[..cursor.reach(bytes, 0)];
            gone = rest.len();
            self.shedder.skipping = self.over_the_top(&mut cursor, rest);
        }
        if self.shedder.discarding {
            self.shedder.discarding = false;
            self.shedder.skipping = self.over_the_top(&mut cursor, &bytes[gone..]);
            gone = bytes.len();
        }
        gone
    }

    /// Sheds the beginning of a record whose rest is about to be shed.
    fn drop_unfinished(&mut self, cursor: Cursor) {
        let n = usize::try_from(cursor.depth())
            .unwrap_or(usize::MAX)
            .min(self.ring.queued());
        self.shedder.skipping = true;
        for part in self.ring.back(n) {
            self.shedder.spill.push_on(part, cursor.depth());
        }
        self.meter.shed.bytes += n as u64;
        self.ring.drop_back(n);
        self.timeline.drop_back(n);
    }

    /// Counts `bytes` as shed. Says whether that leaves us inside a record.
    fn over_the_top(&mut self, cursor: &mut Cursor, bytes: &[u8]) -> bool {
        self.meter.shed_oversized += self.oversized_in(*cursor, bytes);
        let tally = cursor.pass(bytes);
        self.meter.shed.bytes += bytes.len() as u64;
        self.meter.shed.records += tally.ended;
        self.shedder.spill.push_on(bytes, cursor.depth());
        self.shedder.skipped = cursor.depth();
        cursor.is_inside()
    }

    /// Whether no buffer like this holds a record of this length.
    pub(super) fn is_oversized(&self, length: u64) -> bool {
        length > self.gate.marks().high as u64
    }

    /// Records that end in `bytes` and are too long for the buffer.
    fn oversized_in(&self, mut cursor: Cursor, mut bytes: &[u8]) -> u64 {
        let mut n = 0;
        // As a rule nothing here can be so long, and nothing is searched.
        while self.is_oversized(cursor.depth() + bytes.len() as u64) {
            let (begun, end) = (
                cursor.depth(),
                cursor.reach(bytes, u64::from(!cursor.is_inside())),
            );
            let (record, rest) = bytes.split_at(end);
            if record.is_empty() || cursor.pass(record).ended == 0 {
                break;
            }
            n += u64::from(self.is_oversized(begun + end as u64));
            bytes = rest;
        }
        n
    }

    /// Sheds the first `n` bytes of the queue, which begin with a record; `torn`: they are all there
    /// is yet of one that has no end.
    fn drop_front(&mut self, n: usize, torn: bool) {
        let mut cursor = Cursor::new(self.framing);
        for part in self.ring.front(n) {
            self.meter.shed.records += cursor.pass(part).ended;
            if torn {
                self.shedder.spill.push_on(part, cursor.depth());
            }
        }
        if !torn {
            self.shedder.spill.push(n, self.ring.front(n));
        }
        self.meter.shed.bytes += n as u64;
        self.ring.drop_front(n);
        self.timeline.drop_front(n);
        if self.ended && self.ring.queued() == 0 {
            self.meter.on_last_shed();
        }
    }

    /// Whether the queue begins inside a record, the rest of which has been given away already.
    fn head_is_torn(&self) -> bool {
        let claimed = if self.ring.in_hand() > 0 {
            self.shedder.claimed
        } else {
            self.leaving
        };
        self.segment_claimed || claimed.is_inside()
    }

    /// The sink thread asks, where freshness rules and its hand is empty: `room` says that the
    /// output has some. Claims whole records, as few as keeps the consumer busy.
    pub(super) fn claim_fresh(
        &mut self,
        now: Instant,
        hand: &mut Hand,
        room: bool,
        grant: Grant,
    ) -> Option<WriteStep> {
        if self.deliverable() == 0 {
            let until = earlier(self.trim_at, self.next_expiry());
            return Some(self.hold_sink(SinkWaits::Data, until));
        }
        // The rest of a record that is half gone can only go as well; until it is claimed nothing
        // can be shed behind it.
        let half_gone = self.leaving.is_inside();
        if !room && !half_gone {
            self.shedder.window.on_wait(now);
            let pipe = self.shedder.window.pipe();
            return Some(WriteStep::AwaitRoom(self.next_expiry(), pipe));
        }
        self.shedder.window.on_room(now);
        let window = self
            .shedder
            .window
            .bytes()
            .min(grant.bytes)
            .clamp(1, COPY_MOST);
        self.ring.copy(hand, window);
        let n = match self.framing {
            None => hand.bytes().len(),
            Some(_) if half_gone => self.whole_records(hand, 1),
            Some(_) => self.whole_records(hand, grant.records),
        };
        self.ring.claim_copied(hand, n);
        self.shedder.claimed = self.leave(grant).use_up(hand.bytes()).cursor;
        self.timeline.deliver(n, now);
        self.shedder.window.on_given(n, self.ring.queued() > 0);
        None
    }

    /// Bytes at the head of the queue that may be given to the consumer: none of a record that is
    /// not complete, unless it never will be or blocks everything.
    fn deliverable(&mut self) -> usize {
        let blocked = self.gate.is_closed() && self.shedder.policy.is_none();
        let piecemeal = self.is_last() || blocked && !self.shedder.discarding;
        let piece = self.ring.queued().min(COPY_MOST);
        match self.ring.cut(self.framing, 1) {
            _ if self.leaving.is_inside() => piece,
            0 if piecemeal => piece,
            n => n,
        }
    }

    /// Whether what is held is all that will ever be.
    fn is_last(&self) -> bool {
        self.ended && !self.reading
    }

    /// How much of the copy in the hand, which may be extended, is to be given: as many whole
    /// records as there are, up to `most`; else a part of one, if that must be.
    fn whole_records(&mut self, hand: &mut Hand, most: u64) -> usize {
        if let Some(n) = self.records_in(hand, most) {
            return n;
        }
        let first = self.deliverable();
        self.ring.copy(hand, first);
        self.records_in(hand, most).unwrap_or(first)
    }

    /// The length of up to `most` records in the hand, but of one at least, that have ended.
    fn records_in(&self, hand: &Hand, most: u64) -> Option<usize> {
        let bytes = &hand.bytes()[..self.leaving.reach(hand.bytes(), most.max(1))];
        let mut cursor = self.leaving;
        cursor.pass(bytes);
        let part = usize::try_from(cursor.depth()).unwrap_or(usize::MAX);
        (part < bytes.len()).then(|| bytes.len() - part)
    }
}
