//! Options of other programs that people type from habit, and how weir spells the same.
//!
//! Only those that weir does not know itself are here: `-s` and `-i` mean to it what they mean to
//! `pv`.

/// What others call it, and what it is here; `{}` stands for the value, and `{size}` for the same amount in weir's units.
type Word = (&'static [&'static str], &'static str);

/// Where a bare number was typed behind it.
const WITH_NUMBER: &[Word] = &[
    // throttle, or mbuffer
    (
        &["-m"],
        "--rate {}Mbit/s (as in throttle) or --buffer {} (as in mbuffer)",
    ),
    (&["-k"], "--rate {}kbit/s (as in throttle)"),
    (&["-K"], "--rate {}KiB/s"),
    (&["-M"], "--rate {}MiB/s"),
    // throttle, or pv and cstream
    (
        &["-B"],
        "--buffer {} (as in pv) or --rate {}B/s (as in throttle)",
    ),
    // cstream
    (&["-t"], "--rate {}B/s"),
    (&["-T"], "--interval {}s"),
    (&["-n"], "--stop-at {size}"),
    (
        &["-c"],
        "not needed: reading and writing never wait for each other",
    ),
    // cstream, or mbuffer
    (&["-v"], "--display plain, or json"),
    // mbuffer
    (&["-P"], "--prefill {}%"),
    (&["-p"], "--low {}%"),
    (&["-W"], "--timeout {}s"),
    (&["-u"], "--rate LIMIT, which evens what leaves"),
    (&["-D", "--delay-start"], DRAWS_LATE),
    // pv
    (&["-Z", "--error-skip-block"], BAD_PLACES),
    (&["-Q"], "--query {}"),
];

/// Where a figure with a unit was typed behind it.
const WITH_UNIT: &[Word] = &[
    (&["-m"], "--buffer {size}"),
    (&["-P"], "--prefill {}"),
    (&["-p"], "--low {}"),
    (&["-R"], "--rate {size}"),
    (&["-W"], "--timeout {}"),
    (&["-t"], "--rate {size}"),
    (&["-n"], "--stop-at {size}"),
    (&["-D"], "--stop-at {size}"),
    (&["-Z", "--error-skip-block"], BAD_PLACES),
];

/// Where the name of a file was typed behind it.
const WITH_FILE: &[Word] = &[(
    &["-T"],
    "--spill 10GB, or --spool DIR, which outlives weir (as in mbuffer), or --display bar, which shows it (as in pv)",
)];

/// Where a COMMAND is named: then it is to be run as others run theirs.
const WITH_COMMAND: &[Word] = &[
    // xargs, or parallel
    (&["-P", "--max-procs"], "--jobs {}"),
    (
        &["-n", "-L", "--max-args", "--max-lines"],
        "--lines --batch {}",
    ),
    (&["--block"], "--lines --batch {size}"),
    (
        &["--retries"],
        "--give-up {}; without it a batch is tried until it succeeds",
    ),
    (
        &["--halt"],
        "--reject STATUS, or --give-up N, for a batch that can never succeed",
    ),
    (
        &["--pipe", "--spreadstdin"],
        "not needed: COMMAND always reads its input; --batch or --jobs make it several",
    ),
    (
        &["--round-robin", "--round", "--roundrobin"],
        "--lines --jobs 4, where each gets lines whenever it can take them",
    ),
    (
        &["-k", "--keep-order"],
        "not there; --jobs 1 keeps the order",
    ),
    (
        &["--no-run-if-empty"],
        "not needed: there is no batch without a record",
    ),
    (
        &["-I", "--replace"],
        "not there; COMMAND reads its standard input, and xargs behind it makes arguments of that",
    ),
];

const DRAWS_LATE: &str = "not needed: nothing is drawn before there is something to show";
const FITS: &str = "not needed: --display bar fits itself to the terminal";
const SHOWN: &str = "--display bar, which shows it";
const SUMS: &str = "not there; a sum is made by --tee '>(sha256sum >&2)'";
const UNITS: &str = "not needed: amounts are shown in the units in which they were typed, 1MB as 10^6 and 1MiB as 2^20";
const BITS: &str = "not there; what passes is shown in bytes, though a --rate may be typed in bits";
const LOOK: &str = "--look NAME, which shows what passes, and with --recall what has passed";
const BAD_PLACES: &str = "not there; ddrescue reads around bad places";
const TO_FILE: &str = "not needed: >FILE is where it writes then; --tee FILE gets everything too";
const DIRECT: &str =
    "not there; dd iflag=direct or oflag=direct, before or behind weir, goes past the page cache";
const TAPES: &str = "not there; mbuffer knows tapes that are to be changed";
const NETWORK: &str = "not there; let nc or ssh be the program before or behind weir";

