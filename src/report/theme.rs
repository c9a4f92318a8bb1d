//! How things look: which glyphs the locale can show, and whether there may be colour.

use console::Style;

/// What a piece of text stands for; the theme decides what that looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Occupancy while all is well: a buffer that is full before a slow consumer does its work.
    Calm,
    /// What is held by a cap.
    Cap,
    /// What is done of what is to come.
    Done,
    /// Room in the buffer.
    Room,
    /// Of little weight.
    Faint,
    /// What matters most.
    Strong,
    /// A loss.
    Loss,
}

/// Glyphs and colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Theme {
    /// Block and line-drawing glyphs, else ASCII.
    pub unicode: bool,
    /// Colours and weights, else plain text.
    pub colour: bool,
}

impl Theme {
    /// What the environment asks for; `variable` looks one up.
    #[must_use]
    pub(crate) fn of(variable: impl Fn(&str) -> Option<String>) -> Theme {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        Theme {
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
            colour: set("NO_COLOR").is_none(),
        }
    }

    /// Paints a text.
    #[must_use]
    pub(crate) fn paint(self, ink: Ink, text: &str) -> String {
        self.style(ink).apply_to(text).to_string()
    }

    /// Paints a line drawn across an area of this ink.
    #[must_use]
    pub(crate) fn paint_over(self, ink: Ink, text: &str) -> String {
        let style = Style::new().black().force_styling(self.colour);
        let style = match ink {
            Ink::Calm => style.on_green(),
            Ink::Cap => style.on_yellow(),
            Ink::Loss => style.on_magenta(),
            _ => return self.paint(ink, text),
        };
        style.apply_to(text).to_string()
    }

    fn style(self, ink: Ink) -> Style {
        let style = Style::new().force_styling(self.colour);
        match ink {
            Ink::Calm => style.green(),
            Ink::Cap => style.yellow(),
            Ink::Done => style.cyan(),
            Ink::Room | Ink::Faint => style.dim(),
            Ink::Strong => style.bold(),
            Ink::Loss => style.magenta().bold(),
        }
    }

    /// The glyphs of the occupancy bar.
    #[must_use]
    pub(crate) fn glyphs(self) -> &'static Glyphs {
        if self.unicode { &UNICODE } else { &ASCII }
    }
}

/// What a bar and a line are made of. Every glyph is one column wide.
#[derive(Debug)]
pub(crate) struct Glyphs {
    /// Edges.
    pub left: &'static str,
    /// The right edge, where the high mark is not at it.
    pub right: &'static str,
    /// A cell that is full, after those that are less so, in equal steps.
    pub steps: &'static [&'static str],
    /// A cell of what is on the disk.
    pub disk: &'static str,
    /// A cell with nothing in it.
    pub empty: &'static str,
    /// The low mark.
    pub low: &'static str,
    /// The high mark.
    pub high: &'static str,
    /// What is done.
    pub done: &'static str,
    /// Half a cell of what is done.
    pub tip: &'static str,
    /// What is still to do.
    pub todo: &'static str,
    /// Levels of a sparkline from nothing to full.
    pub levels: &'static [&'static str],
    /// Before the name of whoever holds the flow up.
    pub blame: &'static str,
    /// From in to out.
    pub arrow: &'static str,
    /// Where a name was cut off.
    pub cut: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    left: "▕",
    right: "▏",
    steps: &["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    disk: "▒",
    empty: "·",
    low: "┊",
    high: "│",
    done: "━",
    tip: "╸",
    todo: "─",
    levels: &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    blame: "◀",
    arrow: "→",
    cut: "…",
};

const ASCII: Glyphs = Glyphs {
    left: "[",
    right: "]",
    steps: &["#"],
    disk: "+",
    empty: ".",
    low: ":",
    high: "|",
    done: "=",
    tip: ">",
    todo: "-",
    levels: &["_", ".", "-", ":", "=", "+", "*", "#"],
    blame: "<",
    arrow: "->",
    cut: "~",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_chooses() {
        for (environment, unicode, colour) in [
            (&[][..], false, true),
            (&[("LANG", "en_GB.UTF-8")], true, true),
            (&[("LANG", "C.utf8"), ("NO_COLOR", "1")], true, false),
            (&[("LANG", "C.utf8"), ("NO_COLOR", "")], true, true),
            (&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")], false, true),
            (&[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8")], true, true),
            (&[("LC_CTYPE", "POSIX"), ("LANG", "C.UTF-8")], false, true),
        ] {
            let look_up = |name: &str| {
                let found = environment.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let theme = Theme { unicode, colour };
            assert_eq!(Theme::of(look_up), theme, "{environment:?}");
        }
    }

    #[test]
    fn without_colour_a_text_is_itself() {
        let plain = Theme {
            unicode: true,
            colour: false,
        };
        for ink in [
            Ink::Calm,
            Ink::Cap,
            Ink::Done,
            Ink::Strong,
            Ink::Loss,
            Ink::Room,
        ] {
            assert_eq!(plain.paint(ink, "x"), "x");
            assert_eq!(plain.paint_over(ink, "x"), "x");
        }
    }
}
