//! Caps that move with the occupancy: exact at both ends, even between them, at every magnitude.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::units::Limit;
use crate::units::rate::tests::{any_rate, any_unit};

/// The range that this text is, for one side or the other.
fn range(text: &str, swapped: bool) -> (Rate, Rate) {
    match text.parse().expect(text) {
        Limit::Range { empty, full } if swapped => (full, empty),
        Limit::Range { empty, full } => (empty, full),
        other => panic!("{other} is no range"),
    }
}

#[test]
fn a_range_is_in_the_middle_halfway_however_slow_it_is() {
    for text in [
        "1/day..2/day",
        "1/h..2/h",
        "1/min..2/min",
        "1/h..1/s",
        "1B/s..1GB/s",
        "5GB/h..20MB/s",
        "1/s..18446744073709551615/ns",
    ] {
        for swapped in [false, true] {
            let (empty, full) = range(text, swapped);
            let cap = Cap::Range(empty, full);
            for tenths in 0..=10 {
                let share = f64::from(tenths) / 10.0;
                let wanted = empty.per_second() * (1.0 - share) + full.per_second() * share;
                let rate = cap
                    .at(1000 + 300 * tenths as usize, 1000, 4000)
                    .per_second();
                let off = (rate / wanted - 1.0).abs();
                assert!(
                    off < 1e-4,
                    "{text} at {share}: {rate}, not {wanted} per second"
                );
            }
        }
    }
}

#[test]
fn what_is_given_back_passes_at_once_and_no_more_than_that() {
    let now = std::time::Instant::now();
    let mut limiter = Limiter::default();
    limiter.set(Some(Cap::Fixed("10/s".parse().expect("a rate"))));
    limiter.tune((0, 0, 1), Burst::Units(0), now);
    // Before, what passed would still be of the cap that there was before.
    assert!(limiter.may_pass(now).is_ok());
    let wait = |limiter: &Limiter| limiter.peek(now).err().map(|at| at - now);
    limiter.on_passed(50, now);
    let waits = wait(&limiter).expect("it is to be earned");
    for _ in 0..3 {
        limiter.on_passed(600, now);
        assert!(wait(&limiter).expect("it is to be earned") > Duration::from_secs(60));
        limiter.give_back(600, now);
        assert_eq!(wait(&limiter), Some(waits));
    }
    limiter.give_back(1000, now);
    assert!(
        limiter.may_pass(now).is_ok_and(|most| most <= 2),
        "saved up"
    );
}

proptest! {
    #[test]
    fn a_range_goes_steadily_from_one_end_to_the_other_and_never_beyond(
        (a, b) in any_unit().prop_flat_map(|unit| (any_rate(unit), any_rate(unit))),
        low in 0..100_000usize,
        gap in prop_oneof![1..10usize, 1..1usize << 40],
        mut places in prop::collection::vec(0.0..1.0, 1..20),
    ) {
        let cap = Cap::Range(a, b);
        let high = low + gap;
        prop_assert_eq!(cap.at(0, low, high), a);
        prop_assert_eq!(cap.at(low, low, high), a);
        prop_assert_eq!(cap.at(high, low, high), b);
        prop_assert_eq!(cap.at(usize::MAX, low, high), b);
        places.sort_by(f64::total_cmp);
        let direction = a.cmp_speed(&b);
        let mut before = a;
        for place in places {
            let rate = cap.at(low + (place * gap as f64) as usize, low, high);
            prop_assert_eq!(rate.unit(), a.unit());
            for (this, next) in [(before, rate), (rate, b)] {
                let step = this.cmp_speed(&next);
                prop_assert!(step == direction || step == Ordering::Equal, "{this:?} {next:?}");
            }
            before = rate;
        }
    }
}
