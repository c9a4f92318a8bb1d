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
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::options::Options;

    #[test]
    fn habits_get_the_spelling_of_the_same() {
        for (line, option, told) in [
            ("-L 10M", "-L", Some("--rate 10MiB")),
            ("-L10M", "-L", Some("--rate 10MiB")),
            ("--rate-limit=5M", "--rate-limit", Some("--rate 5MiB")),
            ("-L", "-L", Some("--rate 10MB")),
            ("-L -q", "-L", Some("--rate 10MB")),
            ("-m 1G", "-m", Some("--buffer 1GiB")),
            ("-L 512k", "-L", Some("--rate 512KiB")),
            ("-L 10MB", "-L", Some("--rate 10MB")),
            ("-P 80", "-P", Some("--prefill 80%")),
            ("-P 80%", "-P", Some("--prefill 80%")),
            ("-M 2", "-M", Some("--rate 2MiB/s")),
            ("-M", "-M", Some("--rate 1MiB/s")),
            ("-K 64", "-K", Some("--rate 64KiB/s")),
            ("-k 64", "-k", Some("--rate 64kbit/s (as in throttle)")),
            ("-k", "-k", Some(UNITS)),
            ("-8", "-8", Some(BITS)),
            ("-4", "-4", Some(NETWORK)),
            ("-u 20", "-u", Some("--rate LIMIT, which evens what leaves")),
            ("-u block", "-u", Some(FITS)),
            ("-A 20", "-A", Some(LOOK)),
            (
                "-m 1",
                "-m",
                Some("--rate 1Mbit/s (as in throttle) or --buffer 1 (as in mbuffer)"),
            ),
            ("-R 4711", "-R", Some("--remote 4711")),
            ("-R 10M", "-R", Some("--rate 10MiB")),
            ("-t 1000", "-t", Some("--rate 1000B/s")),
            ("-t", "-t", Some(SHOWN)),
            ("-ptebar", "-p", Some(SHOWN)),
            ("-T 5", "-T", Some("--interval 5s")),
            ("-T /var/tmp/x", "-T", Some(WITH_FILE[0].1)),
            ("-T file", "-T", Some(WITH_FILE[0].1)),
            ("-T/var/tmp/x", "-T", Some(WITH_FILE[0].1)),
            ("-T", "-T", Some(SHOWN)),
            ("-T -q", "-T", Some(SHOWN)),
            ("-Tq", "-T", Some(SHOWN)),
            ("-n 4096", "-n", Some("--stop-at 4096")),
            ("-n", "-n", Some("--display json")),
            ("-p 75", "-p", Some("--low 75%")),
            ("-W 60", "-W", Some("--timeout 60s")),
            ("-W", "-W", Some(DRAWS_LATE)),
            (
                "-P weir.pid",
                "-P",
                Some("--name backup, by which --remote finds it"),
            ),
            ("-S", "-S", Some("--stop-at 4GiB")),
            ("-P 4 -- gzip", "-P", Some("--jobs 4")),
            ("-P4 -n 100 -- gzip", "-n", Some("--lines --batch 100")),
            ("--block 1M -- wc", "--block", Some("--lines --batch 1MiB")),
            (
                "--retries 3 -- curl",
                "--retries",
                Some("--give-up 3; without it a batch is tried until it succeeds"),
            ),
            ("--retries 3", "--retries", None),
            ("-L 10M -- cat", "-L", Some("--rate 10MiB")),
            ("-L 1 -- cat", "-L", Some("--lines --batch 1")),
            ("--retries 0 -- cat", "--retries", None),
            (
                "--halt now,fail=1 -- cat",
                "--halt",
                Some("--reject STATUS, or --give-up N, for a batch that can never succeed"),
            ),
            ("-z 3", "-z", None),
            ("-K", "-K", Some(DIRECT)),
            ("-Z 4096", "-Z", Some(BAD_PLACES)),
            ("-Z 4k", "-Z", Some(BAD_PLACES)),
            ("-Q 4711", "-Q", Some("--query 4711")),
            ("-Q", "-Q", Some("--quiet")),
            ("-D 8G", "-D", Some("--stop-at 8GiB")),
            ("-D 3", "-D", Some(DRAWS_LATE)),
            ("--output x", "--output", Some(TO_FILE)),
            ("--tapeaware", "--tapeaware", Some(TAPES)),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(ours(option, &words).as_deref(), told, "{line}");
        }
    }

    #[test]
    fn what_weir_has_itself_is_not_the_word_of_another_and_what_is_told_is_right() {
        let command = Options::command();
        let has = |word: &str| {
            command.get_arguments().any(|arg| {
                let short = arg.get_short().map(|short| format!("-{short}"));
                let long = arg.get_long().map(|long| format!("--{long}"));
                short.as_deref() == Some(word) || long.as_deref() == Some(word)
            })
        };
        let all = WORDS.iter().map(|(theirs, ours, _)| (theirs, ours));
        let by_value = WITH_NUMBER.iter().chain(WITH_UNIT).chain(WITH_COMMAND);
        let by_value = by_value.chain(WITH_FILE);
        for (theirs, ours) in all.chain(by_value.map(|(theirs, ours)| (theirs, ours))) {
            for word in *theirs {
                assert!(!has(word), "weir has {word}");
            }
            let named = ours.split([' ', ',']).next().unwrap_or_default();
            assert!(named == "not" || has(named), "{ours}");
            let all = ours.split(' ').filter(|word| word.starts_with("--"));
            for word in all.map(|word| word.trim_end_matches([',', ';'])) {
                assert!(has(word), "{ours}");
            }
        }
    }
}
