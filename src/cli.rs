//! Every flag once: its name, its value, its help and its place. The man page and the completions
//! are made from here too.

mod changeable;
mod manual;
mod version;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::core::shed::Which;
use crate::settings::PipeSize;
use crate::units::{Amount, BufferSize, Limit, Mark, OrOff, Reject, Size, Span, printable};

const EXAMPLES: &str = "\
Examples:
  zfs send tank@a | weir | ssh host zfs receive tank/a
      A 64MiB buffer between two programs that work in fits and starts.
  tar c /home | weir -b 1GiB --prefill 50% | zstd > home.tar.zst
      A larger one that starts and restarts only when half full.
  tail -f urls | weir -l -r 10/s | xargs -n1 curl -sO
      Ten a second, evenly.
  tar c /srv | weir -r '08:00,5MB/s 18:00,off' | ssh host 'cat > srv.tar'
      Slow in working hours.
  tail -f access.log | weir -l --shed oldest --shed-to overflow.log | ./ship-logs
      The log is never held up by the shipping; what does not fit is kept aside.
  weir --remote backup --rate 2MB/s
      Slow down the running weir that was started with --name backup.
  weir -b 10% --timeout 5m < dump.sql | psql
      A tenth of memory; give up (status 124) when a side stalls for 5 minutes.

Exit status:
  0 all input delivered, 1 I/O error, 2 usage error, 124 a timeout ran out,
  128+N ended by signal N; 141 (SIGPIPE) when the consumer went away.

The manual says more: man weir, or weir --generate man | man -l -";

const ABOUT: &str = "A bounded buffer for pipelines: producer | weir | consumer";

const LONG_ABOUT: &str = "\
A bounded buffer for pipelines: producer | weir | consumer

weir holds what the consumer cannot take yet. When its buffer reaches the high mark it stops \
reading, so that the producer waits and nothing is lost. While the consumer keeps up, bytes pass \
by splice(2), without a copy.

A SIZE is bytes: 64MiB is 2^26, 64MB is 64,000,000, M alone means MB, a bare number is bytes. \
A MARK is a SIZE or a percentage of the buffer. A DURATION is 500ms, 2s, 1m 30s.";

/// The command line, as it was typed.
#[derive(Debug, Parser)]
#[command(name = "weir", about = ABOUT, long_about = LONG_ABOUT, after_long_help = EXAMPLES)]
#[command(version, long_version = version::LONG.as_str(), max_term_width = 100)]
pub struct Arguments {
    /// Files to read one after the other; - or none is standard input
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub files: Vec<PathBuf>,

