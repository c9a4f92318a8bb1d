//! What all weirs on one terminal have to show: a line each, in the order of their pipelines.
//!
//! There is no daemon and no leader. Each weir keeps its own line in a small file of its user's,
//! one for each terminal; whoever finds the picture old when its own line is due draws all of it.
//! So as many weirs as there may be draw as often as one would, and if one is killed, the next
//! that is due goes on, and leaves out who is dead.
//!
//! Invariants: the file is only ever read and written under its lock, which the system takes from a
//! process that dies; what cannot be understood in it counts for nothing, since every weir tells
//! its line again at its next report. What is to be printed is lost to nobody: whoever wants it printed
//! looks on until somebody says that it has been, and prints it in the end itself.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// The most lines that are kept; nobody reads more.
const MOST: usize = 64;
/// Between two tries to get the lock.
const PAUSE: Duration = Duration::from_millis(1);
/// After so long without a word from a weir it is worth a look whether it lives.
const SILENCE_MS: u64 = 500;

/// The line of one weir.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Slot {
    pub(super) pid: u32,
    /// When the system says that this process began, to tell it from a later one of its number.
    pub(super) born: Option<u64>,
    /// When it first had something to show, in the clock's milliseconds.
    pub(super) since: u64,
    /// When it last said so.
    pub(super) at: u64,
    /// Time between two of its reports, in milliseconds.
    pub(super) every: u64,
    /// Columns of its name.
    pub(super) names: usize,
    pub(super) line: String,
    /// It has ended, and this is to be printed when those before it in its pipeline have.
    pub(super) summary: Option<String>,
    /// Its pipeline, called by the first weir in it, and its place there.
    pub(super) pipeline: u32,
    pub(super) place: usize,
}

/// All of them.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Board {
    /// When the picture was drawn, in the clock's milliseconds.
    pub(super) drawn: u64,
    pub(super) slots: Vec<Slot>,
    /// Whose places are known.
    placed: Vec<u32>,
    /// Those whose words somebody has printed, until they have noticed.
    #[serde(default)]
    told: Vec<u32>,
    /// What the terminal was known by that all this is about; a later one may be called the same.
    #[serde(default)]
    terminal: Option<String>,
}

impl Board {
    /// This is what a weir has to show now.
    pub(super) fn put(&mut self, slot: Slot) {
        let has_room = self.slots.len() < MOST;
        self.told.retain(|told| *told != slot.pid);
        match self.slots.iter_mut().find(|other| other.pid == slot.pid) {
            Some(own) => {
                *own = Slot {
                    since: own.since,
                    pipeline: own.pipeline,
                    place: own.place,
                    ..slot
                }
            }
            None if has_room => {
                let pipeline = slot.pid;
                self.slots.push(Slot { pipeline, ..slot });
                self.sort();
            }
            None => {}
        }
    }

    /// It has nothing to show any more. Whether it had.
    pub(super) fn remove(&mut self, pid: u32) -> bool {
        let before = self.slots.len();
        self.slots.retain(|slot| slot.pid != pid);
        self.slots.len() < before
    }

    /// Columns that the longest name takes.
    pub(super) fn names(&self) -> usize {
        self.slots.iter().map(|slot| slot.names).max().unwrap_or(0)
    }

    /// Whether it is time for a new picture, for somebody whose reports are so far apart.
    pub(super) fn is_due(&self, now: u64, every: u64) -> bool {
        now.saturating_sub(self.drawn).saturating_mul(4) >= every.saturating_mul(3)
    }

    /// Whether a weir has been silent for so long that it may be stopped, or dead.
    pub(super) fn is_silent(slot: &Slot, now: u64) -> bool {
        // What is in the file may be anything.
        let silence = slot.every.saturating_mul(2).saturating_add(SILENCE_MS);
        slot.summary.is_none() && slot.at.saturating_add(silence) < now
    }

    /// Leaves out those that have been silent and are dead. Whether there were any.
    pub(super) fn reap(&mut self, now: u64, is_alive: impl Fn(&Slot) -> bool) -> bool {
        let before = self.slots.len();
        self.slots
            .retain(|slot| !Board::is_silent(slot, now) || is_alive(slot));
        self.slots.len() < before
    }

    /// Whether the places of all weirs are known.
    pub(super) fn is_in_order(&self) -> bool {
        let mut running = self.slots.iter().filter(|slot| slot.summary.is_none());
        running.all(|slot| self.placed.contains(&slot.pid))
    }

    /// Those that run.
    pub(super) fn running(&self) -> Vec<u32> {
        let running = self.slots.iter().filter(|slot| slot.summary.is_none());
        running.map(|slot| slot.pid).collect()
    }

    /// Puts the weirs in the order of these pipelines, each from its head to its tail.
    pub(super) fn order(&mut self, chains: &[Vec<u32>]) {
        self.placed = self.running();
        for slot in &mut self.slots {
            let place = |chain: &Vec<u32>| chain.iter().position(|pid| *pid == slot.pid);
            let found = chains.iter().find_map(|chain| Some((chain, place(chain)?)));
            if let Some((chain, place)) = found {
                let weirs = chain.iter().find(|pid| self.placed.contains(pid));
                slot.pipeline = weirs.copied().unwrap_or(slot.pid);
                slot.place = place;
            }
        }
        self.sort();
    }

