//! Timetables: the grammar and the faults, printed and parsed again; `clocks` has the rest.

use proptest::prelude::*;

use super::*;
use crate::units::rate::tests::{any_rate, any_unit};

mod clocks;

fn table(text: &str) -> Timetable {
    text.parse().expect(text)
}

#[test]
fn the_grammar_is_understood_and_printed_in_order() {
    for (typed, printed) in [
        ("08:00,512KiB/s", "08:00,512KiB/s"),
        (
            "08:00,512KiB 18:00,10MB/s 23:00,off",
            "08:00,512KiB/s 18:00,10MB/s 23:00,off",
        ),
        (" 23:00,OFF   8:00,1MB/s\n", "08:00,1MB/s 23:00,off"),
        (
            "Sat-00:00,off Mon-08:00,1MB/s",
            "Mon-08:00,1MB/s Sat-00:00,off",
        ),
        (
            "sunday-23:59,1/5s MON-00:00,off",
            "Mon-00:00,off Sun-23:59,1/5s",
        ),
        ("Wed-12:00,off 08:00,1MB/s", "08:00,1MB/s Wed-12:00,off"),
        ("00:00,30Mbit", "00:00,3750kB/s"),
        (
            "Mon-08:00,1MB/s 08:30,off Tuesday-08:00,2MB/s",
            "08:30,off Mon-08:00,1MB/s Tue-08:00,2MB/s",
        ),
        (
            "Mon..Fri-08:00,1MB/s Sat-00:00,off",
            "Mon..Fri-08:00,1MB/s Sat-00:00,off",
        ),
        (
            "monday..WED-08:00,1MB/s Thu-08:00,1MB/s",
            "Mon..Thu-08:00,1MB/s",
        ),
        (
            "Fri..Mon-08:00,1MB/s",
            "Mon-08:00,1MB/s Fri..Sun-08:00,1MB/s",
        ),
        ("Tue..Tue-08:00,1MB/s", "Tue-08:00,1MB/s"),
        ("Mon..Sun-08:00,1MB/s", "08:00,1MB/s"),
        // What names the day more closely goes before, whatever the order.
        (
            "08:00,1MB/s Sat-08:00,off",
            "Mon..Fri-08:00,1MB/s Sat-08:00,off Sun-08:00,1MB/s",
        ),
        (
            "Wed-08:00,3MB/s Mon..Fri-08:00,2MB/s 08:00,1MB/s",
            "Mon..Tue-08:00,2MB/s Wed-08:00,3MB/s Thu..Fri-08:00,2MB/s Sat..Sun-08:00,1MB/s",
        ),
    ] {
        assert_eq!(table(typed).to_string(), printed);
        assert_eq!(table(printed), table(typed));
    }
}

