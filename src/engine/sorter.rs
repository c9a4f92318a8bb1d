//! Which lane each record belongs to, and whether it is to be kept: found out where it is read, outside the lock.
//!
//! A record may come in many pieces. The beginning of one that has not ended yet is kept aside, for a pattern has to
//! see it in one piece; of a very long one only so much is looked at.
//!
//! Invariant: every record that ends in what was read is in one group, in order; neighbours with the same key and the
//! same right to be kept share one.

use std::ops::Range;

use super::lanes::{Lane, Lanes, Names, Record, Short};
use super::record::{Cursor, Framing};
use super::scan::Scan;
use crate::units::{Key, Pattern, Places};

/// Bytes of a record that are looked at.
pub(super) const LOOK_MOST: usize = 64 * 1024;

/// What tells the lanes apart, and what is to be kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sorter {
    /// What tells the lane of a record; without it all are in one.
    pub key: Option<Key>,
    /// Records that match this go only when nothing else is left.
    pub keep: Option<Pattern>,
}

/// What was found out about neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    /// Their length in all, as far as they have come by without a gap.
    length: u64,
    /// Their key; of a long one where among the keys it stands.
    key: Short,
    /// How many they are.
    records: u32,
    /// They are to be kept.
    kept: bool,
}

/// The records that end in a piece of the stream.
#[derive(Debug, Default)]
pub(crate) struct Sorting {
    sorter: Sorter,
    groups: Vec<Group>,
    /// The length of each record; of one that is longer than any number here its group's says more.
    lengths: Vec<u32>,
    /// Long keys.
    keys: Vec<u8>,
    /// The beginning of the record in progress.
    begun: Vec<u8>,
    /// How much of it has come by.
    depth: u64,
    /// It has begun unseen; and so had the one that was in progress when the last piece came.
    is_blind: bool,
    was_blind: bool,
}

impl Sorting {
    /// Nothing has been looked at yet.
    pub(crate) fn new(sorter: Sorter) -> Sorting {
        Sorting {
            sorter,
            ..Sorting::default()
        }
    }

    /// Something may have passed unseen: so much has come of the record in progress, which begins with these bytes, if
    /// they can still be had.
    pub(super) fn begin(&mut self, begun: Option<Vec<u8>>, depth: u64) {
        self.depth = begun.as_ref().map_or(u64::MAX, |_| depth);
        self.is_blind = begun.is_none();
        self.begun = begun.unwrap_or_default();
    }

    /// Looks at what was read, which begins at this place of the stream, and says besides what a [scan](Scan::over) does.
    pub(crate) fn sort(&mut self, at: Cursor, [first, second]: [&[u8]; 2]) -> [Scan; 2] {
        self.clear();
        if self.depth != at.depth() {
            // The beginning of this record has passed by another way, or has not been looked at.
            self.begun.clear();
            self.depth = at.depth();
            self.is_blind = at.is_inside();
        }
        self.was_blind = self.is_blind;
        let first = self.sort_piece(at, first);
        [first, self.sort_piece(first.cursor, second)]
    }

    fn clear(&mut self) {
        self.groups.clear();
        self.lengths.clear();
        self.keys.clear();
    }

    fn sort_piece(&mut self, at: Cursor, bytes: &[u8]) -> Scan {
        let (mut from, mut first_end, mut ends) = (0, 0, 0);
        match at.framing() {
            Some(Framing::Terminator(end)) => {
                for at in Places::of(end, bytes) {
                    if self.depth == 0 {
                        self.add(bytes, from..at, (at + 1 - from) as u64);
                    } else {
                        self.end_record(&bytes[from..=at], 1);
                    }
                    from = at + 1;
                    if ends == 0 {
                        first_end = from;
                    }
                    ends += 1;
                }
            }
            Some(Framing::Fixed(size)) => {
                while let Ok(left) = usize::try_from(size.get() - self.depth)
                    && let Some(piece) = bytes[from..].get(..left)
                {
                    self.end_record(piece, 0);
                    from += left;
                    ends += 1;
                    if ends == 1 {
                        first_end = from;
                    }
                }
            }
            None => return Scan::over(at, bytes),
        }
        self.go_on(&bytes[from..]);
        let cursor = Cursor::at(at.framing(), self.depth);
        Scan {
            bytes: bytes.len(),
            begun: ends + u64::from(cursor.is_inside()) - u64::from(at.is_inside()),
            ends,
            first_end,
            last_end: from,
            cursor,
        }
    }

