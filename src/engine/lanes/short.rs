//! A short key as two numbers, which are compared, hashed and copied in no time.

use std::hash::{Hash, Hasher};

/// Bytes that it takes, with its length in the last.
const SIZE: usize = 16;

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
        Some(Short([low, high | (n as u64) << 56]))
    }

    /// No key is this one.
    pub(super) const NONE: Short = Short([u64::MAX; 2]);

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
