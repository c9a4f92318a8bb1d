//! A spool against a plain list of bytes: appends, reads, places of a consumer and a tee, kills, power cuts, damage, a
//! disk that fails for a while or is read-only, and a directory that is moved away and back, in any order. Whatever
//! happens, what is delivered to each is what was appended at that place, in order; what is not delivered is said; and
//! nothing is lost but by damage and power cuts.

mod acts;
mod crash;
mod steps;

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::damage::Damage;
use super::super::dealt::Dealt;
use super::super::error::DiskError;
use super::super::journal::Journal;
use super::super::reader::Cursor;
use super::super::ready::Opened;
use super::super::spool::{Spool, SpoolOptions};
use super::super::state::Place;
use super::super::sys::Call;
use super::{faults, open, read_all, small};
use steps::{Step, step};

/// Those for whom it is kept: the consumer, and a tee.
const OUTPUTS: [&str; 2] = ["stdout", "/a/tee"];

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
    /// Where the stream ended after the last accident, and where the record begins that goes on there.
    begun: (usize, usize),
    /// What lies in the pipe, and what was moved from there by a call that failed then.
    pipe: (OwnedFd, OwnedFd),
    in_pipe: Vec<u8>,
    in_flight: Vec<u8>,
    is_moved: bool,
    /// A sync has failed, and may have forced something to the disk before that.
    is_unsure: bool,
}

impl Bench {
    fn new(path: &Path, held_most: usize) -> Bench {
        let options = SpoolOptions {
            held_most,
            ..small()
        };
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
            begun: (0, 0),
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
            Step::Over { closes } => self.over(closes),
            Step::Close => {
                faults::spare(Call::Read);
                self.is_unsure = true;
                let closed = self.opened().spool.close(false, u64::MAX);
                let closed = match self.in_flight.is_empty() {
                    true => worked(closed),
                    // What could not be read back may be told of once more.
                    false => closed.ok(),
                };
                if closed.is_some() {
                    assert_eq!(self.opened().spool.take_found(), []);
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
                self.note_begun();
                self.older = false;
                self.sync();
            }
        }
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
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_spool_delivers_what_a_list_would_through_kills_power_cuts_and_damage(
        steps in proptest::collection::vec(step(), 1..40),
        held_most in prop_oneof![Just(1), Just(32)],
    ) {
        let home = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(&home.path().join("q"), held_most);
        for step in &steps {
            bench.run(step);
        }
        faults::set(None);
        bench.check();
    }
}
