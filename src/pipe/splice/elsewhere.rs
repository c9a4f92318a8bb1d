//! Other systems have no such path: it is refused, and bytes are copied.

use super::fan::FanOut;
use crate::engine::action::{Permit, Taker};
use crate::engine::drive::Passage;
use crate::pipe::fd::Port;
use crate::pipe::peek::Peek;

/// There is no zero-copy path here.
pub(in crate::pipe) fn fan_out(
    _: FanOut<'_>,
    _: Permit,
    _: Option<&mut Peek>,
    _: &mut [Taker],
) -> (Passage, Option<Port>) {
    (Passage::Refused, None)
}

/// There is no zero-copy path here.
pub(in crate::pipe) fn pass_aside(
    _: FanOut<'_>,
    _: Permit,
    _: &mut Peek,
    _: &mut [Taker],
) -> (Passage, Option<Port>) {
    (Passage::Refused, None)
}

/// There is no zero-copy path here.
#[must_use]
pub(crate) fn suits(_input: &Port, _output: &Port, _seen: bool) -> bool {
    false
}

/// There is no zero-copy path here.
pub(crate) fn pass(_: &Port, _: &Port, _: Permit, _: Option<&mut Peek>) -> Passage {
    Passage::Refused
}
