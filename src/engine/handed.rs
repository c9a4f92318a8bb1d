//! What is handed out to those who act: reads, writes, transfers and programs to be made, each with the obligation to
//! give it back. What there is to one is large and stays where it is, in a box that is used again.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::actor::Obligation;
use super::limiter::Allowance;
use super::on_disk::Load;
use super::pack::Pack;
use super::record::Cursor;
use super::scan::{Run, Scan};
use super::segment::{Part, ReadBuffer, Segment};
use super::sorter::Sorting;
use super::task::Task;
use super::ticket::{Origin, Ticket, Untried};

/// Pieces written at a time, at most.
pub(super) const PARTS_MOST: usize = 16;

/// Something to be done. What there is to it is large: it stays where it is while this goes from hand to hand.
#[derive(Debug)]
pub(crate) struct Handed<T> {
    pub(super) state: Box<T>,
    pub(super) obligation: Obligation,
}

impl<T> Deref for Handed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state
    }
}

impl<T> DerefMut for Handed<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.state
    }
}

/// A read to be made.
pub(crate) type Read = Handed<ReadState>;

/// What there is to a read.
#[derive(Debug, Default)]
pub(crate) struct ReadState {
    /// Where to.
    pub buffer: ReadBuffer,
    /// How much of it may be written at once.
    pub pass: Option<Pass>,
    /// What is to be moved together in the log, on the way.
    pub(super) pack: Option<Pack>,
    /// Memory that nobody needs any more, given back to the system on the way.
    pub(super) unneeded: Vec<Arc<Segment>>,
    /// Finds out which lane each record belongs to, where that is asked for; and whether it is for this read.
    pub(super) sorting: Option<Box<Sorting>>,
    pub(super) sorts: bool,
    /// Where in its record the input stands.
    pub cursor: Cursor,
    /// What comes is the newest, and too much.
    pub(super) discard: bool,
    /// What is read is to be put on the disk.
    pub to_disk: bool,
    /// Where others fill the disk they are waited for.
    pub awaits_others: bool,
    /// It was, and begins there.
    pub stored: Option<u64>,
    /// What was read, into the one slice of the buffer and into the other, and what of the second was passed on
    /// already.
    pub(super) scans: [Scan; 2],
    pub(super) passed: Run,
}

impl ReadState {
    /// The first `n` bytes of the buffer were read, and nothing is passed on yet.
    pub(crate) fn scan(&mut self, n: usize) {
        let [first, second] = self.buffer.read(n);
        match &mut self.sorting {
            // Bytes are looked at once.
            Some(sorting) if self.sorts => {
                self.scans = sorting.sort(self.cursor, [first, second]);
            }
            _ => {
                self.scans[0] = Scan::over(self.cursor, first);
                self.scans[1] = Scan::over(self.scans[0].cursor, second);
            }
        }
        self.passed = Run::at(self.cursor);
    }

    /// Whether all that was read was passed on, so that nothing of it is left for the log.
    #[inline]
    pub(super) fn has_gone(&self) -> bool {
        self.passed.bytes == self.scans[0].bytes + self.scans[1].bytes && self.pack.is_none()
    }

    /// The first `n` of them were passed on by this permit. With one there is nothing held, and so no tail before the fresh
    /// segment.
    pub(crate) fn pass(&mut self, permit: Permit, n: usize) {
        let all = Scan::sum(self.scans);
        self.passed = match n {
            // They were looked at already.
            n if n == all.bytes && permit.cursor == self.cursor => all,
            n => permit.use_up(&self.buffer.read(all.bytes)[1][..n]),
        };
    }
}

/// Bytes to be moved from the input to the output.
pub(crate) type Transfer = Handed<TransferState>;

/// What there is to that.
#[derive(Debug, Default)]
pub(crate) struct TransferState {
    /// How many.
    pub permit: Permit,
    /// Who is to get them beside the consumer, if anybody is.
    pub fan: Option<Fan>,
}

/// Bytes that are to go to several outputs at once.
#[derive(Debug)]
pub(crate) struct Fan {
    /// What is needed to read them where not all have room.
    pub read: Box<ReadState>,
    /// The outputs beside the consumer to which they can go.
    pub takers: Vec<Taker>,
    /// Somebody else is owed all of them: they are to be read in any case.
    pub is_owed: bool,
}

