//! Signals become messages, and a process that is ended by one dies by it.
//!
//! They are blocked in every thread but one, which waits for them: there is no handler, no call of
//! another thread is ever interrupted, and it takes no descriptor. A signal that was ignored or
//! blocked when weir was started stays so, so that `nohup` and background jobs of scripts work as
//! they do with any filter.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use crossbeam_channel::{Receiver, unbounded};
use nix::sys::signal::{SigSet, Signal};
pub(crate) use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGUSR1};
use signal_hook::low_level::emulate_default_handler;

use crate::pipe::inherited;

/// Signals that ask for a report.
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
)))]
pub(crate) const REPORT: &[i32] = &[SIGUSR1];
/// Signals that ask for a report; some systems have one that a key of the terminal sends.
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
))]
pub(crate) const REPORT: &[i32] = &[SIGUSR1, signal_hook::consts::SIGINFO];

/// Whether the signal ends weir, unlike those that ask for a report.
#[must_use]
pub(crate) fn is_end(signal: i32) -> bool {
    !REPORT.contains(&signal)
}

/// Signals that are listened for, though nobody is there yet to heed them.
#[derive(Debug)]
pub(crate) struct Listener {
    signals: Receiver<i32>,
    is_heeded: Arc<AtomicBool>,
}

impl Listener {
    /// From here on signals come through the receiver, by their numbers, those that asked for a
    /// report before included.
    #[must_use]
    pub(crate) fn heed(self) -> Receiver<i32> {
        self.is_heeded.store(true, SeqCst);
        self.signals
    }
}

/// Starts listening for the signals that end weir or ask it for a report; to be called before any
/// other thread is made. Until somebody heeds them, one that ends weir ends it at once, as if
/// nobody listened: opening a FIFO may take for ever.
///
/// # Errors
/// When the system refuses a thread.
pub(crate) fn listen() -> io::Result<Listener> {
    let blocked = SigSet::thread_get_mask()?;
    let heeded = |n: &i32| {
        let signal = Signal::try_from(*n).ok()?;
        (!inherited::was_ignored(*n) && !blocked.contains(signal)).then_some(signal)
    };
    let ends = [SIGHUP, SIGINT, SIGTERM];
    let heeded: SigSet = ends.iter().chain(REPORT).filter_map(heeded).collect();
    heeded.thread_block()?;
    let (sender, signals) = unbounded();
    let is_heeded = Arc::new(AtomicBool::new(false));
    let is_begun = is_heeded.clone();
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            // It fails only for a signal that the system does not know.
            while let Ok(signal) = heeded.wait() {
                let signal = signal as i32;
                if is_end(signal) && !is_begun.load(SeqCst) {
                    die_by(signal);
                }
                if sender.send(signal).is_err() {
                    break;
                }
            }
        })?;
    Ok(Listener { signals, is_heeded })
}

/// Ends this process by a signal, as its parent should see it.
pub(crate) fn die_by(signal: i32) -> ! {
    let _ = emulate_default_handler(signal);
    // Not reached for a signal whose default is to end the process.
    std::process::exit(128 + signal)
}
