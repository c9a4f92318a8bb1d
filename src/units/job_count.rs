//! JOBS: how many programs at a time, `4`; or as many as there is need of between two numbers, `2..8`.

use std::fmt;
use std::str::FromStr;

use super::error::UnitError;

const EXAMPLES: &[&str] = &["4", "1..4"];
/// Each is a thread.
const MOST: usize = 1000;

/// Two numbers from 1 on, of which the first is not the larger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JobCount {
    least: usize,
    most: usize,
}

impl JobCount {
    /// One.
    pub(crate) const ONE: JobCount = JobCount { least: 1, most: 1 };

    /// How many without need.
    pub(crate) fn least(self) -> usize {
        self.least
    }

    /// How many at most.
    pub(crate) fn most(self) -> usize {
        self.most
    }
}

impl FromStr for JobCount {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<JobCount, UnitError> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let parse = |part: &str| {
            let number = part.trim().parse::<usize>().ok();
            let number = number.filter(|n| (1..=MOST).contains(n));
            number.ok_or_else(|| UnitError::new("not a number of jobs, from 1 to 1000", EXAMPLES))
        };
        let (least, most) = (parse(least)?, parse(most)?);
        if least > most {
            return Err(UnitError::new(
                "the first number is the larger one",
                EXAMPLES,
            ));
        }
        Ok(JobCount { least, most })
    }
}

impl fmt::Display for JobCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.least == self.most {
            true => write!(f, "{}", self.most),
            false => write!(f, "{}..{}", self.least, self.most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_or_two() {
        for (text, least, most) in [
            ("1", 1, 1),
            ("1000", 1000, 1000),
            ("1..4", 1, 4),
            ("4..4", 4, 4),
            (" 2 .. 3 ", 2, 3),
        ] {
            let it: JobCount = text.parse().expect(text);
            assert_eq!((it.least(), it.most()), (least, most), "{text}");
            assert_eq!(it.to_string().parse::<JobCount>(), Ok(it), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_of_jobs_is_answered_by_one() {
        for (text, said) in [
            ("", "from 1 to 1000"),
            ("0", "from 1 to 1000"),
            ("0..4", "from 1 to 1000"),
            ("1..1001", "from 1 to 1000"),
            ("4..1", "the first number is the larger one"),
            ("1..", "1..4"),
            ("..4", "1..4"),
            ("1...4", "1..4"),
            ("-1..4", "from 1 to 1000"),
        ] {
            let error = text.parse::<JobCount>().expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
