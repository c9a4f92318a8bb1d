//! Extents on the disk alone that are made one, so that memory is not that of what lies there; and one that is made two, so
//! that the first of them is given back without the other.
//!
//! Invariant: what one knows that was two is what the two of them knew, but for where they met and for ends of records in
//! between; so who joins them takes care that nobody's places begin or end there.

use std::ops::Range;

use super::Log;
use crate::engine::extent::Extent;

impl Log {
    /// The places of the last two extents that end at this place at the latest, if they lie side by side and on the disk
    /// alone.
    pub(crate) fn joinable(&self, to: u64) -> Option<Range<u64>> {
        let i = self.extents.partition_point(|extent| extent.end() <= to);
        let one = self.extents.get(i.checked_sub(2)?)?;
        let two = self.extents.get(i - 1)?;
        let is_away = |it: &Extent| it.stored.is_some() && !it.is_here() && !it.is_loading;
        let behind = one.stored.map(|from| from + one.length as u64);
        let is_next = one.end() == two.at && behind == two.stored;
        // What begins behind a gap has a depth of its own.
        let goes_on = one.end_depth(self.framing) == two.depth;
        (is_away(one) && is_away(two) && is_next && goes_on).then(|| one.at..two.end())
    }

    /// Two extents that are [joinable](Log::joinable) are one from here on.
    pub(crate) fn join(&mut self, places: &Range<u64>) {
        let i = self.index(places.start);
        let Some(two) = self.extents.remove(i + 1) else {
            unreachable!("there are two")
        };
        let one = &mut self.extents[i];
        if one.ends == 0 {
            one.first_end = two.first_end.map(|end| one.length + end);
        }
        one.grow(two.length, two.ends, two.last_end);
        one.pinned += two.pinned;
        one.is_frozen |= two.is_frozen;
    }

    /// What has begun of a record behind this place, in the extent on the disk in which the one before it ends.
    pub(crate) fn begun_behind(&self, at: u64) -> Option<Range<u64>> {
        let extent = self.extents.get(self.index(at.saturating_sub(1)))?;
        let is_last_end = extent.ends > 0 && extent.at + extent.last_end as u64 == at;
        let is_whole = extent.stored.is_some() && !extent.is_loading && extent.pieces.is_none();
        let begun = at..extent.end();
        (is_whole && is_last_end && !begun.is_empty()).then_some(begun)
    }

