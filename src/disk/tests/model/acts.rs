//! What is done with a spool while it is in use: appends, deliveries and syncs, and its directory is moved.

use std::fs;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::{Bench, OUTPUTS, snapshot, worked};
use crate::disk::segments::Appended;
use crate::disk::spool::Spool;
use crate::disk::state::Place;
use crate::disk::sys::Call;
use crate::disk::tests::{NOW, faults};

impl Bench {
    pub(super) fn append(&mut self, bytes: usize, by_pipe: bool, later: bool) {
        let arrival = NOW + u64::from(later) * 2_000_000_000;
        let spool = Arc::clone(&self.opened().spool);
        if by_pipe || !self.in_pipe.is_empty() || !self.in_flight.is_empty() {
            return self.append_pipe(&spool, bytes, arrival);
        }
        let text = self.fresh(bytes);
        match worked(spool.append_some(&text, arrival)) {
            Some(Appended::Bytes(n)) => self.model.extend_from_slice(&text[..n]),
            other => self.took_none(other),
        }
        self.check_end();
    }

    fn append_pipe(&mut self, spool: &Spool, bytes: usize, arrival: u64) {
        if self.in_pipe.is_empty() {
            self.in_pipe = self.fresh(bytes.min(60_000));
            rustix::io::write(&self.pipe.1, &self.in_pipe).unwrap();
        }
        let mut buffer = vec![0; 100_000];
        let taken = spool.append_pipe(self.pipe.0.as_fd(), &mut buffer, arrival);
        let left = rustix::io::ioctl_fionread(&self.pipe.0).unwrap() as usize;
        let gone = self.in_pipe.len() - left;
        match worked(taken) {
            Some(Appended::Bytes(n)) => {
                self.in_flight.extend(self.in_pipe.drain(..gone));
                assert_eq!(n, self.in_flight.len());
                assert!(buffer[..n] == self.in_flight);
                self.model.append(&mut self.in_flight);
            }
            other => {
                self.in_flight.extend(self.in_pipe.drain(..gone));
                self.took_none(other);
            }
        }
        self.check_end();
    }

    fn took_none(&self, taken: Option<Appended>) {
        match taken {
            None => {}
            Some(Appended::Full(_)) => {
                assert!(faults::are_set() || self.opened().spool.used() > 900 << 10);
            }
            other => panic!("{other:?}"),
        }
    }

    /// From here on the record that has begun is what the spool says: of one that was hurt that is what it finds.
    pub(super) fn note_begun(&mut self) {
        let end = self.opened().spool.end();
        self.begun = (end.at as usize, (end.at - end.begun) as usize);
    }

    fn check_end(&self) {
        let spool = &self.opened().spool;
        let end = spool.end();
        assert_eq!(end.at, self.model.len() as u64);
        if !self.excused && !self.older {
            let (from, begins) = self.begun;
            let last = memchr::memrchr(b'\n', &self.model[from..]);
            let begins = last.map_or(begins, |at| from + at + 1);
            assert_eq!(end.begun, (self.model.len() - begins) as u64);
        }
        assert!(spool.used() <= self.options.bound);
    }

    pub(super) fn deliver(&mut self, who: usize, percent: u8) {
        self.check();
        let end = self.model.len() as u64;
        let to = self.places[who] + (end - self.places[who]) * u64::from(percent) / 100;
        let place = self.place_at(to);
        let spool = Arc::clone(&self.opened().spool);
        if who == 0 {
            let from = self.place_at(self.places[0]);
            self.dealt.on_written(0, (from, place));
            self.save_dealt();
        } else {
            self.places[who] = to;
            if worked(spool.set_place(OUTPUTS[who], place)).is_some() {
                self.note_saved();
            }
        }
        self.release();
    }

    pub(super) fn deliver_all(&mut self) {
        for who in 0..OUTPUTS.len() {
            self.deliver(who, 100);
        }
    }

    fn release(&mut self) {
        let spool = Arc::clone(&self.opened().spool);
        let end = self.model.len() as u64;
        if worked(spool.release(u64::MAX)).is_some() {
            self.note_saved();
            let is_all = self.places.iter().all(|place| *place == end);
            // A segment may be kept, since more may come into it.
            assert!(
                !is_all || spool.used() <= 160 << 10,
                "{} are held",
                spool.used()
            );
        }
    }

    fn place_at(&self, at: u64) -> Place {
        let lines = self.model[..at as usize].iter();
        Place {
            at,
            record: lines.filter(|byte| **byte == b'\n').count() as u64,
            begun: 0,
        }
    }

    pub(super) fn deal(&mut self, from: u8, percent: u8, falls: bool) {
        let (low, end) = (self.places[0], self.model.len() as u64);
        let from = low + (end - low) * u64::from(from) / 100;
        let to = from + (end - from) * u64::from(percent) / 100;
        let [first, half, behind] = [from, (from + to) / 2, to].map(|at| self.place_at(at));
        self.dealt.on_written(1, (first, behind));
        self.save_dealt();
        if falls {
            self.dealt.give_back(1, &[(half, behind)]);
            self.save_dealt();
        }
        self.check();
        self.release();
    }

    fn save_dealt(&mut self) {
        let journal = self.dealt.journal();
        self.places[0] = journal.low().at;
        self.journals.push(journal.clone());
        let spool = Arc::clone(&self.opened().spool);
        if worked(spool.set_journal(OUTPUTS[0], journal)).is_some() {
            self.note_saved();
        }
    }

    fn note_saved(&mut self) {
        (self.saved, self.sure) = (self.places, self.journals.len() - 1);
    }

    pub(super) fn sync(&mut self) {
        // What the disk neither takes nor gives back is lost, and said.
        faults::spare(Call::Read);
        self.is_unsure = true;
        if let Some(found) = worked(self.opened().spool.sync_and_find()) {
            assert!(found.is_empty(), "{found:?}");
            self.note_synced();
        }
    }

    pub(super) fn note_synced(&mut self) {
        let is_moved = self.is_moved;
        if is_moved {
            self.move_it();
        }
        self.synced = self.model.len() as u64;
        self.note_saved();
        self.synced_places = self.places;
        self.journals.drain(..self.sure);
        self.sure = 0;
        self.on_disk = snapshot(&self.path);
        self.is_unsure = false;
        if is_moved {
            self.move_it();
        }
    }

    pub(super) fn move_it(&mut self) {
        let away = self.path.with_extension("away");
        let (from, to) = match self.is_moved {
            true => (&away, &self.path),
            false => (&self.path, &away),
        };
        fs::rename(from, to).unwrap();
        self.is_moved = !self.is_moved;
    }
}
