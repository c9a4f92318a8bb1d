//! What /proc tells of a process: whether it sleeps, is stopped, and the figures of its files.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::Pid;

use super::eventually;

/// Context switches of each thread of a process so far, if all of them sleep; none otherwise.
fn asleep(pid: u32) -> Option<Vec<u64>> {
    let mut switches = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let path = task.ok()?.path().join("status");
        let text = fs::read_to_string(&path).ok()?;
        let state = text.lines().find_map(|l| l.strip_prefix("State:\t"))?;
        assert!(!state.starts_with('Z'), "it has ended");
        if !state.starts_with('S') {
            return None;
        }
        switches.push(field(&path, "voluntary_ctxt_switches"));
    }
    Some(switches)
}

/// Waits until all threads of a process that was told to stop have done so.
#[cfg(target_os = "linux")]
#[track_caller]
pub(crate) fn await_stop(pid: u32) {
    let is_stopped = |task: std::path::PathBuf| {
        let stat = fs::read_to_string(task.join("stat")).expect("a state");
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('T'))
    };
    eventually("it is stopped", || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        let mut tasks = tasks.expect("threads").flatten();
        tasks.all(|task| is_stopped(task.path()))
    });
}

/// Waits until nothing moves any more in a process: every thread sleeps, and none has woken up
/// between several looks that are further apart than any wait that weir makes on its own account.
#[track_caller]
pub(crate) fn settle(pid: u32) -> Vec<u64> {
    let (mut last, mut looks) = (None, 0);
    eventually("weir settles", || {
        thread::sleep(Duration::from_millis(9));
        let now = asleep(pid);
        looks = if now.is_some() && now == last {
            looks + 1
        } else {
            0
        };
        last = now;
        looks >= 3
    });
    last.unwrap_or_default()
}

/// A number in a file of `Name: number` lines.
pub(crate) fn field(path: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in {}", path.display()))
}

/// The programs that this process runs.
pub(crate) fn children(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let children = tasks.map(|task| fs::read_to_string(task.path().join("children")));
    let text: Vec<String> = children.map(Result::unwrap_or_default).collect();
    let all = text.iter().flat_map(|text| text.split_whitespace());
    all.map(str::to_owned).collect()
}

/// The one child of this process, if it has one.
pub(crate) fn child_of(pid: Pid) -> Option<Pid> {
    let all = children(pid.as_raw_pid().unsigned_abs());
    Pid::from_raw(all.first()?.parse().ok()?)
}
