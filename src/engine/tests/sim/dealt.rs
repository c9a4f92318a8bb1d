//! What workers are still owed of a stream that outlives the run, by a plain list of its parts: nothing is given that
//! somebody else has been given, and what is taken back is what was given and not dealt with.

use std::ops::Range;

use super::{Left, Sim, World};
use crate::engine::disk::{Inherited, Owed};
use crate::engine::drive::Access;
use crate::engine::record::Cursor;
use crate::engine::ticket::Stretch;

/// What they are owed at first; the last part has no end.
pub(super) fn owed(left: &Inherited) -> Vec<Range<u64>> {
    let parts = left
        .parts
        .iter()
        .filter(|(_, owed)| *owed == Owed::Consumer);
    let mut owed: Vec<_> = parts.map(|(it, _)| it.from..it.to).collect();
    owed.push(left.end..u64::MAX);
    join(&mut owed);
    owed
}

/// Those that touch are one.
fn join(parts: &mut Vec<Range<u64>>) {
    parts.sort_by_key(|part| part.start);
    parts.dedup_by(|next, part| {
        let touch = next.start <= part.end;
        part.end = if touch {
            part.end.max(next.end)
        } else {
            part.end
        };
        touch
    });
}

impl World {
    /// This was written to a worker's program.
    pub(super) fn on_dealt(&mut self, part: &Stretch) {
        let given = part.from..part.to;
        self.check_stretch(part);
        let is_it = |it: &&mut Range<u64>| it.start <= given.start && given.end <= it.end;
        let found = self.undelivered.iter_mut().find(is_it);
        let whole = found.expect("given to somebody else already");
        let rest = given.end..whole.end;
        whole.end = given.start;
        self.undelivered.push(rest);
        self.undelivered.retain(|it| !it.is_empty());
        self.undelivered.sort_by_key(|it| it.start);
    }

    /// This is what lies there.
    fn check_stretch(&self, part: &Stretch) {
        let before = |at: u64| {
            let mut cursor = Cursor::new(self.s.rules.framing);
            let ended = cursor.pass(&self.disk[..at as usize]).ended;
            (ended, cursor.depth())
        };
        // Seldom, for all that came is looked at.
        if self.rng.is_multiple_of(7) || self.disk.len() < 1000 {
            let behind = (part.before + part.records, part.depths[1]);
            assert_eq!(before(part.from), (part.before, part.depths[0]), "{part:?}");
            assert_eq!(before(part.to), behind, "behind {part:?}");
        }
    }

    /// These parts are owed again.
    fn on_left(&mut self, parts: &[Stretch]) {
        for part in parts {
            self.check_stretch(part);
            let back = part.from..part.to;
            let apart = |it: &Range<u64>| it.end <= back.start || back.end <= it.start;
            assert!(self.undelivered.iter().all(apart), "it was never given");
            self.undelivered.push(back);
        }
        join(&mut self.undelivered);
    }

    /// What they are owed of what has come.
    pub(super) fn owed_to_workers(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        let end = self.disk.len() as u64;
        let parts = self.undelivered.iter();
        let parts = parts.map(move |it| it.start..it.end.min(end));
        parts.filter(|it| it.start < it.end)
    }

    /// The same for the next run: whoever has begun a record begins it again, where that was killed.
    pub(super) fn leave_to_workers(&self, mut left: Left) -> Left {
        let end = self.disk.len() as u64;
        let mut parts = Vec::new();
        for part in self.owed_to_workers() {
            let mut cursor = Cursor::new(self.s.rules.framing);
            let before = cursor.pass(&self.disk[..part.start as usize]).ended;
            let begun = cursor.depth();
            let records = cursor.pass(&self.disk[part.start as usize..part.end as usize]);
            let stretch = Stretch {
                from: part.start,
                to: part.end,
                depths: [begun, cursor.depth()],
                before,
                records: records.ended,
                is_open: false,
            };
            parts.push((stretch, Owed::Consumer));
        }
        let others = left.inherited.parts.into_iter();
        let others = others.filter(|(_, owed)| *owed != Owed::Consumer);
        let last = parts.last().filter(|(it, _)| it.to == end);
        let mut cursor = Cursor::new(self.s.rules.framing);
        let all = cursor.pass(&self.disk).ended;
        left.inherited.next = last.map_or((end, all, cursor.depth()), |(it, _)| {
            (it.from, it.before, it.depths[0])
        });
        left.inherited.parts = parts.into_iter().chain(others).collect();
        left
    }
}

impl Sim {
    /// A worker was emptied: what it leaves is written down before anybody else can be given it.
    pub(super) fn give_back_what_was_left(&mut self) {
        let Some((j, unread, lost)) = self.world.emptied.take() else {
            return;
        };
        if !self.world.s.rules.outlives {
            return;
        }
        let left = self
            .core
            .update_and_wake(|engine, now| engine.left_by(j, unread, now));
        self.wake();
        let parts = left.unwrap_or_default();
        let bytes: u64 = parts.iter().map(|it| it.to - it.from).sum();
        // Of a record whose rest has no room on the disk the beginning is not kept.
        let disk = &self.world.adversity.disk;
        let may_lack = disk.full.is_some() || disk.bound < u64::MAX;
        let is_short = bytes < lost && lost - bytes <= self.longest as u64;
        assert!(bytes == lost || may_lack && is_short, "{bytes} of {lost}");
        self.world.forgone += lost - bytes;
        self.world.on_left(&parts);
    }

    /// The run is over: what those have not read who were put down is kept for the next one, unless that was killed.
    pub(super) fn take_back_last(&mut self) {
        for j in 0..self.world.workers.len() {
            if !self.world.s.rules.outlives || self.world.random().is_multiple_of(2) {
                continue;
            }
            let unread = self.world.lies_with(j);
            let left = self
                .core
                .update_and_wake(|engine, now| engine.left_by(j, unread, now));
            self.world.on_left(&left.unwrap_or_default());
            self.core
                .update_and_wake(|engine, now| engine.take_back_last(j, unread, now));
            self.wake();
        }
    }
}
