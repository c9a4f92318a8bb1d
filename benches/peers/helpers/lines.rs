//! Numbered, timestamped lines; a judge who knows what they must look like; and the leaky
//! filter that people write for want of something better.
//!
//! A line is `NNNNNNNNNN TTTTTTTTTTTTT` (its number; microseconds on the shared clock), filled up
//! with `x` to `len` bytes, newline included.

use std::io::{self, BufRead, BufReader};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::stdio::stdout;

use super::Params;
use super::paced::Turns;
use super::raw::{now_ns, read_some, report_time, sleep_ms, write_all};
use super::waits::Waits;

const NUMBER: usize = 10;
const TIME: usize = 13;
/// Digits of a key.
const KEY: usize = 6;
/// The shortest line: number, space, time, newline.
const SHORTEST: usize = NUMBER + TIME + 2;

fn put_digits(mut value: u64, into: &mut [u8]) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn get_digits(from: &[u8]) -> Option<u64> {
    from.iter().try_fold(0_u64, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u64::from(byte - b'0'))
    })
}

/// `__lines count= len= block= rate= keys= loud= stride= skew= wait_ms= waits=`: writes `count` lines, whole lines of up to `block`
/// bytes at a time, from `wait_ms` on; with `waits` it tells how long it waited for room.
/// With `keys` a third field tells so many apart, in turn; the first has `loud` lines to one of each other, one behind the
/// other, or with a `stride` of so many turns from line to line, among those of the others. With `skew` the second has two
/// lines to one of the first, the third three, and so on.
pub(super) fn produce(params: &Params) -> io::Result<()> {
    sleep_ms(params.get("wait_ms", 0));
    let start = now_ns();
    let len = params.size("len", 100).max(SHORTEST);
    let per_block = (params.size("block", 128 << 10) / len).max(1);
    let mut line = vec![b'x'; len];
    line[NUMBER] = b' ';
    line[len - 1] = b'\n';
    let mut block = line.repeat(per_block);
    let count = params.get("count", u64::MAX);
    let mut turns = Turns::new(params);
    let mut waits = Waits::new(params)?;
    let (keys, loud) = (params.get("keys", 0), params.get("loud", 1));
    let (stride, skew) = (params.get("stride", 1), params.get("skew", 0) > 0);
    let cycle = match skew {
        true => keys * (keys + 1) / 2,
        false => (keys + loud).saturating_sub(1),
    };
    if keys > 0 && len < SHORTEST + KEY {
        return Err(io::Error::other("the lines are too short for a key"));
    }
    let mut number = 0;
    while number < count {
        turns.wait();
        let now = now_ns() / 1000;
        let mut used = 0;
        for line in block.chunks_mut(len) {
            if number == count {
                break;
            }
            put_digits(number, &mut line[..NUMBER]);
            put_digits(now, &mut line[NUMBER + 1..NUMBER + 1 + TIME]);
            if keys > 0 {
                let turn = number * stride % cycle;
                let of_turn = match skew {
                    true => (0..keys)
                        .find(|k| (k + 1) * (k + 2) / 2 > turn)
                        .unwrap_or(0),
                    false => turn.saturating_sub(loud - 1),
                };
                put_digits(of_turn, &mut line[SHORTEST..SHORTEST + KEY]);
                (line[SHORTEST - 1], line[SHORTEST + KEY]) = (b' ', b' ');
            }
            number += 1;
            used += len;
        }
        waits.write_all(&block[..used])?;
        turns.charge(used);
    }
    report_time(start);
    Ok(())
}

/// What the judge has seen so far.
#[derive(Default)]
struct Book {
    /// Where in a line the filling begins.
    filled_from: usize,
    lines: u64,
    torn: u64,
    disorder: u64,
    last: Option<u64>,
    ages_us: Vec<u64>,
    /// Lines of each key, where there are keys.
    keys: Vec<u64>,
}

impl Book {
    fn enter(&mut self, line: &[u8], len: usize, now_us: u64) {
        let whole = line.len() == len && line[self.filled_from..len - 1].iter().all(|&b| b == b'x');
        let parsed = whole.then(|| {
            let number = get_digits(&line[..NUMBER])?;
            let time = get_digits(&line[NUMBER + 1..NUMBER + 1 + TIME])?;
            Some((number, time))
        });
        let Some((number, time)) = parsed.flatten() else {
            self.torn += 1;
            return;
        };
        if !self.keys.is_empty() {
            let key = get_digits(&line[SHORTEST..SHORTEST + KEY]).unwrap_or(0);
            if let Some(lines) = self.keys.get_mut(key as usize) {
                *lines += 1;
            }
        }
        self.lines += 1;
        self.disorder += u64::from(self.last.is_some_and(|last| number <= last));
        self.last = Some(number);
        self.ages_us.push(now_us.saturating_sub(time));
    }

