//! Were standard input and output closed when the process started?
//!
//! Rust's runtime opens `/dev/null` in the place of closed standard descriptors before `main`, so
//! that a closed input would look like an empty one and output would vanish without an error. The
//! question is therefore asked before the runtime starts, from the list of functions that the
//! loader calls first. This is the one file with `unsafe` in it: the attribute that puts a
//! function on that list.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static STDIN: AtomicBool = AtomicBool::new(false);
static STDOUT: AtomicBool = AtomicBool::new(false);

/// Whether standard input was closed at start.
#[must_use]
pub fn stdin() -> bool {
    STDIN.load(Relaxed)
}

/// Whether standard output was closed at start.
#[must_use]
pub fn stdout() -> bool {
    STDOUT.load(Relaxed)
}

extern "C" fn look() {
    use rustix::{io::fcntl_getfd, stdio};
    STDIN.store(fcntl_getfd(stdio::stdin()).is_err(), Relaxed);
    STDOUT.store(fcntl_getfd(stdio::stdout()).is_err(), Relaxed);
}

// SAFETY: the section holds pointers to functions that the loader calls once, before `main`, on
// the only thread there is; on Linux with arguments that a C function may ignore. `look` makes
// system calls and stores two flags: nothing that needs Rust's runtime, and nothing that unwinds.
#[used]
#[allow(unsafe_code)]
#[cfg_attr(
    target_vendor = "apple",
    unsafe(link_section = "__DATA,__mod_init_func")
)]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static AT_START: extern "C" fn() = look;
