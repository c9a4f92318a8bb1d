//! The state machine under the simulator: real drivers between a scripted producer and scripted consumers.

mod backlog;
mod bypass;
mod caps;
mod changes;
mod checks;
mod coalescing;
mod fair;
mod fan;
mod faults;
mod flow;
mod scaling;
mod shed;
mod sim;
mod storm;
mod text;
mod threads;

/// Each turn moves them a few times, and a message of 64 bytes takes two turns: at 184 bytes that was a third of all
/// its instructions.
#[test]
fn what_goes_from_hand_to_hand_is_small() {
    use super::action::{Action, Done};
    assert!(size_of::<Action>() <= 48, "{}", size_of::<Action>());
    assert!(size_of::<Done>() <= 80, "{}", size_of::<Done>());
}
