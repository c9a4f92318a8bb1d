//! The log against a plain vector of bytes: whatever is read, extended, owed, given up, taken back and held by
//! a slow reader, in whatever order, the log answers as a naive search of the vector would.

mod steps;

use std::num::NonZeroU64;

use proptest::prelude::*;

use super::*;
use crate::engine::pack::{FILLED, Pack};
use steps::{Share, Step, part, share, step};

/// One byte that came in, as the vector keeps it.
#[derive(Debug, Clone, Copy)]
struct Byte {
    value: u8,
    /// How far into its record it is, and whether it is the last one of it.
    depth: u64,
    ends: bool,
    /// Which queues are owed it.
    owed: [bool; 2],
}

/// The log and the vector.
struct Both {
    framing: Option<Framing>,
    log: Log,
    bytes: Vec<Byte>,
    /// The read that is under way, and whether all that comes of it must be kept.
    read: Option<(ReadBuffer, bool)>,
    spare: ReadBuffer,
    input: Cursor,
    /// What comes next, made up.
    next: u64,
    held: Vec<(Vec<u8>, Vec<Part>)>,
    pack: Option<Pack>,
}

impl Both {
    fn new(framing: Option<Framing>) -> Both {
        Both {
            framing,
            log: Log::new(4 * SEGMENT_MIN, framing),
            bytes: Vec::new(),
            read: None,
            spare: ReadBuffer::default(),
            input: Cursor::new(framing),
            next: 1,
            held: Vec::new(),
            pack: None,
        }
    }

    fn step(&mut self, step: Step) {
        match (step, self.read.is_some()) {
            (Step::Begin { room, extend }, false) => self.begin(room, extend),
            (
                Step::End {
                    fill,
                    every,
                    kept,
                    owed,
                },
                true,
            ) => self.end(fill, every, kept, owed),
            (Step::Forget { queue, at, most }, _) => self.forget(queue, at, most),
            (Step::TakeBack, false) => self.take_back(),
            (Step::Hold { queue, most }, _) => self.hold(queue, most),
            (Step::LetGo, _) => self.let_go(),
            (Step::Trim, _) => drop(self.log.trim()),
            (Step::BeginPack, _) if self.pack.is_none() => {
                self.pack = self.log.begin_pack(2, FILLED)
            }
            (Step::EndPack { copied }, _) => self.end_pack(copied),
            _ => {}
        }
    }

    fn end_pack(&mut self, copied: bool) {
        let Some(mut pack) = self.pack.take() else {
            return;
        };
        if pack.wants_memory() {
            pack.give(Segment::map(pack.size).expect("memory"));
        }
        if copied {
            pack.copy();
        }
        self.log.end_pack(pack);
    }

    fn begin(&mut self, room: usize, extend: bool) {
        let mut buffer = std::mem::take(&mut self.spare);
        let extend = extend.then_some(self.input);
        self.log.lend(&mut buffer, room, extend);
        if buffer.wants_segment() {
            buffer.give(Segment::map(self.log.segment_size()).expect("memory"));
        }
        assert_eq!(
            buffer.slices().iter().map(|s| s.len()).sum::<usize>(),
            buffer.most()
        );
        let is_lent = buffer.tail.is_some();
        self.read = Some((buffer, is_lent));
    }

