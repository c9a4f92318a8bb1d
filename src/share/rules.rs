//! What all who share a cap go by.

use crate::engine::limiter::Burst;
use crate::units::Rate;

/// What all members go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The total.
    pub(crate) rate: Rate,
    /// What all together may pass at once after a pause.
    pub(crate) burst: Burst,
}
