//! Why a text was turned away, in one line, with texts that would have been right.
//!
//! clap prints it after `invalid value 'fast' for '--rate <LIMIT>': `, so the whole value is not
//! named again; only a part of a longer value is.

use std::borrow::Cow;
use std::fmt;

/// The answer to a text that is not what it should be: `not a size: try 64MiB, 64MB or 4096`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitError {
    part: Option<String>,
    wrong: Cow<'static, str>,
    examples: &'static [&'static str],
}

impl UnitError {
    /// `wrong` completes the sentence "this is …"; each example is right, and may carry a note
    /// in parentheses after a space: `100/s (records)`. One that a shell would split is quoted.
    pub(crate) fn new(
        wrong: impl Into<Cow<'static, str>>,
        examples: &'static [&'static str],
    ) -> Self {
        Self {
            part: None,
            wrong: wrong.into(),
            examples,
        }
    }

    /// Names the part of a longer value that is at fault.
    #[must_use]
    pub(crate) fn about(mut self, part: impl Into<String>) -> Self {
        self.part.get_or_insert(part.into());
        self
    }

    /// Shows these examples in place of its own: the same fault, in a place that takes more.
    #[must_use]
    pub(crate) fn instead(self, examples: &'static [&'static str]) -> Self {
        Self { examples, ..self }
    }

    /// What is wrong, without the part at fault and the examples.
    pub(crate) fn wrong(&self) -> &str {
        &self.wrong
    }

    /// The right texts it shows, without their notes and quotes.
    #[cfg(test)]
    pub(crate) fn examples(&self) -> impl Iterator<Item = &'static str> {
        self.examples.iter().map(|example| {
            let text = example.split(" (").next().unwrap_or(example);
            text.trim_matches('\'')
        })
    }
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(part) = &self.part {
            write!(f, "{part:?} is ")?;
        }
        f.write_str(&self.wrong)?;
        for (index, example) in self.examples.iter().enumerate() {
            let before = match index {
                0 => ": try ",
                _ if index + 1 == self.examples.len() => " or ",
                _ => ", ",
            };
            write!(f, "{before}{example}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnitError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well_with_any_number_of_examples() {
        let line = |examples| UnitError::new("not a size", examples).to_string();
        assert_eq!(line(&[]), "not a size");
        assert_eq!(line(&["1MB"]), "not a size: try 1MB");
        assert_eq!(line(&["1MB", "2"]), "not a size: try 1MB or 2");
        assert_eq!(
            line(&["1MB", "2", "3KiB"]),
            "not a size: try 1MB, 2 or 3KiB"
        );
    }

    #[test]
    fn names_the_innermost_part_at_fault() {
        let reject = UnitError::new("not a size", &["1MB (bytes)"])
            .about("x")
            .about("x y");
        assert_eq!(reject.to_string(), "\"x\" is not a size: try 1MB (bytes)");
        assert_eq!(reject.examples().collect::<Vec<_>>(), ["1MB"]);
    }
}
