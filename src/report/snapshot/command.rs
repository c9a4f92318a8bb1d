//! What the status object says of the COMMAND that weir runs.

use serde::{Deserialize, Serialize};

use super::parts::{Amount, round};
use crate::engine::restart::{self, CommandStatus};
use crate::engine::status::{BatchStatus, Count};

/// The program that weir runs as its consumer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Command {
    pub name: String,
    pub circuit: Circuit,
    /// Seconds until it is tried again, while the circuit is open.
    pub retry_in_s: Option<f64>,
    /// Failures in a row.
    pub failures: u32,
    pub restarts: u64,
    /// How many of it run now.
    #[serde(default)]
    pub running: usize,
    /// What it had left unread, or begun, when it ended.
    pub taken_back: Amount,
    /// What of that it had begun, and is given twice.
    pub repeated: Amount,
    /// What became of batches, where it is run once for each.
    #[serde(default)]
    pub batches: Option<Batches>,
    /// The process, started by an earlier weir, whose end is waited for.
    #[serde(default)]
    pub waits_for: Option<i32>,
}

/// What became of batches so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Batches {
    /// Those that are being dealt with.
    pub running: usize,
    pub acknowledged: u64,
    /// One that was tried three times was retried twice.
    pub retried: Batched,
    /// Those that were given up or rejected.
    pub shed: Batched,
}

/// Batches, and what was in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(crate) struct Batched {
    pub batches: u64,
    pub bytes: u64,
    pub records: Option<u64>,
}

impl Batches {
    fn of(it: &BatchStatus) -> Batches {
        let batched = |(batches, count): (u64, Count)| Batched {
            batches,
            bytes: count.bytes,
            records: count.records,
        };
        Batches {
            running: it.running,
            acknowledged: it.acknowledged,
            retried: batched(it.retried),
            shed: batched(it.shed),
        }
    }
}

/// Whether it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Circuit {
    /// It is, and has not failed since it last made progress.
    Closed,
    /// It has failed, and is waited for to be tried again.
    Open,
    /// It has failed, and is being tried.
    HalfOpen,
}

impl Command {
    /// What is told of the program of this name.
    #[must_use]
    pub(crate) fn of(name: &str, it: &CommandStatus) -> Command {
        let amount = |of: Count| Amount {
            bytes: of.bytes,
            records: of.records,
        };
        Command {
            name: name.to_owned(),
            circuit: match it.circuit {
                restart::Circuit::Closed => Circuit::Closed,
                restart::Circuit::Open(_) => Circuit::Open,
                restart::Circuit::HalfOpen => Circuit::HalfOpen,
            },
            retry_in_s: it.retry_in.map(|time| round(time.as_secs_f64(), 3)),
            failures: it.failures,
            restarts: it.restarts,
            running: it.running,
            taken_back: amount(it.taken_back),
            repeated: amount(it.repeated),
            batches: it.batches.as_ref().map(Batches::of),
            waits_for: it.waits_for,
        }
    }
}
