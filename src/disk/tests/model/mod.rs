//! A spool against a plain list of bytes: appends, reads, places of a consumer and a tee, kills, power
//! cuts, damage, a disk that fails for a while or is read-only, and a directory that is moved away and back, in any order. Whatever happens, what is delivered to each is what was appended at
//! that place, in order; what is not delivered is said; and nothing is lost but by damage and power cuts.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use rustix::io::Errno;

use super::super::damage::{Cause, Damage};
use super::super::dealt::Dealt;
use super::super::error::DiskError;
use super::super::journal::Journal;
use super::super::reader::Cursor;
use super::super::recovery::Opened;
use super::super::segments::Taken;
use super::super::spool::{Spool, SpoolOptions};
use super::super::state::Place;
use super::super::sys::Call;
use super::faults::{self, Faults};
use super::{NOW, open, read_all, small};

/// Those for whom it is kept: the consumer, and a tee.
const OUTPUTS: [&str; 2] = ["stdout", "/a/tee"];

#[derive(Debug, Clone)]
enum Step {
    Append {
        bytes: usize,
        by_pipe: bool,
        later: bool,
    },
    /// One of the outputs reads so much of what is there, and its place is saved.
    Deliver {
        who: usize,
        percent: u8,
    },
    /// Of those who take from the stream of the consumer side by side one has a part of what is there, and has left the
    /// second half of it, maybe.
    Deal {
        from: u8,
        percent: u8,
        falls: bool,
    },
    Sync,
    Close,
    Kill,
    /// Of what was not forced to the disk, some is there, some is zeros and some is not there.
    PowerCut {
        seed: u64,
    },
    Flip {
        file: usize,
        at: u64,
        bit: u8,
    },
    Truncate {
        file: usize,
        by: u64,
    },
    ZeroState,
    /// The disk fails, until it is given back: now, or at the next kill.
    Fails(Faults),
    GivenBack,
    /// The directory has another name, until the next kill or for the time of this again.
    Moved,
}

/// What a file system that has become read-only, is full, or fails, does not do any more; and a single call that fails.
fn failing() -> impl Strategy<Value = Faults> {
    let of = |error, calls: &[Call]| (error, calls.to_vec());
    let changes = [Call::Write, Call::Room, Call::Name];
    let kinds = prop_oneof![
        Just(of(Errno::ROFS, &changes)),
        Just(of(Errno::NOSPC, &changes)),
        Just(of(Errno::IO, &[Call::Write, Call::Force, Call::Name])),
        Just(of(Errno::IO, &[Call::Force])),
        Just(of(Errno::IO, &[Call::Name])),
        Just(of(Errno::IO, &[Call::Write])),
        // What was moved from a pipe is read back.
        Just(of(Errno::IO, &[Call::Read])),
    ];
    let times = prop_oneof![3 => Just(1), 2 => 2..5u32, 3 => Just(u32::MAX)];
    (kinds, 0..12u32, times).prop_map(|((error, calls), after, times)| Faults {
        error,
        calls,
        after,
        times,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..60_000usize, any::<bool>(), any::<bool>())
            .prop_map(|(bytes, by_pipe, later)| Step::Append { bytes, by_pipe, later }),
        5 => (0..OUTPUTS.len(), 0..=100u8)
            .prop_map(|(who, percent)| Step::Deliver { who, percent }),
        4 => (0..=100u8, 0..=100u8, any::<bool>())
            .prop_map(|(from, percent, falls)| Step::Deal { from, percent, falls }),
        2 => Just(Step::Sync),
        1 => Just(Step::Close),
        3 => Just(Step::Kill),
        2 => any::<u64>().prop_map(|seed| Step::PowerCut { seed }),
        1 => (any::<usize>(), any::<u64>(), 0..8u8)
            .prop_map(|(file, at, bit)| Step::Flip { file, at, bit }),
        1 => (any::<usize>(), 1..5_000u64)
            .prop_map(|(file, by)| Step::Truncate { file, by }),
        1 => Just(Step::ZeroState),
        4 => failing().prop_map(Step::Fails),
        2 => Just(Step::GivenBack),
        1 => Just(Step::Moved),
    ]
}

type Snapshot = BTreeMap<PathBuf, Vec<u8>>;

