//! What goes to standard error, on the thread that may be held up by it.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::board::Shared;
use super::screen::{LastWords, Screen};
use super::snapshot::Snapshot;
use super::stop;
use super::terminal::{self, Size, Use};
use super::theme::Theme;

/// Something to say.
#[derive(Debug)]
pub(super) enum Word {
    /// Draw the bar, if the terminal is ours; the next one comes after so long.
    Frame(Box<Snapshot>, Duration),
    /// Print these lines; there is no line break at their end.
    Line(String),
    /// Take the bar away.
    Clear,
    /// Take the bar away and print these last lines, in the order of the pipeline; those that are not urgent only
    /// where nobody has the screen to itself.
    Finish {
        words: LastWords,
        /// They matter more than what they spoil.
        is_urgent: bool,
        /// A signal has ended the run: if it came from the terminal, that shows `^C` where they go.
        is_by_signal: bool,
    },
}

/// Where the files of this user are that weirs share.
pub(crate) type Directory = fn() -> Option<PathBuf>;

/// What a bar needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BarPlan {
    pub(crate) theme: Theme,
    pub(crate) directory: Directory,
    /// Data of weir's own goes to this terminal. What a program that weir runs says there is its own.
    pub(crate) is_output: bool,
}

/// Standard error, and the bar on it if there is one.
#[derive(Debug)]
pub(crate) struct Stderr {
    bar: Option<BarPlan>,
    /// Shared with the thread that clears it before this process is stopped.
    screen: Option<Arc<Mutex<Screen>>>,
    ready: bool,
}

impl Stderr {
    /// With a bar that looks like this, or without.
    #[must_use]
    pub(crate) fn new(bar: Option<BarPlan>) -> Stderr {
        Stderr {
            bar,
            screen: None,
            ready: false,
        }
    }

    /// Says it. Runs on a thread of its own.
    pub(super) fn say(&mut self, word: Word) {
        if !std::mem::replace(&mut self.ready, true) {
            terminal::never_stop();
        }
        let (size, now) = (Size::now(), terminal::milliseconds());
        let is_output = self.bar.is_some_and(|bar| bar.is_output);
        let mut screen = self
            .screen()
            .map(|screen| screen.lock().unwrap_or_else(PoisonError::into_inner));
        let screen = screen.as_deref_mut();
        match (word, screen) {
            (Word::Frame(snapshot, every), Some(screen)) => {
                let every = u64::try_from(every.as_millis()).unwrap_or(u64::MAX / 4);
                match terminal::use_of(is_output) {
                    Use::Free => screen.draw(&snapshot, every, size, now),
                    Use::Background => screen.withdraw(),
                    Use::Question => screen.make_way(),
                    Use::Taken => {}
                }
            }
            // In the background nothing is drawn, and what must be said is said as it is.
            (Word::Clear, Some(screen)) if terminal::is_foreground() => screen.clear(size, now),
            (Word::Line(text), Some(screen)) if terminal::is_foreground() => {
                screen.print(&text, size, now);
            }
            (
                Word::Finish {
                    is_urgent: false, ..
                },
                screen,
            ) if terminal::is_read_by_keys() => {
                if let Some(screen) = screen {
                    screen.withdraw();
                }
            }
            (Word::Finish { words, .. }, Some(screen)) if terminal::is_foreground() => {
                screen.finish(&words, size, now);
            }
            (word @ (Word::Line(_) | Word::Finish { .. }), screen) => {
                // A shell may have the terminal again before this has ended, and the bar is still there then.
                let is_alone = screen.is_none() && std::io::stderr().is_terminal();
                let is_left = screen.map(|screen| screen.give_up());
                let text = match word {
                    Word::Finish {
                        words,
                        is_by_signal: true,
                        ..
                    } if is_alone || is_left == Some(true) => {
                        format!("\r{words}")
                    }
                    Word::Finish { words, .. } => words.to_string(),
                    Word::Line(text) => text,
                    _ => String::new(),
                };
                let text = match is_left {
                    Some(is_left) => {
                        // Bars of those in the foreground may be where it is written.
                        let below = if is_left { "\x1b[J" } else { "" };
                        text.replace('\n', "\x1b[K\n") + "\x1b[K\n" + below
                    }
                    None => text + "\n",
                };
                // Nobody can be told that nobody can be told.
                let _ = terminal::write_all(rustix::stdio::stderr(), text.as_bytes());
            }
            (Word::Clear, Some(screen)) => screen.withdraw(),
            (Word::Frame(..) | Word::Clear, None) => {}
        }
    }

    fn screen(&mut self) -> Option<&Mutex<Screen>> {
        if let (Some(bar), None) = (self.bar, &self.screen) {
            let shared = Shared::new(
                (bar.directory)().as_deref(),
                &terminal::name(),
                terminal::mark,
            );
            let screen = Arc::new(Mutex::new(Screen::new(bar.theme, shared)));
            stop::clear_before(screen.clone());
            self.screen = Some(screen);
        }
        self.screen.as_deref()
    }
}
