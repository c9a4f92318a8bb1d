//! The lines of all weirs on one terminal, hung below the cursor; and lines printed above them.
//!
//! Invariant: the cursor stays where the other programs have left it, and all before it is theirs;
//! what is behind and below it is the picture, and each picture replaces all of that. So a frame
//! needs to know nothing of the one before: whoever drew that, however many lines it had, whatever
//! was printed, scrolled, resized or killed since then, no line of an old picture can stay below
//! the new one, and no line of another program can be erased by it. (Whoever counts the lines that
//! he drew, to go up by as many, has to be right about all of that.)
//!
//! What another program writes between two frames goes over the picture from the cursor's row on, and leaves of each line
//! that it shortens the rest. Nothing short of taking rows away from everybody for good, which a killed process would not
//! give back, keeps it from that; so the first rows below the cursor, [`GAP`], are left empty, and a message of one line
//! more than that leaves nothing behind.

use std::fmt::{self, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use console::{measure_text_width, strip_ansi_codes, truncate_str};

use super::bar;
use super::board::{Board, Shared, Slot};
use super::pipeline;
use super::process;
use super::snapshot::Snapshot;
use super::terminal::{self, Size};
use super::theme::{Ink, Theme};

/// A frame that comes so much later is left to the next.
const A_MOMENT: Duration = Duration::from_millis(20);
/// How long the last words may wait for their turn.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long a summary waits for those before it in its pipeline to end, which most do when this one has: they are told
/// by the system that nobody reads any more.
const TURN: Duration = Duration::from_millis(300);
/// Between two looks whether it has been printed.
const LOOK: Duration = Duration::from_millis(5);
/// Empty rows between the cursor's and the picture, where there is room for them.
const GAP: usize = 1;
/// Columns of a name at most, where others stand above and below it.
const NAMES_MOST: usize = 16;

/// What a weir says at its end; at least one of the two.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LastWords {
    /// There is no line break at its end.
    pub(super) summary: Option<String>,
    /// What was wrong.
    pub(super) complaint: Option<String>,
}

impl fmt::Display for LastWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.summary.iter().chain(&self.complaint);
        let parts: Vec<_> = parts.map(String::as_str).collect();
        f.write_str(&parts.join("\n"))
    }
}

/// A weir's share of the picture on its terminal.
#[derive(Debug)]
pub(super) struct Screen {
    theme: Theme,
    shared: Shared,
    pid: u32,
    born: Option<u64>,
    names: usize,
    /// Whether our line is on the board.
    shown: bool,
    /// A picture with our line may still be on the terminal, which was not ours to draw on any more.
    left: bool,
}

impl Screen {
    /// Nothing is shown yet. `shared` is where the others on this terminal are found.
    pub(super) fn new(theme: Theme, shared: Shared) -> Screen {
        let pid = std::process::id();
        Screen {
            theme,
            shared,
            pid,
            born: process::born(pid),
            names: 0,
            shown: false,
            left: false,
        }
    }

    /// Shows this, and draws the picture if it is time for that. `now` is in milliseconds of a
    /// clock that all processes share.
    pub(super) fn draw(&mut self, s: &Snapshot, every: u64, size: Size, now: u64) {
        let name = s.name.as_deref().map_or(0, measure_text_width);
        let slot = Slot {
            pid: self.pid,
            born: self.born,
            since: now,
            at: now,
            every,
            names: name.min(NAMES_MOST),
            line: match &s.formatted {
                Some(line) => line.clone(),
                None => bar::frame(s, self.names, size.width(), self.theme),
            },
            ..Slot::default()
        };
        let (theme, first) = (self.theme, !self.shown);
        let drawn = self.shared.with(A_MOMENT, |board| {
            board.put(slot);
            let changed = first | board.reap(now, |slot| process::is_alive(slot.pid, slot.born));
            if !board.is_in_order() && board.running().len() > 1 {
                let chains = pipeline::chains(&pipeline::processes(), &board.running());
                let pids = |chain: &Vec<pipeline::Process>| chain.iter().map(|p| p.pid).collect();
                board.order(&chains.iter().map(pids).collect::<Vec<_>>());
            }
            if changed || board.is_due(now, every) {
                show(board, None, now, size, theme);
            }
            board.names()
        });
        if let Some(names) = drawn {
            (self.names, self.shown, self.left) = (names, true, false);
        }
    }

