//! Each option once: its name, its value, its help and its place. The man page and the completions
//! are made from here too. Those that can be changed while a weir runs are in [`LiveOptions`].
//!
//! The file is long since most of it is help: what an option does is told where it is defined, and nowhere else.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Parser;

use super::hook::Hook;
use super::live_options::{LiveOptions, REMOTE_HELP};
use super::pipe_size::PipeSize;
use super::values::{
    BatchLimits, Display, Generate, Restart, Summary, batch_limits, failures, file, rejection,
    stop_at, target,
};
use super::version;
use crate::report::format::Format;
use crate::units::{Amount, Backoff, BufferSize, Key, Pattern, Share, Size, Span, SyncTime};

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
  tar c /srv | weir --share uplink -r 30Mbit/s | ssh host 'cat > srv.tar'
      One cap for all that share that name.
  tar c /srv | weir -b 1GiB --tee /usb/srv.tar | ssh host 'cat > srv.tar'
      To two places at once.
  tail -f log | weir -l --shed oldest --shed-to more.log | ./ship-logs
      The log is never held up by the shipping; what does not fit is kept aside.
  zfs send tank@a | weir -b 1GiB -- ssh host zfs receive tank/a
      Run the consumer, and end with its exit status.
  ./server | weir -l --restart on-failure -- ssh host 'cat >> server.log'
      Connect again when the connection is lost, and go on where it was.
  ./server | weir -l --spool outbox --batch 1000,5s -- ./ship-lines
      In batches, each until it succeeds; what waits outlives a reboot.
  ./list-jobs | weir -l -j 4 -- ./work
      Four at a time, each with lines of its own.
  weir --remote backup --rate 2MB/s
      Slow down the running weir that was started with --name backup.
  weir -b 10% --timeout 5m < dump.sql | psql
      A tenth of memory; give up (status 124) when a side stalls for 5 minutes.

Exit status:
  0 all input delivered, 1 I/O error, 2 usage error, 124 a timeout ran out,
  128+N ended by signal N; 141 (SIGPIPE) when the consumer went away.
  With a COMMAND its own, 126 or 127 when it cannot be run, and 125 for weir's
  own failures. With --batch 0 when all were acknowledged, 123 when some were
  given up or rejected.

The manual says more: man weir, or weir --generate man | man -l -";

/// What ends the short help, which leaves out what is rare.
const MORE: &str = "weir --help tells of every option, with examples; the man page says more.";

const ABOUT: &str = "A bounded buffer for pipelines: producer | weir | consumer";

const LONG_ABOUT: &str = "\
A bounded buffer for pipelines: producer | weir | consumer

weir holds what the consumer cannot take yet. When its buffer reaches the high mark it stops \
reading, so that the producer waits and nothing is lost. While the consumer keeps up, bytes pass \
by splice(2), without a copy.

A SIZE is bytes: 64MiB is 2^26, 64MB is 64,000,000, M alone means MB, a bare number is bytes. \
An AMOUNT is the same, but where records are counted a figure without a B counts those: 1000, 3M. \
A MARK is a SIZE or a percentage of the buffer. A DURATION is 500ms, 2s, 1m 30s.";

