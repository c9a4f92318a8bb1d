//! A snapshot as one line of JSON, for `jq` and its like.

use super::snapshot::Snapshot;

/// One object, no line break.
#[must_use]
pub(crate) fn line(snapshot: &Snapshot) -> String {
    // Plain numbers, words and options: nothing here that JSON has no form for.
    serde_json::to_string(snapshot).unwrap_or_default()
}
