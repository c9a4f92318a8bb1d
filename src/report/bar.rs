//! A snapshot as one line of a terminal: where the flow stands, and who holds it up.
//!
//! Invariant: a frame is exactly as wide as it was asked to be. Parts that do not fit are shortened
//! or left out, the least telling first; one drawing takes what is left over: what is done of a
//! total that is known, else the occupancy with its marks. Figures have fixed widths, so that a
//! frame does not jump about while they change.

mod gauge;
mod meter;
mod parts;
mod texts;

pub(crate) use meter::spark;
pub(crate) use parts::ink;
use parts::{ORDER, Part, Texts};

use console::{measure_text_width, pad_str, truncate_str};

use super::snapshot::Snapshot;
use super::theme::Theme;

/// The least columns of the drawing that stretches, before and after all else has its room.
const BAR_LEAST: usize = 6;
const BAR_FAIR: usize = 12;
const BAR_WIDE: usize = 24;

/// What gets room first where a total is known: a part and how long a form of it. For drawings the
/// form is their width.
const WANTED_OF_A_TOTAL: [(Part, usize); 28] = [
    (Part::Percent, 1),
    (Part::Culprit, 1),
    (Part::Progress, BAR_LEAST),
    (Part::Rates, 1),
    (Part::Name, 1),
    (Part::Left, 1),
    (Part::Shed, 1),
    (Part::Outputs, 1),
    (Part::Culprit, 2),
    (Part::Full, 1),
    (Part::Name, 2),
    (Part::Spark, 8),
    (Part::Progress, BAR_FAIR),
    (Part::Cap, 1),
    (Part::Elapsed, 1),
    (Part::Rates, 2),
    (Part::Left, 2),
    (Part::Total, 1),
    (Part::Progress, BAR_WIDE),
    (Part::Spark, 16),
    (Part::Gauge, 12),
    (Part::Held, 1),
    (Part::Total, 2),
    (Part::Shed, 2),
    (Part::Outputs, 2),
    (Part::Culprit, 3),
    (Part::Name, 3),
    (Part::Spark, 30),
];

/// The same where no end is known.
const WANTED_WITHOUT_END: [(Part, usize); 27] = [
    (Part::Full, 1),
    (Part::Gauge, BAR_LEAST),
    (Part::Culprit, 1),
    (Part::Rates, 1),
    (Part::Left, 1),
    (Part::Name, 1),
    (Part::Shed, 1),
    (Part::Outputs, 1),
    (Part::Total, 1),
    (Part::Culprit, 2),
    (Part::Name, 2),
    (Part::Left, 2),
    (Part::Rates, 2),
    (Part::Cap, 1),
    (Part::Elapsed, 1),
    (Part::Spark, 8),
    (Part::Gauge, BAR_FAIR),
    (Part::Spark, 16),
    (Part::Held, 1),
    (Part::Full, 2),
    (Part::Total, 2),
    (Part::Shed, 2),
    (Part::Outputs, 2),
    (Part::Culprit, 3),
    (Part::Spark, 30),
    (Part::Name, 3),
    (Part::Gauge, BAR_WIDE),
];

/// The line for this snapshot, `width` columns of it; `names` is the room that its name is given
/// where several lines stand below each other.
#[must_use]
pub(crate) fn frame(s: &Snapshot, names: usize, width: usize, theme: Theme) -> String {
    let texts = texts::all(s, names, theme);
    let has_total = s.size.is_some() && s.percent.is_some();
    let stretches = if has_total {
        Part::Progress
    } else {
        Part::Gauge
    };
    let wanted: &[_] = if has_total {
        &WANTED_OF_A_TOTAL
    } else {
        &WANTED_WITHOUT_END
    };
    let mut chosen = choose(&texts, wanted, stretches, width);
    let stretch = &mut chosen[stretches as usize];
    *stretch = 0;
    let left_over = width.saturating_sub(taken(&texts, &chosen, width));
    // A gap comes before or behind it.
    let room = left_over.saturating_sub(gap(width));
    chosen[stretches as usize] = if room < BAR_LEAST { 0 } else { room };
    let line: Vec<String> = ORDER
        .into_iter()
        .zip(chosen)
        .filter(|(_, form)| *form > 0)
        .map(|(part, form)| match part {
            Part::Progress => {
                let (done, size) = s.progress.unwrap_or_default();
                meter::progress(done, size, form, theme)
            }
            Part::Gauge => gauge::draw(&s.buffer, form, ink(s), theme),
            Part::Spark => meter::spark(&s.trail, form, ink(s), theme),
            _ => texts[part as usize][form - 1].clone(),
        })
        .collect();
    let line = line.join(&" ".repeat(gap(width)));
    // Where not even the drawing has room something is left over.
    let line = truncate_str(&line, width, "");
    pad_str(&line, width, console::Alignment::Left, None).into_owned()
}

/// The form that each part has in a frame, from 1, or the columns of a drawing; 0 is none.
type Chosen = [usize; ORDER.len()];

fn choose(texts: &Texts, wanted: &[(Part, usize)], stretches: Part, width: usize) -> Chosen {
    let mut chosen = [0; ORDER.len()];
    for (part, form) in wanted {
        if !is_drawing(*part) && texts[*part as usize].len() < *form {
            continue;
        }
        let mut wish = chosen;
        wish[*part as usize] = *form;
        if taken(texts, &wish, width) <= width {
            chosen = wish;
        } else if *part == stretches {
            // What comes after would be paid for by a drawing too short to read.
            break;
        }
    }
    chosen
}

fn is_drawing(part: Part) -> bool {
    matches!(part, Part::Progress | Part::Gauge | Part::Spark)
}

/// Columns between two parts: more where there is room, for the eye.
fn gap(width: usize) -> usize {
    if width < 100 { 1 } else { 2 }
}

/// Columns that are taken of `width` by what is chosen.
fn taken(texts: &Texts, chosen: &Chosen, width: usize) -> usize {
    let mut columns = 0;
    for (part, form) in ORDER.into_iter().zip(chosen) {
        columns += match form {
            0 => continue,
            form if is_drawing(part) => *form,
            form => measure_text_width(&texts[part as usize][form - 1]),
        } + gap(width);
    }
    columns.saturating_sub(gap(width))
}

#[cfg(test)]
mod tests;
