//! The world: pipes, neighbours and a disk, as they are at an instant.

use super::*;

impl World {
    pub(super) fn random(&mut self) -> u64 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        self.rng
    }

    /// Whether nothing more comes, and all that came was taken.
    pub(super) fn has_input_ended(&self) -> bool {
        self.producer_is_done() && self.waiting() == 0
    }

    pub(super) fn is_dead(&self) -> bool {
        let dies = self.adversity.dies;
        self.is_deaf || dies.is_some_and(|at| self.now >= self.start + at)
    }

    pub(super) fn producer_is_done(&self) -> bool {
        self.offers_left == 0 && self.entered == self.offered
    }

    pub(super) fn room(&self) -> usize {
        let room = self.pipe - self.lying;
        match self.adversity.sizes {
            // The kernel's has room while a page of it is free.
            true if room < PAGE => 0,
            _ => room,
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.entered - self.taken
    }

    pub(super) fn has_input(&self) -> bool {
        self.waiting() > 0 || self.producer_is_done()
    }

    /// So many bytes leave the pipe from the producer.
    pub(super) fn take(&mut self, n: usize) {
        self.taken += n;
        if n > 0 {
            self.promises.on_taken();
            self.out.took.push((self.now - self.start, n));
        }
    }

    /// Puts bytes into the pipe to the consumer; as many as there is room for.
    pub(super) fn put(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.room());
        self.lying += n;
        self.out.output.extend_from_slice(&bytes[..n]);
        if n > 0 {
            self.promises.on_given();
            self.out.passed.push((self.now - self.start, n));
        }
        n
    }

    /// Whether this tee or tap has room now.
    pub(super) fn has_room(&self, who: usize) -> bool {
        let now = self.now - self.start;
        let stalls = self.sides[who - SIDES].stalls;
        self.is_gone(who) || !stalls.is_some_and(|(from, to)| (from..to).contains(&now))
    }

    /// Whether it has died, and nobody else has come.
    pub(super) fn is_gone(&self, who: usize) -> bool {
        let now = self.now - self.start;
        let dies = self.sides[who - SIDES].dies;
        dies.is_some_and(|(from, to)| (from..to).contains(&now))
    }

    /// What this tee or tap takes.
    pub(super) fn take_side(&mut self, who: usize, write: &Write) -> io::Result<Option<usize>> {
        if self.is_gone(who) {
            return Err(io::ErrorKind::BrokenPipe.into());
        } else if !self.has_room(who) {
            return Ok(None);
        }
        let mut bytes: Vec<u8> = write.slices().collect::<Vec<_>>().concat();
        let mut n = 1 + self.random() as usize % bytes.len();
        if matches!(self.sides[who - SIDES].role, Role::Tap(_)) {
            let whole = write.whole_within(n).concat();
            let is_torn = write.run(whole.len()).cursor.is_inside();
            let all = write.run(bytes.len().min(n));
            assert!(!is_torn || all.tally.ended == 0, "torn");
            (n, bytes) = (whole.len(), whole);
        }
        self.give_side(who, &bytes[..n]);
        Ok(Some(n))
    }

    pub(super) fn give_side(&mut self, who: usize, bytes: &[u8]) {
        self.promises.on_given_to_side(self.sides[who - SIDES].role);
        if std::mem::take(&mut self.away[who - SIDES]) {
            self.out.sides[who - SIDES].push(Vec::new());
        }
        let got = self.out.sides[who - SIDES].last_mut().expect("it is there");
        got.extend_from_slice(bytes);
    }

    /// Whether it has come to look, and has gone.
    pub(super) fn has_left(&self, who: usize) -> bool {
        let is_looker = |plan: &SidePlan| matches!(plan.role, Role::Looker(_));
        who >= SIDES && is_looker(&self.sides[who - SIDES]) && self.is_gone(who)
    }

    /// Bytes that there is room for on the disk.
    pub(super) fn disk_room(&self) -> Result<usize, NoRoom> {
        let now = self.now - self.start;
        let disk = &self.adversity.disk;
        if disk
            .full
            .is_some_and(|(from, to)| (from..to).contains(&now))
        {
            return Err(NoRoom {
                by: FilledBy::Others,
                floor: self.told_floor,
            });
        }
        let left = (disk.bound + self.floor).saturating_sub(self.disk.len() as u64);
        match left as usize {
            0 => Err(NoRoom {
                by: if disk.others_stay {
                    FilledBy::Others
                } else if disk.is_ours {
                    FilledBy::Ours
                } else {
                    FilledBy::Bound
                },
                floor: self.told_floor,
            }),
            room => Ok(room),
        }
    }

    /// Puts this on the disk, or a part of it alone: where it begins there, if it is there.
    pub(super) fn put_on_disk(&mut self, bytes: &[u8], is_torn: bool) -> Option<u64> {
        self.now += self.adversity.disk.slow;
        let at = self.disk.len() as u64;
        let n = match self.adversity.disk.tears.filter(|_| is_torn) {
            Some(n) => (n as usize * 7) % bytes.len(),
            None => bytes.len(),
        };
        self.disk.extend_from_slice(&bytes[..n]);
        (!is_torn).then_some(at)
    }

    /// What is before this offset is given back, in whole pieces. Says whether there was anything.
    pub(super) fn give_back(&mut self, floor: u64) -> bool {
        assert!(floor <= self.disk.len() as u64, "a floor that is not there");
        let floor = match self.s.rules.outlives {
            // What is lost to the file for what is shed stays there for another run.
            true => floor.min(self.owed_from()).max(self.floor),
            false => floor,
        };
        assert!(floor >= self.floor, "the floor goes back");
        let piece = (self.adversity.disk.bound / 16).max(1);
        let before = std::mem::replace(&mut self.floor, floor / piece * piece);
        self.floor > before
    }

    /// Whether who is about this can act.
    pub(super) fn can_act(&self, who: usize, doing: Doing) -> bool {
        let wait = match doing {
            Doing::Something => return true,
            Doing::Running(until) => return self.now >= until,
            Doing::Waiting(wait) => wait,
            Doing::Nothing => return false,
        };
        let is_due = wait.sleep.until.is_some_and(|at| self.now >= at);
        let is_woken = match who.checked_sub(JOBS) {
            Some(j) => {
                let has_room = wait.sleep.what == For::Room && self.workers[j].has_room();
                return is_due || has_room || self.job_versions[j] != wait.version;
            }
            None => self.versions[who] != wait.version,
        };
        match (wait.sleep.what, who) {
            (For::Input, _) => self.has_input(),
            (For::Room, SOURCE) => self.room() > 0 || is_due,
            (For::Room, SIDES..) => self.has_room(who),
            (For::Room, _) => self.room() > 0 || self.is_deaf || is_due || is_woken,
            _ => is_due || is_woken || self.has_left(who),
        }
    }

    /// Somebody is accused of having taken nothing for so long: that is so, but for what nobody can have seen yet, or will
    /// ever see, which is what was taken right before everything stood still.
    pub(super) fn check_accused(&self, time: Duration) {
        let [stood_at, stood_long_at] = self.stood_at;
        let is_long_ago = |at: Instant, time| at + time <= self.now;
        let is_seen = is_long_ago(self.ate_at, SOON) && !is_long_ago(self.ate_at, time - SOON);
        let is_seen = is_seen && stood_at + SOON < self.ate_at;
        assert!(!is_seen, "the consumer is accused, and has taken something");
        assert!(
            is_long_ago(stood_long_at, time - SOON),
            "the consumer is accused, and it was we who stood still"
        );
    }

    /// Lets the producer and the consumer do what they can by now.
    pub(super) fn neighbours(&mut self) {
        let in_pipe = self.waiting();
        self.entered += (self.offered - self.entered).min(self.s.pipe - in_pipe);
        let eaten = if self.is_deaf {
            0
        } else {
            self.appetite.min(self.lying)
        };
        self.appetite -= eaten;
        if eaten > 0 {
            self.ate_at = self.now;
        }
        self.lying -= eaten;
    }
}

/// Whether bytes can go to a tee or tap of this number around the log: most can.
pub(super) fn is_pipe(seed: u64, i: usize) -> bool {
    !(seed + i as u64).is_multiple_of(5)
}