    /// The pipeline that was there first is above.
    fn sort(&mut self) {
        let begun = |pipeline| {
            let members = self.slots.iter().filter(|slot| slot.pipeline == pipeline);
            members.map(|slot| slot.since).min()
        };
        let mut keyed: Vec<_> = self
            .slots
            .iter()
            .map(|slot| (begun(slot.pipeline), slot.pipeline, slot.place, slot.pid))
            .zip(self.slots.clone())
            .collect();
        keyed.sort_by_key(|(key, _)| *key);
        self.slots = keyed.into_iter().map(|(_, slot)| slot).collect();
    }

    /// What those who have ended want to be printed, in the order of the pipelines: each when all
    /// before it in its pipeline have ended. They are left out from then on.
    pub(super) fn told(&mut self) -> Vec<String> {
        let mut waiting: Vec<u32> = Vec::new();
        self.take(|slot| {
            if slot.summary.is_none() {
                waiting.push(slot.pipeline);
            }
            !waiting.contains(&slot.pipeline)
        })
    }

    /// The same of this weir and of those before it in its pipeline that have ended, though others
    /// run on. Nothing, where it has nothing here that waits.
    pub(super) fn told_anyway(&mut self, pid: u32) -> Vec<String> {
        let own = self.slots.iter().find(|slot| slot.pid == pid);
        let Some((pipeline, place)) = own
            .filter(|own| own.summary.is_some())
            .map(|own| (own.pipeline, own.place))
        else {
            return Vec::new();
        };
        self.take(|slot| slot.pipeline == pipeline && slot.place <= place)
    }

    /// Takes what those have to say whose turn it is, and lets them know.
    fn take(&mut self, mut is_turn: impl FnMut(&Slot) -> bool) -> Vec<String> {
        let mut taken = Vec::new();
        let told = &mut self.told;
        self.slots.retain(|slot| {
            let is_turn = is_turn(slot);
            let Some(summary) = slot.summary.as_ref().filter(|_| is_turn) else {
                return true;
            };
            taken.push(summary.clone());
            told.push(slot.pid);
            false
        });
        let too_many = told.len().saturating_sub(MOST);
        told.drain(..too_many);
        taken
    }

    /// It has ended, and wants this to be printed when its turn has come.
    pub(super) fn hand_over(&mut self, pid: u32, summary: &str, now: u64) {
        if let Some(own) = self.slots.iter_mut().find(|slot| slot.pid == pid) {
            (own.at, own.summary) = (now, Some(summary.to_owned()));
        }
    }

    /// Whether what this weir has handed over has been printed since. It is told so once.
    pub(super) fn is_told(&mut self, pid: u32) -> bool {
        let before = self.told.len();
        self.told.retain(|told| *told != pid);
        self.told.len() < before
    }
}

/// The way to the board.
#[derive(Debug)]
pub(super) struct Shared {
    /// Nowhere: then a weir is alone.
    path: Option<PathBuf>,
    /// What tells the terminal from an earlier one of its name, as far as that can be told.
    mark: Mark,
    alone: Board,
}

/// What is asked for that each time, for a change of modes makes it another.
type Mark = fn() -> Option<String>;

impl Shared {
    /// The board of the terminal that is called so, in that directory.
    pub(super) fn new(directory: Option<&Path>, terminal: &str, mark: Mark) -> Shared {
        Shared {
            path: directory.map(|path| path.join(format!("terminal-{terminal}.2"))),
            mark,
            alone: Board::default(),
        }
    }

    /// Works on the board while nobody else does. `None`: somebody else has it, and for longer
    /// than the wait.
    pub(super) fn with<R>(
        &mut self,
        wait: Duration,
        work: impl FnOnce(&mut Board) -> R,
    ) -> Option<R> {
        let Some(path) = &self.path else {
            return Some(work(&mut self.alone));
        };
        let file = match locked(path, Instant::now() + wait) {
            Ok(Some(file)) => file,
            Ok(None) => return None,
            // It cannot be shared, so it is not.
            Err(_) => return Some(work(&mut self.alone)),
        };
        let mark = (self.mark)();
        let board = read(&file).filter(|board| board.terminal == mark);
        let mut board = board.unwrap_or_else(|| Board {
            terminal: mark,
            ..Board::default()
        });
        let done = work(&mut board);
        if board.slots.is_empty() && board.told.is_empty() {
            let _ = fs::remove_file(path);
        } else {
            // Whoever cannot read it will begin anew.
            let _ = write(&file, &board);
        }
        Some(done)
    }
}

/// The file under its lock.
fn locked(path: &Path, until: Instant) -> io::Result<Option<File>> {
    loop {
        let mut open = fs::OpenOptions::new();
        let open = open.read(true).write(true).create(true).mode(0o600);
        // Not through a link.
        let file = open.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let file = file.open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // Who had it before may have removed it.
            Ok(()) if file.metadata()?.nlink() > 0 => return Ok(Some(file)),
            Ok(()) => continue,
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        thread::sleep(PAUSE);
    }
}

fn read(mut file: &File) -> Option<Board> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write(mut file: &File, board: &Board) -> io::Result<()> {
    let text = serde_json::to_vec(board).map_err(io::Error::other)?;
    file.rewind()?;
    file.write_all(&text)?;
    file.set_len(text.len() as u64)
}

#[cfg(test)]
mod tests;
