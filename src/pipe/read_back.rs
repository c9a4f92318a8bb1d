//! Reading a spool back by whole records: where a part of it is lost, so is the rest of each record that lies in that
//! part, and nobody gets half of one, or two halves for one.
//!
//! So what comes behind is looked at before the beginning of a record is handed out whose end is not there: it is kept,
//! for it is what is asked for next. A record that is longer than [`LONG`] is not waited for.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::disk::damage::{Cause, Damage};
use crate::disk::error::DiskError;
use crate::disk::format::ENTRY_MOST;
use crate::disk::reader::{Cursor, Piece};
use crate::disk::spool::Spool;
use crate::engine::on_disk::Load;
use crate::engine::record::Framing;

/// How far the end of a record is looked for before its beginning is handed out.
const LONG: u64 = 1 << 20;

/// A part of the stream that is lost. It begins where a record does, and ends where one does.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    /// Offsets.
    pub range: Range<u64>,
    /// Records that end in it, as far as is known.
    pub records: u64,
    /// The number of the record behind it, if that is known.
    pub next: Option<u64>,
    /// The stream ends inside of the record that ends it: what comes of that is lost, too.
    is_open: bool,
}

/// What lies at an offset.
#[derive(Debug)]
pub(super) enum Part {
    /// These bytes of the memory of the load.
    Bytes(Range<usize>),
    /// Nothing any more.
    Lost(Lost),
    /// Nothing that anybody is still owed: it was given back meanwhile.
    Gone,
    /// Nothing yet.
    End,
}

/// Reads a spool, for all outputs that ask for a part of it. What one of them has found to be lost is so for the others,
/// and is said once. See the module's text.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// By the numbers of the outputs: each is at a place of its own.
    views: BTreeMap<usize, View>,
    found: Findings,
}

/// Where one output reads.
#[derive(Debug, Default)]
struct View {
    cursor: Cursor,
    ahead: Ahead,
}

/// What was found not to be as it was.
#[derive(Debug, Default)]
struct Findings {
    /// What is lost, in order of finding.
    lost: Vec<Lost>,
    /// What is to be said of it.
    said: Vec<Damage>,
}

/// What was read before it was asked for.
#[derive(Debug, Default)]
struct Ahead {
    at: u64,
    bytes: Vec<u8>,
    range: Range<usize>,
    /// There was nothing behind it yet.
    is_last: bool,
}

impl Ahead {
    fn bytes(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }

    /// What of it lies from this offset on, where so much is wanted.
    fn from(&self, at: u64, most: usize) -> Option<&[u8]> {
        let into = usize::try_from(at.checked_sub(self.at)?).ok()?;
        let rest = self.bytes().get(into..).filter(|rest| !rest.is_empty())?;
        (rest.len() >= most || !self.is_last).then_some(rest)
    }
}

impl Reader {
    /// Nothing is kept open that was given back.
    pub(super) fn let_go(&mut self, spool: &Spool, floor: u64) {
        for view in self.views.values_mut() {
            spool.let_go(&mut view.cursor);
        }
        self.found.lost.retain(|it| it.range.end >= floor);
    }

    /// What there is to say of what was read.
    pub(super) fn take_said(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.found.said)
    }

    /// Reads what is asked for by the output of this number, or the first part of it.
    pub(super) fn read(
        &mut self,
        spool: &Spool,
        who: usize,
        load: &mut Load,
    ) -> Result<Part, DiskError> {
        let view = self.views.entry(who).or_default();
        view.read(spool, &mut self.found, load)
    }
}