    fn age_us(&self, percent: usize) -> u64 {
        let last = self.ages_us.len().saturating_sub(1);
        self.ages_us.get(last * percent / 100).copied().unwrap_or(0)
    }

    fn print(mut self) -> io::Result<()> {
        self.ages_us.sort_unstable();
        let (p50, p99) = (self.age_us(50), self.age_us(99));
        let (jain, quiet) = (jain(&self.keys), self.keys.iter().skip(1).sum::<u64>());
        let Self {
            lines,
            torn,
            disorder,
            last,
            ..
        } = self;
        let last = last.map_or(-1, u64::cast_signed);
        write_all(
            format!(
                "lines={lines}\ntorn={torn}\ndisorder={disorder}\nlast={last}\np50={p50}\np99={p99}\njain={jain}\n\
                 quiet={quiet}\n"
            )
            .as_bytes(),
        )
    }
}

/// Jain's index of fairness: 1 where all have the same, one over their number where one has all.
fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|n| *n as f64).sum();
    let squares: f64 = shares.iter().map(|n| (*n as f64).powi(2)).sum();
    sum * sum / (shares.len().max(1) as f64 * squares.max(f64::MIN_POSITIVE))
}

/// `__judge len= block= rate= for_ms= keys=`
///
/// Reads at most `block` bytes at a time, at `rate` bytes per second, to the end or for `for_ms`,
/// and prints how many lines were whole, torn and out of order, the number of the last,
/// percentiles of their age on arrival in microseconds, and with keys how evenly these came, and how many lines but those of
/// the first.
pub(super) fn judge(params: &Params) -> io::Result<()> {
    let len = params.size("len", 100).max(SHORTEST);
    let end = now_ns().saturating_add(params.get("for_ms", u64::MAX / 2_000_000) * 1_000_000);
    let mut buffer = vec![0; params.size("block", 128 << 10)];
    let mut turns = Turns::new(params);
    let mut pending: Vec<u8> = Vec::new();
    let keys = params.get("keys", 0) as usize;
    let filled_from = match keys {
        0 => SHORTEST - 1,
        _ => SHORTEST + KEY + 1,
    };
    let mut book = Book {
        filled_from,
        keys: vec![0; keys],
        ..Book::default()
    };
    loop {
        turns.wait();
        let n = read_some(&mut buffer)?;
        let now = now_ns();
        turns.charge(n);
        pending.extend_from_slice(&buffer[..n]);
        let whole = memchr::memrchr(b'\n', &pending).map_or(0, |at| at + 1);
        for line in pending[..whole].split_inclusive(|&b| b == b'\n') {
            book.enter(line, len, now / 1000);
        }
        pending.drain(..whole);
        if n == 0 || now >= end {
            // A reader that leaves in the middle of a line is no proof that it was torn.
            book.torn += u64::from(n == 0 && !pending.is_empty());
            return book.print();
        }
    }
}

/// How many lines there are in what somebody has read who was ended at any time, and how many of them are not as they
/// were written, or not in order. He may have been ended in the middle of the last one.
pub(crate) fn torn_lines(read: &[u8], len: usize) -> (u64, u64) {
    let mut book = Book {
        filled_from: SHORTEST - 1,
        ..Book::default()
    };
    let whole = memchr::memrchr(b'\n', read).map_or(0, |at| at + 1);
    for line in read[..whole].split_inclusive(|&b| b == b'\n') {
        book.enter(line, len, 0);
    }
    (book.lines, book.torn + book.disorder)
}

/// `__leaky lines=`
///
/// What the well-known Perl one-liner does: make standard output non-blocking, write what comes,
/// and ignore that it did not fit. Block by block, or line by line with `lines`.
pub(super) fn leak(params: &Params) -> io::Result<()> {
    fcntl_setfl(stdout(), fcntl_getfl(stdout())? | OFlags::NONBLOCK)?;
    if params.get("lines", 0) > 0 {
        let mut input = BufReader::with_capacity(64 << 10, io::stdin());
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line)? > 0 {
            write_or_drop(&line)?;
            line.clear();
        }
        return Ok(());
    }
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = read_some(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        write_or_drop(&buffer[..n])?;
    }
}

fn write_or_drop(bytes: &[u8]) -> io::Result<()> {
    match rustix::io::write(stdout(), bytes) {
        Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
