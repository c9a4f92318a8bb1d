//! Long records: what they take of memory, and how often they are searched.

use std::time::{Duration, Instant};

use super::super::sim::rules;
use super::bench::Bench;
use super::{KIB, LINES, oldest, seconds};
use crate::engine::Rules;
use crate::engine::policy::{Policy, Which};
use crate::engine::record::Framing;

#[test]
fn a_long_record_that_comes_in_small_pieces_takes_no_more_segments_than_it_fills() {
    const PIECE: usize = 5000;
    let mut b = Bench::new(Rules {
        framing: Some(Framing::Terminator(b'\n')),
        max_age: Some(seconds(1000)),
        ..rules(64 * KIB * KIB)
    });
    let (mut segments, mut bytes) = (0, 0);
    while bytes < 4 * KIB * KIB {
        b.begin_read();
        let read = b.reading.as_mut().expect("a read under way");
        segments += usize::from(read.buffer.slices()[0].is_empty());
        b.end_read(&[b'x'; PIECE]);
        bytes += PIECE;
    }
    let most = bytes / b.engine.segment_size() + 2;
    assert!(segments <= most, "{segments} instead of {most}");
}

#[test]
fn a_long_record_without_an_end_is_searched_once() {
    let mut b = Bench::new(Rules {
        framing: LINES,
        shed: oldest(Duration::ZERO),
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
        left -= b.write().len();
    }
}

#[test]
fn oversized_is_what_no_buffer_like_this_can_hold() {
    for (size, wanted) in [(8192, 0), (8193, 20), (5000, 0), (30_000, 20)] {
        for which in [Which::Oldest, Which::Newest] {
            let mut b = Bench::new(Rules {
                framing: LINES,
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
                    let n = b.room().min(left.len());
                    b.end_read(&left[..n]);
                    left = &left[n..];
                }
            }
            b.engine.on_input_end(true, b.now);
            let shed = b.books().shed;
            assert_eq!(shed.oversized, wanted, "{which:?} of {size} bytes");
        }
    }
}
