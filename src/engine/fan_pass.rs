//! Bytes that go around the log to several outputs at once: `tee(2)` to each, the input spliced away behind them.
//!
//! The consumer comes first, and gets what it has room for; each of the others gets as much of that as it has room
//! for. Where all have had the same nothing is copied. Where some have not, what the consumer has had is read, and
//! each is owed its rest: so what is held is held once, and only for those who are behind.
//!
//! A tap or a looker that is behind, or that is no pipe, does not end this: it is owed all that passes, which is
//! copied once for it, and not at all for the consumer. So whoever stands still costs the others a copy, whatever
//! it misses.
//!
//! Where there are records nothing passes to a tap this way: a pipe takes what its slots hold, which may end inside a
//! record, and a tap is not waited for until it has taken the rest. What it is given is written record by record.
//!
//! Invariant: nothing goes around the log to one who is owed anything, so order is kept for each of them.

use std::time::Instant;

use super::action::{Fan, SIDES, Taker};
use super::admit::Piece;
use super::log::Entry;
use super::output::Output;
use super::pack::{FILLED, LOOSE};
use super::scan::{Run, Scan};
use super::side::{Role, Side, Stage};
use super::state::Engine;

impl Engine {
    /// What is read for this tee or tap can go around the log to it, since it is a pipe.
    pub(crate) fn let_side_pass(&mut self, i: usize, now: Instant) {
        if let Some(side) = &mut self.outputs[i].side {
            side.is_pipe = true;
        }
        self.look_at_suspension();
        self.update(now);
    }

    /// How often somebody has come to this tee or tap.
    #[must_use]
    pub(crate) fn visit(&self, i: usize) -> u64 {
        let side = self.outputs.get(i).and_then(|output| output.side.as_ref());
        side.map_or(0, |side| side.visit)
    }

    /// Whether everything has to go through the log is asked anew.
    pub(super) fn look_at_suspension(&mut self) {
        self.bypass.suspend(self.needs_log());
    }

    /// Whether what passes around the log can pass to all that there are.
    pub(super) fn can_fan_out(&self) -> bool {
        let is_held_up = |side: &Side| side.role == Role::Tee && side.stage == Stage::Open;
        let mut sides = self.sides().filter_map(|(_, output)| output.side.as_ref());
        self.source.path.fans_out && sides.all(|side| side.is_pipe || !is_held_up(side))
    }

    /// Whether none of those who hold the flow up is behind, nor in the middle of a record that it does not get.
    #[inline]
    pub(super) fn holders_are_even(&self) -> bool {
        !self.has_sides() || self.holders().all(|(_, output)| output.is_even())
    }

    /// What several are to get at once, `most` bytes at most.
    pub(super) fn begin_fan(&mut self, most: usize) -> Option<Fan> {
        if !self.has_sides() {
            return None;
        }
        let open = self.sides().filter(|(_, output)| output.is_open_side());
        let (even, behind): (Vec<_>, Vec<_>) = open.partition(|(_, output)| output.can_pass());
        let is_owed = !behind.is_empty();
        let taker = |(i, output): &(usize, &Output)| Taker {
            i: *i,
            visit: output.side.as_ref().map_or(0, |side| side.visit),
            had: 0,
        };
        let takers = even.iter().map(taker).collect();
        // Who is owed all of it has enough to do meanwhile, maybe.
        let may_extend = is_owed && self.can_spare_last();
        let extend = may_extend.then_some(self.source.cursor);
        let mut read = self.source.read.take().unwrap_or_default();
        self.log.lend(&mut read.buffer, most, extend);
        self.source.is_short = false;
        (read.cursor, read.stored, read.discard) = (self.source.cursor, None, false);
        read.pack = is_owed
            .then(|| self.log.begin_pack(LOOSE, FILLED))
            .flatten();
        self.outputs[SIDES..]
            .iter_mut()
            .filter_map(|output| output.side.as_mut())
            .for_each(|side| side.is_late = false);
        Some(Fan {
            read,
            takers,
            is_owed,
        })
    }

