//! A LIMIT as it was typed: what it counts is only known where it is known whether there are records.
//!
//! A figure without a unit of bytes or bits counts records where there are any, and else bytes: `50`, `100/s`,
//! `200k/s`.

use std::fmt;
use std::str::FromStr;

use super::error::UnitError;
use super::limit::Limit;
use super::rate::Unit;

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypedLimit {
    text: String,
    bytes: Limit,
    records: Limit,
}

impl TypedLimit {
    /// What it comes to, with records to be counted or without.
    pub(crate) fn limit(&self, framed: bool) -> &Limit {
        match framed {
            true => &self.records,
            false => &self.bytes,
        }
    }

    /// Whether it is no cap.
    pub(crate) fn is_off(&self) -> bool {
        self.bytes == Limit::Off
    }

    /// How a timetable is understood whose figures have no units of bytes or bits, which other programs take for
    /// something else: as it would be written with them. `None` for all others.
    pub(crate) fn guessed(&self, framed: bool) -> Option<String> {
        let is_bare = self.bytes.unit() != self.records.unit();
        match self.limit(framed) {
            Limit::Timetable(table) if is_bare => Some(table.to_string()),
            _ => None,
        }
    }

    /// What it counts; `None` for `off`.
    pub(crate) fn unit(&self, framed: bool) -> Option<Unit> {
        self.limit(framed).unit()
    }
}

impl FromStr for TypedLimit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<TypedLimit, UnitError> {
        Ok(TypedLimit {
            bytes: Limit::counting(text, Some(Unit::Bytes))?,
            records: Limit::counting(text, Some(Unit::Records))?,
            text: text.trim().to_owned(),
        })
    }
}

impl fmt::Display for TypedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_without_a_unit_counts_records_where_there_are_any() {
        for (text, bytes, records) in [
            ("50", "50B/s", "50/s"),
            ("100/s", "100B/s", "100/s"),
            ("600/min", "600B/min", "600/min"),
            ("200k/s", "200kB/s", "200000/s"),
            ("1.5M", "1.5MB/s", "1500000/s"),
            ("200Ki/s", "200KiB/s", "204800/s"),
            ("10MB/s", "10MB/s", "10MB/s"),
            ("8Mbit/s", "1MB/s", "1MB/s"),
            ("1k..2k", "1kB/s..2kB/s", "1000/s..2000/s"),
            (
                "08:00,512 23:00,off",
                "08:00,512B/s 23:00,off",
                "08:00,512/s 23:00,off",
            ),
            ("off", "off", "off"),
        ] {
            let typed: TypedLimit = text.parse().expect(text);
            let same = |framed, limit: &str| {
                let wanted: Limit = limit.parse().expect(limit);
                assert_eq!(
                    typed.limit(framed),
                    &wanted,
                    "{text} is {}",
                    typed.limit(framed)
                );
            };
            same(false, bytes);
            same(true, records);
            assert_eq!(typed.to_string(), text);
        }
    }

    #[test]
    fn only_a_timetable_without_units_is_a_guess() {
        for (text, bytes, records) in [
            ("10:20,666", Some("10:20,666B/s"), Some("10:20,666/s")),
            (
                "08:00,5k 09:00,off",
                Some("08:00,5kB/s 09:00,off"),
                Some("08:00,5000/s 09:00,off"),
            ),
            ("10:20,666KiB", None, None),
            ("10:20,8Mbit/s", None, None),
            ("10:20,off", None, None),
            ("666", None, None),
        ] {
            let typed: TypedLimit = text.parse().expect(text);
            assert_eq!(typed.guessed(false).as_deref(), bytes, "{text}");
            assert_eq!(typed.guessed(true).as_deref(), records, "{text}");
        }
    }

    #[test]
    fn what_is_no_limit_is_turned_away() {
        for text in ["", "x", "10Mb/s", "0/s", "2..20MB/s", "08:00,1MB/s 09:00,x"] {
            assert!(text.parse::<TypedLimit>().is_err(), "{text}");
        }
    }
}
