//! Processes whose parents have ended, where weir is the first process of a container: they are its children then, and
//! nobody else is there to wait for them.
//!
//! Invariant: what weir has started itself is waited for by whoever has started it, and never here.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether there may be any.
static IS_FIRST: AtomicBool = AtomicBool::new(false);
/// What weir has started and not waited for. Nothing is started or waited for while it is held: who has a number stays the
/// same.
static OWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn own() -> Option<MutexGuard<'static, BTreeSet<u32>>> {
    let is_first = IS_FIRST.load(Ordering::Acquire);
    is_first.then(|| OWN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Starts something that has this number then, and that somebody will wait for.
pub(crate) fn start<T, E>(
    begin: impl FnOnce() -> Result<T, E>,
    number: impl FnOnce(&T) -> u32,
) -> Result<T, E> {
    let mut own = own();
    let started = begin()?;
    if let Some(own) = &mut own {
        own.insert(number(&started));
    }
    Ok(started)
}

/// Waits for what has this number and has ended.
pub(super) fn wait_for<T>(number: u32, wait: impl FnOnce() -> T) -> T {
    let mut own = own();
    let waited = wait();
    if let Some(own) = &mut own {
        own.remove(&number);
    }
    waited
}

/// From now on they are waited for, where weir is the first process. To be called before anything is started.
#[cfg(target_os = "linux")]
pub(crate) fn wait_for_adopted() {
    if std::process::id() == 1 {
        IS_FIRST.store(true, Ordering::Release);
        // Without a thread they stay until weir ends, as nothing else suffers from that.
        let thread = std::thread::Builder::new().name("adopted".into());
        let _ = thread.spawn(|| {
            loop {
                std::thread::sleep(look());
            }
        });
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn wait_for_adopted() {}

/// Waits until a child has ended, and for that one if it is nobody's. When to look again.
#[cfg(target_os = "linux")]
fn look() -> std::time::Duration {
    use std::time::Duration;

    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    use rustix::process::{Pid, WaitOptions, waitpid};

    /// How soon to look again where there is no child at all.
    const NO_CHILD: Duration = Duration::from_millis(500);
    /// And where whoever has started the one that has ended is about to wait for it.
    const ONE_OF_OURS: Duration = Duration::from_millis(5);

    let ended = waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    let Some(pid) = ended.ok().and_then(|it| it.pid()) else {
        return NO_CHILD;
    };
    let number = u32::try_from(pid.as_raw()).unwrap_or(0);
    if own().is_none_or(|own| own.contains(&number)) {
        return ONE_OF_OURS;
    }
    // What has been given this number meanwhile has not ended, or is waited for by somebody.
    let _ = waitpid(Pid::from_raw(pid.as_raw()), WaitOptions::NOHANG);
    Duration::ZERO
}
