//! What is to be done with the program of a worker, and what came of it.

/// Something that a worker's program is concerned with, beside what it is given to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Run it. It is the try of this number since it last succeeded, from 1 on.
    Start(u32),
    /// It is to see the end of what it gets.
    Close,
    /// Look how much lies in its pipe.
    Look,
    /// Nothing is given to it any more: take out of its pipe what it has not read.
    Empty,
    /// Say that it stalls.
    Accuse,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// It could be done.
    pub done: bool,
    /// Bytes that lie in its pipe, or lay there.
    pub unread: u64,
}

/// What the end of a program means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// None is known yet.
    None,
    /// It is run again.
    Again,
    /// It has read to the end of what there was for it.
    Done,
    /// It did not want any more; the others go on.
    Left,
    /// It would be run again, but nothing is any more after a signal.
    Held,
    /// It has failed, and is not run again.
    Failed,
}
