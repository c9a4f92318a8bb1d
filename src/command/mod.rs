//! The consumer as a program that weir runs: what to run, how it is started, with a pipe or with a batch in a file, and
//! how it ends.
//!
//! Invariants: it is started as a shell would start it in weir's place, with the signals as weir found them and no
//! descriptor of weir's own; it is waited for exactly once, and nobody signals a process that has been
//! waited for, whose number may be another's by then.

pub(crate) mod adopted;
pub(crate) mod batch_file;
mod batch_job;
pub(crate) mod child;
mod context;
pub(crate) mod jobs;
pub(crate) mod line;
#[cfg(target_os = "linux")]
mod outlived;
pub(crate) mod spawn;
pub(crate) mod unread;
mod worker;
