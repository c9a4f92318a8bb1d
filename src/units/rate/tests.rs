//! Rates: named cases, and every value printed and parsed again.

use proptest::prelude::*;

use super::*;
use crate::units::size::tests::any_size;

const MINUTE: u64 = 60 * SECOND;

fn rate(amount: u64, per_nanos: u64, unit: Unit) -> Rate {
    let positive = |n| NonZeroU64::new(n).expect("not zero");
    Rate::new(positive(amount), positive(per_nanos), unit)
}

#[test]
fn rates_are_understood_exactly() {
    use Unit::{Bytes, Records};
    for (text, amount, per, unit) in [
        ("10MB/s", 10_000_000, SECOND, Bytes),
        ("10 MB / s", 10_000_000, SECOND, Bytes),
        ("512KiB", 512 << 10, SECOND, Bytes),
        ("1.5MiB/s", 3 << 19, SECOND, Bytes),
        ("1M/sec", 1_000_000, SECOND, Bytes),
        ("4096", 4096, SECOND, Bytes),
        ("0.5", 1, 2 * SECOND, Bytes),
        ("100B/s", 100, SECOND, Bytes),
        ("0.1KiB/s", 512, 5 * SECOND, Bytes),
        ("5GB/h", 5_000_000_000, 60 * MINUTE, Bytes),
        ("1TB/day", 1_000_000_000_000, 1440 * MINUTE, Bytes),
        ("16B/ms", 16, 1_000_000, Bytes),
        ("30Mbit/s", 3_750_000, SECOND, Bytes),
        ("30mbits/s", 3_750_000, SECOND, Bytes),
        ("1Gbit", 125_000_000, SECOND, Bytes),
        ("1Kibit/s", 128, SECOND, Bytes),
        ("1bit/s", 1, 8 * SECOND, Bytes),
        ("12bit/s", 3, 2 * SECOND, Bytes),
        ("2.5bit/min", 5, 16 * MINUTE, Bytes),
        ("18446744073709551615", u64::MAX, SECOND, Bytes),
        ("100/s", 100, SECOND, Records),
        ("600/min", 600, MINUTE, Records),
        ("600/m", 600, MINUTE, Records),
        ("1/5s", 1, 5 * SECOND, Records),
        ("1/1m 30s", 1, 90 * SECOND, Records),
        ("2/hour", 2, 60 * MINUTE, Records),
        ("1.5/s", 3, 2 * SECOND, Records),
        ("1/0.5s", 1, SECOND / 2, Records),
        ("18446744073709551615/ns", u64::MAX, 1, Records),
    ] {
        assert_eq!(text.parse(), Ok(rate(amount, per, unit)), "{text}");
    }
}

#[test]
fn nonsense_rates_are_turned_away_with_right_ones() {
    for (text, said) in [
        ("", "empty: try 10MB/s, 30Mbit/s or 100/s (records)"),
        ("fast", "not a rate: try"),
        ("/s", "not a rate: try"),
        ("MB/s", "not a rate: try"),
        ("10MBps", "not a rate: try"),
        ("10 potatoes/s", "not a rate: try"),
        ("10kbbit/s", "not a rate: try"),
        (
            "10Mb/s",
            "either bits or bytes (MB/s or Mbit/s): try 10MB/s,",
        ),
        ("10Mbps", "either bits or bytes (MB/s or Mbit/s): try"),
        ("1.5Gb", "either bits or bytes (GB/s or Gbit/s): try"),
        ("5kb/s", "either bits or bytes (kB/s or kbit/s): try"),
        ("5Mib/s", "either bits or bytes (MiB/s or Mibit/s): try"),
        ("100kbps", "either bits or bytes (kB/s or kbit/s): try"),
        ("5mb/s", "either bits or bytes (MB/s or Mbit/s): try"),
        ("5mbps", "either bits or bytes (MB/s or Mbit/s): try"),
        ("5gib", "either bits or bytes (GiB/s or Gibit/s): try"),
        ("5kib/s", "either bits or bytes (KiB/s or Kibit/s): try"),
        ("5b/s", "either bits or bytes (B/s or bit/s): try"),
        ("5bps", "either bits or bytes (B/s or bit/s): try"),
        ("5potatob/s", "not a rate: try"),
        ("10MBbit/s", "not a rate: try"),
        ("+1/s", "not a rate: try"),
        ("1,5MB/s", "not a rate: try"),
        ("-1", "below zero, so not a rate: try"),
        ("-1MB/s", "below zero, so not a rate: try"),
        ("10MB/", "a rate without its time: try 10MB/s,"),
        (
            "10MB/5",
            "\"5\" is a number without a unit of time: try 10MB/s,",
        ),
        ("10MB/parsec", "\"parsec\" is not a duration: try 10MB/s,"),
        ("10MB/s/s", "\"s/s\" is not a duration: try 10MB/s,"),
        ("10MB/-5s", "\"-5s\" is below zero, so not a duration: try"),
        (
            "5/0s",
            "\"0s\" is no time at all: try 10MB/s, 600/min or 1/5s",
        ),
        ("0/0s", "\"0s\" is no time at all: try"),
        ("5/0", "\"0\" is no time at all: try"),
        ("18446744073709551616", "too large: try"),
        ("99999999999EB/s", "too fast: try"),
        ("16EiB/s", "too fast: try"),
        ("1bit/109500days", "too slow: try 1/h or"),
        ("0.000000000000000001B/h", "too slow: try"),
        ("1/600years", "\"600years\" is in years"),
        (
            "0.0000000000000000001/s",
            "more digits than a rate can have: try",
        ),
    ] {
        let reject = text.parse::<Rate>().expect_err(text);
        assert!(reject.to_string().starts_with(said), "{text}: {reject}");
        for example in reject.examples().filter(|&example| example != "off") {
            assert!(example.parse::<Rate>().is_ok(), "{text}: {example}");
        }
    }
}

