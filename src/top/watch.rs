//! What is known of all weirs: those that answer, those that do not, and those that have just ended.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::control::client::{self, Peer};
use crate::control::directory::Whose;
use crate::report::figures;
use crate::report::pipeline::{self, Process};
use crate::report::snapshot::Snapshot;
use crate::report::trail::Trail;

/// How long one of them may hold up the picture of the others.
const TIMEOUT: Duration = Duration::from_millis(250);
/// Looks after which the processes are looked at again, if no weir has come or gone.
const STALE: u32 = 10;
/// How long one that has ended stays.
const ENDED: Duration = Duration::from_secs(10);

/// How a weir is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Running,
    /// It does not answer; it may be stopped.
    Silent,
    Ended,
}

/// One weir as it was last seen.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) last: Snapshot,
    pub(super) health: Health,
    ended: Option<Instant>,
}

impl Seen {
    pub(super) fn new(last: Snapshot, health: Health) -> Seen {
        Seen {
            last,
            health,
            ended: None,
        }
    }
}

/// The weirs of one pipeline from head to tail.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// At least one.
    pub(super) weirs: Vec<&'a Seen>,
    /// All that are in it, by their names.
    pub(super) stages: Vec<String>,
    /// What holds them up.
    pub(super) culprit: Option<String>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Watch {
    whose: Whose,
    peers: Vec<Peer>,
    seen: Vec<Seen>,
    /// Those of which nothing is known but that they are there.
    pub(super) strangers: Vec<u32>,
    chains: Vec<Vec<Process>>,
    trails: HashMap<u32, Trail>,
    looks: u32,
    /// Those whose places in the chains are known.
    placed: Vec<u32>,
}

impl Watch {
    /// Nothing is known yet of these weirs.
    pub(super) fn new(whose: Whose) -> Watch {
        Watch {
            whose,
            ..Watch::default()
        }
    }

    pub(super) fn look(&mut self, now: Instant) {
        let known: Vec<u32> = self.peers.iter().map(|peer| peer.pid).collect();
        self.peers
            .extend(client::all_where(self.whose, |pid| !known.contains(&pid)));
        self.peers.sort_by_key(|peer| peer.pid);
        let found = client::statuses(&mut self.peers, TIMEOUT);
        for status in found.statuses {
            self.on_status(status);
        }
        let there: Vec<u32> = self.peers.iter().map(|peer| peer.pid).collect();
        for seen in &mut self.seen {
            let pid = seen.last.pid;
            seen.health = if !there.contains(&pid) {
                seen.ended.get_or_insert(now);
                Health::Ended
            } else if found.silent.contains(&pid) {
                Health::Silent
            } else {
                Health::Running
            };
        }
        self.seen
            .retain(|seen| seen.ended.is_none_or(|ended| now - ended < ENDED));
        self.trails
            .retain(|pid, _| self.seen.iter().any(|seen| seen.last.pid == *pid));
        let is_known = |pid: &u32| self.seen.iter().any(|seen| seen.last.pid == *pid);
        self.strangers = found
            .silent
            .into_iter()
            .filter(|pid| !is_known(pid))
            .collect();
        self.place(&there);
    }

    fn on_status(&mut self, mut now: Snapshot) {
        let trail = self.trails.entry(now.pid).or_default();
        let elapsed = Duration::try_from_secs_f64(now.elapsed_s).unwrap_or_default();
        trail.on(elapsed, now.buffer.used, now.buffer.capacity);
        now.trail = trail.clone();
        let seen = Seen::new(now, Health::Running);
        match self
            .seen
            .iter_mut()
            .find(|other| other.last.pid == seen.last.pid)
        {
            Some(before) => {
                let last = completed(seen.last, Some(&before.last));
                *before = Seen { last, ..seen };
            }
            None => {
                let last = completed(seen.last, None);
                self.seen.push(Seen { last, ..seen });
            }
        }
    }

    /// Finds the pipelines. Where those who have ended stood is remembered.
    fn place(&mut self, there: &[u32]) {
        if there != self.placed || self.looks.is_multiple_of(STALE) {
            let before = std::mem::take(&mut self.chains);
            self.chains = pipeline::chains(&pipeline::processes(), there);
            for seen in self.seen.iter().filter(|seen| seen.health == Health::Ended) {
                let pid = seen.last.pid;
                let mut from = before.iter();
                let at = from.position(|chain| chain.iter().any(|p| p.pid == pid));
                let from = at.map_or(&[][..], |at| &before[at..]);
                insert_where_it_stood(&mut self.chains, from, pid);
            }
            self.placed = there.to_vec();
        }
        self.looks = self.looks.wrapping_add(1);
    }

