//! What this process was given at its start, and what can no longer be seen in `main`.
//!
//! Before `main`, Rust's runtime opens `/dev/null` in the place of closed standard descriptors, so
//! that a closed input would look like an empty one and output would vanish without an error; and
//! it ignores SIGPIPE, whatever the parent has chosen. Both are therefore looked at before the
//! runtime starts, by a function on the list of those that the loader calls first. For this there is
//! `unsafe` here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

static STDIN_CLOSED: AtomicBool = AtomicBool::new(false);
static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);
static STDERR_CLOSED: AtomicBool = AtomicBool::new(false);
/// Bit n-1 for signal n.
static IGNORED: AtomicU64 = AtomicU64::new(0);

/// Real-time signals have higher numbers; nobody here asks about them.
const SIGNALS: std::ops::RangeInclusive<i32> = 1..=31;

/// Whether standard input was closed at start.
#[must_use]
pub(crate) fn stdin_was_closed() -> bool {
    STDIN_CLOSED.load(Relaxed)
}

/// Whether standard output was closed at start.
#[must_use]
pub(crate) fn stdout_was_closed() -> bool {
    STDOUT_CLOSED.load(Relaxed)
}

/// Whether standard error was closed at start.
#[must_use]
pub(crate) fn stderr_was_closed() -> bool {
    STDERR_CLOSED.load(Relaxed)
}

/// Whether this signal was ignored at start: `nohup`, background jobs of scripts and systemd ignore
/// some, and mean the programs that they start.
#[must_use]
pub(crate) fn was_ignored(signal: i32) -> bool {
    SIGNALS.contains(&signal) && IGNORED.load(Relaxed) & (1 << (signal - 1)) != 0
}

extern "C" fn look() {
    use rustix::{io::fcntl_getfd, stdio};
    STDIN_CLOSED.store(fcntl_getfd(stdio::stdin()).is_err(), Relaxed);
    STDOUT_CLOSED.store(fcntl_getfd(stdio::stdout()).is_err(), Relaxed);
    STDERR_CLOSED.store(fcntl_getfd(stdio::stderr()).is_err(), Relaxed);
    let ignored = SIGNALS.filter(|signal| is_ignored(*signal));
    let set = ignored.fold(0, |set, signal| set | 1 << (signal - 1));
    IGNORED.store(set, Relaxed);
}

#[allow(unsafe_code)]
fn is_ignored(signal: i32) -> bool {
    use nix::libc;
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call changes nothing; it writes the present one to `now`,
    // which is of the right type and lives long enough.
    let told = unsafe { libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr()) };
    // SAFETY: all of it is zero or was written by the call, and any bytes make a valid structure
    // of integers and an optional function pointer.
    told == 0 && unsafe { now.assume_init() }.sa_sigaction == libc::SIG_IGN
}

// SAFETY: the section holds pointers to functions that the loader calls once, before `main`, on
// the only thread there is; on Linux with arguments that a C function may ignore. `look` makes
// system calls and stores what they say: nothing that needs Rust's runtime, and nothing that
// unwinds.
#[used]
#[allow(unsafe_code)]
#[cfg_attr(
    target_vendor = "apple",
    unsafe(link_section = "__DATA,__mod_init_func")
)]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static AT_START: extern "C" fn() = look;
