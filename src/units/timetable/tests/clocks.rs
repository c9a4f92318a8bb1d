//! What is in force when: made-up clocks in zones with changes of every kind.

use jiff::civil::Date;
use proptest::prelude::*;

use super::super::*;
use super::{any_timetable, table};

fn instant(text: &str) -> Zoned {
    text.parse().expect(text)
}

/// The cap in force and the next instant, as text.
fn at(text: &str, now: &str) -> (String, String) {
    let (rate, next) = table(text).at(&instant(now));
    (
        rate.map_or("off".to_owned(), |rate| rate.to_string()),
        next.to_string(),
    )
}

fn pair(rate: &str, next: &str) -> (String, String) {
    (rate.to_owned(), next.to_owned())
}

#[test]
fn the_entry_in_force_is_the_latest_before_now() {
    let day = "08:00,512KiB/s 18:00,10MB/s 23:00,off";
    for (now, rate, next) in [
        (
            "2025-06-04T07:59:59.999999999+02:00[Europe/Berlin]",
            "off",
            "2025-06-04T08:00:00+02:00[Europe/Berlin]",
        ),
        (
            "2025-06-04T08:00:00+02:00[Europe/Berlin]",
            "512KiB/s",
            "2025-06-04T18:00:00+02:00[Europe/Berlin]",
        ),
        (
            "2025-06-04T18:00:00.000000001+02:00[Europe/Berlin]",
            "10MB/s",
            "2025-06-04T23:00:00+02:00[Europe/Berlin]",
        ),
        (
            "2025-06-04T23:30:00+02:00[Europe/Berlin]",
            "off",
            "2025-06-05T08:00:00+02:00[Europe/Berlin]",
        ),
        (
            "2025-12-31T23:30:00+01:00[Europe/Berlin]",
            "off",
            "2026-01-01T08:00:00+01:00[Europe/Berlin]",
        ),
    ] {
        assert_eq!(at(day, now), pair(rate, next), "{now}");
    }
}

#[test]
fn the_week_wraps_around() {
    let week = "Mon-08:00,1MB/s Sat-00:00,off";
    for (now, rate, next) in [
        // A Monday before eight: the Saturday before is still in force.
        (
            "2025-06-02T07:00:00[America/New_York]",
            "off",
            "2025-06-02T08:00:00-04:00[America/New_York]",
        ),
        (
            "2025-06-02T08:00:00[America/New_York]",
            "1MB/s",
            "2025-06-07T00:00:00-04:00[America/New_York]",
        ),
        (
            "2025-06-06T23:59:59[America/New_York]",
            "1MB/s",
            "2025-06-07T00:00:00-04:00[America/New_York]",
        ),
        (
            "2025-06-08T12:00:00[America/New_York]",
            "off",
            "2025-06-09T08:00:00-04:00[America/New_York]",
        ),
    ] {
        assert_eq!(at(week, now), pair(rate, next), "{now}");
    }
}

#[test]
fn one_entry_holds_all_the_time() {
    let next = "2025-06-05T08:00:00+02:00[Europe/Berlin]";
    assert_eq!(
        at("08:00,1MB/s", "2025-06-04T08:00:00[Europe/Berlin]"),
        pair("1MB/s", next)
    );
    assert_eq!(
        at("08:00,1MB/s", "2025-06-05T07:59:00[Europe/Berlin]"),
        pair("1MB/s", next)
    );
    let next = "2025-06-11T08:00:00+02:00[Europe/Berlin]";
    assert_eq!(
        at("Wed-08:00,1MB/s", "2025-06-04T08:00:00[Europe/Berlin]"),
        pair("1MB/s", next)
    );
    assert_eq!(
        at("Wed-08:00,1MB/s", "2025-06-11T07:59:00[Europe/Berlin]"),
        pair("1MB/s", next)
    );
}

