//! The two drawings beside the gauge: how much is done, and how full it was over the last minute.

use crate::report::theme::{Ink, Theme};
use crate::report::trail::Trail;

/// The part that is done, `width` columns of it: all only if it is all.
pub(super) fn progress(done: u64, whole: u64, width: usize, theme: Theme) -> String {
    let glyphs = theme.glyphs();
    // Half columns, where there is a glyph for one.
    let exact = u128::from(done.min(whole)) * 2 * width as u128 / u128::from(whole.max(1));
    let halves = usize::try_from(exact).unwrap_or(2 * width);
    let (full, half) = (halves / 2, halves % 2);
    let bar = glyphs.done.repeat(full) + &glyphs.tip.repeat(half);
    theme.paint(Ink::Done, &bar)
        + &theme.paint(Ink::Faint, &glyphs.todo.repeat(width - full - half))
}

/// The last minute of occupancy, the newest at the right end.
pub(crate) fn spark(trail: &Trail, width: usize, ink: Ink, theme: Theme) -> String {
    let steps = theme.glyphs().levels;
    let levels = trail.levels(width);
    let before = theme.glyphs().empty.repeat(width - levels.len());
    let mut line = String::new();
    for level in levels {
        // The last step is for a full buffer alone.
        let step = usize::from(level) * (steps.len() - 1) / 1000;
        line += steps[step.min(steps.len() - 1)];
    }
    theme.paint(Ink::Room, &before) + &theme.paint(ink, &line)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const UNICODE: Theme = Theme {
        unicode: true,
        colours: crate::report::theme::Colours::None,
    };
    const ASCII: Theme = Theme {
        unicode: false,
        ..UNICODE
    };

    #[test]
    fn what_is_done_fills_half_columns() {
        for (done, unicode, ascii) in [
            (0, "────", "----"),
            (13, "╸───", ">---"),
            (25, "━───", "=---"),
            (49, "━╸──", "=>--"),
            (99, "━━━╸", "===>"),
            (100, "━━━━", "===="),
            (400, "━━━━", "===="),
        ] {
            assert_eq!(progress(done, 100, 4, UNICODE), unicode, "{done}");
            assert_eq!(progress(done, 100, 4, ASCII), ascii, "{done}");
        }
        assert_eq!(progress(0, 0, 0, UNICODE), "");
    }

    #[test]
    fn a_spark_rises_with_the_level_and_is_full_only_when_full() {
        let mut trail = Trail::default();
        for (tick, used) in [0, 1, 150, 500, 999, 1000].into_iter().enumerate() {
            trail.on(Duration::from_millis(500 * tick as u64), used, 1000);
        }
        assert_eq!(spark(&trail, 8, Ink::Calm, UNICODE), "··▁▁▂▄▇█");
        assert_eq!(spark(&trail, 8, Ink::Calm, ASCII), "..__.:*#");
    }
}