    /// Prints lines above the picture.
    pub(super) fn print(&mut self, text: &str, size: Size, now: u64) {
        let theme = self.theme;
        let alone = match std::mem::take(&mut self.left) {
            true => said(text),
            false => format!("{text}\n"),
        };
        let above = |board: &mut Board| {
            let has_dead = leave_out_dead(board);
            if !board.slots.is_empty() {
                board.drawn = now;
                put(&(said(text) + &picture(&lines(board, now, theme), size)));
            } else if has_dead {
                // Their picture may hang below the cursor; what others have written before it stays.
                put(&format!("\x1b[J{alone}"));
            } else {
                put(&alone);
            }
        };
        if self.shared.with(LAST_WORDS, above).is_none() {
            put(&alone);
        }
    }

    /// Takes our line away.
    pub(super) fn clear(&mut self, size: Size, now: u64) {
        if std::mem::take(&mut self.shown) {
            let (theme, pid) = (self.theme, self.pid);
            self.shared.with(LAST_WORDS, |board| {
                board.remove(pid);
                show_at_last(board, None, now, size, theme);
            });
        }
    }

    /// Takes our line off the board, and leaves the terminal as it is: it is not ours to draw on.
    pub(super) fn withdraw(&mut self) {
        if std::mem::take(&mut self.shown) {
            self.left = true;
            let pid = self.pid;
            self.shared.with(A_MOMENT, |board| board.remove(pid));
        }
    }

    /// The same, before something is written where the picture is, if one was left there: whether it was.
    pub(super) fn give_up(&mut self) -> bool {
        self.withdraw();
        std::mem::take(&mut self.left)
    }

    /// Takes the picture away, so that a question that was printed into it stands alone.
    pub(super) fn make_way(&mut self) {
        if std::mem::take(&mut self.shown) {
            let pid = self.pid;
            self.shared.with(A_MOMENT, |board| {
                board.remove(pid);
                put(&picture(
                    &[],
                    Size {
                        rows: 1,
                        columns: 1,
                    },
                ));
            });
        }
    }

    /// Prints our last words. A complaint comes at once; a summary is left for a moment to those that come before us in
    /// our pipeline, to be printed after their own.
    pub(super) fn finish(&mut self, words: &LastWords, size: Size, now: u64) {
        if !std::mem::take(&mut self.shown) {
            return self.print(&words.to_string(), size, now);
        }
        let (theme, pid) = (self.theme, self.pid);
        let is_done = self.shared.with(LAST_WORDS, |board| {
            match &words.summary {
                Some(summary) => board.hand_over(pid, summary, now),
                None => drop(board.remove(pid)),
            }
            show_at_last(board, words.complaint.clone(), now, size, theme);
            board.is_told(pid) || words.summary.is_none()
        });
        match (is_done, &words.summary) {
            (Some(true), _) | (Some(false), None) => {}
            (Some(false), Some(summary)) => self.await_turn(summary, size),
            (None, _) => put(&said(&words.to_string())),
        }
    }

    /// Waits until somebody has printed what we have handed over, and does it ourselves where nobody comes to it.
    fn await_turn(&mut self, summary: &str, size: Size) {
        terminal::let_go_of_neighbours();
        let (theme, pid) = (self.theme, self.pid);
        let until = Instant::now() + TURN;
        while Instant::now() < until {
            thread::sleep(LOOK);
            if self.shared.with(A_MOMENT, |board| board.is_told(pid)) == Some(true) {
                return;
            }
        }
        let is_out = self.shared.with(LAST_WORDS, |board| {
            leave_out_dead(board);
            let mut told = board.told_anyway(pid);
            if board.is_told(pid) && told.is_empty() {
                return;
            }
            if told.is_empty() {
                // Whoever could not read the board has begun a new one.
                told.push(summary.to_owned());
            }
            // Those behind us come after us.
            told.extend(board.told());
            show(board, told, terminal::milliseconds(), size, theme);
        });
        if is_out.is_none() {
            put(&said(summary));
        }
    }
}

