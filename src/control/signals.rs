//! Signals become messages, and a process that is ended by one dies by it.
//!
//! A signal that was ignored when weir was started stays ignored, so that `nohup` and background
//! jobs of scripts work as they do with any filter.

use std::fs;
use std::io;
use std::thread;

use crossbeam_channel::{Receiver, unbounded};
pub use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// Signals that ask for a report.
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
)))]
pub const REPORT: &[i32] = &[SIGUSR1];
/// Signals that ask for a report; some systems have one that a key of the terminal sends.
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
))]
pub const REPORT: &[i32] = &[SIGUSR1, signal_hook::consts::SIGINFO];

/// Starts listening for the signals that end weir or ask it for a report. Their numbers come through the receiver.
///
/// # Errors
/// When the system refuses a handler or a thread.
pub fn listen() -> io::Result<Receiver<i32>> {
    let ignored = ignored();
    let heeded = [SIGHUP, SIGINT, SIGTERM]
        .iter()
        .chain(REPORT)
        .filter(|n| ignored & (1 << (*n - 1)) == 0);
    let mut signals = Signals::new(heeded)?;
    let (sender, receiver) = unbounded();
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                if sender.send(signal).is_err() {
                    break;
                }
            }
        })?;
    Ok(receiver)
}

/// Ends this process by a signal, as its parent should see it.
pub fn die_by(signal: i32) -> ! {
    let _ = emulate_default_handler(signal);
    // Not reached for a signal whose default is to end the process.
    std::process::exit(128 + signal)
}

/// The set of ignored signals, bit n-1 for signal n; empty where the system does not tell.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
