//! What goes to standard error, on the thread that may be held up by it.

use super::screen::Screen;
use super::snapshot::Snapshot;
use super::terminal::{self, Terminal};
use super::theme::Theme;

/// Something to say.
#[derive(Debug)]
pub enum Word {
    /// Draw the bar, if the terminal is ours.
    Frame(Box<Snapshot>),
    /// Print these lines; there is no line break at their end.
    Line(String),
    /// Take the bar away.
    Clear,
}

/// Standard error, and the bar on it if there is one.
#[derive(Debug)]
pub struct Voice {
    screen: Option<Screen>,
    ready: bool,
}

impl Voice {
    /// With a bar that looks like this, or without.
    #[must_use]
    pub fn new(theme: Option<Theme>) -> Voice {
        Voice {
            screen: theme.map(|theme| Screen::new(theme, Terminal::new)),
            ready: false,
        }
    }

    /// Says it. Runs on a thread of its own.
    pub fn say(&mut self, word: Word) {
        if !std::mem::replace(&mut self.ready, true) {
            terminal::never_stop();
        }
        // A terminal in the background shows the output of others: nothing is drawn over that.
        let screen = self.screen.as_mut().filter(|_| terminal::is_foreground());
        match (word, screen) {
            (Word::Frame(snapshot), Some(screen)) => screen.draw(&snapshot, terminal::columns()),
            (Word::Clear, Some(screen)) => screen.clear(),
            (Word::Line(text), screen) => {
                let above = screen.is_some_and(|screen| screen.print(&text));
                if !above {
                    // Nobody can be told that nobody can be told.
                    let _ = terminal::write_all(rustix::stdio::stderr(), (text + "\n").as_bytes());
                }
            }
            (Word::Frame(_) | Word::Clear, None) => {}
        }
    }
}