impl View {
    fn read(
        &mut self,
        spool: &Spool,
        found: &mut Findings,
        load: &mut Load,
    ) -> Result<Part, DiskError> {
        let (at, most) = (load.offset, load.length);
        if let Some(lost) = found.lost.iter().find(|it| it.range.contains(&at)) {
            return Ok(Part::Lost(lost.clone()));
        }
        let framing = load.cursor().framing();
        let depth = load.cursor().depth();
        if let Some(i) = found
            .lost
            .iter()
            .position(|it| it.is_open && it.range.end == at)
        {
            let lost = found.lost.remove(i);
            let before = lost.records;
            let mut more = self.lose_on(spool, found, lost, framing)?;
            more.range.start = at;
            more.records -= before;
            // Still nothing may have come of it.
            return Ok(match more.range.is_empty() {
                true => Part::End,
                false => Part::Lost(more),
            });
        }
        let range = match self.piece(spool, at, most, load.bytes())? {
            Piece::Bytes { range, damage } => {
                found.said.extend(damage);
                // What another one has found to be lost is not looked for again, however this is cut.
                let most = most.min(found.to_next_lost(at));
                range.start..range.end.min(range.start + most)
            }
            Piece::Gap(damage) => {
                let lost = self.lose(spool, found, (at, &[]), damage, framing);
                return lost.map(Part::Lost);
            }
            Piece::Gone => return Ok(Part::Gone),
            Piece::End => return Ok(Part::End),
        };
        let Some(framing) = framing else {
            return Ok(Part::Bytes(range));
        };
        let torn = torn(framing, depth, &load.bytes()[range.clone()]);
        if torn == 0 {
            return Ok(Part::Bytes(range));
        }
        let (behind, inside) = (at + range.len() as u64, depth + range.len() as u64);
        let Some(damage) = self.look_ahead(spool, found, behind, framing, inside)? else {
            return Ok(Part::Bytes(range));
        };
        let whole = range.len() - torn;
        let half = &load.bytes()[range.start + whole..range.end];
        let from = (at + whole as u64, half);
        let lost = self.lose(spool, found, from, damage, Some(framing))?;
        Ok(match whole {
            0 => Part::Lost(lost),
            _ => Part::Bytes(range.start..range.start + whole),
        })
    }

    fn piece(
        &mut self,
        spool: &Spool,
        at: u64,
        most: usize,
        into: &mut [u8],
    ) -> Result<Piece, DiskError> {
        if let Some(bytes) = self.ahead.from(at, most) {
            into[..bytes.len()].copy_from_slice(bytes);
            let range = 0..bytes.len();
            return Ok(Piece::Bytes {
                range,
                damage: None,
            });
        }
        self.cursor.go_to(at);
        spool.read(&mut self.cursor, into)
    }

    /// Reads what lies at this offset before it is asked for: where it is lost, that.
    fn read_ahead(
        &mut self,
        spool: &Spool,
        found: &mut Findings,
        at: u64,
    ) -> Result<Piece, DiskError> {
        let ahead = &mut self.ahead;
        ahead.range = 0..0;
        ahead.bytes.resize(ENTRY_MOST, 0);
        self.cursor.go_to(at);
        let piece = spool.read(&mut self.cursor, &mut ahead.bytes)?;
        if let Piece::Bytes { range, damage } = &piece {
            (ahead.at, ahead.range) = (at, range.clone());
            ahead.is_last = at + range.len() as u64 >= spool.end().at;
            found.said.extend(damage.clone());
        }
        Ok(piece)
    }

    /// What is lost of a record that stands at this offset, so far inside of it, if something is.
    fn look_ahead(
        &mut self,
        spool: &Spool,
        found: &mut Findings,
        from: u64,
        framing: Framing,
        depth: u64,
    ) -> Result<Option<Damage>, DiskError> {
        let mut at = from;
        while at < from + LONG {
            if at == from
                && let Some(bytes) = self.ahead.from(at, 0)
            {
                if first_end(framing, depth, bytes).is_some() {
                    return Ok(None);
                }
                if !self.ahead.is_last {
                    at += bytes.len() as u64;
                    continue;
                }
            }
            match self.read_ahead(spool, found, at)? {
                Piece::Bytes { range, .. } => {
                    if first_end(framing, depth + (at - from), self.ahead.bytes()).is_some() {
                        return Ok(None);
                    }
                    at += range.len() as u64;
                }
                Piece::Gap(damage) => return Ok(Some(damage)),
                Piece::Gone | Piece::End => return Ok(None),
            }
        }
        Ok(None)
    }

    /// From this offset on, at which a record begins, all is lost up to the first end of a record behind this damage.
    fn lose(
        &mut self,
        spool: &Spool,
        found: &mut Findings,
        (from, half): (u64, &[u8]),
        damage: Damage,
        framing: Option<Framing>,
    ) -> Result<Lost, DiskError> {
        found.torn(spool, (from, damage.at), half, 0);
        let lost = Lost {
            range: from..damage.at + damage.bytes,
            records: damage.records,
            next: None,
            is_open: false,
        };
        found.said.push(damage);
        self.lose_on(spool, found, lost, framing)
    }

