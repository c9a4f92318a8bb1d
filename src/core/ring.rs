//! Where the bytes are: a bounded first-in-first-out store made of segments that change hands.
//!
//! A segment is owned by exactly one party at a time: the queue, the free list, the source thread
//! (inside an [`Intake`], while it reads) or the sink thread (inside a [`Hand`], while it writes).
//! Two threads therefore never touch the same memory, and the compiler knows it: there is no
//! `unsafe` here. Taking segments from the most recently used end of the free list keeps a lightly
//! used 1 GiB buffer inside the processor's cache and its untouched pages untouched; dropping the
//! free list gives the pages of a flood back to the system.
//!
//! Invariant: `used` counts every byte taken in and not yet released, wherever its segment is, and
//! the segments in existence hold at most [`SPARE_SEGMENTS`] segments' worth more than `used` ever
//! reached. When to read or write is the gate's business, not the ring's.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};

use memmap2::MmapMut;

use super::frame::{Cursor, Framing};

/// Bytes in a segment of a large buffer. 256 KiB is where the cost per byte of a copy through a
/// pipe stops falling.
pub const SEGMENT_MAX: usize = 256 * 1024;
/// Bytes in a segment of the smallest buffer: a page.
pub const SEGMENT_MIN: usize = 4096;
/// Segments that may be partly filled at one time: two being read into, one being written, and
/// the head of the queue.
pub const SPARE_SEGMENTS: usize = 4;
/// Reads of at most this many bytes are moved next to their predecessors, so that a producer of
/// single bytes does not fill the buffer with segments of one byte.
const COALESCE: usize = 4096;
/// Bytes of free segments that are kept for the next flood when the ring has run empty.
const KEEP: usize = 1024 * 1024;

/// A piece of memory with data in `start..end`.
#[derive(Debug)]
pub struct Segment {
    memory: MmapMut,
    start: usize,
    end: usize,
}

impl Segment {
    /// Maps a new segment; its pages are committed when they are first written to.
    ///
    /// # Errors
    /// When the system has no address space or memory left for it.
    pub fn map(size: usize) -> io::Result<Segment> {
        Ok(Segment {
            memory: MmapMut::map_anon(size)?,
            start: 0,
            end: 0,
        })
    }

    fn clear(mut self) -> Segment {
        (self.start, self.end) = (0, 0);
        self
    }

    fn spare(&self) -> usize {
        self.memory.len() - self.end
    }

    fn data(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    fn append(&mut self, bytes: &[u8]) {
        self.memory[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }
}

/// What the source thread reads into: the rest of the last segment, if that may be extended, and
/// a fresh one.
#[derive(Debug)]
pub struct Intake {
    /// Where in its record the input stands.
    pub cursor: Cursor,
    tail: Option<Segment>,
    fresh: Option<Segment>,
    room: usize,
}

impl Intake {
    /// An intake at the start of a stream.
    #[must_use]
    pub fn new(framing: Option<Framing>) -> Intake {
        Intake {
            cursor: Cursor::new(framing),
            tail: None,
            fresh: None,
            room: 0,
        }
    }

    /// Bytes that the permit in force allows to be read.
    #[must_use]
    pub fn room(&self) -> usize {
        self.room
    }

    /// Whether a segment must be [given](Intake::give) before there is room for the whole permit.
    #[must_use]
    pub fn wants_segment(&self) -> bool {
        self.fresh.is_none() && self.room > self.tail.as_ref().map_or(0, Segment::spare)
    }

    /// Hands over a segment mapped outside the lock.
    pub fn give(&mut self, segment: Segment) {
        self.fresh = Some(segment);
    }

    /// What was read there: the first `n` bytes of the slices.
    #[must_use]
    pub fn read(&self, n: usize) -> [&[u8]; 2] {
        let first = self.tail.as_ref().map_or(&[][..], |s| &s.memory[s.end..]);
        let first = &first[..first.len().min(n)];
        let second = self.fresh.as_ref().map_or(&[][..], |s| &s.memory[..]);
        [first, &second[..n - first.len()]]
    }

    /// Where to read to: at most `room` bytes, in the order they will be delivered.
    pub fn slices(&mut self) -> [IoSliceMut<'_>; 2] {
        let first = self
            .tail
            .as_mut()
            .map_or(&mut [][..], |s| &mut s.memory[s.end..]);
        let n = first.len().min(self.room);
        let second = self
            .fresh
            .as_mut()
            .map_or(&mut [][..], |s| &mut s.memory[..]);
        let m = second.len().min(self.room - n);
        [
            IoSliceMut::new(&mut first[..n]),
            IoSliceMut::new(&mut second[..m]),
        ]
    }
}

/// What the sink thread writes from: a claimed segment, or a copy of some records. What is in the
/// hand has left the queue.
#[derive(Debug, Default)]
pub struct Hand {
    claim: Option<Segment>,
    copy: Vec<u8>,
    /// How much of the copy has been written.
    at: usize,
}

impl Hand {
    /// The claimed bytes that are still to be written.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.claim {
            Some(segment) => segment.data(),
            None => &self.copy[self.at..],
        }
    }
}

