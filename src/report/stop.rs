//! Ctrl-Z and Ctrl-\: the bar is taken away before this process is stopped or ended by them, so
//! that the shell's words do not land in the middle of it.
//!
//! Invariant: nothing here can keep the signal from doing what it does; a terminal that takes
//! nothing delays it by [`TIMEOUT`].

use std::sync::{Arc, Mutex, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGQUIT, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::pipe::inherited;

use super::process;
use super::screen::Screen;
use super::terminal::{self, Size};

/// How long the signal may wait for the bar to be gone.
const TIMEOUT: Duration = Duration::from_millis(100);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(1);

/// Clears this screen whenever the process is about to be stopped. Without a thread for it the
/// signals do what they always do.
pub(super) fn clear_before(screen: Arc<Mutex<Screen>>) {
    let heeded = [SIGTSTP, SIGQUIT];
    let heeded = heeded.iter().filter(|n| !inherited::was_ignored(**n));
    let Ok(mut signals) = Signals::new(heeded) else {
        return;
    };
    let handle = signals.handle();
    let started = thread::Builder::new().name("stop".into()).spawn(move || {
        for signal in signals.forever() {
            clear(&screen);
            let own = std::process::id();
            // The system stops nobody whom no shell would ever let go on, and ends no first process of a container.
            if own == 1 || signal == SIGTSTP && process::is_orphaned(own) {
                continue;
            }
            let _ = emulate_default_handler(signal);
        }
    });
    if started.is_err() {
        handle.close();
    }
}

fn clear(screen: &Mutex<Screen>) {
    let until = Instant::now() + TIMEOUT;
    loop {
        match screen.try_lock() {
            Ok(mut screen) if terminal::is_foreground() => {
                return screen.clear(Size::now(), terminal::milliseconds());
            }
            Ok(mut screen) => return screen.withdraw(),
            Err(TryLockError::Poisoned(_)) => return,
            Err(TryLockError::WouldBlock) if Instant::now() >= until => return,
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
        }
    }
}
