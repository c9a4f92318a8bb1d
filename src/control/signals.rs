//! Signals become messages, and a process that is ended by one dies by it.
//!
//! They are blocked in every thread but one, which waits for them: there is no handler, no call of
//! another thread is ever interrupted, and it takes no descriptor, unless it has to tell who has sent
//! them. A signal that was ignored or
//! blocked when weir was started stays so, so that `nohup` and background jobs of scripts work as
//! they do with any filter.

use std::io;
#[cfg(target_os = "linux")]
use std::path::PathBuf;
use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::SIGCHLD;
pub(crate) use signal_hook::consts::{SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::low_level::emulate_default_handler;

#[cfg(target_os = "linux")]
use crate::disk::process;
use crate::pipe::inherited;
use crate::report::terminal::{is_foreground, is_terminal};

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

/// A signal that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// Its number.
    pub number: i32,
    /// The terminal has sent it, to all in the foreground alike.
    pub is_from_terminal: bool,
}

/// Whether the signal ends weir, unlike those that ask for a report.
#[must_use]
pub(crate) fn is_end(signal: i32) -> bool {
    !REPORT.contains(&signal)
}

/// Where the system tells of the thread that waits for them, as soon as it has begun; nowhere, where it does not.
///
/// That is by the numbers of whoever has mounted `/proc`, which need not be those of weir's own world.
#[cfg(target_os = "linux")]
static LISTENER: OnceLock<Option<PathBuf>> = OnceLock::new();
/// It has one that it has not handed on yet.
static HAS_ONE: AtomicBool = AtomicBool::new(false);
/// One that ends weir has come.
static IS_TOLD_TO_END: AtomicBool = AtomicBool::new(false);

/// Whether a signal that ends weir was sent to it before this. It stays so.
pub(crate) fn is_told_to_end() -> bool {
    await_sent();
    IS_TOLD_TO_END.load(SeqCst)
}

/// Waits for what was sent to weir before this to be there for whoever listens.
pub(crate) fn await_sent() {
    const MOST: Duration = Duration::from_secs(1);
    let until = Instant::now() + MOST;
    // In this order: who sleeps may do so on a lock, with one in its hand, and has said before that it has it.
    while (is_awake() || HAS_ONE.load(SeqCst)) && Instant::now() < until {
        thread::sleep(Duration::from_micros(100));
    }
}

/// Whether the thread that waits for signals is not asleep: it is woken by each of them, and does not sleep before it has
/// said that it has it.
///
/// Where `/proc` cannot be read it is taken to be asleep: then a signal that was sent a moment ago may be heard only after
/// what it has brought about, which counts as if there had been none.
#[cfg(target_os = "linux")]
fn is_awake() -> bool {
    let Some(listener) = LISTENER.get() else {
        return true;
    };
    let stat = listener.as_ref().and_then(process::stat);
    stat.is_some_and(|it| !it.starts_with('S'))
}

/// Whether it is cannot be told here, and it is as it is on Linux where `/proc` cannot be read.
#[cfg(not(target_os = "linux"))]
fn is_awake() -> bool {
    false
}

/// Signals that are listened for, though nobody is there yet to heed them.
#[derive(Debug)]
pub(crate) struct Listener {
    signals: Receiver<Received>,
    is_heeded: Arc<AtomicBool>,
    /// What was blocked when weir was started.
    pub before: SigSet,
}

impl Listener {
    /// From here on signals come through the receiver, by their numbers, those that asked for a
    /// report before included.
    #[must_use]
    pub(crate) fn heed(self) -> Receiver<Received> {
        self.is_heeded.store(true, SeqCst);
        self.signals
    }
}

