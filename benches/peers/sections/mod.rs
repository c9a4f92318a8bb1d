//! The sections, each a folder of questions with an answer in a table.

mod chart;
mod commands;
mod copied;
mod disk;
mod display;
mod fan_out;
mod full_spool;
mod idle;
mod latency;
mod look;
mod lookers;
mod lumpy;
mod members;
mod memory;
mod pacing;
mod rates;
mod share;
mod shedding;
mod startup;
mod store;
mod throughput;
mod tiny;
mod workers;

use std::io;

use crate::lab::Lab;
use crate::table::Table;

/// Measures and returns its tables.
pub(crate) type Section = fn(&Lab) -> Vec<Table>;

const ALL: &[(&str, Section)] = &[
    ("throughput", throughput::tables),
    ("copied", copied::tables),
    ("fan-out", fan_out::tables),
    ("look", look::tables),
    ("disk", disk::tables),
    ("commands", commands::tables),
    ("tiny", tiny::tables),
    ("latency", latency::tables),
    ("memory", memory::tables),
    ("startup", startup::tables),
    ("idle", idle::tables),
    ("display", display::tables),
    ("lumpy", lumpy::tables),
    ("pacing", pacing::tables),
    ("rates", rates::tables),
    ("share", share::tables),
    ("shedding", shedding::tables),
];

/// The sections whose name contains one of `filters`; all of them without any.
pub(crate) fn chosen(filters: &[String]) -> io::Result<Vec<(&'static str, Section)>> {
    let wanted =
        |name: &str| filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str()));
    let chosen: Vec<_> = ALL
        .iter()
        .copied()
        .filter(|(name, _)| wanted(name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
        return Err(io::Error::other(format!(
            "no such section; there are: {}",
            names.join(" ")
        )));
    }
    Ok(chosen)
}