/// The command line, as it was typed.
#[derive(Debug, Parser)]
#[command(name = "weir", about = ABOUT, long_about = LONG_ABOUT)]
#[command(after_help = MORE, after_long_help = EXAMPLES)]
#[command(version, long_version = version::LONG.as_str(), max_term_width = 100)]
pub(crate) struct Options {
    /// Files to read one after the other; - or none is standard input
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath, value_parser = file())]
    pub files: Vec<PathBuf>,

    /// Run this program as the consumer
    #[arg(last = true, value_name = "COMMAND", num_args = 0.., allow_hyphen_values = true)]
    #[arg(
        long_help = "Run this program, with these arguments, as the consumer: it gets the stream as its \
        standard input, and weir ends with its exit status"
    )]
    pub command: Vec<OsString>,

    /// Capacity: a SIZE, or a percentage of memory
    #[arg(
        short,
        long,
        value_name = "SIZE",
        default_value = "64MiB",
        help_heading = "Buffer"
    )]
    #[arg(allow_hyphen_values = true)]
    pub buffer: BufferSize,

    /// When memory is full, go on into files of SIZE in all
    #[arg(long, value_name = "SIZE", help_heading = "Buffer")]
    #[arg(
        long_help = "When memory is full, go on into unnamed files of at most SIZE together, gone with weir, in \
        $TMPDIR, else /var/tmp. The marks are then of memory and disk together. A full disk blocks as a full \
        buffer does"
    )]
    pub spill: Option<Size>,

    /// Keep all that is buffered in DIR: it outlives weir
    #[arg(long, value_name = "DIR", help_heading = "Buffer")]
    #[arg(
        long_help = "Keep all that is buffered in DIR, made if it is not there, so that it outlives weir: what an \
        earlier run has left there is delivered first, and what is not delivered when weir ends stays there. --spill \
        is then its size (1GiB if it is not given). One weir at a time has a DIR. 'weir --query DIR/' says what lies \
        there; the stream lies in its *.stream files as it is"
    )]
    pub spool: Option<PathBuf>,

    /// How soon a spool is forced to the disk: DURATION, always or off [default: 500ms]
    #[arg(long, value_name = "DURATION|always|off", help_heading = "Buffer")]
    #[arg(
        long_help = "How soon what a spool has taken in is forced to the disk, which only the end of the system \
        needs, not that of weir: within a DURATION (500ms if it is not given), always before it is passed on, or \
        when the system likes: off"
    )]
    #[arg(hide_short_help = true)]
    pub sync: Option<SyncTime>,

    /// Kernel pipe size to ask for on both sides: SIZE, auto or keep
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "auto",
        help_heading = "Buffer",
        display_order = 900
    )]
    #[arg(
        long_help = "Kernel pipe size to ask for on both sides: a SIZE, auto, or keep to leave them alone; a \
        refusal is accepted silently. auto is at least 256KiB from the producer, and at least 1MiB to the consumer \
        and to each tee, but no more than the buffer, and 256KiB with a cap, a spool, --shed or --max-age; with the \
        last two the pipe to the consumer is kept smaller than that. Pipes to taps are left alone"
    )]
    #[arg(hide_short_help = true)]
    pub pipe_size: PipeSize,

    /// Never use the zero-copy path
    #[arg(long, help_heading = "Buffer", display_order = 901)]
    #[arg(long_help = "Never use the zero-copy path: every byte goes through the buffer")]
    #[arg(hide_short_help = true)]
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

    /// Deliver everything to PATH too
    #[arg(long, value_name = "PATH", help_heading = "Outputs", value_parser = file())]
    #[arg(value_hint = clap::ValueHint::FilePath)]
    #[arg(
        long_help = "Deliver everything to PATH too: a file, a FIFO, a device or >(command). It holds \
        the flow up as the consumer does, and with --shed it sheds by the same rule. With --spool it is appended to, \
        and the next weir that names the same PATH goes on where it was. May be given several times"
    )]
    pub tee: Vec<PathBuf>,

    /// Show PATH what passes, and never wait for it
    #[arg(long, value_name = "PATH", help_heading = "Outputs", value_parser = file())]
    #[arg(value_hint = clap::ValueHint::FilePath)]
    #[arg(
        long_help = "Show PATH what passes, and never wait for it: when it is behind by more than \
        --tap-buffer its oldest records are dropped, for it alone. A FIFO may be read later, and \
        again: it begins with a whole record, unless one reader follows another before weir has noticed: then \
        it goes on where that one stopped, maybe inside a record. With --spool it begins with the new input, and \
        nothing is kept for it. \
        May be given several times"
    )]
    pub tap: Vec<PathBuf>,

    /// How far each --tap may be behind [default: 16MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Outputs")]
    #[arg(hide_short_help = true)]
    pub tap_buffer: Option<Size>,

    /// Keep the newest SIZE of what has passed, for --look
    #[arg(long, value_name = "SIZE", help_heading = "Outputs")]
    #[arg(allow_hyphen_values = true)]
    #[arg(
        long_help = "Keep the newest SIZE of what has passed, in memory beside the buffer, for those who \
        --look: they are shown that first. Every byte is copied once for that"
    )]
    pub recall: Option<Size>,

    /// Add to the files of --tee and --tap instead of truncating them
    #[arg(long, help_heading = "Outputs")]
    #[arg(hide_short_help = true)]
    pub append: bool,

    /// Run COMMAND again when it has ended before the input has
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "never",
        help_heading = "Command",
        display_order = 0
    )]
    #[arg(
        long_help = "Run COMMAND again when it has ended before the input has. What it has left unread in its pipe goes to the next one, which begins with the first record that \
        was not read to its end. All goes through the buffer then"
    )]
    pub restart: Restart,

    /// Run COMMAND for each batch: 1000 (records), 1MiB, 5s
    #[arg(
        long,
        value_name = "LIMIT,...",
        help_heading = "Command",
        display_order = 0
    )]
    #[arg(
        long_help = "Run COMMAND once for each batch, which it finds complete in a file as its standard input. A \
        batch is closed by whichever comes first: a count of records (1000, 10k), a SIZE of bytes (1MiB: no more than that, \
        but for a longer record), a DURATION (5s; write 5min) after its first record; also at the high mark and at the \
        end. Exit status 0 acknowledges it; anything else means the same batch again, after a wait. With --spool also \
        after weir itself was killed"
    )]
    #[arg(value_parser = batch_limits)]
    pub batch: Vec<BatchLimits>,

    /// Exit statuses of COMMAND that say: this batch never
    #[arg(
        long,
        value_name = "STATUS,...",
        value_delimiter = ',',
        help_heading = "Command"
    )]
    #[arg(
        long_help = "Exit statuses of COMMAND that say that this batch can never succeed (128+N: signal N): it is \
        shed at once, to --shed-to if that is given, and the next one's turn comes"
    )]
    #[arg(value_parser = rejection)]
    #[arg(hide_short_help = true)]
    pub reject: Vec<u8>,

    /// How long to wait between failures of COMMAND: MIN..MAX
    #[arg(long, value_name = "MIN..MAX", help_heading = "Command")]
    #[arg(hide_short_help = true)]
    #[arg(
        long_help = "How long to wait between failures of COMMAND: doubled each time, less up to a fifth by \
        chance, and back to MIN when it has read a whole record and lived for longer than the last wait, or has \
        acknowledged a batch [default: 100ms..1m]"
    )]
    pub backoff: Option<Backoff>,

    /// End, or shed the batch, after N failures
    #[arg(long, value_name = "N", help_heading = "Command")]
    #[arg(
        long_help = "After N failures in a row end with COMMAND's status (with 125 where that is 0, and it has taken \
        nothing); with --batch shed the batch, to --shed-to \
        if that is given, and go on with the next one [default: never]"
    )]
    #[arg(value_parser = failures)]
    pub give_up: Option<NonZeroU32>,

    /// What can be changed later.
    #[command(flatten)]
    pub live: LiveOptions,

    /// Share the cap with all weirs of the same NAME
    #[arg(long, value_name = "NAME", help_heading = "Rate", display_order = 900)]
    #[arg(
        long_help = "Share the cap with all of your running weirs that give the same NAME: --rate \
        is the total, --burst too, and what one does not use the others get; --remote to one changes it for all, but \
        cannot lift it. \
        redis://[USER@]HOST[:PORT]/NAME shares it with those of all hosts that use that Redis or Valkey \
        server, where a part that is not wanted is for the others, and --burst lasts no longer than a tenth of a second's \
        pause; a password is taken from $WEIR_SHARE_PASSWORD, or from the file that \
        $WEIR_SHARE_PASSWORD_FILE names"
    )]
    pub share: Option<Share>,

    /// With --shed fair: lanes by pattern or Nth field
    #[arg(long, value_name = "REGEX|N", help_heading = "Shedding")]
    #[arg(allow_hyphen_values = true)]
    #[arg(
        long_help = "With --shed fair: the lane of a record is what the first group of REGEX says in it, else \
        all that REGEX matches, or its Nth field, counted from 1, where blanks separate them. Records without \
        are a lane of their own. The first 4096 keys each have a lane of their own, and so has a \
        further one while one of these holds nothing and has lost nothing; others share 4096 lanes by their hash. Of a \
        key 1024 bytes count, and of a record the first 64KiB. Not with --spill, --spool, --batch and --jobs. What weir notes of each record counts as memory: of short \
        ones the buffer holds less than its size. A REGEX is one of Rust's regex crate and matches bytes"
    )]
    pub key: Option<Key>,

    /// Shed records that match REGEX last of all
    #[arg(long, value_name = "REGEX", help_heading = "Shedding")]
    #[arg(allow_hyphen_values = true)]
    #[arg(
        long_help = "Shed records that match REGEX only when nothing else is left to be shed; they are never too \
        old for --max-age. What weir notes of each record counts as memory, as with --key. Not with --spill, --spool, --batch and --jobs"
    )]
    pub keep: Option<Pattern>,

    /// Append to FILE what is shed
    #[arg(long, value_name = "FILE", help_heading = "Shedding")]
    #[arg(value_hint = clap::ValueHint::FilePath)]
    #[arg(
        long_help = "Append what is shed to FILE, in whole records and in the order in which it is shed, instead of \
        discarding it: that of the input, but for --key, --max-age and batches that are given up. A slow file or a full disk never blocks the flow: what is lost is said once"
    )]
    pub shed_to: Option<PathBuf>,

    /// Live report on standard error
    #[arg(
        long,
        value_name = "HOW",
        default_value = "auto",
        help_heading = "Display",
        display_order = 0
    )]
    #[arg(
        long_help = "Live report on standard error: a bar, plain lines, JSON lines, or off. \
        auto is bar on a terminal, plain where a --log is kept, and off elsewhere. Where no bar \
        can be drawn, bar is plain"
    )]
    pub display: Display,

    /// End after this much of the input
    #[arg(
        long,
        value_name = "AMOUNT",
        help_heading = "Display",
        allow_hyphen_values = true
    )]
    #[arg(
        long_help = "End after this much of the input, as at its end: bytes, or records (1000, 3M) with a \
        framing option. Not one byte more is read from a pipe, so that what follows is for whoever reads it next"
    )]
    #[arg(value_parser = stop_at)]
    pub stop_at: Option<Amount>,

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

    /// Append reports to FILE, not to standard error
    #[arg(
        short = 'o',
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        help_heading = "Display"
    )]
    #[arg(
        long_help = "Append reports and summary to FILE instead of standard error; errors go to \
        both. Each line has its time in FILE, but for those of --format. After FILE was rotated, weir --remote NAME --reopen goes on with a new one"
    )]
    pub log: Option<PathBuf>,

    /// Text of a bar or plain line, with fields: '{name} {in.rate} {used%} {eta}'
    #[arg(long, value_name = "TEMPLATE", help_heading = "Display")]
    #[arg(
        long_help = "Text of a bar or plain line, with fields in braces: name, pid, time, elapsed, \
        state, used, used%, capacity, peak, disk, in, in.rate, in.records, out, out.rate, out.records, \
        shed, shed.records, cap, holdup, culprit, age, size, done%, eta, finish; and any other field of the status \
        object by its path, exactly as JSON has it: buffer.high, age_s.p99, outputs.0.used. A brace of its \
        own is written twice"
    )]
    #[arg(hide_short_help = true)]
    pub format: Option<Format>,

    /// Draw the course of the run into FILE, an SVG, at the end and on SIGUSR1
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        help_heading = "Display"
    )]
    #[arg(
        long_help = "Draw the course of the run into FILE, an SVG, at the end and on SIGUSR1: \
        occupancy with its marks, rates in and out, cap, what was shed, and who held the flow up"
    )]
    #[arg(hide_short_help = true)]
    pub chart: Option<PathBuf>,

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
    #[arg(hide_short_help = true)]
    pub metrics: Option<PathBuf>,

    /// Run COMMAND at full, 90%, shed, stall or done
    #[arg(long, value_name = "EVENT=COMMAND", help_heading = "Display")]
    #[arg(allow_hyphen_values = true)]
    #[arg(
        long_help = "Run COMMAND by a shell when it happens; may be given several times. EVENT is full (the \
        high mark is reached), N% (occupancy rises past N per cent), shed (shedding begins), stall (a timeout runs \
        out, that of a COMMAND that is run again, too), restart and give-up (of a COMMAND with --restart) or done (the run is over). One at a time, never holding the flow up. What \
        the flow does (full, N%, shed) is told again only when it has been over, full and N% when less than half of the low \
        mark has been held in between, and as a stall is never twice in a second. WEIR_EVENT, WEIR_NAME, WEIR_PID, WEIR_USED, WEIR_CAPACITY, WEIR_ELAPSED, WEIR_IN_BYTES, \
        WEIR_OUT_BYTES, WEIR_SHED_BYTES, the same in _RECORDS, and in the end WEIR_END tell how things stand. While one \
        runs, eight for each --on wait; what happens beyond that runs nothing, which is said. What it prints goes to standard error"
    )]
    pub on: Vec<Hook>,

    /// Report nothing but errors
    #[arg(short, long, help_heading = "Display")]
    #[arg(
        long_help = "Report nothing but errors: the same as --display off --summary off. \
        SIGUSR1 still prints one plain status line"
    )]
    pub quiet: bool,

    /// Change the weir of this PID or name: --rate 1MB/s
    #[arg(
        long,
        value_name = "TARGET",
        help_heading = "Control",
        display_order = 0,
        value_parser = target()
    )]
    #[arg(long_help = REMOTE_HELP.as_str())]
    pub remote: Option<String>,

    /// Print the status of that weir, or of all that you run
    #[arg(long, value_name = "TARGET", help_heading = "Control", value_parser = target())]
    #[arg(
        long_help = "Print the status of the weir of this PID or name, or of all that you run: a \
        table on a terminal, else a JSON object per line. Rates are those since the last time \
        that anybody asked, or since the start. A TARGET with a '/' is the directory of a spool: what lies \
        there, whether or not a weir has it"
    )]
    pub query: Option<Option<String>>,

    /// Show what passes through the weir of this PID or name
    #[arg(
        long,
        value_name = "TARGET",
        exclusive = true,
        help_heading = "Control",
        value_parser = target()
    )]
    #[arg(
        long_help = "Show what passes through the running weir of this PID or name, on standard output, \
        in whole records, until this or that ends: from what its --recall has kept on, and then \
        live, as it is read: what is held already was shown to those who looked then. It holds \
        nobody up: what is too much for it is left out, and said at the end. Any number may look, \
        at any time"
    )]
    pub look: Option<String>,

    /// Live view of all weirs that you run; q leaves
    #[arg(long, help_heading = "Control")]
    pub top: bool,

    /// With --query, --top and --remote: the weirs of all users, for root
    #[arg(long, help_heading = "Control", hide_short_help = true)]
    #[arg(
        long_help = "With --query, --top and --remote: the weirs of all users, which only root can see and change. \
        Whose each of them is is told too"
    )]
    pub all_users: bool,

    /// Let nobody control or query this weir
    #[arg(long, help_heading = "Control")]
    #[arg(hide_short_help = true)]
    pub no_control: bool,

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
    #[arg(hide_short_help = true)]
    pub source_timeout: Option<Span>,

    /// Give up when the consumer takes nothing for this long
    #[arg(long, value_name = "DURATION", help_heading = "Watchdog")]
    #[arg(
        long_help = "Give up, with status 124, when data waits, no cap or pause holds it, and \
        the consumer has taken none for this long"
    )]
    #[arg(hide_short_help = true)]
    pub sink_timeout: Option<Span>,

    /// After SIGTERM or SIGHUP, deliver what is held for at most this long
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        help_heading = "Watchdog"
    )]
    #[arg(
        long_help = "After SIGTERM or SIGHUP, deliver what is held for at most this long, then end \
        by that signal; a second one ends at once. What was not delivered is in the summary"
    )]
    #[arg(hide_short_help = true)]
    pub grace: Span,

    /// Print the man page or a completion script, and exit
    #[arg(long, value_name = "WHAT", exclusive = true, help_heading = "Other")]
    #[arg(hide_short_help = true)]
    pub generate: Option<Generate>,
}
