//! DURATION: named cases, and every value printed and parsed again.

use proptest::prelude::*;

use super::*;

#[test]
fn durations_are_understood() {
    for (text, nanos) in [
        ("0s", 0),
        ("0", 0),
        ("1ns", 1),
        ("500ms", 500_000_000),
        ("1000ms", 1_000_000_000),
        ("2s", 2_000_000_000),
        (" 2s ", 2_000_000_000),
        ("2 sec", 2_000_000_000),
        ("4.2s", 4_200_000_000),
        ("1m 30s", 90_000_000_000),
        ("1m30s", 90_000_000_000),
        ("1 min 30 s", 90_000_000_000),
        ("600ms 600ms", 1_200_000_000),
        ("2h", 7_200_000_000_000),
        ("1day", 86_400_000_000_000),
        ("18446744073709551615ns", u64::MAX),
    ] {
        assert_eq!(text.parse(), Ok(Span::from_nanos(nanos)), "{text}");
    }
}

#[test]
fn nonsense_durations_are_turned_away_with_right_ones() {
    for (text, wrong) in [
        ("", "empty"),
        (" ", "empty"),
        ("5", "a number without a unit of time"),
        ("1.5", "a number without a unit of time"),
        ("5s 3", "not a duration"),
        ("-5s", "below zero"),
        ("+5s", "not a duration"),
        ("s", "not a duration"),
        ("soon", "not a duration"),
        ("5 parsecs", "not a duration"),
        ("5s,", "not a duration"),
        ("1:30", "not a duration"),
        ("0.1ns", "too long, or finer"),
        ("18446744073709551616ns", "too long"),
        ("30M", "in months (minutes are 30min, months are days)"),
        ("1h 30M", "in months (minutes are 30min"),
        ("1month", "in months"),
        ("2months", "in months"),
        ("1y", "in years (write days)"),
        ("2yrs", "in years"),
        ("600years", "in years"),
        ("999999days", "too long"),
        ("1 5s", "a figure with a space inside (write 15s)"),
        ("1m 3 0 s", "a figure with a space inside (write 30s)"),
        ("1 5s\nx", r"a figure with a space inside (write 15s\nx)"),
        ("1. 5s", "a figure with a space inside (write 1.5s)"),
        ("18446744073709551615s 1000ms", "too long"),
        ("18446744073709551615s 500ms500ms", "too long"),
        ("99999999999999999999s", "too long"),
    ] {
        let reject = text.parse::<Span>().expect_err(text);
        assert!(reject.to_string().starts_with(wrong), "{text}: {reject}");
        assert!(reject.examples().count() > 0, "{text}: {reject}");
        for example in reject.examples() {
            assert!(example.parse::<Span>().is_ok(), "{text}: {example}");
        }
    }
    assert_eq!(
        "5".parse::<Span>().expect_err("bare").to_string(),
        "a number without a unit of time: try 5s, 500ms or 1m 30s"
    );
}

#[test]
fn durations_print_as_humantime_does() {
    for (nanos, text) in [
        (0, "0s"),
        (500_000_000, "500ms"),
        (90_000_000_000, "1m 30s"),
        (86_400_000_000_000, "1day"),
        (90_000_000_000_000, "1day 1h"),
        (40 * 86_400_000_000_000, "40days"),
        (400 * 86_400_000_000_000 + 1, "400days 1ns"),
    ] {
        assert_eq!(Span::from_nanos(nanos).to_string(), text);
    }
}

proptest! {
    #[test]
    fn span_survives_print_and_parse(nanos: u64, millis in 0..1_000_000_000u64) {
        for span in [Span::from_nanos(nanos), Span::from_nanos(millis * 1_000_000)] {
            prop_assert_eq!(span.to_string().parse(), Ok(span));
            prop_assert_eq!(Span::from_nanos(span.nanos()), span);
        }
    }

    #[test]
    fn never_panics(text in "\\PC{0,24}", numbers in "([0-9]{1,20}(\\.[0-9]{1,20})? ?(y|s|ms|ns|m|h)? ?){0,4}") {
        let _ = text.parse::<Span>();
        let _ = numbers.parse::<Span>();
    }
}