    /// Capacity of the buffer: a SIZE, or a percentage of the machine's memory
    #[arg(
        short,
        long,
        value_name = "SIZE",
        default_value = "64MiB",
        help_heading = "Buffer"
    )]
    #[arg(allow_negative_numbers = true)]
    pub buffer: BufferSize,

    /// Occupancy at which reading stops
    #[arg(long, value_name = "MARK", help_heading = "Buffer")]
    #[arg(long_help = "Occupancy at which reading stops and the producer waits [default: 100%]")]
    pub high: Option<Mark>,

    /// Occupancy at which reading starts again
    #[arg(long, value_name = "MARK", help_heading = "Buffer")]
    #[arg(long_help = "Occupancy at which reading starts again \
        [default: high minus the smaller of high/8 and 1MiB]")]
    pub low: Option<Mark>,

    /// Hold the output until occupancy first reaches MARK
    #[arg(long, value_name = "MARK", help_heading = "Buffer")]
    #[arg(
        long_help = "Hold the output until occupancy first reaches MARK, and again each time \
        the buffer has run empty; the end of input lets it go [default: 0, off]"
    )]
    pub prefill: Option<Mark>,

    /// Kernel pipe size to ask for on both sides: SIZE, auto or keep
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "auto",
        help_heading = "Buffer"
    )]
    #[arg(
        long_help = "Kernel pipe size to ask for on both sides: a SIZE, auto (at least 256KiB, \
        but small towards the consumer with --shed or --max-age), or keep to leave them alone; a \
        refusal is accepted silently"
    )]
    pub pipe_size: PipeSize,

    /// Never use the zero-copy path
    #[arg(long, help_heading = "Buffer")]
    #[arg(long_help = "Never use the zero-copy path: every byte goes through the buffer")]
    pub no_splice: bool,

    /// Records are lines
    #[arg(short, long, group = "framing", help_heading = "Records")]
    #[arg(
        long_help = "Records are lines: counters, caps and shedding speak of whole ones. Without \
        this, -0 or --record-size, data is a stream of bytes"
    )]
    pub lines: bool,

    /// Records end with a null byte
    #[arg(short = '0', long, group = "framing", help_heading = "Records")]
    pub null: bool,

    /// Records are SIZE bytes each
    #[arg(long, value_name = "SIZE", group = "framing", help_heading = "Records")]
    pub record_size: Option<Size>,

    /// Cap on what leaves for the consumer: 10MB/s, 100/s, 2MB/s..20MB/s, or a timetable
    #[arg(short, long, value_name = "LIMIT", help_heading = "Rate")]
    #[arg(allow_negative_numbers = true)] // to say what is wrong with them
    #[arg(
        long_help = "Cap on what leaves for the consumer; may be given twice, once in bytes and \
        once in records. A LIMIT is an amount per time (10MB/s, 512KiB, 30Mbit/s, 5GB/h; 100/s and \
        1/5s are records), a range that follows the occupancy from the low to the high mark \
        (2MB/s..20MB/s), or a timetable in local time (\"08:00,512KiB/s Sat-00:00,off\")"
    )]
    pub rate: Vec<Limit>,

    /// Cap on what is taken from the producer
    #[arg(long, value_name = "LIMIT", help_heading = "Rate")]
    #[arg(allow_negative_numbers = true)]
    #[arg(
        long_help = "Cap on what is taken from the producer: a LIMIT as for --rate, but a range \
        is the other way round: the fuller the buffer, the slower. A cap on records holds on \
        average, since a read cannot stop at the end of a record"
    )]
    pub input_rate: Vec<Limit>,

    /// What may pass at once after a pause [default: nothing]
    #[arg(long, value_name = "AMOUNT", help_heading = "Rate")]
    #[arg(
        long_help = "What may pass at once after a pause, beyond one pacing step of 5ms: a SIZE, \
        a record count, or a DURATION's worth of the cap [default: nothing]"
    )]
    #[arg(allow_negative_numbers = true)]
    pub burst: Option<Amount>,

    /// When the buffer is full, drop the oldest or the newest instead of blocking the producer
    #[arg(long, value_name = "WHICH", help_heading = "Shedding", value_parser = which())]
    #[arg(
        long_help = "When the buffer is at its high mark, drop the oldest or the newest instead \
        of blocking the producer: whole records with -l, -0 or --record-size, else bytes. The \
        pipe to the consumer is kept small, so that what it gets is fresh"
    )]
    pub shed: Option<OrOff<Which>>,

    /// Block the producer this long before shedding
    #[arg(long, value_name = "DURATION", help_heading = "Shedding")]
    #[arg(
        long_help = "Block the producer this long first, each time the buffer fills, and shed \
        only if it is still full [default: 0s]"
    )]
    pub patience: Option<Span>,

    /// Also drop what has waited in the buffer longer than this
    #[arg(long, value_name = "DURATION", help_heading = "Shedding")]
    #[arg(
        long_help = "Also drop whatever has waited in the buffer longer than this. Without \
        --shed a full buffer still blocks the producer; off is no limit"
    )]
    pub max_age: Option<OrOff<Span>>,

    /// Append what is shed to FILE instead of discarding it
    #[arg(long, value_name = "FILE", help_heading = "Shedding")]
    #[arg(value_hint = clap::ValueHint::FilePath)]
    #[arg(
        long_help = "Append what is shed to FILE, in order and in whole records, instead of \
        discarding it. A slow file or a full disk never blocks the flow: what is lost is said once"
    )]
    pub shed_to: Option<PathBuf>,

    /// Give up when either side stalls for this long
    #[arg(long, value_name = "DURATION", help_heading = "Watchdog")]
    #[arg(
        long_help = "Give up, with status 124, when either side stalls for this long: sets both \
        --source-timeout and --sink-timeout"
    )]
    pub timeout: Option<Span>,

    /// Give up when nothing comes from the producer for this long
    #[arg(long, value_name = "DURATION", help_heading = "Watchdog")]
    #[arg(
        long_help = "Give up, with status 124, when nothing has come from the producer for this \
        long while weir was willing to read"
    )]
    pub source_timeout: Option<Span>,

    /// Give up when the consumer takes nothing for this long
    #[arg(long, value_name = "DURATION", help_heading = "Watchdog")]
    #[arg(
        long_help = "Give up, with status 124, when data waits, no cap or pause holds it, and \
        the consumer has taken none for this long"
    )]
    pub sink_timeout: Option<Span>,

    /// Live report on standard error
    #[arg(
        long,
        value_name = "HOW",
        default_value = "auto",
        help_heading = "Display"
    )]
    #[arg(
        long_help = "Live report on standard error: a bar, plain lines, JSON lines, or off. \
        auto is bar on a terminal, plain where a --log is kept, and off elsewhere. Where no bar \
        can be drawn, bar is plain"
    )]
    pub display: Display,

    /// Time between reports
    #[arg(short, long, value_name = "DURATION", help_heading = "Display")]
    #[arg(long_help = "Time between reports [default: 200ms for bar, 1s otherwise]")]
    pub interval: Option<Span>,

    /// Label of this weir in every report, and its name for --remote
    #[arg(short = 'N', long, value_name = "NAME", help_heading = "Display")]
    #[arg(
        long_help = "Label of this weir in every report, and the name by which --remote and \
        --query find it"
    )]
    pub name: Option<String>,

    /// Expected total, for percentage and ETA
    #[arg(short, long, value_name = "SIZE", help_heading = "Display")]
    #[arg(
        long_help = "Expected total, for percentage and ETA: bytes, or a bare count of records \
        with a framing option. It is known by itself when all input is regular files"
    )]
    #[arg(allow_negative_numbers = true)]
    pub size: Option<Amount>,

    /// Report at the end
    #[arg(
        long,
        value_name = "HOW",
        default_value = "auto",
        help_heading = "Display"
    )]
    #[arg(
        long_help = "Report at the end: text, one JSON object, or off. auto is text on a \
        terminal, text or json as the live report is where a --log is kept, and off elsewhere"
    )]
    pub summary: Summary,

    /// Append reports and summary to FILE instead of standard error
    #[arg(
        short = 'o',
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        help_heading = "Display"
    )]
    #[arg(
        long_help = "Append reports and summary to FILE instead of standard error; errors go to \
        both. FILE is never reopened: rotate it by copying and truncating (logrotate copytruncate)"
    )]
    pub log: Option<PathBuf>,

    /// Keep FILE holding the status for Prometheus
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        help_heading = "Display"
    )]
    #[arg(
        long_help = "Keep FILE holding the status as Prometheus text exposition, written beside \
        it and renamed, as the textfile collector of node_exporter wants it"
    )]
    pub metrics: Option<PathBuf>,

    /// Report nothing but errors
    #[arg(short, long, help_heading = "Display")]
    #[arg(
        long_help = "Report nothing but errors: the same as --display off --summary off. \
        SIGUSR1 still prints one plain status line"
    )]
    pub quiet: bool,

    /// Change the running weir of this PID or name by the options given beside it
    #[arg(long, value_name = "TARGET", help_heading = "Control")]
    #[arg(
        long_help = "Change the running weir of this PID or name: what is given beside it takes \
        force at once, all of it or, if anything is wrong with it, nothing. --rate, --input-rate, \
        --burst, --high, --low, --prefill, --shed, --patience, --max-age and --interval can be \
        changed; a cap takes the place of the one in the same unit, off takes all away"
    )]
    pub remote: Option<String>,

    /// With --remote: deliver nothing until --resume
    #[arg(long, group = "flow", requires = "remote", help_heading = "Control")]
    pub pause: bool,

    /// With --remote: deliver again
    #[arg(long, group = "flow", requires = "remote", help_heading = "Control")]
    pub resume: bool,

    /// With --remote: stop reading, deliver what is held, and end
    #[arg(long, group = "flow", requires = "remote", help_heading = "Control")]
    pub drain: bool,

    /// Print the status of the weir of this PID or name, or of all that you run
    #[arg(
        long,
        value_name = "TARGET",
        exclusive = true,
        help_heading = "Control"
    )]
    #[arg(
        long_help = "Print the status of the weir of this PID or name, or of all that you run: a \
        table on a terminal, else a JSON object per line. Rates are those since the last time \
        that anybody asked, or since the start"
    )]
    pub query: Option<Option<String>>,

    /// Live view of all weirs that you run; q leaves
    #[arg(long, exclusive = true, help_heading = "Control")]
    pub top: bool,

    /// Let nobody control or query this weir
    #[arg(long, help_heading = "Control")]
    pub no_control: bool,

    /// Print the man page or a completion script, and exit
    #[arg(long, value_name = "WHAT", exclusive = true, help_heading = "Other")]
    pub generate: Option<Generate>,
}

