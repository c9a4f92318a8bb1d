//! What a program that is run with a batch is told, and what it says by its end.

use super::scan::Run;

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
    /// If this try fails, it is shed.
    pub is_last_try: bool,
    /// Which part of the stream it is.
    pub stretch: Stretch,
}

/// How often a batch was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tries {
    /// So often in all.
    pub all: u32,
    /// Those that were cut short, for weir was told to end: they say nothing of the batch.
    pub interrupted: u32,
}

/// A batch that is closed, and may not have been tried yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Untried {
    /// Its number.
    pub number: u64,
    /// Which part of the stream it is.
    pub stretch: Stretch,
}

/// A part of the stream; what was lost in it belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stretch {
    /// Its first place, and the one behind it.
    pub from: u64,
    /// See there.
    pub to: u64,
    /// How far inside of a record it begins, and ends.
    pub depths: [u64; 2],
    /// Records that have ended before it, and that end in it.
    pub before: u64,
    /// See there.
    pub records: u64,
    /// Its last record has no end, and never will.
    pub is_open: bool,
}

/// Where in a stream that outlives the run a write begins, where several take from that side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The offset.
    pub at: u64,
    /// Records that end before it.
    pub before: u64,
    /// How far inside of a record it is.
    pub depth: u64,
}

impl Origin {
    /// The part of the stream that begins here.
    pub(crate) fn stretch(self, run: Run) -> Stretch {
        let bytes = run.bytes as u64;
        let depth = match run.tally.ended {
            0 => self.depth + bytes,
            _ => run.cursor.depth(),
        };
        Stretch {
            from: self.at,
            to: self.at + bytes,
            depths: [self.depth, depth],
            before: self.before,
            records: run.tally.ended,
            is_open: false,
        }
    }
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
    /// Its program was cut short, for weir is told to end: that says nothing of the batch, which is still owed.
    Interrupted,
    /// No program was run: that was no try, and the batch is owed as before. `is_over`: none is to be run any more.
    NotRun { is_over: bool },
}

impl Finish {
    /// What this try of its batch means for that, where a failure would not: it is tried again then. Only what a program
    /// has said by its end can be a reason to shed it.
    pub(crate) fn settles(self, ticket: &Ticket) -> Option<Settled> {
        match self {
            Finish::Acknowledged => Some(Settled::Acknowledged),
            Finish::Rejected => Some(Settled::Shed),
            Finish::Failed => ticket.is_last_try.then_some(Settled::Shed),
            Finish::Interrupted => Some(Settled::Interrupted),
            Finish::NotRun { .. } => Some(Settled::GivenBack(ticket.trial.saturating_sub(1))),
        }
    }

    /// The same where weir was told to end before the program had ended. It may have been sent a signal, too, and have
    /// made of it what it would: only that it has dealt with the batch is sure, and what it says by a status that no
    /// signal gives (`is_own`).
    pub(crate) fn when_told_to_end(self, is_own: bool) -> Finish {
        match self {
            Finish::Rejected if is_own => self,
            Finish::Acknowledged | Finish::NotRun { .. } => self,
            Finish::Rejected | Finish::Failed | Finish::Interrupted => Finish::Interrupted,
        }
    }
}

/// What has become of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It was dealt with.
    Acknowledged,
    /// It never will be.
    Shed,
    /// It is owed as before, and this try of it counts as none that has failed.
    Interrupted,
    /// It is owed as before, and was tried so often before: this was no try.
    GivenBack(u32),
}
