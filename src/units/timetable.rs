//! A timetable: caps by the time of the week, in the grammar that `rclone --bwlimit` made
//! familiar: `Mon-08:00,1MB/s Sat-00:00,off`; an entry without a weekday is for every day, and
//! `Mon..Fri-08:00,1MB/s` for these. Where two are for the same minute, the one that names the day
//! goes before one for a range of days, and that before one for every day.
//!
//! Entries are in local time. One whose time of day is skipped by a daylight-saving change takes
//! force at the instant of the jump; one whose time comes twice does so the first time. Nothing
//! here reads the clock or the time zone: both come in with `now`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};

use super::error::UnitError;
use super::rate::{Rate, Unit};

const EXAMPLES: &[&str] = &["'08:00,512KiB/s 18:00,10MB/s 23:00,off'"];
const WITH_DAYS: &[&str] = &["'Mon..Fri-08:00,1MB/s Sat-00:00,off'"];

const DAY_MINUTES: u16 = 24 * 60;

const WEEK: [(Weekday, &str); 7] = [
    (Weekday::Monday, "Monday"),
    (Weekday::Tuesday, "Tuesday"),
    (Weekday::Wednesday, "Wednesday"),
    (Weekday::Thursday, "Thursday"),
    (Weekday::Friday, "Friday"),
    (Weekday::Saturday, "Saturday"),
    (Weekday::Sunday, "Sunday"),
];

/// Caps by the time of the week: at least one, no two entries at the same time, one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timetable {
    /// What its rates count.
    unit: Unit,
    /// By minute of the week from Monday 00:00 local time; `None` is `off`. An entry for every
    /// day is here seven times.
    slots: BTreeMap<u16, Option<Rate>>,
}

impl Timetable {
    /// Reads a timetable; `None` if every entry is `off`, which is no cap at any time. Only here
    /// can that be told: a table without a unit would not know which cap it rules.
    ///
    /// # Errors
    /// When it breaks the grammar.
    pub(crate) fn unless_off(text: &str) -> Result<Option<Self>, UnitError> {
        // As where there are no records to be counted, but for what says that it counts them.
        Self::counting(text, None)
    }

    /// The same, where a figure without a unit of bytes or bits counts `bare`.
    pub(super) fn counting(text: &str, bare: Option<Unit>) -> Result<Option<Self>, UnitError> {
        let slots = parse_slots(text, bare)?;
        let unit = unit_of(&slots);
        Ok(unit.map(|unit| Self { unit, slots }))
    }

    /// What its rates count.
    pub(crate) fn unit(&self) -> Unit {
        self.unit
    }

    /// The cap in force at `now` in the time zone of `now`, and the instant at which the next
    /// entry takes force (be it with the same cap).
    pub(crate) fn at(&self, now: &Zoned) -> (Option<Rate>, Zoned) {
        let zone = now.time_zone();
        let mut rate = self.slots.values().next_back().copied().flatten();
        // A week and a day each way: local days are not in step with instants at a change.
        let days = (-8..=8).filter_map(|days| now.date().checked_add(days.days()).ok());
        for day in days {
            for (time, next) in self.of_day(day.weekday()) {
                let Some(instant) = takes_force(day.to_datetime(time), zone) else {
                    continue;
                };
                if instant > now.timestamp() {
                    return (rate, instant.to_zoned(zone.clone()));
                }
                rate = next;
            }
        }
        // Only in the last week of the calendar.
        (rate, Timestamp::MAX.to_zoned(zone.clone()))
    }

    /// The entries of one day in order.
    fn of_day(&self, day: Weekday) -> impl Iterator<Item = (Time, Option<Rate>)> {
        let start = week_minute(day, Time::midnight());
        self.slots
            .range(start..start + DAY_MINUTES)
            .map(|(&minute, &rate)| (time_of(minute), rate))
    }
}

impl FromStr for Timetable {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let table = Self::unless_off(text)?;
        table.ok_or_else(|| UnitError::new("off at all times", EXAMPLES))
    }
}

impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let every_day = |minute: u16| {
            let rate = self.slots.get(&(minute % DAY_MINUTES));
            rate.filter(|_| {
                (0..7).all(|d| self.slots.get(&(d * DAY_MINUTES + minute % DAY_MINUTES)) == rate)
            })
        };
        let mut entries = Vec::new();
        for (&minute, rate) in self.slots.range(..DAY_MINUTES) {
            if every_day(minute).is_some() {
                entries.push(entry(time_of(minute).strftime("%H:%M"), *rate));
            }
        }
        let is_same = |minute: u16, rate| self.slots.get(&minute) == Some(rate);
        for (&minute, rate) in &self.slots {
            let goes_on = minute >= DAY_MINUTES && is_same(minute - DAY_MINUTES, rate);
            if every_day(minute).is_none() && !goes_on {
                let days = (1..7).take_while(|days| is_same(minute + days * DAY_MINUTES, rate));
                entries.push(entry(name_of(minute, days.count() as u16), *rate));
            }
        }
        f.pad(&entries.join(" "))
    }
}

fn entry(when: impl fmt::Display, rate: Option<Rate>) -> String {
    match rate {
        Some(rate) => format!("{when},{rate}"),
        None => format!("{when},off"),
    }
}

