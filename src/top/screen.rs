//! The terminal while it is ours: another screen, keys unseen and at once.
//!
//! Invariant: however it ends, the terminal is left as it was found.

use std::io::{self, Write};

use rustix::stdio::stdin;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// The terminal while it is ours.
pub(super) struct Screen {
    before: Termios,
}

impl Screen {
    pub(super) fn enter() -> io::Result<Screen> {
        let before = tcgetattr(stdin())?;
        let mut ours = before.clone();
        // Keys come at once and unseen, and Ctrl-C is one of them.
        ours.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        ours.special_codes[SpecialCodeIndex::VMIN] = 1;
        ours.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(stdin(), OptionalActions::Flush, &ours)?;
        let screen = Screen { before };
        print(ENTER)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = print(LEAVE);
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.before);
    }
}

pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
