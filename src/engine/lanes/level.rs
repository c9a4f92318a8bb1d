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
    let high = lanes.iter().map(|it| it.bytes).max().unwrap_or(0);
    let close = (need / (PRECISION * lanes.len().max(1) as u64)).max(1);
    search(|level| gone(lanes, level), high, need, close)
}

/// What goes, and how much less would if the level were one byte higher.
fn gone(lanes: &[Candidate], level: u64) -> (u64, u64) {
    lanes.iter().fold((0, 0), |(bytes, slope), it| {
        let above = it.bytes.saturating_sub(level);
        let is_lowered = above > 0 && above <= it.most;
        (bytes + above.min(it.most), slope + u64::from(is_lowered))
    })
}

/// The same, below `high`, to within `close`. Any two guesses at least halve what is left to look at: where nothing more
/// goes however much lower the level is, as below lanes that lose all they hold, the slope says nothing.
fn search(mut gone: impl FnMut(u64) -> (u64, u64), mut high: u64, need: u64, close: u64) -> u64 {
    let mut low = high.saturating_sub(need);
    let mut at_low = gone(low);
    if at_low.0 < need {
        // The fullest one may not lose so much.
        (high, low) = (low, 0);
        at_low = gone(low);
    }
    let mut halves = false;
    while high - low > close {
        let span = high - low;
        // Where it would be if those that are lowered were the same up there, unless that was too high before.
        let step = at_low.0.saturating_sub(need) / at_low.1.max(1);
        let guess = match halves {
            true => low + span / 2,
            false => (low + step.max(close)).min(high - 1),
        };
        let at = gone(guess);
        let is_steeper = at.0 < need;
        match is_steeper {
            true => high = guess,
            false => (low, at_low) = (guess, at),
        }
        halves = is_steeper || high - low > span.div_ceil(2);
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a thousand lanes lose that hold little, and had much before, is what has to go, or a little more, whatever
    /// the level is, down to the others.
    #[test]
    fn it_is_found_in_a_few_steps_where_lanes_lose_all_they_hold() {
        const STEPS: u32 = 2 * 40;
        for more in [0, 1, 999] {
            let lane = |lane, bytes| Candidate {
                bytes,
                most: 1000,
                lane,
            };
            let loud = (0..1000).map(|i| lane(i, (1 << 40) + u64::from(i)));
            let quiet = (1000..5000).map(|i| lane(i, 1000));
            let lanes: Vec<Candidate> = loud.chain(quiet).collect();
            let need = 1_000_000 - more;
            let of = |level| gone(&lanes, level);
            let mut steps = 0;
            let count = |level| {
                steps += 1;
                assert!(steps <= STEPS, "no end of it");
                of(level)
            };
            let low = search(count, (1 << 40) + 999, need, 12);
            assert!(of(low).0 >= need && of(low + 12).0 < need, "{low}");
            assert_eq!(low, level(&lanes, need));
        }
    }
}