    /// With this piece a record ends; so many bytes of it are its terminator.
    #[inline(never)]
    fn end_record(&mut self, piece: &[u8], terminator: usize) {
        if self.depth == 0 {
            return self.add(piece, 0..piece.len() - terminator, piece.len() as u64);
        }
        self.go_on(piece);
        let mut begun = std::mem::take(&mut self.begun);
        let is_whole = begun.len() as u64 == self.depth;
        let content = begun.len() - if is_whole { terminator } else { 0 };
        self.add(&begun, 0..content, self.depth);
        begun.clear();
        self.begun = begun;
        (self.depth, self.is_blind) = (0, false);
    }

    /// This goes on with the record in progress.
    fn go_on(&mut self, piece: &[u8]) {
        self.depth += piece.len() as u64;
        let most = LOOK_MOST - self.begun.len();
        self.begun
            .extend_from_slice(&piece[..piece.len().min(most)]);
    }

    /// The record that lies here in a text, and is so long with its terminator and what was not looked at, comes next.
    #[inline]
    fn add(&mut self, text: &[u8], record: Range<usize>, length: u64) {
        let record = record.start..record.end.min(record.start + LOOK_MOST);
        let keep = self.sorter.keep.as_ref();
        let kept = keep.is_some_and(|it| it.is_match(&text[record.clone()]));
        let key = self.sorter.key.as_ref();
        let key = match key.and_then(|key| key.within(text, record)) {
            None => Short::NONE,
            Some(key) => match Short::of(key) {
                Some(short) => short,
                None => place_of(key, &mut self.keys, self.groups.last()),
            },
        };
        let short = u32::try_from(length);
        self.lengths.push(short.unwrap_or(u32::MAX));
        match self.groups.last_mut() {
            Some(last)
                if last.key == key
                    && last.kept == kept
                    && last.length + length <= u64::from(u32::MAX) =>
            {
                last.length += length;
                last.records += 1;
            }
            _ => self.groups.push(Group {
                length,
                key,
                records: 1,
                kept,
            }),
        }
    }

    /// What was read last ends in the middle of a record that never will end: it is one.
    pub(crate) fn sort_last(&mut self) {
        let length = std::mem::take(&mut self.depth);
        let begun = std::mem::take(&mut self.begun);
        self.clear();
        if length > 0 {
            self.add(&begun, 0..begun.len(), length);
        }
    }

    /// Whether what was read last goes on with a record that has begun unseen, whose lane is not known by that.
    pub(super) fn was_blind(&self) -> bool {
        self.was_blind
    }

    /// Bytes of the records that end in what was read last.
    pub(super) fn length(&self) -> u64 {
        self.groups.iter().map(|group| group.length).sum()
    }

    /// Puts the records that end in what was read last into the lanes, but for those that begin more than `most` before
    /// the end of them. `end` is where that lies, and the first of them begins so far before it. `vacate`: whether
    /// nobody but these lanes has anything of one, which then may be another key's.
    pub(super) fn enter(
        &self,
        lanes: &mut Lanes,
        names: &mut Names,
        (end, mut from): (u64, u64),
        most: u64,
        mut vacate: impl FnMut(Lane) -> bool,
    ) {
        let mut lengths = &self.lengths[..];
        for group in &self.groups {
            let (mut own, rest) = lengths.split_at(group.records as usize);
            lengths = rest;
            let behind = from - group.length;
            while from > most
                && let Some((first, others)) = own.split_first()
            {
                from = match others {
                    [] => behind,
                    _ => from - u64::from(*first),
                };
                own = others;
            }
            if !own.is_empty() {
                let lane = self.lane(group.key, lanes, names, &mut vacate);
                let all = Record {
                    at: end - from,
                    length: from - behind,
                    lane,
                    kept: group.kept,
                };
                lanes.push_all(all, own);
            }
            from = behind;
        }
    }

