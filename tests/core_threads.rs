//! What one thread is doing when the other, a command or the clock comes in between.

mod sim;

use std::time::{Duration, Instant};

use pipeweir::core::command::Command;
use pipeweir::core::frame::Framing;
use pipeweir::core::gate::Marks;
use pipeweir::core::pace::Cap;
use pipeweir::core::ring::{Hand, Intake, Segment};
use pipeweir::core::shed::{Policy, Which};
use pipeweir::core::status::State;
use pipeweir::core::watch::{Patience, Side, Watch};
use pipeweir::core::{Limits, ReadStep, Rules, Run, Weir, WriteStep};
use pipeweir::units::{Limit, Rate};
use sim::rules;

const KIB: usize = 1024;

fn rate(text: &str) -> Rate {
    match text.parse() {
        Ok(Limit::Fixed(rate)) => rate,
        other => panic!("{other:?}"),
    }
}

/// A weir and the two threads' things, at a made-up time.
struct Bench {
    weir: Weir,
    intake: Intake,
    hand: Hand,
    now: Instant,
}

impl Bench {
    fn new(rules: Rules) -> Bench {
        let now = Instant::now();
        Bench {
            weir: Weir::new(rules, now),
            intake: Intake::new(rules.framing),
            hand: Hand::default(),
            now,
        }
    }

    fn pass_time(&mut self, time: Duration) {
        self.now += time;
    }

    /// The source thread asks, and may read.
    #[track_caller]
    fn begin_read(&mut self) {
        let step = self.weir.poll_read(self.now, &mut self.intake);
        assert!(matches!(step, ReadStep::Read(_)), "{step:?}");
        self.give_segment();
    }

    fn give_segment(&mut self) {
        if self.intake.wants_segment() {
            let size = self.weir.segment_size();
            self.intake.give(Segment::map(size).expect("memory"));
        }
    }

    /// Time passes, and the watchdog, which looks every now and then, says nothing.
    #[track_caller]
    fn pass_quietly(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            assert!(matches!(self.weir.watch(self.now), Watch::Quiet(_)));
            self.pass_time(Duration::from_millis(100));
        }
    }

    /// It has read these.
    fn end_read(&mut self, bytes: &[u8]) {
        let mut left = bytes;
        for slice in &mut self.intake.slices() {
            let (now, later) = left.split_at(left.len().min(slice.len()));
            slice[..now.len()].copy_from_slice(now);
            left = later;
        }
        assert!(left.is_empty(), "more than may be read");
        let run = Run::over(self.intake.cursor, bytes);
        self.weir.on_read(self.now, &mut self.intake, run, None);
    }

    #[track_caller]
    fn read(&mut self, bytes: &[u8]) {
        self.begin_read();
        self.end_read(bytes);
    }

    fn poll_write(&mut self) -> WriteStep {
        self.weir.poll_write(self.now, &mut self.hand, true)
    }

    /// The sink thread asks, may write, and writes all of it.
    #[track_caller]
    fn write(&mut self) -> usize {
        match self.poll_write() {
            WriteStep::Write(leave, _) => {
                let run = leave.use_up(leave.cut(self.hand.bytes()));
                self.weir.on_written(self.now, &mut self.hand, run);
                run.bytes
            }
            step => panic!("{step:?}"),
        }
    }

    fn is_asleep(&mut self) -> bool {
        matches!(self.poll_write(), WriteStep::Wait(_))
    }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn an_age_that_is_set_during_a_read_sheds_what_is_queued_and_no_more() {
    let mut b = Bench::new(rules(KIB * KIB));
    for _ in 0..3 {
        b.read(&vec![b'x'; 200_000]);
    }
    b.pass_time(seconds(5));
    b.begin_read();
    b.weir.command(b.now, Command::MaxAge(Some(seconds(1))));
    assert!(b.is_asleep());
    let held = b.weir.books(b.now).buffer.used;
    assert!((1..600_000).contains(&held), "{held} are being added to");
    b.end_read(b"new");
    assert_eq!(b.weir.books(b.now).read.bytes, 600_003);
}