#[test]
fn a_time_that_is_skipped_takes_force_at_the_jump() {
    for (text, now, rate, next) in [
        // Berlin jumps from 02:00 to 03:00, New York too, Lord Howe from 02:00 to 02:30.
        (
            "02:30,1MB/s 12:00,off",
            "2025-03-30T01:59:59+01:00[Europe/Berlin]",
            "off",
            "2025-03-30T03:00:00+02:00[Europe/Berlin]",
        ),
        (
            "02:30,1MB/s 12:00,off",
            "2025-03-30T03:00:00+02:00[Europe/Berlin]",
            "1MB/s",
            "2025-03-30T12:00:00+02:00[Europe/Berlin]",
        ),
        (
            "02:00,1MB/s 12:00,off",
            "2025-03-30T01:59:59+01:00[Europe/Berlin]",
            "off",
            "2025-03-30T03:00:00+02:00[Europe/Berlin]",
        ),
        (
            "02:59,1MB/s 12:00,off",
            "2025-03-09T01:59:59-05:00[America/New_York]",
            "off",
            "2025-03-09T03:00:00-04:00[America/New_York]",
        ),
        (
            "02:15,1MB/s 12:00,off",
            "2025-10-05T01:59:00+10:30[Australia/Lord_Howe]",
            "off",
            "2025-10-05T02:30:00+11:00[Australia/Lord_Howe]",
        ),
        (
            "02:30,1MB/s 12:00,off",
            "2025-10-05T01:59:00+10:30[Australia/Lord_Howe]",
            "off",
            "2025-10-05T02:30:00+11:00[Australia/Lord_Howe]",
        ),
        (
            "Sat..Sun-02:30,1MB/s 12:00,off",
            "2025-03-30T03:00:00+02:00[Europe/Berlin]",
            "1MB/s",
            "2025-03-30T12:00:00+02:00[Europe/Berlin]",
        ),
        (
            "02:30,2MB/s Sun-02:30,1MB/s 12:00,off",
            "2025-03-30T01:59:59+01:00[Europe/Berlin]",
            "off",
            "2025-03-30T03:00:00+02:00[Europe/Berlin]",
        ),
        (
            "02:30,2MB/s Sun-02:30,1MB/s 12:00,off",
            "2025-03-30T03:00:00+02:00[Europe/Berlin]",
            "1MB/s",
            "2025-03-30T12:00:00+02:00[Europe/Berlin]",
        ),
        // Of several that are skipped together the last one counts.
        (
            "02:10,1MB/s 02:50,2MB/s 12:00,off",
            "2025-03-30T03:00:00+02:00[Europe/Berlin]",
            "2MB/s",
            "2025-03-30T12:00:00+02:00[Europe/Berlin]",
        ),
        (
            "02:10,1MB/s 03:00,2MB/s 12:00,off",
            "2025-03-30T03:00:00+02:00[Europe/Berlin]",
            "2MB/s",
            "2025-03-30T12:00:00+02:00[Europe/Berlin]",
        ),
        // Samoa left out the whole of Friday, 30 December 2011.
        (
            "Fri-12:00,1MB/s Sun-00:00,off",
            "2011-12-29T23:00:00-10:00[Pacific/Apia]",
            "off",
            "2011-12-31T00:00:00+14:00[Pacific/Apia]",
        ),
        (
            "Fri-12:00,1MB/s Sun-00:00,off",
            "2011-12-31T00:00:00+14:00[Pacific/Apia]",
            "1MB/s",
            "2012-01-01T00:00:00+14:00[Pacific/Apia]",
        ),
    ] {
        assert_eq!(at(text, now), pair(rate, next), "{text} at {now}");
    }
}

