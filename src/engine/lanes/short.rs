//! A short key as two numbers, which are compared, hashed and copied in no time; or in its place that there is none, or
//! where a long one stands.

use std::hash::{Hash, Hasher};
use std::ops::Range;

/// Bytes that it takes, with its length in the last.
const SIZE: usize = 16;
/// The bit at which its length begins, in the second number.
const LENGTH_AT: u32 = 56;
/// No short one has this length.
const ELSEWHERE: u64 = 0xfe;

/// See the module's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Short([u64; 2]);

impl Hash for Short {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
        state.write_u64(self.0[1]);
    }
}

impl Short {
    /// `None` where it is too long.
    #[inline]
    pub(crate) fn of(key: &[u8]) -> Option<Short> {
        let n = key.len();
        let [low, high] = match n {
            // Two pieces of one size that overlap: what lies in both is the same.
            8..SIZE => {
                let (first, last) = (key.first_chunk()?, key.last_chunk()?);
                let first = u128::from(u64::from_le_bytes(*first));
                let all = first | u128::from(u64::from_le_bytes(*last)) << (8 * (n - 8));
                [all as u64, (all >> 64) as u64]
            }
            4..8 => {
                let (first, last) = (key.first_chunk()?, key.last_chunk()?);
                let first = u64::from(u32::from_le_bytes(*first));
                [
                    first | u64::from(u32::from_le_bytes(*last)) << (8 * (n - 4)),
                    0,
                ]
            }
            0..4 => {
                let all = key.iter().rev();
                [all.fold(0, |all, byte| all << 8 | u64::from(*byte)), 0]
            }
            _ => return None,
        };
        Some(Short([low, high | (n as u64) << LENGTH_AT]))
    }

    /// No key is this one.
    pub(crate) const NONE: Short = Short([u64::MAX; 2]);

    /// In the place of a long one, which stands here among others.
    pub(crate) fn standing_at(place: Range<usize>) -> Short {
        let length = (place.end - place.start) as u64;
        debug_assert!(length < 1 << LENGTH_AT, "such keys are not looked at");
        Short([place.start as u64, length | ELSEWHERE << LENGTH_AT])
    }

    /// Where it stands, if that is elsewhere.
    pub(crate) fn place(self) -> Option<Range<usize>> {
        let [start, length] = self.0;
        let is_elsewhere = length >> LENGTH_AT == ELSEWHERE;
        let length = length & ((1 << LENGTH_AT) - 1);
        is_elsewhere.then(|| start as usize..(start + length) as usize)
    }

    /// Whether it is a key itself.
    #[inline]
    pub(crate) fn is_key(self) -> bool {
        self.0[1] >> LENGTH_AT < SIZE as u64
    }

    /// One of two to this power of numbers; which keys have the same is easily foreseen.
    pub(super) fn spread(self, power: u32) -> usize {
        // The golden ratio, which spreads neighbours.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = (self.0[0] ^ self.0[1].rotate_left(29)).wrapping_mul(FACTOR);
        (mixed >> (u64::BITS - power)) as usize
    }

    /// The key.
    pub(crate) fn with_bytes<T>(self, look: impl FnOnce(&[u8]) -> T) -> T {
        let bytes = self.0.map(u64::to_le_bytes);
        let all = bytes.as_flattened();
        look(&all[..usize::from(all[SIZE - 1])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_that_there_is_none_or_where_a_long_one_stands() {
        assert!(!Short::NONE.is_key() && Short::NONE.place().is_none());
        for place in [0..SIZE, 3_000_000_000..3_000_065_536] {
            let elsewhere = Short::standing_at(place.clone());
            assert!(!elsewhere.is_key());
            assert_eq!(elsewhere.place(), Some(place));
        }
        let key = Short::of(&[0xff; SIZE - 1]).expect("short");
        assert!(key.is_key() && key.place().is_none());
    }

    #[test]
    fn it_is_the_key_and_no_two_are_the_same() {
        let text = b"\0\0one two \xff\xfethree\0";
        let mut all = Vec::new();
        for from in 0..text.len() {
            for to in from..=text.len() {
                let key = &text[from..to];
                let short = Short::of(key);
                assert_eq!(short.is_some(), key.len() < SIZE);
                let Some(short) = short else { continue };
                assert!(short.with_bytes(|bytes| bytes == key), "{key:?}");
                all.push((key, short));
            }
        }
        for (key, short) in &all {
            assert!(
                all.iter().all(|(k, s)| (k == key) == (s == short)),
                "{key:?}"
            );
        }
    }
}
