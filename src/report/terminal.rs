//! Standard error as it is at this moment: its width, and whether it is ours to draw on.
//!
//! Invariant: nothing here changes the terminal's or the descriptor's modes, which belong to
//! everybody. What is drawn goes out in one piece per frame.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::TermLike;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, write};
use rustix::process::getpgrp;
use rustix::stdio::stderr;
use rustix::termios::{isatty, tcgetpgrp, tcgetwinsize};

/// The width of a terminal that does not know.
const USUAL_COLUMNS: u16 = 80;

/// Whether standard error is a terminal.
#[must_use]
pub fn is_terminal() -> bool {
    isatty(stderr())
}

/// Columns of the terminal.
#[must_use]
pub fn columns() -> u16 {
    columns_of(stderr())
}

/// Columns of a terminal.
#[must_use]
pub fn columns_of(terminal: impl AsFd) -> u16 {
    let columns = tcgetwinsize(terminal).map_or(0, |size| size.ws_col);
    if columns == 0 { USUAL_COLUMNS } else { columns }
}

/// Whether the terminal is ours: false in the background. A terminal that does not control us
/// knows no background.
#[must_use]
pub fn is_foreground() -> bool {
    tcgetpgrp(stderr()).map_or(true, |group| group == getpgrp())
}

/// Lets this thread write to the terminal from the background too: it is not stopped for it, even
/// after `stty tostop`.
pub fn never_stop() {
    use nix::sys::signal::{SigSet, Signal};
    // Refused only for signals that cannot be blocked.
    let _ = SigSet::from(Signal::SIGTTOU).thread_block();
}

/// Writes all of it, however long that takes, also where somebody has left the descriptor
/// non-blocking.
///
/// # Errors
/// When nobody can read it any more.
pub fn write_all(to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(&to, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut room = [PollFd::new(&to, PollFlags::OUT)];
                match poll(&mut room, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(e) => return Err(e.into()),
                }
            }
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// The terminal as `indicatif` draws on it.
#[derive(Debug)]
pub struct Terminal {
    columns: Arc<AtomicU16>,
    pending: Mutex<String>,
}

impl Terminal {
    /// A terminal that is taken to be as wide as `columns` says at each draw.
    #[must_use]
    pub fn new(columns: Arc<AtomicU16>) -> Terminal {
        Terminal {
            columns,
            pending: Mutex::default(),
        }
    }

    fn push(&self, text: &str) -> io::Result<()> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.push_str(text);
        Ok(())
    }

    fn go(&self, n: usize, way: char) -> io::Result<()> {
        match n {
            0 => Ok(()),
            n => self.push(&format!("\x1b[{n}{way}")),
        }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.columns.load(Relaxed)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.go(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.push(text)?;
        self.push("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.push(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.push("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let text = std::mem::take(&mut *pending);
        drop(pending);
        write_all(stderr(), text.as_bytes())
    }
}
