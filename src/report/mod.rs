//! `Status` in, text out: the live report, the summary, the metrics file, and the lines in which
//! weir speaks of itself.

mod advice;
mod atomic_file;
pub(crate) mod bar;
mod board;
mod chart;
pub(crate) mod clock;
mod course;
pub(crate) mod culprit;
mod extremes;
mod fields;
pub(crate) mod figures;
mod finder;
pub(crate) mod format;
pub(crate) mod history;
pub(crate) mod json;
mod log;
pub(crate) mod moving_average;
mod open;
pub(crate) mod outputs;
pub(crate) mod pipeline;
pub(crate) mod plain;
pub(crate) mod plan;
pub(crate) mod process;
pub(crate) mod prometheus;
mod reporter;
#[cfg(test)]
pub(crate) mod sample;
mod screen;
pub(crate) mod snapshot;
pub(crate) mod spool;
pub(crate) mod stderr;
mod stop;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod terminal;
pub(crate) mod theme;
mod ticker;
pub(crate) mod timeout;
pub(crate) mod trail;
pub(crate) mod writer;

pub(crate) use plan::{Closing, Plan, Show};
pub(crate) use reporter::{Others, Reporter};
pub(crate) use snapshot::{Ending, Expected, Records};
