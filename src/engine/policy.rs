//! What may be dropped when there is no room, and since when there is none.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::units::UnitError;

/// What to drop when the buffer is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// What has been held longest.
    Oldest,
    /// What has just come.
    Newest,
    /// What belongs to the lane that holds most.
    Fair,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Which::Oldest => "oldest",
            Which::Newest => "newest",
            Which::Fair => "fair",
        })
    }
}

impl FromStr for Which {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Which, UnitError> {
        match text {
            "oldest" => Ok(Which::Oldest),
            "newest" => Ok(Which::Newest),
            "fair" => Ok(Which::Fair),
            _ => Err(UnitError::new(
                "nothing that can be shed",
                &["oldest", "newest", "fair"],
            )),
        }
    }
}

/// When the buffer is full, and the producer has been blocked for this long: drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// What to drop.
    pub which: Which,
    /// How long to block first, each time the buffer fills.
    pub patience: Duration,
}

/// State of the shedding.
#[derive(Debug, Default)]
pub(crate) struct Shedder {
    pub(super) policy: Option<Policy>,
    pub(super) max_age: Option<Duration>,
    /// Since when the buffer has been full, but for what was shed.
    pub(super) full_since: Option<Instant>,
    /// The record in progress at the input is being shed: how much of it has been.
    pub(super) skipped: Option<u64>,
    /// Bytes of memory that what is read may take, its books with it, although the books are full. Of what has gone out of
    /// lanes the memory comes back when what is left is moved together, which reads do: to drop the next records before
    /// would free nothing.
    pub(super) leeway: u64,
    /// Up to this place some was claimed when later ones were dropped.
    pub(super) passed_over: u64,
}

impl Shedder {
    /// Whether the buffer has been full for longer than the delay lasts.
    pub(super) fn is_shedding(&self, now: Instant) -> bool {
        self.full_since.is_some() && self.due(now).is_some_and(|due| due <= now)
    }

    /// When blocking ends and shedding begins; `None` is never.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let policy = self.policy?;
        self.full_since.unwrap_or(now).checked_add(policy.patience)
    }
}
