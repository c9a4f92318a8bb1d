//! A snapshot as one line of a terminal: where the flow stands, and who holds it up.
//!
//! Invariant: a frame is exactly as wide as it was asked to be. Parts that do not fit are shortened
//! or left out, the least needed first; the occupancy bar takes what is left over. Figures have
//! fixed widths, so that a frame does not jump about while they change.

mod gauge;

use console::{measure_text_width, pad_str, truncate_str};

use super::figures::{self, BYTES_WIDTH, RATE_WIDTH};
use super::plain;
use super::snapshot::{Holdup, Snapshot};
use super::theme::{Ink, Theme};
use crate::core::status::State;

/// Columns of the longest word on who holds the flow up.
const HOLDUP_WIDTH: usize = "held up by source".len();
/// The least columns of the bar, edges included, before and after everything else has its room.
const BAR_LEAST: usize = 6;
const BAR_FAIR: usize = 12;
const BAR_WIDE: usize = 24;
/// Columns of a name, when room is short and when it is not.
const NAME_SHORT: usize = 8;
const NAME_LONG: usize = 32;

/// The parts of a frame from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Name,
    Elapsed,
    Bar,
    Full,
    Held,
    Rates,
    Cap,
    Shed,
    Total,
    Progress,
    Holdup,
}

const ORDER: [Part; 11] = [
    Part::Name,
    Part::Elapsed,
    Part::Bar,
    Part::Full,
    Part::Held,
    Part::Rates,
    Part::Cap,
    Part::Shed,
    Part::Total,
    Part::Progress,
    Part::Holdup,
];

/// What gets room first: a part and how long a form of it. For the bar the form is its least width.
const WANTED: [(Part, usize); 24] = [
    (Part::Full, 1),
    (Part::Bar, BAR_LEAST),
    (Part::Holdup, 1),
    (Part::Rates, 1),
    (Part::Name, 1),
    (Part::Progress, 1),
    (Part::Shed, 1),
    (Part::Holdup, 2),
    (Part::Elapsed, 1),
    (Part::Rates, 2),
    (Part::Progress, 2),
    (Part::Cap, 1),
    (Part::Bar, BAR_FAIR),
    (Part::Total, 1),
    (Part::Held, 1),
    (Part::Name, 2),
    (Part::Full, 2),
    (Part::Rates, 3),
    (Part::Bar, BAR_WIDE),
    (Part::Total, 2),
    (Part::Progress, 3),
    (Part::Held, 2),
    (Part::Shed, 2),
    (Part::Name, 3),
];

/// The line for this snapshot, `width` columns of it.
#[must_use]
pub fn frame(s: &Snapshot, width: usize, theme: Theme) -> String {
    let texts = texts(s, theme);
    let chosen = choose(&texts, width);
    let bar = width.saturating_sub(taken(&texts, &chosen, 0, width));
    let mut line = Vec::new();
    for (part, form) in ORDER.into_iter().zip(chosen) {
        match (part, form) {
            (_, 0) => {}
            (Part::Bar, _) => line.push(gauge::draw(&s.buffer, bar, theme)),
            (_, form) => line.push(texts[part as usize][form - 1].clone()),
        }
    }
    let line = line.join(&" ".repeat(gap(width)));
    // Where not even the bar has room something is left over.
    let line = truncate_str(&line, width, "");
    pad_str(&line, width, console::Alignment::Left, None).into_owned()
}

/// Every form of every part, the short ones first; none where there is nothing to say.
type Texts = [Vec<String>; ORDER.len()];
/// The form that each part has in a frame, from 1; 0 is none.
type Chosen = [usize; ORDER.len()];

fn choose(texts: &Texts, width: usize) -> Chosen {
    let mut chosen = [0; ORDER.len()];
    let mut bar_least = 0;
    for (part, form) in WANTED {
        let mut wish = chosen;
        let mut least = bar_least;
        if part == Part::Bar {
            least = form;
        } else if texts[part as usize].len() < form {
            continue;
        }
        wish[part as usize] = form;
        if taken(texts, &wish, least, width) <= width {
            (chosen, bar_least) = (wish, least);
        } else if part == Part::Bar {
            // What comes after would be paid for by a bar too short to read.
            break;
        }
    }
    chosen
}

/// Columns between two parts: more where there is room, for the eye.
fn gap(width: usize) -> usize {
    if width < 140 { 1 } else { 2 }
}

/// Columns that are taken of `width` by a bar of `bar` columns and the parts chosen beside it.
fn taken(texts: &Texts, chosen: &Chosen, bar: usize, width: usize) -> usize {
    let mut columns = 0;
    for (part, form) in ORDER.into_iter().zip(chosen) {
        columns += match (part, form) {
            (_, 0) => continue,
            (Part::Bar, _) => bar,
            (_, form) => measure_text_width(&texts[part as usize][form - 1]),
        } + gap(width);
    }
    columns.saturating_sub(gap(width))
}

