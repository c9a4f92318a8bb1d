//! A timetable: caps by the time of the week, in the grammar that `rclone --bwlimit` made
//! familiar: `Mon-08:00,1MB/s Sat-00:00,off`; an entry without a weekday is for every day.
//!
//! Entries are in local time. One whose time of day is skipped by a daylight-saving change takes
//! force at the instant of the jump; one whose time comes twice does so the first time. Nothing
//! here reads the clock or the time zone: both come in with `now`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};

use super::{Rate, Reject, Unit};

const EXAMPLES: &[&str] = &["'08:00,512KiB/s 18:00,10MB/s 23:00,off'"];
const WITH_DAYS: &[&str] = &["'Mon-08:00,1MB/s Sat-00:00,off'"];

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
pub struct Timetable {
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
    pub fn unless_off(text: &str) -> Result<Option<Self>, Reject> {
        let slots = parse_slots(text)?;
        let unit = unit_of(&slots);
        Ok(unit.map(|unit| Self { unit, slots }))
    }

    /// What its rates count.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The cap in force at `now` in the time zone of `now`, and the instant at which the next
    /// entry takes force (be it with the same cap).
    pub fn at(&self, now: &Zoned) -> (Option<Rate>, Zoned) {
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
    type Err = Reject;

    fn from_str(text: &str) -> Result<Self, Reject> {
        let table = Self::unless_off(text)?;
        table.ok_or_else(|| Reject::new("off at all times", EXAMPLES))
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
        for (&minute, rate) in &self.slots {
            if every_day(minute).is_none() {
                entries.push(entry(name_of(minute), *rate));
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
fn parse_slots(text: &str) -> Result<BTreeMap<u16, Option<Rate>>, Reject> {
    let mut slots = BTreeMap::new();
    for entry in text.split_whitespace() {
        let Some((when, rate)) = entry.split_once(',') else {
            let wrong = "an entry without a comma and a rate";
            return Err(Reject::new(wrong, EXAMPLES).about(entry));
        };
        let (day, time) = parse_when(when)?;
        let rate = parse_rate(rate)?;
        if let (Some(unit), Some(rate)) = (unit_of(&slots), rate)
            && unit != rate.unit()
        {
            return Err(Reject::new("a mix of bytes and records", EXAMPLES));
        }
        for (weekday, _) in WEEK {
            if day.is_none_or(|day| day == weekday) {
                let minute = week_minute(weekday, time);
                if slots.insert(minute, rate).is_some() {
                    let twice = "given twice (an entry without a weekday is for every day)";
                    return Err(Reject::new(twice, WITH_DAYS).about(name_of(minute)));
                }
            }
        }
    }
    if slots.is_empty() {
        return Err(Reject::new("an empty timetable", EXAMPLES));
    }
    Ok(slots)
}

/// What the rates count, if there is one.
fn unit_of(slots: &BTreeMap<u16, Option<Rate>>) -> Option<Unit> {
    slots.values().flatten().next().map(Rate::unit)
}

/// `08:00`, `Mon-08:00` or `Monday-08:00`.
fn parse_when(text: &str) -> Result<(Option<Weekday>, Time), Reject> {
    let (day, time) = match text.split_once('-') {
        Some((day, time)) => (Some(parse_day(day)?), time),
        None => (None, text),
    };
    let digits = time.bytes().all(|b| b.is_ascii_digit() || b == b':');
    match Time::strptime("%H:%M", time) {
        Ok(time) if digits => Ok((day, time)),
        _ => Err(Reject::new("not a time of day", EXAMPLES).about(time)),
    }
}

fn parse_day(text: &str) -> Result<Weekday, Reject> {
    WEEK.iter()
        .find(|(_, name)| text.eq_ignore_ascii_case(name) || text.eq_ignore_ascii_case(&name[..3]))
        .map(|&(day, _)| day)
        .ok_or_else(|| Reject::new("not a weekday", WITH_DAYS).about(text))
}

fn parse_rate(text: &str) -> Result<Option<Rate>, Reject> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    if text.contains("..") {
        let wrong = "a range, which a timetable cannot hold";
        return Err(Reject::new(wrong, EXAMPLES).about(text));
    }
    text.parse()
        .map(Some)
        .map_err(|reject: Reject| reject.instead(EXAMPLES).about(text))
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

/// `Mon-08:00`.
fn name_of(week_minute: u16) -> String {
    let (_, day) = WEEK[usize::from(week_minute / DAY_MINUTES) % 7];
    format!("{}-{}", &day[..3], time_of(week_minute).strftime("%H:%M"))
}

#[cfg(test)]
pub(crate) mod tests;