fn snapshot(path: &Path) -> Snapshot {
    let files = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// A spool that is in use.
struct Running {
    spool: Arc<Spool>,
    damages: Vec<Damage>,
    oldest: Place,
}

impl From<Opened> for Running {
    fn from(opened: Opened) -> Running {
        Running {
            spool: Arc::new(opened.spool),
            damages: opened.damages,
            oldest: opened.oldest,
        }
    }
}

/// What came of it, which may be nothing while the disk fails.
fn worked<T>(outcome: Result<T, DiskError>) -> Option<T> {
    let is_excused = faults::are_set();
    outcome
        .inspect_err(|error| assert!(is_excused, "{error}"))
        .ok()
}

struct Bench {
    path: PathBuf,
    options: SpoolOptions,
    opened: Option<Running>,
    /// All that was ever appended, by offset; what a power cut took is overwritten by what comes.
    model: Vec<u8>,
    /// The places that were saved last, and those that are known to be on the disk.
    places: [u64; 2],
    /// The same as far as saving them is known to have worked.
    saved: [u64; 2],
    synced_places: [u64; 2],
    /// What the first of them is owed; what was to be saved of that since it was last known to be on the disk, and from
    /// which of these on each is the last that was saved, maybe.
    dealt: Dealt,
    journals: Vec<Journal>,
    sure: usize,
    synced: u64,
    on_disk: Snapshot,
    salt: u64,
    /// How much may be missing, because of what was done to the files.
    excused: bool,
    /// Places may be older than they were saved.
    older: bool,
    /// What lies in the pipe, and what was moved from there by a call that failed then.
    pipe: (OwnedFd, OwnedFd),
    in_pipe: Vec<u8>,
    in_flight: Vec<u8>,
    is_moved: bool,
    /// A sync has failed, and may have forced something to the disk before that.
    is_unsure: bool,
}

impl Bench {
    fn new(path: &Path) -> Bench {
        let options = small();
        faults::set(None);
        let opened = Running::from(open(path, &options));
        for name in OUTPUTS {
            opened.spool.set_place(name, Place::default()).unwrap();
        }
        opened.spool.sync().unwrap();
        Bench {
            path: path.to_owned(),
            options,
            opened: Some(opened),
            model: Vec::new(),
            places: [0; 2],
            saved: [0; 2],
            synced_places: [0; 2],
            dealt: Dealt::default(),
            journals: vec![Journal::default()],
            sure: 0,
            synced: 0,
            on_disk: snapshot(path),
            salt: 1,
            excused: false,
            older: false,
            pipe: rustix::pipe::pipe().unwrap(),
            in_pipe: Vec::new(),
            in_flight: Vec::new(),
            is_moved: false,
            is_unsure: false,
        }
    }

    fn opened(&self) -> &Running {
        self.opened.as_ref().unwrap()
    }

    fn fresh(&mut self, len: usize) -> Vec<u8> {
        (0..len)
            .map(|_| {
                self.salt ^= self.salt << 13;
                self.salt ^= self.salt >> 7;
                self.salt ^= self.salt << 17;
                if self.salt.is_multiple_of(23) {
                    b'\n'
                } else {
                    (self.salt >> 11) as u8
                }
            })
            .collect()
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Append {
                bytes,
                by_pipe,
                later,
            } => self.append(bytes, by_pipe, later),
            Step::Deliver { who, percent } => self.deliver(who, percent),
            Step::Deal {
                from,
                percent,
                falls,
            } => self.deal(from, percent, falls),
            Step::Sync => self.sync(),
            Step::Close => {
                faults::spare(Call::Read);
                self.is_unsure = true;
                let closed = self.opened().spool.close(false);
                if let Some(found) = worked(closed) {
                    assert!(found.is_empty(), "{found:?}");
                    self.note_synced();
                }
                self.reopen();
            }
            Step::Kill => {
                self.opened = None;
                self.reopen();
            }
            Step::Fails(ref fails) => faults::set(Some(fails.clone())),
            Step::GivenBack => faults::set(None),
            Step::Moved => self.move_it(),
            Step::PowerCut { seed } => self.power_cut(seed),
            Step::Flip { file, at, bit } => self.hurt(file, |bytes| {
                let at = (at % bytes.len() as u64) as usize;
                bytes[at] ^= 1 << bit;
            }),
            Step::Truncate { file, by } => self.hurt(file, |bytes| {
                bytes.truncate(bytes.len().saturating_sub(by as usize));
            }),
            Step::ZeroState => {
                self.end();
                let zeros = vec![0; fs::read(self.path.join("state")).unwrap().len()];
                fs::write(self.path.join("state"), zeros).unwrap();
                self.older = true;
                self.reopen();
                self.older = false;
                self.sync();
            }
        }
    }

    /// It is killed, and whatever was wrong with the disk is over.
    fn end(&mut self) {
        self.opened = None;
        faults::set(None);
        if self.is_moved {
            self.move_it();
        }
        // The length of the file tells of it.
        self.model.append(&mut self.in_flight);
    }

    fn move_it(&mut self) {
        let away = self.path.with_extension("away");
        let (from, to) = match self.is_moved {
            true => (&away, &self.path),
            false => (&self.path, &away),
        };
        fs::rename(from, to).unwrap();
        self.is_moved = !self.is_moved;
    }

    fn append(&mut self, bytes: usize, by_pipe: bool, later: bool) {
        let arrival = NOW + u64::from(later) * 2_000_000_000;
        let spool = Arc::clone(&self.opened().spool);
        if by_pipe || !self.in_pipe.is_empty() || !self.in_flight.is_empty() {
            return self.append_pipe(&spool, bytes, arrival);
        }
        let text = self.fresh(bytes);
        match worked(spool.append(&text, arrival)) {
            Some(Taken::Bytes(n)) => self.model.extend_from_slice(&text[..n]),
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
            Some(Taken::Bytes(n)) => {
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

    fn took_none(&self, taken: Option<Taken>) {
        match taken {
            None => {}
            Some(Taken::Full(_)) => {
                assert!(faults::are_set() || self.opened().spool.used() > 900 << 10);
            }
            other => panic!("{other:?}"),
        }
    }

    fn check_end(&self) {
        let spool = &self.opened().spool;
        let end = spool.end();
        assert_eq!(end.at, self.model.len() as u64);
        if !self.excused && !self.older {
            let last = memchr::memrchr(b'\n', &self.model);
            let begun = self.model.len() - last.map_or(0, |at| at + 1);
            assert_eq!(end.begun, begun as u64);
        }
        assert!(spool.used() <= self.options.bound);
    }

    fn deliver_all(&mut self) {
        for who in 0..OUTPUTS.len() {
            self.deliver(who, 100);
        }
    }

    fn deliver(&mut self, who: usize, percent: u8) {
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

    fn deal(&mut self, from: u8, percent: u8, falls: bool) {
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

    /// Everything that is owed is there, or is said not to be.
    fn check(&self) {
        let opened = self.opened.as_ref().unwrap();
        // What cannot be read while the disk fails is lost to whoever asks for it then: others have a test of that.
        let paused = faults::pause();
        for place in self.places {
            self.check_from(place, opened);
        }
        faults::set(paused);
    }

    fn check_from(&self, place: u64, opened: &Running) {
        let story = read_all(&opened.spool, &mut Cursor::new(place));
        let mut at = place;
        for (from, bytes) in &story.parts {
            assert!(*from >= at);
            let range = *from as usize..*from as usize + bytes.len();
            assert!(self.model[range] == bytes[..], "other bytes at {from}");
            at = from + bytes.len() as u64;
        }
        let delivered = story.bytes().len() as u64;
        assert_eq!(delivered + story.lost(), self.model.len() as u64 - place);
        if !self.excused {
            assert!(story.gaps.is_empty(), "{:?}", story.gaps);
            assert!(story.unchecked.is_empty(), "{:?}", story.unchecked);
        }
    }

    fn sync(&mut self) {
        // What the disk neither takes nor gives back is lost, and said.
        faults::spare(Call::Read);
        self.is_unsure = true;
        if let Some(found) = worked(self.opened().spool.sync()) {
            assert!(found.is_empty(), "{found:?}");
            self.note_synced();
        }
    }

    fn note_synced(&mut self) {
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

    fn reopen(&mut self) -> Vec<Damage> {
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

    fn power_cut(&mut self, seed: u64) {
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

    fn hurt(&mut self, file: usize, how: impl FnOnce(&mut Vec<u8>)) {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_spool_delivers_what_a_list_would_through_kills_power_cuts_and_damage(
        steps in proptest::collection::vec(step(), 1..40)
    ) {
        let home = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(&home.path().join("q"));
        for step in &steps {
            bench.run(step);
        }
        faults::set(None);
        bench.check();
    }
}