#[test]
fn a_time_that_comes_twice_takes_force_the_first_time() {
    for (text, now, rate, next) in [
        // Berlin falls back from 03:00 to 02:00, New York from 02:00 to 01:00, Lord Howe from 02:00 to 01:30.
        (
            "02:30,1MB/s 12:00,off",
            "2025-10-26T02:00:00+02:00[Europe/Berlin]",
            "off",
            "2025-10-26T02:30:00+02:00[Europe/Berlin]",
        ),
        (
            "02:30,1MB/s 12:00,off",
            "2025-10-26T02:00:00+01:00[Europe/Berlin]",
            "1MB/s",
            "2025-10-26T12:00:00+01:00[Europe/Berlin]",
        ),
        (
            "02:30,1MB/s 12:00,off",
            "2025-10-26T02:30:00+01:00[Europe/Berlin]",
            "1MB/s",
            "2025-10-26T12:00:00+01:00[Europe/Berlin]",
        ),
        (
            "02:10,1MB/s 02:50,off",
            "2025-10-26T02:20:00+01:00[Europe/Berlin]",
            "off",
            "2025-10-27T02:10:00+01:00[Europe/Berlin]",
        ),
        (
            "03:00,1MB/s 12:00,off",
            "2025-10-26T02:59:59+02:00[Europe/Berlin]",
            "off",
            "2025-10-26T03:00:00+01:00[Europe/Berlin]",
        ),
        (
            "01:30,1MB/s 12:00,off",
            "2025-11-02T01:00:00-04:00[America/New_York]",
            "off",
            "2025-11-02T01:30:00-04:00[America/New_York]",
        ),
        (
            "01:30,1MB/s 12:00,off",
            "2025-11-02T01:00:00-05:00[America/New_York]",
            "1MB/s",
            "2025-11-02T12:00:00-05:00[America/New_York]",
        ),
        (
            "01:45,1MB/s 12:00,off",
            "2025-04-06T01:30:00+11:00[Australia/Lord_Howe]",
            "off",
            "2025-04-06T01:45:00+11:00[Australia/Lord_Howe]",
        ),
        (
            "01:45,1MB/s 12:00,off",
            "2025-04-06T01:30:00+10:30[Australia/Lord_Howe]",
            "1MB/s",
            "2025-04-06T12:00:00+10:30[Australia/Lord_Howe]",
        ),
        (
            "Fri..Mon-02:30,1MB/s 12:00,off",
            "2025-10-26T02:15:00+01:00[Europe/Berlin]",
            "1MB/s",
            "2025-10-26T12:00:00+01:00[Europe/Berlin]",
        ),
        (
            "02:30,2MB/s Sun-02:30,1MB/s 12:00,off",
            "2025-10-26T02:30:00+02:00[Europe/Berlin]",
            "1MB/s",
            "2025-10-26T12:00:00+01:00[Europe/Berlin]",
        ),
        // Havana falls back from 01:00 to 00:00: the next day's entry is not taken early or twice.
        (
            "00:30,1MB/s 12:00,off",
            "2025-11-02T00:15:00-05:00[America/Havana]",
            "1MB/s",
            "2025-11-02T12:00:00-05:00[America/Havana]",
        ),
        // St John's fell back from 00:01 to 23:01: Saturday came again after Sunday had begun.
        (
            "Sun-00:00,1MB/s Mon-00:00,off",
            "2010-11-06T23:30:00-03:30[America/St_Johns]",
            "1MB/s",
            "2010-11-08T00:00:00-03:30[America/St_Johns]",
        ),
    ] {
        assert_eq!(at(text, now), pair(rate, next), "{text} at {now}");
    }
}

#[test]
fn the_ends_of_the_calendar_are_survived() {
    let table = table("Wed-08:00,1MB/s 09:00,off");
    for zone in [
        TimeZone::UTC,
        TimeZone::get("Europe/Berlin").expect("Berlin"),
    ] {
        for end in [Timestamp::MIN, Timestamp::MAX] {
            let _ = table.at(&end.to_zoned(zone.clone()));
        }
    }
}

/// Instants near changes of the clocks, and any others of some years.
fn any_instant() -> impl Strategy<Value = Zoned> {
    let zone = prop_oneof![
        Just("Europe/Berlin"),
        Just("America/New_York"),
        Just("Australia/Lord_Howe"),
        Just("America/St_Johns"),
        Just("America/Havana"),
        Just("UTC"),
    ];
    let start: Date = "2005-01-01".parse().expect("a date");
    (zone, 0..700_000_000i64, any::<bool>(), -100_000..100_000i64).prop_map(
        move |(name, seconds, near, around)| {
            let zone = TimeZone::get(name).expect(name);
            let any =
                start.to_zoned(zone.clone()).expect("a start").timestamp() + seconds.seconds();
            let change = zone.following(any).next().filter(|_| near);
            let instant = change.map_or(any, |change| change.timestamp() + around.seconds());
            instant.to_zoned(zone)
        },
    )
}

proptest! {
    /// Away from hours that come twice, the wall clock alone says which entry is in force.
    #[test]
    fn the_wall_clock_agrees(table in any_timetable(), now in any_instant()) {
        prop_assume!(!now.time_zone().to_ambiguous_timestamp(now.datetime()).is_ambiguous());
        let minute = week_minute(now.weekday(), now.time());
        let last = table.slots.range(..=minute).next_back();
        let wanted = last.or(table.slots.last_key_value()).and_then(|(_, rate)| *rate);
        prop_assert_eq!(table.at(&now).0, wanted);
    }

    /// Nothing changes before the instant that is given, and an entry begins there.
    #[test]
    fn nothing_changes_before_the_next_instant(
        table in any_timetable(),
        now in any_instant(),
        part in 0..1000i64,
    ) {
        let (rate, next) = table.at(&now);
        prop_assert!(next > now);
        let nanos = (next.timestamp().as_nanosecond() - now.timestamp().as_nanosecond()) as i64;
        let later = now.timestamp() + (nanos / 1000 * part).nanoseconds();
        for between in [later, next.timestamp() - 1.nanosecond()] {
            prop_assert_eq!(table.at(&between.to_zoned(now.time_zone().clone())), (rate, next.clone()));
        }
        prop_assert!(table.at(&next).1 > next);
    }
}
