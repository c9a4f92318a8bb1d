//! The calls of the drivers, answered by the world.

use super::*;

impl World {
    /// Whether the system does not pass anything around any more.
    fn refuses(&self) -> bool {
        let refuses = self.adversity.refuses;
        refuses.is_some_and(|at| self.now >= self.start + at)
    }

    /// Puts what waits to be read into the consumer's pipe, without taking it; or says why it cannot.
    fn hand_on(&mut self, permit: Permit) -> Result<Vec<u8>, Passage> {
        let n = self.waiting().min(self.room());
        if self.waiting() == 0 && self.producer_is_done() {
            return Err(Passage::End);
        } else if n == 0 {
            return Err(Passage::Stuck);
        } else if self.is_deaf || self.refuses() {
            return Err(Passage::Refused);
        } else if self.is_dead() {
            let gone = io::ErrorKind::BrokenPipe.into();
            return Err(Passage::Failed(stall::Side::Sink, gone));
        }
        let bytes = permit.within(&self.s.input.0[self.taken..][..n]).to_vec();
        assert!(!bytes.is_empty(), "a permit to pass nothing");
        self.put(&bytes);
        Ok(bytes)
    }
}

impl Edge for Side<'_> {
    fn segment(&mut self, size: usize) -> io::Result<Arc<Segment>> {
        let now = self.0.now - self.0.start;
        let short = self.0.adversity.short;
        if short.is_some_and(|(from, to)| (from..to).contains(&now)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Segment::map(size)
    }

    fn read(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<Option<usize>> {
        let world = &mut *self.0;
        let (from, waiting) = (world.taken, world.waiting());
        let mut n = 0;
        for slice in into {
            let m = slice.len().min(waiting - n);
            slice[..m].copy_from_slice(&world.s.input.0[from + n..][..m]);
            n += m;
        }
        world.take(n);
        Ok((n > 0 || world.producer_is_done()).then_some(n))
    }

    fn pass_on(&mut self, bytes: &[u8], pass: Pass) -> usize {
        if self.0.random().is_multiple_of(2) || self.0.is_dead() {
            return 0;
        }
        self.0.put(pass.within(bytes))
    }

    fn bypass(&mut self, permit: Permit) -> Passage {
        let world = &mut *self.0;
        let bytes = match world.hand_on(permit) {
            Ok(bytes) => bytes,
            Err(passage) => return passage,
        };
        world.take(bytes.len());
        Passage::Passed(permit.use_up(&bytes))
    }

    fn fan_out(&mut self, permit: Permit, takers: &mut [Taker], is_owed: bool) -> Passage {
        let world = &mut *self.0;
        let bytes = match world.hand_on(permit) {
            Ok(bytes) => bytes,
            Err(passage) => return passage,
        };
        for taker in &mut *takers {
            let who = taker.i - OVERFLOW - 1 + SIDES;
            // As a rule all of it.
            let most = match world.random() % 4 {
                0 => world.random() as usize % (bytes.len() + 1),
                _ => bytes.len(),
            };
            let takes = world.has_room(who) && !world.is_gone(who);
            if takes && most > 0 {
                taker.had = most;
                world.give_side(who, &bytes[..most]);
            }
        }
        world.out.fanned += 1;
        world.out.kept += usize::from(is_owed);
        if is_owed || takers.iter().any(|taker| taker.had < bytes.len()) {
            return Passage::Uneven(bytes.len());
        }
        world.take(bytes.len());
        Passage::Passed(permit.use_up(&bytes))
    }

    fn is_readable(&mut self) -> bool {
        self.0.has_input()
    }

    fn write(&mut self, write: &Write) -> io::Result<Option<usize>> {
        if self.1 == FILE {
            let records: Vec<u8> = write.slices().collect::<Vec<_>>().concat();
            self.0.out.spilled.extend_from_slice(&records);
            return Ok(Some(records.len()));
        }
        if self.1 >= JOBS && !self.0.workers.is_empty() {
            return Ok(self.0.give(self.1 - JOBS, write));
        }
        if self.1 >= JOBS {
            return self.0.fill(self.1 - JOBS, write);
        }
        if self.1 >= SIDES {
            return self.0.take_side(self.1, write);
        }
        if self.0.is_dead() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut done = 0;
        let mut all = 0;
        for bytes in write.slices() {
            let n = self.0.put(bytes);
            (done, all) = (done + n, all + bytes.len());
            if n < bytes.len() {
                break;
            }
        }
        assert!(all > 0, "a permit to write nothing");
        Ok((done > 0).then_some(done))
    }

    fn disk_room(&mut self, most: usize, awaits_others: bool) -> Result<usize, NoRoom> {
        self.0.now += self.0.adversity.disk.slow;
        let room = self.0.disk_room().map(|room| room.min(most));
        room.map_err(|why| match why.by {
            FilledBy::Others if !awaits_others => NoRoom {
                by: FilledBy::Ours,
                ..why
            },
            _ => why,
        })
    }

    fn take(&mut self, into: &mut [u8]) -> io::Result<Taken> {
        let disk = self.0.adversity.disk;
        let has_input = self.0.has_input();
        let mut one_in = |n: Option<u64>| {
            let n = n.filter(|_| has_input);
            n.is_some_and(|n| self.0.random().is_multiple_of(n))
        };
        let (is_refused, is_torn) = (one_in(disk.refuses), one_in(disk.tears));
        // What is to outlive the run is read again, but where there is no memory to keep it in.
        let is_kept = is_torn && self.0.s.rules.outlives && !self.0.random().is_multiple_of(4);
        if is_refused || is_kept {
            let world = &self.0;
            let held = world.disk.len() as u64 - world.floor;
            let by = if is_refused {
                disk.filled_by(held)
            } else {
                FilledBy::Unknown
            };
            let floor = world.told_floor;
            return Ok(Err(NoRoom { by, floor }));
        }
        let came = self.read(&mut [IoSliceMut::new(into)])?;
        let world = &mut *self.0;
        Ok(Ok(came.map(|n| match n {
            0 => (0, None),
            n => (n, world.put_on_disk(&into[..n], is_torn)),
        })))
    }

    fn fetch(&mut self, load: &mut Load) -> io::Result<()> {
        let world = &mut *self.0;
        world.now += world.adversity.disk.slow;
        let now = world.now - world.start;
        if world.adversity.disk.fails.is_some_and(|at| now >= at) {
            return Err(io::ErrorKind::Other.into());
        }
        let from = load.offset as usize;
        if world.adversity.disk.damages_dropped && self.1 == FILE {
            let lost = &world.disk[from..from + load.length];
            let ends = Run::over(load.cursor, lost).tally.ended;
            load.lose(load.length as u64, ends);
            return Ok(());
        }
        let n = if world.s.rules.outlives {
            // As much as is in one piece there.
            1 + world.random() as usize % load.length.min(EXTENT_MOST)
        } else {
            load.length
        };
        let into = &mut load.bytes()[..n];
        match from as u64 >= world.floor {
            true => into.copy_from_slice(&world.disk[from..from + n]),
            // Nobody is owed it any more.
            false => into.fill(b'?'),
        }
        load.read(0..n);
        Ok(())
    }

    fn run(&mut self, ticket: &Ticket, ahead: &[Untried]) -> Option<Finish> {
        self.0.run_program(self.1 - JOBS, ticket, ahead)
    }

    fn remember(&mut self, to: u64, run: Run) -> io::Result<()> {
        if self.1 == FILE {
            self.0.on_shed_written(to - run.bytes as u64, to);
            return Ok(());
        }
        let place = match self.1 {
            SIDES..JOBS => &mut self.0.tees[self.1 - SIDES],
            _ => &mut self.0.remembered,
        };
        let follows = place.0 + run.bytes as u64;
        assert_eq!(to, follows, "a place that does not follow");
        *place = (to, run.cursor.depth());
        Ok(())
    }

    fn remember_part(&mut self, part: Stretch) -> io::Result<()> {
        self.0.on_dealt(&part);
        Ok(())
    }

    fn order(&mut self, task: Task) -> Option<Answer> {
        Some(self.0.obey(self.1 - JOBS, task))
    }

    fn unread(&mut self) -> Option<u64> {
        let j = self
            .1
            .checked_sub(JOBS)
            .filter(|_| !self.0.workers.is_empty());
        match (self.1, j) {
            (SINK, _) => Some(self.0.lying as u64),
            (_, j) => j.map(|j| self.0.lies_with(j)),
        }
    }

    fn fit(&mut self, size: usize) -> bool {
        if self.1 >= JOBS {
            return self.0.fit_worker(self.1 - JOBS, size);
        }
        if self.0.adversity.sizes {
            let fits = self.0.lying <= size;
            self.0.pipe = if fits { size } else { self.0.pipe };
            return fits;
        }
        self.0.random().is_multiple_of(2)
    }

    fn wait(&mut self, wait: Wait) -> Option<io::Result<bool>> {
        let doing = Doing::Waiting(wait);
        let is_over = self.0.can_act(self.1, doing);
        self.0.doing = if is_over { Doing::Something } else { doing };
        let ready = match wait.sleep.what {
            For::Input => true,
            For::Room if self.1 >= JOBS => self.0.workers[self.1 - JOBS].has_room(),
            For::Room if self.1 >= SIDES => self.0.has_room(self.1),
            // Who writes finds that nobody reads any more.
            For::Room => self.0.room() > 0 || self.0.is_deaf,
            _ => false,
        };
        if is_over && self.1 < JOBS && self.0.has_left(self.1) {
            return Some(Err(io::ErrorKind::BrokenPipe.into()));
        }
        is_over.then_some(Ok(ready))
    }
}
