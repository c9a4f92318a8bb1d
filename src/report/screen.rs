//! The bar's line on the terminal: drawn, drawn over, cleared; and lines printed above it.
//!
//! Invariant: only the one line is ever touched, so that the output of others stays, a second
//! weir's too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::bar;
use super::snapshot::Snapshot;
use super::theme::Theme;

/// One line that changes.
#[derive(Debug)]
pub struct Screen {
    bar: ProgressBar,
    columns: Arc<AtomicU16>,
    theme: Theme,
    drawn: bool,
}

impl Screen {
    /// A line on this terminal, which takes its width from what it is given.
    pub fn new<T: TermLike + 'static>(
        theme: Theme,
        terminal: impl FnOnce(Arc<AtomicU16>) -> T,
    ) -> Screen {
        let columns = Arc::new(AtomicU16::new(0));
        let target = ProgressDrawTarget::term_like(Box::new(terminal(columns.clone())));
        let style = ProgressStyle::with_template("{msg}");
        let bar = ProgressBar::with_draw_target(None, target);
        Screen {
            bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
            columns,
            theme,
            drawn: false,
        }
    }

    /// Draws over what was drawn before, on a terminal of this width.
    pub fn draw(&mut self, snapshot: &Snapshot, columns: u16) {
        self.columns.store(columns, Relaxed);
        // The last column stays free: some terminals wrap as soon as it is used.
        let width = usize::from(columns).saturating_sub(1);
        self.bar
            .set_message(bar::frame(snapshot, 0, width, self.theme));
        self.drawn = true;
    }

    /// Prints a line above the bar. False if there is no bar to print above.
    pub fn print(&mut self, line: &str) -> bool {
        if self.drawn {
            self.bar.println(line);
        }
        self.drawn
    }

    /// Takes the bar away. What comes next begins where it was.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            self.bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;
    use crate::report::sample;

    const THEME: Theme = Theme {
        unicode: true,
        colour: true,
    };

    fn line(snapshot: &Snapshot, columns: usize) -> String {
        let frame = bar::frame(snapshot, 0, columns - 1, THEME);
        console::strip_ansi_codes(&frame).trim_end().to_owned()
    }

    #[test]
    fn each_frame_takes_the_place_of_the_last() {
        let term = InMemoryTerm::new(10, 60);
        let mut screen = Screen::new(THEME, |_| term.clone());
        for snapshot in [sample::busy(), sample::full(), sample::capped()] {
            screen.draw(&snapshot, 60);
            assert_eq!(term.contents(), line(&snapshot, 60));
        }
    }

    #[test]
    fn a_line_goes_above_the_bar() {
        let term = InMemoryTerm::new(10, 60);
        let mut screen = Screen::new(THEME, |_| term.clone());
        assert!(!screen.print("nothing to print above yet"));
        screen.draw(&sample::busy(), 60);
        assert!(screen.print("one"));
        assert!(screen.print("two"));
        let bar = line(&sample::busy(), 60);
        assert_eq!(term.contents(), format!("one\ntwo\n{bar}"));
        screen.draw(&sample::full(), 60);
        let bar = line(&sample::full(), 60);
        assert_eq!(term.contents(), format!("one\ntwo\n{bar}"));
    }

    #[test]
    fn the_end_leaves_a_clean_line() {
        let term = InMemoryTerm::new(10, 60);
        let mut screen = Screen::new(THEME, |_| term.clone());
        screen.draw(&sample::busy(), 60);
        screen.print("one");
        screen.clear();
        assert_eq!(term.contents(), "one");
        term.write_line("summary").expect("memory");
        assert_eq!(term.contents(), "one\nsummary");
    }
}