#[test]
fn a_prefill_that_memory_cuts_short_lets_the_sink_go() {
    let mut r = rules(KIB * KIB);
    r.marks.prefill = 900_000;
    let mut b = Bench::new(r);
    assert!(b.is_asleep());
    b.read(&[b'x'; 100]);
    b.weir.take_wakes();
    b.begin_read();
    assert!(b.weir.on_memory_short(b.now, &mut b.intake));
    assert!(b.weir.take_wakes().sink, "both sleep for ever");
    assert_eq!(b.write(), 100);
}

#[test]
fn where_memory_is_short_patience_ends_too() {
    let policy = Policy {
        which: Which::Oldest,
        patience: seconds(1),
    };
    let mut b = Bench::new(Rules {
        shed: Some(policy),
        ..rules(KIB * KIB)
    });
    b.read(&[b'x'; 1000]);
    b.begin_read();
    assert!(b.weir.on_memory_short(b.now, &mut b.intake));
    b.pass_time(seconds(2));
    b.read(b"new");
    assert!(b.weir.books(b.now).shed.total.bytes > 0);
}

#[test]
fn a_pause_accuses_no_consumer() {
    let mut b = Bench::new(Rules {
        patience: Patience {
            source: None,
            sink: Some(seconds(2)),
        },
        ..rules(KIB * KIB)
    });
    b.read(&[b'x'; 1000]);
    assert!(matches!(b.poll_write(), WriteStep::Write(..)));
    b.weir.command(b.now, Command::Pause);
    b.weir.on_sink_full(b.now);
    b.pass_quietly(seconds(10));
    b.weir.command(b.now, Command::Resume);
    b.pass_quietly(seconds(2));
    assert!(matches!(b.weir.watch(b.now), Watch::Stalled(Side::Sink, _)));
}

#[test]
fn a_drain_accuses_no_producer() {
    let mut b = Bench::new(Rules {
        patience: Patience {
            source: Some(seconds(2)),
            sink: None,
        },
        ..rules(KIB * KIB)
    });
    b.read(&[b'x'; 1000]);
    b.weir.command(b.now, Command::Drain);
    b.weir.on_input_empty(b.now);
    b.pass_quietly(seconds(10));
}

#[test]
fn time_that_weir_itself_stood_still_accuses_nobody() {
    let mut b = Bench::new(Rules {
        patience: Patience {
            source: Some(seconds(4)),
            sink: None,
        },
        ..rules(KIB * KIB)
    });
    b.weir.on_input_empty(b.now);
    let quiet = |b: &mut Bench| match b.weir.watch(b.now) {
        Watch::Quiet(Some(due)) => due,
        watch => panic!("{watch:?}"),
    };
    b.now = quiet(&mut b);
    b.now = quiet(&mut b);
    // Stopped, for much longer than that.
    b.pass_time(seconds(60));
    let again = b.now;
    while b.now < again + Duration::from_millis(3900) {
        b.now = quiet(&mut b);
    }
    assert_eq!(
        b.weir.watch(b.now),
        Watch::Stalled(Side::Source, seconds(4))
    );
}

#[test]
fn a_sleeper_for_the_slow_end_of_a_range_is_woken_when_the_buffer_fills() {
    let range = Cap::Range(rate("1B/min"), rate("1MB/s"));
    let mut b = Bench::new(Rules {
        marks: Marks {
            high: 100_000,
            low: 1000,
            prefill: 0,
        },
        output: Limits {
            bytes: Some(range),
            records: None,
        },
        ..rules(100_000)
    });
    b.read(&[b'x'; 100]);
    assert_eq!(b.write(), 1);
    assert!(b.is_asleep());
    b.weir.take_wakes();
    b.pass_time(seconds(1));
    for _ in 0..9 {
        b.read(&[b'x'; 10_000]);
    }
    assert!(b.weir.take_wakes().sink, "it would sleep for a minute");
    b.pass_time(seconds(1));
    assert_eq!(b.write(), 99, "the rest of the segment");
    assert!(b.write() > 1000);
}

#[test]
fn a_cap_is_not_to_blame_for_a_silent_producer() {
    let mut b = Bench::new(Rules {
        input: Limits {
            bytes: Some(Cap::Fixed(rate("1kB/s"))),
            records: None,
        },
        ..rules(100_000)
    });
    b.read(b"x");
    while let ReadStep::Read(_) = b.weir.poll_read(b.now, &mut b.intake) {
        b.end_read(b"x");
    }
    assert_eq!(b.weir.books(b.now).state, State::Capped);
    b.pass_time(seconds(1));
    b.begin_read();
    b.end_read(b"");
    b.weir.on_input_empty(b.now);
    while b.weir.books(b.now).buffer.used > 0 {
        b.write();
    }
    b.pass_time(seconds(10));
    let books = b.weir.books(b.now);
    assert_eq!((books.state, books.waits.cap), (State::Starved, seconds(1)));
}