#[test]
fn zero_points_to_pause_and_off() {
    for text in ["0", "0/s", "0B/s", "0.0MB/s", "0bit/s"] {
        let reject = text.parse::<Rate>().expect_err(text);
        assert_eq!(
            reject.to_string(),
            "zero: try --pause (to hold the flow) or off (for no cap)",
            "{text}"
        );
    }
}

#[test]
fn rates_print_as_understood() {
    for (typed, printed) in [
        ("10MB/s", "10MB/s"),
        ("512KiB", "512KiB/s"),
        ("30Mbit/s", "3750kB/s"),
        ("4096", "4KiB/s"),
        ("600/min", "600/min"),
        ("1/5s", "1/5s"),
        ("1/1m 30s", "1/1m30s"),
        ("5GB/h", "5GB/h"),
        ("1/day", "1/day"),
        ("1bit/s", "1B/8s"),
        ("16B/ms", "16B/ms"),
    ] {
        assert_eq!(typed.parse::<Rate>().expect(typed).to_string(), printed);
    }
}

#[test]
fn speeds_compare_across_ways_of_writing() {
    let parse = |text: &str| text.parse::<Rate>().expect(text);
    let cmp = |a, b| parse(a).cmp_speed(&parse(b));
    assert_eq!(cmp("600/min", "10/s"), Ordering::Equal);
    assert_eq!(cmp("601/min", "10/s"), Ordering::Greater);
    assert_eq!(cmp("8Mbit", "1MB/s"), Ordering::Equal);
    assert_eq!(
        cmp("18446744073709551614", "18446744073709551615"),
        Ordering::Less
    );
    assert!((parse("1/5s").per_second() - 0.2).abs() < 1e-12);
    assert!((parse("30Mbit/s").per_second() - 3.75e6).abs() < 1e-6);
}

/// Any rate of one unit, among them those that people type.
pub(crate) fn any_rate(unit: Unit) -> impl Strategy<Value = Rate> {
    let per = prop_oneof![
        (0..PRINTED.len()).prop_map(|i| PRINTED[i].0),
        (1..=100u64).prop_map(|seconds| seconds * SECOND),
        1..=u64::MAX,
    ];
    (any_size(), per).prop_map(move |(amount, per)| rate(amount.bytes().max(1), per, unit))
}

/// Either unit.
pub(crate) fn any_unit() -> impl Strategy<Value = Unit> {
    prop_oneof![Just(Unit::Bytes), Just(Unit::Records)]
}

proptest! {
    #[test]
    fn rate_survives_print_and_parse(rate in any_unit().prop_flat_map(any_rate)) {
        let text = rate.to_string();
        prop_assert!(!text.contains(char::is_whitespace));
        prop_assert_eq!(text.parse(), Ok(rate));
    }

    #[test]
    fn never_panics(text in "\\PC{0,24}", near in "[0-9.]{1,22}[KMGTE]?i?(B|bit)?/?[0-9.]{0,21}(y|s|ns)?") {
        let _ = text.parse::<Rate>();
        let _ = near.parse::<Rate>();
    }
}
