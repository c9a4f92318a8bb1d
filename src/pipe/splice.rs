//! The zero-copy path: `splice(2)` between pipes or a pipe and a regular file,
//! `copy_file_range(2)` between regular files.
//!
//! It is never tried with a terminal, a socket or a device on either side: there splice holds the
//! pipe's lock while it waits, and the neighbour hangs. Every refusal by the system leaves the
//! input untouched and only says that the copied path has to be taken. An error is told to the caller
//! with the side that it came from: the system may tell it once.
//!
//! Where records are counted or capped the bytes must be looked at, though not on their way: the
//! [`Peek`] duplicates what lies in the pipe, and reads the duplicate.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod fan;
#[cfg(target_os = "linux")]
mod linux;

pub(crate) use fan::Drain;
pub(in crate::pipe) use fan::FanOut;
#[cfg(target_os = "linux")]
pub(in crate::pipe) use linux::{fan_out, pass_aside};
#[cfg(target_os = "linux")]
pub(crate) use linux::{pass, suits};

#[cfg(not(target_os = "linux"))]
pub(in crate::pipe) use elsewhere::{fan_out, pass_aside};
#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{pass, suits};