/// An output beside the consumer to which bytes can go around the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taker {
    /// Its number.
    pub i: usize,
    /// Which of those it is who came to it: one who has come since gets nothing of this.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "tee(2) is Linux's")
    )]
    pub visit: u64,
    /// How many of the bytes it has had.
    pub had: usize,
}

impl Fan {
    /// The first `n` bytes that were read.
    #[must_use]
    pub(super) fn run_of(&self, n: usize) -> Run {
        let [first, second] = self.read.buffer.read(n);
        let mut run = Run::over(self.read.cursor, first);
        run.add(second);
        run
    }
}

/// A write to be made: a claim on what is next for an output.
pub(crate) type Write = Handed<WriteState>;

/// What there is to a write.
#[derive(Debug, Default)]
pub(crate) struct WriteState {
    /// The bytes.
    pub parts: Vec<Part>,
    /// How many of them.
    pub permit: Permit,
    /// What lies in the output's pipe then matters.
    pub looks: bool,
    /// Bytes of that, where it can be told.
    pub unread: Option<u64>,
    /// Where the first of them lies in a stream that outlives this run.
    pub place: Option<u64>,
    /// The same where several take from that stream side by side.
    pub origin: Option<Origin>,
    /// What it is a piece of, where it is one of a batch.
    pub piece: Option<Piece>,
    /// What is shed begins with a record, and not with the rest of one of which a part was written last.
    pub begins_record: bool,
}

/// What a piece of a batch belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The number of the batch.
    pub batch: u64,
    /// Bytes in all of it.
    pub bytes: u64,
}

/// A program to be run.
#[derive(Debug)]
pub(crate) struct RunOrder {
    /// What it is to know.
    pub ticket: Ticket,
    /// Those that come before it and are other jobs', in the order of the stream.
    pub ahead: Vec<Untried>,
    pub(super) obligation: Obligation,
}

/// Something to be done with the program of a worker.
#[derive(Debug)]
pub(crate) struct Order {
    /// What.
    pub(super) task: Task,
    pub(super) obligation: Obligation,
}

impl WriteState {
    /// Does this with as much of the bytes as may be written.
    pub(crate) fn with_slices<T>(&self, what: impl FnOnce(&[&[u8]]) -> T) -> T {
        let mut few = [&[][..]; PARTS_MOST];
        if self.parts.len() > few.len() {
            return what(&self.slices().collect::<Vec<_>>());
        }
        let mut n = 0;
        for bytes in self.slices() {
            few[n] = bytes;
            n += 1;
        }
        what(&few[..n])
    }

    /// As much of the bytes as may be written.
    pub(crate) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut permit = Some(self.permit);
        self.parts.iter().map_while(move |part| {
            let left = permit?;
            let bytes = left.within(part.bytes());
            let is_all = bytes.len() == part.bytes().len();
            permit = is_all.then(|| left.less(bytes));
            (!bytes.is_empty()).then_some(bytes)
        })
    }

    /// The whole records at their head that so many bytes of room hold; if the first is longer than that, or than what was
    /// claimed, as much of it as there is.
    pub(crate) fn whole_within(&self, room: usize) -> Vec<&[u8]> {
        let mut run = Run::at(self.permit.cursor);
        let mut whole: Vec<&[u8]> = Vec::new();
        for bytes in self.slices() {
            let bytes = &bytes[..bytes.len().min(room - run.bytes)];
            if bytes.is_empty() {
                break;
            }
            run.add(bytes);
            whole.push(bytes);
        }
        // What has begun behind the last whole one waits, if there is one: be it that there is no room for the rest, or
        // that the claim ends there.
        let torn = usize::try_from(run.cursor.depth()).unwrap_or(usize::MAX);
        if torn < run.bytes {
            shorten(&mut whole, torn);
        }
        whole
    }

    /// The first `n` bytes were written.
    #[must_use]
    pub(crate) fn run(&self, n: usize) -> Run {
        let mut run = Run::at(self.permit.cursor);
        for part in &self.parts {
            let bytes = part.bytes();
            run.add(&bytes[..bytes.len().min(n - run.bytes)]);
        }
        run
    }
}

