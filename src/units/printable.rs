//! Texts of others, fit to be shown.

/// The same text, fit to be part of one line on a terminal.
#[must_use]
pub(crate) fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// The same text without the system's numbers of errors, which say nothing that its words do not.
#[must_use]
pub(crate) fn without_numbers(text: &str) -> String {
    const START: &str = " (os error ";
    let mut parts = text.split(START);
    let mut line = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit()) => {
                line.push_str(rest)
            }
            _ => line.extend([START, part]),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_numbers_of_errors_are_left_out() {
        for (text, line) in [
            (
                "open: x: No such file (os error 2)",
                "open: x: No such file",
            ),
            ("a (os error 2): b (os error 13) c", "a: b c"),
            ("a (os error two) b", "a (os error two) b"),
            ("plain", "plain"),
            (" (os error 2", " (os error 2"),
        ] {
            assert_eq!(without_numbers(text), line);
        }
    }
}
