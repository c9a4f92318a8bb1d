//! What may be done with a spool, or may happen to it, and how often.

use proptest::prelude::*;
use rustix::io::Errno;

use super::OUTPUTS;
use crate::disk::sys::Call;
use crate::disk::tests::faults::Faults;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Append {
        bytes: usize,
        by_pipe: bool,
        later: bool,
    },
    /// One of the outputs reads so much of what is there, and its place is saved.
    Deliver {
        who: usize,
        percent: u8,
    },
    /// Of those who take from the stream of the consumer side by side one has a part of what is there, and has left the
    /// second half of it, maybe.
    Deal {
        from: u8,
        percent: u8,
        falls: bool,
    },
    Sync,
    /// The input has ended, and the next run has another one; that one was closed, or killed.
    Over {
        closes: bool,
    },
    Close,
    Kill,
    /// Of what was not forced to the disk, some is there, some is zeros and some is not there.
    PowerCut {
        seed: u64,
    },
    Flip {
        file: usize,
        at: u64,
        bit: u8,
    },
    Truncate {
        file: usize,
        by: u64,
    },
    ZeroState,
    /// The disk fails, until it is given back: now, or at the next kill.
    Fails(Faults),
    GivenBack,
    /// The directory has another name, until the next kill or for the time of this again.
    Moved,
}

/// What a file system that has become read-only, is full, or fails, does not do any more; and a single call that fails.
fn failing() -> impl Strategy<Value = Faults> {
    let of = |error, calls: &[Call]| (error, calls.to_vec());
    let changes = [Call::Write, Call::Room, Call::Name];
    let kinds = prop_oneof![
        Just(of(Errno::ROFS, &changes)),
        Just(of(Errno::NOSPC, &changes)),
        Just(of(Errno::IO, &[Call::Write, Call::Force, Call::Name])),
        Just(of(Errno::IO, &[Call::Force])),
        Just(of(Errno::IO, &[Call::Name])),
        Just(of(Errno::IO, &[Call::Write])),
        // What was moved from a pipe is read back.
        Just(of(Errno::IO, &[Call::Read])),
    ];
    let times = prop_oneof![3 => Just(1), 2 => 2..5u32, 3 => Just(u32::MAX)];
    (kinds, 0..12u32, times).prop_map(|((error, calls), after, times)| Faults {
        error,
        calls,
        after,
        times,
    })
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..60_000usize, any::<bool>(), any::<bool>())
            .prop_map(|(bytes, by_pipe, later)| Step::Append { bytes, by_pipe, later }),
        5 => (0..OUTPUTS.len(), 0..=100u8)
            .prop_map(|(who, percent)| Step::Deliver { who, percent }),
        4 => (0..=100u8, 0..=100u8, any::<bool>())
            .prop_map(|(from, percent, falls)| Step::Deal { from, percent, falls }),
        2 => Just(Step::Sync),
        2 => any::<bool>().prop_map(|closes| Step::Over { closes }),
        1 => Just(Step::Close),
        3 => Just(Step::Kill),
        2 => any::<u64>().prop_map(|seed| Step::PowerCut { seed }),
        1 => (any::<usize>(), any::<u64>(), 0..8u8)
            .prop_map(|(file, at, bit)| Step::Flip { file, at, bit }),
        1 => (any::<usize>(), 1..5_000u64)
            .prop_map(|(file, by)| Step::Truncate { file, by }),
        1 => Just(Step::ZeroState),
        4 => failing().prop_map(Step::Fails),
        2 => Just(Step::GivenBack),
        1 => Just(Step::Moved),
    ]
}
