//! The options that can be changed while a weir runs, each once: what clap fills from a command
//! line is what travels over the control socket, as texts that a user would type.
//!
//! Invariant: what is here can be changed, and nothing else can: there is no other list.

use std::sync::LazyLock;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgMatches, Args, Command, FromArgMatches, Id};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::expected_size::ExpectedSize;
use crate::engine::policy::Which;
use crate::units::{Amount, JobCount, Mark, OrOff, Span, TypedLimit};

/// What was typed; what is absent has its default on a command line, and stays as it is in a
/// running weir.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LiveOptions {
    /// Cap on what leaves: 10MB/s, 100/s, or a timetable
    #[arg(short, long, value_name = "LIMIT", help_heading = "Rate")]
    #[arg(allow_hyphen_values = true)] // to say what is wrong with them
    #[arg(
        long_help = "Cap on what leaves for the consumer; may be given twice, once in bytes and \
        once in records. A LIMIT is an amount per time (10MB/s, 512KiB, 30Mbit/s, 5GB/h; with a framing option a \
        figure without a unit of bytes or bits counts records: 50, 1/5s, 200k/s), a range that follows the occupancy from the low to the high mark \
        (2MB/s..20MB/s), or a timetable in local time (\"08:00,512KiB/s Sat-00:00,off\")"
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate: Vec<TypedLimit>,

    /// Cap on what is taken from the producer
    #[arg(long, value_name = "LIMIT", help_heading = "Rate")]
    #[arg(allow_hyphen_values = true)]
    #[arg(
        long_help = "Cap on what is taken from the producer: a LIMIT as for --rate, but a range \
        is the other way round: the fuller the buffer, the slower. A cap on records holds on \
        average, since a read cannot stop at the end of a record"
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input_rate: Vec<TypedLimit>,

    /// What may pass at once after a pause [default: nothing]
    #[arg(long, value_name = "AMOUNT", help_heading = "Rate")]
    #[arg(
        long_help = "What may pass at once after a pause, beyond one pacing step of 5ms: a SIZE of bytes, \
        a count of records where the cap is on those (50, 10k), or a DURATION's worth of the cap [default: nothing]"
    )]
    #[arg(allow_hyphen_values = true)]
    #[arg(hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<Amount>,

    /// Occupancy at which reading stops
    #[arg(
        long,
        value_name = "MARK",
        help_heading = "Buffer",
        allow_hyphen_values = true
    )]
    #[arg(long_help = "Occupancy at which reading stops and the producer waits [default: 100%]")]
    #[arg(hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<Mark>,

    /// Occupancy at which reading starts again
    #[arg(
        long,
        value_name = "MARK",
        help_heading = "Buffer",
        allow_hyphen_values = true
    )]
    #[arg(long_help = "Occupancy at which reading starts again \
        [default: high minus the smaller of high/8 and 1MiB]")]
    #[arg(hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<Mark>,

    /// Hold the output until occupancy first reaches MARK
    #[arg(
        long,
        value_name = "MARK",
        help_heading = "Buffer",
        allow_hyphen_values = true
    )]
    #[arg(
        long_help = "Hold the output until occupancy first reaches MARK, and again each time \
        the buffer has run empty; the end of input lets it go [default: 0, off]"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefill: Option<Mark>,

    /// When full, drop instead of blocking the producer
    #[arg(long, value_name = "WHICH", help_heading = "Shedding", value_parser = which())]
    #[arg(
        long_help = "When the buffer is at its high mark, drop the oldest or the newest instead \
        of blocking the producer: whole records with -l, -0 or --record-size, else bytes. The \
        pipe to the consumer is kept small, so that what it gets is fresh. fair drops the oldest of \
        the lane that holds most, and got most while there was too much (see --key; without it, the oldest of all), \
        so that one that floods takes nothing from those that stay below their share, and all who want more get the same. \
        A record that turns out to be longer than the buffer is shed, too: until then older ones make room for it"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shed: Option<OrOff<Which>>,

    /// Block the producer this long before shedding
    #[arg(long, value_name = "DURATION", help_heading = "Shedding")]
    #[arg(
        long_help = "Block the producer this long first, each time the buffer fills, and shed \
        only if it is still full [default: 0s]"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<Span>,

    /// Also drop what has waited longer than this
    #[arg(long, value_name = "DURATION", help_heading = "Shedding")]
    #[arg(
        long_help = "Also drop whatever has waited in the buffer longer than this. Without \
        --shed a full buffer still blocks the producer; off is no limit"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<OrOff<Span>>,

    /// So many COMMANDs at a time, each with its own records
    #[arg(short, long, value_name = "N|N..M", help_heading = "Command")]
    #[arg(
        long_help = "Run that many COMMANDs at a time. Each gets whole records by a pipe of its own, or with --batch \
        one batch after the other, when it can take them: a slow one gets fewer, and one that is stuck holds up nobody. \
        Order among them is not kept. What one has not read when it ends goes to the others. A failure ends weir, \
        unless --restart or --batch has it tried again: one alone tries then, and others that have ended too start \
        when it has succeeded. N..M follows need: N at first, one more when records (or a batch) have waited for a \
        quarter of a second that none could take, one fewer when there was little to do for 5 seconds and that one is \
        not missed in as long again: its standard input is closed then, at the end of a record. The pipes are as small as the speed of each allows, whatever --pipe-size says. \
        With --remote: up to as many as this weir was started with; those that are too many end when they have dealt with what they hold \
        [default: 1]"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<JobCount>,

    /// Time between reports
    #[arg(short, long, value_name = "DURATION", help_heading = "Display")]
    #[arg(long_help = "Time between reports [default: 200ms for bar, 1s otherwise]")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,

    /// With --remote: open the files of --log, --shed-to, --tee and --tap anew
    #[arg(long, requires = "remote", help_heading = "Control")]
    #[arg(
        long_help = "With --remote: open the files of --log, --shed-to, --tee and --tap anew, after they \
        were moved away to keep them. Each ends with a whole record; a record that takes longer than a second \
        to end is an error, and its file is opened anew behind it"
    )]
    #[arg(hide_short_help = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reopen: bool,

    /// Name of this weir, in reports and for --remote
    #[arg(short = 'N', long, value_name = "NAME", help_heading = "Display")]
    #[arg(
        long_help = "Label of this weir in every report, and the name by which --remote and \
        --query find it"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// Expected total, for percentage and ETA
    #[arg(short, long, value_name = "AMOUNT", help_heading = "Display")]
    #[arg(
        long_help = "Expected total, for percentage and ETA: bytes, or records (1000, 3M) \
        with a framing option; @PATH: that of a file, or of all files in a directory. It is known by itself when all input is regular files and block devices"
    )]
    #[arg(allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<ExpectedSize>,

    /// What becomes of the flow.
    #[command(flatten)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
}

