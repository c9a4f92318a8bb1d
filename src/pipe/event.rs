//! What the threads have to say to whoever started them.

use super::error::PipeError;

/// See the module's text.
#[derive(Debug)]
pub(crate) enum Event {
    /// The source thread can read no more; what is held is still being delivered.
    SourceFailed(PipeError),
    /// The consumer has had everything, and nothing more will come, though others have not had all that they are owed.
    /// Nobody holds anything of its pipe but to watch it.
    ConsumerHasAll,
    /// Everything that was read has been written.
    Delivered,
    /// Writing failed.
    SinkFailed(PipeError),
    /// A tee or a tap has failed. Said once for each.
    OutputFailed(PipeError),
    /// Something that was shed could not be written down. Said once.
    OverflowFailed(PipeError),
    /// The disk behind memory has no room, or fails. Said once; what is held is in memory or on the disk all the same.
    DiskFailed(PipeError),
    /// Something that lies on it is not as it was: what, and what becomes of it.
    Damaged(String),
    /// The process that reads our output has gone away: what is held can reach nobody.
    ConsumerLeft,
    /// The system has refused to write for that reason.
    ConsumerGone,
}
