//! What the user looks at, and what becomes of a key.
//!
//! Invariant: pure. What is to be done in the world is handed out as a [`Deed`], and each change of
//! a weir is one that could have been typed behind `--remote`.

use super::keys::Key;
use crate::config::live_options::{Flow, LiveOptions};
use crate::engine::status::State;
use crate::report::snapshot::Snapshot;

/// What is on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// The table.
    Table,
    /// All that is known of the chosen weir.
    Details,
    /// What the keys do.
    Help,
}

/// A question at the foot of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// A value for this option.
    Value(&'static str, String),
    /// Whether to drain the chosen weir.
    Drain,
}

/// What the world is to do.
#[derive(Debug, PartialEq)]
pub(super) enum Deed {
    Quit,
    /// Stop, as Ctrl-Z does.
    Stop,
    /// `--remote`, and as it would have been typed.
    Change(u32, Box<LiveOptions>, String),
}

/// The view as the user has left it.
#[derive(Debug)]
pub(super) struct View {
    pub(super) page: Page,
    pub(super) question: Option<Question>,
    /// The weir that the keys are for.
    pub(super) chosen: Option<u32>,
    /// The first line that is shown of a page that is no table.
    pub(super) first: usize,
    /// What came of the last change.
    pub(super) message: Option<String>,
    /// There has been a weir to choose since the last time that there was none.
    pub(super) has_begun: bool,
}

impl Default for View {
    fn default() -> View {
        View {
            page: Page::Table,
            question: None,
            chosen: None,
            first: 0,
            message: None,
            has_begun: false,
        }
    }
}

/// Rows that a page key moves by.
const PAGE: usize = 10;

impl View {
    /// What becomes of a key, where these weirs are on the screen from top to bottom.
    pub(super) fn on_key(&mut self, key: Key, weirs: &[&Snapshot]) -> Option<Deed> {
        match key {
            Key::Ctrl('c' | 'd') => return Some(Deed::Quit),
            Key::Ctrl('z') => return Some(Deed::Stop),
            _ => {}
        }
        if let Some(question) = self.question.take() {
            return self.on_answer(question, key);
        }
        self.message = None;
        match (key, &self.page) {
            (Key::Char('q' | 'Q'), Page::Table) => return Some(Deed::Quit),
            (Key::Char('q' | 'Q') | Key::Escape | Key::Enter, Page::Help | Page::Details)
            | (Key::Char('?' | 'h'), Page::Help) => self.turn_to(Page::Table),
            (Key::Char('?' | 'h'), _) => self.turn_to(Page::Help),
            (Key::Enter, Page::Table) if self.chosen.is_some() => self.turn_to(Page::Details),
            (Key::Left, Page::Details) => self.go(weirs, |at| at.saturating_sub(1)),
            (Key::Right, Page::Details) => self.go(weirs, |at| at + 1),
            (Key::Up | Key::Char('k'), _) => self.step(weirs, |at| at.saturating_sub(1)),
            (Key::Down | Key::Char('j'), _) => self.step(weirs, |at| at.saturating_add(1)),
            (Key::PageUp, _) => self.step(weirs, |at| at.saturating_sub(PAGE)),
            (Key::PageDown, _) => self.step(weirs, |at| at.saturating_add(PAGE)),
            (Key::Home, _) => self.step(weirs, |_| 0),
            (Key::End, _) => self.step(weirs, |_| usize::MAX),
            (Key::Char(key), _) => return self.on_command(key, weirs),
            _ => {}
        }
        None
    }

    /// Keeps the choice among those that are there. Where the chosen one is gone none is chosen, lest a key that was
    /// meant for it changes another one.
    pub(super) fn keep_choice(&mut self, weirs: &[&Snapshot]) {
        let is_there = |pid| weirs.iter().any(|weir| weir.pid == pid);
        if !self.has_begun {
            self.chosen = weirs.first().map(|weir| weir.pid);
        } else if !self.chosen.is_some_and(is_there) {
            self.chosen = None;
        }
        self.has_begun = !weirs.is_empty();
        if self.chosen.is_none() && self.page != Page::Help {
            self.question = None;
            self.page = Page::Table;
        }
    }

    /// Where so many lines of the page do not fit on the screen.
    pub(super) fn keep_on_page(&mut self, hidden: usize) {
        self.first = self.first.min(hidden);
    }

    fn turn_to(&mut self, page: Page) {
        (self.page, self.first) = (page, 0);
    }

    /// To another weir of the table, or to other lines of the page.
    fn step(&mut self, weirs: &[&Snapshot], to: impl Fn(usize) -> usize) {
        match self.page {
            Page::Table => self.go(weirs, to),
            Page::Details | Page::Help => self.first = to(self.first),
        }
    }

    fn go(&mut self, weirs: &[&Snapshot], to: impl Fn(usize) -> usize) {
        let at = weirs.iter().position(|weir| Some(weir.pid) == self.chosen);
        let to = at.map_or(0, to);
        let to = to.min(weirs.len().saturating_sub(1));
        self.chosen = weirs.get(to).map(|weir| weir.pid);
    }

    fn on_command(&mut self, key: char, weirs: &[&Snapshot]) -> Option<Deed> {
        let weir = weirs.iter().find(|weir| Some(weir.pid) == self.chosen)?;
        match key {
            'p' | ' ' => {
                let (flow, typed) = match weir.state {
                    State::Paused => (Flow::Resume, "--resume"),
                    _ => (Flow::Pause, "--pause"),
                };
                return Some(flowing(weir.pid, flow, typed));
            }
            'r' => self.question = Some(Question::Value("--rate", String::new())),
            's' => self.question = Some(Question::Value("--shed", String::new())),
            'd' => self.question = Some(Question::Drain),
            _ => {}
        }
        None
    }

