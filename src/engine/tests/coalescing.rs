//! Small pieces that are taken together, through the whole engine: how many, and that nothing else changes.

use std::time::Duration;

use super::sim::{plain, rules, run};

/// How often something is taken of so many pieces, one each so many microseconds.
fn takes(count: usize, every: u64, direct: bool) -> usize {
    let input: Vec<u8> = (0..count * 96).map(|n| n as u8).collect();
    let mut s = plain(rules(1 << 20), input.clone());
    s.direct = direct;
    let at = |n: usize| Duration::from_micros(n as u64 * every);
    s.offers = (0..count).map(|n| (at(n), 96)).collect();
    s.takes = vec![(Duration::ZERO, 1 << 30)];
    let outcome = run(s);
    assert!(outcome.finished && outcome.output == input);
    outcome.took.len()
}

#[test]
fn small_pieces_are_taken_together_whichever_way_they_go() {
    for direct in [true, false] {
        let together = takes(10_000, 1, direct);
        assert!(together < 2000, "{together} takes");
        let apart = takes(1000, 100, direct);
        assert!(apart > 990, "{apart} takes");
    }
}
