//! The house of `weir`: a binary whose parts are a library, so that tests, benches and fuzzers can
//! reach them. The library is not a stable interface; the command line is.
//!
//! Imports run one way: `run -> {config, pipe, share, top, control, report} -> core -> units`; the rooms
//! in the middle know of each other what CONTRIBUTING.md says.

pub mod config;
pub mod control;
pub mod engine;
pub mod pipe;
pub mod report;
pub mod run;
pub(crate) mod share;
pub mod top;
pub mod units;
