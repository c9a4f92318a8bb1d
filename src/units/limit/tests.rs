//! LIMIT: every form, every fault, and every value printed and parsed again.

use proptest::prelude::*;

use super::*;
use crate::units::rate::tests::{any_rate, any_unit};
use crate::units::timetable::tests::any_timetable;

fn parse(text: &str) -> Limit {
    text.parse().expect(text)
}

#[test]
fn every_form_is_understood() {
    let rate = |text: &str| text.parse::<Rate>().expect(text);
    let range = |a, b| Limit::Range {
        empty: rate(a),
        full: rate(b),
    };
    assert_eq!(parse("off"), Limit::Off);
    assert_eq!(parse(" OFF "), Limit::Off);
    assert_eq!(parse("08:00,off Sat-18:00,OFF"), Limit::Off);
    assert_eq!(parse("10MB/s"), Limit::Fixed(rate("10MB/s")));
    assert_eq!(parse("100/s"), Limit::Fixed(rate("100/s")));
    assert_eq!(parse("2MB/s..20MB/s"), range("2MB/s", "20MB/s"));
    assert_eq!(parse("2MB .. 20MB"), range("2MB/s", "20MB/s"));
    assert_eq!(parse("1000..2000"), range("1000B/s", "2000B/s"));
    assert_eq!(parse("8Mbit..1MB/s"), range("1MB/s", "1MB/s"));
    assert_eq!(parse("60/min..100/s"), range("60/min", "100/s"));
    assert!(matches!(
        parse("08:00,1MB/s 18:00,off"),
        Limit::Timetable(_)
    ));
}

#[test]
fn the_unit_is_known_where_there_is_one() {
    for (text, unit) in [
        ("off", None),
        ("10MB/s", Some(Unit::Bytes)),
        ("1/5s", Some(Unit::Records)),
        ("1/s..5/s", Some(Unit::Records)),
        ("08:00,off", None),
        ("08:00,off 09:00,5/s", Some(Unit::Records)),
        ("08:00,1Mbit 09:00,off", Some(Unit::Bytes)),
    ] {
        assert_eq!(parse(text).unit(), unit, "{text}");
    }
}

#[test]
fn nonsense_limits_are_turned_away_with_right_ones() {
    for (text, said) in [
        (
            "",
            "empty: try 10MB/s, 100/s (records), 2MB/s..20MB/s or off",
        ),
        (
            "fast",
            "not a rate: try 10MB/s, 100/s (records), 2MB/s..20MB/s or off",
        ),
        ("-1", "below zero, so not a rate: try"),
        (
            "0",
            "zero: try --pause (to hold the flow) or off (for no cap)",
        ),
        ("0/0s", "\"0s\" is no time at all: try"),
        ("/s", "not a rate: try"),
        ("5/0s", "\"0s\" is no time at all: try"),
        ("99999999999999999999", "too large: try"),
        ("10%", "not a rate: try"),
        ("offf", "not a rate: try"),
        (
            "1,5MB/s",
            "neither a figure nor a time of day before the comma: try 1.5MB/s or 08:00,1MB/s",
        ),
        ("1MB/s..2,5MB/s", "neither a figure nor a time"),
        ("..", "not a range of rates: try 2MB/s..20MB/s or"),
        ("2MB/s..", "not a range of rates: try"),
        ("..2MB/s", "not a range of rates: try"),
        ("1KB/s...5MB/s", "not a range of rates: try"),
        ("1MB/s..2MB/s..3MB/s", "\"s..3MB/s\" is not a duration: try"),
        (
            "2..20MB/s",
            "\"2\" is without the unit of the other end: try 2MB/s..20MB/s",
        ),
        (
            "2MB/s..20",
            "\"20\" is without the unit of the other end: try",
        ),
        ("slow..fast", "\"slow\" is not a rate: try 2MB/s..20MB/s"),
        ("off..2MB/s", "\"off\" is not a rate: try 2MB/s..20MB/s"),
        ("0/s..5/s", "\"0/s\" is zero: try --pause"),
        (
            "20MB/s..2MB/s",
            "a range with the faster rate first: try 2MB/s..20MB/s",
        ),
        (
            "1MB/s..5/s",
            "\"5/s\" is without the unit of the other end: try 2MB/s..20MB/s",
        ),
        (
            "100/s..5MB/s",
            "\"100/s\" is without the unit of the other end: try 2MB/s..20MB/s",
        ),
        ("25:00,1MB/s", "\"25:00\" is not a time of day: try"),
        ("Mon-bad,666", "\"bad\" is not a time of day: try"),
        ("8,1MB/s", "neither a figure nor a time of day before"),
    ] {
        let reject = text.parse::<Limit>().expect_err(text);
        assert!(reject.to_string().starts_with(said), "{text}: {reject}");
        assert!(reject.examples().count() > 0, "{text}");
        for example in reject.examples().filter(|e| !e.starts_with("--")) {
            assert!(example.parse::<Limit>().is_ok(), "{text}: {example}");
        }
    }
}

fn any_limit() -> impl Strategy<Value = Limit> {
    let range = any_unit()
        .prop_flat_map(|unit| (any_rate(unit), any_rate(unit)))
        .prop_map(|(a, b)| match a.cmp_speed(&b) {
            Ordering::Greater => Limit::Range { empty: b, full: a },
            _ => Limit::Range { empty: a, full: b },
        });
    prop_oneof![
        Just(Limit::Off),
        any_unit().prop_flat_map(any_rate).prop_map(Limit::Fixed),
        range,
        any_timetable().prop_map(Limit::Timetable),
    ]
}

proptest! {
    #[test]
    fn limit_survives_print_and_parse(limit in any_limit()) {
        prop_assert_eq!(limit.to_string().parse(), Ok(limit));
    }

    #[test]
    fn never_panics(text in "\\PC{0,24}", near in "[0-9MBs/.:, -]{0,32}") {
        let _ = text.parse::<Limit>();
        let _ = near.parse::<Limit>();
    }
}
