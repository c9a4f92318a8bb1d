//! Other systems have no such path: it is refused, and bytes are copied.

use std::io;

use super::{FanOut, Passage, Peek, Permit, Port, Taker};

/// There is no zero-copy path here.
#[derive(Debug)]
pub(crate) struct Drain;

impl Drain {
    /// There is no such thing here.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn open() -> io::Result<Drain> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

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