    fn on_answer(&mut self, question: Question, key: Key) -> Option<Deed> {
        let pid = self.chosen?;
        match (question, key) {
            (Question::Drain, Key::Char('y' | 'Y')) => {
                return Some(flowing(pid, Flow::Drain, "--drain"));
            }
            (Question::Drain, _) | (Question::Value(..), Key::Escape) => {}
            (Question::Value(option, text), Key::Enter) if !text.is_empty() => {
                match changed(option, &text) {
                    Ok(change) => {
                        return Some(Deed::Change(
                            pid,
                            Box::new(change),
                            format!("{option} {text}"),
                        ));
                    }
                    Err(why) => self.message = Some(format!("{option} {text}: {why}")),
                }
            }
            (Question::Value(option, mut text), key) => {
                match key {
                    Key::Char(c) => text.push(c),
                    Key::Backspace => {
                        text.pop();
                    }
                    _ => {}
                }
                self.question = Some(Question::Value(option, text));
            }
        }
        None
    }
}

fn flowing(pid: u32, flow: Flow, typed: &str) -> Deed {
    let change = LiveOptions {
        flow: Some(flow),
        ..LiveOptions::default()
    };
    Deed::Change(pid, Box::new(change), typed.to_owned())
}

/// The change that a value means, or why it means none.
fn changed(option: &str, text: &str) -> Result<LiveOptions, String> {
    let mut change = LiveOptions::default();
    match option {
        "--rate" => change.rate.push(text.parse().map_err(|e| format!("{e}"))?),
        _ => change.shed = Some(text.parse().map_err(|e| format!("{e}"))?),
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::top::keys::keys;

    fn weirs() -> Vec<Snapshot> {
        let weir = |pid, state| Snapshot {
            pid,
            state,
            ..sample::fresh()
        };
        vec![
            weir(1, State::Flowing),
            weir(2, State::Paused),
            weir(3, State::Blocked),
        ]
    }

    /// Presses these, and says what is to be done in the end.
    fn pressed(view: &mut View, text: &str) -> Option<Deed> {
        let weirs = weirs();
        let weirs: Vec<&Snapshot> = weirs.iter().collect();
        view.keep_choice(&weirs);
        let mut deed = None;
        for key in keys(text.as_bytes()) {
            assert_eq!(deed, None, "{text:?}: a deed in between");
            deed = view.on_key(key, &weirs);
        }
        deed
    }

    #[test]
    fn each_key_is_what_one_could_have_typed() {
        for (text, pid, typed) in [
            ("p", 1, "--pause"),
            ("\x1b[Bp", 2, "--resume"),
            ("jj ", 3, "--pause"),
            ("\x1b[Fr2MB/s\r", 3, "--rate 2MB/s"),
            ("roff\r", 1, "--rate off"),
            ("r5x\x7fk\r", 1, "--rate 5k"),
            ("soldest\r", 1, "--shed oldest"),
            ("jdy", 2, "--drain"),
            ("dnp", 1, "--pause"),
            ("r9\x1bp", 1, "--pause"),
            ("\r\x1bp", 1, "--pause"),
            ("\x1b[6~\x1b[Ap", 2, "--resume"),
        ] {
            let Some(Deed::Change(to, _, said)) = pressed(&mut View::default(), text) else {
                panic!("{text:?} is no change");
            };
            assert_eq!((to, said.as_str()), (pid, typed), "{text:?}");
        }
    }

    #[test]
    fn a_value_that_means_nothing_is_said_and_changes_nothing() {
        let mut view = View::default();
        assert_eq!(pressed(&mut view, "rfast\r"), None);
        let said = view.message.expect("words");
        assert!(said.starts_with("--rate fast: "), "{said}");
    }

    #[test]
    fn some_keys_leave_and_some_only_look() {
        for text in ["q", "Q", "\x03", "\x04", "?qq", "??q", "rx\x03"] {
            assert_eq!(
                pressed(&mut View::default(), text),
                Some(Deed::Quit),
                "{text:?}"
            );
        }
        assert_eq!(pressed(&mut View::default(), "\x1a"), Some(Deed::Stop));
        for text in ["\x1b", "\x1b[A", "?", "\r", "x", "d", "r\r"] {
            assert_eq!(pressed(&mut View::default(), text), None, "{text:?}");
        }
    }

    #[test]
    fn a_choice_stays_with_its_weir_and_falls_to_none_when_that_is_gone() {
        let mut view = View::default();
        pressed(&mut view, "\x1b[F\r");
        assert_eq!((view.chosen, &view.page), (Some(3), &Page::Details));
        let weirs = weirs();
        let (all, left) = ([&weirs[2], &weirs[0]], [&weirs[0], &weirs[1]]);
        view.keep_choice(&all);
        assert_eq!(view.chosen, Some(3), "wherever it stands");
        view.question = Some(Question::Drain);
        view.keep_choice(&left);
        assert_eq!((view.chosen, &view.page), (None, &Page::Table));
        for key in ['p', 'y', 'd', 'y'] {
            assert_eq!(
                view.on_key(Key::Char(key), &left),
                None,
                "{key} is for nobody"
            );
        }
        view.on_key(Key::Down, &left);
        assert_eq!(view.chosen, Some(1));
        view.keep_choice(&[]);
        assert_eq!(view.chosen, None);
        view.keep_choice(&left);
        assert_eq!(view.chosen, Some(1), "as in the beginning");
    }
}