    /// It goes on up to where a record ends.
    fn lose_on(
        &mut self,
        spool: &Spool,
        found: &mut Findings,
        mut lost: Lost,
        framing: Option<Framing>,
    ) -> Result<Lost, DiskError> {
        lost.is_open = false;
        let mut known = Known::behind(&lost, spool, framing);
        while let Some(framing) = framing.filter(|_| known.begun != Some(0)) {
            let at = lost.range.end;
            match self.read_ahead(spool, found, at)? {
                Piece::Bytes { .. } => {
                    let bytes = self.ahead.bytes();
                    let end = first_end(framing, known.begun.unwrap_or(1), bytes);
                    let half = bytes[..end.unwrap_or(bytes.len())].to_vec();
                    lost.range.end += half.len() as u64;
                    found.torn(spool, (at, lost.range.end), &half, u64::from(end.is_some()));
                    if end.is_some() {
                        lost.records += 1;
                        known.number = known.number.map(|number| number + 1);
                        break;
                    }
                    known.begun = known.begun.map(|begun| begun + half.len() as u64);
                }
                Piece::Gap(damage) => {
                    lost.range.end = damage.at + damage.bytes;
                    lost.records += damage.records;
                    found.said.push(damage);
                    known = Known::behind(&lost, spool, Some(framing));
                }
                Piece::Gone => break,
                Piece::End => {
                    lost.is_open = true;
                    break;
                }
            }
        }
        lost.next = known.number;
        found.lost.push(lost.clone());
        Ok(lost)
    }
}

impl Findings {
    /// Bytes from this offset, which is not lost, to what is known to be lost next.
    fn to_next_lost(&self, at: u64) -> usize {
        let starts = self.lost.iter().map(|it| it.range.start);
        let next = starts.filter(|start| *start > at).min();
        next.map_or(usize::MAX, |next| {
            usize::try_from(next - at).unwrap_or(usize::MAX)
        })
    }

    /// These are halves of records, of which so many end in them.
    fn torn(&mut self, spool: &Spool, (from, to): (u64, u64), bytes: &[u8], ends: u64) {
        if from < to {
            let name = spool.home().display().to_string();
            let mut damage = Damage::new(Cause::Torn, &name, from, to - from, ends);
            damage.aside = spool.set_aside(from, bytes);
            spool.count_loss(&damage);
            self.said.push(damage);
        }
    }
}

/// What is known of the place behind something that is lost.
struct Known {
    /// The number of the record that the next byte belongs to.
    number: Option<u64>,
    /// Bytes of that record that came before; with a terminator, whether any did.
    begun: Option<u64>,
}

impl Known {
    fn behind(lost: &Lost, spool: &Spool, framing: Option<Framing>) -> Known {
        let Range { start, end } = lost.range;
        let place = spool.place_at(end);
        Known {
            number: place.map(|place| place.record),
            begun: match framing {
                // What is lost begins with a record.
                Some(Framing::Fixed(size)) => Some((end - start) % size),
                _ => place.map(|place| place.begun),
            },
        }
    }
}

/// Bytes at the end of these that belong to a record that goes on behind them; so far inside of one they begin.
fn torn(framing: Framing, depth: u64, bytes: &[u8]) -> usize {
    match framing {
        Framing::Terminator(end) => {
            let last = memchr::memrchr(end, bytes);
            last.map_or(bytes.len(), |at| bytes.len() - at - 1)
        }
        Framing::Fixed(size) => {
            let torn = (depth + bytes.len() as u64) % size.get();
            usize::try_from(torn).unwrap_or(usize::MAX).min(bytes.len())
        }
    }
}

/// The length up to the first end of a record.
fn first_end(framing: Framing, depth: u64, bytes: &[u8]) -> Option<usize> {
    match framing {
        Framing::Terminator(end) => memchr::memchr(end, bytes).map(|at| at + 1),
        Framing::Fixed(size) => {
            let left = usize::try_from(size.get() - depth % size.get()).ok()?;
            (left <= bytes.len()).then_some(left)
        }
    }
}
