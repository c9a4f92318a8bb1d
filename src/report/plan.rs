//! What is to be reported, where and how often: decided before anything runs.

use std::path::PathBuf;
use std::time::Duration;

use super::format::Format;
use super::snapshot::{Expected, OutputKind, Records};
use super::theme::Theme;

/// The live report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// A line that changes, on the terminal.
    Bar(Theme),
    /// A line of words each time.
    Plain,
    /// An object each time.
    Json,
    /// Nothing.
    Off,
}

/// The report at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// A line or two for a person.
    Text,
    /// An object.
    Json,
    /// Nothing.
    Off,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The label in every report.
    pub name: Option<String>,
    /// The files of the command line; none is standard input.
    pub inputs: Vec<PathBuf>,
    /// The program that is run as the consumer.
    pub command: Option<String>,
    /// The name under which its cap is shared.
    pub share: Option<String>,
    /// What records are called.
    pub records: Records,
    /// The total that will come.
    pub expected: Option<Expected>,
    /// The live report.
    pub show: Show,
    /// Time between live reports; above zero.
    pub interval: Duration,
    /// The report at the end.
    pub closing: Closing,
    /// Somebody has asked for it.
    pub closing_is_asked: bool,
    /// Where reports are appended in place of standard error.
    pub log: Option<PathBuf>,
    /// The text of a bar or a plain line, where it is not weir's own.
    pub format: Option<Format>,
    /// The picture of the run to draw.
    pub chart: Option<PathBuf>,
    /// The outputs beside the consumer.
    pub outputs: Vec<(OutputKind, String)>,
    /// The files of all that is written beside the consumer.
    pub beside: Vec<PathBuf>,
    /// The file to keep for Prometheus.
    pub metrics: Option<PathBuf>,
    /// Time between replacements of it; above zero.
    pub metrics_interval: Duration,
}
