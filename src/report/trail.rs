//! How full the buffer was over the last minute, for a sparkline: a bounded memory of occupancy.
//!
//! Invariant: at most [`CELLS`] cells of [`CELL`] each, whatever the length of the run and the time
//! between two reports; a cell holds the most that was seen in it.

use std::collections::VecDeque;
use std::time::Duration;

/// The time that a cell stands for.
const CELL: Duration = Duration::from_millis(500);
/// The last minute.
const CELLS: usize = 120;

/// Occupancy, the newest last, in thousandths of the buffer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trail {
    cells: VecDeque<u16>,
    /// The number of the newest cell since the start.
    newest: u64,
}

impl Trail {
    /// So much was held at this time since the start.
    pub(crate) fn on(&mut self, elapsed: Duration, used: u64, capacity: u64) {
        let exact = u128::from(used) * 1000 / u128::from(capacity.max(1));
        let level = u16::try_from(exact)
            .unwrap_or(u16::MAX)
            .max(u16::from(used > 0));
        let cell = u64::try_from(elapsed.as_millis() / CELL.as_millis()).unwrap_or(u64::MAX);
        let ahead = cell.saturating_sub(self.newest);
        match self.cells.back_mut() {
            Some(last) if ahead == 0 => *last = (*last).max(level),
            last => {
                // Nobody looked meanwhile: the last that was seen is the best that is known.
                let between = last.map_or(0, |last| *last);
                for _ in 1..ahead.min(CELLS as u64) {
                    self.cells.push_back(between);
                }
                self.cells.push_back(level);
                self.newest = cell;
            }
        }
        let surplus = self.cells.len().saturating_sub(CELLS);
        self.cells.drain(..surplus);
    }

    /// The most in each of at most `columns` stretches of equal length, the newest last, in
    /// thousandths. Their borders stand still while time goes by, so that a drawing of it moves
    /// and does not flicker.
    #[must_use]
    pub(crate) fn levels(&self, columns: usize) -> Vec<u16> {
        if columns == 0 || self.cells.is_empty() {
            return Vec::new();
        }
        // A stretch that has just begun takes a column too.
        let per_column = self.cells.len().div_ceil(columns.saturating_sub(1).max(1)) as u64;
        let oldest = (self.newest + 1).saturating_sub(self.cells.len() as u64);
        let mut levels: Vec<(u64, u16)> = Vec::new();
        for (number, level) in (oldest..).zip(&self.cells) {
            let stretch = number / per_column;
            match levels.last_mut() {
                Some((last, most)) if *last == stretch => *most = (*most).max(*level),
                _ => levels.push((stretch, *level)),
            }
        }
        let surplus = levels.len().saturating_sub(columns);
        levels
            .into_iter()
            .skip(surplus)
            .map(|(_, most)| most)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_young_run_is_shown_whole() {
        let mut trail = Trail::default();
        assert!(trail.levels(8).is_empty());
        for (ms, used) in [(0, 0), (200, 10), (500, 30), (700, 20), (1000, 100)] {
            trail.on(at(ms), used, 100);
        }
        assert_eq!(trail.levels(8), [100, 300, 1000]);
        assert_eq!(trail.levels(1), [1000]);
        assert!(trail.levels(0).is_empty());
    }

    #[test]
    fn what_nobody_saw_is_as_it_was_before() {
        let mut trail = Trail::default();
        trail.on(at(0), 40, 100);
        trail.on(at(2000), 50, 100);
        assert_eq!(trail.levels(9), [400, 400, 400, 400, 500]);
    }

    #[test]
    fn no_run_is_too_long_and_no_width_too_small() {
        let mut trail = Trail::default();
        for second in [0, 1, 2, 100, 101, 1_000_000, u64::MAX / 1000] {
            for fraction in 0..5 {
                trail.on(Duration::from_secs(second) + at(fraction * 200), 1, 1 << 40);
                assert!(trail.cells.len() <= CELLS);
                for columns in 0..200 {
                    let levels = trail.levels(columns);
                    assert!(levels.len() <= columns && levels.iter().all(|level| *level == 1));
                }
            }
        }
    }

    #[test]
    fn a_peak_stays_where_it_is_while_time_goes_by() {
        // A drawing that flickers would show the peak now in one column, now in two, or not at all.
        let mut trail = Trail::default();
        for tick in 0..600u64 {
            trail.on(at(tick * 500), if tick == 550 { 100 } else { 10 }, 100);
            if tick > 550 {
                let levels = trail.levels(16);
                let peaks = levels.iter().filter(|level| **level == 1000).count();
                assert_eq!(peaks, 1, "{tick}: {levels:?}");
            }
        }
    }
}
