//! Standard error as it is at this moment: its width, and whether it is ours to draw on.
//!
//! Invariant: nothing here changes the terminal's or the descriptor's modes, which belong to
//! everybody.

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Dev, Stat, fstat, major, minor, stat};
use rustix::io::{Errno, write};
use rustix::process::getpgrp;
use rustix::stdio::{dup2_stdin, dup2_stdout, stderr, stdout};
use rustix::termios::{LocalModes, isatty, tcgetattr, tcgetpgrp, tcgetwinsize};
use rustix::time::{ClockId, clock_gettime};

use super::process;

/// The size of a terminal that does not know.
const USUAL_COLUMNS: u16 = 80;
const USUAL_ROWS: u16 = 24;

/// The size of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

impl Size {
    /// As it is now.
    #[must_use]
    pub(crate) fn now() -> Size {
        Size::of(stderr())
    }

    /// That of this terminal.
    #[must_use]
    pub(crate) fn of(terminal: impl AsFd) -> Size {
        let size = tcgetwinsize(terminal).map_or((0, 0), |size| (size.ws_row, size.ws_col));
        let known = |n: u16, usual| if n == 0 { usual } else { n };
        Size {
            rows: known(size.0, USUAL_ROWS),
            columns: known(size.1, USUAL_COLUMNS),
        }
    }

    /// The columns that a line may have. The last one stays free: some terminals wrap as soon as it
    /// is used.
    #[must_use]
    pub(crate) fn width(self) -> usize {
        usize::from(self.columns).saturating_sub(1)
    }
}

/// Whether standard error is a terminal.
#[must_use]
pub(crate) fn is_terminal() -> bool {
    isatty(stderr())
}

/// Whether the terminal cannot move its cursor, as far as the environment says. One that is not named at all is taken for
/// such a one, as git and curses do.
#[must_use]
pub(crate) fn is_dumb() -> bool {
    env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb")
}

/// Columns of a terminal.
#[must_use]
pub(crate) fn columns_of(terminal: impl AsFd) -> u16 {
    Size::of(terminal).columns
}

/// Whether the terminal is ours: false in the background. A terminal that does not control us
/// knows no background.
#[must_use]
pub(crate) fn is_foreground() -> bool {
    tcgetpgrp(stderr()).map_or(true, |group| group == getpgrp())
}

/// What a terminal is used for, at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Something may be drawn.
    Free,
    /// Another job is in the foreground.
    Background,
    /// Somebody asks for a password: what is typed is not shown.
    Question,
    /// Somebody reads keys and has the screen to itself, a pager or an editor; or the data goes
    /// there.
    Taken,
}

/// What the terminal is used for now. `is_output`: data goes there, which is not to be drawn over.
#[must_use]
pub(crate) fn use_of(is_output: bool) -> Use {
    if !is_foreground() {
        return Use::Background;
    }
    let Ok(modes) = tcgetattr(stderr()).map(|now| now.local_modes) else {
        return Use::Taken;
    };
    if is_output || !modes.contains(LocalModes::ICANON) {
        Use::Taken
    } else if modes.contains(LocalModes::ECHO) {
        Use::Free
    } else {
        Use::Question
    }
}

/// Whether somebody reads keys from the terminal that standard error is, as pagers and editors do.
#[must_use]
pub(crate) fn is_read_by_keys() -> bool {
    tcgetattr(stderr()).is_ok_and(|now| !now.local_modes.contains(LocalModes::ICANON))
}

/// Whether standard output is the terminal that standard error is.
#[must_use]
pub(crate) fn is_standard_output() -> bool {
    isatty(stdout()) && fstat(stdout()).is_ok_and(is_ours)
}

/// Whether this is a name of the terminal that standard error is.
#[must_use]
pub(crate) fn is_called(path: &Path) -> bool {
    stat(path).is_ok_and(is_ours)
}

/// Whether this file is the terminal that standard error is.
fn is_ours(file: Stat) -> bool {
    let own = fstat(stderr()).ok().and_then(device);
    own.is_some() && device(file) == own
}

/// What all processes call this terminal.
#[must_use]
pub(crate) fn name() -> String {
    let (of, number) = fstat(stderr()).ok().and_then(device).unwrap_or_default();
    format!("{of:x}-{number:x}")
}

/// What tells this terminal from an earlier one of its name: when its device was made, or its modes changed. Elsewhere
/// than on Linux that may be when it was last written to.
#[must_use]
pub(crate) fn mark() -> Option<String> {
    let it = resolved(fstat(stderr()).ok()?)?;
    cfg!(target_os = "linux").then(|| format!("{}.{}", it.st_ctime, it.st_ctime_nsec))
}

/// The file system that the terminal is in, for a container has one of its own, and its number.
fn device(terminal: Stat) -> Option<(Dev, Dev)> {
    let it = resolved(terminal)?;
    Some((it.st_dev, it.st_rdev))
}

/// `/dev/tty` is another name for the terminal that controls us.
fn resolved(it: Stat) -> Option<Stat> {
    if (major(it.st_rdev), minor(it.st_rdev)) != (5, 0) {
        return Some(it);
    }
    let own = process::terminal(std::process::id())?;
    let it = stat(format!("/dev/pts/{}", minor(own))).ok()?;
    (it.st_rdev == own).then_some(it)
}

/// Milliseconds of a clock that all processes of this machine share.
#[must_use]
pub(crate) fn milliseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, rest) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds * 1000 + rest / 1_000_000
}

/// Lets this thread write to the terminal from the background too: it is not stopped for it, even
/// after `stty tostop`.
pub(crate) fn never_stop() {
    use nix::sys::signal::{SigSet, Signal};
    // Refused only for signals that cannot be blocked.
    let _ = SigSet::from(Signal::SIGTTOU).thread_block();
}

/// Puts nothing in the place of standard input and standard output, so that whoever writes to the one and reads from
/// the other need not wait for the end of this process, which has nothing to do with either any more.
pub(crate) fn let_go_of_neighbours() {
    let nothing = File::options().read(true).write(true).open("/dev/null");
    if let Ok(nothing) = nothing {
        // Whoever cannot be let go has to wait.
        let _ = dup2_stdin(&nothing);
        let _ = dup2_stdout(&nothing);
    }
}

/// Writes all of it, however long that takes, also where somebody has left the descriptor
/// non-blocking.
///
/// # Errors
/// When nobody can read it any more.
pub(crate) fn write_all(to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
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
