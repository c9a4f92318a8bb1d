//! How a run of a spool ends, and what the next one must find: after kills, power cuts and damage.

use std::fs;
use std::sync::Arc;

use super::{Bench, OUTPUTS, Running, snapshot, worked};
use crate::disk::damage::{Cause, Damage};
use crate::disk::dealt::Dealt;
use crate::disk::journal::Journal;
use crate::disk::reader::Cursor;
use crate::disk::spool::Spool;
use crate::disk::state::Place;
use crate::disk::tests::{faults, open, read_all};

impl Bench {
    /// It is killed, and whatever was wrong with the disk is over.
    pub(super) fn end(&mut self) {
        self.opened = None;
        faults::set(None);
        if self.is_moved {
            self.move_it();
        }
        // The length of the file tells of it.
        self.model.append(&mut self.in_flight);
    }

    pub(super) fn reopen(&mut self) -> Vec<Damage> {
        self.opened = None;
        if faults::are_set() && !self.is_moved {
            // It does not open, maybe, and that costs nothing.
            worked(Spool::open(&self.path, &self.options).map(drop));
        }
        self.end();
        let opened = Running::from(open(&self.path, &self.options));
        let damages = opened.damages.clone();
        let end = opened.spool.end().at;
        if self.excused {
            self.model.resize(end as usize, 0);
        }
        let places = OUTPUTS.map(|name| opened.spool.place(name).map(|place| place.at));
        let had_all = self.places.iter().all(|at| *at == self.model.len() as u64);
        if self.older && places == [None; 2] && had_all && end < self.places[0] {
            // All was delivered, nothing but the state knew how much that was: it counts anew.
            assert!(opened.spool.used() == 0 || end > 0);
            self.model.truncate(end as usize);
            self.places = [end; 2];
        }
        assert_eq!(end, self.model.len() as u64);
        let oldest = opened.oldest.at;
        let oldest_place = opened.oldest;
        self.opened = Some(opened);
        for (who, place) in places.into_iter().enumerate() {
            if who == 0 && place.is_some() {
                continue;
            }
            if !self.older {
                let (saved, place) = (self.saved[who], place.expect("it is known"));
                assert!(
                    saved <= place && place <= self.places[who],
                    "{saved} {place}"
                );
                self.places[who] = place;
                continue;
            }
            let at = place.unwrap_or(oldest);
            assert!(at <= self.places[who], "{at} is beyond {:?}", self.places);
            self.places[who] = at;
            if place.is_none() {
                // As the output would do.
                let place = Place {
                    at,
                    record: 0,
                    begun: 0,
                };
                self.opened().spool.set_place(OUTPUTS[who], place).unwrap();
            }
        }
        self.take_up_journal(oldest_place, self.sure);
        self.saved = self.places;
        if !self.excused && !self.older {
            assert!(damages.is_empty(), "{damages:?}");
        }
        self.check();
        damages
    }

    /// The input has ended, inside of a record, maybe: that is one of its own when the spool is opened again.
    pub(super) fn over(&mut self, closes: bool) {
        faults::set(None);
        if self.is_moved {
            self.move_it();
        }
        if !self.in_flight.is_empty() {
            self.append(1, true, false);
        }
        self.sync();
        let spool = Arc::clone(&self.opened().spool);
        spool.end_input().unwrap();
        let end = spool.end();
        if closes {
            spool.close(false, u64::MAX).unwrap();
            assert_eq!(spool.take_found(), []);
        }
        drop(spool);
        self.opened = None;
        if end.begun > 0 {
            // Where all of it has been given back it needs no end.
            let has_last = snapshot(&self.path).iter().any(|(path, bytes)| {
                path.extension().is_some_and(|it| it == "stream") && !bytes.is_empty()
            });
            let behind = match has_last {
                true => {
                    self.model.push(b'\n');
                    Place {
                        at: end.at + 1,
                        record: end.record + 1,
                        begun: 0,
                    }
                }
                false => end.between_records(),
            };
            for place in &mut self.places {
                *place += u64::from(*place == end.at && has_last);
            }
            for place in &mut self.saved {
                *place += u64::from(*place == end.at && has_last);
            }
            for journal in &mut self.journals {
                journal.end_record(end.at, behind);
            }
        }
        self.reopen();
        self.note_begun();
        self.sync();
    }

    /// What is owed to those who take from the stream of the consumer is as it was saved at some time since it was last
    /// known to be so; it goes on from there.
    fn take_up_journal(&mut self, oldest: Place, since: usize) {
        let spool = &self.opened().spool;
        let place = spool.place(OUTPUTS[0]).unwrap_or(oldest);
        let found = spool.journal();
        let is_it = |it: &&Journal| match &found {
            Some(found) => *it == found,
            // Where segments have gone it lies behind them.
            None => it.open.is_empty() && it.next.at <= place.at,
        };
        let mut since = self.journals[since..].iter();
        assert!(
            self.older || self.excused || since.any(|it| is_it(&it)),
            "{found:?} at {place:?} was never saved: {:?}",
            self.journals
        );
        let found = found.map(|mut journal| {
            journal.forget_before(oldest);
            journal
        });
        self.dealt = Dealt::after(found, place);
        let journal = self.dealt.journal();
        self.places[0] = journal.low().at;
        self.journals.push(journal);
        self.sure = self.journals.len() - 1;
    }