#[test]
fn impossible_tables_are_turned_away_with_right_ones() {
    for (text, said) in [
        (
            "",
            "an empty timetable: try '08:00,512KiB/s 18:00,10MB/s 23:00,off'",
        ),
        ("  ", "an empty timetable"),
        ("25:00,1MB/s", "\"25:00\" is not a time of day: try '08:00,"),
        (
            "Mon-Fri-08:00,1MB/s",
            "\"Fri-08:00\" is not a time of day: try 'Mon..Fri-08:00,",
        ),
        ("24:00,1MB/s", "\"24:00\" is not a time of day"),
        ("08:60,1MB/s", "\"08:60\" is not a time of day"),
        ("08:00:30,1MB/s", "\"08:00:30\" is not a time of day"),
        ("-08:00,1MB/s", "\"\" is not a weekday"),
        ("+8:00,1MB/s", "\"+8:00\" is not a time of day"),
        (":,1MB/s", "\":\" is not a time of day"),
        (":30,1MB/s", "\":30\" is not a time of day"),
        ("08:,1MB/s", "\"08:\" is not a time of day"),
        ("0800,1MB/s", "\"0800\" is not a time of day"),
        ("008:00,1MB/s", "\"008:00\" is not a time of day"),
        ("8am,1MB/s", "\"8am\" is not a time of day"),
        (",1MB/s", "\"\" is not a time of day"),
        (
            "Foo-08:00,1MB/s",
            "\"Foo\" is not a weekday: try 'Mon..Fri-08:00,1MB/s",
        ),
        ("Mo-08:00,1MB/s", "\"Mo\" is not a weekday"),
        ("Mon-Tue-08:00,1MB/s", "\"Tue-08:00\" is not a time of day"),
        (
            "08:00 1MB/s",
            "\"08:00\" is an entry without a comma and a rate",
        ),
        (
            "08:00,1MB/s 18:00",
            "\"18:00\" is an entry without a comma and a rate",
        ),
        ("08:00,", "\"\" is empty"),
        ("08:00,fast", "\"fast\" is not a rate: try '08:00,"),
        ("08:00,0", "\"0\" is zero"),
        ("08:00,1MB/s,18:00,off", "\"s,18:00,off\" is not a duration"),
        (
            "08:00,1MB/s..2MB/s",
            "\"1MB/s..2MB/s\" is a range, which a timetable cannot hold",
        ),
        ("08:00,1MB/s 08:00,2MB/s", "\"Mon-08:00\" is given twice"),
        ("08:00,1MB/s 08:00,1MB/s", "\"Mon-08:00\" is given twice"),
        (
            "Sat-08:00,1MB/s Saturday-08:00,off",
            "\"Sat-08:00\" is given twice",
        ),
        (
            "Mon..Wed-08:00,1MB/s Wed..Fri-08:00,off",
            "\"Wed-08:00\" is given twice",
        ),
        ("Mon..-08:00,1MB/s", "\"\" is not a weekday"),
        ("Mon..Foo-08:00,1MB/s", "\"Foo\" is not a weekday"),
        ("Mon..Tue..Wed-08:00,1MB/s", "\"Tue..Wed\" is not a weekday"),
        ("08:00,1MB/s 18:00,5/s", "a mix of bytes and records"),
        (
            "08:00,off 09:00,5/s 18:00,5MB/s",
            "a mix of bytes and records",
        ),
        (
            "08:00,off Sat-09:00,OFF",
            "off at all times: try '08:00,512KiB/s 18:00,10MB/s 23:00,off'",
        ),
    ] {
        let reject = text.parse::<Timetable>().expect_err(text);
        assert!(reject.to_string().starts_with(said), "{text}: {reject}");
        assert!(reject.examples().count() > 0, "{text}");
        for example in reject.examples() {
            assert!(example.parse::<Timetable>().is_ok(), "{text}: {example}");
        }
    }
}

#[test]
fn off_at_all_times_is_told_from_nonsense() {
    assert_eq!(Timetable::unless_off("08:00,off Sat-09:00,OFF"), Ok(None));
    let capped = "08:00,off 09:00,5/s";
    assert_eq!(Timetable::unless_off(capped), Ok(Some(table(capped))));
    assert_eq!(table(capped).unit(), Unit::Records);
    for text in ["", "08:00", "08:00,off 08:00,off"] {
        assert!(Timetable::unless_off(text).is_err(), "{text}");
    }
}

/// Tables with up to a dozen entries, some of them for every day, and at least one rate.
pub(crate) fn any_timetable() -> impl Strategy<Value = Timetable> {
    let when = (
        prop_oneof![1 => Just(7u16), 2 => 0..7u16],
        prop_oneof![0..DAY_MINUTES, 0..240u16],
    );
    let entries = any_unit().prop_flat_map(move |unit| {
        let entry = (when.clone(), proptest::option::of(any_rate(unit)));
        let rate = (when.clone(), any_rate(unit).prop_map(Some));
        let entries = (proptest::collection::vec(entry, 0..12), rate);
        entries.prop_map(move |(mut entries, rate)| {
            entries.push(rate);
            (unit, entries)
        })
    });
    entries.prop_map(|(unit, entries)| {
        let mut slots = BTreeMap::new();
        for ((day, minute), rate) in entries {
            let days = if day == 7 { 0..7 } else { day..day + 1 };
            slots.extend(days.map(|day| (day * DAY_MINUTES + minute, rate)));
        }
        Timetable { unit, slots }
    })
}

proptest! {
    #[test]
    fn timetable_survives_print_and_parse(table in any_timetable()) {
        prop_assert_eq!(table.to_string().parse(), Ok(table));
    }

    #[test]
    fn never_panics(text in "\\PC{0,24}", near in "((Mon|Sun|x)?-?[0-9]{0,3}:[0-9]{0,3},?(1MB|off|5/s)? ?){0,4}") {
        let _ = text.parse::<Timetable>();
        let _ = near.parse::<Timetable>();
    }
}
