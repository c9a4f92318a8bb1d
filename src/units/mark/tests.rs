//! MARK and percentages: named cases, and every value printed and parsed again.

use proptest::prelude::*;

use super::*;
use crate::units::percent::WHOLE;
use crate::units::size::tests::any_size;

#[test]
fn percentages_are_exact() {
    for (text, millionths, printed) in [
        ("0%", 0, "0%"),
        ("100%", 1_000_000, "100%"),
        ("75 %", 750_000, "75%"),
        ("12.50%", 125_000, "12.5%"),
        (".5%", 5_000, "0.5%"),
        ("33.3333%", 333_333, "33.3333%"),
        ("0.0001%", 1, "0.0001%"),
    ] {
        let percent = text.parse::<Percent>().expect(text);
        assert_eq!(percent.0, millionths, "{text}");
        assert_eq!(percent.to_string(), printed);
    }
    assert_eq!(Percent(WHOLE).of(u64::MAX), u64::MAX);
    assert_eq!(Percent(333_333).of(10), 3);
}

#[test]
fn marks_are_bytes_or_a_part_of_the_buffer() {
    for (text, bytes) in [
        ("0", 0),
        ("4096", 4096),
        ("1MiB", 1 << 20),
        ("50%", 500),
        ("100%", 1000),
        ("0.1%", 1),
    ] {
        assert_eq!(
            text.parse::<Mark>().map(|mark| mark.of(1000)),
            Ok(bytes),
            "{text}"
        );
    }
}

#[test]
fn nonsense_marks_are_turned_away_with_right_ones() {
    for (text, wrong) in [
        ("", "empty"),
        ("full", "not a size"),
        ("%", "not a percentage"),
        ("-5%", "below zero, so not a percentage"),
        ("5%%", "not a percentage"),
        ("100.0001%", "more than 100%"),
        ("101%", "more than 100%"),
        ("1.23456%", "finer than four decimals"),
        ("99999999999999999999%", "too large"),
        ("-1", "below zero"),
        ("16EiB", "too large"),
    ] {
        let reject = text.parse::<Mark>().expect_err(text);
        assert!(reject.to_string().starts_with(wrong), "{text}: {reject}");
        assert!(reject.examples().count() > 0, "{text}");
        for example in reject.examples() {
            assert!(example.parse::<Mark>().is_ok(), "{text}: {example}");
        }
    }
}

proptest! {
    #[test]
    fn mark_survives_print_and_parse(size in any_size(), millionths in 0..=WHOLE) {
        for mark in [Mark::Bytes(size), Mark::Percent(Percent(millionths))] {
            prop_assert_eq!(mark.to_string().parse(), Ok(mark));
        }
    }

    #[test]
    fn a_part_is_never_more_than_the_whole(whole: u64, a in 0..=WHOLE, b in 0..=WHOLE) {
        let (less, more) = (Percent(a.min(b)).of(whole), Percent(a.max(b)).of(whole));
        prop_assert!(less <= more && more <= whole);
    }

    #[test]
    fn never_panics(text in "\\PC{0,24}%?") {
        let _ = text.parse::<Mark>();
    }
}
