//! The columns of the table: what each says of a weir, and which of them have room.
//!
//! Invariant: rows of one table are aligned and no wider than the terminal; a weir's name is never
//! left out.

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::watch::{Health, Seen};
use crate::report::bar::{self, spark};
use crate::report::figures::{self, UNKNOWN};
use crate::report::theme::{Ink, Theme};
use crate::report::{pipeline, plain};

/// Columns of a name at most.
const NAME_MOST: usize = 24;
/// Columns of the sparkline.
const SPARK: usize = 10;
/// Columns between two columns.
const GAP: usize = 2;

/// One column: its head, and where its cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Pid,
    State,
    Time,
    In,
    Out,
    Cap,
    Total,
    Done,
    Left,
    Shed,
    Full,
    Spark,
}

use Column::{Cap, Done, Full, In, Left, Name, Out, Pid, Shed, Spark, State, Time, Total};

/// From left to right.
const ORDER: [Column; 13] = [
    Name, Pid, State, Time, In, Out, Cap, Total, Done, Left, Shed, Full, Spark,
];
/// What gets room first.
const WANTED: [Column; 13] = [
    Name, Full, State, Out, Done, Left, In, Pid, Spark, Shed, Cap, Total, Time,
];

impl Column {
    fn head(self) -> &'static str {
        match self {
            Name => "NAME",
            Pid => "PID",
            State => "STATE",
            Time => "TIME",
            In => "IN",
            Out => "OUT",
            Cap => "CAP",
            Total => "TOTAL",
            Done => "DONE",
            Left => "LEFT",
            Shed => "SHED",
            Full => "FULL",
            Spark => "LAST MINUTE",
        }
    }

    fn side(self) -> Alignment {
        match self {
            Name | State | Spark => Alignment::Left,
            _ => Alignment::Right,
        }
    }

    fn cell(self, seen: &Seen, theme: Theme) -> String {
        let s = &seen.last;
        let scale = s.scale();
        let in_records = s.out.records.is_some();
        let rate = |bytes, records| match in_records {
            true => figures::rate_of_records(records),
            false => scale.rate(bytes),
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
        let has_ended = seen.health == Health::Ended;
        match self {
            // What is over goes on no more.
            In | Out | Left if has_ended => UNKNOWN.to_owned(),
            Name => truncate_str(&pipeline::label(s), NAME_MOST, theme.glyphs().cut).into_owned(),
            Pid => s.pid.to_string(),
            State => match seen.health {
                Health::Running => plain::state(s),
                Health::Silent => "stopped?".to_owned(),
                Health::Ended => "ended".to_owned(),
            },
            Time => figures::clock(s.elapsed_s),
            In => rate(s.input.rate, s.input.records_rate),
            Out => rate(s.out.rate, s.out.records_rate),
            Cap => plain::cap(s, scale),
            Total => match s.out.records {
                Some(records) => figures::count(records),
                None => scale.bytes(s.out.bytes),
            },
            Done => or_none(s.percent.map(|percent| format!("{percent}%"))),
            Left => or_none(s.eta_s.map(figures::clock)),
            Shed if s.shed.bytes == 0 => UNKNOWN.to_owned(),
            Shed => or_none(s.shed.records.map(figures::count))
                .replace(UNKNOWN, &scale.bytes(s.shed.bytes)),
            Full => plain::full(s),
            Spark => spark(&s.trail, SPARK, bar::ink(s), theme),
        }
    }
}

/// The columns that have room, and how wide each is.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(Column, usize)>,
}

impl Table {
    /// A table of these weirs in so many columns of the terminal.
    pub(super) fn new(weirs: &[&Seen], room: usize, theme: Theme) -> Table {
        let width = |column: Column| {
            let cells = weirs
                .iter()
                .map(|weir| measure_text_width(&column.cell(weir, theme)));
            cells.max().unwrap_or(0).max(column.head().len())
        };
        let says_something = |column: Column| {
            let says = |weir: &&Seen| column.cell(weir, theme) != UNKNOWN;
            !matches!(column, Cap | Done | Left | Shed) || weirs.iter().any(says)
        };
        let mut chosen: Vec<(Column, usize)> = Vec::new();
        let mut taken = 0;
        for column in WANTED.into_iter().filter(|column| says_something(*column)) {
            let width = width(column);
            let gap = if chosen.is_empty() { 0 } else { GAP };
            if taken + gap + width <= room {
                taken += gap + width;
                chosen.push((column, width));
            } else if chosen.is_empty() {
                // The name, shortened.
                (taken, chosen) = (room, vec![(column, room)]);
            }
        }
        chosen.sort_by_key(|(column, _)| ORDER.iter().position(|other| other == column));
        Table { columns: chosen }
    }

    /// The heads.
    pub(super) fn head(&self, theme: Theme) -> String {
        let heads = self.line(theme, |column| column.head().to_owned());
        theme.paint(Ink::Faint, &heads)
    }

    /// The row of a weir.
    pub(super) fn row(&self, weir: &Seen, theme: Theme) -> String {
        let row = self.line(theme, |column| column.cell(weir, theme));
        match weir.health {
            Health::Running => row,
            _ => theme.paint(Ink::Faint, &console::strip_ansi_codes(&row)),
        }
    }

    fn line(&self, theme: Theme, cell: impl Fn(Column) -> String) -> String {
        let cut = theme.glyphs().cut;
        let cells = self.columns.iter().map(|(column, width)| {
            let cell = cell(*column);
            let cell = truncate_str(&cell, *width, cut);
            pad_str(&cell, *width, column.side(), None).into_owned()
        });
        cells.collect::<Vec<_>>().join(&" ".repeat(GAP))
    }
}