/// Takes the last `n` bytes away.
fn shorten(slices: &mut Vec<&[u8]>, mut n: usize) {
    while let Some(last) = slices.pop() {
        if n < last.len() {
            slices.push(&last[..last.len() - n]);
            return;
        }
        n -= last.len();
    }
}

/// A read from the disk to be made.
#[derive(Debug)]
pub(crate) struct Fetch {
    /// What is to be read, and into what.
    pub load: Box<Load>,
    pub(super) obligation: Obligation,
}

/// How much may leave, and where in its record the output stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Permit {
    /// What the caps allow.
    pub allowance: Allowance,
    /// Where the output stands.
    pub cursor: Cursor,
}

/// What of a read may be written at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    pub permit: Permit,
    /// Freshness rules: only whole records may, and only where the consumer has room for what is not there yet.
    pub is_fresh: bool,
}

impl Pass {
    /// As much of `bytes` as may leave.
    #[must_use]
    pub(crate) fn within<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let bytes = self.permit.within(bytes);
        let is_torn = self.is_fresh && self.permit.use_up(bytes).cursor.is_inside();
        if is_torn { &[] } else { bytes }
    }
}

impl Permit {
    /// As much of `bytes` as may leave.
    #[must_use]
    pub(crate) fn within<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let bytes = &bytes[..bytes.len().min(self.allowance.bytes)];
        &bytes[..self.cursor.reach(bytes, self.allowance.records)]
    }

    /// These were written.
    #[must_use]
    pub(crate) fn use_up(self, bytes: &[u8]) -> Run {
        Run::over(self.cursor, bytes)
    }

    /// What is left of it behind these. Where records are not limited they are not counted for it, and it stands where
    /// it stood: that is of no consequence then.
    fn less(self, bytes: &[u8]) -> Permit {
        let left = self.allowance.bytes - bytes.len();
        let (records, cursor) = match self.allowance.records {
            u64::MAX => (u64::MAX, self.cursor),
            n => {
                let run = self.use_up(bytes);
                (n.saturating_sub(run.tally.begun), run.cursor)
            }
        };
        let allowance = Allowance {
            bytes: left,
            records,
        };
        Permit { allowance, cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::Framing;
    use crate::engine::segment::SEGMENT_MIN;

    /// A claim on these pieces of lines, so far inside of one.
    fn claim(pieces: &[&str], before: &str) -> WriteState {
        let mut cursor = Cursor::new(Some(Framing::Terminator(b'\n')));
        let _ = cursor.pass(before.as_bytes());
        let part = |text: &&str| {
            let mut segment = Segment::map(SEGMENT_MIN).expect("memory");
            super::super::segment::writable(&mut segment, 0)[..text.len()]
                .copy_from_slice(text.as_bytes());
            let range = 0..text.len();
            Part { segment, range }
        };
        let allowance = Allowance::ALL;
        WriteState {
            parts: pieces.iter().map(part).collect(),
            permit: Permit { allowance, cursor },
            ..WriteState::default()
        }
    }

    #[test]
    fn what_has_begun_behind_whole_records_waits_whether_the_room_or_the_claim_ends_there() {
        for (pieces, before, room, whole) in [
            (&["one\ntwo\nth"][..], "", 100, "one\ntwo\n"),
            (&["one\nt", "wo\nth", "ree"], "", 100, "one\ntwo\n"),
            (&["one\nt", "wo\nth", "ree\n"], "", 13, "one\ntwo\n"),
            (&["one\nt", "wo\nth", "ree\n"], "", 14, "one\ntwo\nthree\n"),
            (&["one\n", "two\n"], "", 4, "one\n"),
            // One that is longer begins all the same, and goes on.
            (&["thr", "ee"], "", 100, "three"),
            (&["thr", "ee\nfour"], "", 4, "thre"),
            (&["ee\nfour"], "thr", 100, "ee\n"),
            (&["eeee"], "thr", 2, "ee"),
        ] {
            let claim = claim(pieces, before);
            let got = claim.whole_within(room).concat();
            assert_eq!(
                String::from_utf8(got).as_deref(),
                Ok(whole),
                "{pieces:?} {room}"
            );
        }
    }
}
