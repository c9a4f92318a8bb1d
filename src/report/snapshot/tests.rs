//! The status object: its keys whatever is known, its figures, and that it can be read back.

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::report::{json, sample};

/// Every key of an object, in order, nested ones as `a.b`.
fn keys(line: &str) -> Vec<String> {
    // serde_json's own objects are sorted; the order is read off the text.
    let mut path: Vec<&str> = Vec::new();
    let mut keys = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find(['"', '}']) {
        let token = &rest[at..];
        if let Some(after) = token.strip_prefix('}') {
            path.pop();
            rest = after;
            continue;
        }
        let end = token[1..].find('"').expect("a closing quote") + 1;
        let (word, after) = (&token[1..end], &token[end + 1..]);
        rest = after;
        if let Some(value) = after.strip_prefix(':') {
            keys.push([&path[..], &[word]].concat().join("."));
            if value.starts_with('{') {
                path.push(word);
            }
        }
    }
    keys
}

const CONTRACT: &str = "v name pid event elapsed_s state \
    buffer buffer.capacity buffer.used buffer.peak buffer.low buffer.high buffer.memory buffer.disk \
    in in.bytes in.records in.rate out out.bytes out.records out.rate \
    shed shed.bytes shed.records shed.oversized shed.expired \
    undelivered undelivered.bytes undelivered.records undelivered.lost \
    cap cap.bytes_per_s cap.records_per_s wait_s wait_s.source wait_s.sink wait_s.cap \
    holdup age_s age_s.now age_s.p50 age_s.p99 age_s.max path path.spliced path.copied size eta_s culprit time outputs lanes \
    rates rates.in rates.in.min rates.in.mean rates.in.max \
    rates.out rates.out.min rates.out.mean rates.out.max advice share command end";

#[test]
fn the_keys_are_the_contracts_whatever_is_known() {
    let contract: Vec<&str> = CONTRACT.split_whitespace().collect();
    for status in [sample::fresh(), sample::busy(), sample::shedding()] {
        assert_eq!(keys(&json::line(&status)), contract);
    }
    let summary = json::line(&sample::summary(Ending::Eof, 0));
    assert_eq!(keys(&summary), contract);
}

#[test]
fn a_moment_as_an_object() {
    let line = json::line(&sample::busy());
    let object: Value = serde_json::from_str(&line).expect("JSON");
    for (pointer, value) in [
        ("/v", Value::from(1)),
        ("/name", "backup".into()),
        ("/event", "status".into()),
        ("/state", "blocked".into()),
        ("/in/rate", (12.0 * 1024.0 * 1024.0).into()),
        ("/in/records", Value::Null),
        ("/undelivered/bytes", Value::Null),
        ("/wait_s/sink", 0.9.into()),
        ("/holdup", "sink".into()),
        ("/age_s/p99", Value::Null),
        ("/size", 3_221_225_472u64.into()),
        ("/eta_s", 190.0.into()),
    ] {
        assert_eq!(object.pointer(pointer), Some(&value), "{pointer}");
    }
}

#[test]
fn an_object_can_be_read_back() {
    for it in [sample::shedding(), sample::summary(Ending::ConsumerGone, 7)] {
        let line = json::line(&it);
        let back: Snapshot = serde_json::from_str(&line).expect("a snapshot");
        assert_eq!(json::line(&back), line);
    }
}

#[test]
fn the_holdup_is_whoever_was_waited_for_longest_in_the_interval() {
    let ms = Duration::from_millis;
    for (source, sink, cap, holdup) in [
        (900, 10, 0, Some(Holdup::Source)),
        (10, 900, 0, Some(Holdup::Sink)),
        (10, 20, 900, Some(Holdup::Cap)),
        (60, 90, 40, None),
        (0, 0, 0, None),
        (450, 440, 0, Some(Holdup::Source)),
    ] {
        // What was waited for before the interval does not count.
        let mut before = sample::status(5, 64, 60);
        before.waits.source = ms(4000);
        before.waits.cap = ms(100);
        let mut now = sample::status(6, 74, 64);
        now.waits.source = before.waits.source + ms(source);
        now.waits.sink = before.waits.sink + ms(sink);
        now.waits.cap = before.waits.cap + ms(cap);
        let it = Snapshot::status(
            &Identity::default(),
            Some(&before),
            &now,
            &MovingAverage::default(),
        );
        assert_eq!(it.holdup, holdup, "{source} {sink} {cap}");
    }
}

#[test]
fn no_interval_no_rate() {
    let now = sample::status(5, 64, 60);
    let it = Snapshot::status(
        &Identity::default(),
        Some(&now),
        &now,
        &MovingAverage::default(),
    );
    assert_eq!((it.input.rate, it.out.rate, it.holdup), (None, None, None));
}

#[test]
fn a_summary_speaks_of_the_whole_run() {
    let it = sample::summary(Ending::Timeout, 60 << 20);
    assert_eq!(it.holdup, Some(Holdup::Sink));
    assert!((it.shares.sink - 0.6).abs() < 0.01);
    assert_eq!(it.undelivered.bytes, Some(60 << 20));
    let average = 1172.0 * 1024.0 * 1024.0 / 83.0;
    assert!((it.out.rate.expect("a rate") - average).abs() < 1.0);
}

#[test]
fn while_it_drains_only_what_has_come_is_waited_for() {
    let mut pace = MovingAverage::default();
    pace.on(Duration::from_secs(1), 10 << 20);
    let mut now = sample::status(5, 70, 50);
    let eta = |now: &Status| Snapshot::status(&sample::backup(), None, now, &pace).eta_s;
    assert_eq!(eta(&now), Some(302.2));
    now.state = State::Draining;
    assert_eq!(eta(&now), Some(2.0));
}

#[test]
fn more_than_was_expected_has_no_eta() {
    let mut pace = MovingAverage::default();
    pace.on(Duration::from_secs(1), 10);
    let now = sample::status(5, 4000, 3990);
    let it = Snapshot::status(&sample::backup(), None, &now, &pace);
    assert_eq!((it.eta_s, it.percent), (None, Some(130)));
}