    /// It is an extent of its own from here on, which is on the disk alone, and is pinned so often.
    pub(crate) fn part(&mut self, begun: &Range<u64>, pinned: usize) {
        let i = self.index(begun.start - 1);
        let one = &mut self.extents[i];
        let first = (begun.start - one.at) as usize;
        let two = Extent {
            segment: None,
            stored: one.stored.map(|from| from + first as u64),
            is_loading: false,
            // Somebody may have had it up to its end.
            is_frozen: true,
            at: begun.start,
            start: 0,
            length: one.length - first,
            depth: 0,
            before: one.before + one.ends,
            ends: 0,
            last_end: 0,
            first_end: None,
            pinned,
            pieces: None,
        };
        one.length = first;
        one.pinned -= pinned;
        self.extents.insert(i + 1, two);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::log::Entry;
    use crate::engine::record::{Cursor, Framing};
    use crate::engine::scan::Scan;
    use crate::engine::segment::{ReadBuffer, Segment};

    const SIZE: usize = 64 << 10;

    #[derive(Debug, Clone)]
    enum Step {
        /// So much comes, with an end of a record every so many bytes: behind a gap in the records, or one on the disk;
        /// an extent may grow up to so many bytes.
        Store {
            length: usize,
            every: usize,
            gap: bool,
            hole: bool,
            most: usize,
        },
        /// What can be one is, up to this share of the places.
        Join(usize),
        /// So much is read back of the extent at this share of all.
        Load { at: usize, length: usize },
        /// What was read back leaves memory.
        Evict,
        /// What has begun behind the last end in the extent at this share of all is one of its own.
        Part(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let one_in = |n: u32| prop::bool::weighted(1.0 / f64::from(n));
        let store = (
            1usize..60,
            1usize..30,
            one_in(8),
            one_in(8),
            prop_oneof![Just(1), Just(100)],
        );
        prop_oneof![
            6 => store.prop_map(|(length, every, gap, hole, most)| {
                Step::Store { length, every, gap, hole, most }
            }),
            3 => (0usize..=256).prop_map(Step::Join),
            2 => (0usize..256, 1usize..200).prop_map(|(at, length)| Step::Load { at, length }),
            1 => Just(Step::Evict),
            2 => (0usize..256).prop_map(Step::Part),
        ]
    }

    /// The log, and all that came: each byte, and whether it ends a record.
    struct Both {
        framing: Option<Framing>,
        log: Log,
        bytes: Vec<(u8, bool)>,
        offset: u64,
        depth: u64,
        /// Nothing was read back: of each extent the first end is known.
        is_plain: bool,
    }

    impl Both {
        fn step(&mut self, step: Step) {
            match step {
                Step::Store {
                    length,
                    every,
                    gap,
                    hole,
                    most,
                } => {
                    self.offset += u64::from(hole);
                    self.depth = if gap { 0 } else { self.depth };
                    self.store(length, every, most);
                }
                Step::Join(share) => {
                    let to = self.bytes.len() * share / 256;
                    while let Some(places) = self.log.joinable(to as u64) {
                        self.log.join(&places);
                        assert!(places.end as usize <= to, "beyond that");
                    }
                }
                Step::Load { at, length } => self.load(at, length),
                Step::Part(at) => {
                    let extents = &self.log.extents;
                    let extent = extents.get(extents.len() * at / 256);
                    let last = extent.map(|it| it.at + it.last_end as u64);
                    if let Some(begun) = last.and_then(|last| self.log.begun_behind(last)) {
                        self.log.part(&begun, (begun.end - begun.start) as usize);
                    }
                }
                Step::Evict => {
                    let ends = self.log.evict(&[]);
                    let is_end = |end: &u64| self.log.extents.iter().any(|it| it.end() == *end);
                    assert!(ends.iter().all(is_end), "where they end");
                }
            }
        }

        fn store(&mut self, length: usize, every: usize, most: usize) {
            let from = self.bytes.len();
            let byte = |n| {
                if n % every == 0 {
                    b'\n'
                } else {
                    b'a' + (n % 26) as u8
                }
            };
            let text: Vec<u8> = (from + 1..=from + length).map(byte).collect();
            let mut cursor = Cursor::at(self.framing, self.depth);
            let scan = Scan::over(cursor, &text);
            let mut buffer = ReadBuffer::default();
            self.log.lend_for_disk(&mut buffer, length);
            buffer.give(Segment::map(SIZE).expect("memory"));
            buffer.slices()[1][..length].copy_from_slice(&text);
            let entry = Entry {
                range: 0..length,
                depth: self.depth,
                end_depth: scan.cursor.depth(),
                ends: scan.ends,
                last_end: scan.last_end,
            };
            let places = self
                .log
                .append_stored(&mut buffer, entry, self.offset, most);
            self.log.pin(&places);
            (self.offset, self.depth) = (self.offset + length as u64, scan.cursor.depth());
            let ends = |byte: u8| (byte, cursor.pass(&[byte]).ended > 0);
            self.bytes.extend(text.into_iter().map(ends));
        }

        fn load(&mut self, at: usize, length: usize) {
            let extents = &self.log.extents;
            let Some(extent) = extents.get(extents.len() * at / 256) else {
                return;
            };
            let (place, length) = (extent.at, extent.length.min(length));
            if self.log.away(place) != Some(false) {
                return;
            }
            let mut load = self.log.begin_load(place);
            load.give(Segment::map(SIZE).expect("memory"));
            let from = place as usize;
            let bytes = self.bytes[from..from + length].iter();
            for (to, (byte, _)) in load.bytes().iter_mut().zip(bytes) {
                *to = *byte;
            }
            load.read(0..length);
            assert_eq!(self.log.end_load(load, length), None);
            self.is_plain = false;
        }

        /// Where extents meet all is as a search of the bytes has it.
        fn check(&self) {
            let mut edges: Vec<usize> = self.log.extents.iter().map(|it| it.at as usize).collect();
            edges.push(self.bytes.len());
            assert_eq!(self.log.pinned(), self.bytes.len() as u64);
            self.log.check_disk();
            for (k, from) in edges.iter().enumerate() {
                let is_end = |at: usize| self.bytes[at - 1].1;
                let is_known = *from == 0 || self.framing.is_none();
                assert!(
                    is_known || self.log.is_boundary(*from as u64) == is_end(*from),
                    "whether a record ends at {from}"
                );
                for to in &edges[k + 1..] {
                    let mut ends = (from + 1..=*to).filter(|at| is_end(*at));
                    let (first, last) = (ends.clone().next(), ends.clone().next_back());
                    let run = *from as u64..*to as u64;
                    let place = |at: Option<usize>| at.map(|at| at as u64);
                    assert_eq!(
                        self.log.records(&run),
                        ends.clone().count() as u64,
                        "{run:?}"
                    );
                    let found = self.log.last_boundary(run.start, run.end);
                    assert_eq!(found, place(last), "the last end in {run:?}");
                    let found = self.log.next_boundary(run.start, run.end);
                    let is_one = ends.any(|at| found == Some(at as u64));
                    assert!(
                        found == place(first) || is_one && !self.is_plain,
                        "{found:?} is the first end in {run:?}"
                    );
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn what_is_made_one_knows_what_its_parts_knew(
            framing in prop_oneof![
                Just(None),
                Just(Some(Framing::Terminator(b'\n'))),
                (1u64..30).prop_map(|n| NonZeroU64::new(n).map(Framing::Fixed)),
            ],
            steps in prop::collection::vec(step(), 1..40),
        ) {
            let mut both = Both {
                framing,
                log: Log::new(1 << 20, framing),
                bytes: Vec::new(),
                offset: 0,
                depth: 0,
                is_plain: true,
            };
            for step in steps {
                both.step(step);
                both.check();
            }
            // All of it can be one, but for gaps.
            both.log.evict(&[]);
            both.step(Step::Join(256));
            both.check();
        }
    }
}
