//! Which lane each record belongs to, and whether it is to be kept: found out where it is read, outside the lock.
//!
//! A record may come in many pieces. The beginning of one that has not ended yet is kept aside, for a pattern has to
//! see it in one piece; of a very long one only so much is looked at.
//!
//! Lanes that keys had when they came last are remembered here, so that only a key that is not has to be looked for
//! behind the lock.
//!
//! Invariants: every record that ends in what was read is noted, in order; once all are [named](Sorting::name) each has the
//! lane of its key, until a lane becomes another key's.

use std::ops::Range;

use super::lanes::{Lane, Lanes, Names, Noted, OTHERS, Recent, Short};
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

/// In the place of a lane that is not known yet.
const UNKNOWN: Lane = Lane::NONE;

/// The records that end in a piece of the stream.
#[derive(Debug, Default)]
pub(crate) struct Sorting {
    sorter: Sorter,
    records: Vec<Noted>,
    /// The length of the first of them, however long it is, and of all.
    first: u64,
    length: u64,
    /// Neighbours of one key that is not remembered; of a long one where among the keys it stands.
    unknown: Vec<(Range<u32>, Short)>,
    /// Long keys.
    keys: Vec<u8>,
    /// Without it all keys are looked for.
    recent: Option<Recent>,
    /// So many lanes had become another key's when that was right.
    moved: u64,
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

