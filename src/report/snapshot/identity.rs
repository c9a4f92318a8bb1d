//! What does not change while a weir runs.

use crate::engine::status::Status;

/// What does not change while a weir runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Identity {
    /// The label the user gave.
    pub name: Option<String>,
    /// The process.
    pub pid: u32,
    /// The total that is expected.
    pub expected: Option<Expected>,
    /// What records are called.
    pub records: Records,
    /// The name under which its cap is shared.
    pub share: Option<String>,
}

impl Identity {
    /// What this weir says of itself, in a line.
    #[must_use]
    pub(crate) fn signed(&self, what: &dyn std::fmt::Display) -> String {
        match &self.name {
            Some(name) => format!("weir {name}: {what}"),
            None => format!("weir: {what}"),
        }
    }
}

/// What records are called, in the plural.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Records {
    /// Records.
    #[default]
    Records,
    /// Lines.
    Lines,
}

/// How much will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// This many bytes.
    Bytes(u64),
    /// This many records.
    Records(u64),
}

impl Expected {
    /// The number, whatever it counts.
    #[must_use]
    pub(crate) fn amount(self) -> u64 {
        let (Expected::Bytes(n) | Expected::Records(n)) = self;
        n
    }

    /// There is no part of nothing.
    pub(crate) fn is_some(&self) -> bool {
        self.amount() > 0
    }

    /// What has come of it.
    #[must_use]
    pub(crate) fn read(self, status: &Status) -> u64 {
        match self {
            Expected::Bytes(_) => status.read.bytes,
            Expected::Records(_) => status.read.records.unwrap_or(0),
        }
    }

    /// What has left the weir towards it: delivered or shed.
    #[must_use]
    pub(crate) fn done(self, status: &Status) -> u64 {
        let (out, shed) = (status.written, status.shed.total);
        match self {
            Expected::Bytes(_) => out.bytes + shed.bytes,
            Expected::Records(_) => out.records.unwrap_or(0) + shed.records.unwrap_or(0),
        }
    }
}
