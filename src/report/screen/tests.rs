//! The picture below the cursor, on a terminal in memory: nothing of it stays behind, and no line of others is lost.

use proptest::prelude::*;

use super::*;
use crate::report::theme::Colours;

const PLAIN: Theme = Theme {
    unicode: true,
    colours: Colours::None,
};

/// A terminal that remembers what has scrolled off it.
struct Terminal {
    parser: vt100::Parser,
    size: Size,
}

impl Terminal {
    fn new(rows: u16, columns: u16) -> Terminal {
        Terminal {
            parser: vt100::Parser::new(rows, columns, 1000),
            size: Size { rows, columns },
        }
    }

    /// What another program writes, as the system passes it on.
    fn other(&mut self, text: &str) {
        self.parser.process(text.replace('\n', "\r\n").as_bytes());
    }

    fn show(&mut self, lines: &[String]) {
        self.parser.process(picture(lines, self.size).as_bytes());
    }

    fn rows(&self) -> Vec<String> {
        let rows = self.parser.screen().rows(0, self.size.columns);
        rows.map(|row| row.trim_end().to_owned()).collect()
    }

    /// All rows that there ever were, but for empty ones.
    fn history(&mut self) -> Vec<String> {
        let screen = self.parser.screen_mut();
        screen.set_scrollback(usize::MAX);
        let above = screen.scrollback();
        let mut all = Vec::new();
        for offset in (1..=above).rev() {
            screen.set_scrollback(offset);
            all.extend(screen.rows(0, self.size.columns).next());
        }
        screen.set_scrollback(0);
        all.extend(screen.rows(0, self.size.columns));
        all.retain(|row| !row.trim().is_empty());
        all
    }
}

fn bars(n: usize) -> Vec<String> {
    (0..n).map(|nth| format!("bar {nth} ━━━━━━━━")).collect()
}

#[test]
fn the_picture_hangs_below_the_cursor_which_stays_where_it_is() {
    for (rows, before, n) in [
        (10, 0, 1),
        (10, 3, 3),
        (10, 9, 3),
        (4, 3, 3),
        (5, 4, 1),
        (3, 2, 2),
    ] {
        let mut terminal = Terminal::new(rows, 40);
        terminal.other(&"line\n".repeat(before));
        terminal.other("password: ");
        terminal.show(&bars(n));
        let (row, column) = terminal.parser.screen().cursor_position();
        let shown = terminal.rows();
        assert_eq!(column, 10, "{rows} {before} {n}");
        assert_eq!(shown[usize::from(row)], "password:", "{shown:#?}");
        let first = usize::from(row) + 1 + gap(n, usize::from(rows) - 1);
        assert_eq!(shown[first..][..n], bars(n), "{shown:#?}");
    }
}

#[test]
fn more_lines_than_rows_leave_the_cursor_on_the_screen() {
    for rows in 1..8u16 {
        for n in 0..10 {
            let mut terminal = Terminal::new(rows, 40);
            terminal.other("$ ");
            for _ in 0..3 {
                terminal.show(&bars(n));
            }
            let shown = terminal.rows();
            assert_eq!(shown[0], "$", "{rows} {n}: {shown:#?}");
            let room = usize::from(rows) - 1;
            if n > room && room > 0 {
                assert_eq!(shown[room], format!("and {} more", n - (room - 1)));
            }
        }
    }
}

#[test]
fn what_is_said_goes_above_the_picture() {
    let mut terminal = Terminal::new(7, 40);
    terminal.other("$ weir\n");
    terminal.show(&bars(2));
    let text = said("one\ntwo") + &picture(&bars(2), terminal.size);
    terminal.parser.process(text.as_bytes());
    let expected = [
        "$ weir",
        "one",
        "two",
        "",
        "",
        "bar 0 ━━━━━━━━",
        "bar 1 ━━━━━━━━",
    ];
    assert_eq!(terminal.rows(), expected);
    terminal.show(&[]);
    terminal.other("$ ");
    assert_eq!(terminal.rows()[..4], ["$ weir", "one", "two", "$"]);
}