    /// The pipelines: their weirs from head to tail, and what holds each up.
    pub(super) fn groups(&self) -> Vec<Group<'_>> {
        let running = self.seen.iter().filter(|seen| seen.health != Health::Ended);
        let statuses: Vec<Snapshot> = running.map(|seen| seen.last.clone()).collect();
        let of = |pid| self.seen.iter().find(|seen| seen.last.pid == pid);
        let group = |chain: &Vec<Process>| Group {
            weirs: chain.iter().filter_map(|process| of(process.pid)).collect(),
            stages: chain
                .iter()
                .map(|process| match of(process.pid) {
                    Some(weir) => pipeline::label(&weir.last),
                    None => process.name.clone(),
                })
                .collect(),
            culprit: pipeline::culprit(chain, &statuses),
        };
        let groups = self.chains.iter().map(group);
        groups.filter(|group| !group.weirs.is_empty()).collect()
    }
}

/// Puts one who has ended back among those who were in its pipeline and are still there, else in
/// one of its own, above those that stood below. `from` are its pipeline and those below it as they were.
fn insert_where_it_stood(chains: &mut Vec<Vec<Process>>, from: &[Vec<Process>], pid: u32) {
    let alone = || Process {
        pid,
        ..Process::default()
    };
    let (Some((old, below)), false) = (
        from.split_first(),
        chains.iter().flatten().any(|p| p.pid == pid),
    ) else {
        if !chains.iter().flatten().any(|p| p.pid == pid) {
            chains.push(vec![alone()]);
        }
        return;
    };
    let place = old.iter().position(|p| p.pid == pid).unwrap_or(0);
    let own = old[place].clone();
    for chain in &mut *chains {
        // Behind the nearest that stood before it, or before the nearest that stood behind it.
        let at = |other: &Process| chain.iter().position(|p| p.pid == other.pid);
        if let Some(before) = old[..place].iter().rev().find_map(at) {
            chain.insert(before + 1, own);
            return;
        }
        if let Some(behind) = old[place + 1..].iter().find_map(at) {
            chain.insert(behind, own);
            return;
        }
    }
    let stood_below = |chain: &Vec<Process>| {
        let mut pids = below.iter().flatten().map(|p| p.pid);
        pids.any(|pid| chain.iter().any(|p| p.pid == pid))
    };
    let at = chains.iter().position(stood_below);
    chains.insert(at.unwrap_or(chains.len()), vec![own]);
}

/// Says what the schema leaves to its readers: rates of records, and how much is done.
fn completed(mut s: Snapshot, before: Option<&Snapshot>) -> Snapshot {
    if let Some(before) = before {
        let span = s.elapsed_s - before.elapsed_s;
        let rate = |now: Option<u64>, before: Option<u64>| {
            let n = now?.saturating_sub(before?);
            (span > 0.0).then(|| n as f64 / span)
        };
        s.input.records_rate = rate(s.input.records, before.input.records);
        s.out.records_rate = rate(s.out.records, before.out.records);
    }
    // With records it is not said which of the two is counted.
    if let (Some(size), None) = (s.size, s.out.records) {
        let done = s.out.bytes.saturating_add(s.shed.bytes);
        s.percent = Some(figures::percent(done, size));
        s.progress = Some((done, size));
    }
    s
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(pids: &[u32]) -> Vec<Process> {
        let process = |pid: &u32| Process {
            pid: *pid,
            ..Process::default()
        };
        pids.iter().map(process).collect()
    }

    #[test]
    fn one_that_has_ended_stays_where_it_stood() {
        for (now, old, pid, then) in [
            (
                &[&[1, 2, 4][..]][..],
                &[1, 2, 3, 4][..],
                3,
                &[&[1, 2, 3, 4][..]][..],
            ),
            (&[&[9], &[2, 4]], &[1, 2, 4], 1, &[&[9], &[1, 2, 4]]),
            (&[&[9], &[1]], &[1, 2, 3], 3, &[&[9], &[1, 3]]),
            (&[&[9]], &[1, 2], 2, &[&[9], &[2]]),
            (&[&[1, 2]], &[1, 2], 2, &[&[1, 2]]),
        ] {
            let mut chains: Vec<_> = now.iter().map(|pids| chain(pids)).collect();
            insert_where_it_stood(&mut chains, &[chain(old)], pid);
            let expected: Vec<_> = then.iter().map(|pids| chain(pids)).collect();
            assert_eq!(chains, expected, "{pid}");
        }
        let mut chains = vec![chain(&[1])];
        insert_where_it_stood(&mut chains, &[], 7);
        assert_eq!(chains, [chain(&[1]), chain(&[7])]);
        // Alone in its pipeline, with others above and below.
        let mut chains = vec![chain(&[1]), chain(&[5, 6]), chain(&[9])];
        insert_where_it_stood(&mut chains, &[chain(&[3]), chain(&[4, 6])], 3);
        let expected = [chain(&[1]), chain(&[3]), chain(&[5, 6]), chain(&[9])];
        assert_eq!(chains, expected);
    }
}
