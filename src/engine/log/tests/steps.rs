//! What is done to the log, at random.

use std::ops::Range;

use proptest::prelude::*;

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A read is begun.
    Begin {
        room: usize,
        extend: bool,
    },
    /// It ends: a share of the room in 256ths was filled, with an end of a record every so many bytes; of the
    /// fresh segment these 256ths are kept where only a piece can be, and of that each queue is owed a piece.
    End {
        fill: usize,
        every: u8,
        kept: Share,
        owed: [Option<Share>; 2],
    },
    /// A queue is not owed these places any more.
    Forget {
        queue: usize,
        at: usize,
        most: usize,
    },
    /// The beginning of a record is taken back.
    TakeBack,
    /// A slow reader holds what a queue is owed first, or lets it go.
    Hold {
        queue: usize,
        most: usize,
    },
    LetGo,
    Trim,
    /// What lies scattered is begun to be moved together, or has been; it may never be copied.
    BeginPack,
    EndPack {
        copied: bool,
    },
}

/// From and to, in 256ths.
pub(super) type Share = (usize, usize);

pub(super) fn part((a, b): Share, range: Range<usize>) -> Range<usize> {
    let at = |share| range.start + range.len() * share / 256;
    at(a.min(b))..at(a.max(b))
}

pub(super) fn share() -> impl Strategy<Value = Share> {
    prop_oneof![2 => Just((0, 256)), 1 => (0usize..=256, 0usize..=256)]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let fill = prop_oneof![1 => Just(0), 3 => 0usize..=32, 1 => 0usize..=256];
    let most = || prop_oneof![1usize..50, 1usize..9000];
    let owed = || prop_oneof![4 => share().prop_map(Some), 1 => Just(None)];
    prop_oneof![
        4 => (1usize..9000, any::<bool>()).prop_map(|(room, extend)| Step::Begin { room, extend }),
        4 => (fill, 1u8..=255, share(), owed(), owed()).prop_map(
            |(fill, every, kept, first, second)| Step::End { fill, every, kept, owed: [first, second] }
        ),
        3 => (0usize..2, prop_oneof![2 => Just(0), 1 => 0usize..=256], most())
            .prop_map(|(queue, at, most)| Step::Forget { queue, at, most }),
        1 => Just(Step::TakeBack),
        1 => (0usize..2, most()).prop_map(|(queue, most)| Step::Hold { queue, most }),
        1 => Just(Step::LetGo),
        1 => Just(Step::Trim),
        2 => Just(Step::BeginPack),
        2 => any::<bool>().prop_map(|copied| Step::EndPack { copied }),
    ]
}