#[test]
fn a_line_that_was_drawn_for_a_wider_terminal_does_not_wrap() {
    let mut terminal = Terminal::new(5, 20);
    terminal.other("$ weir\n");
    let long = ["x".repeat(60), "y".repeat(60)];
    for _ in 0..3 {
        terminal.show(&long);
    }
    assert_eq!(terminal.rows()[..2], ["$ weir", ""]);
    assert_eq!(terminal.rows()[3], "x".repeat(19));
    assert_eq!(terminal.rows()[4], "y".repeat(19));
}

#[test]
fn the_stopped_are_faint_and_the_ended_show_what_they_have_to_say() {
    let mut board = Board::default();
    let slot = |pid, at, summary: Option<&str>| Slot {
        pid,
        at,
        line: format!("\x1b[32mline {pid}\x1b[0m"),
        summary: summary.map(Into::into),
        ..Slot::default()
    };
    board.put(slot(1, 10_000, None));
    board.put(slot(2, 0, None));
    board.put(slot(3, 0, Some("weir three: done\nmore")));
    let colour = Theme {
        colours: Colours::Few,
        ..PLAIN
    };
    assert_eq!(
        lines(&board, 10_000, colour),
        [
            "\x1b[32mline 1\x1b[0m",
            "\x1b[2mline 2\x1b[0m",
            "\x1b[2mweir three: done\x1b[0m"
        ]
    );
}

/// What may happen on a terminal between two pictures.
#[derive(Debug, Clone)]
enum Happening {
    /// A picture of so many lines, by whichever weir.
    Picture(usize),
    /// Another program prints a line, or two at once, and then comes a picture.
    Lines(u32, usize, usize),
    /// The user presses Enter.
    Enter(usize),
    /// The terminal becomes so high.
    Rows(u16),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (0..6usize).prop_map(Happening::Picture),
        (any::<u32>(), 1..3usize, 0..6usize)
            .prop_map(|(n, many, lines)| Happening::Lines(n, many, lines)),
        (0..6usize).prop_map(Happening::Enter),
        (1..12u16).prop_map(Happening::Rows),
    ]
}

proptest! {
    /// The heart of the matter: no line of an old picture stays, no line of another program is
    /// lost, whatever was drawn by whom before, and nobody remembers what he drew.
    #[test]
    fn no_ghost_stays_and_no_line_is_lost(
        happenings in prop::collection::vec(happening(), 1..40),
    ) {
        let mut terminal = Terminal::new(8, 40);
        let mut said = Vec::new();
        for happening in happenings {
            match happening {
                Happening::Picture(n) => terminal.show(&bars(n)),
                Happening::Lines(number, many, n) => {
                    // On so low a screen that there is no gap, a second line may leave the rest of a bar.
                    let many = many.min(1 + gap(5, usize::from(terminal.size.rows) - 1));
                    let lines = (0..many).map(|nth| format!("tar: message {number} {nth}"));
                    let lines: Vec<String> = lines.collect();
                    terminal.other(&(lines.join("\n") + "\n"));
                    said.extend(lines);
                    terminal.show(&bars(n));
                }
                Happening::Enter(n) => {
                    terminal.other("\n");
                    terminal.show(&bars(n));
                }
                Happening::Rows(rows) => {
                    // The emulator of these tests drops rows from below, cursor or not; one that
                    // people use keeps the cursor's row.
                    let (row, _) = terminal.parser.screen().cursor_position();
                    if row < rows {
                        terminal.size.rows = rows;
                        terminal.parser.screen_mut().set_size(rows, 40);
                        terminal.show(&bars(3));
                    }
                }
            }
        }
        terminal.show(&[]);
        prop_assert_eq!(terminal.history(), said);
    }
}