/// What `--shed` takes, with its help.
fn which() -> impl TypedValueParser<Value = OrOff<Which>> {
    let word = |name, help| PossibleValue::new(name).help(help);
    PossibleValuesParser::new([
        word("oldest", "What has been held longest"),
        word("newest", "What has just come"),
        word("fair", "What belongs to the lane that holds most"),
        word("off", "Nothing: block the producer"),
    ])
    .try_map(|text| text.parse())
}

/// What the flow can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Flow {
    /// Deliver nothing until told otherwise.
    Pause,
    /// Deliver again.
    Resume,
    /// Read nothing more, deliver what is held, and end.
    Drain,
    /// Run the program at once that has failed.
    Retry,
}

impl Flow {
    /// How it is then, in a word. What comes of a try only the weir knows.
    pub(crate) fn participle(self) -> Option<&'static str> {
        match self {
            Flow::Pause => Some("paused"),
            Flow::Resume => Some("resumed"),
            Flow::Drain => Some("draining"),
            Flow::Retry => None,
        }
    }
}

/// The same as options, of which one at most is given.
#[derive(Debug, Args)]
#[group(id = "flow", multiple = false)]
struct FlowOptions {
    /// With --remote: deliver nothing until --resume
    #[arg(long, requires = "remote", help_heading = "Control")]
    pub pause: bool,

    /// With --remote: deliver again
    #[arg(long, requires = "remote", help_heading = "Control")]
    pub resume: bool,

    /// With --remote: run COMMAND at once after its failure (while paused: at --resume)
    #[arg(long, requires = "remote", help_heading = "Control")]
    #[arg(hide_short_help = true)]
    pub retry: bool,

