//! The clock on the wall, for those who read reports: local time.

use jiff::{SignedDuration, ToSpan, Zoned};

/// An end that is further away than this is better told by its day.
const A_DAY: f64 = 20.0 * 3600.0;
/// Nobody plans for longer than this, and the calendar has an end.
const AGES: f64 = 100.0 * 365.0 * 86_400.0;

/// Now, as RFC 3339 has it: `2026-11-25T18:30:00.123+01:00`.
pub(crate) fn now() -> String {
    Zoned::now().strftime("%FT%T%.3f%:z").to_string()
}

/// These lines of words for a file, each behind the time of now, which plain lines have as well.
pub(crate) fn stamped(text: &str) -> String {
    let time = now();
    let lines: Vec<_> = text
        .lines()
        .map(|line| format!("time={time} {line}"))
        .collect();
    lines.join("\n")
}

/// The time of day so many seconds from now: `14:32`, and the day where it is not today's.
pub(crate) fn after(seconds: f64) -> Option<String> {
    at(&Zoned::now(), seconds)
}

fn at(now: &Zoned, seconds: f64) -> Option<String> {
    if !(0.0..AGES).contains(&seconds) {
        return None;
    }
    let then = now
        .checked_add(SignedDuration::from_secs_f64(seconds))
        .ok()?;
    let form = if seconds < A_DAY {
        "%H:%M"
    } else if then < now.checked_add(6.days()).ok()? {
        "%a %H:%M"
    } else {
        "%F"
    };
    Some(then.strftime(form).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_as_finely_as_it_is_near() {
        let now: Zoned = "2026-11-25T18:30:00+00:00[UTC]".parse().expect("a time");
        for (seconds, text) in [
            (0.0, Some("18:30")),
            (7200.0, Some("20:30")),
            (8.0 * 3600.0, Some("02:30")),
            (86_400.0, Some("Thu 18:30")),
            (30.0 * 86_400.0, Some("2026-12-25")),
            (1e300, None),
            (-1.0, None),
            (f64::NAN, None),
        ] {
            assert_eq!(at(&now, seconds).as_deref(), text, "{seconds}");
        }
    }

    #[test]
    fn now_is_a_time_with_its_offset() {
        let text = now();
        assert!(text.parse::<jiff::Timestamp>().is_ok(), "{text}");
    }
}
