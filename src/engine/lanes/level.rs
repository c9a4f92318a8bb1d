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
    // What goes, and how much less would if the level were one byte higher.
    let gone = |level: u64| -> (u64, u64) {
        lanes.iter().fold((0, 0), |(bytes, slope), it| {
            let above = it.bytes.saturating_sub(level);
            let is_lowered = above > 0 && above <= it.most;
            (bytes + above.min(it.most), slope + u64::from(is_lowered))
        })
    };
    let mut high = lanes.iter().map(|it| it.bytes).max().unwrap_or(0);
    let mut low = high.saturating_sub(need);
    let mut at_low = gone(low);
    if at_low.0 < need {
        // The fullest one may not lose so much.
        (high, low) = (low, 0);
        at_low = gone(low);
    }
    let close = (need / (PRECISION * lanes.len().max(1) as u64)).max(1);
    let mut is_steeper = false;
    while high - low > close {
        // Where it would be if those that are lowered were the same up there, unless that was too high before.
        let step = at_low.0.saturating_sub(need) / at_low.1.max(1);
        let guess = match is_steeper {
            true => low + (high - low) / 2,
            false => (low + step.max(close)).min(high - 1),
        };
        let at = gone(guess);
        is_steeper = at.0 < need;
        match is_steeper {
            true => high = guess,
            false => (low, at_low) = (guess, at),
        }
    }
    low
}
