//! What the benchmark can be told on its command line.

use std::path::PathBuf;

use clap::Parser;

/// Measure weir beside its peers.
#[derive(Parser)]
#[command(name = "peers")]
pub(crate) struct Options {
    /// Run only the sections whose name contains one of these
    #[arg(value_name = "FILTER")]
    pub filters: Vec<String>,
    /// One smaller run, all in under two minutes: shows whether it works, and judges nothing
    #[arg(long)]
    pub quick: bool,
    /// Runs per contender [default: 5, with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// Where everything measured goes, run by run
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/peers.json"))]
    pub json: PathBuf,
    /// The weir to measure
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_weir"))]
    pub weir: PathBuf,
    /// What cargo adds by itself
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// How often every contender runs.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.unwrap_or(if self.quick { 1 } else { 5 })
    }
}
