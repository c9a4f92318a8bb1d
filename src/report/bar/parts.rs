//! The parts of a frame, and the ink that they are drawn in.

use crate::engine::status::State;
use crate::report::snapshot::{Holdup, Snapshot};
use crate::report::theme::Ink;

/// The parts of a frame from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Name,
    Progress,
    Percent,
    Left,
    Total,
    Elapsed,
    Rates,
    Cap,
    Gauge,
    Spark,
    Full,
    Held,
    Shed,
    Outputs,
    Culprit,
}

pub(super) const ORDER: [Part; 15] = [
    Part::Name,
    Part::Progress,
    Part::Percent,
    Part::Left,
    Part::Total,
    Part::Elapsed,
    Part::Rates,
    Part::Cap,
    Part::Gauge,
    Part::Spark,
    Part::Full,
    Part::Held,
    Part::Shed,
    Part::Outputs,
    Part::Culprit,
];

/// Every form of every part, the short ones first; none where there is nothing to say.
pub(super) type Texts = [Vec<String>; ORDER.len()];
/// Calm while all is well, amber for a cap, loud only for loss.
pub(crate) fn ink(s: &Snapshot) -> Ink {
    match (s.state, s.holdup) {
        (State::Shedding, _) => Ink::Loss,
        (State::Capped, _) | (_, Some(Holdup::Cap)) => Ink::Cap,
        _ => Ink::Calm,
    }
}