/// Starts listening for the signals that end weir or ask it for a report; to be called before any
/// other thread is made. Until somebody heeds them, one that ends weir ends it at once, as if
/// nobody listened: opening a FIFO may take for ever. `has_command`: a program is run, which is told by
/// the terminal what weir is told, and SIGQUIT is for it, too.
///
/// # Errors
/// When the system refuses a thread or a descriptor.
pub(crate) fn listen(has_command: bool) -> io::Result<Listener> {
    let blocked = SigSet::thread_get_mask()?;
    let heeded = |n: &i32| {
        let signal = Signal::try_from(*n).ok()?;
        (!inherited::was_ignored(*n) && !blocked.contains(signal)).then_some(signal)
    };
    let ends = [SIGHUP, SIGINT, SIGTERM];
    let quit = has_command.then_some(&SIGQUIT);
    let all = ends.iter().chain(quit).chain(REPORT);
    let heeded: SigSet = all.filter_map(heeded).collect();
    heeded.thread_block()?;
    // A file that may not become longer is an error of its write, which is told as every other one is.
    SigSet::from(Signal::SIGXFSZ).thread_block()?;
    let mut source = Source::new(heeded, has_command)?;
    let (sender, signals) = unbounded();
    let is_heeded = Arc::new(AtomicBool::new(false));
    let is_begun = is_heeded.clone();
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            #[cfg(target_os = "linux")]
            let _ = LISTENER.set(own_directory());
            while let Some(signal) = source.next() {
                HAS_ONE.store(true, SeqCst);
                if is_end(signal.number) {
                    if !is_begun.load(SeqCst) {
                        die_by(signal.number);
                    }
                    IS_TOLD_TO_END.store(true, SeqCst);
                }
                if sender.send(signal).is_err() {
                    break;
                }
                HAS_ONE.store(false, SeqCst);
            }
        })?;
    Ok(Listener {
        signals,
        is_heeded,
        before: blocked,
    })
}

/// Where the system tells of the thread that asks.
#[cfg(target_os = "linux")]
fn own_directory() -> Option<PathBuf> {
    let own = std::fs::read_link("/proc/thread-self").ok()?;
    Some(PathBuf::from("/proc").join(own))
}

/// Makes sure that it can be told how a program ends, whatever whoever started weir has chosen.
///
/// # Errors
/// When the system refuses a handler.
pub(crate) fn listen_for_ends_of_children() -> io::Result<()> {
    if inherited::was_ignored(SIGCHLD) {
        signal_hook::flag::register(SIGCHLD, Arc::default())?;
    }
    Ok(())
}

/// Where signals come from.
struct Source {
    heeded: SigSet,
    /// What tells who has sent them, where that is wanted.
    #[cfg(target_os = "linux")]
    told: Option<nix::sys::signalfd::SignalFd>,
    has_command: bool,
}

impl Source {
    #[cfg(target_os = "linux")]
    fn new(heeded: SigSet, has_command: bool) -> io::Result<Source> {
        use nix::sys::signalfd::{SfdFlags, SignalFd};
        let open = || SignalFd::with_flags(&heeded, SfdFlags::SFD_CLOEXEC);
        Ok(Source {
            told: has_command.then(open).transpose()?,
            heeded,
            has_command,
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn new(heeded: SigSet, has_command: bool) -> io::Result<Source> {
        Ok(Source {
            heeded,
            has_command,
        })
    }

    /// Waits for the next one.
    fn next(&mut self) -> Option<Received> {
        #[cfg(target_os = "linux")]
        if let Some(told) = &self.told {
            return loop {
                match told.read_signal() {
                    Ok(Some(it)) => {
                        break Some(Received {
                            number: i32::try_from(it.ssi_signo).unwrap_or(0),
                            // Only processes give themselves away by a number that is not positive.
                            is_from_terminal: it.ssi_code > 0,
                        });
                    }
                    Ok(None) | Err(nix::errno::Errno::EINTR) => {}
                    Err(_) => break None,
                }
            };
        }
        // It fails only for a signal that the system does not know.
        let number = self.heeded.wait().ok()? as i32;
        Some(Received {
            number,
            is_from_terminal: self.has_command && is_terminal() && is_foreground(),
        })
    }
}

/// Ends this process by a signal, as its parent should see it.
pub(crate) fn die_by(signal: i32) -> ! {
    // The first process of a container is ended by no signal that it does not handle, not by that of abort(3) either: there
    // a status has to do.
    if std::process::id() != 1 {
        let _ = emulate_default_handler(signal);
    }
    // Not reached for a signal whose default is to end the process.
    std::process::exit(128 + signal)
}
