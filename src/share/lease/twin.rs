//! The store in numbers: what `lease.lua` does, without its words, on a made-up clock.
//!
//! Invariant: it answers as the script does, which a test beside `store.rs` holds against a real `redis-server`.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What the store knows of a member.
struct Lease {
    wants: Option<u64>,
    /// What it may be going by.
    may: u64,
    ends: u64,
}

/// The script, without its words.
pub(crate) struct Store {
    members: BTreeMap<usize, Lease>,
    ends: BTreeSet<(u64, usize)>,
    content: u64,
    hungry: u64,
    given: u64,
    born: u64,
    floor: u64,
    pub(crate) calls: u64,
}

impl Store {
    pub(crate) fn new(born: u64) -> Store {
        Store {
            members: BTreeMap::new(),
            ends: BTreeSet::new(),
            content: 0,
            hungry: 0,
            given: 0,
            born,
            floor: 1,
            calls: 0,
        }
    }

    pub(crate) fn forget(&mut self, who: usize) {
        if let Some(lease) = self.members.remove(&who) {
            match lease.wants {
                None => self.hungry -= 1,
                Some(wants) => self.content -= wants,
            }
            self.given -= lease.may;
            self.ends.remove(&(lease.ends, who));
        }
    }

    /// Times are in milliseconds.
    pub(crate) fn ask(&mut self, who: usize, question: &Question, now: u64) -> Answer {
        self.calls += 1;
        let over = self.ends.range(..(now + 1, 0)).take(100);
        for (_, who) in over.copied().collect::<Vec<_>>() {
            self.forget(who);
        }
        let is_new = !self.members.contains_key(&who);
        self.forget(who);
        let n = self.members.len() as u64 + 1;
        if is_new && (question.has > 0 || n == 1 && question.members > 1) {
            if now >= self.born + 1000 {
                self.floor = 1;
            }
            (self.born, self.floor) = (now, self.floor.max(question.members));
        }
        let level = ((ALL - self.content.min(ALL)) / (self.hungry + 1)).max(ALL / n);
        let interval = (n.div_ceil(5)).max(100);
        let wants = question.wants.filter(|wants| *wants <= level);
        let mut part = match wants {
            None => {
                self.hungry += 1;
                level
            }
            Some(wants) => {
                self.content += wants;
                let rest = ALL.saturating_sub(self.content) / n;
                wants
                    + if self.hungry == 0 && wants > 0 {
                        rest
                    } else {
                        0
                    }
            }
        };
        if question.members > 1 {
            self.floor = self.floor.max(question.members);
        }
        if now < self.born + 1000 {
            part = part.min(ALL / self.floor);
        }
        part = part.min(ALL.saturating_sub(self.given));
        let may = part.max(question.has);
        self.given += may;
        let millis = |time: Duration| time.as_nanos().div_ceil(1_000_000) as u64;
        let lease = 5 * interval.max(millis(question.interval));
        let ends = now + lease.max(millis(question.left)) + 1;
        self.ends.insert((ends, who));
        self.members.insert(who, Lease { wants, may, ends });
        Answer {
            parts: part,
            interval: Duration::from_millis(interval),
            members: n,
            rules: None,
            begins: false,
        }
    }
}
