//! Figures for people: three significant digits in at most a known number of columns, so that what
//! stands beside a figure does not jump about as it grows.

use std::time::Duration;

/// The widest text of [`bytes`].
pub(crate) const BYTES_WIDTH: usize = 7;
/// The widest text of [`count`].
pub(crate) const COUNT_WIDTH: usize = 5;
/// The widest text of [`rate`] and [`rate_of_records`].
pub(crate) const RATE_WIDTH: usize = 9;
/// What stands for a figure that nobody knows.
pub(crate) const UNKNOWN: &str = "-";

const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const DECIMAL: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const COUNTS: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];

/// The units of a weir's amounts: those in which its figures were typed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Powers of 1024: `KiB`.
    #[default]
    Binary,
    /// Powers of 1000: `kB`.
    Decimal,
}

impl Scale {
    /// The units in which this is a rounder figure; `None` where it is a round one in neither.
    #[must_use]
    pub(crate) fn of(amount: f64) -> Option<Scale> {
        (0..=3).find_map(|digits| {
            let fits = |scale: &Scale| scale.exact(amount, digits).is_some();
            [Scale::Decimal, Scale::Binary].into_iter().find(fits)
        })
    }

    fn units(self) -> (f64, &'static [&'static str; 7]) {
        match self {
            Scale::Binary => (1024.0, &BINARY),
            Scale::Decimal => (1000.0, &DECIMAL),
        }
    }

    /// An amount of bytes: `987B`, `9.87MiB`.
    #[must_use]
    pub(crate) fn bytes(self, bytes: u64) -> String {
        let (step, units) = self.units();
        scaled(bytes as f64, step, units)
    }

    /// Bytes per second: `9.87MiB/s`.
    #[must_use]
    pub(crate) fn rate(self, per_second: Option<f64>) -> String {
        let (step, units) = self.units();
        per_second.map_or_else(unknown, |r| scaled(r, step, units) + "/s")
    }

    /// A figure that somebody has typed, as he may have typed it: `50MB`, `1.5MiB`.
    #[must_use]
    pub(crate) fn typed(self, amount: f64) -> String {
        let exact = (0..=3).find_map(|digits| self.exact(amount, digits));
        let (step, units) = self.units();
        exact.unwrap_or_else(|| scaled(amount, step, units))
    }

    /// With so many digits after the point and a unit above the byte, if that is exact.
    fn exact(self, amount: f64, digits: u8) -> Option<String> {
        let (step, units) = self.units();
        let shift = 10f64.powi(digits.into());
        (1..units.len()).rev().find_map(|unit| {
            let shifted = amount / step.powi(unit as i32) * shift;
            let is_exact = shifted.fract() == 0.0 && shifted >= shift && shifted < 1e3 * shift;
            let number = shifted / shift;
            is_exact.then(|| format!("{number:.0$}{1}", usize::from(digits), units[unit]))
        })
    }

    /// Two rates in the unit of the greater one, always in as many columns: `60.0 → 51.6MiB/s`.
    #[must_use]
    pub(crate) fn pair(self, from: Option<f64>, arrow: &str, to: Option<f64>) -> String {
        let (step, units) = self.units();
        pair(from, arrow, to, step, units)
    }
}

/// An amount of bytes, in binary units: `987B`, `9.87MiB`.
#[must_use]
pub(crate) fn bytes(bytes: u64) -> String {
    Scale::Binary.bytes(bytes)
}

/// A number of records: `987`, `9.87M`.
#[must_use]
pub(crate) fn count(records: u64) -> String {
    scaled(records as f64, 1000.0, &COUNTS)
}

/// A number of records that somebody has typed: `1k`, `1.5M`.
#[must_use]
pub(crate) fn typed_count(records: f64) -> String {
    let exact = Scale::of(records).map(|_| Scale::Decimal.typed(records));
    match exact {
        Some(text) if !text.contains("iB") => text.replace('B', ""),
        _ => scaled(records, 1000.0, &COUNTS),
    }
}

