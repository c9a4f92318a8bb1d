//! The books that weir closes with `--summary json`, and numbered records to check them with.

use serde_json::Value;

use super::Ended;

/// The summary of a run.
#[derive(Debug)]
pub(crate) struct Books(Value);

impl Books {
    /// The last object among what it said.
    #[track_caller]
    pub(crate) fn of(ended: &Ended) -> Books {
        let mut said = ended.stderr.lines();
        let last = said.rfind(|l| l.starts_with('{')).unwrap_or_default();
        let json = serde_json::from_str(last);
        Books(json.unwrap_or_else(|e| panic!("no summary ({e}): {ended:?}")))
    }

    /// A value, such as `end`.
    #[track_caller]
    pub(crate) fn value(&self, pointer: &str) -> &Value {
        let value = self.0.pointer(&format!("/{pointer}"));
        value.unwrap_or_else(|| panic!("no {pointer} in {}", self.0))
    }

    /// A number, such as `in/bytes`.
    #[track_caller]
    pub(crate) fn n(&self, pointer: &str) -> usize {
        let n = self.value(pointer).as_u64();
        n.unwrap_or_else(|| panic!("{pointer} is no number in {}", self.0)) as usize
    }

    /// What came in, what was delivered, shed and left, in bytes or in records: the numbers that
    /// the test has counted itself.
    #[track_caller]
    pub(crate) fn assert_are(&self, unit: &str, wanted: [usize; 4], case: &str) {
        let got = ["in", "out", "shed", "undelivered"].map(|at| self.n(&format!("{at}/{unit}")));
        assert_eq!(got, wanted, "{case}: {unit} in, out, shed, undelivered");
    }

    /// What came in is what went out, was shed, and is left.
    #[track_caller]
    pub(crate) fn assert_balance(&self, case: &str) {
        for unit in ["bytes", "records"] {
            let all = ["out", "shed", "undelivered"].map(|at| self.n(&format!("{at}/{unit}")));
            let sum: usize = all.iter().sum();
            assert_eq!(sum, self.n(&format!("in/{unit}")), "{case}: {unit} {all:?}");
        }
    }
}

/// The line of this number; lengths vary, from 9 bytes on.
pub(crate) fn line(i: usize) -> Vec<u8> {
    let tail = [b'a' + (i % 26) as u8].repeat(i % 61);
    [format!("{i:07} ").as_bytes(), &tail, b"\n"].concat()
}

/// These lines, one after the other.
pub(crate) fn lines(numbers: impl IntoIterator<Item = usize>) -> Vec<u8> {
    numbers.into_iter().flat_map(line).collect()
}

/// The numbers of these lines, each of which must be whole, as `line` makes it, and come later
/// than those before it.
#[track_caller]
pub(crate) fn numbers(text: &[u8], line: impl Fn(usize) -> Vec<u8>, case: &str) -> Vec<usize> {
    let mut numbers: Vec<usize> = Vec::new();
    for got in text.split_inclusive(|b| *b == b'\n') {
        let head = String::from_utf8_lossy(&got[..got.len().min(7)]);
        let number = head.trim_end().parse().unwrap_or(usize::MAX);
        assert!(
            number != usize::MAX && got == line(number),
            "{case}: torn: {:?}, after {:?}",
            String::from_utf8_lossy(got),
            numbers.last()
        );
        let later = numbers.last().is_none_or(|last| *last < number);
        assert!(later, "{case}: {number} comes after {:?}", numbers.last());
        numbers.push(number);
    }
    numbers
}

/// What is in either, in order; fails for what is in both.
#[track_caller]
pub(crate) fn joined(one: &[usize], other: &[usize], case: &str) -> Vec<usize> {
    let mut all = [one, other].concat();
    all.sort_unstable();
    let twice = all.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None, "{case}: in both");
    all
}
