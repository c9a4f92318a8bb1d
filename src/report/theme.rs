//! How things look: which glyphs the locale can show, and which colours there may be.
//!
//! The sixteen colours that every terminal knows are not the same anywhere: yellow and cyan, which are light in many,
//! cannot be read on white. Where there are more, those are used of which everybody knows what they are, and that stand
//! out from white and from black alike.

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

/// Which colours and weights there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// Plain text.
    None,
    /// The sixteen of the terminal's own choice.
    Few,
    /// The palette of 256, of which those above fifteen are the same everywhere.
    Many,
}

/// Amber, green and blue of that palette: of each, the contrast with white and with black is 4 to 1 at least.
const AMBER: u8 = 130;
const GREEN: u8 = 28;
const BLUE: u8 = 31;

/// Glyphs and colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Theme {
    /// Block and line-drawing glyphs, else ASCII.
    pub unicode: bool,
    /// Colours and weights.
    pub colours: Colours,
}

impl Theme {
    /// What the environment asks for; `variable` looks one up.
    #[must_use]
    pub(crate) fn of(variable: impl Fn(&str) -> Option<String>) -> Theme {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        let has_many = || {
            let is_said = set("TERM").is_some_and(|name| name.contains("256color"));
            is_said || set("COLORTERM").is_some()
        };
        Theme {
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
            colours: match set("NO_COLOR") {
                Some(_) => Colours::None,
                None if has_many() => Colours::Many,
                None => Colours::Few,
            },
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
        let style = self.blank().black();
        let has_many = self.colours == Colours::Many;
        let style = match ink {
            Ink::Calm if has_many => style.on_color256(GREEN),
            Ink::Cap if has_many => style.on_color256(AMBER),
            Ink::Calm => style.on_green(),
            Ink::Cap => style.on_yellow(),
            Ink::Loss => style.on_magenta(),
            _ => return self.paint(ink, text),
        };
        style.apply_to(text).to_string()
    }

    fn style(self, ink: Ink) -> Style {
        let style = self.blank();
        let has_many = self.colours == Colours::Many;
        match ink {
            Ink::Calm if has_many => style.color256(GREEN),
            Ink::Cap if has_many => style.color256(AMBER),
            Ink::Done if has_many => style.color256(BLUE),
            Ink::Calm => style.green(),
            Ink::Cap => style.yellow(),
            Ink::Done => style.cyan(),
            Ink::Room | Ink::Faint => style.dim(),
            Ink::Strong => style.bold(),
            Ink::Loss => style.magenta().bold(),
        }
    }

    fn blank(self) -> Style {
        Style::new().force_styling(self.colours != Colours::None)
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
        use Colours::{Few, Many, None};
        for (environment, unicode, colours) in [
            (&[][..], false, Few),
            (&[("LANG", "en_GB.UTF-8")], true, Few),
            (&[("LANG", "C.utf8"), ("NO_COLOR", "1")], true, None),
            (&[("LANG", "C.utf8"), ("NO_COLOR", "")], true, Few),
            (&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")], false, Few),
            (&[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8")], true, Few),
            (&[("LC_CTYPE", "POSIX"), ("LANG", "C.UTF-8")], false, Few),
            (&[("TERM", "xterm")], false, Few),
            (&[("TERM", "xterm-256color")], false, Many),
            (
                &[("TERM", "xterm-kitty"), ("COLORTERM", "truecolor")],
                false,
                Many,
            ),
            (
                &[("TERM", "xterm-256color"), ("NO_COLOR", "1")],
                false,
                None,
            ),
        ] {
            let look_up = |name: &str| {
                let found = environment.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let theme = Theme { unicode, colours };
            assert_eq!(Theme::of(look_up), theme, "{environment:?}");
        }
    }

    /// As the Web Content Accessibility Guidelines reckon it, from 1 to 21.
    fn contrast(one: f64, other: f64) -> f64 {
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn luminance(colour: u8) -> f64 {
        let of_level = |level: u8| {
            let value = if level == 0 {
                0.0
            } else {
                f64::from(level * 40 + 55) / 255.0
            };
            ((value + 0.055) / 1.055f64).powf(2.4)
        };
        let (red, green, blue) = ((colour - 16) / 36, (colour - 16) / 6 % 6, (colour - 16) % 6);
        0.2126 * of_level(red) + 0.7152 * of_level(green) + 0.0722 * of_level(blue)
    }

    #[test]
    fn what_is_coloured_can_be_read_on_white_and_on_black() {
        for colour in [AMBER, GREEN, BLUE] {
            for ground in [0.0, 1.0] {
                let contrast = contrast(luminance(colour), ground);
                assert!(contrast > 4.0, "{colour} on {ground}: {contrast}");
            }
        }
        let many = Theme {
            unicode: true,
            colours: Colours::Many,
        };
        for (ink, painted) in [
            (Ink::Cap, "\x1b[38;5;130mx\x1b[0m"),
            (Ink::Calm, "\x1b[38;5;28mx\x1b[0m"),
            (Ink::Done, "\x1b[38;5;31mx\x1b[0m"),
        ] {
            assert_eq!(many.paint(ink, "x"), painted);
        }
    }

    #[test]
    fn without_colour_a_text_is_itself() {
        let plain = Theme {
            unicode: true,
            colours: Colours::None,
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