#[test]
fn what_comes_during_a_pause_grows_too_old_as_well() {
    let mut b = Bench::new(Rules {
        max_age: Some(seconds(1)),
        ..rules(100_000)
    });
    b.weir.command(b.now, Command::Pause);
    assert!(matches!(b.poll_write(), WriteStep::Wait(None)));
    b.weir.take_wakes();
    b.read(&[b'x'; 100]);
    assert!(b.weir.take_wakes().sink, "nobody knows when that will be");
    let due = b.now + seconds(1);
    assert!(matches!(b.poll_write(), WriteStep::Wait(Some(at)) if at == due));
    b.now = due;
    assert!(b.is_asleep());
    assert_eq!(b.weir.books(b.now).shed.expired, 100);
}

#[test]
fn a_blocked_producer_gets_the_room_of_what_is_too_old_whatever_the_sink_waits_for() {
    let mut b = Bench::new(Rules {
        max_age: Some(seconds(1)),
        framing: Some(Framing::Terminator(b'\n')),
        ..rules(8 * KIB)
    });
    b.read(b"first\n");
    let WriteStep::Write(_, until) = b.poll_write() else {
        panic!("nothing to write")
    };
    assert_eq!(until, None, "nothing is left that could grow old");
    // The consumer takes nothing from now on.
    for _ in 0..4 {
        b.read(&[&[b'x'; 2000][..], b"\n"].concat());
    }
    b.read(&[b'x'; 182]);
    let due = b.now + seconds(1);
    let step = b.weir.poll_read(b.now, &mut b.intake);
    assert!(
        matches!(step, ReadStep::Wait(Some(at)) if at == due),
        "{step:?}"
    );
    b.now = due;
    b.begin_read();
    assert_eq!(b.weir.books(b.now).shed.expired, 4);
}

#[test]
fn nothing_moves_after_a_halt_and_what_is_under_way_is_counted() {
    let mut b = Bench::new(rules(KIB * KIB));
    b.read(&[b'x'; 1000]);
    b.begin_read();
    assert!(matches!(b.poll_write(), WriteStep::Write(..)));
    assert!(!b.weir.halt(b.now), "two calls are under way");
    b.end_read(b"more");
    assert!(!b.weir.take_wakes().halt, "one is still");
    let run = Run::over(b.intake.cursor, &[b'x'; 300]);
    b.weir.on_written(b.now, &mut b.hand, run);
    assert!(b.weir.take_wakes().halt);
    let books = b.weir.books(b.now);
    assert_eq!((books.read.bytes, books.written.bytes), (1004, 300));
    assert!(matches!(b.poll_write(), WriteStep::Done));
    let step = b.weir.poll_read(b.now, &mut b.intake);
    assert!(matches!(step, ReadStep::Done) && !b.weir.begin_pass());
}

#[test]
fn a_long_record_without_an_end_is_searched_once() {
    let mut b = Bench::new(Rules {
        framing: Some(Framing::Terminator(b'\n')),
        shed: Some(Policy {
            which: Which::Oldest,
            patience: Duration::ZERO,
        }),
        ..rules(64 * KIB * KIB)
    });
    let piece = [b'x'; 4 * KIB];
    let begun = Instant::now();
    let (mut first, pieces) = (Duration::ZERO, 8 * KIB);
    for k in 0..pieces {
        b.read(&piece);
        assert!(b.is_asleep());
        if k == pieces / 8 {
            first = begun.elapsed();
        }
    }
    // Eight times as many take eight times as long, not sixty-four times.
    let all = begun.elapsed();
    assert!(all < first * 32 + seconds(5), "{first:?}, {all:?}");
    b.read(b"\n");
    let mut left = 32 * KIB * KIB + 1;
    while left > 0 {
        left -= b.write();
    }
}