/// How `--display` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Display {
    /// As suits where it goes
    Auto,
    /// A line that changes
    Bar,
    /// A line of words each time
    Plain,
    /// A JSON object each time
    Json,
    /// Nothing
    Off,
}

/// How `--summary` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Summary {
    /// As suits where it goes
    Auto,
    /// A line or two for a person
    Text,
    /// A JSON object
    Json,
    /// Nothing
    Off,
}

/// What `--shed` takes, with its help.
fn which() -> impl TypedValueParser<Value = OrOff<Which>> {
    let word = |name, help| PossibleValue::new(name).help(help);
    PossibleValuesParser::new([
        word("oldest", "What has been held longest"),
        word("newest", "What has just come"),
        word("off", "Nothing: block the producer"),
    ])
    .try_map(|text| text.parse())
}

/// What `--generate` can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Generate {
    /// The man page, in roff
    Man,
    /// Completions for bash
    Bash,
    /// Completions for zsh
    Zsh,
    /// Completions for fish
    Fish,
}

impl FromStr for PipeSize {
    type Err = Reject;

    fn from_str(text: &str) -> Result<PipeSize, Reject> {
        match text {
            "auto" => Ok(PipeSize::Auto),
            "keep" => Ok(PipeSize::Keep),
            _ => {
                let examples = &["256KiB", "auto", "keep"];
                let size: Size = text.parse().map_err(|e: Reject| e.instead(examples))?;
                match i32::try_from(size.bytes()) {
                    Ok(n) if n > 0 => Ok(PipeSize::Bytes(n.unsigned_abs() as usize)),
                    _ => Err(Reject::new("not a size that a pipe can have", examples)),
                }
            }
        }
    }
}