/// Records per second: `9.87k/s`.
#[must_use]
pub(crate) fn rate_of_records(per_second: Option<f64>) -> String {
    per_second.map_or_else(unknown, |r| scaled(r, 1000.0, &COUNTS) + "/s")
}

/// Two rates of records, as [`Scale::pair`] has those of bytes.
#[must_use]
pub(crate) fn pair_of_records(from: Option<f64>, arrow: &str, to: Option<f64>) -> String {
    pair(from, arrow, to, 1000.0, &COUNTS)
}

/// Columns of a figure in a pair, of which only the second has a unit.
const FIGURE_WIDTH: usize = 4;

fn pair(from: Option<f64>, arrow: &str, to: Option<f64>, step: f64, units: &[&str; 7]) -> String {
    let most = from.into_iter().chain(to).fold(0.0, f64::max);
    let unit = unit_of(most, step);
    let figure = |rate: Option<f64>| {
        rate.map_or_else(unknown, |rate| digits(rate / step.powi(unit as i32), unit))
    };
    let to = match to {
        Some(_) => format!("{}{}/s", figure(to), units[unit]),
        None => unknown(),
    };
    format!("{:>FIGURE_WIDTH$} {arrow} {to:<RATE_WIDTH$}", figure(from))
}

/// A time as a clock shows it: `0:07`, `12:07`, `3:12:07`, `2d03:12`.
#[must_use]
pub(crate) fn clock(seconds: f64) -> String {
    let all = seconds.max(0.0) as u64;
    let (days, hours, minutes, rest) = (all / 86_400, all / 3600 % 24, all / 60 % 60, all % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}:{rest:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{rest:02}"),
        _ => format!("{days}d{hours:02}:{minutes:02}"),
    }
}

/// A time in words, as fine as a person wants it: `12.3s`, `2m 10s`.
#[must_use]
pub(crate) fn time(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    if seconds < 10.0 {
        return format!("{seconds:.2}s");
    }
    if seconds < 60.0 {
        return format!("{seconds:.1}s");
    }
    humantime::format_duration(Duration::from_secs(seconds as u64)).to_string()
}

/// A time that is long and not exact, in its largest unit: `74 days`, `3 hours`, `40 seconds`.
pub(crate) fn roughly(seconds: f64) -> String {
    let units = [
        (86_400.0, "day"),
        (3600.0, "hour"),
        (60.0, "minute"),
        (1.0, "second"),
    ];
    let fits = units.iter().find(|(unit, _)| seconds >= 2.0 * unit);
    let (unit, word) = fits.unwrap_or(&units[3]);
    let n = (seconds / unit).round();
    format!("{n} {word}{}", if n == 1.0 { "" } else { "s" })
}

/// A part of a whole, in whole percent, rounded; but all of it only if it is all of it.
#[must_use]
pub(crate) fn percent(part: u64, whole: u64) -> u64 {
    let whole = u128::from(whole.max(1));
    let rounded = (u128::from(part) * 200 + whole) / (2 * whole);
    match u64::try_from(rounded).unwrap_or(u64::MAX) {
        100 if u128::from(part) < whole => 99,
        percent => percent,
    }
}

fn unknown() -> String {
    UNKNOWN.to_owned()
}

/// Three digits and a unit. The unit goes up as soon as the number would need a fourth digit.
fn scaled(value: f64, step: f64, units: &[&str; 7]) -> String {
    let unit = unit_of(value, step);
    digits(value / step.powi(unit as i32), unit) + units[unit]
}

fn unit_of(mut value: f64, step: f64) -> usize {
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < BINARY.len() {
        value /= step;
        unit += 1;
    }
    unit
}