    fn end(&mut self, fill: usize, every: u8, kept: Share, owed: [Option<Share>; 2]) {
        let Some((mut buffer, keeps_all)) = self.read.take() else {
            return;
        };
        let came = self.come(buffer.most() * fill / 256, every);
        let mut left = came.iter();
        for slice in &mut buffer.slices() {
            for (to, byte) in slice.iter_mut().zip(&mut left) {
                *to = byte.value;
            }
        }
        let [first, second] = buffer.read(came.len()).map(<[u8]>::to_vec);
        let first = Scan::over(self.input, &first);
        let range = if keeps_all {
            0..second.len()
        } else {
            part(kept, 0..second.len())
        };
        let mut before = first.cursor;
        before.pass(&second[..range.start]);
        let scan = Scan::over(before, &second[range.clone()]);
        let entry = Entry {
            range: range.clone(),
            depth: before.depth(),
            end_depth: scan.cursor.depth(),
            ends: scan.ends,
            last_end: scan.last_end,
        };
        self.input
            .pass(&came.iter().map(|byte| byte.value).collect::<Vec<_>>());
        let places = self.log.append(&mut buffer, first, entry);
        assert_eq!(places.start as usize, self.bytes.len());
        self.bytes.extend(&came[..first.bytes]);
        self.bytes.extend(&came[first.bytes..][range]);
        assert_eq!(places.end as usize, self.bytes.len());
        self.log.pin(&places);
        for (queue, owed) in owed.into_iter().enumerate() {
            let Some(share) = owed else { continue };
            let run = part(share, places.start as usize..places.end as usize);
            self.log.pin(&(run.start as u64..run.end as u64));
            self.bytes[run]
                .iter_mut()
                .for_each(|byte| byte.owed[queue] = true);
        }
        self.log.unpin(&places);
        self.spare = buffer;
    }

    /// Bytes that come in.
    fn come(&mut self, n: usize, every: u8) -> Vec<Byte> {
        let mut cursor = self.input;
        let byte = |_| {
            self.next = self
                .next
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let roll = (self.next >> 33) as u8;
            let value = if roll.is_multiple_of(every) {
                b'\n'
            } else {
                roll | 0x80
            };
            let depth = cursor.depth();
            let ends = cursor.pass(&[value]).ended > 0;
            Byte {
                value,
                depth,
                ends,
                owed: [false; 2],
            }
        };
        (0..n).map(byte).collect()
    }

    /// The places in a row that a queue is owed, from the one on that is so many 256ths behind the first.
    fn run(&self, queue: usize, at: usize, most: usize) -> Option<Range<usize>> {
        let is_owed = |byte: &Byte| byte.owed[queue];
        let owed: Vec<usize> = (0..self.bytes.len())
            .filter(|i| is_owed(&self.bytes[*i]))
            .collect();
        let from = *owed.get(owed.len() * at / 256)?;
        let n = self.bytes[from..]
            .iter()
            .take(most)
            .take_while(|byte| is_owed(byte))
            .count();
        Some(from..from + n)
    }

    fn unpin(&mut self, queue: usize, run: Range<usize>) {
        self.log.unpin(&(run.start as u64..run.end as u64));
        self.bytes[run]
            .iter_mut()
            .for_each(|byte| byte.owed[queue] = false);
    }

    fn forget(&mut self, queue: usize, at: usize, most: usize) {
        if let Some(run) = self.run(queue, at, most) {
            self.unpin(queue, run);
        }
    }

    fn take_back(&mut self) {
        // Back to where the last record that is not complete begins, if all of it came in.
        let open = self
            .bytes
            .iter()
            .rposition(|byte| byte.ends || byte.depth == 0);
        let Some(to) = open.filter(|i| !self.bytes[*i].ends) else {
            return;
        };
        let tail = self.bytes[to..].iter().zip(0..);
        if self.framing.is_none() || !tail.into_iter().all(|(byte, depth)| byte.depth == depth) {
            return;
        }
        for queue in 0..2 {
            while let Some(at) = (to..self.bytes.len()).find(|i| self.bytes[*i].owed[queue]) {
                let n = self.bytes[at..]
                    .iter()
                    .take_while(|byte| byte.owed[queue])
                    .count();
                self.unpin(queue, at..at + n);
            }
        }
        self.log.truncate(to as u64);
        self.bytes.truncate(to);
    }

    fn hold(&mut self, queue: usize, most: usize) {
        let Some(run) = self.run(queue, 0, most) else {
            return;
        };
        let run = run.start..run.end.min(self.log.readable() as usize).max(run.start);
        let bytes = self.values(run.clone());
        let parts = self.log.parts(run.start as u64..run.end as u64).collect();
        self.held.push((bytes, parts));
    }

