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
