//! BACKOFF: the shortest and the longest wait, `100ms..1m`; one alone is both.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::duration::Span;
use super::error::UnitError;

const EXAMPLES: &[&str] = &["100ms..1m", "5s"];
/// Shorter waits are none: a program that fails at once would keep a processor busy.
const LEAST: Duration = Duration::from_millis(1);

/// Two lengths of time, of which the first is not the longer one, and not shorter than a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    least: Span,
    most: Span,
}

impl Backoff {
    /// The shortest and the longest wait.
    pub(crate) fn bounds(self) -> (Duration, Duration) {
        (self.least.duration(), self.most.duration())
    }
}

impl FromStr for Backoff {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Backoff, UnitError> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let parse = |part: &str| part.parse::<Span>().map_err(|e| e.instead(EXAMPLES));
        let (least, most) = (parse(least)?, parse(most)?);
        if least > most {
            return Err(UnitError::new(
                "the longest wait is the shorter one",
                EXAMPLES,
            ));
        }
        if least.duration() < LEAST {
            return Err(UnitError::new("shorter than a millisecond", EXAMPLES));
        }
        Ok(Backoff { least, most })
    }
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.least, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_waits_or_one() {
        for (text, least, most) in [
            ("100ms..1m", 100, 60_000),
            ("1s", 1000, 1000),
            ("1ms..1ms", 1, 1),
            ("1m 30s .. 1h", 90_000, 3_600_000),
        ] {
            let it: Backoff = text.parse().expect(text);
            let wanted = (least, most);
            let ms = |time: Duration| time.as_millis();
            assert_eq!((ms(it.bounds().0), ms(it.bounds().1)), wanted, "{text}");
            assert_eq!(it.to_string().parse::<Backoff>(), Ok(it), "{text}");
        }
    }

    #[test]
    fn what_is_no_wait_is_answered_by_one() {
        for (text, said) in [
            ("", "100ms..1m"),
            ("..", "100ms..1m"),
            ("1m..1s", "the longest wait is the shorter one"),
            ("0s", "shorter than a millisecond"),
            ("0s..1s", "shorter than a millisecond"),
            ("5", "100ms..1m"),
            ("1s...2s", "100ms..1m"),
        ] {
            let error = text.parse::<Backoff>().expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