fn digits(value: f64, unit: usize) -> String {
    let digits = match value {
        _ if unit == 0 && (value.fract() == 0.0 || value >= 9.95) => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_say_enough_of_an_amount() {
        for (amount, text) in [
            (0, "0B"),
            (987, "987B"),
            (999, "999B"),
            (1000, "0.98KiB"),
            (1024, "1.00KiB"),
            (10_235, "10.0KiB"),
            (64 << 20, "64.0MiB"),
            (1_073_741_823, "1.00GiB"),
            (u64::MAX, "16.0EiB"),
        ] {
            assert_eq!(bytes(amount), text);
        }
    }

    #[test]
    fn no_figure_is_wider_than_it_may_be() {
        for shift in 0..64 {
            for near in [-1i64, 0, 1] {
                let n = (1u64 << shift).saturating_add_signed(near);
                for n in [n, n.saturating_mul(9) / 5, n / 3] {
                    assert!(bytes(n).len() <= BYTES_WIDTH, "{n}: {}", bytes(n));
                    assert!(Scale::Binary.rate(Some(n as f64)).len() <= RATE_WIDTH);
                    assert!(Scale::Binary.rate(Some(n as f64 / 7.0)).len() <= RATE_WIDTH);
                    assert!(rate_of_records(Some(n as f64 / 7.0)).len() <= RATE_WIDTH);
                }
            }
        }
    }

    #[test]
    fn rates_below_one_are_not_nothing() {
        assert_eq!(Scale::Binary.rate(Some(0.25)), "0.25B/s");
        assert_eq!(rate_of_records(Some(98.7)), "99/s");
        assert_eq!(rate_of_records(Some(1234.0)), "1.23k/s");
        assert_eq!(Scale::Binary.rate(None), "-");
    }

    #[test]
    fn a_typed_figure_is_shown_as_it_was_typed() {
        for (amount, scale, text) in [
            (50_000_000.0, Some(Scale::Decimal), "50MB"),
            (1_500_000.0, Some(Scale::Decimal), "1.5MB"),
            (64_000.0, Some(Scale::Decimal), "64kB"),
            (67_108_864.0, Some(Scale::Binary), "64MiB"),
            (1_572_864.0, Some(Scale::Binary), "1.5MiB"),
            (524_288.0, Some(Scale::Binary), "512KiB"),
            (3_750_000.0, Some(Scale::Decimal), "3.75MB"),
            (16_000.0, Some(Scale::Decimal), "16kB"),
            (100.0, None, "100B"),
            (1_234_567.0, None, "1.18MiB"),
        ] {
            assert_eq!(Scale::of(amount), scale, "{amount}");
            assert_eq!(scale.unwrap_or_default().typed(amount), text);
        }
    }

    #[test]
    fn a_pair_of_rates_has_one_unit_and_one_width() {
        let mib = 1024.0 * 1024.0;
        for (from, to, text) in [
            (Some(60.0 * mib), Some(51.6 * mib), "60.0 → 51.6MiB/s"),
            (Some(512.0), Some(51.6 * mib), "0.00 → 51.6MiB/s"),
            (Some(999.0), Some(0.0), " 999 → 0B/s     "),
            (None, None, "   - → -        "),
        ] {
            assert_eq!(Scale::Binary.pair(from, "→", to), text);
        }
        assert_eq!(
            pair_of_records(Some(1e3), "->", Some(20.0)),
            "1.00 -> 0.02k/s  "
        );
    }

    #[test]
    fn a_part_is_the_whole_only_if_it_is() {
        for (part, whole, rounded) in [
            (0, 64, 0),
            (57, 64, 89),
            (575, 1000, 58),
            (9999, 10_000, 99),
            (64, 64, 100),
            (129, 100, 129),
            (0, 0, 0),
            (u64::MAX, u64::MAX, 100),
        ] {
            assert_eq!(percent(part, whole), rounded, "{part} of {whole}");
        }
    }

    #[test]
    fn times_read_like_clocks_and_like_words() {
        assert_eq!(clock(7.9), "0:07");
        assert_eq!(clock(727.0), "12:07");
        assert_eq!(clock(11_527.0), "3:12:07");
        assert_eq!(clock(184_320.0), "2d03:12");
        assert_eq!(time(1.234), "1.23s");
        assert_eq!(time(12.34), "12.3s");
        assert_eq!(time(130.9), "2m 10s");
    }
}