/// Draws the picture, below what is said by those whose turn it is, and by ourselves.
fn show(
    board: &mut Board,
    own: impl IntoIterator<Item = String>,
    now: u64,
    size: Size,
    theme: Theme,
) {
    let told = board.told().into_iter().chain(own);
    let told: String = told.map(|text| said(&text)).collect();
    board.drawn = now;
    put(&(told + &picture(&lines(board, now, theme), size)));
}

/// The same for the last time, as far as we are concerned: whoever is dead is not in it, and nobody waits for his words.
fn show_at_last(
    board: &mut Board,
    own: impl IntoIterator<Item = String>,
    now: u64,
    size: Size,
    theme: Theme,
) {
    leave_out_dead(board);
    show(board, own, now, size, theme);
}

/// Nobody may come to do so later, so it does not count for how long one has been silent. Whether there were any.
fn leave_out_dead(board: &mut Board) -> bool {
    board.reap(u64::MAX, |slot| process::is_alive(slot.pid, slot.born))
}

/// Nobody can be told that nobody can be told.
fn put(text: &str) {
    let _ = terminal::write_all(rustix::stdio::stderr(), text.as_bytes());
}

/// What each weir has to show: of one that has ended what it had to say, where that has to wait.
fn lines(board: &Board, now: u64, theme: Theme) -> Vec<String> {
    let line = |slot: &Slot| match &slot.summary {
        Some(summary) => {
            let first = summary.lines().next().unwrap_or_default();
            theme.paint(Ink::Faint, first)
        }
        None if Board::is_silent(slot, now) => {
            theme.paint(Ink::Faint, &strip_ansi_codes(&slot.line))
        }
        None => slot.line.clone(),
    };
    board.slots.iter().map(line).collect()
}

/// These lines in the place of the cursor's row, which goes below them.
fn said(text: &str) -> String {
    let text = text.replace('\n', "\r\n");
    format!("\r\x1b[J{text}\r\n")
}

/// The picture from wherever the cursor is: these lines below it, and nothing else.
fn picture(lines: &[String], size: Size) -> String {
    // The cursor's own row must stay on the screen.
    let room = usize::from(size.rows).saturating_sub(1);
    let fits = lines.len() <= room;
    let shown = if fits {
        lines.len()
    } else {
        room.saturating_sub(1)
    };
    let mut all: Vec<String> = lines[..shown].to_vec();
    if !fits && room > 0 {
        all.push(format!("and {} more", lines.len() - shown));
    }
    if all.is_empty() {
        return "\x1b[J".to_owned();
    }
    let gap = gap(all.len(), room);
    let n = gap + all.len();
    // What others have written since may have moved the cursor into the old picture: what is left of
    // that behind it goes too. Room is made by moving down, which may scroll, and up again; a vertical tab keeps the column.
    // Only then is the cursor's place one that can be returned to. Lines do not wrap, whatever has
    // become of the width meanwhile.
    let mut text = "\x1b[K".to_owned() + &"\x0b".repeat(n);
    let _ = write!(text, "\x1b[{n}A\x1b7\x1b[m\x1b[?7l");
    text += &"\r\n\x1b[K".repeat(gap);
    for line in &all {
        let line = truncate_str(line, size.width(), "");
        let _ = write!(text, "\r\n{line}\x1b[K");
    }
    text + "\x1b[J\x1b[?7h\x1b8"
}

/// Empty rows above so many lines in so much room.
fn gap(lines: usize, room: usize) -> usize {
    GAP.min(room.saturating_sub(lines))
}

#[cfg(test)]
mod tests;
