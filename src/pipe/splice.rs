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

use super::fd::Port;
use super::peek::Peek;
use super::shared::SidePipe;
use crate::engine::action::{Permit, Taker};
use crate::engine::drive::Passage;

/// The way of bytes that go to several at once.
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "tee(2) is Linux's")
)]
pub(super) struct FanOut<'a> {
    pub input: &'a Port,
    pub output: &'a Port,
    pub others: &'a [SidePipe],
    /// Where what everybody has had goes; without it is read.
    pub drain: Option<&'a Drain>,
    /// Somebody else is owed what passes: it stays in the input, to be read.
    pub is_owed: bool,
}

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub(crate) use linux::{Drain, pass, suits};
#[cfg(target_os = "linux")]
pub(in crate::pipe) use linux::{fan_out, pass_aside};

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{Drain, pass, suits};
#[cfg(not(target_os = "linux"))]
pub(in crate::pipe) use elsewhere::{fan_out, pass_aside};