    pub(super) fn power_cut(&mut self, seed: u64) {
        if self.is_unsure {
            faults::set(None);
            self.sync();
        }
        self.end();
        let now = snapshot(&self.path);
        let mut seed = seed | 1;
        let mut dice = |sides: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % sides
        };
        for (path, before) in &self.on_disk {
            if !now.contains_key(path) && dice(2) == 0 {
                // It was unlinked, and that has not reached the disk.
                fs::write(path, before).unwrap();
            }
        }
        for (path, bytes) in &now {
            let before = self.on_disk.get(path);
            let is_state = path.ends_with("state");
            let torn = match before {
                None if dice(3) == 0 => {
                    fs::remove_file(path).unwrap();
                    continue;
                }
                before => tear(before.map_or(&[][..], |b| b), bytes, is_state, &mut dice),
            };
            fs::write(path, torn).unwrap();
        }
        self.options.boot = Some(dice(u64::MAX).to_le_bytes().repeat(2).try_into().unwrap());
        let saved = self.places;
        let opened = Running::from(open(&self.path, &self.options));
        let mut places = OUTPUTS.map(|name| opened.spool.place(name).unwrap().at);
        let said = |damage: &&Damage| damage.cause == Cause::Uncertain;
        let uncertain = opened
            .damages
            .iter()
            .filter(said)
            .map(|d| d.bytes)
            .sum::<u64>();
        // The first may have been given back something.
        for (who, place) in places.into_iter().enumerate().skip(1) {
            assert!(place >= self.synced_places[who], "{who}: {place}");
            assert!(
                place.saturating_sub(saved[who]) <= uncertain,
                "{who}: {place} {:?}",
                opened.damages
            );
        }
        let end = opened.spool.end().at;
        assert!(end >= self.synced, "{end} < {}", self.synced);
        assert!(end <= self.model.len() as u64);
        self.model.truncate(end as usize);
        let furthest = self.journals.iter().map(|it| it.low().at).max();
        let saved = [furthest.unwrap_or(0), saved[1]];
        let oldest = opened.oldest;
        self.opened = Some(opened);
        self.note_begun();
        self.places = places;
        self.take_up_journal(oldest, 0);
        self.journals.drain(..self.sure);
        self.sure = 0;
        (places[0], self.saved) = (self.places[0], self.places);
        let opened = self.opened();
        // What was forced to the disk is there.
        let mut has_gaps = false;
        for (who, place) in places.into_iter().enumerate() {
            let story = read_all(&opened.spool, &mut Cursor::new(place));
            has_gaps |= !story.gaps.is_empty();
            for gap in &story.gaps {
                // What had been delivered may be missed where the place of that has not reached the disk, and the end of
                // some files has.
                let was_delivered = gap.at + gap.bytes <= saved[who];
                assert!(
                    self.excused || was_delivered || gap.at >= self.synced,
                    "{who}: {gap} of {}",
                    self.synced
                );
            }
        }
        let clean = std::mem::replace(&mut self.excused, true);
        self.check();
        // The gaps stay until they have been passed.
        self.excused = !clean || has_gaps;
        if self.excused {
            self.deliver_all();
            self.excused = false;
        }
        self.sync();
    }

    pub(super) fn hurt(&mut self, file: usize, how: impl FnOnce(&mut Vec<u8>)) {
        faults::set(None);
        if !self.in_flight.is_empty() {
            self.append(1, true, false);
        }
        // What a kill leaves unentered has no checksum yet.
        self.sync();
        self.end();
        let files: Vec<_> = snapshot(&self.path)
            .into_iter()
            .filter(|(path, bytes)| !path.ends_with("lock") && !bytes.is_empty())
            .filter(|(path, _)| !path.to_string_lossy().contains("damaged-"))
            .collect();
        let (path, mut bytes) = files[file % files.len()].clone();
        let before = bytes.clone();
        how(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        self.older = path.ends_with("state");
        self.excused = true;
        let damages = self.reopen();
        self.note_begun();
        for place in self.places {
            let story = read_all(&self.opened().spool, &mut Cursor::new(place));
            // One wound costs one part, or none.
            let lost = story.lost();
            let cost = (before.len() - bytes.len()).max(256 << 10) as u64;
            assert!(lost <= cost, "{lost} lost: {:?}", story.gaps);
        }
        assert!(
            damages.iter().all(|d| d.cause != Cause::PowerCut),
            "{damages:?}"
        );
        self.deliver_all();
        self.excused = false;
        self.older = false;
        self.sync();
    }
}

/// What the disk has of a file: what was forced there, and something of the rest.
fn tear(before: &[u8], now: &[u8], is_state: bool, dice: &mut impl FnMut(u64) -> u64) -> Vec<u8> {
    let mut torn = now.to_vec();
    if is_state {
        // Pages that have changed since are there or are not, each for itself.
        for (new, old) in torn.chunks_mut(4096).zip(before.chunks(4096)) {
            if dice(2) == 0 {
                new.copy_from_slice(old);
            }
        }
        return torn;
    }
    let sure = before.len().min(now.len());
    let unsure = (now.len() - sure) as u64;
    if unsure > 0 {
        torn.truncate(sure + dice(unsure + 1) as usize);
        let written = (torn.len() - sure) as u64;
        if written > 0 && dice(2) == 0 {
            let from = sure + dice(written) as usize;
            let len = 1 + dice(5_000) as usize;
            let to = torn.len().min(from + len);
            torn[from..to].fill(0);
        }
    }
    torn
}
