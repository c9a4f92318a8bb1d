//! What lies on a disk: a stream that is too much for memory ([`spill`]).
//!
//! The room knows nothing of queues, options or threads; it is told offsets in a stream, and moves bytes. Its errors
//! are one line each.
//!
//! Imports go down: `spill` over `segments`, over `room`, over `file` and `sys`.

pub(crate) mod error;
mod file;
pub(crate) mod room;
mod segments;
pub(crate) mod spill;
mod sys;

#[cfg(test)]
mod tests;
