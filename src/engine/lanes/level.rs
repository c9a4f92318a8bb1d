//! Down to which level the fullest lanes have to be lowered for so many bytes to go.

/// A lane of which something may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// Bytes on its account.
    pub(super) bytes: u64,
    /// Bytes of these that may go.
    pub(super) most: u64,
    pub(super) lane: u32,
}

/// The level is found to within this part of what is to go.
const PRECISION: u64 = 16;

/// The level: where all that is above it goes, as far as it may, that is `need` bytes, or a little more.
pub(super) fn level(lanes: &[Candidate], need: u64) -> u64 {
    let gone = |level: u64| -> u64 {
        let above = lanes
            .iter()
            .map(|it| it.bytes.saturating_sub(level).min(it.most));
        above.sum()
    };
    let mut high = lanes.iter().map(|it| it.bytes).max().unwrap_or(0);
    let mut low = high.saturating_sub(need);
    if gone(low) < need {
        // The fullest one may not lose so much.
        (high, low) = (low, 0);
    }
    let close = need / (PRECISION * lanes.len().max(1) as u64);
    while high - low > close.max(1) {
        let middle = low + (high - low) / 2;
        match gone(middle) >= need {
            true => low = middle,
            false => high = middle,
        }
    }
    low
}
