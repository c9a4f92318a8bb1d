//! Who a member is, and whether it has ended: a process, told from a later one with its number by when it was started.

use std::time::Instant;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use rustix::time::{ClockId, clock_gettime};

use super::clock::Clock;
use super::table::Who;
use crate::disk::process;

/// The clock of all processes since the machine was started.
pub(crate) fn clock() -> Clock {
    let time = clock_gettime(ClockId::Monotonic);
    let nanos = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    Clock::new(Instant::now(), u64::try_from(nanos).unwrap_or(0))
}

/// Whether a process has ended.
pub(crate) fn is_gone(who: Who) -> bool {
    let pid = i32::try_from(who.pid()).ok().and_then(Pid::from_raw);
    let Some(pid) = pid else { return true };
    // One of another user's, or in a world of its own, may only look as if it were none of ours.
    test_kill_process(pid) == Err(Errno::SRCH)
        || started(who.pid()).is_some_and(|started| started != Some(who.started()))
}

/// This one.
pub(super) fn this_process() -> Who {
    let pid = std::process::id();
    Who::new(pid, started(pid).flatten().unwrap_or(0)).expect("a PID is not zero")
}

/// When a process was started, in ticks since the machine was; none if it has ended and nobody has
/// waited for it yet. `proc_pid_stat(5)`, fields 3 and 22.
fn started(pid: u32) -> Option<Option<u32>> {
    let stat = process::stat_of(pid)?;
    let mut fields = stat.split_ascii_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    let ticks: u64 = fields.nth(18)?.parse().ok()?;
    Some((!has_ended).then_some(ticks as u32))
}
