//! Which parts of a stream that outlives the run several who take from it side by side are given, and leave when they
//! fall: with the numbers of the records in them, so that another run can go on there.

use std::ops::Range;
use std::time::Instant;

use super::state::Engine;
use super::ticket::{Origin, Stretch};
use super::workers::Life;

impl Engine {
    /// Where this place lies, of which something is to be written by this worker; and how many bytes there are in one
    /// piece with it.
    pub(super) fn origin_of(&mut self, j: usize, place: u64) -> Option<(Origin, u64)> {
        let (at, most) = self.log.stored_at(place).filter(|_| self.outlives())?;
        // What others were given last is a short way before it.
        let marks = self.workers.iter().flat_map(|it| &it.list);
        let marks = marks.filter_map(|it| it.mark);
        let known = marks.filter(|mark| mark.0 <= place).max();
        let before = self.log.records_before(place, known);
        self.worker_mut(j).mark = Some((place, before));
        let depth = self.log.depth_of(place);
        let origin = Origin { at, before, depth };
        Some((origin, most))
    }

    /// What this worker's program, which is gone or reads no more, has left of what it was given: so much lay unread in its
    /// pipe. It is about to be taken back. It is nothing where it has read all there was for it to the end of the
    /// input, which may be inside of a record. `None`: that is known already.
    pub(crate) fn left_by(&mut self, j: usize, unread: u64, now: Instant) -> Option<Vec<Stretch>> {
        let it = self.worker(j);
        let has_read_all = it.is_fed && unread == 0 && !it.is_deaf;
        if it.life != Life::Up || it.is_writing || it.is_empty {
            return None;
        }
        if has_read_all {
            return self.source.is_over.then(Vec::new);
        }
        self.on_worker_read(j, unread, now);
        let given = self.worker(j).given.runs();
        let parts = given.filter_map(|run| self.stretch_of(run)).collect();
        self.update(now);
        Some(parts)
    }

    fn stretch_of(&self, run: &Range<u64>) -> Option<Stretch> {
        let (from, _) = self.log.stored_at(run.start)?;
        let depth = self.log.depth_of(run.start);
        let behind = self.log.depth_behind(run.start, depth, run.end);
        Some(Stretch {
            from,
            to: from + (run.end - run.start),
            depths: [depth, behind],
            before: self.log.records_before(run.start, None),
            records: self.log.records(run),
            is_open: false,
        })
    }
}
