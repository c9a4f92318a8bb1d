//! Texts to pass through, and the records in them.

use crate::engine::record::Framing;

/// Lines that are all different; a few are longer than a small buffer.
pub(super) fn lines(bytes: usize, longest: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for k in 0usize.. {
        let length = if k % 97 == 96 { longest } else { k * 7 % 60 };
        text.extend_from_slice(format!("{k}{}\n", "x".repeat(length)).as_bytes());
        if text.len() >= bytes {
            break;
        }
    }
    text
}

/// The records of a text, the last one maybe without an end.
pub(super) fn records(framing: Option<Framing>, text: &[u8]) -> Vec<&[u8]> {
    match framing {
        None => text.chunks(1).collect(),
        Some(Framing::Terminator(end)) => text.split_inclusive(|b| *b == end).collect(),
        Some(Framing::Fixed(n)) => text.chunks(n.get() as usize).collect(),
    }
}
