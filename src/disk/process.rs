//! What Linux tells of a process, or of one of its threads, in its `stat`. Elsewhere nothing is known of them.

use std::fs;
use std::path::Path;

/// The fields of `proc_pid_stat(5)` from the third one on, which is the state, of whoever this directory is about.
pub(crate) fn stat(directory: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(directory.as_ref().join("stat")).ok()?;
    behind_name(&text).map(ToOwned::to_owned)
}

/// The same of a process, by its number.
pub(crate) fn stat_of(pid: u32) -> Option<String> {
    stat(format!("/proc/{pid}"))
}

/// The name, in parentheses, may hold anything, blanks and parentheses too.
fn behind_name(text: &str) -> Option<&str> {
    text.rsplit_once(") ").map(|(_, behind)| behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_what_stands_behind_names() {
        for name in ["weir", "a b) c", ") S 9 9", "((("] {
            let text = format!("12 ({name}) Z 1 2\n");
            assert_eq!(behind_name(&text), Some("Z 1 2\n"), "{name}");
        }
        for text in ["", "12 (weir"] {
            assert_eq!(behind_name(text), None, "{text}");
        }
    }
}