impl Arguments {
    /// Parses the process's arguments.
    ///
    /// # Errors
    /// With the text to print and the status to end with: also for `--help` and `--version`.
    pub fn from_command_line() -> Result<Arguments, Refusal> {
        let mut command = Arguments::command();
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        if matches.contains_id("remote")
            && let Some(fixed) = changeable::fixed(&command, &matches)
        {
            let what = format!("{fixed} cannot be changed while running");
            return Err(command.error(ErrorKind::ArgumentConflict, what).into());
        }
        Ok(Arguments::from_arg_matches(&matches)?)
    }
}

/// A command line that ends weir before it has begun.
#[derive(Debug)]
pub struct Refusal(clap::Error);

impl From<clap::Error> for Refusal {
    fn from(error: clap::Error) -> Refusal {
        Refusal(error)
    }
}

impl Refusal {
    /// Whether it is no fault, but a text that was asked for: `--help` or `--version`.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        !self.0.use_stderr()
    }

    /// Prints that text to standard output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn print(&self) -> io::Result<()> {
        self.0.print()
    }
}

impl fmt::Display for Refusal {
    /// What is wrong, as one line with a hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.render().to_string();
        let wrong = text.split("\n\nUsage:").next().unwrap_or(&text);
        let wrong = wrong
            .split("\n\nFor more information")
            .next()
            .unwrap_or(wrong);
        let wrong = wrong.strip_prefix("error: ").unwrap_or(wrong);
        let lines = wrong.lines().map(str::trim).filter(|l| !l.is_empty());
        let mut all = String::new();
        for line in lines {
            all.push_str(match line {
                _ if all.is_empty() => "",
                tip if tip.starts_with("tip:") => "; ",
                _ => " ",
            });
            all.push_str(&printable(line));
        }
        write!(f, "{all} (see weir -h)")
    }
}

/// Writes the man page or a completion script.
///
/// # Errors
/// When it cannot be written.
pub fn generate(what: Generate, out: &mut dyn Write) -> io::Result<()> {
    use clap_complete::{Shell, generate as complete};
    let mut command = Arguments::command();
    let shell = match what {
        Generate::Man => return manual::write(command, out),
        Generate::Bash => Shell::Bash,
        Generate::Zsh => Shell::Zsh,
        Generate::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    complete(shell, &mut command, "weir", &mut script);
    out.write_all(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_agree_with_each_other() {
        Arguments::command().debug_assert();
    }
}