    /// All that could be passed has been: this run, to the consumer and to all those to whom it could.
    pub(super) fn end_even(&mut self, fan: Fan, run: Run) {
        let takers = self.return_buffer(fan);
        for i in SIDES..self.outputs.len() {
            self.on_passed_side(i, run, takers.iter().any(|taker| taker.i == i));
        }
    }

    /// Nothing has passed.
    pub(super) fn end_fan(&mut self, fan: Fan) {
        self.return_buffer(fan);
    }

    fn return_buffer(&mut self, mut fan: Fan) -> Vec<Taker> {
        let nothing = Scan::over(fan.read.cursor, &[]);
        self.log
            .append(&mut fan.read.buffer, nothing, Entry::default());
        self.source.read = Some(fan.read);
        fan.takers
    }

    /// The consumer has had what was read, and somebody has not had all of it.
    pub(super) fn end_uneven(&mut self, mut fan: Fan, now: Instant) -> Run {
        let [first, scan] = fan.read.scans;
        let whole = Scan::sum([first, scan]);
        let run_of = |n: usize| match n < whole.bytes {
            true => fan.run_of(n),
            false => whole,
        };
        let takers = fan.takers.iter();
        let runs: Vec<_> = takers.map(|it| (it.i, run_of(it.had))).collect();
        let least = runs.iter().map(|(_, run)| run.bytes).min();
        let least = least.filter(|_| !fan.is_owed).unwrap_or(0);
        // Only where somebody is owed all of it does some of it lie in the first slice.
        let (depth, ended) = match least {
            0 => (first.cursor.depth(), 0),
            n => {
                let before = run_of(n);
                (before.cursor.depth(), before.tally.ended)
            }
        };
        let piece = Piece {
            range: least..scan.bytes,
            ends: scan.ends - ended,
            depth,
            end_depth: scan.cursor.depth(),
        };
        let places = self.enter(&mut fan.read, [first, scan], &piece);
        // What nobody is owed after all must not stay.
        self.log.pin(&places);
        for i in SIDES..self.outputs.len() {
            if !self.outputs[i].is_in_time() {
                self.on_passed_side(i, whole, false);
                continue;
            }
            let owed = match runs.iter().find(|(other, _)| *other == i) {
                Some((_, had)) => {
                    self.on_passed_side(i, *had, true);
                    Some(places.start + (had.bytes - least) as u64..places.end)
                }
                None => self.side_part(i, &fan.read, whole, &places),
            };
            if let Some(owed) = owed {
                self.owe_side(i, owed, now);
                self.keep_within_share(i, now);
            }
        }
        self.log.unpin(&places);
        self.source.read = Some(fan.read);
        whole
    }

    /// This has gone to this one; or, where it was not there or `has_had` is not so, has not.
    fn on_passed_side(&mut self, i: usize, run: Run, has_had: bool) {
        let output = &mut self.outputs[i];
        let has_had = has_had && output.is_in_time();
        let is_open = output.is_open_side();
        let Some(side) = &mut output.side else {
            return;
        };
        if has_had {
            output.cursor = run.cursor;
            output.taken += run.bytes as u64;
            side.written.bytes += run.bytes as u64;
            side.written.records += run.tally.ended;
        } else {
            side.drop_all(run.bytes as u64, run.tally.ended);
            side.is_skipping = is_open && run.cursor.is_inside();
        }
    }
}

impl Output {
    /// Whether it takes what passes, and did so when that set out.
    fn is_in_time(&self) -> bool {
        let side = self.side.as_ref();
        self.is_open_side() && side.is_some_and(|side| !side.is_late)
    }

    /// Whether it has had all so far, and is not in the middle of a record that it does not get.
    fn is_even(&self) -> bool {
        let side = self.side.as_ref();
        self.queue.owed() == 0 && side.is_none_or(|side| !side.is_skipping)
    }

    /// Whether what passes can go to it around the log.
    fn can_pass(&self) -> bool {
        let takes_records = self.is_tap() && self.cursor.framing().is_some();
        self.is_even() && !takes_records && self.side.as_ref().is_some_and(|side| side.is_pipe)
    }
}
