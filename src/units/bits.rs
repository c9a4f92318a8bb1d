//! Where in a text some byte stands, found many bytes at a time: each byte is a bit of a number.
//!
//! Lines are short as a rule. To call a search for each of them costs more than to look at all of it, piece by piece, and to
//! go from bit to bit.

use wide::u8x16;

/// Bytes that are looked at together, on the way to the next end.
const PIECE: usize = 64;
/// Pieces without an end after which the line is long enough for a search to pay.
const LONG: usize = 4;
const SIXTEEN: usize = 16;

/// The places of a byte in a text, in order.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    text: &'a [u8],
    byte: u8,
    /// The piece that is being looked at begins here, and these of its bytes are still to be named.
    from: usize,
    bits: u64,
    /// The next piece begins here.
    next: usize,
}

impl<'a> Places<'a> {
    /// Where `byte` stands in `text`.
    #[must_use]
    pub(crate) fn of(byte: u8, text: &'a [u8]) -> Places<'a> {
        Places {
            text,
            byte,
            from: 0,
            bits: 0,
            next: 0,
        }
    }

    /// There is none in the piece: goes on to the next one that has some.
    #[inline]
    fn go_on(&mut self) -> Option<()> {
        for _ in 0..LONG {
            let rest = self.text.get(self.next..)?;
            let Some(piece) = rest.first_chunk::<PIECE>() else {
                break;
            };
            self.from = self.next;
            self.next += PIECE;
            self.bits = bits_of(piece, self.byte);
            if self.bits != 0 {
                return Some(());
            }
        }
        self.search()
    }

    #[inline(never)]
    fn search(&mut self) -> Option<()> {
        let rest = self.text.get(self.next..)?;
        self.from = self.next + memchr::memchr(self.byte, rest)?;
        (self.next, self.bits) = (self.from + 1, 1);
        Some(())
    }
}

impl Iterator for Places<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.bits == 0 {
            self.go_on()?;
        }
        let at = self.from + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(at)
    }
}

/// Which bytes of a piece are this one.
#[inline]
fn bits_of(piece: &[u8; PIECE], byte: u8) -> u64 {
    let (parts, _) = piece.as_chunks::<SIXTEEN>();
    let parts = parts.iter().rev();
    parts.fold(0, |bits, part| bits << SIXTEEN | u64::from(is(part, byte)))
}

/// Which of the bytes from `at` on are blanks, spaces and tabs. Those that do not belong to the record, of which this many
/// are left, are.
#[inline]
pub(super) fn blanks(text: &[u8], at: usize, left: usize) -> u32 {
    let Some(piece) = text.get(at..).and_then(|rest| rest.first_chunk()) else {
        return blanks_at_end(text, at, left);
    };
    let behind = if left < u32::BITS as usize {
        u32::MAX << left
    } else {
        0
    };
    blanks_in(piece) | behind
}

#[inline(never)]
fn blanks_at_end(text: &[u8], at: usize, left: usize) -> u32 {
    let mut piece = [b' '; 2 * SIXTEEN];
    let rest = text.get(at..).unwrap_or_default();
    let rest = &rest[..left.min(rest.len()).min(piece.len())];
    piece[..rest.len()].copy_from_slice(rest);
    blanks_in(&piece)
}

#[inline]
fn blanks_in(piece: &[u8; 2 * SIXTEEN]) -> u32 {
    let (parts, _) = piece.as_chunks::<SIXTEEN>();
    let of = |part| u32::from(is_either(part, b' ', b'\t'));
    of(&parts[0]) | of(&parts[1]) << SIXTEEN
}

/// Which bytes are this one.
#[inline]
fn is(part: &[u8; SIXTEEN], byte: u8) -> u16 {
    u8x16::new(*part).cmp_eq(u8x16::splat(byte)).move_mask() as u16
}

/// Which bytes are one of these.
#[inline]
fn is_either(part: &[u8; SIXTEEN], one: u8, other: u8) -> u16 {
    let part = u8x16::new(*part);
    let is = |byte| part.cmp_eq(u8x16::splat(byte));
    (is(one) | is(other)).move_mask() as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_are_where_the_byte_stands(
            lines in prop::collection::vec((0..400usize, 0..9u8), 0..20),
            byte: u8,
        ) {
            let line = |(n, fill): (usize, u8)| {
                let mut line = vec![byte.wrapping_add(1 + fill); n];
                line.push(byte);
                line
            };
            let text: Vec<u8> = lines.into_iter().flat_map(line).collect();
            for cut in [0, 1, text.len() / 2] {
                let text = text.get(..text.len().saturating_sub(cut)).unwrap_or_default();
                let places: Vec<usize> = Places::of(byte, text).collect();
                let wanted: Vec<usize> = (0..text.len()).filter(|at| text[*at] == byte).collect();
                prop_assert_eq!(places, wanted);
            }
        }
    }
}