/// All of them, with a value to show where none was typed; what takes none has no example.
const WORDS: &[(&[&str], &str, &str)] = &[
    // pv
    (&["-L", "--rate-limit"], "--rate {size}", "10MB"),
    (&["-B", "--buffer-size"], "--buffer {size}", "64MiB"),
    (&["-C"], "--no-splice", ""),
    (&["--line-mode"], "--lines", ""),
    (&["-S", "--stop-at-size"], "--stop-at {size}", "4GiB"),
    (&["-n", "--numeric"], "--display json", ""),
    (&["-f", "--force"], "--display bar", ""),
    (&["-F"], "--format '{in.rate} {done%} {eta}'", ""),
    (&["-R"], "--remote {}", "PID"),
    (
        &["-c", "--cursor"],
        "not needed: bars do not disturb each other",
        "",
    ),
    (
        &[
            "-p",
            "-t",
            "-e",
            "-a",
            "-T",
            "-g",
            "--progress",
            "--timer",
            "--eta",
            "--fineta",
            "--bytes",
            "--average-rate",
            "--buffer-percent",
            "--gauge",
        ],
        SHOWN,
        "",
    ),
    (&["-W", "--wait", "-D", "--delay-start"], DRAWS_LATE, ""),
    (
        &["-w", "-H", "--width", "--height", "-u", "--bar-style"],
        FITS,
        "",
    ),
    (&["-A", "--last-written"], LOOK, ""),
    (&["-k", "--si"], UNITS, ""),
    (&["-8", "--bits"], BITS, ""),
    (
        &["-U", "--store-and-forward"],
        "--spill 100GB --prefill 100%, which holds all that comes before any of it leaves",
        "",
    ),
    (
        &["-x", "--extra-display"],
        "--display json, or --metrics FILE, for what other programs are to show",
        "",
    ),
    (&["-X", "--discard"], "not needed: >/dev/null discards", ""),
    (
        &["-P", "--pidfile"],
        "--name backup, by which --remote finds it",
        "",
    ),
    (
        &["-E", "--skip-errors", "-Z", "--error-skip-block"],
        BAD_PLACES,
        "",
    ),
    (
        &["-Y"],
        "not there; sync FILE when it is done; what lies in a --spool is forced to the disk as --sync says",
        "",
    ),
    (&["-K", "--direct-io"], DIRECT, ""),
    (
        &["-O", "--sparse"],
        "not there; dd conv=sparse behind weir leaves holes (as in pv), or nc before or behind it (as in mbuffer)",
        "",
    ),
    (
        &["-m", "--average-rate-window"],
        "not needed: rates in a bar are those of the last second (as in pv), or --buffer 1GiB (as in mbuffer)",
        "",
    ),
    (&["--output"], TO_FILE, ""),
    (&["--stats"], "--summary text", ""),
    (
        &["-d", "--watchfd"],
        "not there; progress -p PID watches a program that runs",
        "",
    ),
    // mbuffer
    (&["-Q"], "--quiet", ""),
    (
        &["--truncate"],
        "not needed: --tee FILE begins anew, unless --append is given",
        "",
    ),
    (&["--direct", "--no-direct"], DIRECT, ""),
    (&["--tapeaware"], TAPES, ""),
    (&["--tcpbuffer", "--tcptimeo"], NETWORK, ""),
    (&["--md5", "--hash"], SUMS, ""),
    (
        &["-I"],
        "--display bar, which shows it (as in pv), or nc before weir (as in mbuffer)",
        "",
    ),
    (&["-4", "-6"], NETWORK, ""),
    (&["--pid"], "--query, which names all that run", ""),
    // cstream
    (&["-v"], "--display plain, or json", ""),
    // throttle
    (&["-M"], "--rate {}MiB/s", "1"),
];

/// What to type in place of an unknown option, as the command line has it, if anybody else knows it.
pub(super) fn ours(option: &str, words: &[String]) -> Option<String> {
    let typed = value(option, words);
    let in_table = |table: &[Word]| {
        let found = table.iter().find(|(theirs, _)| theirs.contains(&option));
        found.map(|(_, ours)| *ours)
    };
    let runs = words.iter().any(|word| word == "--");
    // None at all, or as many as there may be, is something else; a figure with a unit is a rate, as in `-L 10M`.
    let is_amount = typed.is_some_and(|value| value.ends_with(|c: char| c.is_ascii_alphabetic()));
    let is_theirs = runs && typed != Some("0") && !(option == "-L" && is_amount);
    let beside = is_theirs.then(|| in_table(WITH_COMMAND)).flatten();
    let by_value = match typed {
        Some(value) if value.bytes().all(|b| b.is_ascii_digit()) => in_table(WITH_NUMBER),
        Some(_) => in_table(WITH_UNIT),
        None => has_file(option, words)
            .then(|| in_table(WITH_FILE))
            .flatten(),
    };
    let plain = WORDS.iter().find(|(theirs, ..)| theirs.contains(&option));
    let ours = beside.or(by_value).or(plain.map(|(_, ours, _)| *ours))?;
    let example = match beside {
        Some(_) => "4",
        None => plain.map_or("", |(_, _, example)| example),
    };
    let value = typed.unwrap_or(example);
    Some(
        ours.replace("{}", value)
            .replace("{size}", &with_our_unit(value)),
    )
}

/// The same amount as it is written here: `M` alone is 2^20 to all of them, and 10^6 to weir.
fn with_our_unit(typed: &str) -> String {
    let is_figure = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let figure = typed.strip_suffix(['k', 'K', 'm', 'M', 'g', 'G', 't', 'T']);
    match figure.filter(|figure| is_figure(figure)) {
        Some(figure) => format!("{figure}{}iB", typed[figure.len()..].to_ascii_uppercase()),
        None => typed.to_owned(),
    }
}

/// Whether what was typed behind it may be the name of a file: a word of its own, or a path.
fn has_file(option: &str, words: &[String]) -> bool {
    let at = words.iter().position(|word| word.starts_with(option));
    let Some(at) = at else { return false };
    match &words[at][option.len()..] {
        "" => words.get(at + 1).is_some_and(|next| !next.starts_with('-')),
        rest => rest.contains('/'),
    }
}

/// What was typed as its value: behind it, behind `=`, or as the next word.
fn value<'a>(option: &str, words: &'a [String]) -> Option<&'a str> {
    let at = words.iter().position(|word| word.starts_with(option))?;
    let rest = words[at][option.len()..].trim_start_matches('=');
    let next = words.get(at + 1).map(String::as_str);
    let value = if rest.is_empty() { next? } else { rest };
    let is_figure = value.starts_with(|c: char| c.is_ascii_digit());
    is_figure.then_some(value)
}

#[cfg(test)]
mod tests;