fn texts(s: &Snapshot, theme: Theme) -> Texts {
    ORDER.map(|part| match part {
        Part::Name => name(s, theme),
        Part::Elapsed => vec![theme.paint(Ink::Faint, &figures::clock(s.elapsed_s))],
        Part::Bar => Vec::new(),
        Part::Full => full(s, theme),
        Part::Held => held(s),
        Part::Rates => rates(s, theme),
        Part::Cap => cap(s, theme),
        Part::Shed => shed(s, theme),
        Part::Total => total(s),
        Part::Progress => progress(s),
        Part::Holdup => holdup(s, theme),
    })
}

fn name(s: &Snapshot, theme: Theme) -> Vec<String> {
    let Some(name) = &s.name else {
        return Vec::new();
    };
    let cut = theme.glyphs().cut;
    [NAME_SHORT, NAME_LONG / 2, NAME_LONG]
        .map(|width| theme.paint(Ink::Strong, &truncate_str(name, width, cut)))
        .to_vec()
}

fn full(s: &Snapshot, theme: Theme) -> Vec<String> {
    let full = format!("{:>4}", plain::full(s));
    let ink = gauge::pressure(&s.buffer);
    vec![theme.paint(ink, &full), theme.paint(ink, &full) + " full"]
}

fn held(s: &Snapshot) -> Vec<String> {
    let used = figures::bytes(s.buffer.used);
    let capacity = figures::bytes(s.buffer.capacity);
    vec![
        format!("{used:>BYTES_WIDTH$}/{capacity}"),
        format!("{used:>BYTES_WIDTH$} of {capacity}"),
    ]
}

/// In records where they are what is capped, so that the figures can be compared.
fn rates(s: &Snapshot, theme: Theme) -> Vec<String> {
    let figure = |rate, records_rate, terse| match (s.cap.records_per_s, terse) {
        (Some(_), _) => figures::rate_of_records(records_rate),
        (None, true) => figures::terse_rate(rate),
        (None, false) => figures::rate(rate),
    };
    let arrow = theme.glyphs().arrow;
    let strong = |text: String, side| match s.holdup {
        Some(holdup) if holdup == side => theme.paint(Ink::Strong, &text),
        _ => text,
    };
    let pair = |width: usize, terse: bool, before: &str, after: &str| {
        let input = figure(s.input.rate, s.input.records_rate, terse);
        let out = figure(s.out.rate, s.out.records_rate, terse);
        let input = strong(format!("{before}{input:>width$}"), Holdup::Source);
        let out = strong(format!("{after}{out:<width$}"), Holdup::Sink);
        format!("{input} {arrow} {out}")
    };
    vec![
        pair(RATE_WIDTH - 2, true, "", ""),
        pair(RATE_WIDTH, false, "", ""),
        pair(RATE_WIDTH, false, "in ", "out "),
    ]
}

fn cap(s: &Snapshot, theme: Theme) -> Vec<String> {
    if s.cap.bytes_per_s.or(s.cap.records_per_s).is_none() {
        return Vec::new();
    }
    let text = format!("cap {}", plain::cap(s));
    vec![match s.holdup {
        Some(Holdup::Cap) => theme.paint(Ink::Strong, &text),
        _ => text,
    }]
}

fn shed(s: &Snapshot, theme: Theme) -> Vec<String> {
    if s.shed.bytes == 0 {
        return Vec::new();
    }
    let short = format!("shed {:>BYTES_WIDTH$}", figures::bytes(s.shed.bytes));
    let mut forms = vec![theme.paint(Ink::Loss, &short)];
    if let Some(records) = s.shed.records {
        let long = format!("{short} ({} records)", figures::count(records));
        forms.push(theme.paint(Ink::Loss, &long));
    }
    forms
}

fn total(s: &Snapshot) -> Vec<String> {
    let total = format!("{:>BYTES_WIDTH$}", figures::bytes(s.out.bytes));
    vec![total.clone(), format!("{total} total")]
}

fn progress(s: &Snapshot) -> Vec<String> {
    let (Some(percent), Some(size)) = (s.percent, s.size) else {
        return Vec::new();
    };
    let eta = s.eta_s.map_or_else(|| "-".to_owned(), figures::clock);
    let in_bytes = s.out.records.is_none() || s.cap.records_per_s.is_none();
    let size = if in_bytes {
        figures::bytes(size)
    } else {
        figures::count(size)
    };
    vec![
        format!("{percent:>3}% done"),
        format!("{percent:>3}% done, ETA {eta:<5}"),
        format!("{percent:>3}% of {size}, ETA {eta:<5}"),
    ]
}

fn holdup(s: &Snapshot, theme: Theme) -> Vec<String> {
    let (short, long) = match (s.state, s.holdup) {
        (State::Paused, _) => ("paused", "paused"),
        (State::Filling, _) => ("filling", "filling"),
        (State::Done, _) => ("done", "done"),
        (_, Some(Holdup::Source)) => ("slow source", "held up by source"),
        (_, Some(Holdup::Sink)) => ("slow sink", "held up by sink"),
        (_, Some(Holdup::Cap)) => ("capped", "held up by cap"),
        (State::Draining, None) => ("draining", "draining"),
        (_, None) => ("flowing", "flowing freely"),
    };
    let ink = |text: String| theme.paint(Ink::Strong, &text);
    vec![
        ink(format!("{short:<11}")),
        ink(format!("{long:<HOLDUP_WIDTH$}")),
    ]
}

#[cfg(test)]
mod tests;
