//! What must hold after every step.

use super::*;

impl Sim {
    pub(super) fn used(&self) -> usize {
        self.core.engine.borrow().books(self.world.now).buffer.used
    }

    /// What holds after every step, but for what is between a call of the system and its telling.
    pub(super) fn check(&self) {
        let engine = self.core.engine.borrow();
        let status = engine.books(self.world.now);
        let used = status.buffer.used as u64;
        let owed = status.read.bytes - status.written.bytes - status.shed.total.bytes;
        let is_alone = self.world.sides.is_empty();
        assert!(owed == used || owed < used && !is_alone, "the books");
        for (side, plan) in engine
            .side_status(self.world.now)
            .iter()
            .zip(&self.world.sides)
        {
            let gone = side.written.bytes + side.dropped.bytes;
            let read = status.read.bytes - self.world.came_before + side.inherited.bytes;
            assert_eq!(read, gone + side.owed, "the books of {plan:?}");
            if let Role::Tap(share) = plan.role {
                // What has begun to leave is what was claimed, or passed at once.
                let rest = self.longest.min(self.world.pipe) as u64;
                let most = 2 * share + rest;
                assert!(side.owed <= most, "{} are owed to {plan:?}", side.owed);
            }
        }
        let came = self.world.inherited.end as usize + self.world.taken;
        assert!(status.read.bytes <= came as u64);
        if self.world.s.rules.outlives {
            let place = self.world.owed_from();
            let has_workers = self.world.s.rules.workers.is_some();
            let is_stream = self.world.s.rules.batch.is_none() && !has_workers;
            let owed = self.world.owed_to_workers();
            let owed: u64 = owed.map(|it| it.end - it.start).sum();
            let gone = self.world.handed() as u64 + self.world.forgone;
            let all = self.world.came_before + self.world.taken as u64;
            assert!(!has_workers || owed + gone == all, "{owed} {gone} {all}");
            let written = self.world.base + self.world.out.output.len() as u64;
            let remembered = self.world.remembered.0;
            assert!(!is_stream || remembered == written, "what is remembered");
            for (k, plan) in self.world.sides.iter().enumerate() {
                let got: usize = self.world.out.sides[k].iter().map(Vec::len).sum();
                let written = self.world.tee_bases.get(k).map_or(0, |it| it.0) + got as u64;
                let is_it = || self.world.tees[k].0 == written;
                assert!(plan.role != Role::Tee || is_it(), "a tee is remembered");
            }
            assert_eq!(
                self.world.disk.len(),
                came,
                "what has come lies on the disk"
            );
            assert!(
                self.world.floor <= place,
                "given back before it was delivered"
            );
        }
        let is_told = self.world.untold.is_empty();
        let gone = self.world.handed() as u64 + self.world.forgone;
        assert!(!is_told || status.written.bytes <= gone);
        engine.check_workers();
        self.check_jobs();
        assert!(
            status.buffer.used <= status.buffer.high.max(self.held),
            "held more than the high mark"
        );
        if let Err(e) = engine.check_sleepers(self.world.now) {
            panic!("{e}");
        }
        engine.check_memory();
        engine.check_lanes(self.world.rng.is_multiple_of(61));
        engine.check_lookers();
        // What those who look held is the buffer's for a while when they have gone.
        let looks = &self.world.adversity.lookers;
        if looks.iter().all(Option::is_none) {
            // What fills its pipe, what is being written, and the record that it has begun.
            let capacity = self.world.s.rules.capacity;
            engine.check_places(self.world.pipe + capacity + self.longest);
        }
    }
}