    /// With --remote: stop reading, deliver all, and end
    #[arg(long, requires = "remote", help_heading = "Control")]
    #[arg(
        long_help = "With --remote: stop reading, deliver all that is held, however long that takes and also where \
        it was paused, and end as by SIGTERM"
    )]
    pub drain: bool,
}

impl Args for Flow {
    fn group_id() -> Option<Id> {
        FlowOptions::group_id()
    }

    fn augment_args(command: Command) -> Command {
        FlowOptions::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        FlowOptions::augment_args_for_update(command)
    }
}

impl FromArgMatches for Flow {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Flow, clap::Error> {
        let given = FlowOptions::from_arg_matches(matches)?;
        Ok(match given {
            FlowOptions { pause: true, .. } => Flow::Pause,
            FlowOptions { drain: true, .. } => Flow::Drain,
            FlowOptions { retry: true, .. } => Flow::Retry,
            FlowOptions { .. } => Flow::Resume,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Flow::from_arg_matches(matches)?;
        Ok(())
    }
}

impl LiveOptions {
    /// Their definitions.
    pub(crate) fn definitions() -> Command {
        LiveOptions::augment_args(Command::new("live"))
    }

    /// What is other in `next`, as one would type it: an option each, with its values before and after.
    pub(super) fn changes_to(&self, next: &LiveOptions) -> Vec<String> {
        let texts = |options| serde_json::to_value(options).unwrap_or_default();
        let (before, after) = (texts(self), texts(next));
        let definitions = LiveOptions::definitions();
        let names = definitions.get_arguments().map(|arg| arg.get_id().as_str());
        names
            .filter(|name| before.get(name) != after.get(name))
            .map(|name| {
                let typed = |options: &Value| typed(name, options.get(name));
                let option = name.replace('_', "-");
                format!("{option} {} → {}", typed(&before), typed(&after))
            })
            .collect()
    }

    /// These, and where one is absent, that of `below`. Caps go by their unit: see
    /// [`super::patch`].
    pub(super) fn over(self, below: &LiveOptions, caps: [Vec<TypedLimit>; 2]) -> LiveOptions {
        let [rate, input_rate] = caps;
        LiveOptions {
            rate,
            input_rate,
            burst: self.burst.or(below.burst),
            high: self.high.or(below.high),
            low: self.low.or(below.low),
            prefill: self.prefill.or(below.prefill),
            shed: self.shed.or(below.shed),
            patience: self.patience.or(below.patience),
            max_age: self.max_age.or(below.max_age),
            jobs: self.jobs.or(below.jobs),
            interval: self.interval.or(below.interval),
            name: self.name.or_else(|| below.name.clone()),
            size: self.size.or_else(|| below.size.clone()),
            // They were told, and are done.
            reopen: false,
            flow: None,
        }
    }
}

/// The text of an option, or what stands for it where it was not typed.
fn typed(name: &str, text: Option<&Value>) -> String {
    match text {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) => {
            let all: Vec<_> = all.iter().filter_map(Value::as_str).collect();
            all.join(" and ")
        }
        _ if ["rate", "input_rate", "shed", "max_age"].contains(&name) => "off".to_owned(),
        _ if ["name", "size"].contains(&name) => "none".to_owned(),
        _ if name == "jobs" => JobCount::ONE.to_string(),
        _ => "default".to_owned(),
    }
}

/// The long help of `--remote`, which names them all.
pub(super) static REMOTE_HELP: LazyLock<String> = LazyLock::new(|| {
    let definitions = LiveOptions::definitions();
    let told = FlowOptions::augment_args(Command::new("flow"));
    let is_told = |id: &Id| told.get_arguments().any(|arg| arg.get_id() == id);
    let mut names: Vec<_> = definitions
        .get_arguments()
        .filter(|arg| !is_told(arg.get_id()) && arg.get_id() != "reopen")
        .filter_map(|arg| arg.get_long().map(|long| format!("--{long}")))
        .collect();
    let last = names.pop().unwrap_or_default();
    format!(
        "Change the running weir of this PID or name: what is given beside it takes force at once, \
         all of it or, if anything is wrong with it, nothing. {} and {last} can be changed; a cap \
         takes the place of the one in the same unit, off takes all away",
        names.join(", ")
    )
});
