//! The occupancy of the buffer as a bar with its marks drawn on it.

use crate::report::snapshot::Buffer;
use crate::report::theme::{Ink, Theme};

/// The bar, `width` columns of it with its edges. A high mark at the very end is the right edge.
#[must_use]
pub(super) fn draw(buffer: &Buffer, width: usize, ink: Ink, theme: Theme) -> String {
    let Some(cells) = width.checked_sub(2).filter(|cells| *cells > 0) else {
        return " ".repeat(width);
    };
    let glyphs = theme.glyphs();
    let steps = glyphs.steps.len();
    let filled = scale(buffer.used, buffer.capacity, cells * steps);
    // What is on the disk is shown at the end: as a rule it is the newest.
    let on_disk = buffer.disk.map_or(0, |disk| disk.used);
    let in_memory = scale(buffer.used.saturating_sub(on_disk), buffer.capacity, cells);
    let is_on_disk = |cell| on_disk > 0 && cell >= in_memory;
    let cell_of = |mark: u64| scale(mark, buffer.capacity, cells).min(cells - 1);
    let high = (buffer.high < buffer.capacity).then(|| cell_of(buffer.high));
    let low = (buffer.low > 0).then(|| cell_of(buffer.low));
    let mut bar = theme.paint(Ink::Faint, glyphs.left);
    for cell in 0..cells {
        let level = filled.saturating_sub(cell * steps).min(steps);
        let mark = match cell {
            _ if high == Some(cell) => Some(glyphs.high),
            _ if low == Some(cell) => Some(glyphs.low),
            _ => None,
        };
        bar += &match (mark, level) {
            (Some(mark), level) if level == steps => theme.paint_over(ink, mark),
            (Some(mark), _) => theme.paint(Ink::Faint, mark),
            (None, 0) => theme.paint(Ink::Room, glyphs.empty),
            (None, _) if is_on_disk(cell) => theme.paint(ink, glyphs.disk),
            (None, level) => theme.paint(ink, glyphs.steps[level - 1]),
        };
    }
    bar + &theme.paint(Ink::Faint, glyphs.right)
}

/// How many of `steps` a part of a whole fills: all only if it is all, none only if it is nothing.
fn scale(part: u64, whole: u64, steps: usize) -> usize {
    if part == 0 {
        return 0;
    }
    let exact = u128::from(part.min(whole)) * steps as u128 / u128::from(whole.max(1));
    usize::try_from(exact).unwrap_or(steps).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::snapshot::Place;

    fn buffer(used: u64, low: u64, high: u64) -> Buffer {
        Buffer {
            capacity: 100,
            used,
            peak: used,
            low,
            high,
            memory: None,
            disk: None,
        }
    }

    #[test]
    fn what_is_on_the_disk_has_another_shade() {
        for (used, on_disk, ascii, unicode) in [
            (60, 0, "[######....]", "▕██████····▏"),
            (60, 20, "[####++....]", "▕████▒▒····▏"),
            (60, 1, "[#####+....]", "▕█████▒····▏"),
            (60, 60, "[++++++....]", "▕▒▒▒▒▒▒····▏"),
            (1, 1, "[+.........]", "▕▒·········▏"),
        ] {
            let mut buffer = buffer(used, 0, 100);
            buffer.disk = Some(Place {
                capacity: 50,
                used: on_disk,
                peak: on_disk,
            });
            assert_eq!(draw(&buffer, 12, Ink::Calm, ASCII), ascii, "{on_disk}");
            assert_eq!(draw(&buffer, 12, Ink::Calm, UNICODE), unicode, "{on_disk}");
        }
    }

    const ASCII: Theme = Theme {
        unicode: false,
        colours: crate::report::theme::Colours::None,
    };
    const UNICODE: Theme = Theme {
        unicode: true,
        colours: crate::report::theme::Colours::None,
    };

    #[test]
    fn the_marks_are_drawn_where_they_are() {
        for (used, low, high, bar) in [
            (0, 50, 90, "[.....:...|]"),
            (1, 50, 90, "[#....:...|]"),
            (40, 50, 90, "[####.:...|]"),
            (60, 50, 90, "[#####:...|]"),
            (80, 50, 90, "[#####:##.|]"),
            (100, 50, 90, "[#####:###|]"),
            (100, 99, 100, "[#########:]"),
            (30, 0, 100, "[###.......]"),
            (30, 50, 55, "[###..|....]"),
        ] {
            assert_eq!(
                draw(&buffer(used, low, high), 12, Ink::Calm, ASCII),
                bar,
                "{used}"
            );
        }
    }

    #[test]
    fn eighths_of_a_cell_are_shown_where_they_can_be() {
        for (used, bar) in [
            (0, "▕·····┊···▏"),
            (1, "▕▏····┊···▏"),
            (15, "▕█▎···┊···▏"),
            (100, "▕█████┊███▏"),
        ] {
            assert_eq!(
                draw(&buffer(used, 60, 100), 11, Ink::Calm, UNICODE),
                bar,
                "{used}"
            );
        }
    }
}
