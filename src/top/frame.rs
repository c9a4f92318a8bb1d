//! One picture of all weirs, as text for a terminal of a given size.
//!
//! Invariant: no line is wider than the terminal, and there are no more of them than it has rows.

use console::{measure_text_width, truncate_str};

use crate::report::bar;
use crate::report::snapshot::Snapshot;
use crate::report::theme::{Ink, Theme};

/// The weirs of one pipeline from head to tail.
#[derive(Debug)]
pub struct Group<'a> {
    /// At least one.
    pub weirs: Vec<&'a Snapshot>,
    /// What holds them up.
    pub bottleneck: Option<String>,
}

/// The picture, from the top left corner of the screen on.
#[must_use]
pub fn text(
    groups: &[Group<'_>],
    silent: &[u32],
    (columns, rows): (usize, usize),
    theme: Theme,
) -> String {
    let mut lines = vec![head(groups, columns, theme)];
    for group in groups {
        // The last column stays free: some terminals wrap as soon as it is used.
        let width = columns.saturating_sub(1);
        lines.extend(
            group
                .weirs
                .iter()
                .map(|weir| bar::frame(weir, 0, width, theme)),
        );
        lines.push(verdict(group, theme));
    }
    for pid in silent {
        lines.push(theme.paint(
            Ink::Faint,
            &format!("{pid} does not answer; is it stopped?"),
        ));
    }
    if lines.len() > rows {
        let hidden = lines.len() - rows + 1;
        lines.truncate(rows.saturating_sub(1));
        lines.push(format!("{hidden} more lines do not fit"));
    }
    let cut = theme.glyphs().cut;
    let lines = lines.iter().map(|line| truncate_str(line, columns, cut));
    let lines: Vec<String> = lines.map(|line| format!("{line}\x1b[K")).collect();
    // The last line has no break, lest the screen scrolls.
    format!("\x1b[H{}\x1b[J", lines.join("\r\n"))
}

fn head(groups: &[Group<'_>], columns: usize, theme: Theme) -> String {
    let running = match groups.iter().map(|group| group.weirs.len()).sum::<usize>() {
        0 => "no weir is running".to_owned(),
        1 => "1 weir".to_owned(),
        n => format!("{n} weirs"),
    };
    let quit = "q quits";
    let gap = columns.saturating_sub(1 + measure_text_width(&running) + quit.len());
    let running = theme.paint(Ink::Strong, &running);
    running + &" ".repeat(gap.max(1)) + &theme.paint(Ink::Faint, quit)
}

fn verdict(group: &Group<'_>, theme: Theme) -> String {
    match &group.bottleneck {
        Some(who) => {
            let who = theme.paint(Ink::Loss, who);
            theme.paint(Ink::Faint, "  bottleneck: ") + &who
        }
        None => theme.paint(Ink::Faint, "  no bottleneck"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    const THEME: Theme = Theme {
        unicode: true,
        colour: false,
    };

    fn picture(columns: usize, rows: usize) -> Vec<String> {
        let (a, b) = (sample::busy(), sample::capped());
        let group = |weirs, bottleneck: Option<&str>| Group {
            weirs,
            bottleneck: bottleneck.map(Into::into),
        };
        let groups = [group(vec![&a, &b], Some("gzip")), group(vec![&a], None)];
        let text = text(&groups, &[4711], (columns, rows), THEME);
        let text = text.strip_prefix("\x1b[H").expect("the corner");
        let text = text.strip_suffix("\x1b[J").expect("the rest is cleared");
        text.split("\r\n")
            .map(|line| line.strip_suffix("\x1b[K").expect("cleared").to_owned())
            .collect()
    }

    #[test]
    fn every_weir_has_a_line_and_every_pipeline_a_verdict() {
        let lines = picture(80, 24);
        assert!(lines[0].starts_with("3 weirs ") && lines[0].ends_with(" q quits"));
        assert!(lines[1].starts_with("backup"), "{}", lines[1]);
        assert_eq!(lines[3], "  bottleneck: gzip");
        assert_eq!(lines[5], "  no bottleneck");
        assert_eq!(lines[6], "4711 does not answer; is it stopped?");
        assert_eq!(lines.len(), 7);
    }

    #[test]
    fn no_terminal_is_too_small() {
        for columns in 1..=200 {
            for rows in [1, 2, 4, 24] {
                let lines = picture(columns, rows);
                assert!(lines.len() <= rows);
                for line in lines {
                    assert!(measure_text_width(&line) <= columns, "{columns}: {line}");
                }
            }
        }
    }
}
