//! What a running weir can be told from outside its pipeline.

use super::gate::Marks;
use super::limiter::{Bursts, Cap};
use super::policy::Policy;
use super::scaler::Scaling;
use std::time::Duration;

/// One change; in force when [`Engine::command`](super::Engine::command) returns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Directive {
    /// Cap on bytes that leave; `None` is no cap.
    RateOfBytes(Option<Cap>),
    /// Cap on records that leave.
    RateOfRecords(Option<Cap>),
    /// Cap on bytes that are taken.
    InputRateOfBytes(Option<Cap>),
    /// Cap on records that are taken.
    InputRateOfRecords(Option<Cap>),
    /// What may pass at once after a pause.
    Burst(Bursts),
    /// The watermarks, all three.
    Marks(Marks),
    /// What to drop when the buffer is full; `None`: block.
    Shed(Option<Policy>),
    /// Drop what has waited longer than this.
    MaxAge(Option<Duration>),
    /// How many programs run at a time, within as many as there are places for.
    Jobs(Scaling),
    /// Deliver nothing until told otherwise.
    Pause,
    /// Deliver again.
    Resume,
    /// Read nothing until told otherwise, or read again.
    HoldInput(bool),
    /// Read nothing more; deliver what is held, and end.
    Drain,
    /// No more input, and no program is started any more: those that run with a batch go on to their ends.
    Finish,
}
