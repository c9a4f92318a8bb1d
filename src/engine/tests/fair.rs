//! Fair shedding, in the simulator's time: those who want less than their share lose nothing beside one who is loud,
//! however the pipe to the consumer is sized meanwhile.

use std::time::{Duration, Instant};

use super::sim::{self, Adversity, Outcome, Scenario, Text, run_through};
use crate::engine::policy::{Policy, Which};
use crate::engine::record::Framing;
use crate::engine::{CONSUMER, Engine, Rules};

/// Bytes of a record, and of a piece that is offered or taken.
const LENGTH: usize = 100;
const PIECE: usize = 4000;
/// Bytes per second that come, and that are taken.
const COMES: usize = 10_000_000;
const TAKEN: usize = 6_000_000;
/// One key has so many records to one of each of so many others.
const LOUD: usize = 100;
const QUIET: usize = 99;

/// The key of the nth record: those of the loud one stand among those of the others.
fn key(nth: usize) -> usize {
    (nth * 79 % (LOUD + QUIET)).saturating_sub(LOUD - 1)
}

fn record(nth: usize) -> Vec<u8> {
    let mut record = format!("{nth:010} {:06} ", key(nth)).into_bytes();
    record.resize(LENGTH - 1, b'x');
    record.push(b'\n');
    record
}

/// At these times, so many bytes a second apart in pieces.
fn evenly(bytes: usize, rate: usize) -> Vec<(Duration, usize)> {
    let at = |k: usize| Duration::from_nanos((k * PIECE) as u64 * 1_000_000_000 / rate as u64);
    (0..bytes.div_ceil(PIECE)).map(|k| (at(k), PIECE)).collect()
}

/// All of this input comes through a buffer that sheds fairly, to a consumer that takes so much at these times.
fn shed_fairly(
    (capacity, seed): (usize, u64),
    input: Vec<u8>,
    takes: Vec<(Duration, usize)>,
    adversity: Adversity,
) -> Outcome {
    let policy = Policy {
        which: Which::Fair,
        patience: Duration::ZERO,
    };
    let rules = Rules {
        framing: Some(Framing::Terminator(b'\n')),
        shed: Some(policy),
        ..sim::rules(capacity)
    };
    let scenario = Scenario {
        rules,
        direct: false,
        offers: evenly(input.len(), COMES),
        takes,
        input: Text(input),
        stops: Vec::new(),
        commands: Vec::new(),
        pipe: 64 * 1024,
        seed,
    };
    let outcome = run_through(scenario, adversity);
    assert!(outcome.finished, "all is delivered");
    outcome
}

/// Records of the quiet that are lost with this buffer, and those of the loud one.
fn lost(capacity: usize, millis: usize, seed: u64) -> [usize; 2] {
    let cycle = LOUD + QUIET;
    let count = COMES / 1000 * millis / LENGTH / cycle * cycle;
    let adversity = Adversity {
        lanes: Some((Some("2"), None)),
        sizes: true,
        ..Adversity::default()
    };
    let input = (0..count).flat_map(record).collect();
    let takes = evenly(count * LENGTH, TAKEN);
    let outcome = shed_fairly((capacity, seed), input, takes, adversity);
    let mut lost = [0, 0];
    for record in outcome.spilled.chunks(LENGTH) {
        let key = &record[11..17];
        lost[usize::from(key == b"000000")] += 1;
    }
    lost
}

#[test]
fn the_pipe_of_a_consumer_that_is_run_again_is_as_little_beside_the_buffer_as_that_of_the_first() {
    let now = Instant::now();
    let mut engine = Engine::new(sim::rules(64 << 10), now);
    let first = format!("{:?}", engine.outputs[CONSUMER].window);
    engine.take_back(0, now);
    assert_eq!(format!("{:?}", engine.outputs[CONSUMER].window), first);
}

/// A pipe that was made too wide for what lies there, and then waited for, cost thousands of them; and so did memory that
/// only had to be moved together, as that of 96 KiB is here.
#[test]
fn who_stays_below_its_share_loses_nothing_beside_one_who_is_loud() {
    for (capacity, seed) in [(32, 1), (64, 2), (96, 2), (96, 3), (96, 4)] {
        let [quiet, loud] = lost(capacity << 10, 400, seed);
        assert!(loud > 10_000, "it is shed: {loud}");
        assert_eq!(quiet, 0, "with {capacity} KiB");
    }
}

/// What was dropped were a few long records, and short ones came for them, whose books are many times as long.
#[test]
fn short_records_that_come_for_long_ones_that_were_dropped_take_no_more_memory_than_there_is() {
    let long = (0..200).flat_map(|_| [b"a ", &[b'x'; 4000][..], b"\n"].concat());
    let input: Vec<u8> = long.chain(b"b\n".repeat(400_000)).collect();
    let takes = vec![(Duration::from_secs(100), input.len())];
    let adversity = Adversity {
        lanes: Some((Some("1"), None)),
        ..Adversity::default()
    };
    let outcome = shed_fairly((512 << 10, 1), input, takes, adversity);
    assert!(outcome.over < 256 << 10, "{} bytes too many", outcome.over);
}
