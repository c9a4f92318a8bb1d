//! Figures for people: three significant digits in at most a known number of columns, so that what
//! stands beside a figure does not jump about as it grows.

use std::time::Duration;

/// The widest text of [`bytes`].
pub const BYTES_WIDTH: usize = 7;
/// The widest text of [`rate`] and [`rate_of_records`].
pub const RATE_WIDTH: usize = 9;
/// What stands for a figure that nobody knows.
pub const UNKNOWN: &str = "-";

const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const TERSE: [&str; 7] = ["B", "K", "M", "G", "T", "P", "E"];
const DECIMAL: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];

/// An amount of bytes, in binary units: `987B`, `9.87MiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &BINARY)
}

/// A number of records: `987`, `9.87M`.
#[must_use]
pub fn count(records: u64) -> String {
    scaled(records as f64, 1000.0, &DECIMAL)
}

/// Bytes per second: `9.87MiB/s`.
#[must_use]
pub fn rate(per_second: Option<f64>) -> String {
    per_second.map_or_else(unknown, |r| scaled(r, 1024.0, &BINARY) + "/s")
}

/// Bytes per second in as few columns as can be: `9.87M/s`, in binary units all the same.
#[must_use]
pub fn terse_rate(per_second: Option<f64>) -> String {
    per_second.map_or_else(unknown, |r| scaled(r, 1024.0, &TERSE) + "/s")
}

/// Records per second: `9.87k/s`.
#[must_use]
pub fn rate_of_records(per_second: Option<f64>) -> String {
    per_second.map_or_else(unknown, |r| scaled(r, 1000.0, &DECIMAL) + "/s")
}

/// A time as a clock shows it: `0:07`, `12:07`, `3:12:07`, `2d03:12`.
#[must_use]
pub fn clock(seconds: f64) -> String {
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
pub fn time(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    if seconds < 10.0 {
        return format!("{seconds:.2}s");
    }
    if seconds < 60.0 {
        return format!("{seconds:.1}s");
    }
    humantime::format_duration(Duration::from_secs(seconds as u64)).to_string()
}

/// A part of a whole, in whole percent, rounded; but all of it only if it is all of it.
#[must_use]
pub fn percent(part: u64, whole: u64) -> u64 {
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
fn scaled(mut value: f64, step: f64, units: &[&str; 7]) -> String {
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = match value {
        _ if unit == 0 && (value.fract() == 0.0 || value >= 9.95) => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}{}", units[unit])
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
                    assert!(rate(Some(n as f64)).len() <= RATE_WIDTH);
                    assert!(rate(Some(n as f64 / 7.0)).len() <= RATE_WIDTH);
                    assert!(rate_of_records(Some(n as f64 / 7.0)).len() <= RATE_WIDTH);
                }
            }
        }
    }

    #[test]
    fn rates_below_one_are_not_nothing() {
        assert_eq!(rate(Some(0.25)), "0.25B/s");
        assert_eq!(rate_of_records(Some(98.7)), "99/s");
        assert_eq!(rate_of_records(Some(1234.0)), "1.23k/s");
        assert_eq!(terse_rate(Some(1024.0 * 1024.0)), "1.00M/s");
        assert_eq!(rate(None), "-");
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