/// The store itself. See the module's text.
#[derive(Debug)]
pub struct Ring {
    segment: usize,
    queue: VecDeque<Segment>,
    free: Vec<Segment>,
    used: usize,
    /// Those of them that are in the queue: neither in a hand nor lent with the last segment.
    queued: usize,
    /// Those of them that are in the hand.
    in_hand: usize,
    /// Bytes at the head of the queue in which no record is known to end.
    unended: usize,
}

impl Ring {
    /// A ring for `capacity` bytes; nothing is mapped yet.
    #[must_use]
    pub fn new(capacity: usize) -> Ring {
        let quarter = (capacity / 4).max(1);
        let segment = (1 << quarter.ilog2()).clamp(SEGMENT_MIN, SEGMENT_MAX);
        Ring {
            segment,
            queue: VecDeque::new(),
            free: Vec::new(),
            used: 0,
            queued: 0,
            in_hand: 0,
            unended: 0,
        }
    }

    /// Bytes taken in and not yet released, those in the sink's hand included.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes that nobody has claimed.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Bytes that the sink thread has claimed and not yet released.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.in_hand
    }

    /// Bytes in one segment.
    #[must_use]
    pub fn segment_size(&self) -> usize {
        self.segment
    }

    /// Equips `intake` for a read of at most `room` bytes (and at most two segments). Each call
    /// is followed by exactly one [`Ring::commit`], also when nothing was read.
    ///
    /// The last segment is lent for being filled up only if that is to `fill` it, and while
    /// another one waits before it: otherwise the sink thread might find nothing to write while
    /// the source thread reads.
    pub fn lend(&mut self, intake: &mut Intake, room: usize, fill: bool) {
        if fill && self.queue.len() >= 2 && self.queue.back().is_some_and(|s| s.spare() > 0) {
            intake.tail = self.queue.pop_back();
            self.queued -= intake.tail.as_ref().map_or(0, |s| s.data().len());
        }
        if intake.fresh.is_none() {
            intake.fresh = self.free.pop();
        }
        intake.room = room.min(self.segment);
    }

    /// Takes in the `n` bytes that were read into the intake, but for the first `gone` of them,
    /// which have been written or shed already.
    ///
    /// # Panics
    /// When `n` is more than what was lent, or bytes are gone out of the middle.
    pub fn commit(&mut self, intake: &mut Intake, n: usize, gone: usize) {
        assert!(n <= intake.room, "more was read than was lent");
        assert!(
            gone <= n && (gone == 0 || intake.tail.is_none()),
            "gone out of the middle"
        );
        intake.room = 0;
        self.used += n - gone;
        self.queued += n - gone + intake.tail.as_ref().map_or(0, |s| s.data().len());
        let mut rest = n;
        if let Some(mut tail) = intake.tail.take() {
            let filled = rest.min(tail.spare());
            tail.end += filled;
            rest -= filled;
            self.queue.push_back(tail);
        }
        if rest == gone {
            return; // the fresh segment stays with the intake for the next read
        }
        let Some(mut fresh) = intake.fresh.take() else {
            unreachable!("bytes were read into a segment that was not there")
        };
        (fresh.start, fresh.end) = (gone, rest);
        match self.queue.back_mut() {
            Some(tail) if rest <= COALESCE && tail.spare() >= rest - gone => {
                tail.append(fresh.data());
                intake.fresh = Some(fresh.clear());
            }
            _ => self.queue.push_back(fresh),
        }
    }

    /// Puts the oldest segment into an empty hand. False when none is to be had.
    pub fn claim(&mut self, hand: &mut Hand) -> bool {
        if hand.bytes().is_empty() {
            hand.claim = self.queue.pop_front();
            self.on_left(hand.bytes().len());
            self.in_hand += hand.bytes().len();
        }
        !hand.bytes().is_empty()
    }

    /// Puts a claimed segment back to the head of the queue.
    pub fn unclaim(&mut self, hand: &mut Hand) {
        if let Some(segment) = hand.claim.take() {
            self.in_hand -= segment.data().len();
            self.queued += segment.data().len();
            self.unended = 0;
            self.queue.push_front(segment);
        }
    }

    /// Releases the first `n` bytes in the hand: they were written.
    ///
    /// # Panics
    /// When the hand holds fewer.
    pub fn release(&mut self, hand: &mut Hand, n: usize) {
        assert!(n <= hand.bytes().len(), "more was written than was claimed");
        self.used -= n;
        self.in_hand -= n;
        let Some(mut segment) = hand.claim.take() else {
            hand.at += n;
            if hand.bytes().is_empty() && hand.copy.capacity() > SEGMENT_MAX {
                // That was a very long record.
                (hand.copy, hand.at) = (Vec::new(), 0);
            }
            return;
        };
        segment.start += n;
        if segment.data().is_empty() {
            self.free.push(segment.clear());
        } else {
            hand.claim = Some(segment);
        }
    }

    /// Copies the first `n` unclaimed bytes into an empty hand, or as many as there are.
    pub fn copy(&mut self, hand: &mut Hand, n: usize) {
        hand.copy.clear();
        hand.at = 0;
        for part in self.front(n) {
            hand.copy.extend_from_slice(part);
        }
    }

    /// Claims the first `n` bytes of those that were copied into the hand; forgets the others.
    pub fn claim_copied(&mut self, hand: &mut Hand, n: usize) {
        hand.copy.truncate(n);
        self.in_hand += hand.copy.len();
        self.pass_over(hand.copy.len());
    }

    /// The first `n` unclaimed bytes, or as many as there are, piece by piece.
    pub fn front(&self, mut n: usize) -> impl Iterator<Item = &[u8]> {
        self.queue.iter().map_while(move |segment| {
            let part = &segment.data()[..segment.data().len().min(n)];
            n -= part.len();
            (!part.is_empty()).then_some(part)
        })
    }

    /// The last `n` unclaimed bytes, piece by piece.
    pub fn back(&self, n: usize) -> impl Iterator<Item = &[u8]> {
        let mut skip = self.queued - n.min(self.queued);
        self.queue.iter().map(move |segment| {
            let from = segment.data().len().min(skip);
            skip -= from;
            &segment.data()[from..]
        })
    }

    /// Drops the first `n` unclaimed bytes: they are shed.
    pub fn drop_front(&mut self, n: usize) {
        self.pass_over(n);
        self.used -= n;
    }

    /// Drops the last `n` unclaimed bytes: they are shed.
    pub fn drop_back(&mut self, n: usize) {
        let mut left = n;
        while left > 0 {
            let Some(mut segment) = self.queue.pop_back() else {
                unreachable!("more than is queued")
            };
            let part = segment.data().len().min(left);
            segment.end -= part;
            left -= part;
            if segment.data().is_empty() {
                self.free.push(segment.clear());
            } else {
                self.queue.push_back(segment);
            }
        }
        self.used -= n;
        self.queued -= n;
        self.unended = self.unended.min(self.queued);
    }

    /// The length of the shortest run of whole records at the head that has `need` bytes or more;
    /// if there is none, of the longest run; 0 if no record ends here.
    #[must_use]
    pub fn cut(&mut self, framing: Option<Framing>, need: usize) -> usize {
        let need = need.min(self.queued);
        match framing {
            None => need,
            Some(Framing::Fixed(size)) => {
                let size = usize::try_from(size.get()).unwrap_or(usize::MAX);
                let up = need.div_ceil(size).saturating_mul(size);
                if up <= self.queued {
                    up
                } else {
                    self.queued / size * size
                }
            }
            Some(Framing::Terminator(end)) => {
                let from = need.max(1) - 1;
                let up = self.find(end, from.max(self.unended));
                if from <= self.unended {
                    // Not to be searched again.
                    self.unended = up.map_or(self.queued, |up| up - 1);
                }
                up.unwrap_or_else(|| self.find_last(end, need))
            }
        }
    }

    /// The length up to and including the first `end` at or after `from`.
    fn find(&self, end: u8, from: usize) -> Option<usize> {
        let mut before = 0;
        for segment in &self.queue {
            let data = segment.data();
            let skip = from.saturating_sub(before).min(data.len());
            if let Some(at) = memchr::memchr(end, &data[skip..]) {
                return Some(before + skip + at + 1);
            }
            before += data.len();
        }
        None
    }

    /// The length up to and including the last `end` within the first `n` bytes; 0 if there is
    /// none.
    #[must_use]
    pub fn find_last(&self, end: u8, n: usize) -> usize {
        if n <= self.unended {
            return 0;
        }
        let mut before = self.queued;
        for segment in self.queue.iter().rev() {
            let data = segment.data();
            before -= data.len();
            let data = &data[..data.len().min(n.saturating_sub(before))];
            if let Some(at) = memchr::memrchr(end, data) {
                return before + at + 1;
            }
        }
        0
    }

    /// Takes the first `n` unclaimed bytes off the queue.
    fn pass_over(&mut self, n: usize) {
        let mut left = n;
        while left > 0 {
            let Some(segment) = self.queue.front_mut() else {
                unreachable!("more than is queued")
            };
            let part = segment.data().len().min(left);
            segment.start += part;
            left -= part;
            if segment.data().is_empty()
                && let Some(segment) = self.queue.pop_front()
            {
                self.free.push(segment.clear());
            }
        }
        self.on_left(n);
    }

    /// The first `n` bytes have left the queue.
    fn on_left(&mut self, n: usize) {
        self.queued -= n;
        self.unended = self.unended.saturating_sub(n);
    }

    /// Whether the free list holds more than is worth keeping.
    #[must_use]
    pub fn is_bloated(&self) -> bool {
        self.free.len() * self.segment > KEEP
    }

    /// Takes what is not worth keeping off the free list, for the caller to drop outside the lock.
    pub fn trim(&mut self) -> Vec<Segment> {
        let keep = (KEEP / self.segment).min(self.free.len());
        self.free.split_off(keep)
    }
}
