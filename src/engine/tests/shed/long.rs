//! Records that are longer than the buffer, and what is read while others are shed.

use std::num::NonZeroU64;
use std::time::Duration;

use super::super::sim::{Scenario, plain, run};
use super::super::text::lines;
use super::{assert_balanced, ms, rules, stalled, status};
use crate::engine::Rules;
use crate::engine::directive::Directive;
use crate::engine::gate::Marks;
use crate::engine::policy::{Policy, Which};
use crate::engine::record::Framing;

#[test]
fn a_record_larger_than_the_buffer_is_shed_whole_and_counted() {
    for which in [Which::Oldest, Which::Newest] {
        let big = [b"big".to_vec(), vec![b'x'; 50_000], b"\n".to_vec()].concat();
        let input = [&b"one\n"[..], &big, b"two\n"].concat();
        let mut s = stalled(rules(8192, Some(which)), input);
        s.takes = vec![(ms(0), usize::MAX / 2)];
        // The first is on its way before the second fills the buffer.
        s.offers = vec![(ms(0), 4), (ms(1), big.len() + 4)];
        let outcome = run(s);
        assert_eq!(outcome.output, b"one\ntwo\n", "{which:?}");
        assert_eq!(outcome.spilled, big, "{which:?}");
        assert_eq!(status(&outcome).shed.oversized, 1, "{which:?}");
    }
}

#[test]
fn a_record_larger_than_the_buffer_passes_in_pieces_under_blocking() {
    let mut rules = rules(8192, None);
    rules.max_age = Some(ms(10_000));
    let input = [&b"one\n"[..], &[b'x'; 50_000], b"\ntwo\n"].concat();
    let mut s = stalled(rules, input.clone());
    s.takes = vec![(ms(0), usize::MAX / 2)];
    assert_eq!(run(s).output, input);
}

/// That was decided before, and makes no room for those who come.
#[test]
fn what_is_read_when_the_newest_are_shed_no_longer_takes_the_beginning_of_its_record_along() {
    let shed = |which, patience| {
        Directive::Shed(Some(Policy {
            which,
            patience: ms(patience),
        }))
    };
    let rules = Rules {
        framing: NonZeroU64::new(33).map(Framing::Fixed),
        marks: Marks {
            high: 3686,
            low: 2911,
            prefill: 0,
        },
        ..rules(6248, None)
    };
    let offers = [
        (54, 10205),
        (5, 391),
        (246, 1196),
        (267, 3686),
        (46, 3412),
        (2, 3509),
        (38, 10525),
        (6, 16873),
        (1, 2542),
        (5, 7323),
        (183, 6461),
        (300, 200_000),
    ];
    let takes = [
        (89, 227),
        (7, 3661),
        (183, 166),
        (183, 282),
        (90, 3414),
        (10, 3401),
        (700, usize::MAX / 2),
    ];
    let commands = [
        (17, shed(Which::Oldest, 0)),
        (183_086, shed(Which::Newest, 0)),
        (10_029, Directive::Shed(None)),
        (267_015, shed(Which::Oldest, 11)),
        (192_112, Directive::MaxAge(Some(ms(191)))),
        (4335, Directive::Shed(None)),
        (88_068, shed(Which::Oldest, 0)),
    ];
    assert_balanced(Scenario {
        offers: offers.map(|(t, n)| (ms(t), n)).to_vec(),
        takes: takes.map(|(t, n)| (ms(t), n)).to_vec(),
        commands: commands
            .map(|(t, command)| (Duration::from_micros(t), command))
            .to_vec(),
        direct: true,
        seed: 10_949_645_799_336_853_496,
        ..plain(rules, lines(200_000, 50))
    });
}
