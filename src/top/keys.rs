//! What the user presses: bytes of the terminal made keys.

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Backspace,
    Escape,
    /// Ctrl and this letter.
    Ctrl(char),
}

/// The keys in what was read at once. A sequence comes whole; what is not known in it counts for
/// nothing.
pub(super) fn keys(bytes: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(bytes);
    let mut chars = text.chars().peekable();
    let mut keys = Vec::new();
    while let Some(first) = chars.next() {
        let key = match first {
            '\x1b' if matches!(chars.peek(), Some('[' | 'O')) => {
                chars.next();
                sequence(&mut chars)
            }
            '\x1b' => Some(Key::Escape),
            '\r' | '\n' => Some(Key::Enter),
            '\x08' | '\x7f' => Some(Key::Backspace),
            c @ '\x01'..='\x1a' => Some(Key::Ctrl((c as u8 + b'a' - 1).into())),
            c if c.is_control() => None,
            c => Some(Key::Char(c)),
        };
        keys.extend(key);
    }
    keys
}

/// What follows the introducer, up to its last character.
fn sequence(chars: &mut impl Iterator<Item = char>) -> Option<Key> {
    let mut parameters = String::new();
    let last = loop {
        match chars.next()? {
            c @ ('0'..='9' | ';') => parameters.push(c),
            c => break c,
        }
    };
    match (last, parameters.as_str()) {
        ('A', _) => Some(Key::Up),
        ('B', _) => Some(Key::Down),
        ('C', _) => Some(Key::Right),
        ('D', _) => Some(Key::Left),
        ('H', _) | ('~', "1" | "7") => Some(Key::Home),
        ('F', _) | ('~', "4" | "8") => Some(Key::End),
        ('~', "5") => Some(Key::PageUp),
        ('~', "6") => Some(Key::PageDown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_made_keys() {
        for (bytes, expected) in [
            (&b"q"[..], &[Key::Char('q')][..]),
            (b"\x1b[A\x1bOB", &[Key::Up, Key::Down]),
            (b"\x1b[1;5A", &[Key::Up]),
            (b"\x1b[D\x1bOC", &[Key::Left, Key::Right]),
            (b"\x1b[5~\x1b[6~", &[Key::PageUp, Key::PageDown]),
            (b"\x1bOH\x1b[4~", &[Key::Home, Key::End]),
            (b"\x1b", &[Key::Escape]),
            (b"\x1bx", &[Key::Escape, Key::Char('x')]),
            (b"\x1bOP\x1b[3~\x1b[", &[]),
            (
                b"\r\x7f\x03\x1a",
                &[Key::Enter, Key::Backspace, Key::Ctrl('c'), Key::Ctrl('z')],
            ),
            ("é\u{0}".as_bytes(), &[Key::Char('é')]),
            (b"", &[]),
        ] {
            assert_eq!(keys(bytes), expected, "{bytes:?}");
        }
    }
}