    /// The same; lanes are remembered from one piece to the next.
    pub(crate) fn remembering(sorter: Sorter) -> Sorting {
        Sorting {
            recent: Some(Recent::new()),
            ..Sorting::new(sorter)
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
        self.records.clear();
        self.unknown.clear();
        self.keys.clear();
        (self.first, self.length) = (0, 0);
    }

    fn sort_piece(&mut self, at: Cursor, bytes: &[u8]) -> Scan {
        let (mut from, mut first_end, mut ends) = (0, 0, 0);
        let begun = self.depth;
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
        if ends > 0 {
            if self.length == 0 {
                self.first = begun + first_end as u64;
            }
            self.length += begun + from as u64;
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

    /// The record that lies here in a text, and is so long with its terminator and what was not looked at, comes next. It is
    /// part of the loop over all, and not called from there.
    #[inline(always)]
    fn add(&mut self, text: &[u8], record: Range<usize>, length: u64) {
        let record = record.start..record.end.min(record.start + LOOK_MOST);
        let keep = self.sorter.keep.as_ref();
        let kept = keep.is_some_and(|it| it.is_match(&text[record.clone()]));
        let key = self.sorter.key.as_ref();
        let lane = match key.and_then(|key| key.within(text, record)) {
            None => OTHERS,
            Some(key) => self.lane_of(key),
        };
        self.records.push(Noted::new(length, lane, kept));
    }

    /// The lane of the next record, which has this key, if it is known.
    #[inline]
    fn lane_of(&mut self, key: &[u8]) -> Lane {
        let short = Short::of(key);
        let recent = self.recent.as_ref().zip(short);
        match recent.and_then(|(recent, key)| recent.get(key)) {
            Some(lane) => lane,
            None => self.note_unknown(key, short),
        }
    }

    #[inline(never)]
    fn note_unknown(&mut self, key: &[u8], short: Option<Short>) -> Lane {
        let last = self.unknown.last().map(|(_, key)| *key);
        let key = short.unwrap_or_else(|| place_of(key, &mut self.keys, last));
        let n = self.records.len() as u32;
        match self.unknown.last_mut() {
            Some((which, before)) if which.end == n && *before == key => which.end += 1,
            _ => self.unknown.push((n..n + 1, key)),
        }
        UNKNOWN
    }

    /// What was read last ends in the middle of a record that never will end: it is one.
    pub(crate) fn sort_last(&mut self) {
        let length = std::mem::take(&mut self.depth);
        let begun = std::mem::take(&mut self.begun);
        self.clear();
        self.was_blind = self.is_blind;
        if length > 0 {
            self.add(&begun, 0..begun.len(), length);
            (self.first, self.length) = (length, length);
        }
    }

    /// Whether what was read last goes on with a record that has begun unseen, whose lane is not known by that.
    pub(super) fn was_blind(&self) -> bool {
        self.was_blind
    }

    /// The lane and the length of the first record that ends in what was read last, where all of it was looked at.
    pub(super) fn first(&self, names: &Names) -> Option<(Lane, u64)> {
        let is_known = !self.was_blind && self.is_named(names);
        let first = self.records.first().filter(|_| is_known)?;
        Some((first.lane(), self.first))
    }

    /// Bytes of the records that end in what was read last.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Finds the lanes of those records whose keys are not remembered. `vacate`: whether nobody has anything of one, which
    /// then may be another key's.
    pub(super) fn name(&mut self, names: &mut Names, mut vacate: impl FnMut(Lane) -> bool) {
        if self.unknown.is_empty() || self.recent.is_some() && self.moved != names.moved() {
            return;
        }
        // The lanes of what is about to be taken in are nobody else's; looked for when one has to be vacated.
        let mut taken = Vec::new();
        for (which, key) in self.unknown.drain(..) {
            let records = &self.records;
            let mut vacate = |lane: Lane| {
                if taken.is_empty() {
                    taken = taken_by(records);
                }
                !taken[lane.index()] && vacate(lane)
            };
            let lane = match key.place() {
                Some(place) => names.lane(Some(&self.keys[place]), &mut vacate),
                None => names.lane_of_short(key, &mut vacate),
            };
            if let Some(is_taken) = taken.get_mut(lane.index()) {
                *is_taken = true;
            }
            let which = which.start as usize..which.end as usize;
            self.records[which].iter_mut().for_each(|it| it.put(lane));
            let recent = self.recent.as_mut();
            if let Some(recent) = recent.filter(|_| key.is_key() && names.is_own(lane)) {
                recent.put(key, lane);
            }
        }
        self.renew(names);
    }

    /// Whether all records have the lanes of their keys.
    pub(super) fn is_named(&self, names: &Names) -> bool {
        self.unknown.is_empty() && (self.recent.is_none() || self.moved == names.moved())
    }

    /// What is remembered is right from now on.
    pub(super) fn renew(&mut self, names: &Names) {
        if let Some(recent) = self.recent.as_mut().filter(|_| self.moved != names.moved()) {
            recent.clear();
            self.moved = names.moved();
        }
    }

    /// Puts the records that end in what was read last into the lanes, but for those that begin more than `most` before
    /// the end of them. `end` is where that lies, and the first of them begins so far before it.
    pub(super) fn enter(&self, lanes: &mut Lanes, (end, mut from): (u64, u64), most: u64) {
        let (mut records, mut first) = (&self.records[..], self.first);
        while from > most
            && let Some((_, rest)) = records.split_first()
        {
            from -= first;
            records = rest;
            first = rest.first().map_or(0, Noted::length);
        }
        if !records.is_empty() {
            lanes.push_all(end - from, first, records);
        }
    }
}

/// Which lanes these records are in, as far as is known.
fn taken_by(records: &[Noted]) -> Vec<bool> {
    let mut taken = vec![false; usize::from(u16::MAX)];
    records
        .iter()
        .for_each(|it| taken[it.lane().index()] = true);
    taken
}

/// Where a long key stands among those there are: it is looked for only where the last one stands.
fn place_of(key: &[u8], keys: &mut Vec<u8>, last: Option<Short>) -> Short {
    if let Some(last) = last.filter(|last| last.place().is_some_and(|at| keys[at] == *key)) {
        return last;
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
        let key = |n: usize| {
            let is_his = |(which, _): &&(Range<u32>, Short)| which.contains(&(n as u32));
            let (_, key) = sorting.unknown.iter().find(is_his)?;
            Some(match key.place() {
                Some(place) => sorting.keys[place].to_vec(),
                None => key.with_bytes(<[u8]>::to_vec),
            })
        };
        let records = sorting.records.iter().enumerate();
        let all: Told = records
            .map(|(n, it)| (it.length(), key(n), it.is_kept()))
            .collect();
        assert_eq!(all.iter().map(|it| it.0).sum::<u64>(), sorting.length());
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
