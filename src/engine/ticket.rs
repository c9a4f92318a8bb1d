//! What a program that is run with a batch is told, and what it says by its end.

/// What a program is to know of the batch that it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The number of the batch, from 1 on: the same for each try.
    pub number: u64,
    /// The number of this try, from 1 on.
    pub trial: u32,
    /// Records in it, and the number of the first of them, from 1 on; `None` where nothing makes a record.
    pub records: Option<(u64, u64)>,
    /// Bytes in it.
    pub bytes: u64,
}

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The program has dealt with the batch.
    Acknowledged,
    /// It has not.
    Failed,
    /// It has not, and never will.
    Rejected,
}
