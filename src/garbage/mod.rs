//! What must hold of whatever is typed or sent. The property tests call these with cases made by
//! chance, the fuzzers of `tests/fuzz` with cases made by following the branches.

mod stored;

use std::fmt::Display;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Instant;

pub use stored::spool_file;
#[cfg(feature = "redis")]
pub use stored::store_answer;

use crate::config::Config;
use crate::config::expected_size::ExpectedSize;
use crate::config::hook::{Hook, Occasion};
use crate::config::options::Options;
use crate::config::pipe_size::PipeSize;
use crate::control::protocol::{Reply, Request, line, request};
use crate::engine::Engine;
use crate::engine::record::{Cursor, Framing, Tally};
use crate::report::format::Format;
use crate::report::snapshot::Snapshot;
use crate::units::percent::Percent;
use crate::units::{
    Amount, Backoff, BufferSize, JobCount, Key, Limit, Mark, Pattern, Rate, Share, Size, Span,
    SyncTime, Timetable, TypedLimit,
};
use clap::Parser;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Every kind of value: what is understood prints as something that is understood the same, and
/// what is not is told in one line.
pub fn values(text: &str) {
    value::<Amount>(text);
    value::<Backoff>(text);
    value::<BufferSize>(text);
    value::<ExpectedSize>(text);
    value::<Format>(text);
    value::<JobCount>(text);
    value::<Key>(text);
    value::<Limit>(text);
    value::<Mark>(text);
    value::<Occasion>(text);
    value::<Percent>(text);
    value::<Rate>(text);
    value::<Share>(text);
    value::<Size>(text);
    value::<Span>(text);
    value::<SyncTime>(text);
    value::<Timetable>(text);
    value::<TypedLimit>(text);
    rejected::<Hook>(text);
    rejected::<Pattern>(text);
    rejected::<PipeSize>(text);
    if let Ok(table) = text.parse::<Timetable>() {
        let seed = text.bytes().map(i64::from).sum::<i64>();
        let now = Timestamp::from_second(seed * 1_000_003).expect("a time");
        let now = now.to_zoned(TimeZone::get("Europe/Berlin").expect("a zone"));
        assert!(table.at(&now).1 > now, "{text:?} at {now}");
    }
}

fn rejected<T: FromStr<Err: Display>>(text: &str) {
    if let Err(reject) = text.parse::<T>() {
        assert_one_line(&reject);
    }
}

fn value<T: FromStr<Err: Display> + ToString + PartialEq>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => {
            let again = value.to_string().parse::<T>();
            assert!(again.is_ok_and(|again| again == value), "{text:?}");
        }
        Err(reject) => assert_one_line(&reject),
    }
}

/// The text of a report as somebody wants it: one line of what is known, or turned away in one.
pub fn template(text: &str) {
    let known: Snapshot = serde_json::from_str(include_str!("snapshot.json")).expect("a report");
    match text.parse::<Format>() {
        Ok(format) => assert_one_line(&format.line(&known)),
        Err(reject) => assert_one_line(&reject),
    }
}

fn assert_one_line(said: &impl Display) {
    let said = said.to_string();
    assert!(!said.is_empty() && !said.contains('\n'), "{said:?}");
}

/// Words, one to a line: they make a weir, or are turned away in one line.
pub fn command_line(text: &str) {
    let words = std::iter::once("weir").chain(text.lines());
    let Ok(args) = Options::try_parse_from(words) else {
        return;
    };
    match Config::resolve(args) {
        Ok(config) => {
            let (marks, capacity) = (config.rules.marks, config.rules.capacity);
            assert!(marks.low < marks.high && marks.high <= capacity, "{text:?}");
            assert!(marks.prefill <= marks.high, "{text:?}");
            drop(Engine::new(config.rules, Instant::now()));
        }
        Err(error) => assert_one_line(&error),
    }
}

/// A line that came through a socket: what is understood, sent on, is understood the same.
pub fn message(bytes: &[u8]) {
    if let Ok(ask) = request(bytes) {
        let again = request(&line(&Request::from(ask.clone())));
        assert!(again.is_ok_and(|again| again == ask));
    }
    if let Ok(reply) = serde_json::from_slice::<Reply>(bytes) {
        let again = serde_json::from_slice::<Reply>(&line(&reply));
        assert!(again.is_ok_and(|again| again == reply));
    }
}

/// A stream, cut into pieces as its own bytes say: records are counted the same in one piece, and
/// so many may pass as are then counted.
pub fn records(bytes: &[u8]) {
    let [kind, step, stream @ ..] = bytes else {
        return;
    };
    let framing =
        NonZeroU64::new(u64::from(*kind)).map_or(Framing::Terminator(b'\n'), Framing::Fixed);
    let (mut whole, mut cut) = (Cursor::new(Some(framing)), Cursor::new(Some(framing)));
    let all = whole.pass(stream);
    let (mut sum, mut left) = (Tally::default(), stream);
    while !left.is_empty() {
        let piece = (usize::from(left[0]) + 1).min(left.len());
        let reach = cut.reach(&left[..piece], u64::from(*step));
        let tally = cut.clone().pass(&left[..reach]);
        assert!(tally.begun <= u64::from(*step), "{tally:?} for {step}");
        // Where no more records may begin, the rest goes by all the same.
        let tally = cut.pass(&left[..piece]);
        (sum.begun, sum.ended) = (sum.begun + tally.begun, sum.ended + tally.ended);
        left = &left[piece..];
    }
    assert_eq!((sum, cut.depth()), (all, whole.depth()));
}

#[cfg(test)]
mod tests;
