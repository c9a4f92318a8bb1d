//! The house of `weir`: a binary, whose one function is here so that tests and fuzzers reach its parts.
//! There is no interface but the command line.
//!
//! Imports go down only, without a circle between rooms or between the files of a room; a test holds that:
//! `entry -> run -> top -> control -> config -> {report, share, command} -> pipe -> {engine, disk} -> units`, where those
//! in braces know nothing of each other.

pub(crate) mod command;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod disk;
pub(crate) mod engine;
mod entry;
#[cfg(any(test, fuzzing))]
pub mod garbage;
pub(crate) mod pipe;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod share;
pub(crate) mod top;
pub(crate) mod units;

pub use entry::main;
