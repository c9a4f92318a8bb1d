//! What /proc tells of a process that runs.

use std::fs;

/// Whether weir has settled what signals mean to it: one of its threads that move bytes is there. The one that reads may
/// have come to its end already.
pub(crate) fn has_begun(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let mut names = tasks.map(|task| fs::read_to_string(task.path().join("comm")));
    names.any(|name| name.is_ok_and(|it| ["source", "sink", "job"].contains(&it.trim_end())))
}