/// The entries by minute of the week: at least one.
fn parse_slots(text: &str, bare: Option<Unit>) -> Result<BTreeMap<u16, Option<Rate>>, UnitError> {
    let mut slots = BTreeMap::new();
    // How closely the entry of each names its day.
    let mut ranks = BTreeMap::new();
    for entry in text.split_whitespace() {
        let Some((when, rate)) = entry.split_once(',') else {
            let wrong = "an entry without a comma and a rate";
            return Err(UnitError::new(wrong, EXAMPLES).about(entry));
        };
        let (days, time) = parse_when(when)?;
        let rate = parse_rate(rate, bare)?;
        if let (Some(unit), Some(rate)) = (unit_of(&slots), rate)
            && unit != rate.unit()
        {
            return Err(UnitError::new("a mix of bytes and records", EXAMPLES));
        }
        for day in days.each() {
            let minute = week_minute(day, time);
            match ranks.get(&minute).map(|rank| days.rank().cmp(rank)) {
                Some(Ordering::Equal) => {
                    let twice = "given twice (an entry without a weekday is for every day)";
                    return Err(UnitError::new(twice, WITH_DAYS).about(name_of(minute, 0)));
                }
                Some(Ordering::Greater) => {}
                Some(Ordering::Less) | None => {
                    ranks.insert(minute, days.rank());
                    slots.insert(minute, rate);
                }
            }
        }
    }
    if slots.is_empty() {
        return Err(UnitError::new("an empty timetable", EXAMPLES));
    }
    Ok(slots)
}

/// What the rates count, if there is one.
fn unit_of(slots: &BTreeMap<u16, Option<Rate>>) -> Option<Unit> {
    slots.values().flatten().next().map(Rate::unit)
}

/// The days that an entry is for, the closest name first.
#[derive(Debug, Clone, Copy)]
enum Days {
    One(Weekday),
    Range(Weekday, Weekday),
    Every,
}

impl Days {
    /// All of them.
    fn each(self) -> impl Iterator<Item = Weekday> {
        let (first, last) = match self {
            Days::One(day) => (day, day),
            Days::Range(first, last) => (first, last),
            Days::Every => (Weekday::Monday, Weekday::Sunday),
        };
        first.cycle_forward().take(1 + first.until(last) as usize)
    }

    /// How closely a day is named.
    fn rank(self) -> u8 {
        match self {
            Days::One(_) => 0,
            Days::Range(..) => 1,
            Days::Every => 2,
        }
    }
}

/// `08:00`, `Mon-08:00`, `Monday-08:00` or `Mon..Fri-08:00`.
fn parse_when(text: &str) -> Result<(Days, Time), UnitError> {
    let (days, time) = match text.split_once('-') {
        Some((days, time)) => (parse_days(days)?, time),
        None => (Days::Every, text),
    };
    let digits = time.bytes().all(|b| b.is_ascii_digit() || b == b':');
    match Time::strptime("%H:%M", time) {
        Ok(time) if digits => Ok((days, time)),
        // `Mon-Fri-08:00`
        _ if time.contains('-') => Err(UnitError::new("not a time of day", WITH_DAYS).about(time)),
        _ => Err(UnitError::new("not a time of day", EXAMPLES).about(time)),
    }
}

fn parse_days(text: &str) -> Result<Days, UnitError> {
    match text.split_once("..") {
        Some((first, last)) => Ok(Days::Range(parse_day(first)?, parse_day(last)?)),
        None => parse_day(text).map(Days::One),
    }
}

fn parse_day(text: &str) -> Result<Weekday, UnitError> {
    WEEK.iter()
        .find(|(_, name)| text.eq_ignore_ascii_case(name) || text.eq_ignore_ascii_case(&name[..3]))
        .map(|&(day, _)| day)
        .ok_or_else(|| UnitError::new("not a weekday", WITH_DAYS).about(text))
}

fn parse_rate(text: &str, bare: Option<Unit>) -> Result<Option<Rate>, UnitError> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    if text.contains("..") {
        let wrong = "a range, which a timetable cannot hold";
        return Err(UnitError::new(wrong, EXAMPLES).about(text));
    }
    bare.map_or_else(|| text.parse(), |bare| Rate::counting(text, bare))
        .map(Some)
        .map_err(|reject: UnitError| reject.instead(EXAMPLES).about(text))
}

/// The instant at which the clocks of a zone first show `at` or, if they jump over it, the
/// instant of the jump. `None` beyond the calendar.
fn takes_force(at: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(at).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(at).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(at).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            // Read with the later offset, a skipped time lies just before the jump.
            let just_before = after.to_timestamp(at).ok()?;
            let mut changes = zone.following(just_before);
            changes
                .find(|change| change.offset() == after)
                .map(|change| change.timestamp())
        }
    }
}

fn week_minute(day: Weekday, time: Time) -> u16 {
    // All are small and not negative: below 7 * 1440.
    day.to_monday_zero_offset() as u16 * DAY_MINUTES
        + time.hour() as u16 * 60
        + time.minute() as u16
}

fn time_of(week_minute: u16) -> Time {
    let minute = week_minute % DAY_MINUTES;
    jiff::civil::time((minute / 60) as i8, (minute % 60) as i8, 0, 0)
}

/// `Mon-08:00`, or with so many days after it `Mon..Fri-08:00`.
fn name_of(week_minute: u16, more: u16) -> String {
    let name = |days: u16| &WEEK[usize::from(week_minute / DAY_MINUTES + days) % 7].1[..3];
    let time = time_of(week_minute).strftime("%H:%M");
    match more {
        0 => format!("{}-{time}", name(0)),
        more => format!("{}..{}-{time}", name(0), name(more)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