    #[inline]
    fn lane(
        &self,
        key: Short,
        lanes: &mut Lanes,
        names: &mut Names,
        vacate: &mut impl FnMut(Lane) -> bool,
    ) -> Lane {
        let vacate = |lane: Lane| {
            let is_empty = !lanes.holds(lane) && vacate(lane);
            if is_empty {
                lanes.vacate(lane);
            }
            is_empty
        };
        if key.is_key() {
            return names.lane_of_short(key, vacate);
        }
        let long = key.place().map(|place| &self.keys[place]);
        names.lane(long, vacate)
    }
}

/// Where a long key stands among those there are: it is looked for only where the last group's stands.
fn place_of(key: &[u8], keys: &mut Vec<u8>, last: Option<&Group>) -> Short {
    if let Some(last) = last.filter(|last| last.key.place().is_some_and(|at| keys[at] == *key)) {
        return last.key;
    }
    let from = keys.len();
    keys.extend_from_slice(key);
    Short::standing_at(from..keys.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each record's length, key, and right to be kept.
    type Told = Vec<(u64, Option<Vec<u8>>, bool)>;

    fn told(sorting: &Sorting) -> Told {
        let mut lengths = sorting.lengths.iter();
        let mut all = Vec::new();
        for group in &sorting.groups {
            let key = match group.key.place() {
                Some(place) => Some(sorting.keys[place].to_vec()),
                None => {
                    let key = Some(group.key).filter(|key| key.is_key());
                    key.map(|key| key.with_bytes(<[u8]>::to_vec))
                }
            };
            let own = lengths.by_ref().take(group.records as usize);
            let own = own.map(|length| (u64::from(*length), key.clone(), group.kept));
            let before = all.len();
            all.extend(own);
            let length: u64 = all[before..].iter().map(|it| it.0).sum();
            assert_eq!(length, group.length);
        }
        all
    }

    proptest! {
        #[test]
        fn records_are_sorted_the_same_however_they_are_cut(
            text in "(([ab ]{0,3}|quite_a_long_key_[ab] x|! )\n?){0,40}",
            cuts in prop::collection::vec(0..40usize, 0..40),
        ) {
            let sorter = Sorter { key: "1".parse().ok(), keep: "!".parse().ok() };
            let framing = Some(Framing::Terminator(b'\n'));
            let (mut sorting, mut cursor) = (Sorting::new(sorter.clone()), Cursor::new(framing));
            let (mut all, mut rest) = (Told::new(), text.as_bytes());
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                let (first, second) = now.split_at(now.len() / 2);
                let scans = sorting.sort(cursor, [first, second]);
                let over = Scan::over(cursor, first);
                let over = [over, Scan::over(over.cursor, second)];
                prop_assert_eq!(scans, over);
                cursor.pass(now);
                all.extend(told(&sorting));
                rest = later;
            }
            sorting.sort_last();
            all.extend(told(&sorting));
            let lines = text.as_bytes().split_inclusive(|byte| *byte == b'\n');
            let wanted: Told = lines.map(|line| {
                let record = line.strip_suffix(b"\n").unwrap_or(line);
                let key = sorter.key.as_ref().and_then(|key| key.of(record)).map(<[u8]>::to_vec);
                (line.len() as u64, key, record.contains(&b'!'))
            }).collect();
            prop_assert_eq!(all, wanted);
        }
    }
}
