//! A state machine whose actors are moved by hand: each of their calls is begun and ended apart.

use std::time::{Duration, Instant};

use super::CONSUMER;
use crate::engine::action::{Action, Actor, Done, For, Outcome, Read, ReadOutcome, Sleep, Write};
use crate::engine::directive::Directive;
use crate::engine::segment::Segment;
use crate::engine::stall::StallLook;
use crate::engine::status::Status;
use crate::engine::{Engine, OVERFLOW, Rules};

/// An engine at a made-up time, and what its two actors are about. Each of their calls is begun and ended
/// apart, so that anything may come in between.
pub(super) struct Bench {
    pub engine: Engine,
    pub now: Instant,
    pub reading: Option<Read>,
    pub writing: Option<Write>,
}

impl Bench {
    pub(super) fn new(rules: Rules) -> Bench {
        let now = Instant::now();
        Bench {
            engine: Engine::new(rules, now),
            now,
            reading: None,
            writing: None,
        }
    }

    pub(super) fn pass_time(&mut self, time: Duration) {
        self.now += time;
    }

    /// Time passes, and the watchdog, which looks every now and then, says nothing.
    #[track_caller]
    pub(super) fn pass_quietly(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let watch = self.engine.look_for_stall(self.now);
            assert!(matches!(watch, StallLook::Quiet(_)), "{watch:?}");
            self.pass_time(Duration::from_millis(100));
        }
    }

    pub(super) fn command(&mut self, command: Directive) {
        self.engine.command(self.now, command);
        self.check();
    }

    pub(super) fn done(&mut self, done: Done) {
        self.engine.done(done, self.now);
        self.check();
    }

    /// What holds after every call.
    pub(super) fn check(&self) {
        if let Err(e) = self.engine.check_sleepers(self.now) {
            panic!("{e}");
        }
        self.engine.check_memory();
    }

    pub(super) fn books(&self) -> Status {
        self.engine.books(self.now)
    }

    /// The source is told to read; whatever it waits for to read is there.
    #[track_caller]
    pub(super) fn begin_read(&mut self) {
        if let Some(sleep) = self.try_to_read() {
            panic!("the source is not to read, but sleeps: {sleep:?}");
        }
    }

    /// It is told to read, or why it is to sleep.
    #[track_caller]
    pub(super) fn try_to_read(&mut self) -> Option<Sleep> {
        loop {
            match self.engine.poll(Actor::Source, self.now) {
                Action::Read(mut read) => {
                    if read.buffer.wants_segment() {
                        let segment = Segment::map(read.buffer.size).expect("memory");
                        read.buffer.give(segment);
                    }
                    self.reading = Some(read);
                    return None;
                }
                Action::Wait(wait) if wait.sleep.what == For::Input => {
                    self.done(Done::Wait(Actor::Source, true));
                }
                Action::Wait(wait) => return Some(wait.sleep),
                action => panic!("{action:?}"),
            }
        }
    }

    /// Bytes that may be read.
    pub(super) fn room(&self) -> usize {
        self.reading.as_ref().map_or(0, |read| read.buffer.most())
    }

    /// It has read these.
    pub(super) fn end_read(&mut self, bytes: &[u8]) {
        self.end_read_and_pass(bytes, 0);
    }

    /// The same, and has written the first of them.
    pub(super) fn end_read_and_pass(&mut self, bytes: &[u8], n: usize) {
        let mut read = self.reading.take().expect("a read under way");
        let mut left = bytes;
        for slice in &mut read.buffer.slices() {
            let (now, later) = left.split_at(left.len().min(slice.len()));
            slice[..now.len()].copy_from_slice(now);
            left = later;
        }
        assert!(left.is_empty(), "more than may be read");
        read.scan(bytes.len());
        if n > 0 {
            let pass = read.pass.expect("leave to write");
            read.passed = pass.permit.use_up(&bytes[..n]);
        }
        self.done(Done::Read(read, ReadOutcome::Moved));
    }

    /// It has read nothing, and this is why.
    pub(super) fn end_read_in_vain(&mut self, why: ReadOutcome) {
        let read = self.reading.take().expect("a read under way");
        self.done(Done::Read(read, why));
    }

    #[track_caller]
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.begin_read();
        self.end_read(bytes);
    }

    /// The source finds nothing to read, and goes to sleep for it.
    #[track_caller]
    pub(super) fn wait_for_input(&mut self) {
        self.begin_read();
        self.end_read_in_vain(ReadOutcome::Empty);
        let action = self.engine.poll(Actor::Source, self.now);
        assert!(
            matches!(&action, Action::Wait(wait) if wait.sleep.what == For::Input),
            "{action:?}"
        );
    }

    /// The consumer's actor is told to write; where it waits for room there is some.
    #[track_caller]
    pub(super) fn begin_write(&mut self) {
        if let Some(sleep) = self.try_to_write() {
            panic!("nothing to write: {sleep:?}");
        }
    }

    /// It is told to write, or why it is to sleep, though there is room.
    #[track_caller]
    pub(super) fn try_to_write(&mut self) -> Option<Sleep> {
        loop {
            match self.engine.poll(CONSUMER, self.now) {
                Action::Write(write) => {
                    self.writing = Some(write);
                    return None;
                }
                Action::Wait(wait) if wait.sleep.what == For::Room => {
                    self.done(Done::Wait(CONSUMER, true));
                }
                Action::Wait(wait) => return Some(wait.sleep),
                Action::Trim(memory) => drop(memory),
                action => panic!("{action:?}"),
            }
        }
    }

    /// It has written so many of the bytes.
    pub(super) fn end_write(&mut self, n: usize) {
        let write = self.writing.take().expect("a write under way");
        let outcome = Outcome::Moved(write.run(n));
        self.done(Done::Write(write, outcome));
    }

    /// The consumer had no room for any.
    pub(super) fn end_write_full(&mut self) {
        let write = self.writing.take().expect("a write under way");
        self.done(Done::Write(write, Outcome::Full));
    }

    /// It has written all that it might; this.
    pub(super) fn end_write_whole(&mut self) -> Vec<u8> {
        let slices = self.writing.iter().flat_map(|write| write.slices());
        let bytes = slices.collect::<Vec<_>>().concat();
        self.end_write(bytes.len());
        bytes
    }

    #[track_caller]
    pub(super) fn write(&mut self) -> Vec<u8> {
        self.begin_write();
        self.end_write_whole()
    }

    #[track_caller]
    pub(super) fn write_all(&mut self) {
        while self.books().buffer.used > 0 {
            self.write();
        }
    }

    /// Nothing may be written, though there is room.
    pub(super) fn is_asleep(&mut self) -> bool {
        let is_asleep = self.try_to_write().is_some();
        self.check();
        is_asleep
    }

    /// The file for what is shed takes all that waits for it.
    pub(super) fn take_overflow(&mut self) -> Vec<u8> {
        let mut taken = Vec::new();
        loop {
            match self.engine.poll(Actor::Output(OVERFLOW), self.now) {
                Action::Write(write) => {
                    let bytes: Vec<u8> = write.slices().collect::<Vec<_>>().concat();
                    let outcome = Outcome::Moved(write.run(bytes.len()));
                    self.done(Done::Write(write, outcome));
                    taken.extend(bytes);
                }
                Action::Wait(_) => return taken,
                action => panic!("{action:?}"),
            }
        }
    }

    pub(super) fn is_source_woken(&mut self) -> bool {
        self.engine.take_wakes().source.is_some()
    }

    pub(super) fn is_sink_woken(&mut self) -> bool {
        self.engine.take_wakes().outputs[0].is_some()
    }
}

impl Drop for Bench {
    /// What is under way when a test has seen what it wanted to see is given back.
    fn drop(&mut self) {
        if let Some(read) = self.reading.take() {
            self.engine
                .done(Done::Read(read, ReadOutcome::Failed), self.now);
        }
        if let Some(write) = self.writing.take() {
            self.engine
                .done(Done::Write(write, Outcome::Nothing), self.now);
        }
    }
}
