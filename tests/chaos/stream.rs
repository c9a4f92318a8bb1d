//! What the producer sends: numbered records, so that a lost, torn or displaced one is seen.

use crate::dice::Dice;

/// What makes a record, as `--lines`, `--null`, `--record-size` or nothing says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Lines,
    Null,
    Fixed(usize),
}

/// A record shorter than this has no room for its number.
const NUMBER: usize = 8;
/// None is longer than this.
pub(crate) const LONGEST: usize = 10_000;

impl Framing {
    /// Whether every record can be told from every other.
    pub(crate) fn is_numbered(self) -> bool {
        match self {
            Framing::None => false,
            Framing::Lines | Framing::Null => true,
            Framing::Fixed(size) => size >= NUMBER,
        }
    }

    /// What a record ends with.
    pub(crate) fn end(self) -> Option<&'static [u8]> {
        match self {
            Framing::None | Framing::Fixed(_) => None,
            Framing::Lines => Some(b"\n"),
            Framing::Null => Some(b"\0"),
        }
    }

    /// A record of somebody else's.
    pub(crate) fn foreign(self) -> Vec<u8> {
        match self {
            Framing::None | Framing::Lines => b"before\n".to_vec(),
            Framing::Null => b"before\0".to_vec(),
            Framing::Fixed(size) => vec![b'.'; size],
        }
    }

    /// The records in these bytes; the last one may have no end.
    pub(crate) fn split(self, bytes: &[u8]) -> Vec<&[u8]> {
        match self {
            Framing::None => bytes.chunks(1).collect(),
            Framing::Lines => bytes.split_inclusive(|b| *b == b'\n').collect(),
            Framing::Null => bytes.split_inclusive(|b| *b == 0).collect(),
            Framing::Fixed(size) => bytes.chunks(size).collect(),
        }
    }

    /// How far inside of a record these bytes end.
    pub(crate) fn begun(self, bytes: &[u8]) -> usize {
        let end = match self {
            Framing::None => return 0,
            Framing::Fixed(size) => return bytes.len() % size,
            Framing::Lines => b'\n',
            Framing::Null => 0,
        };
        bytes.iter().rev().take_while(|byte| **byte != end).count()
    }

    /// The same with an end behind the last record, if it has none: so the next weir of a spool delivers it.
    pub(crate) fn ended(self, bytes: &[u8]) -> Vec<u8> {
        let end = self.end().filter(|_| self.begun(bytes) > 0);
        [bytes, end.unwrap_or_default()].concat()
    }
}

/// About `total` bytes of numbered records, each at most about `longest`.
pub(crate) fn make(dice: &mut Dice, framing: Framing, total: usize, longest: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(total + longest + NUMBER + 1);
    let mut number = 0u64;
    while bytes.len() < total {
        let size = match framing {
            Framing::Fixed(size) => size,
            _ => NUMBER + dice.spread(1, longest as u64) as usize,
        };
        let digits = format!("{number:08}");
        let filler = b'a' + (number % 26) as u8;
        let from = bytes.len();
        bytes.extend(digits.bytes().take(size));
        bytes.resize(from + size, filler);
        match framing {
            Framing::Fixed(_) => {}
            Framing::Null => bytes.push(0),
            Framing::Lines | Framing::None => bytes.push(b'\n'),
        }
        number += 1;
    }
    bytes
}