    fn let_go(&mut self) {
        for (bytes, parts) in self.held.drain(..) {
            let read: Vec<u8> = parts
                .iter()
                .flat_map(|part| part.bytes().to_vec())
                .collect();
            assert_eq!(read, bytes, "somebody wrote to what was being read");
        }
    }

    fn values(&self, run: Range<usize>) -> Vec<u8> {
        self.bytes[run].iter().map(|byte| byte.value).collect()
    }

    /// Places in a row that somebody is owed and that can be looked at.
    fn runs(&self) -> Vec<Range<usize>> {
        let readable = self.log.readable() as usize;
        let mut runs: Vec<Range<usize>> = Vec::new();
        for (i, byte) in self.bytes[..readable].iter().enumerate() {
            match runs.last_mut() {
                _ if byte.owed == [false; 2] => {}
                Some(run) if run.end == i => run.end = i + 1,
                _ => runs.push(i..i + 1),
            }
        }
        runs
    }

    /// The log says what the vector says.
    fn check(&self, samples: [Share; 3]) {
        assert_eq!(self.log.end(), self.bytes.len() as u64);
        let owed = self.bytes.iter().flat_map(|byte| byte.owed);
        assert_eq!(self.log.pinned(), owed.filter(|owed| *owed).count() as u64);
        let lent = self.read.as_ref().is_some_and(|read| read.1);
        let readable = self.log.readable();
        assert_eq!(
            readable,
            if lent {
                self.log.last_extent()
            } else {
                self.log.end()
            }
        );
        let mut extents = self.log.extents.iter();
        assert!(
            extents.all(|extent| extent.pinned > 0 || !extent.is_here()),
            "memory is held that nobody is owed"
        );
        for run in self.runs() {
            assert_eq!(
                self.read_out(&run),
                self.values(run.clone()),
                "the bytes of {run:?}"
            );
            for sample in samples {
                self.check_search(part(sample, run.clone()));
            }
            self.check_search(run);
        }
    }

    fn read_out(&self, run: &Range<usize>) -> Vec<u8> {
        let parts = self.log.parts(run.start as u64..run.end as u64);
        parts.flat_map(|part| part.bytes().to_vec()).collect()
    }

    /// Within a run that somebody is owed.
    fn check_search(&self, range: Range<usize>) {
        let (from, to) = (range.start as u64, range.end as u64);
        let ends = |i: &usize| self.bytes[*i].ends;
        let next = range.clone().find(ends).map(|i| i as u64 + 1);
        let last = range.clone().rev().find(ends).map(|i| i as u64 + 1);
        let records = range.clone().filter(ends).count() as u64;
        assert_eq!(
            self.log.next_boundary(from, to),
            next,
            "the next in {range:?}"
        );
        assert_eq!(
            self.log.last_boundary(from, to),
            last,
            "the last in {range:?}"
        );
        assert_eq!(
            self.log.records(&(from..to)),
            records,
            "records in {range:?}"
        );
        if let Some(i) = range.clone().last() {
            let is_boundary = self.framing.is_none() || self.bytes[i].ends;
            assert_eq!(self.log.is_boundary(to), is_boundary, "at {to}");
        }
    }
}

fn framing() -> impl Strategy<Value = Option<Framing>> {
    let fixed = |n| NonZeroU64::new(n).map(Framing::Fixed);
    prop::sample::select(vec![
        None,
        Some(Framing::Terminator(b'\n')),
        fixed(1),
        fixed(7),
        fixed(100),
        fixed(6000),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn it_is_what_a_vector_of_bytes_would_be(
        framing in framing(),
        steps in prop::collection::vec((step(), share(), share(), share()), 1..60),
    ) {
        let mut both = Both::new(framing);
        for (step, a, b, c) in steps {
            both.step(step);
            both.check([a, b, c]);
        }
        both.let_go();
    }
}