#[test]
fn what_is_shed_at_once_is_kept_for_the_file_as_a_whole_or_not_at_all() {
    let mut b = Bench::new(Rules {
        framing: Some(Framing::Terminator(b'\n')),
        max_age: Some(seconds(1)),
        ..rules(64 * KIB * KIB)
    });
    b.weir.want_spill();
    // Lines that no segment holds a whole number of.
    let line = [&[b'x'; 998][..], b"\n"].concat();
    let lines = line.repeat(200);
    let shed = |b: &mut Bench| {
        for _ in 0..60 {
            b.read(&lines);
        }
        b.pass_time(seconds(2));
        assert!(b.is_asleep());
    };
    let all = 60 * lines.len();
    // More than may wait for a slow file, but nothing is waiting for it.
    shed(&mut b);
    assert_eq!(b.weir.take_spill(false), (lines.repeat(60), 0));
    // Now the file is slow.
    shed(&mut b);
    shed(&mut b);
    let (kept, lost) = b.weir.take_spill(false);
    assert_eq!((kept.len(), lost), (all, all as u64));
    assert!(kept.split_inclusive(|b| *b == b'\n').all(|got| got == line));
}

#[test]
fn patience_is_lost_once_while_the_consumer_takes_nothing() {
    for capacity in [64 * KIB, 8 * KIB * KIB] {
        let mut b = Bench::new(Rules {
            framing: Some(Framing::Terminator(b'\n')),
            shed: Some(Policy {
                which: Which::Oldest,
                patience: seconds(1),
            }),
            ..rules(capacity)
        });
        let line = [&[b'x'; 999][..], b"\n"].concat();
        let fill = |b: &mut Bench, most: usize| {
            let mut read = 0;
            while read < most {
                match b.weir.poll_read(b.now, &mut b.intake) {
                    ReadStep::Read(_) => {
                        b.give_segment();
                        let room = b.intake.room().min(line.len());
                        b.end_read(&line[line.len() - room..]);
                        read += room;
                    }
                    ReadStep::Wait(_) => break,
                    step => panic!("{step:?}"),
                }
            }
            read
        };
        assert_eq!(fill(&mut b, 3 * capacity), capacity);
        b.pass_time(seconds(1));
        // Ten times over, without another wait.
        assert!(fill(&mut b, 10 * capacity) >= 10 * capacity);
        assert_eq!(b.weir.books(b.now).state, State::Shedding);
        // When the consumer has taken all of it, the next filling is waited for again.
        while b.weir.books(b.now).buffer.used > 0 {
            b.write();
        }
        let held = b.weir.books(b.now).shed.total.bytes;
        assert_eq!(fill(&mut b, 3 * capacity), capacity);
        assert_eq!(b.weir.books(b.now).shed.total.bytes, held);
    }
}

#[test]
fn oversized_is_what_no_buffer_like_this_can_hold() {
    for (size, wanted) in [(8192, 0), (8193, 20), (5000, 0), (30_000, 20)] {
        for which in [Which::Oldest, Which::Newest] {
            let mut b = Bench::new(Rules {
                framing: Some(Framing::Terminator(b'\n')),
                shed: Some(Policy {
                    which,
                    patience: Duration::ZERO,
                }),
                ..rules(8192)
            });
            let record = [vec![b'x'; size - 1], b"\n".to_vec()].concat();
            for mut left in [&record[..]; 20] {
                while !left.is_empty() {
                    b.begin_read();
                    let n = b.intake.room().min(left.len());
                    b.end_read(&left[..n]);
                    left = &left[n..];
                }
            }
            b.weir.on_input_end(b.now, false);
            let shed = b.weir.books(b.now).shed;
            assert_eq!(shed.oversized, wanted, "{which:?} of {size} bytes");
        }
    }
}

#[test]
fn a_pause_keeps_nothing_from_being_shed() {
    let mut b = Bench::new(Rules {
        framing: Some(Framing::Terminator(b'\n')),
        ..rules(8 * KIB)
    });
    let line = [&[b'x'; 1023][..], b"\n"].concat();
    b.read(&line);
    assert!(matches!(b.poll_write(), WriteStep::Write(..)));
    b.weir.command(b.now, Command::Pause);
    let which = Which::Oldest;
    let patience = Duration::ZERO;
    b.weir
        .command(b.now, Command::Shed(Some(Policy { which, patience })));
    assert!(b.is_asleep());
    for _ in 0..20 {
        b.read(&line);
    }
    assert_eq!(b.weir.books(b.now).shed.total.records, Some(13));
}
